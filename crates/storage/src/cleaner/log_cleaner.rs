use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ottla_common::TopicPartition;
use ottla_common::time::Time;

use super::clean::Cleaner;
use super::config::{CleanerConfig, InvalidCleanerConfig};
use super::error::CleanError;
use super::manager::{LogCleanerManager, LogToClean};
use super::stats::{CleanerMetrics, CleanerStats, PreCleanStats};
use super::throttle::Throttle;
use crate::sync::Mutex;
use crate::unified_log::UnifiedLog;

/// Compacts logs, on threads of its own.
///
/// Each takes the dirtiest log that is due, then applies retention to compacted logs, and rests for a while
/// when nothing was dirty.
#[derive(Debug)]
pub struct LogCleaner {
    manager: LogCleanerManager,
    time: Arc<dyn Time>,
    config: Mutex<CleanerConfig>,
    throttle: Mutex<Throttle>,
    threads: Mutex<Vec<CleanerThread>>,
    /// What each thread did last.
    last: Mutex<BTreeMap<usize, (CleanerStats, PreCleanStats)>>,
}

#[derive(Debug)]
struct CleanerThread {
    handle: JoinHandle<()>,
    stop: Arc<Stop>,
}

/// Tells a thread to stop, also while it rests.
#[derive(Debug, Default)]
struct Stop {
    is_stopped: Mutex<bool>,
    wake: Condvar,
}

impl Stop {
    fn is_stopped(&self) -> bool {
        *self.is_stopped.lock()
    }

    fn stop(&self) {
        *self.is_stopped.lock() = true;
        self.wake.notify_all();
    }

    fn rest(&self, time: Duration) {
        let is_stopped = self.is_stopped.lock();
        let rested = self.wake.wait_timeout_while(is_stopped, time, |is_stopped| !*is_stopped);
        drop(rested.unwrap_or_else(PoisonError::into_inner));
    }
}

impl LogCleaner {
    /// Begins no work yet: see [`Self::startup`] and [`Self::run_once`].
    pub(crate) fn new(manager: LogCleanerManager, time: Arc<dyn Time>, config: CleanerConfig) -> Self {
        let throttle = Throttle::new(config.io_max_bytes_per_second, time.monotonic_ns());
        Self {
            manager,
            time,
            config: Mutex::new(config),
            throttle: Mutex::new(throttle),
            threads: Mutex::default(),
            last: Mutex::default(),
        }
    }

    pub(crate) fn manager(&self) -> &LogCleanerManager {
        &self.manager
    }

    /// The settings in force.
    pub fn config(&self) -> CleanerConfig {
        self.config.lock().clone()
    }

    /// Starts the threads, if there are none.
    pub(crate) fn startup(self: &Arc<Self>) -> io::Result<()> {
        let config = self.config();
        let mut threads = self.threads.lock();
        for id in threads.len()..config.threads {
            let stop = Arc::<Stop>::default();
            let (cleaner, config, stopped) = (Arc::downgrade(self), config.clone(), Arc::clone(&stop));
            let name = format!("kafka-log-cleaner-thread-{id}");
            let handle =
                thread::Builder::new().name(name).spawn(move || run(&cleaner, id, &config, &stopped))?;
            threads.push(CleanerThread { handle, stop });
        }
        Ok(())
    }

    /// Puts other settings in force. Work that is under way begins anew.
    pub fn reconfigure(self: &Arc<Self>, new: CleanerConfig) -> Result<(), ReconfigureError> {
        self.config().validate_reconfiguration(&new)?;
        self.throttle.lock().set_rate(new.io_max_bytes_per_second);
        self.shutdown();
        *self.config.lock() = new;
        Ok(self.startup()?)
    }

