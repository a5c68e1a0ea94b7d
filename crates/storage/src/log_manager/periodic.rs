use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ottla_common::TopicPartition;

use super::directory::LogDir;
use super::{DoomedDir, LogManager, in_parallel};
use crate::error::StorageError;
use crate::unified_log::UnifiedLog;

/// With so many logs to be put on disk, one sync of their volume is less work than some syncs for each.
pub(super) const MIN_LOGS_FOR_SYNC_OF_ALL: usize = 32;

/// What is done from time to time. An error takes a directory offline and is told by
/// [`LogManager::handle_log_dir_failures`], so nothing is returned here; other directories go on.
impl LogManager {
    /// What logs put off: flushing rolled segments, removing files whose time has come. Every second.
    pub fn run_background_tasks(&self) {
        self.settle_new_logs();
        let now = self.time.now_ms();
        for log in self.all_logs() {
            self.note(log.run_background_tasks(now));
        }
        self.delete_expired_logs();
    }

    /// Makes the folders of new logs that had no first append yet.
    pub(super) fn settle_new_logs(&self) {
        let _settling = self.settling.lock();
        let mut new = std::mem::take(&mut *self.unsettled.lock());
        if new.is_empty() {
            return;
        }
        for dir in self.online_dirs() {
            let of_dir: Vec<_> = new
                .extract_if(.., |log| log.parent_dir() == dir.path())
                .filter(|log| log.is_unsettled())
                .collect();
            if of_dir.len() < MIN_LOGS_FOR_SYNC_OF_ALL {
                for log in of_dir {
                    self.note(log.settle());
                }
                continue;
            }
            let write = |log: &Arc<UnifiedLog>| log.write_folder();
            let written = in_parallel(self.recovery_threads_per_data_dir, &of_dir, write);
            let synced = written.and_then(|()| self.sync_volume(&dir));
            if self.note(synced).is_some() {
                of_dir.iter().for_each(|log| log.note_folder_synced());
            }
            // Those whose epoch was told meanwhile are written again.
            self.unsettled.lock().extend(of_dir.into_iter().filter(|log| log.is_unsettled()));
        }
    }

    /// Puts on disk whatever was written to the directory's volume.
    pub(super) fn sync_volume(&self, dir: &LogDir) -> Result<(), StorageError> {
        let sync = || self.fs.sync_all(dir.path());
        self.failures.guard(dir.path(), || "cannot sync the volume".to_owned(), sync)
    }

    /// `log.retention.check.interval.ms`: applies retention. Compacted logs are the cleaner's, if there is one.
    /// Returns how many segments went.
    pub fn cleanup_logs(&self) -> usize {
        if let Some(cleaner) = self.cleaner.get() {
            return self.delete_old_segments_of_others(cleaner);
        }
        let mut deleted = 0;
        for log in self.all_logs() {
            deleted += self.note(log.delete_old_segments()).unwrap_or(0);
        }
        deleted
    }

    /// `log.flush.scheduler.interval.ms`: forces logs to disk for which `flush.ms` have passed.
    pub fn flush_dirty_logs(&self) {
        let now = self.time.now_ms();
        for log in self.all_logs() {
            if log.time_since_last_flush_ms(now) >= log.config().flush_ms {
                self.note(log.flush(false));
            }
        }
    }

    /// `log.flush.offset.checkpoint.interval.ms`: writes up to where logs are on disk.
    pub fn checkpoint_recovery_point_offsets(&self) {
        for dir in self.online_dirs() {
            self.note(self.write_recovery_points(&dir, &self.logs_in(dir.path())));
        }
    }

    /// The same for one directory, now.
    pub(crate) fn checkpoint_recovery_points_in(&self, path: &Path) -> Result<(), StorageError> {
        let dir = self.online_dirs().into_iter().find(|dir| dir.path() == path);
        dir.map_or(Ok(()), |dir| self.write_recovery_points(&dir, &self.logs_in(path)))
    }

