use lz4_flex::block;
use lz4_flex::frame::FrameDecoder;

use super::{CodecError, read_bounded};

/// Magic, flags (version 1, independent blocks), block size (64 KiB), checksum of these two.
const HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
const BLOCK_BYTES: usize = 64 << 10;
/// In a block's length: stored as it is.
const INCOMPRESSIBLE: u32 = 1 << 31;
const END_MARK: [u8; 4] = [0; 4];

pub(super) fn compress(data: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    out.extend_from_slice(&HEADER);
    let mut packed = vec![0; block::get_maximum_output_size(data.len().min(BLOCK_BYTES))];
    for chunk in data.chunks(BLOCK_BYTES) {
        let len = block::compress_into(chunk, &mut packed).map_err(|error| error.to_string())?;
        if len < chunk.len() {
            out.extend_from_slice(&(len as u32).to_le_bytes());
            out.extend_from_slice(&packed[..len]);
        } else {
            out.extend_from_slice(&(chunk.len() as u32 | INCOMPRESSIBLE).to_le_bytes());
            out.extend_from_slice(chunk);
        }
    }
    out.extend_from_slice(&END_MARK);
    Ok(())
}

pub(super) fn decompress(data: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    read_bounded(FrameDecoder::new(data), data.len(), limit)
}
