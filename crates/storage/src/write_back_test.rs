use std::time::{Duration, Instant};

use ottla_common::TopicPartition;
use ottla_common::time::MockTime;

use super::*;
use crate::LogManagerParams;
use crate::fs::sim::SimFileSystem;
use crate::producer_state::ProducerStateManagerConfig;
use crate::test_support::{NOW, append, batch};

const DIR: &str = "/logs";

fn start(disk: &SimFileSystem) -> Arc<LogManager> {
    let manager = LogManager::open(LogManagerParams {
        fs: Arc::new(disk.clone()),
        time: Arc::new(MockTime::new(NOW)),
        log_dirs: vec![PathBuf::from(DIR)],
        default_config: Arc::default(),
        recovery_threads_per_data_dir: 1,
        producer_state: ProducerStateManagerConfig::default(),
    });
    let manager = manager.expect("the directory works");
    manager.load_logs(&|_| Arc::default(), &|_| false).expect("the logs load");
    manager
}

fn create(manager: &LogManager) -> Arc<UnifiedLog> {
    let partition = TopicPartition::new("topic", 0);
    manager.get_or_create_log(&partition, None, Arc::default(), None).expect("the log is made")
}

/// The recovery point on disk.
fn checkpointed(disk: &SimFileSystem) -> Option<i64> {
    let text = disk.content(&Path::new(DIR).join("recovery-point-offset-checkpoint"))?;
    let text = String::from_utf8(text).ok()?;
    text.lines().find_map(|line| line.strip_prefix("topic 0 "))?.parse().ok()
}

#[test]
fn a_log_is_due_a_while_after_the_first_of_enough_bytes() {
    let mut queue = Queue::default();
    let a = Weak::new();
    assert!(!queue.note(&a, LOG_BYTES - 1, Instant::now()));
    assert!(queue.due().is_none());
    let since = queue.logs.values().next().unwrap().since;
    assert!(queue.note(&a, 1, Instant::now()), "the thread has to look at this");
    assert!(!queue.note(&a, 1, Instant::now()), "it has been told");
    let (key, at) = queue.due().unwrap();
    assert_eq!(at, since + LINGER);
    assert!(queue.take(key).is_some() && queue.due().is_none());
    assert_eq!(queue.bytes, 0);
}

#[test]
fn too_much_in_a_directory_does_not_linger() {
    let mut queue = Queue::default();
    let a = Weak::new();
    let most = DIRECTORY_BYTES;
    assert!(queue.note(&a, most, Instant::now()) && queue.note(&a, 1, Instant::now()));
    let (key, at) = queue.due().unwrap();
    assert!(at <= Instant::now() && queue.take(key).is_some());
}

#[test]
fn what_is_appended_gets_to_the_disk_by_itself() {
    let disk = SimFileSystem::new(1);
    let manager = start(&disk);
    let log = create(&manager);
    let half = batch(20_000, NOW);
    assert!(half.len() < NOTED_BYTES, "{}", half.len());
    while (log.size() as usize) < LOG_BYTES as usize + NOTED_BYTES {
        append(&log, half.clone());
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while checkpointed(&disk).is_none_or(|offset| offset == 0) {
        assert!(Instant::now() < deadline, "the recovery point was not written");
        std::thread::yield_now();
    }
    assert!(checkpointed(&disk).is_some_and(|offset| offset <= log.recovery_point()));
    let snapshot = format!("{:020}.snapshot", log.recovery_point());
    assert!(disk.content(&log.dir().join(snapshot)).is_some());
}

#[test]
fn what_a_killed_process_left_gets_to_the_disk_by_itself() {
    let disk = SimFileSystem::new(1);
    let manager = start(&disk);
    let log = create(&manager);
    manager.stop_write_back();
    while (log.size() as usize) < LOG_BYTES as usize + NOTED_BYTES {
        append(&log, batch(20_000, NOW));
    }
    let end = log.log_end_offset();
    assert_eq!(log.recovery_point(), 0, "nothing was forced to disk");
    // The process is gone, the machine is not: what was written is there, if not on disk.
    let next = disk.kill();
    let manager = start(&next);
    let log = create(&manager);
    assert_eq!(log.log_end_offset(), end);
    let deadline = Instant::now() + Duration::from_secs(60);
    while log.recovery_point() < end {
        assert!(Instant::now() < deadline, "the recovery point stays at {}", log.recovery_point());
        std::thread::yield_now();
    }
    while checkpointed(&next) != Some(end) {
        assert!(Instant::now() < deadline, "a second kill would find {:?}", checkpointed(&next));
        std::thread::yield_now();
    }
}

#[test]
fn a_recovery_point_on_disk_is_lowered_before_records_are_appended() {
    let disk = SimFileSystem::new(1);
    let manager = start(&disk);
    let log = create(&manager);
    for _ in 0..10 {
        append(&log, batch(1, NOW));
    }
    log.flush(false).unwrap();
    manager.checkpoint_recovery_point_offsets();
    assert_eq!(checkpointed(&disk), Some(10));
    log.truncate_to(4).unwrap();
    append(&log, batch(1, NOW));
    assert_eq!(checkpointed(&disk), Some(4));
    log.flush(false).unwrap();
    manager.checkpoint_recovery_point_offsets();
    assert_eq!(checkpointed(&disk), Some(5));
    log.truncate_fully_and_start_at(2, None).unwrap();
    append(&log, batch(1, NOW));
    assert_eq!(checkpointed(&disk), Some(2));
    // What is lost at a start counts, too.
    log.flush(false).unwrap();
    manager.checkpoint_recovery_point_offsets();
    let next = disk.kill();
    next.put(&log.dir().join("00000000000000000002.log"), Vec::new());
    let manager = start(&next);
    append(&create(&manager), batch(1, NOW));
    assert_eq!(checkpointed(&next), Some(2));
}

#[test]
fn a_deleted_log_leaves_no_recovery_point_to_its_successor() {
    let disk = SimFileSystem::new(1);
    let manager = start(&disk);
    let log = create(&manager);
    append(&log, batch(5, NOW));
    log.flush(false).unwrap();
    manager.checkpoint_recovery_point_offsets();
    assert_eq!(checkpointed(&disk), Some(5));
    manager.delete_log(log.topic_partition()).unwrap();
    assert_eq!(checkpointed(&disk), None);
}

#[test]
fn a_disk_that_fails_takes_the_directory_offline() {
    let disk = SimFileSystem::new(1);
    let manager = start(&disk);
    let log = create(&manager);
    append(&log, batch(5, NOW));
    disk.fail_after(0);
    assert!(log.write_back().is_err());
    disk.heal();
    assert!(manager.failures().is_offline(Path::new(DIR)));
    assert_eq!(log.recovery_point(), 0);
}
