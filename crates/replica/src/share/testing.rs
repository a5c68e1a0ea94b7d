//! Share-partitions over logs on a disk of their own, a share coordinator and a dead-letter queue in memory,
//! and a clock that goes with tokio's.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ottla_common::time::Time;
use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_record::{Compression, MemoryRecords, SimpleRecord};
use ottla_share::persister::UNINITIALIZED_START_OFFSET;
use ottla_share::{
    AcknowledgementBatch, PersisterError, ReadState, ShareAcquireMode, ShareAutoOffsetReset,
    SharePartitionConfig, SharePartitionId, WriteState,
};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::config::{ShareGroupConfigs, ShareGroupSettings, ShareLimits};
use super::dead_letters::{DeadLetterSink, DeadLetterTarget};
use super::fetch::{Answer, ShareFetch};
use super::manager::{SharePartitionManager, SharePartitionManagerParts};
use super::persister::{Persister, SharePartitionKey};
use crate::BoxFuture;
use crate::test_support::{self, NODE, NOW, tp};

pub(super) const GROUP: &str = "reparto";
pub(super) const LOCK_MS: u64 = 30_000;
pub(super) const LONG_MS: i32 = 10_000;

#[derive(Debug)]
struct TokioTime(Instant);

impl Time for TokioTime {
    fn now_ms(&self) -> i64 {
        NOW + self.0.elapsed().as_millis() as i64
    }

    fn monotonic_ns(&self) -> i64 {
        self.0.elapsed().as_nanos() as i64
    }
}

/// A share coordinator. What it is to answer next can be said beforehand.
#[derive(Debug)]
pub(super) struct FakePersister {
    pub(super) states: Mutex<HashMap<SharePartitionKey, ReadState>>,
    pub(super) read_errors: Mutex<VecDeque<PersisterError>>,
    pub(super) write_errors: Mutex<VecDeque<PersisterError>>,
    pub(super) writes: Mutex<Vec<WriteState>>,
    /// One permit for each write; plenty, unless a test takes them.
    pub(super) gate: Semaphore,
}

impl Persister for FakePersister {
    fn read_state<'a>(
        &'a self,
        key: &'a SharePartitionKey,
        _: i32,
    ) -> BoxFuture<'a, Result<ReadState, PersisterError>> {
        Box::pin(async move {
            if let Some(error) = self.read_errors.lock().unwrap().pop_front() {
                return Err(error);
            }
            let unknown =
                ReadState { state_epoch: 0, start_offset: UNINITIALIZED_START_OFFSET, batches: Vec::new() };
            Ok(self.states.lock().unwrap().get(key).cloned().unwrap_or(unknown))
        })
    }

    fn write_state<'a>(
        &'a self,
        _: &'a SharePartitionKey,
        write: WriteState,
    ) -> BoxFuture<'a, Result<(), PersisterError>> {
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            if let Some(error) = self.write_errors.lock().unwrap().pop_front() {
                return Err(error);
            }
            self.writes.lock().unwrap().push(write);
            Ok(())
        })
    }
}

/// A dead-letter queue.
#[derive(Debug)]
pub(super) struct FakeSink {
    pub(super) target: Mutex<DeadLetterTarget>,
    pub(super) create_errors: Mutex<VecDeque<ErrorCode>>,
    pub(super) produce_errors: Mutex<VecDeque<ErrorCode>>,
    pub(super) produced: Mutex<Vec<(TopicPartition, MemoryRecords)>>,
}

impl DeadLetterSink for FakeSink {
    fn target(&self, _: &str) -> DeadLetterTarget {
        self.target.lock().unwrap().clone()
    }

    fn create_topic<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), ErrorCode>> {
        Box::pin(async move {
            if let Some(error) = self.create_errors.lock().unwrap().pop_front() {
                return Err(error);
            }
            let mut target = self.target.lock().unwrap();
            (target.num_partitions, target.enabled) = (Some(1), true);
            Ok(())
        })
    }

    fn produce<'a>(
        &'a self,
        tp: &'a TopicPartition,
        records: MemoryRecords,
    ) -> BoxFuture<'a, Result<(), ErrorCode>> {
        Box::pin(async move {
            if let Some(error) = self.produce_errors.lock().unwrap().pop_front() {
                return Err(error);
            }
            self.produced.lock().unwrap().push((tp.clone(), records));
            Ok(())
        })
    }
}

#[derive(Debug)]
struct FakeConfigs(Mutex<ShareGroupSettings>);

impl ShareGroupConfigs for FakeConfigs {
    fn settings(&self, _: &str) -> ShareGroupSettings {
        *self.0.lock().unwrap()
    }
}

