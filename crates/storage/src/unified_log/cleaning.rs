//! What compaction needs of a log.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::UnifiedLog;
use crate::cleaner::{CleanError, LastRecord};
use crate::file_records::ScanError;
use crate::log_offset::LogOffsetMetadata;
use crate::log_segment::LogSegment;

impl UnifiedLog {
    /// All segments, in order; the last one is active.
    pub(crate) fn segments(&self) -> Vec<Arc<LogSegment>> {
        self.local.segments()
    }

    /// Where the active segment begins.
    pub(crate) fn active_base_offset(&self) -> i64 {
        self.local.active_segment().base_offset()
    }

    /// The segment that may have `from`, and those after it that begin below `to`.
    pub(crate) fn segments_between(&self, from: i64, to: i64) -> Vec<Arc<LogSegment>> {
        if from < to { self.local.with_segments(|segments| segments.between(from, to)) } else { Vec::new() }
    }

    /// The last that is known of each producer.
    pub(crate) fn last_records_of_active_producers(&self) -> HashMap<i64, LastRecord> {
        let state = self.state.lock();
        let last = |offset: i64| (offset >= 0).then_some(offset);
        let producers = state.producers.active_producers().map(|entry| {
            let last_data_offset = last(entry.last_data_offset());
            (entry.producer_id, LastRecord { last_data_offset, producer_epoch: entry.producer_epoch })
        });
        producers.collect()
    }

    /// Begins a segment that is to replace those from an offset on.
    pub(crate) fn create_cleaned_segment(&self, base_offset: i64) -> io::Result<LogSegment> {
        self.failures.check(&self.parent_dir).map_err(io::Error::other)?;
        let now_ms = self.local.time().now_ms();
        LogSegment::create_cleaned(self.local.fs(), &self.dir(), base_offset, &self.config(), now_ms)
    }

    /// Swaps in a compacted segment that is complete and on disk. Fails without having done anything if the
    /// log is not any more what it was made from.
    pub(crate) fn replace_segments(
        &self,
        cleaned: &Arc<LogSegment>,
        replaced: &[Arc<LogSegment>],
    ) -> Result<(), CleanError> {
        let _turn = self.flushing.turn.lock();
        let mut state = self.state.lock();
        if state.closed || !self.local.has_inactive(replaced) {
            return Err(CleanError::Aborted);
        }
        self.guard("cannot swap in a compacted segment", || {
            let gone = self.local.replace_segments(cleaned, replaced)?;
            self.doom_producer_snapshots(&mut state.producers, &gone)
        })?;
        self.forget_places_in(replaced);
        Ok(())
    }

    /// Offsets stay; where they lie has to be looked up again.
    fn forget_places_in(&self, replaced: &[Arc<LogSegment>]) {
        let forget = |offset: LogOffsetMetadata| {
            let is_in = |base: i64| replaced.iter().any(|segment| segment.base_offset() == base);
            let stays = offset.location.is_none_or(|location| !is_in(location.segment_base_offset));
            if stays { offset } else { LogOffsetMetadata::offset_only(offset.message_offset) }
        };
        let mut marks = self.marks.write();
        marks.high_watermark = forget(marks.high_watermark);
        marks.first_unstable_offset = marks.first_unstable_offset.map(forget);
    }

    /// Tells apart whose fault it is that compaction failed: a disk that fails takes its directory offline,
    /// files that make no sense are their partition's trouble.
    pub(crate) fn clean_error(&self, error: impl Into<ScanError>) -> CleanError {
        match error.into() {
            ScanError::Corrupt(error) => CleanError::Record(error),
            ScanError::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                CleanError::Inconsistent(error)
            }
            // The log was deleted meanwhile.
            ScanError::Io(error) if error.kind() == io::ErrorKind::NotFound && self.state.lock().closed => {
                CleanError::Aborted
            }
            ScanError::Io(error) => CleanError::Storage(self.fail("cannot compact", error)),
        }
    }
}
