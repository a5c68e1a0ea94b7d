//! Who compacts which log when: picks the dirtiest one, keeps cleaners from logs that are truncated, moved or
//! deleted, and knows up to where each is compacted.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, PoisonError, Weak};

use ottla_common::TopicPartition;

use super::checkpoints::CleanerCheckpoints;
use super::error::CleanError;
use super::plan::{
    CleaningRange, CompactionPolicy, FirstDirty, LogFacts, SegmentFacts, SegmentTimes, first_dirty,
};
use super::state::CleaningStates;
use super::stats::PreCleanStats;
use crate::log_manager::LogManager;
use crate::log_segment::LogSegment;
use crate::sync::Mutex;
use crate::unified_log::UnifiedLog;

/// A log to be compacted.
#[derive(Debug)]
pub(crate) struct LogToClean {
    pub(crate) log: Arc<UnifiedLog>,
    pub(crate) range: CleaningRange,
    checkpoint: Option<i64>,
}

/// Shared by all cleaner threads.
#[derive(Debug)]
pub(crate) struct LogCleanerManager {
    logs: Weak<LogManager>,
    inner: Mutex<Inner>,
    /// Told when a cleaner has let go of a partition.
    let_go: Condvar,
}

#[derive(Debug)]
struct Inner {
    states: CleaningStates,
    checkpoints: CleanerCheckpoints,
    /// By log directory: partitions whose compaction failed, and would again.
    uncleanable: BTreeMap<PathBuf, BTreeSet<TopicPartition>>,
    dirtiest_ratio: f64,
    last_run_ms: i64,
}

impl LogCleanerManager {
    pub(crate) fn new(logs: Weak<LogManager>, checkpoints: CleanerCheckpoints, now_ms: i64) -> Self {
        let inner = Inner {
            states: CleaningStates::default(),
            checkpoints,
            uncleanable: BTreeMap::new(),
            dirtiest_ratio: 0.0,
            last_run_ms: now_ms,
        };
        Self { logs, inner: Mutex::new(inner), let_go: Condvar::new() }
    }

    /// Picks the dirtiest log that is due. Whoever gets it must call [`Self::done_cleaning`].
    pub(crate) fn grab_filthiest_compacted_log(&self, now_ms: i64) -> (Option<LogToClean>, PreCleanStats) {
        let mut stats = PreCleanStats::default();
        let mut due = Vec::new();
        let mut dirtiest_ratio = 0.0_f64;
        for log in self.free_compacted_logs() {
            let to_clean = match self.look_at(log, now_ms) {
                Ok(to_clean) => to_clean,
                Err((log, error)) => {
                    self.note_failure(&log, &error);
                    continue;
                }
            };
            stats.note_compaction_delay(to_clean.range.compaction_delay_ms);
            if to_clean.range.total_bytes() == 0 {
                continue;
            }
            dirtiest_ratio = dirtiest_ratio.max(to_clean.range.cleanable_ratio());
            if to_clean.range.is_due(&CompactionPolicy::of(&to_clean.log.config())) {
                due.push(to_clean);
            }
        }
        stats.cleanable_partitions = due.len();
        due.sort_by(|a, b| b.range.cleanable_ratio().total_cmp(&a.range.cleanable_ratio()));
        let mut inner = self.inner.lock();
        inner.last_run_ms = now_ms;
        inner.dirtiest_ratio = dirtiest_ratio;
        (due.into_iter().find(|to_clean| inner.take(to_clean)), stats)
    }

    /// Works out what of a log can be compacted, and puts a checkpoint right that does not fit it.
    fn look_at(
        &self,
        log: Arc<UnifiedLog>,
        now_ms: i64,
    ) -> Result<LogToClean, (Arc<UnifiedLog>, CleanError)> {
        let partition = log.topic_partition();
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        let checkpoint = self.inner.lock().checkpoints.get(log.parent_dir(), partition);
        let FirstDirty { offset, is_reset } = first_dirty(checkpoint, start, end);
        let mut used = checkpoint;
        if is_reset {
            let config = log.config();
            // With retention the start moves all the time.
            if !(config.delete && checkpoint.is_some_and(|checkpoint| checkpoint < start)) {
                tracing::warn!(%partition, checkpoint, start, end, "cleaner checkpoint does not fit the log");
            }
            self.set_checkpoint(&mut self.inner.lock().checkpoints, &log, offset);
            used = Some(offset);
        }
        match facts(&log, offset) {
            Ok(facts) => {
                let range = facts.range(offset, now_ms);
                Ok(LogToClean { log, range, checkpoint: used })
            }
            Err(error) => {
                let error = log.clean_error(error);
                Err((log, error))
            }
        }
    }

