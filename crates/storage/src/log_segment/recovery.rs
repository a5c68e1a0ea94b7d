//! Checking a segment, and rebuilding what is not as it should be.

use std::io;
use std::sync::Arc;

use ottla_record::{NO_TIMESTAMP, RecordError};

use super::{LogSegment, Seen, State};
use crate::file_records::{BatchAt, BatchScanner, ScanError};
use crate::index::{CorruptIndexError, OffsetPosition, TimestampOffset};
use crate::log_entry::LogEntry;
use crate::log_file_names::{INDEX_FILE_SUFFIX, LOG_FILE_SUFFIX};

/// What a flush has settled of a segment's indexes, and so need not be rebuilt.
#[derive(Debug)]
pub(crate) struct Settled {
    offset_entries: usize,
    time_entries: usize,
    /// The last of the entries: where recovery begins.
    last: OffsetPosition,
    /// Up to there.
    max_timestamp: TimestampOffset,
    /// Leader epoch of the batch there.
    pub(crate) epoch: i32,
}

impl State {
    fn begin_recovery(&mut self, max_timestamp: TimestampOffset) {
        *self.seen() = Seen { max_timestamp: Some(max_timestamp), ..Seen::default() };
    }
}

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
            let max = TimestampOffset { timestamp: NO_TIMESTAMP, offset: self.base_offset };
            state.begin_recovery(max);
        }
        let (valid_bytes, _) = self.recover_batches(0, self.base_offset, &mut visit)?;
        self.end_recovery(valid_bytes)
    }

    /// The same from the recovery point on: what lies before it was forced to disk, with its index entries,
    /// before the recovery point was written. `None` if that is not how things look; then nothing was cut,
    /// and all of the segment has to be recovered.
    pub(crate) fn recover_from(
        &self,
        settled: &Settled,
        recovery_point: i64,
        mut visit: impl FnMut(&Self, &LogEntry<&[u8]>) -> io::Result<()>,
    ) -> io::Result<Option<u64>> {
        {
            let mut state = self.state.lock();
            let indexes = self.indexes(&mut state)?;
            indexes.offset.keep(settled.offset_entries)?;
            indexes.time.keep(settled.time_entries)?;
            self.txn_index(&mut state)?.restore_to(recovery_point)?;
            state.begin_recovery(settled.max_timestamp);
        }
        let mut is_boundary = true;
        let mut visit_unflushed = |segment: &Self, entry: &LogEntry<&[u8]>| {
            if entry.next_offset() <= recovery_point {
                return Ok(());
            }
            is_boundary &= entry.base_offset() >= recovery_point;
            if is_boundary { visit(segment, entry) } else { Ok(()) }
        };
        let from = settled.last;
        let (valid_bytes, end) =
            self.recover_batches(from.position.into(), self.base_offset, &mut visit_unflushed)?;
        if end < recovery_point || !is_boundary {
            return Ok(None);
        }
        // The time of the first batch was not seen.
        self.state.lock().seen().rolling_based_timestamp = None;
        self.end_recovery(valid_bytes).map(Some)
    }

    /// What of the indexes was settled when the recovery point was written; `None` if they do not look it.
    pub(crate) fn settled(&self, recovery_point: i64) -> io::Result<Option<Settled>> {
        let mut state = self.state.lock();
        if self.txn_index(&mut state)?.sanity_check().is_err() {
            return Ok(None);
        }
        let indexes = self.indexes(&mut state)?;
        let offset_entries = indexes.offset.sound_entries(recovery_point, self.size());
        let Some(last) = offset_entries.checked_sub(1).and_then(|slot| indexes.offset.entry(slot)) else {
            return Ok(None);
        };
        let time_entries = indexes.time.sound_entries(last.offset);
        let latest = time_entries.checked_sub(1).and_then(|slot| indexes.time.entry(slot));
        let from = latest.map(|latest| u64::from(indexes.offset.lookup(latest.offset).position));
        drop(state);
        let Some(batch) = self.batch_with(last.offset, u64::from(last.position))? else { return Ok(None) };
        let is_there =
            batch.position == u64::from(last.position) && batch.header.last_offset() == last.offset;
        let is_latest = match latest.zip(from) {
            Some((latest, from)) => {
                let found = self.batch_with(latest.offset, from)?;
                found.is_some_and(|found| found.header.max_timestamp() == latest.timestamp)
                    && batch.header.max_timestamp() <= latest.timestamp
            }
            None => batch.header.max_timestamp() == NO_TIMESTAMP,
        };
        let nothing = TimestampOffset { timestamp: NO_TIMESTAMP, offset: self.base_offset };
        let epoch = batch.header.partition_leader_epoch();
        let max_timestamp = latest.unwrap_or(nothing);
        let settled = Settled { offset_entries, time_entries, last, max_timestamp, epoch };
        Ok((is_there && is_latest).then_some(settled))
    }

    /// The batch with an offset, at or behind a position; `None` if no batch begins there, or none has it.
    fn batch_with(&self, offset: i64, position: u64) -> io::Result<Option<BatchAt>> {
        let mut scanner = BatchScanner::new(self.file()?.as_ref(), position, self.size());
        loop {
            match scanner.next_header() {
                Ok(Some(batch)) if batch.header.last_offset() < offset => {}
                Ok(found) => return Ok(found),
                Err(ScanError::Io(error)) => return Err(error),
                Err(ScanError::Corrupt(_)) => return Ok(None),
            }
        }
    }

    /// Returns where the first invalid batch begins, and the offset after the last valid one.
    fn recover_batches(
        &self,
        position: u64,
        mut next_offset: i64,
        visit: &mut impl FnMut(&Self, &LogEntry<&[u8]>) -> io::Result<()>,
    ) -> io::Result<(u64, i64)> {
        let file = Arc::clone(self.file()?);
        let mut scanner = BatchScanner::for_recovery(file.as_ref(), position, self.size());
        let mut valid_bytes = position;
        loop {
            match self.recover_batch(&mut scanner, &mut next_offset, visit) {
                Ok(Some(end)) => valid_bytes = end,
                Ok(None) => return Ok((valid_bytes, next_offset)),
                Err(ScanError::Io(error)) => return Err(error),
                Err(ScanError::Corrupt(error)) => {
                    let path = self.path(LOG_FILE_SUFFIX);
                    tracing::warn!(path = %path.display(), valid_bytes, %error, "invalid batch");
                    return Ok((valid_bytes, next_offset));
                }
            }
        }
    }

    fn end_recovery(&self, valid_bytes: u64) -> io::Result<u64> {
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
