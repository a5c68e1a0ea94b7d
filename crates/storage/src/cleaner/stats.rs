use std::collections::BTreeMap;
use std::path::PathBuf;

/// What one compaction of one log did.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CleanerStats {
    /// Bytes of the segments that were compacted.
    pub bytes_read: u64,
    /// Bytes of the segments that took their place.
    pub bytes_written: u64,
    /// Records read, but for those of batches that went as a whole.
    pub messages_read: u64,
    /// Records kept.
    pub messages_written: u64,
    /// Records without a key, which compaction cannot keep.
    pub invalid_messages_read: u64,
    /// Bytes read to learn of keys.
    pub map_bytes_read: u64,
    /// Records read to learn of keys.
    pub map_messages_read: u64,
    /// The part of the map's memory that was used.
    pub buffer_utilization: f64,
    /// When it began.
    pub started_ms: i64,
    /// When all keys were known.
    pub map_complete_ms: i64,
    /// When it was done.
    pub ended_ms: i64,
}

impl CleanerStats {
    /// How long all of it took.
    pub fn elapsed_secs(&self) -> f64 {
        self.ended_ms.saturating_sub(self.started_ms) as f64 / 1000.0
    }

    /// How long it took to learn of keys.
    pub fn elapsed_index_secs(&self) -> f64 {
        self.map_complete_ms.saturating_sub(self.started_ms) as f64 / 1000.0
    }
}

/// What a look for the dirtiest log found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PreCleanStats {
    /// How long some record is overdue by `max.compaction.lag.ms`.
    pub max_compaction_delay_ms: i64,
    /// Partitions with such records.
    pub delayed_partitions: usize,
    /// Partitions dirty enough.
    pub cleanable_partitions: usize,
}

impl PreCleanStats {
    pub(crate) fn note_compaction_delay(&mut self, delay_ms: i64) {
        self.max_compaction_delay_ms = self.max_compaction_delay_ms.max(delay_ms);
        self.delayed_partitions += usize::from(delay_ms > 0);
    }
}

/// The gauges of `kafka.log:type=LogCleaner` and `type=LogCleanerManager`, by their names there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CleanerMetrics {
    /// Of any thread's last compaction.
    pub max_buffer_utilization_percent: i32,
    /// Of the threads' last compactions together.
    pub cleaner_recopy_percent: i32,
    /// Of any thread's last compaction.
    pub max_clean_time_secs: i32,
    /// Of any thread's last compaction.
    pub max_compaction_delay_secs: i32,
    /// Threads that ended though nobody stopped them.
    pub dead_thread_count: usize,
    /// Of the dirtiest log when somebody looked last.
    pub max_dirty_percent: i32,
    /// Since somebody looked for the dirtiest log.
    pub time_since_last_run_ms: i64,
    /// By log directory.
    pub uncleanable_partitions_count: BTreeMap<PathBuf, usize>,
    /// By log directory.
    pub uncleanable_bytes: BTreeMap<PathBuf, u64>,
}

impl CleanerMetrics {
    /// Those that come from the threads' last compactions.
    pub(crate) fn of_threads<'a>(
        last: impl Iterator<Item = &'a (CleanerStats, PreCleanStats)> + Clone,
    ) -> Self {
        let largest =
            |of: fn(&CleanerStats) -> f64| last.clone().map(|(stats, _)| of(stats)).fold(0.0, f64::max);
        let sum = |of: fn(&CleanerStats) -> u64| last.clone().map(|(stats, _)| of(stats)).sum::<u64>();
        let (read, written) = (sum(|stats| stats.bytes_read), sum(|stats| stats.bytes_written));
        let delay_ms = last.clone().map(|(_, pre)| pre.max_compaction_delay_ms).max().unwrap_or(0);
        Self {
            max_buffer_utilization_percent: (100.0 * largest(|stats| stats.buffer_utilization)) as i32,
            cleaner_recopy_percent: (100.0 * written as f64 / read.max(1) as f64) as i32,
            max_clean_time_secs: largest(CleanerStats::elapsed_secs) as i32,
            max_compaction_delay_secs: i32::try_from(delay_ms / 1000).unwrap_or(i32::MAX),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_of_the_threads_last_compactions() {
        let first = CleanerStats {
            bytes_read: 300,
            bytes_written: 100,
            buffer_utilization: 0.25,
            ended_ms: 4_000,
            ..CleanerStats::default()
        };
        let second = CleanerStats { bytes_read: 100, bytes_written: 100, ..CleanerStats::default() };
        let mut pre = PreCleanStats::default();
        pre.note_compaction_delay(0);
        pre.note_compaction_delay(7_500);
        let last = [(first, PreCleanStats::default()), (second, pre)];
        let metrics = CleanerMetrics::of_threads(last.iter());
        assert_eq!((metrics.max_buffer_utilization_percent, metrics.cleaner_recopy_percent), (25, 50));
        assert_eq!((metrics.max_clean_time_secs, metrics.max_compaction_delay_secs), (4, 7));
        assert_eq!(pre.delayed_partitions, 1);
        assert_eq!(CleanerMetrics::of_threads([].iter()), CleanerMetrics::default());
    }
}
