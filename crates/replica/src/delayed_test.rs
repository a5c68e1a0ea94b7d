use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use ottla_common::Uuid;
use ottla_common::time::MockTime;
use ottla_metadata::PartitionRegistration;
use ottla_record::{Compression, MemoryRecords, SimpleRecord};
use ottla_storage::fs::OsFileSystem;
use ottla_storage::{FetchIsolation, LogConfig, LogManager, LogManagerParams, ProducerStateManagerConfig};
use tokio::task::{JoinHandle, yield_now};

use super::*;
use crate::{LocalPartition, LogConfigSource};

const NODE: i32 = 1;
const LONG_MS: i32 = 60_000;

#[derive(Debug)]
struct Defaults(LogConfig);

impl LogConfigSource for Defaults {
    fn log_config(&self, _: &str) -> LogConfig {
        self.0.clone()
    }
}

struct Bench {
    replicas: Arc<ReplicaManager>,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with_config(LogConfig::default())
    }

    fn with_config(config: LogConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let replicas =
            Arc::new(ReplicaManager::new(NODE, logs(dir.path(), &config), Arc::new(Defaults(config))));
        Self { replicas, _dir: dir }
    }

    /// Two replicas, of which these are in sync.
    fn lead(&self, index: i32, leader: i32, leader_epoch: i32, isr: &[i32]) {
        let registration = PartitionRegistration {
            replicas: [NODE, 2][..].into(),
            directories: [Uuid::MIGRATING_DIR; 2].into(),
            isr: isr.into(),
            leader,
            leader_epoch,
            ..Default::default()
        };
        let local = LocalPartition {
            tp: tp(index),
            topic_id: Uuid::from_u128(9),
            registration: Arc::new(registration),
        };
        self.replicas.apply(&local).unwrap();
    }

    fn lead_both(&self, isr: &[i32]) {
        (0..2).for_each(|index| self.lead(index, NODE, 0, isr));
    }

    fn append(&self, index: i32) -> i64 {
        let acks = 1;
        self.replicas.append(&tp(index), Uuid::from_u128(9), batch(), acks, false).unwrap().last_offset
    }

    /// A fetch of the first two partitions from offsets on, after it had its first look.
    async fn fetch(&self, params: FetchParams, offsets: [i64; 2]) -> JoinHandle<Vec<FetchPartitionData>> {
        let replicas = Arc::clone(&self.replicas);
        let infos = [0, 1].map(|index| info(index, offsets[index as usize]));
        let fetch = tokio::spawn(async move { replicas.fetch_messages(&params, &infos).await });
        settle().await;
        fetch
    }

    fn parked(&self) -> usize {
        self.replicas.partitions().iter().map(|partition| partition.parked()).sum()
    }
}

fn logs(dir: &Path, config: &LogConfig) -> Arc<LogManager> {
    LogManager::open(LogManagerParams {
        fs: Arc::new(OsFileSystem),
        time: Arc::new(MockTime::new(1_790_000_000_000)),
        log_dirs: vec![dir.to_path_buf()],
        default_config: Arc::new(config.clone()),
        recovery_threads_per_data_dir: 1,
        producer_state: ProducerStateManagerConfig::default(),
    })
    .unwrap()
}

fn tp(index: i32) -> TopicPartition {
    TopicPartition::new("avisos", index)
}

fn batch() -> Bytes {
    let record = SimpleRecord::of_value(1_790_000_000_000, vec![b'a'; 100]);
    MemoryRecords::with_records(Compression::NONE, &[record]).unwrap().into_bytes()
}

fn info(index: i32, fetch_offset: i64) -> FetchInfo {
    FetchInfo {
        tp: tp(index),
        topic_id: Uuid::ZERO,
        fetch_offset,
        max_bytes: 1 << 20,
        current_leader_epoch: None,
        last_fetched_epoch: None,
    }
}

fn params(isolation: FetchIsolation, min_bytes: usize) -> FetchParams {
    let min_bytes = min_bytes as i32;
    FetchParams { isolation, max_wait_ms: LONG_MS, min_bytes, max_bytes: 1 << 20 }
}

const CONSUMER: FetchIsolation = FetchIsolation::HighWatermark;

/// Everybody else goes as far as they can: there is one thread.
async fn settle() {
    for _ in 0..8 {
        yield_now().await;
    }
}

async fn answer<T>(task: JoinHandle<T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), task).await.expect("a wake was lost").unwrap()
}