/// A broker that leads the first two partitions of a topic. Groups begin with the earliest record.
pub(super) struct Bench {
    pub(super) manager: Arc<SharePartitionManager>,
    pub(super) persister: Arc<FakePersister>,
    pub(super) sink: Arc<FakeSink>,
    pub(super) disk: test_support::Bench,
    configs: Arc<FakeConfigs>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with_limits(ShareLimits::default())
    }

    pub(super) fn with_limits(limits: ShareLimits) -> Self {
        Self::on(test_support::Bench::new(), limits)
    }

    pub(super) fn on(disk: test_support::Bench, limits: ShareLimits) -> Self {
        (0..2).for_each(|index| disk.lead(index, NODE, 0, &[NODE]));
        let persister = Arc::new(FakePersister {
            states: Mutex::default(),
            read_errors: Mutex::default(),
            write_errors: Mutex::default(),
            writes: Mutex::default(),
            gate: Semaphore::new(10_000),
        });
        let target = DeadLetterTarget {
            name: Some("dlq.avisos".into()),
            prefix: "dlq.".into(),
            num_partitions: Some(1),
            enabled: true,
            auto_create: true,
            max_message_bytes: 10_000,
            copy_records: true,
        };
        let sink = Arc::new(FakeSink {
            target: Mutex::new(target),
            create_errors: Mutex::default(),
            produce_errors: Mutex::default(),
            produced: Mutex::default(),
        });
        let partition = SharePartitionConfig {
            auto_offset_reset: ShareAutoOffsetReset::Earliest,
            ..SharePartitionConfig::default()
        };
        let settings = ShareGroupSettings { partition, read_committed: false };
        let configs = Arc::new(FakeConfigs(Mutex::new(settings)));
        let manager = Arc::new(SharePartitionManager::new(SharePartitionManagerParts {
            replicas: disk.replicas.clone(),
            persister: persister.clone(),
            dead_letter_sink: sink.clone(),
            configs: configs.clone(),
            limits,
            time: Arc::new(TokioTime(Instant::now())),
        }));
        Self { manager, persister, sink, disk, configs }
    }

    pub(super) fn configure(&self, change: impl FnOnce(&mut ShareGroupSettings)) {
        change(&mut self.configs.0.lock().unwrap());
        self.manager.on_group_config_changed(GROUP);
    }

    /// Appends a batch of so many records.
    pub(super) fn append(&self, index: i32, records: usize) {
        self.disk.partition(index).append(batch(records), 1).unwrap();
    }

    pub(super) async fn fetch(&self, fetch: &ShareFetch) -> Vec<Answer> {
        self.manager.fetch_messages(fetch).await
    }

    /// Begins a fetch, and lets everybody go as far as they can.
    pub(super) async fn begin(&self, fetch: ShareFetch) -> JoinHandle<Vec<Answer>> {
        let manager = self.manager.clone();
        let task = tokio::spawn(async move { manager.fetch_messages(&fetch).await });
        settle().await;
        task
    }

    pub(super) async fn acknowledge(
        &self,
        member: &str,
        first_offset: i64,
        last_offset: i64,
        kind: i8,
    ) -> Result<(), ErrorCode> {
        let batch = AcknowledgementBatch { first_offset, last_offset, acknowledge_types: vec![kind] };
        let pending = self.manager.acknowledge(GROUP, member, &self.id(0), &[batch]);
        pending.result().await.map_err(|error| error.code())
    }

    pub(super) fn topic_id(&self) -> Uuid {
        self.disk.partition(0).topic_id()
    }

    pub(super) fn id(&self, index: i32) -> SharePartitionId {
        SharePartitionId { topic_id: self.topic_id(), partition: index, topic: Some(tp(index).topic) }
    }

    /// A fetch of the first partition.
    pub(super) fn request(&self, member: &str) -> ShareFetch {
        ShareFetch {
            group_id: GROUP.into(),
            member_id: member.into(),
            session_epoch: 0,
            partitions: vec![self.id(0)],
            acquire_mode: ShareAcquireMode::BatchOptimized,
            max_records: 500,
            batch_size: 500,
            max_wait_ms: LONG_MS,
            min_bytes: 1,
            max_bytes: 1 << 20,
        }
    }

    /// How many fetches are parked on share-partitions and on logs.
    pub(super) fn parked(&self) -> (usize, usize) {
        let shares = (0..2).filter_map(|index| self.manager.get(GROUP, &self.id(index)));
        let logs = (0..2).map(|index| self.disk.partition(index).parked());
        (shares.map(|hosted| hosted.lock().waiters.len()).sum(), logs.sum())
    }
}

pub(super) fn batch(records: usize) -> Bytes {
    let record = SimpleRecord::of_value(NOW, vec![b'a'; 100]);
    MemoryRecords::with_records(Compression::NONE, &vec![record; records]).unwrap().into_bytes()
}

/// Partition, first and last offset and delivery count of all that was acquired.
pub(super) fn acquired(answers: &[Answer]) -> Vec<(i32, i64, i64, i16)> {
    let of = |(id, data): &Answer| {
        let partition = id.partition;
        let ranges = data.acquired.iter();
        ranges.map(|r| (partition, r.first_offset, r.last_offset, r.delivery_count)).collect::<Vec<_>>()
    };
    answers.iter().flat_map(of).collect()
}

pub(super) fn errors(answers: &[Answer]) -> Vec<(i32, ErrorCode)> {
    answers.iter().map(|(id, data)| (id.partition, data.error)).collect()
}

/// Everybody else goes as far as they can, threads that read the disk too. With time that stands still it
/// costs a millisecond of that.
pub(super) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

pub(super) async fn answer<T>(task: JoinHandle<T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), task).await.expect("a wake was lost").unwrap()
}
