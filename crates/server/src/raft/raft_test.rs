//! The quorum of one on a real disk.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ottla_common::Uuid;
use ottla_common::time::{SystemTime, Time};
use ottla_metadata::ApiMessageAndVersion;
use ottla_protocol::messages::{DescribeQuorumRequest, FetchRequest, describe_quorum_request, fetch_request};
use ottla_protocol::records::metadata::NoOpRecord;
use ottla_raft::snapshot::RecordsSnapshotWriter;
use ottla_raft::{
    CLUSTER_METADATA_TOPIC, Endpoints, LeaderAndEpoch, OffsetAndEpoch, ReplicaKey, VoterNode, VoterSet,
};
use ottla_storage::fs::OsFileSystem;

use super::{AppendError, CommittedBatch, RaftClient, RaftConfig, RaftListener, SnapshotReader};

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
enum Event {
    Commit(Vec<Arc<CommittedBatch>>),
    Snapshot(OffsetAndEpoch, usize),
    Leader(LeaderAndEpoch),
    Shutdown,
}

struct Recorder(Sender<Event>);

impl RaftListener for Recorder {
    fn handle_commit(&mut self, batches: &[Arc<CommittedBatch>]) {
        let _ = self.0.send(Event::Commit(batches.to_vec()));
    }
    fn handle_load_snapshot(&mut self, mut snapshot: SnapshotReader) {
        let records = snapshot.read_all().expect("the snapshot is whole");
        let _ = self.0.send(Event::Snapshot(snapshot.snapshot_id(), records.len()));
    }
    fn handle_leader_change(&mut self, leader: LeaderAndEpoch) {
        let _ = self.0.send(Event::Leader(leader));
    }
    fn begin_shutdown(&mut self) {
        let _ = self.0.send(Event::Shutdown);
    }
}

fn config(dir: &Path) -> RaftConfig {
    let mut config = RaftConfig::new(1, Uuid::from_u128(77), "cluster".to_owned(), dir.to_owned());
    config.static_voters = VoterSet::from_static("CONTROLLER", [(1, "localhost".to_owned(), 9093)]);
    config.local_listeners = Endpoints::EMPTY.with("CONTROLLER", "localhost", 9093);
    config
}

fn start(config: RaftConfig) -> (RaftClient, Receiver<Event>) {
    let client = RaftClient::start(config, Arc::new(OsFileSystem), Arc::new(SystemTime::default())).unwrap();
    let (sender, receiver) = channel();
    client.register(Box::new(Recorder(sender)));
    (client, receiver)
}

fn wait_for<T>(events: &Receiver<Event>, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    loop {
        let event = events.recv_timeout(PATIENCE).expect("it happens in time");
        if let Some(found) = wanted(event) {
            return found;
        }
    }
}

fn wait_for_leadership(events: &Receiver<Event>) -> i32 {
    wait_for(events, |event| match event {
        Event::Leader(leader) if leader.is_leader(1) => Some(leader.epoch),
        _ => None,
    })
}

/// Waits until the offset is committed; returns how many metadata records came on the way.
fn wait_for_commit(events: &Receiver<Event>, offset: i64) -> usize {
    let mut seen = 0;
    wait_for(events, |event| {
        let Event::Commit(batches) = event else { return None };
        seen += batches.iter().map(|batch| batch.records.len()).sum::<usize>();
        batches.last().filter(|last| last.last_offset >= offset).map(|_| seen)
    })
}

fn no_op() -> ApiMessageAndVersion {
    use ottla_protocol::records::metadata::MetadataRecord;
    ApiMessageAndVersion { message: MetadataRecord::NoOpRecord(NoOpRecord::default()), version: 0 }
}

