//! One partition of `__consumer_offsets`, and the task that serves it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ottla_common::time::Time;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_coordinator::group::{
    GroupCoordinatorConfig, GroupCoordinatorShard, GroupRecord, GroupReply, GroupResult,
};
use ottla_coordinator::runtime::{
    CoordinatorContext, CoordinatorLog, EndTransaction, Output, Token, TransactionalProducer,
};
use ottla_record::{Compression, MemoryRecords, SimpleRecord};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tracing::{error, info};

use super::clock::WatchedClock;
use super::load::{LoadError, load};
use super::log::{LOGGER, PartitionLog};

/// What is to be told once an operation is committed, or failed.
pub(super) type Completion = Box<dyn FnOnce(Result<(), ErrorCode>) + Send>;
/// Something to do with the shard; its turn comes in the order of arrival.
pub(super) type Operation = Box<dyn FnOnce(&mut Worker) + Send>;

/// Operations that may wait for their turn; whoever comes then waits before the door.
const QUEUE_LENGTH: usize = 1024;

const LOADING: u8 = 0;
const ACTIVE: u8 = 1;
const FAILED: u8 = 2;

/// How the service reaches the task of a partition. The task ends when this is dropped.
#[derive(Debug)]
pub(super) struct PartitionHandle {
    pub(super) leader_epoch: i32,
    operations: mpsc::Sender<Operation>,
    state: Arc<AtomicU8>,
    committed: Arc<Notify>,
    cancelled: Arc<AtomicBool>,
    _alive: oneshot::Sender<()>,
}

impl PartitionHandle {
    /// Where to send operations; an error while there is nobody to take them.
    pub(super) fn operations(&self) -> Result<mpsc::Sender<Operation>, ErrorCode> {
        match self.state.load(Ordering::Acquire) {
            LOADING => Err(ErrorCode::CoordinatorLoadInProgress),
            ACTIVE => Ok(self.operations.clone()),
            _ => Err(ErrorCode::NotCoordinator),
        }
    }

    /// The high watermark may have moved.
    pub(super) fn notify_committed(&self) {
        self.committed.notify_one();
    }
}

impl Drop for PartitionHandle {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// A partition that this broker leads, in one epoch.
#[derive(Debug, Clone)]
pub(super) struct LedPartition {
    pub(super) partition: TopicPartition,
    pub(super) leader_epoch: i32,
    pub(super) log: Arc<dyn PartitionLog>,
    pub(super) compression: Compression,
}

impl LedPartition {
    pub(super) fn offsets(&self) -> Result<(i64, i64), ErrorCode> {
        self.log.offsets(&self.partition)
    }

    pub(super) fn read(&self, offset: i64, max_bytes: usize) -> Result<Bytes, ErrorCode> {
        self.log.read(&self.partition, offset, max_bytes)
    }

    pub(super) fn high_watermark(&self) -> Result<i64, ErrorCode> {
        self.log.high_watermark(&self.partition)
    }
}

impl CoordinatorLog<GroupRecord> for LedPartition {
    fn append(
        &mut self,
        now_ms: i64,
        records: &[GroupRecord],
        _producer: Option<TransactionalProducer>,
    ) -> Result<i64, ErrorCode> {
        let mut simple = Vec::with_capacity(records.len());
        for record in records {
            let (key, value) = record.encode().map_err(|_| ErrorCode::UnknownServerError)?;
            simple.push(SimpleRecord::new(now_ms, Some(key), value));
        }
        let batch = MemoryRecords::with_records(self.compression, &simple)
            .map_err(|_| ErrorCode::RecordListTooLarge)?;
        self.log.append(&self.partition, self.leader_epoch, batch.into_bytes())
    }

    fn append_end_transaction(&mut self, _now_ms: i64, _end: &EndTransaction) -> Result<i64, ErrorCode> {
        Err(ErrorCode::UnknownServerError)
    }

    fn high_watermark(&self) -> i64 {
        // A partition that is gone commits nothing any more; the resignation is on its way.
        self.log.high_watermark(&self.partition).unwrap_or(0)
    }
}

/// What the task of a partition needs to begin.
#[derive(Debug)]
pub(super) struct PartitionTask {
    pub(super) led: LedPartition,
    pub(super) config: Arc<GroupCoordinatorConfig>,
    pub(super) time: Arc<dyn Time>,
    /// How many partitions may load at the same time.
    pub(super) loads: Arc<Semaphore>,
}

impl PartitionTask {
    /// Begins to load the partition, and to serve it once it is loaded.
    pub(super) fn spawn(self, runtime: &tokio::runtime::Handle) -> PartitionHandle {
        let (operations, inbox) = mpsc::channel(QUEUE_LENGTH);
        let (alive, stop) = oneshot::channel();
        let handle = PartitionHandle {
            leader_epoch: self.led.leader_epoch,
            operations,
            state: Arc::new(AtomicU8::new(LOADING)),
            committed: Arc::default(),
            cancelled: Arc::default(),
            _alive: alive,
        };
        let state = Arc::clone(&handle.state);
        let committed = Arc::clone(&handle.committed);
        let cancelled = Arc::clone(&handle.cancelled);
        runtime.spawn(async move {
            let partition = self.led.partition.clone();
            let turn = Arc::clone(&self.loads).acquire_owned().await;
            let loaded = tokio::task::spawn_blocking(move || self.load(&cancelled)).await;
            drop(turn);
            match loaded {
                Ok(Ok(worker)) => {
                    state.store(ACTIVE, Ordering::Release);
                    worker.serve(inbox, stop, &committed).await;
                }
                Ok(Err(LoadError::Cancelled)) => {}
                Ok(Err(reason)) => {
                    error!(target: LOGGER, "Failed to load metadata from {partition}: {reason}");
                    state.store(FAILED, Ordering::Release);
                }
                Err(panicked) => {
                    error!(target: LOGGER, "Failed to load metadata from {partition}: {panicked}");
                    state.store(FAILED, Ordering::Release);
                }
            }
        });
        handle
    }

