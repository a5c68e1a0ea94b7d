use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytestring::ByteString;
use ottla_common::internal_topics::GROUP_METADATA_TOPIC;
use ottla_common::time::Time;
use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_coordinator::group::{
    GroupCoordinatorConfig, GroupCoordinatorShard, GroupError, GroupResult, append_error, partition_for,
};
use ottla_record::Compression;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::info;

use super::log::{LOGGER, PartitionLog};
use super::partition::{LedPartition, Operation, PartitionHandle, PartitionTask, Worker};

/// Not started, or stopped again.
const NOT_ACTIVE: i32 = 0;
/// Partitions that load at the same time: each takes a thread and a buffer meanwhile.
const CONCURRENT_LOADS: usize = 2;

/// The group coordinator of this broker: every partition of `__consumer_offsets` that it leads.
#[derive(Debug)]
pub struct GroupCoordinatorService {
    pub(super) config: Arc<GroupCoordinatorConfig>,
    compression: Compression,
    time: Arc<dyn Time>,
    log: Arc<dyn PartitionLog>,
    runtime: Handle,
    loads: Arc<Semaphore>,
    num_partitions: AtomicI32,
    partitions: RwLock<HashMap<i32, PartitionHandle>>,
}

impl GroupCoordinatorService {
    /// A coordinator that refuses everything until [`Self::startup`]. Its tasks run on `runtime`.
    /// `compression` is what `offsets.topic.compression.codec` says.
    pub fn new(
        config: GroupCoordinatorConfig,
        compression: Compression,
        time: Arc<dyn Time>,
        log: Arc<dyn PartitionLog>,
        runtime: Handle,
    ) -> Self {
        Self {
            config: Arc::new(config),
            compression,
            time,
            log,
            runtime,
            loads: Arc::new(Semaphore::new(CONCURRENT_LOADS)),
            num_partitions: AtomicI32::new(NOT_ACTIVE),
            partitions: RwLock::default(),
        }
    }

    /// Begins to serve. `num_partitions` is how many partitions `__consumer_offsets` has, or will
    /// have when it is made: `offsets.topic.num.partitions`. It must never change afterwards.
    pub fn startup(&self, num_partitions: i32) {
        assert!(num_partitions > 0, "a coordinator's topic has partitions");
        self.num_partitions.store(num_partitions, Ordering::Release);
    }

    /// Refuses everything from now on, and lets go of whoever waits.
    pub fn shutdown(&self) {
        self.num_partitions.store(NOT_ACTIVE, Ordering::Release);
        self.write_partitions().clear();
    }

    /// The partition that a group lives in; for FindCoordinator. `None` while not started.
    pub fn partition_for(&self, group_id: &str) -> Option<i32> {
        match self.num_partitions.load(Ordering::Acquire) {
            NOT_ACTIVE => None,
            num_partitions => Some(partition_for(group_id, num_partitions)),
        }
    }

    /// This broker leads a partition, in this epoch: loads it. An epoch that is not newer than the
    /// known one is old news.
    pub fn on_election(&self, partition: i32, leader_epoch: i32) {
        let mut partitions = self.write_partitions();
        if partitions.get(&partition).is_some_and(|handle| handle.leader_epoch >= leader_epoch) {
            return;
        }
        let led = LedPartition {
            partition: TopicPartition::new(GROUP_METADATA_TOPIC, partition),
            leader_epoch,
            log: Arc::clone(&self.log),
            compression: self.compression,
        };
        info!(target: LOGGER, "Loading metadata from {} with epoch {leader_epoch}", led.partition);
        let task = PartitionTask {
            led,
            config: Arc::clone(&self.config),
            time: Arc::clone(&self.time),
            loads: Arc::clone(&self.loads),
        };
        partitions.insert(partition, task.spawn(&self.runtime));
    }

