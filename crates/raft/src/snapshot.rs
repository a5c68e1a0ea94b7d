//! Snapshots: their names and their batches.

use bytes::Bytes;
use ottla_protocol::records::control::{SnapshotFooterRecord, SnapshotHeaderRecord};

use crate::control::{BatchBuildError, ControlRecord, control_batch, data_batch};
use crate::{MAX_BATCH_SIZE_BYTES, OffsetAndEpoch, VoterSet};

/// The end of a snapshot's name.
pub const SUFFIX: &str = ".checkpoint";
/// The end of the name of one that is being written.
pub const PARTIAL_SUFFIX: &str = ".checkpoint.part";
/// The end of the name of one that will be deleted.
pub const DELETE_SUFFIX: &str = ".checkpoint.deleted";

const OFFSET_WIDTH: usize = 20;
const EPOCH_WIDTH: usize = 10;

/// A file that belongs to a snapshot, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotName {
    /// Which snapshot.
    pub id: OffsetAndEpoch,
    /// Whether it never became complete.
    pub partial: bool,
    /// Whether it is on its way out.
    pub deleted: bool,
}

/// The name of a snapshot without its suffix.
pub fn filename_from_snapshot_id(id: OffsetAndEpoch) -> String {
    format!("{:0OFFSET_WIDTH$}-{:0EPOCH_WIDTH$}", id.offset, id.epoch)
}

/// Reads a file name; `None` if it is not a snapshot's.
pub fn parse_name(name: &str) -> Option<SnapshotName> {
    let (partial, deleted) = (name.ends_with(PARTIAL_SUFFIX), name.ends_with(DELETE_SUFFIX));
    if !partial && !deleted && !name.ends_with(SUFFIX) {
        return None;
    }
    let offset = name.get(..OFFSET_WIDTH)?.parse().ok()?;
    let epoch = name.get(OFFSET_WIDTH + 1..OFFSET_WIDTH + 1 + EPOCH_WIDTH)?.parse().ok()?;
    Some(SnapshotName { id: OffsetAndEpoch::new(offset, epoch), partial, deleted })
}

/// Makes a snapshot's batches: a header, the records in batches of bounded size, a footer without which a
/// reader must not trust it. Offsets count from 0 and mean nothing.
#[derive(Debug)]
pub struct RecordsSnapshotWriter {
    id: OffsetAndEpoch,
    next_offset: i64,
    pending: Vec<Bytes>,
    pending_bytes: usize,
}

impl RecordsSnapshotWriter {
    /// Begins; returns the first batch too. `kraft_version` 0 has no voters to tell.
    pub fn new(
        id: OffsetAndEpoch,
        now_ms: i64,
        last_contained_log_timestamp: i64,
        kraft_version: i16,
        voters: Option<&VoterSet>,
    ) -> Result<(Self, Bytes), BatchBuildError> {
        let mut records = vec![ControlRecord::SnapshotHeader(SnapshotHeaderRecord {
            last_contained_log_timestamp,
            ..Default::default()
        })];
        if kraft_version > 0 {
            records.push(ControlRecord::kraft_version(kraft_version));
            records.extend(voters.map(|voters| ControlRecord::Voters(voters.to_voters_record())));
        }
        let header = control_batch(0, id.epoch, now_ms, &records)?;
        let next_offset = records.len() as i64;
        Ok((Self { id, next_offset, pending: Vec::new(), pending_bytes: 0 }, header))
    }

    /// Which snapshot is written.
    pub fn id(&self) -> OffsetAndEpoch {
        self.id
    }

    /// Adds encoded records; returns a batch when enough came together.
    pub fn append(&mut self, now_ms: i64, value: Bytes) -> Result<Option<Bytes>, BatchBuildError> {
        // Each record has up to 30 bytes around its value.
        let size = value.len() + 30;
        let full = !self.pending.is_empty() && self.pending_bytes + size > MAX_BATCH_SIZE_BYTES - 128;
        let batch = if full { self.flush(now_ms)? } else { None };
        self.pending_bytes += size;
        self.pending.push(value);
        Ok(batch)
    }

    /// The last batches, footer included.
    pub fn finish(mut self, now_ms: i64) -> Result<Vec<Bytes>, BatchBuildError> {
        let mut batches: Vec<Bytes> = self.flush(now_ms)?.into_iter().collect();
        let footer = ControlRecord::SnapshotFooter(SnapshotFooterRecord::default());
        batches.push(control_batch(self.next_offset, self.id.epoch, now_ms, &[footer])?);
        Ok(batches)
    }

    fn flush(&mut self, now_ms: i64) -> Result<Option<Bytes>, BatchBuildError> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let batch = data_batch(self.next_offset, self.id.epoch, now_ms, &self.pending)?;
        self.next_offset += self.pending.len() as i64;
        self.pending.clear();
        self.pending_bytes = 0;
        Ok(Some(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::control_records;
    use ottla_record::RecordBatch;

    #[test]
    fn names_are_kafkas() {
        let id = OffsetAndEpoch::new(123, 4);
        let name = filename_from_snapshot_id(id);
        assert_eq!(name, "00000000000000000123-0000000004");
        let parse = |suffix: &str| parse_name(&format!("{name}{suffix}"));
        assert_eq!(parse(SUFFIX), Some(SnapshotName { id, partial: false, deleted: false }));
        assert_eq!(parse("-77.checkpoint.part"), Some(SnapshotName { id, partial: true, deleted: false }));
        assert_eq!(parse(DELETE_SUFFIX), Some(SnapshotName { id, partial: false, deleted: true }));
        assert_eq!(parse(".log"), None);
        assert_eq!(parse_name("bootstrap.checkpoint"), None);
    }

    #[test]
    fn header_records_footer() {
        let id = OffsetAndEpoch::new(10, 2);
        let (mut writer, header) =
            RecordsSnapshotWriter::new(id, 5, 3, 1, Some(&VoterSet::default())).unwrap();
        let header = RecordBatch::new(header).unwrap();
        assert_eq!(control_records(&header).unwrap().len(), 3);
        assert!(writer.append(5, Bytes::from_static(b"a")).unwrap().is_none());
        assert!(writer.append(5, Bytes::from_static(b"b")).unwrap().is_none());
        let rest = writer.finish(6).unwrap();
        let batches: Vec<_> = rest.into_iter().map(|b| RecordBatch::new(b).unwrap()).collect();
        assert_eq!((batches[0].base_offset(), batches[0].count()), (3, 2));
        assert_eq!(batches[1].base_offset(), 5);
        assert!(matches!(control_records(&batches[1]).unwrap()[0].1, ControlRecord::SnapshotFooter(_)));
        assert_eq!(batches[1].partition_leader_epoch(), 2);
    }

    #[test]
    fn large_snapshots_have_many_batches() {
        let id = OffsetAndEpoch::new(10, 2);
        let (mut writer, _) = RecordsSnapshotWriter::new(id, 5, 3, 0, None).unwrap();
        let value = Bytes::from(vec![1; MAX_BATCH_SIZE_BYTES / 3]);
        let batches = (0..7).filter_map(|_| writer.append(5, value.clone()).unwrap()).count();
        assert_eq!(batches, 3);
    }
}
