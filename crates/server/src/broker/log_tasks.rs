//! What logs need from time to time, on timers of the configuration, and nothing while nothing happens.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

use ottla_storage::LogManager;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::error;

use crate::config::KafkaConfig;

/// Between two turns of the housekeeper while something happens.
const TURN: Duration = Duration::from_secs(1);
/// Between two turns while nothing does: files that wait to be removed are not waited for by anybody.
const REST: Duration = Duration::from_secs(30);

/// The timers of a broker's logs.
#[derive(Debug)]
pub struct LogTasks {
    timers: Vec<JoinHandle<()>>,
    watch: LogWatch,
}

impl LogTasks {
    /// Starts every timer. `watch` is told of whatever may change a log, `hurry` when the controller should
    /// hear of the directories.
    pub fn start(
        config: &KafkaConfig,
        logs: &Arc<LogManager>,
        watch: LogWatch,
        hurry: Arc<Notify>,
    ) -> io::Result<Self> {
        let l = &config.settings.log;
        let delay = l.log_initial_task_delay_ms;
        let producers = i64::from(config.settings.producer_state.producer_id_expiration_check_interval_ms);
        let timers = vec![
            every(logs, delay, l.log_retention_check_interval_ms, |l| {
                l.cleanup_logs();
            }),
            every(logs, delay, l.log_flush_scheduler_interval_ms, LogManager::flush_dirty_logs),
            every(logs, delay, i64::from(l.log_flush_offset_checkpoint_interval_ms), |l| {
                l.checkpoint_recovery_point_offsets();
            }),
            every(logs, delay, i64::from(l.log_flush_start_offset_checkpoint_interval_ms), |l| {
                l.checkpoint_log_start_offsets();
            }),
            every(logs, producers, producers, LogManager::remove_expired_producers),
        ];
        let high_watermarks = config.settings.replication.replica_high_watermark_checkpoint_interval_ms;
        let housekeeper = Housekeeper {
            logs: logs.clone(),
            watch: watch.clone(),
            hurry,
            checkpoint_every: Duration::from_millis(high_watermarks.max(1).unsigned_abs()),
        };
        thread::Builder::new().name("log-housekeeper".to_owned()).spawn(move || housekeeper.run())?;
        Ok(Self { timers, watch })
    }

    /// Starts nothing new.
    pub fn stop(&self) {
        self.timers.iter().for_each(JoinHandle::abort);
        self.watch.0.stopped.store(true, Ordering::Release);
        self.watch.0.wake();
    }
}

/// Knows whether anything happened to the logs since the housekeeper looked.
#[derive(Debug, Clone, Default)]
pub struct LogWatch(Arc<Activity>);

impl LogWatch {
    /// Something may have changed a log. Costs a look at a byte while the housekeeper is up.
    pub fn note(&self) {
        if self.0.note() {
            self.0.wake();
        }
    }
}

/// Nothing happened for a whole turn: the housekeeper rests.
const RESTING: u8 = 0;
/// The housekeeper takes turns, and nothing happened since the last one.
const WATCHING: u8 = 1;
/// Something happened since.
const NOTED: u8 = 2;

#[derive(Debug)]
struct Activity {
    state: AtomicU8,
    stopped: AtomicBool,
    housekeeper: OnceLock<Thread>,
}

impl Default for Activity {
    fn default() -> Self {
        let (state, stopped) = (AtomicU8::new(NOTED), AtomicBool::new(false));
        Self { state, stopped, housekeeper: OnceLock::new() }
    }
}

impl Activity {
    /// Whether the housekeeper has to be woken.
    fn note(&self) -> bool {
        self.state.load(Ordering::Relaxed) != NOTED && self.state.swap(NOTED, Ordering::AcqRel) == RESTING
    }

    fn wake(&self) {
        if let Some(housekeeper) = self.housekeeper.get() {
            housekeeper.unpark();
        }
    }

    /// A turn begins; says whether something happened since the last one.
    fn begin_turn(&self) -> bool {
        self.state.swap(WATCHING, Ordering::AcqRel) == NOTED
    }

    /// Whether nothing happened since the turn began.
    fn begin_rest(&self) -> bool {
        self.state.compare_exchange(WATCHING, RESTING, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// Does what logs put off, and keeps high watermarks. A thread of its own, so that a turn wakes nobody else.
struct Housekeeper {
    logs: Arc<LogManager>,
    watch: LogWatch,
    hurry: Arc<Notify>,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    checkpoint_every: Duration,
}

impl Housekeeper {
    fn run(self) {
        let activity = &self.watch.0;
        activity.housekeeper.get_or_init(thread::current);
        let mut unsaved = false;
        let mut next_checkpoint = Instant::now() + self.checkpoint_every;
        loop {
            thread::park_timeout(TURN);
            if activity.stopped.load(Ordering::Acquire) {
                return;
            }
            let noted = activity.begin_turn();
            self.logs.run_background_tasks();
            self.watch_directories();
            unsaved |= noted;
            if unsaved && Instant::now() >= next_checkpoint {
                self.logs.checkpoint_high_watermarks();
                next_checkpoint = Instant::now() + self.checkpoint_every;
                unsaved = false;
            }
            if !noted && !unsaved && activity.begin_rest() {
                thread::park_timeout(REST);
            }
        }
    }

    /// Takes note of directories that failed. Their partitions are the controller's to move, so it is told at
    /// once; a broker whose directories have all failed has nothing left to serve.
    fn watch_directories(&self) {
        if self.logs.handle_log_dir_failures().is_empty() {
            return;
        }
        if self.logs.live_log_dirs().is_empty() {
            error!(logger = "kafka.log.LogManager", "Stopping: all log directories have failed");
            std::process::exit(1);
        }
        self.hurry.notify_one();
    }
}

fn every(
    logs: &Arc<LogManager>,
    delay_ms: i64,
    interval_ms: i64,
    work: impl Fn(&LogManager) + Send + Sync + 'static,
) -> JoinHandle<()> {
    let work = Arc::new(work);
    let logs = logs.clone();
    // Kafka's way to say "never" is the largest number, which is more than a timer can hold.
    let millis = |ms: i64| Duration::from_millis(ms.clamp(1, 1 << 40) as u64);
    let mut ticks = interval_at(Instant::now() + millis(delay_ms), millis(interval_ms));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::spawn(async move {
        loop {
            ticks.tick().await;
            let (logs, work) = (logs.clone(), work.clone());
            // A task that panicked has been reported; the next tick tries again.
            let _ = tokio::task::spawn_blocking(move || work(&logs)).await;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_who_finds_the_housekeeper_at_rest_wakes_it() {
        let activity = Activity::default();
        assert!(!activity.note(), "it begins with a turn");
        assert!(activity.begin_turn());
        assert!(!activity.note());
        assert!(!activity.begin_rest(), "something happened during the turn");
        assert!(activity.begin_turn());
        assert!(activity.begin_rest());
        assert!(activity.note());
        assert!(!activity.note(), "it is up already");
        assert!(activity.begin_turn());
    }
}
