//! The second of compaction's passes: copies what stays of some segments into a new one and swaps that in.

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::Arc;

use bytes::Bytes;
use ottla_common::time::Time;

use super::error::CleanError;
use super::filter::{Filtered, Kept, LastRecord, RecordFilter};
use super::keys::KeyReader;
use super::offset_map::OffsetMap;
use super::plan::{CleaningRange, SegmentSizes, group_segments};
use super::stats::CleanerStats;
use super::transactions::CleanedTransactions;
use crate::log_config::LogConfig;
use crate::log_entry::LogEntry;
use crate::log_segment::LogSegment;
use crate::log_validator::decompression_limits;
use crate::stamped_records::StampedRecords;
use crate::unified_log::UnifiedLog;

/// Compacts one log at a time.
pub(crate) struct Cleaner<'a> {
    /// How many keys can be known at once.
    pub(crate) map_slots: usize,
    pub(crate) load_factor: f64,
    /// Bytes read or written at once.
    pub(crate) chunk_bytes: usize,
    pub(crate) time: &'a dyn Time,
    /// Told of bytes read and written since it was called last. Rests, if these were too many, and fails if the
    /// work is to be given up.
    pub(crate) pace: &'a dyn Fn(u64) -> Result<(), CleanError>,
}

/// What is the same for all segments of a log.
struct Cleaning<'a> {
    log: &'a UnifiedLog,
    config: Arc<LogConfig>,
    map: OffsetMap,
    now_ms: i64,
    /// Segments changed after this keep tombstones of old formats.
    legacy_delete_horizon_ms: i64,
    stats: CleanerStats,
}

