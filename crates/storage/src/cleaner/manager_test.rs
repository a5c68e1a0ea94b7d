use std::sync::mpsc;
use std::time::Duration;

use ottla_common::Uuid;
use ottla_common::time::MockTime;
use ottla_record::CompressionType;

use super::*;
use crate::checkpoint::{CLEANER_OFFSET_CHECKPOINT_FILE, OffsetCheckpointFile};
use crate::cleaner::testing::{contents, keyed, kv};
use crate::cleaner::{CleanerConfig, LogCleaner};
use crate::fs::FileSystem;
use crate::fs::sim::SimFileSystem;
use crate::log_manager::LogManagerParams;
use crate::meta_properties::MetaProperties;
use crate::producer_state::ProducerStateManagerConfig;
use crate::test_support::{NOW, append, replicate_all};
use crate::{LogConfig, LogStartOffsetIncrementReason};

struct Broker {
    disk: SimFileSystem,
    time: Arc<MockTime>,
    logs: Arc<LogManager>,
    cleaner: Arc<LogCleaner>,
}

fn broker() -> Broker {
    broker_on(SimFileSystem::new(3))
}

fn broker_on(disk: SimFileSystem) -> Broker {
    for (i, dir) in ["/a", "/b"].iter().enumerate() {
        disk.create_dir_all(Path::new(dir)).unwrap();
        let directory_id = Some(Uuid::from_u128(1000 + i as u128));
        MetaProperties { directory_id, ..Default::default() }.write(&disk, Path::new(dir)).unwrap();
    }
    let time = Arc::new(MockTime::new(NOW));
    let logs = LogManager::open(LogManagerParams {
        fs: Arc::new(disk.clone()),
        time: time.clone(),
        log_dirs: vec![PathBuf::from("/a"), PathBuf::from("/b")],
        default_config: Arc::default(),
        recovery_threads_per_data_dir: 1,
        producer_state: ProducerStateManagerConfig::default(),
    });
    let logs = logs.unwrap();
    logs.load_logs(&|_| Arc::new(compacted()), &|_| false).unwrap();
    let cleaner = logs.attach_cleaner(CleanerConfig { io_buffer_size: 64, ..CleanerConfig::default() });
    Broker { disk, time, logs, cleaner }
}

fn compacted() -> LogConfig {
    LogConfig { compact: true, delete: false, ..LogConfig::default() }
}

fn partition(index: i32) -> TopicPartition {
    TopicPartition::new("topic", index)
}

impl Broker {
    fn create(&self, index: i32, config: LogConfig) -> Arc<UnifiedLog> {
        let dir = Some(Uuid::from_u128(1000));
        self.logs.get_or_create_log(&partition(index), None, Arc::new(config), dir).unwrap()
    }

    /// What the checkpoint file says.
    fn checkpoints(&self, dir: &str) -> BTreeMap<TopicPartition, i64> {
        let fs: Arc<dyn FileSystem> = Arc::new(self.disk.clone());
        OffsetCheckpointFile::new(fs, Path::new(dir), CLEANER_OFFSET_CHECKPOINT_FILE).read().unwrap()
    }
}

/// So many versions of one key, in segments of their own.
fn write(log: &UnifiedLog, versions: i32) {
    for version in 0..versions {
        append(log, keyed(CompressionType::None, &[kv("key", &version.to_string())]));
        log.roll().unwrap();
    }
    replicate_all(log);
}

#[test]
fn the_dirtiest_log_comes_first_and_clean_ones_are_left_alone() {
    let broker = broker();
    let (a, b) = (broker.create(0, compacted()), broker.create(1, compacted()));
    let others = broker.create(2, LogConfig::default());
    write(&a, 4);
    write(&others, 4);
    assert!(broker.cleaner.run_once());
    assert_eq!(broker.checkpoints("/a"), [(partition(0), 4)].into());
    assert!(!broker.cleaner.run_once(), "nothing is dirty");
    // Now half of the one is dirty, and all of the other.
    write(&a, 1);
    write(&b, 2);
    assert!(broker.cleaner.run_once());
    assert_eq!(broker.checkpoints("/a"), [(partition(0), 4), (partition(1), 2)].into());
    assert_eq!(broker.cleaner.metrics().max_dirty_percent, 100);
    assert_eq!((contents(&a).len(), contents(&b).len(), contents(&others).len()), (2, 1, 4));
    assert_eq!(broker.cleaner.cleaned_offset(&b), Some(2));
    let metrics = broker.cleaner.metrics();
    assert_eq!((metrics.dead_thread_count, metrics.time_since_last_run_ms), (0, 0));
    assert_eq!(metrics.cleaner_recopy_percent, 50);
    assert!(metrics.uncleanable_partitions_count.is_empty());
}