#[test]
fn a_quorum_of_one_elects_itself_commits_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (client, events) = start(config(dir.path()));
    assert_eq!(wait_for_leadership(&events), 1);
    let offset = client.schedule_append(1, vec![no_op(), no_op()]).unwrap();
    assert_eq!(offset, 2, "the leader change record comes first");
    assert_eq!(wait_for_commit(&events, offset), 2);
    assert_eq!(client.high_watermark(), Some(3));
    assert!(matches!(client.schedule_append(0, vec![no_op()]), Err(AppendError::NotLeader { .. })));
    assert!(client.shutdown(PATIENCE));
    wait_for(&events, |event| matches!(event, Event::Shutdown).then_some(()));
    assert!(matches!(client.schedule_append(1, vec![no_op()]), Err(AppendError::NotLeader { .. })));

    let (client, events) = start(config(dir.path()));
    assert_eq!(wait_for_leadership(&events), 2, "a leader never leads the same epoch again");
    let offset = client.schedule_append(2, vec![no_op()]).unwrap();
    assert_eq!(offset, 4);
    assert_eq!(wait_for_commit(&events, offset), 1);
    assert!(client.shutdown(PATIENCE));
}

#[test]
fn listeners_start_from_the_latest_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let (client, events) = start(config(dir.path()));
    let epoch = wait_for_leadership(&events);
    let offset = client.schedule_append(epoch, vec![no_op(), no_op()]).unwrap();
    wait_for_commit(&events, offset);
    let id = OffsetAndEpoch::new(offset + 1, epoch);
    assert!(client.create_snapshot(OffsetAndEpoch::new(offset, epoch), 5).is_err(), "inside a batch");
    assert!(client.create_snapshot(OffsetAndEpoch::new(offset + 9, epoch), 5).is_err(), "not committed");
    assert!(client.create_snapshot(OffsetAndEpoch::new(offset + 1, epoch + 1), 5).is_err(), "other epoch");
    let mut writer = client.create_snapshot(id, 5).unwrap().unwrap();
    writer.append(&[no_op(), no_op(), no_op()]).unwrap();
    assert_eq!(client.latest_snapshot_id(), None);
    writer.freeze().unwrap();
    assert_eq!(client.latest_snapshot_id(), Some(id));
    assert!(client.create_snapshot(id, 5).unwrap().is_none());
    let offset = client.schedule_append(epoch, vec![no_op()]).unwrap();
    wait_for_commit(&events, offset);
    // A listener that comes late, and one of the next run.
    let (sender, late) = channel();
    client.register(Box::new(Recorder(sender)));
    let check = |events: &Receiver<Event>| {
        let found = wait_for(events, |event| match event {
            Event::Snapshot(id, records) => Some((id, records)),
            Event::Commit(batches) => panic!("{batches:?} came before the snapshot"),
            Event::Leader(_) | Event::Shutdown => None,
        });
        assert_eq!(found, (id, 3));
        assert_eq!(wait_for_commit(events, offset), 1);
    };
    check(&late);
    assert!(client.shutdown(PATIENCE));
    let (client, events) = start(config(dir.path()));
    check(&events);
    assert!(client.shutdown(PATIENCE));
}

#[test]
fn snapshots_make_the_log_before_them_superfluous() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.segment_bytes = 2_000;
    let (client, events) = start(config.clone());
    let epoch = wait_for_leadership(&events);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let append = |_| client.schedule_append(epoch, vec![no_op()]).unwrap();
        let offset = (0..60).map(append).fold(0, i64::max);
        wait_for_commit(&events, offset);
        let id = OffsetAndEpoch::new(offset + 1, epoch);
        let mut writer = client.create_snapshot(id, 5).unwrap().unwrap();
        writer.append(&[no_op()]).unwrap();
        writer.freeze().unwrap();
        ids.push(id);
    }
    assert_eq!(client.log_start_offset(), 0);
    assert!(client.shutdown(PATIENCE));
    config.max_retention_bytes = 0;
    for round in 0..2 {
        let (client, events) = start(config.clone());
        let epoch = wait_for_leadership(&events);
        let offset = client.schedule_append(epoch, vec![no_op()]).unwrap();
        wait_for_commit(&events, offset);
        // Cleaning follows the first commit; what comes after is handled after it.
        let offset = client.schedule_append(epoch, vec![no_op()]).unwrap();
        wait_for_commit(&events, offset);
        // No checkpoint keeps the exact start: after a restart it is where the first segment starts.
        let start_offset = client.log_start_offset();
        let exact = start_offset == ids[2].offset;
        assert!(exact || (round > 0 && (ids[1].offset..ids[2].offset).contains(&start_offset)));
        assert_eq!(client.latest_snapshot_id(), Some(ids[2]));
        let too_old = client.create_snapshot(ids[1], 5).unwrap();
        assert!(too_old.is_none(), "the log starts later");
        assert!(client.shutdown(PATIENCE));
    }
    let log_dir = dir.path().join("__cluster_metadata-0");
    let names = std::fs::read_dir(log_dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.collect();
    let count = |suffix: &str| names.iter().filter(|name| name.ends_with(suffix)).count();
    assert_eq!(count(".checkpoint"), 1, "{names:?}");
    assert!(!names.contains(&"00000000000000000000.log".to_owned()), "{names:?}");
}