impl Cleaner<'_> {
    /// Compacts what can be compacted of a log. Returns the first offset that was not, and what was done.
    pub(crate) fn clean(
        &self,
        log: &UnifiedLog,
        range: &CleaningRange,
    ) -> Result<(i64, CleanerStats), CleanError> {
        let now_ms = self.time.now_ms();
        let CleaningRange { first_dirty_offset, first_uncleanable_offset, .. } = *range;
        let dirty_offsets = first_uncleanable_offset.saturating_sub(first_dirty_offset);
        let dirty_offsets = u64::try_from(dirty_offsets).unwrap_or(0);
        let map = OffsetMap::new(RandomState::new(), self.map_slots, self.load_factor, dirty_offsets);
        let config = log.config();
        let mut cleaning = Cleaning {
            log,
            map,
            now_ms,
            legacy_delete_horizon_ms: legacy_delete_horizon_ms(log, &config, first_dirty_offset)?,
            config,
            stats: CleanerStats { started_ms: now_ms, ..CleanerStats::default() },
        };
        self.build_offset_map(&mut cleaning, first_dirty_offset, first_uncleanable_offset)?;
        cleaning.stats.map_complete_ms = self.time.now_ms();
        let latest = cleaning.map.latest_offset();
        // Nothing but order among three numbers: also a damaged batch moves the end no further.
        let end_offset = latest.saturating_add(1).min(first_uncleanable_offset).max(first_dirty_offset);
        self.clean_segments_below(&mut cleaning, end_offset, first_uncleanable_offset)?;
        cleaning.stats.buffer_utilization = cleaning.map.utilization();
        cleaning.stats.ended_ms = self.time.now_ms();
        Ok((end_offset, cleaning.stats))
    }

    /// Learns of the newest record of each key, as far as memory allows.
    fn build_offset_map(
        &self,
        cleaning: &mut Cleaning<'_>,
        start_offset: i64,
        end_offset: i64,
    ) -> Result<(), CleanError> {
        let Cleaning { log, config, map, stats, .. } = cleaning;
        let log = *log;
        let dirty = log.segments_between(start_offset, end_offset);
        let mut txns = CleanedTransactions::default();
        txns.add_aborted(log.collect_aborted_transactions(start_offset, end_offset)?);
        let limits = decompression_limits(config);
        let mut keys = KeyReader { map, txns, start_offset, limits, records_read: 0 };
        for (i, segment) in dirty.iter().enumerate() {
            let next_base = dirty.get(i + 1).map_or(end_offset, |next| next.base_offset());
            let has_room = self.read_keys(log, segment, &mut keys, stats)?;
            if !has_room {
                break;
            }
            // There may be no record at the end any more.
            keys.map.update_latest_offset(next_base - 1);
        }
        stats.map_messages_read = keys.records_read;
        Ok(())
    }

    /// Returns false if the map is full.
    fn read_keys(
        &self,
        log: &UnifiedLog,
        segment: &LogSegment,
        keys: &mut KeyReader<'_>,
        stats: &mut CleanerStats,
    ) -> Result<bool, CleanError> {
        (self.pace)(0)?;
        let first = segment.translate_offset(keys.start_offset).map_err(|error| log.clean_error(error))?;
        let Some(first) = first else { return Ok(true) };
        let mut has_room = true;
        self.walk(log, segment, first.position, |entry, bytes| {
            stats.map_bytes_read += bytes.len() as u64;
            has_room = keys.read(entry)?;
            Ok(has_room)
        })?;
        Ok(has_room)
    }

    /// Hands the batches of a segment to somebody, until he has enough.
    fn walk(
        &self,
        log: &UnifiedLog,
        segment: &LogSegment,
        from: u64,
        mut visit: impl FnMut(&LogEntry<&[u8]>, &[u8]) -> Result<bool, CleanError>,
    ) -> Result<(), CleanError> {
        let scanner = segment.scan_from(from, u64::MAX).map_err(|error| log.clean_error(error))?;
        let mut scanner = scanner.with_window(self.chunk_bytes);
        let (mut position, mut unpaced) = (from, 0);
        while let Some(at) = scanner.next_header().map_err(|error| log.clean_error(error))? {
            let bytes = scanner.whole_batch(&at).map_err(|error| log.clean_error(error))?;
            if !visit(&LogEntry::new(bytes)?, bytes)? {
                return (self.pace)(unpaced);
            }
            position = at.end();
            unpaced += at.header.size_in_bytes() as u64;
            if unpaced >= self.chunk_bytes as u64 {
                (self.pace)(unpaced)?;
                unpaced = 0;
            }
        }
        if position < segment.size() {
            return Err(CleanError::Truncated { base_offset: segment.base_offset() });
        }
        (self.pace)(unpaced)
    }

    fn clean_segments_below(
        &self,
        cleaning: &mut Cleaning<'_>,
        end_offset: i64,
        first_uncleanable_offset: i64,
    ) -> Result<(), CleanError> {
        let log = cleaning.log;
        let segments = log.segments_between(0, end_offset);
        let sizes = segments.iter().map(|segment| sizes(segment)).collect::<Result<Vec<_>, _>>();
        let sizes = sizes.map_err(|error| log.clean_error(error))?;
        let (max_bytes, max_index_bytes) =
            (cleaning.config.segment_bytes, cleaning.config.segment_index_bytes);
        let groups =
            group_segments(&sizes, max_bytes as u64, max_index_bytes as u64, first_uncleanable_offset);
        let mut txns = CleanedTransactions::default();
        for group in groups {
            self.clean_group(cleaning, segments.get(group).unwrap_or_default(), &mut txns)?;
        }
        Ok(())
    }

    /// Makes one segment of some neighbours, and swaps it in.
    fn clean_group(
        &self,
        cleaning: &mut Cleaning<'_>,
        group: &[Arc<LogSegment>],
        txns: &mut CleanedTransactions,
    ) -> Result<(), CleanError> {
        let Some((first, last)) = group.first().zip(group.last()) else { return Ok(()) };
        let log = cleaning.log;
        let cleaned = log.create_cleaned_segment(first.base_offset());
        let cleaned = Arc::new(cleaned.map_err(|error| log.clean_error(error))?);
        let swapped = self
            .clean_into(cleaning, group, &cleaned, txns)
            .and_then(|()| finish(&cleaned, last).map_err(|error| log.clean_error(error)))
            .and_then(|()| log.replace_segments(&cleaned, group));
        // After a failure of the disk nothing is touched: if the new segment had its last name but one, the
        // next start swaps it in.
        if swapped.as_ref().is_err_and(|error| !matches!(error, CleanError::Storage(_))) {
            let _ = cleaned.delete_files();
        }
        swapped
    }

    fn clean_into(
        &self,
        cleaning: &mut Cleaning<'_>,
        group: &[Arc<LogSegment>],
        cleaned: &LogSegment,
        txns: &mut CleanedTransactions,
    ) -> Result<(), CleanError> {
        let log = cleaning.log;
        let last_records = log.last_records_of_active_producers();
        for (i, segment) in group.iter().enumerate() {
            let upper_bound = match group.get(i + 1) {
                Some(next) => next.base_offset(),
                None => segment.read_next_offset().map_err(|error| log.clean_error(error))?,
            };
            // The new segment gets a transaction index of its own, made from those of all that is read.
            txns.add_aborted(log.collect_aborted_transactions(segment.base_offset(), upper_bound)?);
            self.copy_kept(cleaning, segment, cleaned, txns, &last_records)?;
        }
        Ok(())
    }

    /// Copies what stays of one segment.
    fn copy_kept(
        &self,
        cleaning: &mut Cleaning<'_>,
        segment: &LogSegment,
        cleaned: &LogSegment,
        txns: &mut CleanedTransactions,
        last_records: &HashMap<i64, LastRecord>,
    ) -> Result<(), CleanError> {
        let log = cleaning.log;
        let modified_ms = segment.last_modified_ms().map_err(|error| log.clean_error(error))?;
        let filter = RecordFilter {
            map: &cleaning.map,
            now_ms: cleaning.now_ms,
            delete_retention_ms: cleaning.config.delete_retention_ms,
            retain_legacy_deletes: modified_ms > cleaning.legacy_delete_horizon_ms,
            last_records,
            high_watermark: log.high_watermark(),
            limits: decompression_limits(&cleaning.config),
        };
        let stats = &mut cleaning.stats;
        let mut output = Output { log, segment: cleaned, unwritten: Vec::new(), last_offset: -1 };
        self.walk(log, segment, 0, |entry, bytes| {
            let filtered = filter.filter(entry, txns)?;
            stats.bytes_read += bytes.len() as u64;
            stats.bytes_written += output.take(&filtered, bytes, entry.next_offset().wrapping_sub(1))?;
            note(stats, &filtered);
            if output.unwritten.len() >= self.chunk_bytes {
                (self.pace)(output.write()?)?;
            }
            Ok(true)
        })?;
        (self.pace)(output.write()?)
    }
}

