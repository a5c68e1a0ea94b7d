use bytes::Bytes;

use super::{BatchOptions, RecordsBuilder};
use crate::header::{at, flag};
use crate::{
    BuildError, CURRENT_MAGIC_VALUE, Compression, LOG_OVERHEAD, MemoryRecords, NO_TIMESTAMP,
    RECORD_BATCH_OVERHEAD, TimestampType,
};

/// Header fields that come from the records.
pub(super) struct HeaderFields {
    pub(super) last_offset_delta: i32,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    pub(super) count: i32,
}

/// A batch without records, as compaction leaves it to keep a producer's sequence.
#[derive(Debug, Clone, Copy)]
pub struct EmptyBatch {
    /// First offset there was.
    pub base_offset: i64,
    /// Last offset there was.
    pub last_offset: i64,
    /// Epoch of the leader that appended it.
    pub partition_leader_epoch: i32,
    /// Whose clock the timestamp is.
    pub timestamp_type: TimestampType,
    /// The batch's largest timestamp, kept.
    pub max_timestamp: i64,
    /// Producer of the batch.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Sequence of the first record there was.
    pub base_sequence: i32,
    /// Part of a transaction.
    pub transactional: bool,
    /// Of control records.
    pub control: bool,
}

impl EmptyBatch {
    /// The batch's 61 bytes.
    pub fn build(&self) -> Result<MemoryRecords, BuildError> {
        let builder = RecordsBuilder::new(Compression::NONE)
            .base_offset(self.base_offset)
            .partition_leader_epoch(self.partition_leader_epoch)
            .producer(self.producer_id, self.producer_epoch, self.base_sequence)
            .transactional(self.transactional)
            .control(self.control);
        let mut options = builder.options;
        options.log_append_time =
            (self.timestamp_type == TimestampType::LogAppendTime).then_some(self.max_timestamp);
        let out_of_range =
            BuildError::OffsetOutOfRange { offset: self.last_offset, base_offset: self.base_offset };
        let delta =
            self.last_offset.checked_sub(self.base_offset).and_then(|delta| i32::try_from(delta).ok());
        let header = HeaderFields {
            last_offset_delta: delta.filter(|delta| *delta >= 0).ok_or(out_of_range)?,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: self.max_timestamp,
            count: 0,
        };
        let mut batch = vec![0; RECORD_BATCH_OVERHEAD];
        write_header(&mut batch, &options, &header)?;
        Ok(MemoryRecords::new(Bytes::from(batch)))
    }
}

fn attributes(options: &BatchOptions) -> i16 {
    let mut attributes = options.compression.compression_type().id();
    let flags = [
        (options.log_append_time.is_some(), flag::LOG_APPEND_TIME),
        (options.transactional, flag::TRANSACTIONAL),
        (options.control, flag::CONTROL),
        (options.delete_horizon_ms.is_some(), flag::DELETE_HORIZON),
    ];
    for (set, flag) in flags {
        if set {
            attributes |= flag;
        }
    }
    attributes
}

pub(super) fn write_header(
    batch: &mut [u8],
    options: &BatchOptions,
    header: &HeaderFields,
) -> Result<(), BuildError> {
    assert!(batch.len() >= RECORD_BATCH_OVERHEAD, "room for the header was left");
    let length = i32::try_from(batch.len() - LOG_OVERHEAD).map_err(|_| BuildError::TooLarge(batch.len()))?;
    let mut put = |position: usize, field: &[u8]| {
        batch[position..position + field.len()].copy_from_slice(field);
    };
    put(at::BASE_OFFSET, &options.base_offset.to_be_bytes());
    put(at::LENGTH, &length.to_be_bytes());
    put(at::PARTITION_LEADER_EPOCH, &options.partition_leader_epoch.to_be_bytes());
    put(at::MAGIC, &CURRENT_MAGIC_VALUE.to_be_bytes());
    put(at::ATTRIBUTES, &attributes(options).to_be_bytes());
    put(at::LAST_OFFSET_DELTA, &header.last_offset_delta.to_be_bytes());
    put(at::BASE_TIMESTAMP, &header.base_timestamp.to_be_bytes());
    put(at::MAX_TIMESTAMP, &header.max_timestamp.to_be_bytes());
    put(at::PRODUCER_ID, &options.producer_id.to_be_bytes());
    put(at::PRODUCER_EPOCH, &options.producer_epoch.to_be_bytes());
    put(at::BASE_SEQUENCE, &options.base_sequence.to_be_bytes());
    put(at::RECORDS_COUNT, &header.count.to_be_bytes());
    let crc = crc32c::crc32c(&batch[at::ATTRIBUTES..]);
    batch[at::CRC..at::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}
