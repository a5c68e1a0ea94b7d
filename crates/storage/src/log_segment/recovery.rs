//! Checking a segment, and rebuilding what is not as it should be.

use std::io;
use std::sync::Arc;

use ottla_record::{NO_TIMESTAMP, RecordError};

use super::LogSegment;
use crate::file_records::{BatchScanner, ScanError};
use crate::index::{CorruptIndexError, TimestampOffset};
use crate::log_entry::LogEntry;
use crate::log_file_names::{INDEX_FILE_SUFFIX, LOG_FILE_SUFFIX};

/// Checking and rebuilding.
impl LogSegment {
    /// Whether the transaction index makes sense.
    pub(crate) fn check_txn_index(&self) -> io::Result<Result<(), CorruptIndexError>> {
        Ok(self.txn_index(&mut self.state.lock())?.sanity_check())
    }

    /// What is wrong with a segment without an offset index.
    pub(crate) fn index_missing(&self) -> CorruptIndexError {
        let path = self.path(INDEX_FILE_SUFFIX).display().to_string();
        CorruptIndexError { path, reason: "it is missing".into() }
    }

    /// Whether the indexes of a segment that will be appended to are in order.
    pub(crate) fn check_indexes(&self) -> io::Result<Result<(), CorruptIndexError>> {
        let mut state = self.state.lock();
        let size = self.size();
        let indexes = self.indexes(&mut state)?;
        let last = indexes.offset.len().checked_sub(1).and_then(|slot| indexes.offset.entry(slot));
        if last.is_some_and(|entry| u64::from(entry.position) >= size) {
            let path = indexes.offset.path().display().to_string();
            return Ok(Err(CorruptIndexError { path, reason: "it points behind the log".into() }));
        }
        Ok(indexes.offset.sanity_check().and_then(|()| indexes.time.sanity_check()))
    }

    /// Frees the indexes of the zeros that Kafka reserves in those of the active segment, and of the metadata
    /// log leaves there when it stops.
    pub(crate) fn trim_overlong_indexes(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let indexes = self.indexes(&mut state)?;
        indexes.offset.trim_overlong()?;
        indexes.time.trim_overlong()
    }

    /// Rebuilds the indexes from the batches, hands each batch to `visit`, and cuts the file at the first
    /// one that is damaged or not whole. Returns the bytes cut.
    pub(crate) fn recover(
        &self,
        mut visit: impl FnMut(&Self, &LogEntry<&[u8]>) -> io::Result<()>,
    ) -> io::Result<u64> {
        {
            let mut state = self.state.lock();
            let indexes = self.indexes(&mut state)?;
            indexes.offset.reset()?;
            indexes.time.reset()?;
            self.txn_index(&mut state)?.reset()?;
            state.max_timestamp = Some(TimestampOffset { timestamp: NO_TIMESTAMP, offset: self.base_offset });
            state.rolling_based_timestamp = None;
            state.bytes_since_last_index_entry = 0;
            state.recent.clear();
        }
        let file = Arc::clone(&self.file);
        let mut scanner = BatchScanner::for_recovery(file.as_ref(), 0, self.size());
        let mut valid_bytes = 0;
        let mut next_offset = self.base_offset;
        loop {
            match self.recover_batch(&mut scanner, &mut next_offset, &mut visit) {
                Ok(Some(end)) => valid_bytes = end,
                Ok(None) => break,
                Err(ScanError::Io(error)) => return Err(error),
                Err(ScanError::Corrupt(error)) => {
                    let path = self.path(LOG_FILE_SUFFIX);
                    tracing::warn!(path = %path.display(), valid_bytes, %error, "invalid batch, the log is cut");
                    break;
                }
            }
        }
        let cut = self.truncate_file(valid_bytes)?;
        let mut state = self.state.lock();
        self.append_last_time_entry(&mut state)?;
        let indexes = self.indexes(&mut state)?;
        indexes.offset.close()?;
        indexes.time.close()?;
        Ok(cut)
    }

    fn recover_batch(
        &self,
        scanner: &mut BatchScanner<'_>,
        next_offset: &mut i64,
        visit: &mut impl FnMut(&Self, &LogEntry<&[u8]>) -> io::Result<()>,
    ) -> Result<Option<u64>, ScanError> {
        let Some(at) = scanner.next_header()? else { return Ok(None) };
        let entry = LogEntry::new(scanner.whole_batch(&at)?)?;
        entry.ensure_valid()?;
        // The checksum does not cover the offset, so it must make sense by itself.
        let offsets = entry.base_offset()..=at.header.last_offset();
        let representable = |offset: &i64| {
            offset.checked_sub(self.base_offset).is_some_and(|d| (0..=i64::from(i32::MAX)).contains(&d))
        };
        if offsets.is_empty() || *offsets.start() < *next_offset || !representable(offsets.end()) {
            return Err(RecordError::InvalidLength(at.header.size_in_bytes() as i32).into());
        }
        *next_offset = at.header.next_offset();
        let last = TimestampOffset { timestamp: at.header.max_timestamp(), offset: at.header.last_offset() };
        self.note_entry(&mut self.state.lock(), last, at.header.size_in_bytes(), at.position)?;
        visit(self, &entry)?;
        Ok(Some(at.end()))
    }
}
