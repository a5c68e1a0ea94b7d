use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_record::{DecompressionLimits, MemoryRecords, RecordBatch, RecordError};

/// Keys and values of records that go to the dead-letter queue, as far as one produce request can carry
/// them.
///
/// What is kept is bounded by what the queue's topic takes in one message: whoever wrote a batch that
/// unpacks into gigabytes must not fill this broker's memory. Best effort: what cannot be read goes
/// without key and value.
#[derive(Debug)]
pub struct Copies {
    records: BTreeMap<i64, CopiedRecord>,
    last_offset: i64,
    max_bytes: usize,
    bytes: usize,
    /// Up to here it is certain which records are copied and which are not.
    last_resolved: i64,
    /// A record did not fit beside the others; it gets another request.
    full: bool,
}

/// A record's own part of a dead letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CopiedRecord {
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
}

impl Copies {
    /// Room for copies of these records. `max_bytes`: the queue topic's `max.message.bytes`.
    pub fn new(first_offset: i64, last_offset: i64, max_bytes: usize) -> Self {
        Self {
            records: BTreeMap::new(),
            last_offset,
            max_bytes,
            bytes: 0,
            last_resolved: first_offset.saturating_sub(1),
            full: false,
        }
    }

    /// No copies: the group does not want any (`errors.deadletterqueue.copy.record.enable`).
    pub fn none(last_offset: i64) -> Self {
        let mut copies = Self::new(0, last_offset, 0);
        copies.give_up();
        copies
    }

    /// Takes what was read from this offset on, as committed records and in one read of at most
    /// [`MAX_FETCH_BYTES`](super::MAX_FETCH_BYTES). Tells where to read on, if it wants more.
    pub fn collect(&mut self, records: &MemoryRecords, read_from: i64) -> Option<i64> {
        match self.collect_batches(records, read_from) {
            Ok(next) if !self.wants_more() => {
                debug_assert!(next >= read_from);
                None
            }
            Ok(next) if next > read_from => Some(next),
            // There is nothing there, or nothing that can be read.
            Ok(_) | Err(_) => {
                self.give_up();
                None
            }
        }
    }

    /// Goes without copies of what is missing yet: it cannot be read.
    pub fn give_up(&mut self) {
        self.last_resolved = self.last_resolved.max(self.last_offset);
    }

    pub(super) fn last_resolved(&self) -> i64 {
        self.last_resolved
    }

    pub(super) fn get(&self, offset: i64) -> CopiedRecord {
        self.records.get(&offset).cloned().unwrap_or_default()
    }

    fn wants_more(&self) -> bool {
        !self.full && self.bytes < self.max_bytes && self.last_resolved < self.last_offset
    }

    fn collect_batches(&mut self, records: &MemoryRecords, read_from: i64) -> Result<i64, RecordError> {
        let mut next = read_from;
        for batch in records.batches() {
            if !self.wants_more() {
                break;
            }
            next = self.collect_batch(&batch?, next)?;
        }
        Ok(next)
    }

    fn collect_batch(&mut self, batch: &RecordBatch, read_from: i64) -> Result<i64, RecordError> {
        let behind_batch = batch.last_offset().min(self.last_offset).saturating_add(1);
        if batch.is_control_batch() {
            return Ok(self.resolve_before(behind_batch).max(read_from));
        }
        let limits = match batch.is_compressed() {
            true => DecompressionLimits::bytes(self.max_bytes),
            false => DecompressionLimits::default(),
        };
        let records = match batch.owned_records(&limits) {
            // No request could ever carry it.
            Err(RecordError::DecompressedTooLarge { .. }) => {
                return Ok(self.resolve_before(behind_batch).max(read_from));
            }
            records => records?,
        };
        let mut next = read_from;
        for record in records {
            let record = record?;
            if record.offset < next {
                continue;
            }
            if record.offset > self.last_offset {
                break;
            }
            let size = record.size_in_bytes;
            let fits_alone = size <= self.max_bytes;
            if fits_alone && self.bytes.saturating_add(size) > self.max_bytes {
                self.full = true;
                return Ok(next);
            }
            if fits_alone {
                self.bytes += size;
                self.records.insert(record.offset, CopiedRecord { key: record.key, value: record.value });
            }
            next = self.resolve_before(record.offset.saturating_add(1)).max(next);
        }
        Ok(self.resolve_before(behind_batch).max(next))
    }