    fn load(mut self, cancelled: &AtomicBool) -> Result<Worker, LoadError> {
        let began_ms = self.time.now_ms();
        let shard = GroupCoordinatorShard::new(Arc::clone(&self.config));
        let loaded = load(&self.led, shard, cancelled)?;
        let mut clock = WatchedClock::new(Arc::clone(&self.time));
        let (now_ms, _) = clock.look();
        let patience_ms = i64::from(self.config.offset_commit_timeout_ms);
        let context = loaded.finish(now_ms, patience_ms, &mut self.led);
        info!(target: LOGGER, "Finished loading of metadata from {} with epoch {} in {}ms",
            self.led.partition,
            self.led.leader_epoch,
            now_ms - began_ms
        );
        Ok(Worker { context, led: self.led, clock, parked: HashMap::new(), next_token: 0 })
    }
}

/// A request that waits inside the shard.
pub(super) enum Parked {
    Join(oneshot::Sender<ottla_protocol::messages::JoinGroupResponse>),
    Sync(oneshot::Sender<ottla_protocol::messages::SyncGroupResponse>),
}

/// The owner of a loaded shard.
pub(super) struct Worker {
    context: CoordinatorContext<GroupCoordinatorShard, Completion>,
    led: LedPartition,
    clock: WatchedClock,
    parked: HashMap<Token, Parked>,
    next_token: u64,
}

impl Worker {
    /// The committed state and the newest one.
    pub(super) fn states(&self) -> (&GroupCoordinatorShard, &GroupCoordinatorShard) {
        (self.context.committed(), self.context.shard())
    }

    /// The newest state, and the time.
    pub(super) fn look(&mut self) -> (i64, &GroupCoordinatorShard) {
        (self.now_ms(), self.context.shard())
    }

    /// Carries out a decision.
    pub(super) fn execute(&mut self, result: GroupResult<()>, completion: Option<Completion>) {
        let now_ms = self.now_ms();
        self.context.execute(now_ms, result, completion, &mut self.led);
    }

    /// Keeps a request until the shard answers it.
    pub(super) fn park(&mut self, request: Parked) -> Token {
        self.next_token += 1;
        let token = Token(self.next_token);
        self.parked.insert(token, request);
        token
    }

    fn now_ms(&mut self) -> i64 {
        let (now_ms, set_by_ms) = self.clock.look();
        if set_by_ms != 0 {
            self.context.on_clock_set(set_by_ms);
        }
        now_ms
    }

    async fn serve(
        mut self,
        mut inbox: mpsc::Receiver<Operation>,
        mut stop: oneshot::Receiver<()>,
        committed: &Notify,
    ) {
        loop {
            let now_ms = self.now_ms();
            // Timers first: what fell due before an operation arrived comes before it.
            self.context.on_time(now_ms, &mut self.led);
            self.tell();
            let sleep = self.context.next_deadline().map_or(i64::MAX, |deadline| deadline - now_ms);
            tokio::select! {
                biased;
                _ = &mut stop => break,
                () = committed.notified() => self.context.commit(now_ms, &mut self.led),
                operation = inbox.recv() => match operation {
                    Some(operation) => operation(&mut self),
                    None => break,
                },
                () = tokio::time::sleep(sleep_of(sleep)) => {}
            }
            self.tell();
        }
        info!(target: LOGGER, "Unloading metadata of {} with epoch {}", self.led.partition, self.led.leader_epoch);
        let Self { context, mut parked, .. } = self;
        tell(context.unload(), &mut parked);
    }

    fn tell(&mut self) {
        tell(self.context.take_outputs(), &mut self.parked);
    }
}

fn tell(outputs: Vec<Output<GroupReply, Completion>>, parked: &mut HashMap<Token, Parked>) {
    for output in outputs {
        match output {
            Output::Complete(completion, outcome) => completion(outcome),
            // Nobody may be listening any more: clients give up and connections break.
            Output::Reply(token, reply) => match (parked.remove(&token), reply) {
                (Some(Parked::Join(sender)), GroupReply::Join(response)) => drop(sender.send(response)),
                (Some(Parked::Sync(sender)), GroupReply::Sync(response)) => drop(sender.send(response)),
                (Some(_), _) | (None, _) => {
                    debug_assert!(false, "PARKED-ANSWERED-ONCE: {token:?}");
                }
            },
        }
    }
}

/// Long sleeps are cut: the clock may be set while nobody looks.
fn sleep_of(millis: i64) -> Duration {
    Duration::from_millis(millis.clamp(0, 60_000).unsigned_abs())
}