    /// This broker does not lead a partition any more. `leader_epoch` is `None` when the partition
    /// itself is gone; an epoch that is not newer than the known one is old news.
    pub fn on_resignation(&self, partition: i32, leader_epoch: Option<i32>) {
        let mut partitions = self.write_partitions();
        let newer = |handle: &PartitionHandle| leader_epoch.is_none_or(|epoch| handle.leader_epoch < epoch);
        if partitions.get(&partition).is_some_and(newer) {
            partitions.remove(&partition);
        }
    }

    /// The high watermark of a partition may have moved. Only needed where that happens apart from
    /// the coordinator's own appends: with replicas elsewhere.
    pub fn on_high_watermark(&self, partition: i32) {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = partitions.get(&partition) {
            handle.notify_committed();
        }
    }

    /// Topics are no more: their offsets are forgotten, in every partition that is led here.
    pub async fn on_topics_deleted(&self, topics: &[(ByteString, Uuid)]) {
        for partition in self.led_partitions() {
            for (topic, topic_id) in topics.iter().cloned() {
                let decide =
                    move |_, shard: &GroupCoordinatorShard| Ok(shard.on_topic_deleted(&topic, topic_id));
                // A partition that is loading, or moved on, sees the deletion in no log: as in Kafka,
                // offsets of a topic that is made again are told apart by its id.
                let _ = self.write(partition, decide).await;
            }
        }
    }

    pub(super) fn led_partitions(&self) -> Vec<i32> {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        let mut led: Vec<_> = partitions.keys().copied().collect();
        led.sort_unstable();
        led
    }

    pub(super) fn is_active(&self) -> bool {
        self.num_partitions.load(Ordering::Acquire) != NOT_ACTIVE
    }

    pub(super) fn partition_of(&self, group_id: &str) -> Result<i32, ErrorCode> {
        self.partition_for(group_id).ok_or(ErrorCode::CoordinatorNotAvailable)
    }

    /// Decides something, writes it down, and answers once that is committed.
    pub(super) async fn write<T, F>(&self, partition: i32, decide: F) -> Result<T, ErrorCode>
    where
        T: Send + 'static,
        F: FnOnce(i64, &GroupCoordinatorShard) -> Result<GroupResult<T>, GroupError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.send(partition, move |worker| {
            let (now_ms, shard) = worker.look();
            match decide(now_ms, shard) {
                Err(error) => drop(sender.send(Err(error.code()))),
                Ok(result) => {
                    let (result, response) = result.split_response();
                    let complete = move |outcome: Result<(), ErrorCode>| {
                        let _ = sender.send(outcome.map(|()| response).map_err(append_error));
                    };
                    worker.execute(result, Some(Box::new(complete)));
                }
            }
        })
        .await?;
        receiver.await.unwrap_or(Err(ErrorCode::NotCoordinator))
    }

    /// Reads something off the committed state, and off the newest one.
    pub(super) async fn read<T, F>(&self, partition: i32, look: F) -> Result<T, ErrorCode>
    where
        T: Send + 'static,
        F: FnOnce(&GroupCoordinatorShard, &GroupCoordinatorShard) -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.send(partition, move |worker| {
            let (committed, newest) = worker.states();
            let _ = sender.send(look(committed, newest));
        })
        .await?;
        receiver.await.map_err(|_| ErrorCode::NotCoordinator)
    }

    /// Hands an operation to the task of a partition.
    pub(super) async fn send(
        &self,
        partition: i32,
        operation: impl FnOnce(&mut Worker) + Send + 'static,
    ) -> Result<(), ErrorCode> {
        let operations = self.operations(partition)?;
        let operation: Operation = Box::new(operation);
        operations.send(operation).await.map_err(|_| ErrorCode::NotCoordinator)
    }

    fn operations(&self, partition: i32) -> Result<mpsc::Sender<Operation>, ErrorCode> {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        partitions.get(&partition).ok_or(ErrorCode::NotCoordinator)?.operations()
    }

    fn write_partitions(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<i32, PartitionHandle>> {
        self.partitions.write().unwrap_or_else(PoisonError::into_inner)
    }
}