    fn write_recovery_points(&self, dir: &LogDir, logs: &[Arc<UnifiedLog>]) -> Result<(), StorageError> {
        if !dir.is_loaded() {
            return Ok(());
        }
        let _checkpointing = dir.checkpointing.lock();
        let offsets = offsets(logs, |log| Some(log.recovery_point_to_checkpoint()));
        self.checkpoint(dir, || dir.recovery_points.write(&offsets))?;
        let current = logs.iter().filter(|log| !log.is_future());
        current
            .filter_map(|log| Some((log, *offsets.get(log.topic_partition())?)))
            .try_for_each(|(log, offset)| log.note_checkpointed(offset))
    }

    /// `log.flush.start.offset.checkpoint.interval.ms`: writes where logs start, if that is not where
    /// their first segment begins.
    pub fn checkpoint_log_start_offsets(&self) {
        for dir in self.online_dirs() {
            let offsets = offsets(&self.logs_in(dir.path()), start_to_checkpoint);
            self.note(self.checkpoint(&dir, || dir.log_start_offsets.write(&offsets)));
        }
    }

    /// `replica.high.watermark.checkpoint.interval.ms`: writes high watermarks.
    pub fn checkpoint_high_watermarks(&self) {
        for dir in self.online_dirs() {
            let offsets = offsets(&self.logs_in(dir.path()), |log| Some(log.high_watermark()));
            self.note(self.checkpoint(&dir, || dir.high_watermarks.write(&offsets)));
        }
    }

    /// Removes folders of deleted partitions whose time has come. Returns how many.
    pub fn delete_expired_logs(&self) -> usize {
        let now = self.time.now_ms();
        let due: Vec<DoomedDir> =
            self.logs.write().doomed.extract_if(.., |doomed| doomed.deadline_ms <= now).collect();
        for doomed in &due {
            let remove = || match self.fs.remove_dir_all(&doomed.dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                result => result,
            };
            let context = || format!("cannot remove {}", doomed.dir.display());
            let removed = self.failures.guard(&doomed.log_dir, context, remove);
            if self.note(removed).is_some() {
                let partition = doomed.log.as_ref().map(|log| log.topic_partition().to_string());
                tracing::info!(dir = %doomed.dir.display(), partition, "deleted log is removed");
            }
        }
        due.len()
    }

    /// `producer.id.expiration.check.interval.ms`: forgets producers that wrote nothing for long.
    pub fn remove_expired_producers(&self) {
        let now = self.time.now_ms();
        for log in self.all_logs() {
            log.remove_expired_producers(now);
        }
    }

    /// All checkpoints of a directory, as the last act before it is closed.
    pub(super) fn checkpoint_dir(&self, dir: &LogDir, logs: &[Arc<UnifiedLog>]) -> Result<(), StorageError> {
        self.write_recovery_points(dir, logs)?;
        self.checkpoint(dir, || {
            dir.log_start_offsets.write(&offsets(logs, start_to_checkpoint))?;
            dir.high_watermarks.write(&offsets(logs, |log| Some(log.high_watermark())))
        })
    }

    fn checkpoint(&self, dir: &LogDir, write: impl FnOnce() -> io::Result<()>) -> Result<(), StorageError> {
        // Before all logs are loaded a checkpoint would lack those that are not.
        if !dir.is_loaded() {
            return Ok(());
        }
        self.failures.guard(dir.path(), || "cannot write a checkpoint".to_owned(), write)
    }

    fn note<T>(&self, result: Result<T, StorageError>) -> Option<T> {
        result.inspect_err(|error| tracing::debug!(%error, "a log directory is offline")).ok()
    }
}

fn offsets(
    logs: &[Arc<UnifiedLog>],
    offset: impl Fn(&UnifiedLog) -> Option<i64>,
) -> BTreeMap<TopicPartition, i64> {
    let current = logs.iter().filter(|log| !log.is_future());
    current.filter_map(|log| Some((log.topic_partition().clone(), offset(log)?))).collect()
}

/// A start that is a segment's begin is found again without a checkpoint.
fn start_to_checkpoint(log: &UnifiedLog) -> Option<i64> {
    let start = log.log_start_offset();
    (start > log.first_segment_base_offset()).then_some(start)
}