/// What formatting with `--standalone` leaves.
fn format_standalone(dir: &Path, config: &RaftConfig) {
    let voter = VoterNode {
        key: ReplicaKey::new(config.node_id, config.directory_id),
        listeners: Endpoints::EMPTY.with("CONTROLLER", "formatted", 1),
        supported_kraft_versions: (0, 1),
    };
    let voters = VoterSet::new([voter]);
    let id = OffsetAndEpoch::BOOTSTRAP_SNAPSHOT_ID;
    let (mut writer, header) = RecordsSnapshotWriter::new(id, 1, 1, 1, Some(&voters)).unwrap();
    let mut bytes = header.to_vec();
    writer.append(1, no_op().to_bytes().unwrap()).unwrap();
    writer.finish(1).unwrap().iter().for_each(|batch| bytes.extend_from_slice(batch));
    let log_dir = dir.join("__cluster_metadata-0");
    std::fs::create_dir_all(&log_dir).unwrap();
    std::fs::write(log_dir.join("00000000000000000000-0000000000.checkpoint"), bytes).unwrap();
}

#[test]
fn a_dynamic_quorum_starts_from_what_formatting_left() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.static_voters = VoterSet::default();
    format_standalone(dir.path(), &config);
    let run = |config: &RaftConfig| {
        let (client, events) = start(config.clone());
        let epoch = wait_for_leadership(&events);
        let offset = client.schedule_append(epoch, vec![no_op()]).unwrap();
        wait_for_commit(&events, offset);
        let port = client.voters().listeners(1).unwrap().get("CONTROLLER").unwrap().port;
        let latest = client.latest_snapshot_id();
        let found = (offset, port, client.kraft_version());
        assert!(client.shutdown(PATIENCE));
        assert_eq!(latest, Some(OffsetAndEpoch::BOOTSTRAP_SNAPSHOT_ID));
        found
    };
    // The leader's first batch repeats kraft.version and voters, with the listeners of today.
    assert_eq!(run(&config), (3, 9093, 1));
    // Once they are in the log they are not written again,
    assert_eq!(run(&config), (5, 9093, 1));
    // unless the listeners moved.
    config.local_listeners = Endpoints::EMPTY.with("CONTROLLER", "localhost", 9999);
    assert_eq!(run(&config), (9, 9999, 1));
}

#[test]
fn prepared_records_wait_for_the_schedule() {
    let dir = tempfile::tempdir().unwrap();
    let (client, events) = start(config(dir.path()));
    let epoch = wait_for_leadership(&events);
    let first = client.prepare_append(epoch, vec![no_op()]).unwrap();
    let second = client.prepare_append(epoch, vec![no_op()]).unwrap();
    assert_eq!(second, first + 1);
    assert_eq!(client.log_end_offset(), first);
    client.schedule_prepared_append();
    assert_eq!(wait_for_commit(&events, second), 2);
    assert!(client.shutdown(PATIENCE));
}