    /// Stops the threads and awaits their end.
    pub fn shutdown(&self) {
        self.stop();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // One that panicked has said so.
            let _ = thread.handle.join();
        }
    }

    /// Has the threads stop.
    pub(crate) fn stop(&self) {
        self.threads.lock().iter().for_each(|thread| thread.stop.stop());
    }

    /// What a cleaner thread does in one turn, on the caller's. Tells whether a log was compacted.
    pub fn run_once(&self) -> bool {
        self.turn(0, &self.config(), &Stop::default())
    }

    /// The gauges.
    pub fn metrics(&self) -> CleanerMetrics {
        let now_ms = self.time.now_ms();
        let (dirtiest_ratio, time_since_last_run_ms, uncleanable) = self.manager.gauges(now_ms);
        let dead =
            self.threads.lock().iter().filter(|t| t.handle.is_finished() && !t.stop.is_stopped()).count();
        CleanerMetrics {
            dead_thread_count: dead,
            max_dirty_percent: (100.0 * dirtiest_ratio) as i32,
            time_since_last_run_ms,
            uncleanable_partitions_count: uncleanable.iter().map(|(dir, of)| (dir.clone(), of.0)).collect(),
            uncleanable_bytes: uncleanable.into_iter().map(|(dir, of)| (dir, of.1)).collect(),
            ..CleanerMetrics::of_threads(self.last.lock().values())
        }
    }

    /// Keeps cleaners from a partition until [`Self::resume_cleaning`]; awaits one that is at work on it.
    pub fn abort_and_pause_cleaning(&self, partition: &TopicPartition) {
        self.manager.abort_and_pause_cleaning(partition);
    }

    /// Lets cleaners come back to a partition.
    pub fn resume_cleaning(&self, partition: &TopicPartition) {
        self.manager.resume_cleaning(partition);
    }

    /// A partition goes on in another log directory: so does what is known of its compaction.
    pub fn alter_checkpoint_dir(&self, partition: &TopicPartition, from: &Path, to: &Path) {
        self.manager.alter_checkpoint_dir(partition, from, to);
    }

    /// Up to where a log is compacted.
    pub fn cleaned_offset(&self, log: &UnifiedLog) -> Option<i64> {
        self.manager.checkpoint(log)
    }

    fn turn(&self, id: usize, config: &CleanerConfig, stop: &Stop) -> bool {
        let (found, pre_stats) = self.manager.grab_filthiest_compacted_log(self.time.now_ms());
        let cleaned = found.is_some_and(|found| self.clean(&found, id, pre_stats, config, stop));
        self.manager.delete_old_segments();
        self.manager.maintain_uncleanable_partitions();
        cleaned
    }

    /// Returns false if it failed for good, so that the next turn comes after a rest.
    fn clean(
        &self,
        found: &LogToClean,
        id: usize,
        pre_stats: PreCleanStats,
        config: &CleanerConfig,
        stop: &Stop,
    ) -> bool {
        let log = &*found.log;
        let mut work = Work { manager: &self.manager, log, end_offset: found.range.first_dirty_offset };
        let cleaner = Cleaner {
            map_slots: config.map_slots(),
            load_factor: config.dedupe_buffer_load_factor,
            chunk_bytes: config.io_chunk_bytes(),
            time: &*self.time,
            pace: &|bytes| self.pace(bytes, log.topic_partition(), stop),
        };
        match cleaner.clean(log, &found.range) {
            Ok((end_offset, stats)) => {
                work.end_offset = end_offset;
                let (partition, from) = (log.topic_partition(), found.range.first_dirty_offset);
                tracing::info!(%partition, from, end_offset, ?stats, "log is compacted");
                self.last.lock().insert(id, (stats, pre_stats));
                true
            }
            Err(error) => {
                self.manager.note_failure(log, &error);
                !error.is_lasting()
            }
        }
    }

    fn pace(&self, bytes: u64, partition: &TopicPartition, stop: &Stop) -> Result<(), CleanError> {
        let rest = self.throttle.lock().note(bytes, self.time.monotonic_ns());
        if let Some(rest) = rest {
            stop.rest(rest);
        }
        if stop.is_stopped() { Err(CleanError::Stopped) } else { self.manager.check_aborted(partition) }
    }
}

/// Why settings were not put in force.
#[derive(Debug, thiserror::Error)]
pub enum ReconfigureError {
    /// They are too far from those in force.
    #[error(transparent)]
    Invalid(#[from] InvalidCleanerConfig),
    /// The system gives no thread.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A log a cleaner works on. It lets go of it whatever happens: others wait for that.
struct Work<'a> {
    manager: &'a LogCleanerManager,
    log: &'a UnifiedLog,
    end_offset: i64,
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.manager.done_cleaning(self.log, self.end_offset);
    }
}

fn run(cleaner: &Weak<LogCleaner>, id: usize, config: &CleanerConfig, stop: &Stop) {
    let backoff = Duration::from_millis(u64::try_from(config.backoff_ms).unwrap_or(0).max(1));
    while !stop.is_stopped() {
        let Some(cleaner) = cleaner.upgrade() else { return };
        let cleaned = cleaner.turn(id, config, stop);
        drop(cleaner);
        if !cleaned {
            stop.rest(backoff);
        }
    }
}
