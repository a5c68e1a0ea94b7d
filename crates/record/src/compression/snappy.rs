//! Snappy as Java's xerial library frames it, which is not the framing snappy's authors published: a header
//! of 16 bytes, then blocks of an `i32` length and raw snappy. Some clients write raw snappy alone.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::CodecError;

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const VERSION: i32 = 1;
const COMPATIBLE_VERSION: i32 = 1;
const HEADER_BYTES: usize = MAGIC.len() + 8;
const BLOCK_BYTES: usize = 32 << 10;

pub(super) fn compress(data: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&COMPATIBLE_VERSION.to_be_bytes());
    let mut encoder = Encoder::new();
    let mut packed = vec![0; max_compress_len(data.len().min(BLOCK_BYTES))];
    for chunk in data.chunks(BLOCK_BYTES) {
        let len = encoder.compress(chunk, &mut packed).map_err(|error| error.to_string())?;
        out.extend_from_slice(&(len as i32).to_be_bytes());
        out.extend_from_slice(&packed[..len]);
    }
    Ok(())
}

pub(super) fn decompress(data: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    if data.len() < HEADER_BYTES || !data.starts_with(&MAGIC) {
        append_block(data, limit, &mut out)?;
        return Ok(out);
    }
    let mut rest = &data[HEADER_BYTES..];
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        // Streams written one after the other are one stream.
        if let Some(next) = rest.strip_prefix(&MAGIC) {
            rest = next.get(HEADER_BYTES - MAGIC.len()..).ok_or_else(truncated)?;
            continue;
        }
        let len = usize::try_from(i32::from_be_bytes(*len)).map_err(CodecError::corrupt)?;
        let block = after.get(..len).ok_or_else(truncated)?;
        append_block(block, limit, &mut out)?;
        rest = &after[len..];
    }
    if rest.is_empty() { Ok(out) } else { Err(truncated()) }
}

/// Unpacks a block. Its size is checked against what it can be: a byte of snappy yields at most 64, two
/// for three, so that a lie costs no memory.
fn append_block(block: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let len = decompress_len(block).map_err(CodecError::corrupt)?;
    let start = out.len();
    if len > limit - start {
        return Err(CodecError::TooLarge);
    }
    if len > block.len().saturating_mul(64) {
        return Err(CodecError::corrupt("block claims an impossible size"));
    }
    out.resize(start + len, 0);
    let written = Decoder::new().decompress(block, &mut out[start..]).map_err(CodecError::corrupt)?;
    out.truncate(start + written);
    Ok(())
}

fn truncated() -> CodecError {
    CodecError::corrupt("stream is cut")
}
