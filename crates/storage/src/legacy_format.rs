//! Message formats v0 and v1, from before Kafka 0.11. They are not read here, but they must not be taken
//! for damage and cut off either.

use std::io;

use crate::fs::{LogFile, read_full_at};

const LOG_OVERHEAD: usize = 12;
const CRC_AT: usize = 12;
const MAGIC_AT: usize = 16;
/// Checksum, magic, attributes, and the lengths of key and value.
const MIN_LENGTH: usize = 14;
/// As large as such a message may be taken to be.
const MAX_LENGTH: usize = 64 << 20;

/// Whether a whole message of an old format, with the right checksum, is at a position.
pub(crate) fn is_legacy_message(file: &dyn LogFile, position: u64, end: u64) -> io::Result<bool> {
    let mut header = [0; MAGIC_AT + 1];
    if read_full_at(file, &mut header, position)? < header.len() || header[MAGIC_AT] > 1 {
        return Ok(false);
    }
    let field = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let length = field(8) as usize;
    let fits = position.saturating_add((LOG_OVERHEAD + length) as u64) <= end;
    if !fits || !(MIN_LENGTH..=MAX_LENGTH).contains(&length) {
        return Ok(false);
    }
    let mut covered = vec![0; length - (MAGIC_AT - LOG_OVERHEAD)];
    let read = read_full_at(file, &mut covered, position + MAGIC_AT as u64)?;
    Ok(read == covered.len() && crc32(&covered) == field(CRC_AT))
}

/// The CRC of zip, which those formats use. Bit by bit: it is asked for once.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::fs::sim::SimFileSystem;
    use crate::fs::{FileSystem, OpenMode};
    use crate::test_support::{Bench, DIR};

    fn message() -> Vec<u8> {
        // Magic 1, no codec, a timestamp, null key, value "v".
        let mut covered = vec![1, 0];
        covered.extend_from_slice(&1_500_000_000_000_i64.to_be_bytes());
        covered.extend_from_slice(&(-1_i32).to_be_bytes());
        covered.extend_from_slice(&1_i32.to_be_bytes());
        covered.push(b'v');
        let mut message = 0_i64.to_be_bytes().to_vec();
        message.extend_from_slice(&(covered.len() as i32 + 4).to_be_bytes());
        message.extend_from_slice(&crc32(&covered).to_be_bytes());
        message.extend_from_slice(&covered);
        message
    }

    #[test]
    fn the_checksum_is_zips() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn old_messages_are_told_from_damage() {
        let disk = SimFileSystem::new(1);
        disk.put(Path::new("/f"), message());
        let file = disk.open(Path::new("/f"), OpenMode::ReadWrite).unwrap();
        let len = file.len().unwrap();
        assert!(is_legacy_message(file.as_ref(), 0, len).unwrap());
        assert!(!is_legacy_message(file.as_ref(), 0, len - 1).unwrap());
        file.write_all_at(&[0], 20).unwrap();
        assert!(!is_legacy_message(file.as_ref(), 0, len).unwrap());
        file.write_all_at(&[0; 40], 0).unwrap();
        assert!(!is_legacy_message(file.as_ref(), 0, 40).unwrap());
    }

    #[test]
    fn a_log_of_an_old_format_is_refused_and_kept() {
        let bench = Bench::new();
        bench.disk.create_dir_all(Path::new(DIR)).unwrap();
        let path = Path::new(DIR).join("00000000000000000000.log");
        bench.disk.put(&path, message());
        assert!(bench.try_open().is_err());
        assert_eq!(bench.disk.content(&path), Some(message()));
    }
}
