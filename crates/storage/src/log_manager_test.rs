use std::path::Path;

use ottla_common::ErrorCode;
use ottla_common::time::MockTime;

use super::*;
use crate::VerificationGuard;
use crate::fs::sim::SimFileSystem;
use crate::meta_properties::MetaProperties;
use crate::test_support::{NOW, append, batch, read_offsets, replicate_all};

struct Broker {
    disk: SimFileSystem,
    time: Arc<MockTime>,
}

impl Broker {
    fn new() -> Self {
        let disk = SimFileSystem::new(3);
        for (i, dir) in ["/a", "/b"].iter().enumerate() {
            disk.create_dir_all(Path::new(dir)).unwrap();
            let directory_id = Some(Uuid::from_u128(1000 + i as u128));
            MetaProperties { directory_id, ..Default::default() }.write(&disk, Path::new(dir)).unwrap();
        }
        Self { disk, time: Arc::new(MockTime::new(NOW)) }
    }

    fn open(&self) -> Arc<LogManager> {
        self.try_open().expect("the directories work")
    }

    fn try_open(&self) -> Result<Arc<LogManager>, LogError> {
        LogManager::open(LogManagerParams {
            fs: Arc::new(self.disk.clone()),
            time: self.time.clone(),
            log_dirs: vec![PathBuf::from("/a"), PathBuf::from("/b")],
            default_config: Arc::default(),
            recovery_threads_per_data_dir: 2,
            producer_state: ProducerStateManagerConfig::default(),
        })
    }

    fn start(&self) -> Arc<LogManager> {
        let manager = self.open();
        manager.load_logs(&|_| Arc::default(), &|_| false).expect("the logs load");
        manager
    }
}

fn partition(index: i32) -> TopicPartition {
    TopicPartition::new("topic", index)
}

fn create(manager: &LogManager, index: i32) -> Arc<UnifiedLog> {
    let id = Some(Uuid::from_u128(777));
    manager.get_or_create_log(&partition(index), id, Arc::default(), None).expect("the log is made")
}

#[test]
fn logs_are_spread_and_found_again() {
    let broker = Broker::new();
    let manager = broker.start();
    for index in 0..4 {
        let log = create(&manager, index);
        append(&log, batch(index as usize + 1, NOW));
        replicate_all(&log);
    }
    let in_a = manager.all_logs().iter().filter(|log| log.parent_dir() == Path::new("/a")).count();
    assert_eq!(in_a, 2);
    assert!(Arc::ptr_eq(&create(&manager, 0), &manager.get_log(&partition(0)).unwrap()));
    manager.shutdown(5);
    drop(manager);
    let manager = broker.open();
    assert_eq!(manager.previous_broker_epoch(), 5);
    manager.load_logs(&|_| Arc::default(), &|_| false).unwrap();
    for index in 0..4 {
        let log = manager.get_log(&partition(index)).unwrap();
        assert_eq!(
            (log.log_end_offset(), log.high_watermark()),
            (i64::from(index) + 1, i64::from(index) + 1)
        );
        assert_eq!(log.topic_id(), Some(Uuid::from_u128(777)));
    }
    // The marker is gone: what comes now is a crash.
    drop(manager);
    assert_eq!(broker.open().previous_broker_epoch(), -1);
}

#[test]
fn a_directory_can_be_asked_for() {
    let broker = Broker::new();
    let manager = broker.start();
    let ask = |index, id| manager.get_or_create_log(&partition(index), None, Arc::default(), Some(id));
    assert_eq!(ask(0, Uuid::from_u128(1001)).unwrap().parent_dir(), Path::new("/b"));
    assert_eq!(ask(1, Uuid::from_u128(1001)).unwrap().parent_dir(), Path::new("/b"));
    assert_eq!(ask(2, Uuid::UNASSIGNED_DIR).unwrap().parent_dir(), Path::new("/a"));
    assert_eq!(ask(3, Uuid::from_u128(555)).unwrap_err().code(), ErrorCode::LogDirNotFound);
    manager.update_cordoned_log_dirs([PathBuf::from("/a")].into());
    assert_eq!(ask(4, Uuid::UNASSIGNED_DIR).unwrap().parent_dir(), Path::new("/b"));
    let described = manager.describe_log_dirs();
    assert!(described[0].is_cordoned && !described[1].is_cordoned);
    assert_eq!(described[1].replicas.len(), 3);
    assert!(described[1].total_bytes > 0);
}

