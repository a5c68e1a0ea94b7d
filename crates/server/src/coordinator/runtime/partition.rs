//! One partition of a coordinator's topic, and the task that serves it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use bytes::Bytes;
use ottla_common::time::Time;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_coordinator::runtime::{
    CoordinatorContext, CoordinatorLog, CoordinatorShard, EndTransaction, LogEntry, Output, OutputOf, Token,
    TransactionalProducer,
};
use ottla_record::{MemoryRecords, SimpleRecord};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tracing::{error, info};

use super::alarm::Alarm;
use super::clock::WatchedClock;
use super::kind::{CoordinatorKind, ResultOf, Source};
use super::load::{LoadError, load};
use super::log::{LOGGER, PartitionLog, TransactionProof};

/// What is to be told once an operation is committed, or failed.
pub type Completion = Box<dyn FnOnce(Result<(), ErrorCode>) + Send>;
/// Something to do with the shard; its turn comes in the order of arrival.
pub(super) type Operation<K> = Box<dyn FnOnce(&mut Worker<K>) + Send>;
/// What takes the answer to a request that waits inside the shard.
type Parked<K> = Box<dyn FnOnce(ReplyOf<K>) + Send>;
type ReplyOf<K> = <<K as CoordinatorKind>::Shard as CoordinatorShard>::Reply;

/// Operations that may wait for their turn; whoever comes then waits before the door.
const QUEUE_LENGTH: usize = 1024;

/// What Kafka's coordinators write; nobody looks at it.
const BASE_SEQUENCE: i32 = 0;

const LOADING: u8 = 0;
const ACTIVE: u8 = 1;
const FAILED: u8 = 2;

/// How the service reaches the task of a partition. The task ends when this is dropped.
pub(super) struct PartitionHandle<K: CoordinatorKind> {
    pub(super) leader_epoch: i32,
    operations: mpsc::Sender<Operation<K>>,
    state: Arc<AtomicU8>,
    committed: Arc<Notify>,
    cancelled: Arc<AtomicBool>,
    _alive: oneshot::Sender<()>,
}

