use super::{LogOffsetSnapshot, UnifiedLog};
use crate::error::{ReadError, StorageError};
use crate::fetch::{FetchDataInfo, FetchIsolation};
use crate::file_records::ScanError;
use crate::index::AbortedTxn;
use crate::log_offset::LogOffsetMetadata;
use crate::log_segment::TimestampAndOffset;
use crate::log_validator::decompression_limits;

/// Timestamps with a meaning of their own in ListOffsets.
#[derive(Debug, Clone, Copy)]
pub struct ListOffsetsTimestamp;

impl ListOffsetsTimestamp {
    /// The log's end.
    pub const LATEST: i64 = -1;
    /// The log's start.
    pub const EARLIEST: i64 = -2;
    /// The record with the largest timestamp (KIP-734).
    pub const MAX_TIMESTAMP: i64 = -3;
    /// The first offset on the local disk (KIP-405).
    pub const EARLIEST_LOCAL: i64 = -4;
    /// The last offset in the remote tier (KIP-1005).
    pub const LATEST_TIERED: i64 = -5;
    /// The first offset that is not in the remote tier (KIP-1023).
    pub const EARLIEST_PENDING_UPLOAD: i64 = -6;
}

impl LogOffsetSnapshot {
    /// The first offset that a reader may not see.
    pub fn upper_bound(&self, isolation: FetchIsolation) -> &LogOffsetMetadata {
        match isolation {
            FetchIsolation::LogEnd => &self.log_end_offset,
            FetchIsolation::HighWatermark => &self.high_watermark,
            FetchIsolation::TxnCommitted => &self.last_stable_offset,
        }
    }
}

impl UnifiedLog {
    /// All offsets, with their places as far as these are known: two glances, and never the disk.
    pub fn known_offsets(&self) -> LogOffsetSnapshot {
        // In this order: the watermark, which follows the end, must not be seen ahead of it.
        let marks = *self.marks.read();
        LogOffsetSnapshot {
            log_start_offset: marks.log_start_offset,
            log_end_offset: self.log_end_offset_metadata(),
            high_watermark: marks.high_watermark,
            last_stable_offset: marks.last_stable(),
        }
    }

    /// Fails if the log's directory is offline.
    pub fn check_online(&self) -> Result<(), ReadError> {
        Ok(self.failures.check(&self.parent_dir)?)
    }

    /// Reads from an offset on, at most `max_bytes`; with `min_one_message` at least the first batch.
    pub fn read(
        &self,
        start_offset: i64,
        max_bytes: usize,
        isolation: FetchIsolation,
        min_one_message: bool,
    ) -> Result<FetchDataInfo, ReadError> {
        self.read_of(&self.known_offsets(), start_offset, max_bytes, isolation, min_one_message)
    }

    /// As [`Self::read`], of the log as it stood when its offsets were looked at.
    pub fn read_of(
        &self,
        at: &LogOffsetSnapshot,
        start_offset: i64,
        max_bytes: usize,
        isolation: FetchIsolation,
        min_one_message: bool,
    ) -> Result<FetchDataInfo, ReadError> {
        self.check_online()?;
        check_offset(start_offset, at.log_start_offset, at.log_end_offset.message_offset)?;
        let known = *at.upper_bound(isolation);
        let bound = match isolation {
            _ if known.location.is_some() => known,
            FetchIsolation::LogEnd => self.log_end_offset_metadata(),
            FetchIsolation::HighWatermark => self.high_watermark_metadata()?,
            FetchIsolation::TxnCommitted => self.last_stable_offset_metadata()?,
        };
        let aborted = isolation == FetchIsolation::TxnCommitted;
        let found = self.local.read(start_offset, max_bytes, min_one_message, bound, aborted);
        let found = found.map_err(|error| self.read_error(error))?;
        // Retention may have removed the segment after the first look.
        check_offset(start_offset, self.log_start_offset(), self.log_end_offset())?;
        Ok(found)
    }