#[test]
fn settings_of_producers_reach_every_log() {
    let manager = Broker::new().start();
    let before = create(&manager, 0);
    let verifies = |log: &UnifiedLog| {
        log.maybe_start_transaction_verification(5, 0, 0, false).unwrap() != VerificationGuard::SENTINEL
    };
    assert!(verifies(&before));
    let config = ProducerStateManagerConfig { transaction_verification_enabled: false, ..Default::default() };
    manager.update_producer_state_config(config);
    assert!(!verifies(&before));
    assert!(!verifies(&create(&manager, 1)), "also one that is made later");
}

#[test]
fn deleted_logs_go_after_a_while() {
    let broker = Broker::new();
    let manager = broker.start();
    append(&create(&manager, 0), batch(1, NOW));
    let kept = create(&manager, 1);
    assert!(manager.delete_log(&partition(0)).unwrap());
    assert!(!manager.delete_log(&partition(0)).unwrap());
    assert!(manager.get_log(&partition(0)).is_none());
    let folders = |dir: &str| -> Vec<String> {
        let entries = broker.disk.list_dir(Path::new(dir)).unwrap();
        entries.into_iter().filter(|e| e.is_dir).map(|e| e.name).collect()
    };
    let renamed = folders("/a");
    assert!(renamed[0].starts_with("topic-0.") && renamed[0].ends_with("-delete"), "{renamed:?}");
    manager.run_background_tasks();
    assert_eq!(folders("/a"), renamed);
    // A new log of the same name does not meet the old one, nor does a restart forget it.
    append(&create(&manager, 0), batch(2, NOW));
    manager.shutdown(-1);
    drop((manager, kept));
    let manager = broker.start();
    assert_eq!(manager.get_log(&partition(0)).unwrap().log_end_offset(), 2);
    broker.time.advance_ms(60_000);
    manager.run_background_tasks();
    assert!(folders("/a").iter().all(|name| !name.ends_with("-delete")), "{:?}", folders("/a"));
}

#[test]
fn a_directory_is_used_once() {
    let broker = Broker::new();
    let manager = broker.open();
    assert!(matches!(broker.try_open(), Err(LogError::Locked(_))));
    drop(manager);
    assert!(broker.try_open().is_ok());
}

#[test]
fn stray_logs_are_set_aside() {
    let broker = Broker::new();
    let manager = broker.start();
    append(&create(&manager, 0), batch(1, NOW));
    create(&manager, 1);
    manager.shutdown(-1);
    drop(manager);
    let manager = broker.open();
    manager.load_logs(&|_| Arc::default(), &|log| log.topic_partition().partition == 0).unwrap();
    assert_eq!(manager.all_logs().len(), 1);
    let entries = broker.disk.list_dir(Path::new("/a")).unwrap();
    assert!(entries.iter().any(|e| e.name.starts_with("topic-0.") && e.name.ends_with("-stray")));
    drop(manager);
    assert_eq!(broker.start().all_logs().len(), 1, "and left alone from then on");
}

#[test]
fn checkpoints_are_kafkas() {
    let broker = Broker::new();
    let manager = broker.start();
    let log = create(&manager, 0);
    append(&log, batch(5, NOW));
    replicate_all(&log);
    let reason = crate::LogStartOffsetIncrementReason::ClientRecordDeletion;
    log.maybe_increment_log_start_offset(3, reason).unwrap();
    manager.checkpoint_high_watermarks();
    manager.checkpoint_log_start_offsets();
    manager.checkpoint_recovery_point_offsets();
    let text =
        |name: &str| String::from_utf8(broker.disk.content(&Path::new("/a").join(name)).unwrap()).unwrap();
    assert_eq!(text("replication-offset-checkpoint"), "0\n1\ntopic 0 5\n");
    assert_eq!(text("log-start-offset-checkpoint"), "0\n1\ntopic 0 3\n");
    assert_eq!(text("recovery-point-offset-checkpoint"), "0\n1\ntopic 0 3\n");
    drop((manager, log));
    // Power fails; nothing was flushed but checkpoints.
    let log = broker.start().get_log(&partition(0)).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.high_watermark()), (3, 5, 5));
    assert_eq!(read_offsets(&log, 3), [3, 4]);
}

