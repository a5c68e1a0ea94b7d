//! Times of a segment: the largest of its records, and the one its age is counted from.

use std::io;

use super::{LogSegment, State};
use crate::file_records::{BatchScanner, ScanError};
use crate::index::TimestampOffset;
use crate::log_file_names::LOG_FILE_SUFFIX;

impl LogSegment {
    pub(super) fn append_last_time_entry(&self, state: &mut State) -> io::Result<()> {
        let max = self.load_max_timestamp(state)?;
        self.indexes(state)?.time.maybe_append(max)
    }

    /// Largest timestamp of the segment's records, -1 if none has one.
    pub fn max_timestamp_so_far(&self) -> io::Result<i64> {
        Ok(self.max_timestamp_and_offset()?.timestamp)
    }

    pub(crate) fn max_timestamp_and_offset(&self) -> io::Result<TimestampOffset> {
        self.load_max_timestamp(&mut self.state.lock())
    }

    /// Largest timestamp, or when the file was last written if no record has one: what retention goes by.
    pub(crate) fn largest_timestamp(&self) -> io::Result<i64> {
        let max = self.max_timestamp_so_far()?;
        if max >= 0 { Ok(max) } else { self.last_modified_ms() }
    }

    /// When the `.log` file was last written.
    pub(crate) fn last_modified_ms(&self) -> io::Result<i64> {
        let path = self.path(LOG_FILE_SUFFIX);
        let metadata = self.fs.metadata(&path)?;
        match metadata {
            Some(file) => Ok(file.modified_ms),
            // It is still to be made.
            None if self.size() == 0 => Ok(self.state.lock().created_ms),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Timestamp of the first batch; the largest number if there is none.
    pub fn first_batch_timestamp(&self) -> io::Result<i64> {
        let first = self.rolling_based_timestamp()?;
        Ok(first.filter(|ts| *ts >= 0).unwrap_or(i64::MAX))
    }

    pub(super) fn time_waited_for_roll(&self, now_ms: i64, message_timestamp: i64) -> io::Result<i64> {
        let first = self.rolling_based_timestamp()?;
        Ok(match first.filter(|ts| *ts >= 0) {
            Some(first) => message_timestamp.saturating_sub(first),
            None => now_ms.saturating_sub(self.state.lock().created_ms),
        })
    }

    pub(super) fn rolling_based_timestamp(&self) -> io::Result<Option<i64>> {
        let known = self.state.lock().seen.as_ref().and_then(|seen| seen.rolling_based_timestamp);
        if known.is_some() || self.size() == 0 {
            return Ok(known);
        }
        let mut scanner = BatchScanner::new(self.file()?.as_ref(), 0, self.size());
        let first = match scanner.next_header() {
            Ok(first) => first.map(|batch| batch.header.max_timestamp()),
            Err(ScanError::Io(error)) => return Err(error),
            Err(ScanError::Corrupt(_)) => None,
        };
        self.state.lock().seen().rolling_based_timestamp = first;
        Ok(first)
    }

    pub(super) fn load_max_timestamp(&self, state: &mut State) -> io::Result<TimestampOffset> {
        if let Some(known) = state.seen().max_timestamp {
            return Ok(known);
        }
        let last = self.indexes(state)?.time.last_entry();
        state.seen().max_timestamp = Some(last);
        Ok(last)
    }

    /// The last time index entry, or a larger timestamp behind it.
    pub(super) fn read_largest_timestamp(&self, state: &mut State) -> Result<TimestampOffset, ScanError> {
        let last = self.indexes(state)?.time.last_entry();
        let from = self.offset_index_position(state, last.offset)?;
        let mut largest = last;
        let mut scanner = BatchScanner::new(self.file()?.as_ref(), from, self.size());
        while let Some(batch) = scanner.next_header()? {
            let timestamp = batch.header.max_timestamp();
            if timestamp > largest.timestamp {
                largest = TimestampOffset { timestamp, offset: batch.header.last_offset() };
            }
        }
        Ok(largest)
    }
}