    /// Where an offset lies; without a place if it is not in the log.
    pub fn maybe_convert_to_offset_metadata(&self, offset: i64) -> Result<LogOffsetMetadata, StorageError> {
        self.locate(LogOffsetMetadata::offset_only(offset))
    }

    /// Aborted transactions with records in `[start_offset, upper_bound)`.
    pub fn collect_aborted_transactions(
        &self,
        start_offset: i64,
        upper_bound: i64,
    ) -> Result<Vec<AbortedTxn>, ReadError> {
        let Some(segment) = self.local.floor_segment(start_offset) else { return Ok(Vec::new()) };
        let collect =
            || self.local.collect_aborted_transactions(start_offset, upper_bound, segment.base_offset());
        collect().map_err(|error| self.read_error(error.into()))
    }

    /// The first record not earlier than a time, or what a special timestamp asks for. `None` if there is
    /// no such record.
    pub fn fetch_offset_by_timestamp(&self, timestamp: i64) -> Result<Option<TimestampAndOffset>, ReadError> {
        let at = |offset: i64, leader_epoch: Option<i32>| {
            Ok(Some(TimestampAndOffset { timestamp: ottla_record::NO_TIMESTAMP, offset, leader_epoch }))
        };
        match timestamp {
            ListOffsetsTimestamp::EARLIEST | ListOffsetsTimestamp::EARLIEST_LOCAL => {
                let start = self.log_start_offset();
                let first = self.leader_epochs.earliest_entry().filter(|entry| entry.start_offset <= start);
                at(start, first.map(|entry| entry.epoch))
            }
            ListOffsetsTimestamp::LATEST => at(self.log_end_offset(), self.latest_epoch()),
            // Nothing is tiered here.
            ListOffsetsTimestamp::LATEST_TIERED | ListOffsetsTimestamp::EARLIEST_PENDING_UPLOAD => {
                at(-1, Some(-1))
            }
            ListOffsetsTimestamp::MAX_TIMESTAMP => self.find_max_timestamp(),
            _ => self.search_by_timestamp(timestamp),
        }
    }

    fn find_max_timestamp(&self) -> Result<Option<TimestampAndOffset>, ReadError> {
        let mut latest = None;
        for segment in self.local.segments() {
            let max = segment.max_timestamp_so_far().map_err(|error| self.read_error(error.into()))?;
            if latest.as_ref().is_none_or(|(latest, _)| max > *latest) {
                latest = Some((max, segment));
            }
        }
        let Some((_, segment)) = latest else { return Ok(None) };
        let limits = decompression_limits(&self.config());
        segment.find_max_timestamp_record(&limits).map_err(|error| self.read_error(error))
    }

    fn search_by_timestamp(&self, timestamp: i64) -> Result<Option<TimestampAndOffset>, ReadError> {
        let start = self.log_start_offset();
        let limits = decompression_limits(&self.config());
        for segment in self.local.segments() {
            let largest = segment.largest_timestamp().map_err(|error| self.read_error(error.into()))?;
            if largest >= timestamp {
                let found = segment.find_offset_by_timestamp(timestamp, start, &limits);
                return found.map_err(|error| self.read_error(error));
            }
        }
        Ok(None)
    }

    pub(super) fn read_error(&self, error: ScanError) -> ReadError {
        match error {
            // The segment was deleted while it was read.
            ScanError::Io(error)
                if error.kind() == std::io::ErrorKind::NotFound && self.state.lock().closed =>
            {
                let context = "the log is closed".to_owned();
                ReadError::Storage(StorageError {
                    dir: self.parent_dir.clone(),
                    context,
                    source: Some(error),
                })
            }
            ScanError::Io(error) => ReadError::Storage(self.fail("cannot read records", error)),
            ScanError::Corrupt(error) => ReadError::Record(error),
        }
    }
}

fn check_offset(offset: i64, log_start_offset: i64, log_end_offset: i64) -> Result<(), ReadError> {
    if offset < log_start_offset || offset > log_end_offset {
        return Err(ReadError::OffsetOutOfRange { offset, log_start_offset, log_end_offset });
    }
    Ok(())
}
