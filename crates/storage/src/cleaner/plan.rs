//! Which log is compacted next, and which part of it: arithmetic on offsets, sizes and times.

use std::ops::Range;

use crate::log_config::LogConfig;

/// The settings of a topic that decide when it is compacted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CompactionPolicy {
    /// `min.compaction.lag.ms`: younger records are left alone.
    pub(crate) min_lag_ms: i64,
    /// `max.compaction.lag.ms`: older records must be compacted (KIP-354).
    pub(crate) max_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`.
    pub(crate) min_dirty_ratio: f64,
}

impl CompactionPolicy {
    pub(crate) fn of(config: &LogConfig) -> Self {
        Self {
            min_lag_ms: config.min_compaction_lag_ms.max(0),
            max_lag_ms: config.max_compaction_lag_ms.max(0),
            min_dirty_ratio: config.min_cleanable_dirty_ratio,
        }
    }
}

/// What is known of a segment without a look into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentFacts {
    pub(crate) base_offset: i64,
    pub(crate) size: u64,
}

/// Times of a segment that may be dirty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentTimes {
    pub(crate) base_offset: i64,
    /// Of its first batch; the largest number if it has none.
    pub(crate) first_batch_timestamp: i64,
    /// The largest there is. Only looked up if there is a `min.compaction.lag.ms`.
    pub(crate) largest_timestamp: Option<i64>,
}

/// What is known of a log.
#[derive(Debug, Clone)]
pub(crate) struct LogFacts {
    pub(crate) last_stable_offset: i64,
    /// All, in order; the last one is active.
    pub(crate) segments: Vec<SegmentFacts>,
    /// Of those [`LogFacts::dirty`] names.
    pub(crate) dirty_times: Vec<SegmentTimes>,
    pub(crate) policy: CompactionPolicy,
}

/// Where the dirty part of a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FirstDirty {
    pub(crate) offset: i64,
    /// The checkpoint is not of this log any more and has to be put right.
    pub(crate) is_reset: bool,
}

/// The part of a log that can be compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CleaningRange {
    /// What lies below was compacted before.
    pub(crate) first_dirty_offset: i64,
    /// Begin of the first segment that cannot be compacted yet.
    pub(crate) first_uncleanable_offset: i64,
    pub(crate) clean_bytes: u64,
    pub(crate) cleanable_bytes: u64,
    /// How long the oldest dirty record is overdue.
    pub(crate) compaction_delay_ms: i64,
}

impl CleaningRange {
    /// Bytes that would be read.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.clean_bytes + self.cleanable_bytes
    }

    /// How dirty the log is.
    pub(crate) fn cleanable_ratio(&self) -> f64 {
        if self.total_bytes() == 0 { 0.0 } else { self.cleanable_bytes as f64 / self.total_bytes() as f64 }
    }

    /// Whether the log is dirty enough, or has records that have waited long enough.
    pub(crate) fn is_due(&self, policy: &CompactionPolicy) -> bool {
        let is_overdue = self.compaction_delay_ms > 0 && self.cleanable_bytes > 0;
        is_overdue || self.cleanable_ratio() > policy.min_dirty_ratio
    }
}

/// Begins where the last compaction ended, unless the log is not where it was then.
pub(crate) fn first_dirty(checkpoint: Option<i64>, log_start_offset: i64, log_end_offset: i64) -> FirstDirty {
    match checkpoint {
        Some(offset) if offset < log_start_offset || offset > log_end_offset => {
            FirstDirty { offset: log_start_offset, is_reset: true }
        }
        Some(offset) => FirstDirty { offset, is_reset: false },
        None => FirstDirty { offset: log_start_offset, is_reset: false },
    }
}

impl LogFacts {
    /// Segments from the one with the first dirty offset on, without the active one.
    pub(crate) fn dirty(segments: &[SegmentFacts], first_dirty_offset: i64) -> &[SegmentFacts] {
        let inactive = segments.split_last().map_or(&[][..], |(_, inactive)| inactive);
        let active_base = segments.last().map_or(0, |active| active.base_offset);
        if first_dirty_offset >= active_base {
            return &[];
        }
        let after_floor = inactive.partition_point(|segment| segment.base_offset <= first_dirty_offset);
        inactive.get(after_floor.saturating_sub(1)..).unwrap_or_default()
    }

    /// What of the log can be compacted.
    pub(crate) fn range(&self, first_dirty_offset: i64, now_ms: i64) -> CleaningRange {
        let first_uncleanable_offset = self.first_uncleanable_offset(first_dirty_offset, now_ms);
        let clean = self.segments.iter().filter(|segment| segment.base_offset < first_dirty_offset);
        let clean_bytes = clean.map(|segment| segment.size).sum();
        let from = first_dirty_offset.min(first_uncleanable_offset);
        let cleanable = Self::dirty(&self.segments, from).iter();
        let cleanable_bytes = cleanable
            .take_while(|segment| {
                segment.base_offset < first_uncleanable_offset && from < first_uncleanable_offset
            })
            .map(|segment| segment.size)
            .sum();
        CleaningRange {
            first_dirty_offset,
            first_uncleanable_offset,
            clean_bytes,
            cleanable_bytes,
            compaction_delay_ms: self.compaction_delay_ms(now_ms),
        }
    }

    /// Begin of the first segment with a record that must stay: one above the last stable offset (and so above
    /// the high watermark), one that is too young, or one of the active segment.
    fn first_uncleanable_offset(&self, first_dirty_offset: i64, now_ms: i64) -> i64 {
        let active_base = self.segments.last().map_or(0, |active| active.base_offset);
        let horizon_ms = now_ms.saturating_sub(self.policy.min_lag_ms);
        let is_young = |times: &&SegmentTimes| times.largest_timestamp.is_some_and(|ts| ts > horizon_ms);
        let first_young = self.dirty_times.iter().find(is_young).filter(|_| self.policy.min_lag_ms > 0);
        let first_young = first_young.map_or(i64::MAX, |times| times.base_offset);
        let limit = self.last_stable_offset.min(active_base).min(first_young).max(first_dirty_offset);
        // Segments are compacted whole.
        Self::dirty(&self.segments, limit).first().map_or(active_base, |segment| segment.base_offset)
    }

    fn compaction_delay_ms(&self, now_ms: i64) -> i64 {
        let timestamps = self.dirty_times.iter().map(|times| times.first_batch_timestamp);
        let earliest = timestamps.filter(|timestamp| *timestamp > 0).min().unwrap_or(i64::MAX);
        now_ms.saturating_sub(self.policy.max_lag_ms).saturating_sub(earliest).max(0)
    }
}

/// Sizes of a segment that is to be compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentSizes {
    pub(crate) base_offset: i64,
    pub(crate) log_bytes: u64,
    pub(crate) offset_index_bytes: u64,
    pub(crate) time_index_bytes: u64,
}

/// Puts neighbours together that would fit one segment even if nothing of them went: else segments would
/// become ever smaller.
pub(crate) fn group_segments(
    segments: &[SegmentSizes],
    max_log_bytes: u64,
    max_index_bytes: u64,
    first_uncleanable_offset: i64,
) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut begin = 0;
    while let Some(first) = segments.get(begin) {
        let mut sum = *first;
        let mut end = begin + 1;
        while let Some(next) = segments.get(end) {
            let larger = SegmentSizes {
                base_offset: first.base_offset,
                log_bytes: sum.log_bytes + next.log_bytes,
                offset_index_bytes: sum.offset_index_bytes + next.offset_index_bytes,
                time_index_bytes: sum.time_index_bytes + next.time_index_bytes,
            };
            let fits = larger.log_bytes <= max_log_bytes
                && larger.offset_index_bytes <= max_index_bytes
                && larger.time_index_bytes <= max_index_bytes;
            // The last offset is not looked up, but bounded by what comes next.
            let bound = segments.get(end + 1).map_or(first_uncleanable_offset, |after| after.base_offset);
            let reaches = bound.saturating_sub(1).saturating_sub(first.base_offset) <= i64::from(i32::MAX);
            if !fits || !(reaches || next.log_bytes == 0) {
                break;
            }
            sum = larger;
            end += 1;
        }
        groups.push(begin..end);
        begin = end;
    }
    groups
}

#[cfg(test)]
#[path = "plan_test.rs"]
mod tests;
