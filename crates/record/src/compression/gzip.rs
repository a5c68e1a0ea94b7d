use flate2::bufread::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use std::io::Write;

use super::{CodecError, read_bounded};

/// Since Java 16 the "operating system" of a gzip header is "unknown".
const OS_UNKNOWN: u8 = 255;
/// Where flate2 notes the strength, and Java notes nothing.
const EXTRA_FLAGS: usize = 8;

pub(super) fn compress(data: &[u8], level: i32, out: &mut Vec<u8>) -> Result<(), String> {
    let level = u32::try_from(level).map_or_else(|_| Compression::default(), Compression::new);
    let start = out.len();
    let mut encoder = GzBuilder::new().operating_system(OS_UNKNOWN).write(out, level);
    encoder.write_all(data).map_err(|error| error.to_string())?;
    let out = encoder.finish().map_err(|error| error.to_string())?;
    out[start + EXTRA_FLAGS] = 0;
    Ok(())
}

pub(super) fn decompress(data: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    read_bounded(MultiGzDecoder::new(data), data.len(), limit)
}