#[test]
fn what_is_overdue_is_compacted_though_little_is_dirty() {
    let broker = broker();
    let config = LogConfig { max_compaction_lag_ms: 1000, min_cleanable_dirty_ratio: 1.0, ..compacted() };
    let log = broker.create(0, config);
    write(&log, 3);
    assert!(!broker.cleaner.run_once());
    broker.time.advance_ms(1001);
    assert!(broker.cleaner.run_once());
    assert_eq!(contents(&log).len(), 1);
    assert!(!broker.cleaner.run_once(), "nothing of it is dirty");
}

#[test]
fn a_restart_knows_up_to_where_logs_are_clean() {
    let first = broker();
    write(&first.create(0, compacted()), 3);
    assert!(first.cleaner.run_once());
    first.logs.shutdown(1);
    let disk = first.disk.kill();
    drop(first);
    let again = broker_on(disk);
    let log = again.logs.get_log(&partition(0)).unwrap();
    replicate_all(&log);
    assert_eq!(again.cleaner.cleaned_offset(&log), Some(3));
    assert!(!again.cleaner.run_once());
    // A checkpoint behind the log's end is of another log.
    again.cleaner.manager().inner.lock().checkpoints.set(Path::new("/a"), &partition(0), 99, &|_| true);
    again.cleaner.run_once();
    assert!(again.checkpoints("/a")[&partition(0)] <= 3);
}

#[test]
fn truncation_and_deletion_take_the_checkpoint_along() {
    let broker = broker();
    let log = broker.create(0, compacted());
    write(&log, 4);
    assert!(broker.cleaner.run_once());
    assert!(broker.logs.truncate_to(&partition(0), 2).unwrap());
    let expected = log.active_base_offset();
    assert!(expected <= 2);
    assert_eq!(broker.checkpoints("/a"), [(partition(0), expected)].into());
    broker.logs.truncate_fully_and_start_at(&partition(0), 1, None).unwrap();
    assert_eq!(log.log_end_offset(), 1);
    assert!(broker.logs.delete_log(&partition(0)).unwrap());
    assert!(broker.checkpoints("/a").is_empty());
    assert!(!broker.logs.truncate_to(&partition(0), 0).unwrap(), "it is gone");
}

#[test]
fn a_checkpoint_moves_with_its_partition() {
    let broker = broker();
    let log = broker.create(0, compacted());
    write(&log, 3);
    assert!(broker.cleaner.run_once());
    broker.cleaner.alter_checkpoint_dir(&partition(0), Path::new("/a"), Path::new("/b"));
    assert_eq!(broker.checkpoints("/a"), BTreeMap::new());
    assert_eq!(broker.checkpoints("/b"), [(partition(0), 3)].into());
}

#[test]
fn a_log_that_cannot_be_compacted_is_left_alone() {
    let broker = broker();
    let (broken, fine) = (broker.create(0, compacted()), broker.create(1, compacted()));
    write(&broken, 3);
    write(&fine, 3);
    let path = Path::new("/a/topic-0/00000000000000000001.log");
    let whole = broker.disk.content(path).unwrap();
    let file = broker.disk.open(path, crate::fs::OpenMode::ReadWrite).unwrap();
    file.write_all_at(&[whole.last().unwrap() ^ 1], whole.len() as u64 - 1).unwrap();
    while broker.cleaner.run_once() {}
    broker.cleaner.run_once();
    broker.cleaner.run_once();
    assert_eq!((contents(&fine).len(), broken.number_of_segments()), (1, 4));
    let metrics = broker.cleaner.metrics();
    assert_eq!(metrics.uncleanable_partitions_count, [(PathBuf::from("/a"), 1)].into());
    assert!(metrics.uncleanable_bytes[Path::new("/a")] > 0);
    assert!(!broker.logs.failures().is_offline(Path::new("/a")), "the disk is fine");
    broker.logs.delete_log(&partition(0)).unwrap();
    broker.cleaner.run_once();
    assert!(broker.cleaner.metrics().uncleanable_partitions_count.is_empty());
}