    /// The cleaner lets go of a log, which it has compacted up to an offset.
    pub(crate) fn done_cleaning(&self, log: &UnifiedLog, end_offset: i64) {
        let mut inner = self.inner.lock();
        if inner.states.done(log.topic_partition()) {
            self.set_checkpoint(&mut inner.checkpoints, log, end_offset);
        }
        drop(inner);
        self.let_go.notify_all();
    }

    fn set_checkpoint(&self, checkpoints: &mut CleanerCheckpoints, log: &UnifiedLog, offset: i64) {
        let partition = log.topic_partition();
        checkpoints.set(log.parent_dir(), partition, offset, &|known| self.is_there(known));
    }

    fn is_there(&self, partition: &TopicPartition) -> bool {
        self.logs.upgrade().is_none_or(|logs| logs.get_log(partition).is_some())
    }

    /// Applies retention to compacted logs, to each while no cleaner works on it. Returns how many segments
    /// went.
    pub(crate) fn delete_old_segments(&self) -> usize {
        let mut deleted = 0;
        for log in self.free_compacted_logs() {
            let partition = log.topic_partition();
            if self.inner.lock().states.begin(partition) {
                // A failure took the directory offline, which is told elsewhere.
                deleted += log.delete_old_segments().unwrap_or(0);
                self.inner.lock().states.done(partition);
                self.let_go.notify_all();
            }
        }
        deleted
    }

    /// Compacted logs nobody works on, but those that cannot be compacted; in order, so that nothing depends
    /// on chance.
    fn free_compacted_logs(&self) -> Vec<Arc<UnifiedLog>> {
        let Some(logs) = self.logs.upgrade() else { return Vec::new() };
        let mut compacted = logs.compacted_logs();
        let inner = self.inner.lock();
        compacted.retain(|log| inner.states.is_free(log.topic_partition()) && !inner.is_uncleanable(log));
        drop(inner);
        compacted.sort_by(|a, b| a.topic_partition().cmp(b.topic_partition()));
        compacted
    }

    /// Leaves a partition alone from now on if compaction failed for good.
    pub(crate) fn note_failure(&self, log: &UnifiedLog, error: &CleanError) {
        let partition = log.topic_partition();
        if !error.is_lasting() {
            tracing::debug!(%partition, %error, "compaction ends early");
            return;
        }
        tracing::warn!(%partition, %error, "compaction failed, the partition is marked as uncleanable");
        let mut inner = self.inner.lock();
        let dir = inner.uncleanable.entry(log.parent_dir().to_path_buf()).or_default();
        dir.insert(partition.clone());
    }

    /// Forgets uncleanable partitions that are not there any more.
    pub(crate) fn maintain_uncleanable_partitions(&self) {
        let mut inner = self.inner.lock();
        inner.uncleanable.retain(|_, partitions| {
            partitions.retain(|partition| self.is_there(partition));
            !partitions.is_empty()
        });
    }

    /// Gauges of this manager: the largest ratio, the time since somebody looked, and of each directory with
    /// uncleanable partitions, how many and of how many bytes.
    pub(crate) fn gauges(&self, now_ms: i64) -> (f64, i64, BTreeMap<PathBuf, (usize, u64)>) {
        let inner = self.inner.lock();
        let (ratio, since_ms) = (inner.dirtiest_ratio, now_ms.saturating_sub(inner.last_run_ms));
        let uncleanable = inner.uncleanable.clone();
        drop(inner);
        let of_dir = |partitions: &BTreeSet<TopicPartition>| {
            let bytes =
                partitions.iter().map(|partition| self.cleanable_bytes(partition, now_ms)).sum::<u64>();
            (partitions.len(), bytes)
        };
        let dirs = uncleanable.iter().map(|(dir, partitions)| (dir.clone(), of_dir(partitions))).collect();
        (ratio, since_ms, dirs)
    }

    fn cleanable_bytes(&self, partition: &TopicPartition, now_ms: i64) -> u64 {
        let log = self.logs.upgrade().and_then(|logs| logs.get_log(partition));
        let Some(log) = log else { return 0 };
        let first = first_dirty(self.checkpoint(&log), log.log_start_offset(), log.log_end_offset());
        facts(&log, first.offset).map_or(0, |facts| facts.range(first.offset, now_ms).cleanable_bytes)
    }
}

/// Keeping cleaners away.
impl LogCleanerManager {
    /// Fails if the cleaner is to let go of a partition.
    pub(crate) fn check_aborted(&self, partition: &TopicPartition) -> Result<(), CleanError> {
        if self.inner.lock().states.is_aborted(partition) { Err(CleanError::Aborted) } else { Ok(()) }
    }

