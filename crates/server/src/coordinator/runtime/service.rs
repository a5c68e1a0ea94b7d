use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ottla_common::ErrorCode;
use ottla_common::time::Time;
use ottla_coordinator::group::partition_for;
use ottla_coordinator::runtime::{CoordinatorResult, EndTransaction};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::info;

use super::kind::{CoordinatorKind, ResultOf};
use super::log::{LOGGER, PartitionLog, TransactionProof};
use super::partition::{LedPartition, Operation, PartitionHandle, PartitionTask, Worker};

/// Not started, or stopped again.
const NOT_ACTIVE: i32 = 0;
/// Partitions that load at the same time: each takes a thread and a buffer meanwhile.
const CONCURRENT_LOADS: usize = 2;

/// The coordinators of one kind on this broker: every partition of their topic that it leads.
pub struct CoordinatorRuntime<K: CoordinatorKind> {
    kind: Arc<K>,
    time: Arc<dyn Time>,
    log: Arc<dyn PartitionLog>,
    runtime: Handle,
    loads: Arc<Semaphore>,
    num_partitions: AtomicI32,
    partitions: RwLock<HashMap<i32, PartitionHandle<K>>>,
}

/// What the metadata log tells the coordinators of one topic, whatever they coordinate.
pub trait CoordinatorElections: Send + Sync {
    /// Their topic.
    fn topic(&self) -> &'static str;

    /// The topic has, or will have, so many partitions: see [`CoordinatorRuntime::startup`].
    fn startup(&self, num_partitions: i32);

    /// This broker leads a partition: see [`CoordinatorRuntime::on_election`].
    fn on_election(&self, partition: i32, leader_epoch: i32);

    /// This broker does not lead a partition any more: see [`CoordinatorRuntime::on_resignation`].
    fn on_resignation(&self, partition: i32, leader_epoch: Option<i32>);

    /// The broker stops: see [`CoordinatorRuntime::shutdown`].
    fn shutdown(&self);
}

impl<K: CoordinatorKind> CoordinatorElections for CoordinatorRuntime<K> {
    fn topic(&self) -> &'static str {
        K::TOPIC
    }

    fn startup(&self, num_partitions: i32) {
        self.startup(num_partitions);
    }

    fn on_election(&self, partition: i32, leader_epoch: i32) {
        self.on_election(partition, leader_epoch);
    }

    fn on_resignation(&self, partition: i32, leader_epoch: Option<i32>) {
        self.on_resignation(partition, leader_epoch);
    }

    fn shutdown(&self) {
        self.shutdown();
    }
}