#[tokio::test]
async fn observers_fetch_and_are_described() {
    let dir = tempfile::tempdir().unwrap();
    let (client, events) = start(config(dir.path()));
    let epoch = wait_for_leadership(&events);
    let offset = client.schedule_append(epoch, vec![no_op()]).unwrap();
    wait_for_commit(&events, offset);
    let fetch = |fetch_offset: i64, last_fetched_epoch: i32, max_wait_ms: i32| FetchRequest {
        max_wait_ms,
        max_bytes: 1 << 20,
        replica_state: fetch_request::ReplicaState { replica_id: 9, ..Default::default() },
        topics: vec![fetch_request::FetchTopic {
            topic_id: Uuid::METADATA_TOPIC_ID,
            partitions: vec![fetch_request::FetchPartition {
                current_leader_epoch: epoch,
                fetch_offset,
                last_fetched_epoch,
                high_watermark: 2,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let all = client.handle_fetch(fetch(0, 0, 0), 17).await;
    let partition = &all.responses[0].partitions[0];
    assert_eq!((partition.error_code, partition.high_watermark), (0, 2));
    let bytes = partition.records.clone().unwrap().into_bytes();
    assert_eq!(ottla_record::MemoryRecords::new(bytes).batches().count(), 2);
    // Nothing new: the answer waits for the next append.
    let waiting = client.handle_fetch(fetch(2, epoch, 30_000), 17);
    let append = async { client.schedule_append(epoch, vec![no_op()]) };
    let (news, appended) = tokio::join!(waiting, append);
    appended.unwrap();
    assert!(!news.responses[0].partitions[0].records.clone().unwrap().is_empty());
    let describe = DescribeQuorumRequest {
        topics: vec![describe_quorum_request::TopicData {
            topic_name: CLUSTER_METADATA_TOPIC.into(),
            partitions: vec![Default::default()],
            ..Default::default()
        }],
        ..Default::default()
    };
    let described = client.describe_quorum(describe, 2).await;
    let partition = &described.topics[0].partitions[0];
    assert_eq!((partition.leader_id, partition.leader_epoch), (1, epoch));
    assert_eq!(partition.current_voters.len(), 1);
    assert_eq!(partition.observers[0].replica_id, 9);
    assert_eq!(described.nodes[0].listeners[0].port, 9093);
    assert!(client.shutdown(PATIENCE));
}

#[test]
fn many_appenders_share_fsyncs() {
    let dir = tempfile::tempdir().unwrap();
    let (client, events) = start(config(dir.path()));
    let epoch = wait_for_leadership(&events);
    let time = SystemTime::default();
    let began = time.monotonic_ns();
    let last = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let offset = client.schedule_append(epoch, vec![no_op()]).unwrap();
                    let mut last = last.lock().unwrap();
                    *last = offset.max(*last);
                }
            });
        }
    });
    assert_eq!(wait_for_commit(&events, 400), 400);
    println!("400 appends in {} us", (time.monotonic_ns() - began) / 1_000);
    assert!(client.shutdown(PATIENCE));
}

/// For a look by hand at what Apache Kafka left in a folder, or for its tools to look at what this leaves.
#[test]
#[ignore = "needs a folder in OTTLA_RAFT_DIR"]
fn by_hand() {
    let Ok(dir) = std::env::var("OTTLA_RAFT_DIR") else { return };
    let mut config = config(Path::new(&dir));
    if std::env::var("OTTLA_RAFT_DYNAMIC").is_ok() {
        config.static_voters = VoterSet::default();
    }
    let meta = ottla_storage::MetaProperties::read(&OsFileSystem, Path::new(&dir)).unwrap().unwrap();
    config.directory_id = meta.directory_id.unwrap();
    let (client, events) = start(config);
    let epoch = wait_for_leadership(&events);
    println!("leads epoch {epoch}, log {}..{}", client.log_start_offset(), client.log_end_offset());
    println!("voters {:?} kraft.version {}", client.voters(), client.kraft_version());
    let offset = client.schedule_append(epoch, vec![no_op(), no_op()]).unwrap();
    println!("records {}", wait_for_commit(&events, offset));
    assert!(client.shutdown(PATIENCE));
}

#[test]
fn an_idle_leader_appends_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (client, events) = start(config(dir.path()));
    let epoch = wait_for_leadership(&events);
    client.append_when_idle(epoch, 5, vec![no_op()]);
    assert_eq!(wait_for_commit(&events, 3), 3);
    // What is asked for by others is on disk first, and what is appended in between has its place.
    let offset = client.schedule_append(epoch, vec![no_op()]).unwrap();
    wait_for_commit(&events, offset + 2);
    client.resign(epoch);
    assert!(client.shutdown(PATIENCE));

    let (client, events) = start(config(dir.path()));
    assert!(wait_for_leadership(&events) > epoch);
    assert!(client.high_watermark().unwrap() > offset + 2);
    assert!(client.shutdown(PATIENCE));
}