fn sizes(answers: &[FetchPartitionData]) -> Vec<usize> {
    answers.iter().map(|a| a.records.size_in_bytes()).collect()
}

#[tokio::test]
async fn a_fetch_waits_for_enough_of_all_its_partitions() {
    let bench = Bench::new();
    bench.lead_both(&[NODE]);
    let size = batch().len();
    let fetch = bench.fetch(params(CONSUMER, 2 * size), [0, 0]).await;
    assert_eq!(bench.parked(), 2);
    bench.append(1);
    settle().await;
    assert!(!fetch.is_finished() && bench.parked() == 2, "half of it is not enough, and it stays parked");
    bench.append(0);
    let answers = answer(fetch).await;
    assert_eq!(sizes(&answers), [size, size]);
    assert_eq!(answers.iter().map(|a| a.high_watermark).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(bench.parked(), 0);
}

#[tokio::test]
async fn partitions_without_news_answer_how_they_stand_at_the_end() {
    let bench = Bench::new();
    bench.lead_both(&[NODE]);
    bench.append(0);
    let fetch = bench.fetch(params(CONSUMER, 1), [1, 0]).await;
    assert_eq!(bench.replicas.delete_records(&tp(0), -1), Ok(1));
    bench.append(1);
    let answers = answer(fetch).await;
    assert_eq!(sizes(&answers), [0, batch().len()]);
    assert_eq!((answers[0].high_watermark, answers[0].log_start_offset), (1, 1));
    assert_eq!(answers[0].last_stable_offset, 1);
}

#[tokio::test]
async fn what_is_there_already_counts_with_what_comes() {
    let bench = Bench::new();
    bench.lead_both(&[NODE]);
    bench.append(0);
    let fetch = bench.fetch(params(CONSUMER, batch().len() + 1), [0, 0]).await;
    bench.append(1);
    assert_eq!(sizes(&answer(fetch).await), [batch().len(); 2]);
}

#[tokio::test]
async fn consumers_wait_for_what_is_replicated_and_followers_do_not() {
    let bench = Bench::new();
    bench.lead_both(&[NODE, 2]);
    let consumer = bench.fetch(params(CONSUMER, 1), [0, 0]).await;
    let committed = bench.fetch(params(FetchIsolation::TxnCommitted, 1), [0, 0]).await;
    let follower = bench.fetch(params(FetchIsolation::LogEnd, 1), [0, 0]).await;
    bench.append(0);
    assert_eq!(sizes(&answer(follower).await), [batch().len(), 0]);
    settle().await;
    assert!(!consumer.is_finished() && !committed.is_finished());
    bench.lead(0, NODE, 0, &[NODE]);
    assert_eq!(sizes(&answer(consumer).await), [batch().len(), 0]);
    let answers = answer(committed).await;
    assert_eq!(sizes(&answers), [batch().len(), 0]);
    assert!(answers.iter().all(|a| a.aborted_transactions.as_ref().is_some_and(Vec::is_empty)));
}

#[tokio::test]
async fn a_leader_that_is_one_no_more_answers_at_once() {
    let bench = Bench::new();
    bench.lead_both(&[NODE]);
    let fetch = bench.fetch(params(CONSUMER, 1), [0, 0]).await;
    bench.lead(1, 2, 1, &[NODE, 2]);
    let answers = answer(fetch).await;
    assert_eq!((answers[0].error, answers[1].error), (ErrorCode::None, ErrorCode::NotLeaderOrFollower));
    bench.lead(1, NODE, 2, &[NODE]);
    let fetch = bench.fetch(params(CONSUMER, 1), [0, 0]).await;
    bench.lead(1, NODE, 2, &[NODE, 2]);
    settle().await;
    assert!(!fetch.is_finished(), "another set of replicas in sync is no news to a consumer");
    bench.replicas.delete_all(&[tp(1)]);
    assert_eq!(answer(fetch).await[1].error, ErrorCode::NotLeaderOrFollower);
}

#[tokio::test]
async fn a_follower_that_parted_from_its_leader_learns_it() {
    let bench = Bench::new();
    bench.lead_both(&[NODE, 2]);
    bench.append(0);
    let mut parted = info(0, 1);
    (parted.current_leader_epoch, parted.last_fetched_epoch) = (Some(0), Some(0));
    let replicas = Arc::clone(&bench.replicas);
    let follower = params(FetchIsolation::LogEnd, 1);
    let fetch = tokio::spawn(async move { replicas.fetch_messages(&follower, &[parted]).await });
    settle().await;
    bench.lead(0, NODE, 3, &[NODE, 2]);
    assert_eq!(answer(fetch).await[0].error, ErrorCode::FencedLeaderEpoch);
    let mut parted = info(0, 2);
    (parted.current_leader_epoch, parted.last_fetched_epoch) = (Some(3), Some(2));
    bench.append(0);
    let answers = bench.replicas.fetch_messages(&params(FetchIsolation::LogEnd, 1), &[parted]).await;
    assert_eq!(answers[0].diverging_epoch, Some((0, 1)));
}

#[tokio::test]
async fn a_reader_whose_records_are_deleted_learns_it() {
    let bench = Bench::new();
    bench.lead_both(&[NODE]);
    bench.append(0);
    bench.append(0);
    let fetch = bench.fetch(params(CONSUMER, 1_000_000), [1, 0]).await;
    assert_eq!(bench.replicas.delete_records(&tp(0), -1), Ok(2));
    assert_eq!(answer(fetch).await[0].error, ErrorCode::OffsetOutOfRange);
}

#[tokio::test]
async fn who_hangs_up_leaves_nothing_behind() {
    let bench = Bench::new();
    bench.lead_both(&[NODE]);
    let fetch = bench.fetch(params(CONSUMER, 1), [0, 0]).await;
    assert_eq!(bench.parked(), 2);
    fetch.abort();
    assert!(fetch.await.unwrap_err().is_cancelled());
    assert_eq!(bench.parked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_is_answered_when_its_time_is_up() {
    let bench = Bench::new();
    bench.lead_both(&[NODE]);
    bench.append(1);
    let fetch = bench.fetch(params(CONSUMER, 1_000_000), [0, 0]).await;
    let begin = Instant::now();
    let answers = fetch.await.unwrap();
    assert_eq!(sizes(&answers), [0, batch().len()]);
    assert!(begin.elapsed() >= Duration::from_millis(LONG_MS as u64 - 1));
    assert_eq!(bench.parked(), 0);
}

#[tokio::test]
async fn a_produce_waits_for_the_replicas_in_sync() {
    let bench = Bench::with_config(LogConfig { min_insync_replicas: 2, ..Default::default() });
    bench.lead_both(&[NODE, 2]);
    let offsets = [(tp(0), bench.append(0)), (tp(1), bench.append(1))];
    let replicas = Arc::clone(&bench.replicas);
    let produce = tokio::spawn(async move { replicas.wait_until_committed(&offsets, LONG_MS).await });
    settle().await;
    bench.lead(0, NODE, 0, &[NODE]);
    settle().await;
    assert!(!produce.is_finished(), "the other partition is waited for");
    bench.lead(1, 2, 1, &[2]);
    let codes = answer(produce).await;
    assert_eq!(codes, [ErrorCode::NotEnoughReplicasAfterAppend, ErrorCode::NotLeaderOrFollower]);
    assert_eq!(bench.parked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_produce_that_waits_in_vain_is_late() {
    let bench = Bench::new();
    bench.lead(0, NODE, 0, &[NODE, 2]);
    let offsets = [(tp(0), bench.append(0)), (tp(7), 3)];
    let codes = bench.replicas.wait_until_committed(&offsets, 100).await;
    assert_eq!(codes, [ErrorCode::RequestTimedOut, ErrorCode::NotLeaderOrFollower]);
}

/// A reader at the end of two partitions, and writers that never wait for it: were one wake lost, the
/// reader would wait for a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_is_lost_among_threads() {
    const APPENDS: i64 = 3_000;
    let bench = Arc::new(Bench::new());
    bench.lead_both(&[NODE]);
    let reader = {
        let replicas = Arc::clone(&bench.replicas);
        tokio::spawn(async move {
            let mut offsets = [0, 0];
            while offsets != [APPENDS; 2] {
                let infos = [0, 1].map(|index| info(index, offsets[index as usize]));
                let answers = replicas.fetch_messages(&params(CONSUMER, 1), &infos).await;
                for (offset, answer) in offsets.iter_mut().zip(&answers) {
                    *offset += (answer.records.size_in_bytes() / batch().len()) as i64;
                }
            }
        })
    };
    let writers: Vec<_> = [0, 1]
        .map(|index| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move {
                for _ in 0..APPENDS {
                    bench.append(index);
                    yield_now().await;
                }
            })
        })
        .into();
    for writer in writers {
        answer(writer).await;
    }
    answer(reader).await;
    assert_eq!(bench.parked(), 0);
}
