//! `<offset>.snapshot`: version (2 bytes), CRC-32C of what follows it (4), number of entries (4), entries
//! of 46 bytes.

use thiserror::Error;

use super::{BatchMetadata, ProducerStateEntry};

const VERSION: i16 = 1;
const CRC_AT: usize = 2;
const ENTRIES_AT: usize = 6;
const ENTRY_SIZE: usize = 46;

/// The snapshot is damaged or of an unknown version; an older one must do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("producer snapshot is corrupt: {0}")]
pub struct CorruptSnapshotError(pub &'static str);

/// The file's bytes.
pub fn encode_snapshot<'a>(entries: impl ExactSizeIterator<Item = &'a ProducerStateEntry>) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENTRIES_AT + 4 + entries.len() * ENTRY_SIZE);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(entries.len() as i32).to_be_bytes());
    for entry in entries {
        out.extend_from_slice(&entry.producer_id.to_be_bytes());
        out.extend_from_slice(&entry.producer_epoch.to_be_bytes());
        out.extend_from_slice(&entry.last_seq().to_be_bytes());
        out.extend_from_slice(&entry.last_data_offset().to_be_bytes());
        out.extend_from_slice(&entry.last_offset_delta().to_be_bytes());
        out.extend_from_slice(&entry.last_timestamp.to_be_bytes());
        out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        out.extend_from_slice(&entry.current_txn_first_offset.unwrap_or(-1).to_be_bytes());
    }
    let crc = crc32c::crc32c(&out[ENTRIES_AT..]);
    out[CRC_AT..ENTRIES_AT].copy_from_slice(&crc.to_be_bytes());
    out
}

/// Reads the file's bytes.
pub fn decode_snapshot(bytes: &[u8]) -> Result<Vec<ProducerStateEntry>, CorruptSnapshotError> {
    let mut reader = Reader(bytes);
    let version = i16::from_be_bytes(reader.take()?);
    if version != VERSION {
        return Err(CorruptSnapshotError("unknown version"));
    }
    let crc = u32::from_be_bytes(reader.take()?);
    if crc != crc32c::crc32c(reader.0) {
        return Err(CorruptSnapshotError("wrong checksum"));
    }
    let count = i32::from_be_bytes(reader.take()?);
    let count = usize::try_from(count).map_err(|_| CorruptSnapshotError("negative number of entries"))?;
    if count > reader.0.len() / ENTRY_SIZE {
        return Err(CorruptSnapshotError("more entries than bytes"));
    }
    (0..count).map(|_| reader.entry()).collect()
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], CorruptSnapshotError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(CorruptSnapshotError("it ends early"))?;
        self.0 = rest;
        Ok(*field)
    }

    fn entry(&mut self) -> Result<ProducerStateEntry, CorruptSnapshotError> {
        let mut entry = ProducerStateEntry::empty(i64::from_be_bytes(self.take()?));
        entry.producer_epoch = i16::from_be_bytes(self.take()?);
        let last_seq = i32::from_be_bytes(self.take()?);
        let last_offset = i64::from_be_bytes(self.take()?);
        let offset_delta = i32::from_be_bytes(self.take()?);
        let timestamp = i64::from_be_bytes(self.take()?);
        entry.last_timestamp = timestamp;
        entry.coordinator_epoch = i32::from_be_bytes(self.take()?);
        entry.current_txn_first_offset = Some(i64::from_be_bytes(self.take()?)).filter(|o| *o >= 0);
        if last_offset >= 0 {
            entry.batches.push_back(BatchMetadata { last_seq, last_offset, offset_delta, timestamp });
        }
        Ok(entry)
    }
}
