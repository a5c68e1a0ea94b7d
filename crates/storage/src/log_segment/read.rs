//! What a segment is asked: where offsets and times lie, and for its records.

use std::io;
use std::sync::Arc;

use ottla_record::DecompressionLimits;

use super::{LogSegment, SegmentRead, TimestampAndOffset};
use crate::file_records::{BatchAt, BatchScanner, FileRecords, ScanError, read_batch};
use crate::index::{OffsetPosition, TxnIndexSearchResult};
use crate::log_entry::LogEntry;

impl LogSegment {
    /// The first batch whose last offset is not below `offset`.
    pub(crate) fn translate_offset(&self, offset: i64) -> Result<Option<BatchAt>, ScanError> {
        let start = self.offset_index_lookup(offset)?;
        let mut scanner = BatchScanner::new(self.file()?.as_ref(), u64::from(start.position), self.size());
        while let Some(batch) = scanner.next_header()? {
            if batch.header.last_offset() >= offset {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// Position and size of the first batch whose last offset is not below `offset`.
    pub(super) fn place_of(&self, offset: i64) -> Result<Option<(u64, usize)>, ScanError> {
        let recent = self.state.lock().seen.as_ref().and_then(|seen| seen.recent.find(offset));
        if let Some(place) = recent {
            return Ok(Some((place.position, place.size)));
        }
        let found = self.translate_offset(offset)?;
        Ok(found.map(|batch| (batch.position, batch.header.size_in_bytes())))
    }

    /// Reads from the batch that has `start_offset`, up to `max_position` of the file. `None` if all
    /// offsets here are smaller; without `max_position` nothing may be read.
    pub(crate) fn read(
        &self,
        start_offset: i64,
        max_size: usize,
        max_position: Option<u64>,
        min_one_message: bool,
    ) -> Result<Option<SegmentRead>, ScanError> {
        let Some((position, first_size)) = self.place_of(start_offset)? else { return Ok(None) };
        let max_size = if min_one_message { max_size.max(first_size) } else { max_size };
        // A place found before a compaction or truncation may lie behind the end.
        let available = max_position.map_or(0, |max| max.min(self.size()).saturating_sub(position));
        let len = usize::try_from(available).unwrap_or(usize::MAX).min(max_size);
        if len == 0 {
            let records = FileRecords::EMPTY;
            return Ok(Some(SegmentRead { position, records, first_entry_incomplete: false }));
        }
        let records = FileRecords::new(Arc::clone(self.file()?), position, len);
        Ok(Some(SegmentRead { position, records, first_entry_incomplete: max_size < first_size }))
    }

    /// Whole records of a stretch of the file, for replaying producer state.
    pub(crate) fn scan_from(&self, position: u64, end: u64) -> io::Result<BatchScanner<'_>> {
        Ok(BatchScanner::for_recovery(self.file()?.as_ref(), position, end.min(self.size())))
    }

    pub(crate) fn fetch_upper_bound_offset(
        &self,
        position: u64,
        fetch_size: usize,
    ) -> io::Result<Option<i64>> {
        let start = OffsetPosition { offset: self.base_offset, position: position as u32 };
        let mut state = self.state.lock();
        let bound = self.indexes(&mut state)?.offset.fetch_upper_bound_offset(start, fetch_size);
        Ok(bound.map(|b| b.offset))
    }

    pub(crate) fn collect_aborted_txns(
        &self,
        fetch_offset: i64,
        upper_bound: i64,
    ) -> io::Result<TxnIndexSearchResult> {
        Ok(self.txn_index(&mut self.state.lock())?.collect_aborted(fetch_offset, upper_bound))
    }

    /// The first record from `starting_offset` on whose timestamp is not below `timestamp`.
    pub(crate) fn find_offset_by_timestamp(
        &self,
        timestamp: i64,
        starting_offset: i64,
        limits: &DecompressionLimits,
    ) -> Result<Option<TimestampAndOffset>, ScanError> {
        let from = {
            let mut state = self.state.lock();
            let indexes = self.indexes(&mut state)?;
            let entry = indexes.time.lookup(timestamp);
            indexes.offset.lookup(entry.offset.max(starting_offset))
        };
        let mut scanner = BatchScanner::new(self.file()?.as_ref(), u64::from(from.position), self.size());
        while let Some(batch) = scanner.next_header()? {
            if batch.header.max_timestamp() < timestamp || batch.header.last_offset() < starting_offset {
                continue;
            }
            let found = |ts: i64, offset: i64| ts >= timestamp && offset >= starting_offset;
            if let Some(record) = self.find_record(&batch, found, limits)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// The first record with the segment's largest timestamp.
    pub(crate) fn find_max_timestamp_record(
        &self,
        limits: &DecompressionLimits,
    ) -> Result<Option<TimestampAndOffset>, ScanError> {
        let max = self.max_timestamp_and_offset()?;
        let from = self.offset_index_lookup(max.offset)?;
        let mut scanner = BatchScanner::new(self.file()?.as_ref(), u64::from(from.position), self.size());
        while let Some(batch) = scanner.next_header()? {
            if batch.header.max_timestamp() == max.timestamp {
                return self.find_record(&batch, |ts, _| ts == max.timestamp, limits);
            }
        }
        Ok(None)
    }

    pub(super) fn find_record(
        &self,
        batch: &BatchAt,
        wanted: impl Fn(i64, i64) -> bool,
        limits: &DecompressionLimits,
    ) -> Result<Option<TimestampAndOffset>, ScanError> {
        let epoch = Some(batch.header.partition_leader_epoch()).filter(|epoch| *epoch >= 0);
        // A batch that is gone meanwhile was truncated; that is no failure of the disk.
        let bytes = match read_batch(self.file()?.as_ref(), batch) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            result => result?,
        };
        let found = LogEntry::new(bytes)?.find_record(wanted, limits)?;
        Ok(found.map(|(timestamp, offset)| TimestampAndOffset { timestamp, offset, leader_epoch: epoch }))
    }

    /// The offset after the last record, or the base offset.
    pub(crate) fn read_next_offset(&self) -> Result<i64, ScanError> {
        let last_indexed = {
            let mut state = self.state.lock();
            if self.size() == 0 {
                return Ok(self.base_offset);
            }
            let offset = self.indexes(&mut state)?.offset.last_offset();
            self.offset_index_position(&mut state, offset)?
        };
        let mut scanner = BatchScanner::new(self.file()?.as_ref(), last_indexed, self.size());
        let mut next = self.base_offset;
        while let Some(batch) = scanner.next_header()? {
            next = next.max(batch.header.next_offset());
        }
        Ok(next)
    }
}