    /// Everything below this offset is certain now.
    fn resolve_before(&mut self, offset: i64) -> i64 {
        self.last_resolved = self.last_resolved.max(offset.saturating_sub(1));
        offset
    }
}

#[cfg(test)]
mod tests {
    use ottla_record::{CompressionType, SimpleRecord};

    use super::*;

    fn batch(base_offset: i64, compression: CompressionType, values: &[String]) -> MemoryRecords {
        let records: Vec<_> =
            values.iter().map(|value| SimpleRecord::of_value(1, value.clone().into_bytes())).collect();
        MemoryRecords::with_records_at(base_offset, 0, compression, &records).unwrap()
    }

    fn value(copies: &Copies, offset: i64) -> Option<Bytes> {
        copies.get(offset).value
    }

    #[test]
    fn records_are_copied_from_where_they_are_wanted() {
        let records = batch(10, CompressionType::None, &["a".into(), "b".into(), "c".into()]);
        let mut copies = Copies::new(11, 11, 1_000);
        assert_eq!(copies.collect(&records, 11), None);
        assert_eq!(value(&copies, 10), None);
        assert_eq!(value(&copies, 11).as_deref(), Some(&b"b"[..]));
        assert_eq!(copies.last_resolved(), 11);
    }

    #[test]
    fn more_is_read_until_all_is_there() {
        let mut copies = Copies::new(10, 13, 1_000);
        let first = batch(10, CompressionType::None, &["a".into(), "b".into()]);
        assert_eq!(copies.collect(&first, 10), Some(12));
        let second = batch(12, CompressionType::Gzip, &["c".into(), "d".into(), "e".into()]);
        assert_eq!(copies.collect(&second, 12), None);
        assert_eq!(value(&copies, 13).as_deref(), Some(&b"d"[..]));
        assert_eq!(value(&copies, 14), None);
    }

    #[test]
    fn what_does_not_fit_beside_the_others_waits() {
        let records = batch(0, CompressionType::None, &["x".repeat(300), "y".repeat(300)]);
        let mut copies = Copies::new(0, 1, 400);
        assert_eq!(copies.collect(&records, 0), None);
        assert_eq!(copies.last_resolved(), 0);
        assert!(value(&copies, 0).is_some() && value(&copies, 1).is_none());
    }

    #[test]
    fn what_never_fits_goes_without_a_copy() {
        let records = batch(0, CompressionType::None, &["x".repeat(300), "y".into()]);
        let mut copies = Copies::new(0, 1, 200);
        assert_eq!(copies.collect(&records, 0), None);
        assert_eq!(copies.last_resolved(), 1);
        assert!(value(&copies, 0).is_none() && value(&copies, 1).is_some());

        let packed = batch(0, CompressionType::Gzip, &["x".repeat(30_000), "y".into()]);
        let mut copies = Copies::new(0, 1, 200);
        assert_eq!(copies.collect(&packed, 0), None);
        assert_eq!(copies.last_resolved(), 1);
        assert!(value(&copies, 1).is_none(), "a batch is unpacked as a whole or not at all");
    }

    #[test]
    fn what_cannot_be_read_is_given_up() {
        let mut copies = Copies::new(0, 5, 200);
        assert_eq!(copies.collect(&MemoryRecords::EMPTY, 0), None);
        assert_eq!(copies.last_resolved(), 5);
        let mut copies = Copies::new(0, 5, 200);
        assert_eq!(copies.collect(&MemoryRecords::new(Bytes::from_static(&[0xff; 80])), 0), None);
        assert_eq!(copies.last_resolved(), 5);
        assert_eq!(Copies::none(7).last_resolved(), 7);
    }
}
