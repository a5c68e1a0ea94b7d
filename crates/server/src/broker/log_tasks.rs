//! What logs need from time to time, on timers of the configuration.

use std::sync::Arc;
use std::time::Duration;

use ottla_storage::LogManager;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::error;

use crate::config::KafkaConfig;

/// What logs put off is looked for this often.
const BACKGROUND_INTERVAL_MS: i64 = 1_000;

/// Takes note of directories that failed. Their partitions are the controller's to move, so it is told at
/// once; a broker whose directories have all failed has nothing left to serve.
fn watch_directories(logs: &LogManager, hurry: &Notify) {
    if logs.handle_log_dir_failures().is_empty() {
        return;
    }
    if logs.live_log_dirs().is_empty() {
        error!(logger = "kafka.log.LogManager", "Stopping: all log directories have failed");
        std::process::exit(1);
    }
    hurry.notify_one();
}

/// Starts every timer. Work on files runs on blocking threads, one piece at a time per timer.
pub fn spawn(config: &KafkaConfig, logs: &Arc<LogManager>, hurry: Arc<Notify>) -> Vec<JoinHandle<()>> {
    let l = &config.settings.log;
    let delay = l.log_initial_task_delay_ms;
    let high_watermarks = config.settings.replication.replica_high_watermark_checkpoint_interval_ms;
    let producers = i64::from(config.settings.producer_state.producer_id_expiration_check_interval_ms);
    vec![
        every(logs, BACKGROUND_INTERVAL_MS, BACKGROUND_INTERVAL_MS, move |l| {
            l.run_background_tasks();
            watch_directories(l, &hurry);
        }),
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
        every(logs, high_watermarks, high_watermarks, LogManager::checkpoint_high_watermarks),
        every(logs, producers, producers, LogManager::remove_expired_producers),
    ]
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
