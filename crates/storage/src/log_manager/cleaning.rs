//! Where compaction and the life of logs meet.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ottla_common::TopicPartition;

use super::LogManager;
use crate::cleaner::{CleanerCheckpoints, CleanerConfig, LogCleaner, LogCleanerManager};
use crate::error::StorageError;
use crate::unified_log::UnifiedLog;

impl LogManager {
    /// Makes the cleaner and starts its threads (`log.cleaner.enable`). All logs must be loaded.
    pub fn start_cleaner(self: &Arc<Self>, config: CleanerConfig) -> io::Result<Arc<LogCleaner>> {
        let cleaner = self.attach_cleaner(config);
        cleaner.startup()?;
        Ok(cleaner)
    }

    /// Makes the cleaner, which does nothing by itself: see [`LogCleaner::run_once`].
    pub fn attach_cleaner(self: &Arc<Self>, config: CleanerConfig) -> Arc<LogCleaner> {
        let make = || {
            let checkpoints = CleanerCheckpoints::new(&self.fs, self.live_log_dirs(), &self.failures);
            let manager = LogCleanerManager::new(Arc::downgrade(self), checkpoints, self.time.now_ms());
            Arc::new(LogCleaner::new(manager, Arc::clone(&self.time), config))
        };
        Arc::clone(self.cleaner.get_or_init(make))
    }

    /// The cleaner, if there is one.
    pub fn cleaner(&self) -> Option<&Arc<LogCleaner>> {
        self.cleaner.get()
    }

    /// Current logs with `cleanup.policy=compact`.
    pub(crate) fn compacted_logs(&self) -> Vec<Arc<UnifiedLog>> {
        let logs = self.logs.read();
        logs.current.values().filter(|log| log.config().compact).map(Arc::clone).collect()
    }

    /// Forgets records of a partition from an offset on, with no cleaner at work on it. Tells whether there
    /// were any.
    pub fn truncate_to(&self, partition: &TopicPartition, offset: i64) -> Result<bool, StorageError> {
        let Some(log) = self.get_log(partition) else { return Ok(false) };
        // The active segment is never compacted.
        if offset >= log.active_base_offset() {
            return log.truncate_to(offset);
        }
        self.without_cleaner(&log, || log.truncate_to(offset))
    }

    /// Forgets all records of a partition, with no cleaner at work on it: see
    /// [`UnifiedLog::truncate_fully_and_start_at`].
    pub fn truncate_fully_and_start_at(
        &self,
        partition: &TopicPartition,
        offset: i64,
        log_start_offset: Option<i64>,
    ) -> Result<(), StorageError> {
        let Some(log) = self.get_log(partition) else { return Ok(()) };
        self.without_cleaner(&log, || log.truncate_fully_and_start_at(offset, log_start_offset))
    }

    /// What is truncated away is not compacted any more, either.
    fn without_cleaner<T>(
        &self,
        log: &UnifiedLog,
        truncate: impl FnOnce() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let Some(cleaner) = self.cleaner.get() else { return truncate() };
        let partition = log.topic_partition();
        cleaner.abort_and_pause_cleaning(partition);
        let truncated = truncate();
        if truncated.is_ok() {
            cleaner.manager().maybe_truncate_checkpoint(log, log.active_base_offset());
        }
        cleaner.resume_cleaning(partition);
        truncated
    }

    /// Has the cleaner let go of a partition that is deleted, or compacted no more.
    pub(super) fn abort_cleaning(&self, partition: &TopicPartition) {
        if let Some(cleaner) = self.cleaner.get() {
            cleaner.manager().abort_cleaning(partition);
        }
    }

    /// Logs are gone: a log made anew under the name is not compacted.
    pub(super) fn forget_cleaned<'a>(&self, logs: impl Iterator<Item = &'a Arc<UnifiedLog>>) {
        let Some(cleaner) = self.cleaner.get() else { return };
        let mut by_dir: BTreeMap<&Path, Vec<&TopicPartition>> = BTreeMap::new();
        for log in logs {
            by_dir.entry(log.parent_dir()).or_default().push(log.topic_partition());
        }
        for (dir, partitions) in by_dir {
            cleaner.manager().remove_checkpoints(dir, &partitions);
        }
    }

    /// Applies retention to all logs that are not the cleaner's: while it does, none of them can become so.
    pub(super) fn delete_old_segments_of_others(&self, cleaner: &LogCleaner) -> usize {
        let current: Vec<Arc<UnifiedLog>> = self.logs.read().current.values().map(Arc::clone).collect();
        let mut deleted = 0;
        for log in current.into_iter().filter(|log| !log.config().compact) {
            let partition = log.topic_partition();
            if !cleaner.manager().pause_if_free(partition) {
                continue;
            }
            let future = self.get_future_log(partition);
            for log in [Some(&log), future.as_ref()].into_iter().flatten() {
                // A failure takes the directory offline, which is told elsewhere.
                deleted += log.delete_old_segments().unwrap_or(0);
            }
            cleaner.resume_cleaning(partition);
        }
        deleted
    }
}
