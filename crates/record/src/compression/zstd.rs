use std::io::Write;

use zstd::stream::{read, write};

use super::{CodecError, read_bounded};

pub(super) fn compress(data: &[u8], level: i32, out: &mut Vec<u8>) -> Result<(), String> {
    let mut encoder = write::Encoder::new(out, level).map_err(|error| error.to_string())?;
    encoder.write_all(data).map_err(|error| error.to_string())?;
    // Java's streams flush before they close, which ends the frame with an empty block.
    encoder.flush().map_err(|error| error.to_string())?;
    encoder.finish().map_err(|error| error.to_string())?;
    Ok(())
}

/// The window a frame may ask for stays the library's default of 128 MiB, as for Java clients: that is what
/// the highest levels write.
pub(super) fn decompress(data: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let decoder = read::Decoder::with_buffer(data).map_err(CodecError::corrupt)?;
    read_bounded(decoder, data.len(), limit)
}