impl<K: CoordinatorKind> fmt::Debug for CoordinatorRuntime<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoordinatorRuntime").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<K: CoordinatorKind> CoordinatorRuntime<K> {
    /// A coordinator that refuses everything until [`Self::startup`]. Its tasks run on `runtime`.
    pub fn new(kind: Arc<K>, time: Arc<dyn Time>, log: Arc<dyn PartitionLog>, runtime: Handle) -> Self {
        Self {
            kind,
            time,
            log,
            runtime,
            loads: Arc::new(Semaphore::new(CONCURRENT_LOADS)),
            num_partitions: AtomicI32::new(NOT_ACTIVE),
            partitions: RwLock::default(),
        }
    }

    /// What is particular about this kind.
    pub fn kind(&self) -> &Arc<K> {
        &self.kind
    }

    /// Begins to serve. `num_partitions` is how many partitions the topic has, or will have when it is made. It must
    /// never change afterwards.
    pub fn startup(&self, num_partitions: i32) {
        assert!(num_partitions > 0, "a coordinator's topic has partitions");
        self.num_partitions.store(num_partitions, Ordering::Release);
    }

    /// Refuses everything from now on, and lets go of whoever waits.
    pub fn shutdown(&self) {
        self.num_partitions.store(NOT_ACTIVE, Ordering::Release);
        self.write_partitions().clear();
    }

    /// Whether it serves.
    pub fn is_active(&self) -> bool {
        self.num_partitions.load(Ordering::Acquire) != NOT_ACTIVE
    }

    /// The partition that a key lives in. `None` while not started.
    pub fn partition_for(&self, key: &str) -> Option<i32> {
        match self.num_partitions.load(Ordering::Acquire) {
            NOT_ACTIVE => None,
            num_partitions => Some(partition_for(key, num_partitions)),
        }
    }

    /// The partition that a key lives in, for a request about it.
    pub fn partition_of(&self, key: &str) -> Result<i32, ErrorCode> {
        self.partition_for(key).ok_or(ErrorCode::CoordinatorNotAvailable)
    }

    /// This broker leads a partition, in this epoch: loads it. An epoch that is not newer than the
    /// known one is old news.
    pub fn on_election(&self, partition: i32, leader_epoch: i32) {
        let mut partitions = self.write_partitions();
        if partitions.get(&partition).is_some_and(|handle| handle.leader_epoch >= leader_epoch) {
            return;
        }
        let led = LedPartition::new(Arc::clone(&self.kind), partition, leader_epoch, Arc::clone(&self.log));
        info!(target: LOGGER, "Loading metadata from {} with epoch {leader_epoch}", led.partition);
        let task = PartitionTask { led, time: Arc::clone(&self.time), loads: Arc::clone(&self.loads) };
        partitions.insert(partition, task.spawn(&self.runtime));
    }

    /// This broker does not lead a partition any more. `leader_epoch` is `None` when the partition
    /// itself is gone; an epoch that is not newer than the known one is old news.
    pub fn on_resignation(&self, partition: i32, leader_epoch: Option<i32>) {
        let mut partitions = self.write_partitions();
        let newer =
            |handle: &PartitionHandle<K>| leader_epoch.is_none_or(|epoch| handle.leader_epoch < epoch);
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

    /// The partitions that are led here, loaded or not.
    pub fn led_partitions(&self) -> Vec<i32> {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        let mut led: Vec<_> = partitions.keys().copied().collect();
        led.sort_unstable();
        led
    }

    /// Decides something, writes it down, and answers once that is committed.
    pub async fn write<T, F>(&self, partition: i32, decide: F) -> Result<T, ErrorCode>
    where
        T: Send + 'static,
        F: FnOnce(i64, &K::Shard) -> Result<CoordinatorResult<T, K::Shard>, ErrorCode> + Send + 'static,
    {
        self.write_with_proof(partition, TransactionProof::NONE, decide).await
    }

    /// The same within a transaction.
    pub async fn write_with_proof<T, F>(
        &self,
        partition: i32,
        proof: TransactionProof,
        decide: F,
    ) -> Result<T, ErrorCode>
    where
        T: Send + 'static,
        F: FnOnce(i64, &K::Shard) -> Result<CoordinatorResult<T, K::Shard>, ErrorCode> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.send(partition, move |worker| {
            let (now_ms, shard) = worker.look();
            match decide(now_ms, shard) {
                Err(error) => drop(sender.send(Err(error))),
                Ok(result) => {
                    let (result, response) = result.split_response();
                    let complete = move |outcome: Result<(), ErrorCode>| {
                        let _ = sender.send(outcome.map(|()| response).map_err(K::append_error));
                    };
                    worker.execute_with_proof(result, Box::new(complete), proof);
                }
            }
        })
        .await?;
        receiver.await.unwrap_or(Err(ErrorCode::NotCoordinator))
    }

    /// Ends a transaction that appended to a partition; answers once the marker is committed.
    pub async fn complete_transaction(&self, partition: i32, end: EndTransaction) -> Result<(), ErrorCode> {
        let (sender, receiver) = oneshot::channel();
        self.send(partition, move |worker| {
            let complete = move |outcome: Result<(), ErrorCode>| {
                // Whoever asked may be gone.
                let _ = sender.send(outcome);
            };
            worker.complete_transaction(&end, Box::new(complete));
        })
        .await?;
        receiver.await.unwrap_or(Err(ErrorCode::NotCoordinator))
    }

    /// Reads something off the committed state, and off the newest one.
    pub async fn read<T, F>(&self, partition: i32, look: F) -> Result<T, ErrorCode>
    where
        T: Send + 'static,
        F: FnOnce(&K::Shard, &K::Shard) -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.send(partition, move |worker| {
            let (committed, newest) = worker.states();
            let _ = sender.send(look(committed, newest));
        })
        .await?;
        receiver.await.map_err(|_| ErrorCode::NotCoordinator)
    }

    /// Decides the same in every partition that serves. One that is loading looks for itself when it is done:
    /// [`CoordinatorKind::catch_up`].
    pub async fn tell_all(&self, decide: impl Fn(&K::Shard) -> ResultOf<K> + Clone + Send + 'static) {
        for partition in self.led_partitions() {
            let decide = decide.clone();
            // A partition that moved on needs to hear nothing.
            let _ = self.tell(partition, move |_, shard| decide(shard)).await;
        }
    }

    /// Decides something that nobody waits for.
    pub async fn tell(
        &self,
        partition: i32,
        decide: impl FnOnce(i64, &K::Shard) -> ResultOf<K> + Send + 'static,
    ) -> Result<(), ErrorCode> {
        let operation = move |worker: &mut Worker<K>| {
            let (now_ms, shard) = worker.look();
            let result = decide(now_ms, shard);
            worker.execute(result, None);
        };
        self.send(partition, operation).await
    }

    /// Hands an operation to the task of a partition.
    pub async fn send(
        &self,
        partition: i32,
        operation: impl FnOnce(&mut Worker<K>) + Send + 'static,
    ) -> Result<(), ErrorCode> {
        let operations = self.operations(partition)?;
        let operation: Operation<K> = Box::new(operation);
        operations.send(operation).await.map_err(|_| ErrorCode::NotCoordinator)
    }

    fn operations(&self, partition: i32) -> Result<mpsc::Sender<Operation<K>>, ErrorCode> {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        partitions.get(&partition).ok_or(ErrorCode::NotCoordinator)?.operations()
    }

    fn write_partitions(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<i32, PartitionHandle<K>>> {
        self.partitions.write().unwrap_or_else(PoisonError::into_inner)
    }
}