impl<K: CoordinatorKind> PartitionHandle<K> {
    /// Where to send operations; an error while there is nobody to take them.
    pub(super) fn operations(&self) -> Result<mpsc::Sender<Operation<K>>, ErrorCode> {
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

impl<K: CoordinatorKind> Drop for PartitionHandle<K> {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// A partition that this broker leads, in one epoch.
#[derive(Debug)]
pub(super) struct LedPartition<K> {
    pub(super) kind: Arc<K>,
    pub(super) partition: TopicPartition,
    pub(super) leader_epoch: i32,
    pub(super) log: Arc<dyn PartitionLog>,
    /// What lets the next append into the log.
    proof: TransactionProof,
}

impl<K: CoordinatorKind> LedPartition<K> {
    pub(super) fn new(kind: Arc<K>, partition: i32, leader_epoch: i32, log: Arc<dyn PartitionLog>) -> Self {
        let partition = TopicPartition::new(K::TOPIC, partition);
        Self { kind, partition, leader_epoch, log, proof: TransactionProof::NONE }
    }

    pub(super) fn source(&self) -> Source {
        Source { partition: self.partition.partition, leader_epoch: self.leader_epoch }
    }

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

impl<K: CoordinatorKind> CoordinatorLog for LedPartition<K> {
    fn append(
        &mut self,
        now_ms: i64,
        entries: &[LogEntry],
        producer: Option<TransactionalProducer>,
    ) -> Result<i64, ErrorCode> {
        let simple =
            |entry: &LogEntry| SimpleRecord::new(now_ms, Some(entry.key.clone()), entry.value.clone());
        let simple: Vec<SimpleRecord> = entries.iter().map(simple).collect();
        let compression = self.kind.compression();
        let batch = match producer {
            None => MemoryRecords::with_records(compression, &simple),
            // The coordinator writes in the producer's name, outside of its sequence.
            Some(TransactionalProducer { producer_id, producer_epoch }) => {
                MemoryRecords::with_transactional_records(
                    compression,
                    producer_id,
                    producer_epoch,
                    BASE_SEQUENCE,
                    &simple,
                )
            }
        };
        let batch = batch.map_err(|_| ErrorCode::RecordListTooLarge)?;
        self.log.append(&self.partition, self.leader_epoch, batch.into_bytes(), self.proof)
    }

    fn append_end_transaction(&mut self, now_ms: i64, end: &EndTransaction) -> Result<i64, ErrorCode> {
        self.log.append_end_transaction(&self.partition, self.leader_epoch, now_ms, end)
    }

    fn end_offset(&self) -> i64 {
        // Nothing can be appended to a partition that is gone.
        self.log.offsets(&self.partition).map_or(0, |(_, end_offset)| end_offset)
    }

    fn max_batch_bytes(&self) -> usize {
        self.log.max_batch_bytes(&self.partition)
    }

    fn high_watermark(&self) -> i64 {
        // A partition that is gone commits nothing any more; the resignation is on its way.
        self.log.high_watermark(&self.partition).unwrap_or(0)
    }
}

/// What the task of a partition needs to begin.
pub(super) struct PartitionTask<K> {
    pub(super) led: LedPartition<K>,
    pub(super) time: Arc<dyn Time>,
    /// How many partitions may load at the same time.
    pub(super) loads: Arc<Semaphore>,
}

impl<K: CoordinatorKind> PartitionTask<K> {
    /// Begins to load the partition, and to serve it once it is loaded.
    pub(super) fn spawn(self, runtime: &tokio::runtime::Handle) -> PartitionHandle<K> {
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
        let work = Work { inbox, stop, state, committed, cancelled };
        runtime.spawn(self.run(work));
        handle
    }

    async fn run(self, mut work: Work<K>) {
        let Self { mut led, time, loads } = self;
        loop {
            let partition = led.partition.clone();
            let turn = Arc::clone(&loads).acquire_owned().await;
            let (clock, cancelled) = (Arc::clone(&time), Arc::clone(&work.cancelled));
            let loading = tokio::task::spawn_blocking(move || load_worker(led, clock, &cancelled));
            let loaded =
                loading.await.unwrap_or_else(|panicked| Err(LoadError::Panicked(panicked.to_string())));
            drop(turn);
            let worker = match loaded {
                Ok(worker) => worker,
                Err(LoadError::Cancelled) => return,
                Err(reason) => {
                    error!(target: LOGGER, "Failed to load metadata from {partition}: {reason}");
                    work.state.store(FAILED, Ordering::Release);
                    return;
                }
            };
            work.state.store(ACTIVE, Ordering::Release);
            match worker.serve(&mut work).await {
                None => return,
                Some(lost) => led = lost,
            }
            error!(target: LOGGER, "What is in {partition} is not what was replayed: it is loaded again");
            work.state.store(LOADING, Ordering::Release);
        }
    }
}

fn load_worker<K: CoordinatorKind>(
    mut led: LedPartition<K>,
    time: Arc<dyn Time>,
    cancelled: &AtomicBool,
) -> Result<Worker<K>, LoadError> {
    let began_ms = time.now_ms();
    let shard = led.kind.new_shard(led.leader_epoch);
    let loaded = load(&led, shard, cancelled)?;
    let mut clock = WatchedClock::new(time);
    let (now_ms, _) = clock.look();
    let mut context = loaded.finish(now_ms, led.kind.write_timeout_ms(), &mut led);
    context.set_linger(led.kind.append_linger());
    info!(target: LOGGER, "Finished loading of metadata from {} with epoch {} in {}ms",
        led.partition,
        led.leader_epoch,
        now_ms - began_ms
    );
    Ok(Worker { context, led, clock, parked: HashMap::new(), next_token: 0 })
}

/// What the task and the handle have in common.
struct Work<K: CoordinatorKind> {
    inbox: mpsc::Receiver<Operation<K>>,
    stop: oneshot::Receiver<()>,
    state: Arc<AtomicU8>,
    committed: Arc<Notify>,
    cancelled: Arc<AtomicBool>,
}

/// The owner of a loaded shard.
pub struct Worker<K: CoordinatorKind> {
    context: CoordinatorContext<K::Shard, Completion>,
    led: LedPartition<K>,
    clock: WatchedClock,
    /// Requests that wait inside the shard.
    parked: HashMap<Token, Parked<K>>,
    next_token: u64,
}

impl<K: CoordinatorKind> fmt::Debug for Worker<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("led", &self.led)
            .field("parked", &self.parked.len())
            .finish_non_exhaustive()
    }
}

impl<K: CoordinatorKind> Worker<K> {
    /// The committed state and the newest one.
    pub fn states(&self) -> (&K::Shard, &K::Shard) {
        (self.context.committed(), self.context.shard())
    }

    /// The newest state, and the time.
    pub fn look(&mut self) -> (i64, &K::Shard) {
        (self.now_ms(), self.context.shard())
    }

    /// Carries out a decision.
    pub fn execute(&mut self, result: ResultOf<K>, completion: Option<Completion>) {
        let now_ms = self.now_ms();
        self.context.execute(now_ms, result, completion, &mut self.led);
    }

    /// Carries out a decision within a transaction.
    pub fn execute_with_proof(
        &mut self,
        result: ResultOf<K>,
        completion: Completion,
        proof: TransactionProof,
    ) {
        self.led.proof = proof;
        self.execute(result, Some(completion));
        self.led.proof = TransactionProof::NONE;
    }

    /// Ends a transaction that appended to this partition.
    pub fn complete_transaction(&mut self, end: &EndTransaction, completion: Completion) {
        let now_ms = self.now_ms();
        self.context.complete_transaction(now_ms, end, completion, &mut self.led);
    }

    /// Keeps a request until the shard answers it.
    pub fn park(&mut self, answer: impl FnOnce(ReplyOf<K>) + Send + 'static) -> Token {
        self.next_token += 1;
        let token = Token(self.next_token);
        self.parked.insert(token, Box::new(answer));
        token
    }

    fn now_ms(&mut self) -> i64 {
        let (now_ms, set_by_ms) = self.clock.look();
        if set_by_ms != 0 {
            self.context.on_clock_set(set_by_ms);
        }
        now_ms
    }

    /// Serves until somebody else leads the partition. Gives it back if it must be loaded again.
    async fn serve(mut self, work: &mut Work<K>) -> Option<LedPartition<K>> {
        if let Some(result) = self.led.kind.catch_up(self.context.shard()) {
            self.execute(result, None);
        }
        let committed = Arc::clone(&work.committed);
        let mut notified = std::pin::pin!(committed.notified());
        let mut alarm = Alarm::new();
        while !self.context.is_out_of_sync() {
            let now_ms = self.now_ms();
            // Timers first: what fell due before an operation arrived comes before it.
            self.context.on_time(now_ms, &mut self.led);
            if work.inbox.is_empty() {
                self.context.on_idle(now_ms, &mut self.led);
            }
            self.tell();
            alarm.set(now_ms, self.context.next_deadline());
            tokio::select! {
                biased;
                _ = &mut work.stop => break,
                () = &mut notified => {
                    notified.set(committed.notified());
                    self.context.commit(now_ms, &mut self.led);
                }
                operation = work.inbox.recv() => match operation {
                    Some(operation) => operation(&mut self),
                    None => break,
                },
                () = &mut alarm => {}
            }
            self.tell();
        }
        info!(target: LOGGER, "Unloading metadata of {} with epoch {}", self.led.partition, self.led.leader_epoch);
        let Self { context, led, mut parked, .. } = self;
        let is_out_of_sync = context.is_out_of_sync();
        tell(context.unload(), &led, &mut parked);
        led.kind.on_unloaded(led.source());
        is_out_of_sync.then_some(led)
    }

    fn tell(&mut self) {
        tell(self.context.take_outputs(), &self.led, &mut self.parked);
    }
}

fn tell<K: CoordinatorKind>(
    outputs: Vec<OutputOf<K::Shard, Completion>>,
    led: &LedPartition<K>,
    parked: &mut HashMap<Token, Parked<K>>,
) {
    for output in outputs {
        match output {
            Output::Complete(completion, outcome) => completion(outcome),
            Output::Effect(effect) => led.kind.run(led.source(), effect),
            Output::Reply(token, reply) => match parked.remove(&token) {
                Some(answer) => answer(reply),
                None => debug_assert!(false, "PARKED-ANSWERED-ONCE: {token:?}"),
            },
        }
    }
}
