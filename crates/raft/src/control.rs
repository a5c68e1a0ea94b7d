//! Control records of KRaft: who leads, who votes, where a snapshot begins and ends.

use bytes::Bytes;
use ottla_protocol::records::control::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord, VotersRecord,
};
use ottla_protocol::{DecodeError, EncodeError, Message};
use ottla_record::{
    BuildError, CompressionType, ControlRecordType, DecompressionLimits, RecordBatch, RecordError,
    RecordsBuilder,
};

/// The version in which all of these are written.
const VERSION: i16 = 0;

/// A control record that KRaft reads or writes.
#[derive(Debug, Clone, PartialEq)]
pub enum ControlRecord {
    /// A leader was elected; the first record of every epoch.
    LeaderChange(LeaderChangeMessage),
    /// A snapshot begins.
    SnapshotHeader(SnapshotHeaderRecord),
    /// A snapshot is complete.
    SnapshotFooter(SnapshotFooterRecord),
    /// The finalized `kraft.version`.
    KRaftVersion(KRaftVersionRecord),
    /// The voters.
    Voters(VotersRecord),
    /// Something this reader has no use for.
    Other,
}

impl ControlRecord {
    /// The record that says which `kraft.version` holds.
    pub fn kraft_version(level: i16) -> Self {
        Self::KRaftVersion(KRaftVersionRecord { k_raft_version: level, ..Default::default() })
    }

    fn parts(&self) -> Result<(ControlRecordType, Bytes), EncodeError> {
        Ok(match self {
            Self::LeaderChange(m) => (ControlRecordType::LeaderChange, m.to_bytes(VERSION)?),
            Self::SnapshotHeader(m) => (ControlRecordType::SnapshotHeader, m.to_bytes(VERSION)?),
            Self::SnapshotFooter(m) => (ControlRecordType::SnapshotFooter, m.to_bytes(VERSION)?),
            Self::KRaftVersion(m) => (ControlRecordType::KraftVersion, m.to_bytes(VERSION)?),
            Self::Voters(m) => (ControlRecordType::KraftVoters, m.to_bytes(VERSION)?),
            Self::Other => (ControlRecordType::Unknown, Bytes::new()),
        })
    }

    fn parse(kind: ControlRecordType, value: Bytes) -> Result<Self, DecodeError> {
        Ok(match kind {
            ControlRecordType::LeaderChange => Self::LeaderChange(read(value)?),
            ControlRecordType::SnapshotHeader => Self::SnapshotHeader(read(value)?),
            ControlRecordType::SnapshotFooter => Self::SnapshotFooter(read(value)?),
            ControlRecordType::KraftVersion => Self::KRaftVersion(read(value)?),
            ControlRecordType::KraftVoters => Self::Voters(read(value)?),
            ControlRecordType::Abort | ControlRecordType::Commit | ControlRecordType::Unknown => Self::Other,
        })
    }
}

/// Reads a value; a later version may only add to the end of it.
fn read<M: Message>(value: Bytes) -> Result<M, DecodeError> {
    M::decode(&mut ottla_protocol::Reader::new(value), VERSION)
}

/// Why a batch of the metadata log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The batch itself is wrong.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A record in it is.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A record in it has no value.
    #[error("record {0} of the metadata log has no value")]
    NoValue(i64),
}

/// Why a batch of the metadata log cannot be written. Only a record too large for any message is a cause.
#[derive(Debug, thiserror::Error)]
pub enum BatchBuildError {
    /// The batch cannot be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A record in it cannot.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// One batch of control records, as Kafka writes it.
pub fn control_batch(
    base_offset: i64,
    epoch: i32,
    timestamp: i64,
    records: &[ControlRecord],
) -> Result<Bytes, BatchBuildError> {
    assert!(!records.is_empty(), "a batch has a record");
    let mut builder = builder(base_offset, epoch).control(true);
    for record in records {
        let (kind, value) = record.parts()?;
        builder.append_control_record(timestamp, kind, &value)?;
    }
    Ok(builder.build()?.into_bytes())
}

/// One batch of metadata records, as Kafka writes it: no keys, one timestamp.
pub fn data_batch<'a>(
    base_offset: i64,
    epoch: i32,
    timestamp: i64,
    values: impl IntoIterator<Item = &'a Bytes>,
) -> Result<Bytes, BatchBuildError> {
    let mut builder = builder(base_offset, epoch);
    for value in values {
        builder.append(timestamp, None, Some(value), &[])?;
    }
    Ok(builder.build()?.into_bytes())
}

fn builder(base_offset: i64, epoch: i32) -> RecordsBuilder {
    RecordsBuilder::new(CompressionType::None).base_offset(base_offset).partition_leader_epoch(epoch)
}

/// The control records of a batch with their offsets; none if it is a batch of metadata.
pub fn control_records(batch: &RecordBatch) -> Result<Vec<(i64, ControlRecord)>, BatchError> {
    if !batch.is_control_batch() {
        return Ok(Vec::new());
    }
    let limits = DecompressionLimits::default();
    let records = batch.records(&limits)?;
    records
        .iter()
        .map(|record| {
            let record = record?;
            let kind = ControlRecordType::parse(record.key)?;
            let value = record.value.ok_or(BatchError::NoValue(record.offset))?;
            Ok((record.offset, ControlRecord::parse(kind, Bytes::copy_from_slice(value))?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_records_are_read_as_written() {
        let records = [
            ControlRecord::LeaderChange(LeaderChangeMessage { leader_id: 1, ..Default::default() }),
            ControlRecord::kraft_version(1),
            ControlRecord::Voters(VotersRecord::default()),
            ControlRecord::SnapshotHeader(SnapshotHeaderRecord {
                last_contained_log_timestamp: 5,
                ..Default::default()
            }),
            ControlRecord::SnapshotFooter(SnapshotFooterRecord::default()),
        ];
        let bytes = control_batch(7, 3, 1_000, &records).unwrap();
        let batch = RecordBatch::new(bytes).unwrap();
        batch.ensure_valid().unwrap();
        assert_eq!((batch.base_offset(), batch.last_offset()), (7, 11));
        assert_eq!((batch.partition_leader_epoch(), batch.max_timestamp()), (3, 1_000));
        let read = control_records(&batch).unwrap();
        let expected: Vec<_> = (7..).zip(records).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn data_batches_have_no_control_records() {
        let bytes = data_batch(0, 1, 5, &[Bytes::from_static(b"x")]).unwrap();
        let batch = RecordBatch::new(bytes).unwrap();
        assert!(control_records(&batch).unwrap().is_empty());
        assert_eq!(batch.count(), 1);
    }
}