    /// Has the cleaner give up what it is at, and awaits that it has.
    pub(crate) fn abort_cleaning(&self, partition: &TopicPartition) {
        self.abort_and_pause_cleaning(partition);
        self.resume_cleaning(partition);
    }

    /// The same, and keeps cleaners away until [`Self::resume_cleaning`].
    pub(crate) fn abort_and_pause_cleaning(&self, partition: &TopicPartition) {
        let mut inner = self.inner.lock();
        inner.states.abort_and_pause(partition);
        while !inner.states.is_paused(partition) {
            inner = self.let_go.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets cleaners come back.
    pub(crate) fn resume_cleaning(&self, partition: &TopicPartition) {
        self.inner.lock().states.resume(partition);
    }

    /// Keeps cleaners away from a partition nobody works on; tells whether that is so.
    pub(crate) fn pause_if_free(&self, partition: &TopicPartition) -> bool {
        self.inner.lock().states.pause_if_free(partition)
    }
}

/// Checkpoints.
impl LogCleanerManager {
    /// A truncated log is compacted no further than it goes.
    pub(crate) fn maybe_truncate_checkpoint(&self, log: &UnifiedLog, offset: i64) {
        if !log.config().compact {
            return;
        }
        let mut inner = self.inner.lock();
        let known = inner.checkpoints.get(log.parent_dir(), log.topic_partition());
        if known.is_some_and(|known| known > offset) {
            self.set_checkpoint(&mut inner.checkpoints, log, offset);
        }
    }

    /// Logs of a directory are gone.
    pub(crate) fn remove_checkpoints(&self, dir: &Path, partitions: &[&TopicPartition]) {
        self.inner.lock().checkpoints.remove(dir, partitions);
    }

    /// A partition goes on in another directory.
    pub(crate) fn alter_checkpoint_dir(&self, partition: &TopicPartition, from: &Path, to: &Path) {
        let mut inner = self.inner.lock();
        inner.checkpoints.transfer(partition, from, to, &|known| self.is_there(known));
        if inner.uncleanable.get_mut(from).is_some_and(|partitions| partitions.remove(partition)) {
            inner.uncleanable.entry(to.to_path_buf()).or_default().insert(partition.clone());
        }
    }

    /// A directory failed.
    pub(crate) fn handle_log_dir_failure(&self, dir: &Path) {
        self.inner.lock().checkpoints.forget_dir(dir);
    }

    /// Up to where a log is compacted.
    pub(crate) fn checkpoint(&self, log: &UnifiedLog) -> Option<i64> {
        self.inner.lock().checkpoints.get(log.parent_dir(), log.topic_partition())
    }
}

impl Inner {
    /// Takes a log for a cleaner, unless another one was faster.
    fn take(&mut self, to_clean: &LogToClean) -> bool {
        let log = &to_clean.log;
        let checkpoint = self.checkpoints.get(log.parent_dir(), log.topic_partition());
        checkpoint == to_clean.checkpoint && self.states.begin(log.topic_partition())
    }

    fn is_uncleanable(&self, log: &UnifiedLog) -> bool {
        let of_dir = self.uncleanable.get(log.parent_dir());
        of_dir.is_some_and(|partitions| partitions.contains(log.topic_partition()))
    }
}

/// What the plan needs to know of a log. Only segments that may be dirty are looked into.
pub(crate) fn facts(log: &UnifiedLog, first_dirty_offset: i64) -> io::Result<LogFacts> {
    let policy = CompactionPolicy::of(&log.config());
    let last_stable_offset = log.last_stable_offset();
    let segments = log.segments();
    let fact =
        |segment: &Arc<LogSegment>| SegmentFacts { base_offset: segment.base_offset(), size: segment.size() };
    let facts: Vec<SegmentFacts> = segments.iter().map(fact).collect();
    let dirty = LogFacts::dirty(&facts, first_dirty_offset);
    let from = dirty.first().map_or(i64::MAX, |first| first.base_offset);
    let dirty_segments = segments.iter().filter(|segment| segment.base_offset() >= from).take(dirty.len());
    let times = |segment: &Arc<LogSegment>| {
        let largest = (policy.min_lag_ms > 0).then(|| segment.largest_timestamp()).transpose()?;
        Ok::<SegmentTimes, io::Error>(SegmentTimes {
            base_offset: segment.base_offset(),
            first_batch_timestamp: segment.first_batch_timestamp()?,
            largest_timestamp: largest,
        })
    };
    let dirty_times = dirty_segments.map(times).collect::<io::Result<Vec<SegmentTimes>>>()?;
    Ok(LogFacts { last_stable_offset, segments: facts, dirty_times, policy })
}

#[cfg(test)]
#[path = "manager_test.rs"]
mod tests;