fn note(stats: &mut CleanerStats, filtered: &Filtered) {
    stats.messages_read += filtered.records_read;
    stats.messages_written += filtered.records_kept;
    stats.invalid_messages_read += filtered.invalid_records;
}

/// What stays, on its way to the new segment.
struct Output<'a> {
    log: &'a UnifiedLog,
    segment: &'a LogSegment,
    unwritten: Vec<u8>,
    /// Of what is unwritten.
    last_offset: i64,
}

impl Output<'_> {
    /// Takes what stays of a batch. Returns how many bytes that is.
    fn take(&mut self, filtered: &Filtered, original: &[u8], last_offset: i64) -> Result<u64, CleanError> {
        if let Some(txn) = filtered.retained_abort {
            self.segment.append_aborted_txn(txn).map_err(|error| self.log.clean_error(error))?;
        }
        let kept: &[u8] = match &filtered.kept {
            Kept::Nothing => return Ok(0),
            Kept::Original => original,
            Kept::Rewritten(bytes) => bytes,
        };
        self.unwritten.extend_from_slice(kept);
        self.last_offset = last_offset;
        Ok(kept.len() as u64)
    }

    /// Returns how many bytes were written.
    fn write(&mut self) -> Result<u64, CleanError> {
        if self.unwritten.is_empty() {
            return Ok(0);
        }
        let (base_offset, offset) = (self.segment.base_offset(), self.last_offset);
        let is_representable = offset.checked_sub(base_offset).is_some_and(|d| d <= i64::from(i32::MAX));
        if !is_representable {
            return Err(CleanError::OffsetOverflow { base_offset, offset });
        }
        let bytes = Bytes::from(std::mem::take(&mut self.unwritten));
        let written = bytes.len() as u64;
        let append = self.segment.append(&StampedRecords::whole(bytes));
        append.map_err(|error| self.log.clean_error(error))?;
        Ok(written)
    }
}

/// Leaves the new segment on disk as those before it left theirs, and as old: retention goes by that if there
/// are no timestamps.
fn finish(cleaned: &LogSegment, last: &LogSegment) -> std::io::Result<()> {
    cleaned.on_become_inactive()?;
    cleaned.flush()?;
    cleaned.set_last_modified_ms(last.last_modified_ms()?)
}

fn sizes(segment: &LogSegment) -> std::io::Result<SegmentSizes> {
    let [offset_index_bytes, time_index_bytes] = segment.index_bytes()?;
    let (base_offset, log_bytes) = (segment.base_offset(), segment.size());
    Ok(SegmentSizes { base_offset, log_bytes, offset_index_bytes, time_index_bytes })
}

/// Tombstones of formats v0 and v1 say nothing of when they were seen first: they may go from segments older
/// than this.
fn legacy_delete_horizon_ms(
    log: &UnifiedLog,
    config: &LogConfig,
    first_dirty_offset: i64,
) -> Result<i64, CleanError> {
    match log.segments_between(0, first_dirty_offset).last() {
        Some(last_clean) => {
            let modified_ms = last_clean.last_modified_ms().map_err(|error| log.clean_error(error))?;
            Ok(modified_ms.saturating_sub(config.delete_retention_ms))
        }
        None => Ok(0),
    }
}

#[cfg(test)]
#[path = "clean_test.rs"]
mod tests;