#[test]
fn retention_of_compacted_logs_is_the_cleaners() {
    let broker = broker();
    let both = LogConfig { delete: true, retention_ms: 1000, ..compacted() };
    let (log, other) =
        (broker.create(0, both), broker.create(1, LogConfig { retention_ms: 1000, ..LogConfig::default() }));
    let only_compacted = broker.create(2, compacted());
    for log in [&log, &other, &only_compacted] {
        write(log, 3);
    }
    broker.time.advance_ms(1001);
    assert_eq!(broker.logs.cleanup_logs(), 3);
    assert_eq!((other.number_of_segments(), log.number_of_segments()), (1, 4));
    broker.cleaner.run_once();
    broker.cleaner.run_once();
    assert_eq!((log.log_start_offset(), log.number_of_segments()), (3, 1));
    assert_eq!(only_compacted.log_start_offset(), 0);
    // Records somebody deleted go from any log.
    let reason = LogStartOffsetIncrementReason::ClientRecordDeletion;
    only_compacted.maybe_increment_log_start_offset(3, reason).unwrap();
    broker.cleaner.run_once();
    assert_eq!(only_compacted.number_of_segments(), 1);
}

#[test]
fn a_failed_disk_is_its_directorys_trouble_only() {
    let broker = broker();
    let log = broker.create(0, compacted());
    write(&log, 3);
    broker.disk.fail_after(10);
    broker.cleaner.run_once();
    broker.disk.heal();
    assert!(broker.logs.failures().is_offline(Path::new("/a")));
    assert_eq!(broker.logs.handle_log_dir_failures().len(), 1);
    assert!(!broker.cleaner.run_once());
    assert!(
        broker.cleaner.metrics().uncleanable_partitions_count.is_empty(),
        "nothing is wrong with the log"
    );
}

#[test]
fn who_pauses_a_log_awaits_its_cleaner() {
    let broker = broker();
    let log = broker.create(0, compacted());
    write(&log, 3);
    let manager = broker.cleaner.manager();
    let (found, _) = manager.grab_filthiest_compacted_log(NOW);
    let found = found.expect("the log is dirty");
    assert_eq!(manager.grab_filthiest_compacted_log(NOW).0.map(|found| found.range), None, "it is taken");
    let (paused, wait) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            manager.abort_and_pause_cleaning(&partition(0));
            paused.send(()).unwrap();
        });
        while manager.check_aborted(&partition(0)).is_ok() {
            std::thread::yield_now();
        }
        assert!(wait.try_recv().is_err(), "the cleaner is at work");
        manager.done_cleaning(&found.log, 3);
        wait.recv_timeout(Duration::from_secs(10)).unwrap();
    });
    assert_eq!(manager.checkpoint(&log), None, "what it did does not count");
    assert!(!broker.cleaner.run_once());
    manager.resume_cleaning(&partition(0));
    assert!(broker.cleaner.run_once());
}

#[test]
fn threads_compact_by_themselves() {
    let broker = broker();
    let log = broker.create(0, compacted());
    write(&log, 5);
    let wait_until = |done: &dyn Fn() -> bool| {
        for _ in 0..1000 {
            if done() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the threads do nothing");
    };
    let fast = CleanerConfig { threads: 2, backoff_ms: 10, ..CleanerConfig::default() };
    broker.cleaner.reconfigure(fast.clone()).unwrap();
    wait_until(&|| broker.cleaner.cleaned_offset(&log) == Some(5));
    assert_eq!(contents(&log).len(), 1);
    assert!(broker.cleaner.reconfigure(CleanerConfig { threads: 0, ..fast }).is_err());
    broker.cleaner.reconfigure(CleanerConfig { threads: 1, ..fast }).unwrap();
    // One that loses its policy is let go, however the threads are doing.
    broker.logs.update_topic_config("topic", &Arc::default());
    write(&log, 3);
    assert_eq!(broker.cleaner.metrics().dead_thread_count, 0);
    broker.logs.shutdown(1);
    assert_eq!(contents(&log).len(), 4);
}