#[test]
fn one_directory_failing_leaves_the_others() {
    let broker = Broker::new();
    let manager = broker.start();
    let (in_a, in_b) = (create(&manager, 0), create(&manager, 1));
    let error = std::io::Error::other("broken");
    manager.failures().maybe_add_offline_log_dir(Path::new("/a"), "test", &error);
    assert_eq!(manager.offline_log_dirs(), [PathBuf::from("/a")]);
    assert!(crate::test_support::try_append(&in_a, batch(1, NOW)).is_err());
    append(&in_b, batch(1, NOW));
    assert_eq!(manager.offline_directory_ids(), [Uuid::from_u128(1000)]);
    let failed = manager.handle_log_dir_failures();
    assert_eq!(manager.offline_directory_ids(), [Uuid::from_u128(1000)]);
    assert_eq!(failed, [(PathBuf::from("/a"), Some(Uuid::from_u128(1000)))]);
    assert!(manager.handle_log_dir_failures().is_empty());
    assert!(manager.get_log(&partition(0)).is_none() && manager.get_log(&partition(1)).is_some());
    assert_eq!(manager.describe_log_dirs()[0].error, ErrorCode::KafkaStorageError);
    assert!(!manager.online_log_dir_id(Uuid::from_u128(1000)));
    manager.shutdown(1);
    assert!(broker.disk.content(Path::new("/a/.kafka_cleanshutdown")).is_none());
    assert!(broker.disk.content(Path::new("/b/.kafka_cleanshutdown")).is_some());
}

#[test]
fn the_metadata_log_is_left_to_kraft() {
    let broker = Broker::new();
    broker.disk.create_dir_all(Path::new("/a/__cluster_metadata-0")).unwrap();
    assert!(broker.start().all_logs().is_empty());
    broker.disk.create_dir_all(Path::new("/a/nonsense")).unwrap();
    let refused = broker.open().load_logs(&|_| Arc::default(), &|_| false);
    assert!(matches!(refused, Err(LogError::InvalidFolderName(_))));
}

#[test]
fn new_logs_do_not_wait_for_the_disk() {
    let broker = Broker::new();
    let manager = broker.start();
    let syncs = broker.disk.syncs();
    let logs: Vec<Arc<UnifiedLog>> = (0..20).map(|index| create(&manager, index)).collect();
    logs.iter().for_each(|log| log.assign_epoch_start_offset(3, 0));
    assert_eq!(broker.disk.syncs(), syncs);
    let path = |index: i32, name: &str| logs[index as usize].dir().join(name);
    assert!(broker.disk.content(&path(0, "partition.metadata")).is_none());
    // The first append does what is left for one log, the task in the background for all others.
    append(&logs[0], batch(1, NOW));
    assert!(broker.disk.content(&path(0, "partition.metadata")).is_some());
    assert!(broker.disk.content(&path(1, "partition.metadata")).is_none());
    manager.run_background_tasks();
    for index in 0..20 {
        assert!(broker.disk.content(&path(index, "partition.metadata")).is_some());
        let epochs = broker.disk.content(&path(index, "leader-epoch-checkpoint")).unwrap();
        assert!(String::from_utf8(epochs).unwrap().starts_with("0\n1\n3 0\n") || index == 0);
    }
    let syncs = broker.disk.syncs();
    manager.run_background_tasks();
    assert_eq!(broker.disk.syncs(), syncs);
}

#[test]
fn a_new_log_survives_a_crash_whole_or_empty() {
    for seed in 0..40 {
        let disk = SimFileSystem::new(seed);
        let mut broker = Broker { disk, ..Broker::new() };
        for dir in ["/a", "/b"] {
            broker.disk.create_dir_all(Path::new(dir)).unwrap();
        }
        let manager = broker.start();
        let (written, empty) = (create(&manager, 0), create(&manager, 1));
        for log in [&written, &empty] {
            log.assign_epoch_start_offset(0, 0);
        }
        append(&written, batch(2, NOW));
        written.flush(true).unwrap();
        match seed % 3 {
            0 => manager.run_background_tasks(),
            1 => empty.write_folder().unwrap(),
            _ => {}
        }
        broker.disk = broker.disk.crash();
        let manager = broker.start();
        let log = manager.get_log(&partition(0)).unwrap();
        assert_eq!(log.log_end_offset(), 2);
        assert_eq!(log.topic_id(), Some(Uuid::from_u128(777)));
        assert_eq!(log.leader_epoch_entries().len(), 1);
        // Nobody's records are in the other, so any topic of that name may have it, unless it says whose it is.
        if let Some(log) = manager.get_log(&partition(1)) {
            assert_eq!(log.log_end_offset(), 0);
            let other = log.assign_topic_id(Uuid::from_u128(778));
            assert!(seed % 3 > 0 || other.is_err());
            append(&log, batch(1, NOW));
        }
    }
}
