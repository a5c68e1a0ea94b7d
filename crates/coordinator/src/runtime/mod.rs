//! The frame that every coordinator hangs in.
//!
//! A [`CoordinatorShard`] owns the state of one partition of a coordinator's topic. It decides with
//! `&self` and hands back a [`CoordinatorResult`]; a [`CoordinatorContext`] carries that out: timers,
//! append, replay, and replies that wait until their records are committed.

mod batch;
#[cfg(test)]
mod batch_test;
mod context;
mod load;
mod timers;

use ottla_common::ErrorCode;

pub use batch::{AppendLinger, LogEntry};
pub use context::{CoordinatorContext, CoordinatorLog, Output, OutputOf};
pub use load::CoordinatorLoad;
pub use timers::{CoordinatorTimers, TimerChange};

/// Names a request that is parked inside a shard until a later decision answers it.
///
/// Whoever carries the request hands the token in with it and finds the answer under it later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionResult {
    /// Its pending records take effect.
    Commit,
    /// Its pending records never happened.
    Abort,
}

/// Who a transactional append is done for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionalProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
}

/// The end of a transaction, as the transaction coordinator tells it to a partition that took part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTransaction {
    /// Whose transaction it was.
    pub producer: TransactionalProducer,
    /// The epoch of the transaction coordinator that ends it.
    pub coordinator_epoch: i32,
    /// How it ended.
    pub result: TransactionResult,
    /// The `transaction.version` that the transaction was run with (KIP-890).
    pub transaction_version: i16,
}

/// The state machine of one partition of a coordinator's topic.
///
/// Cloning must be cheap: the states at uncommitted offsets are kept as clones.
pub trait CoordinatorShard: Clone {
    /// What is written to the log.
    type Record: Clone;
    /// A change of state that is not in the log, such as a member that waits for a rebalance.
    type Change: Clone;
    /// The answer to a parked request.
    type Reply;
    /// Something to be done outside of the shard.
    type Effect;
    /// What is to be decided once the records of a decision are committed, or refused.
    type Continuation;
    /// Names a timer. At most one timer of a name runs at a time.
    type TimerKey: Ord + Clone;
    /// What a timer says when it fires.
    type TimerEvent: Clone;

    /// A record as it stands in the log.
    fn encode(record: &Self::Record) -> Result<LogEntry, ErrorCode>;

    /// Takes in a record of the log. The only way by which committed state changes.
    fn replay(&mut self, offset: i64, producer_id: i64, record: &Self::Record);

    /// Takes in a transaction marker of the log.
    fn replay_end_transaction_marker(&mut self, producer_id: i64, result: TransactionResult);

    /// Takes in a change that is not in the log.
    fn apply(&mut self, change: Self::Change);

    /// A timer fired.
    fn on_timer(&self, now_ms: i64, event: &Self::TimerEvent) -> CoordinatorResult<(), Self>;

    /// The records of the decision that asked for this are committed, or could not be.
    fn on_append(
        &self,
        now_ms: i64,
        then: Self::Continuation,
        outcome: Result<(), ErrorCode>,
    ) -> CoordinatorResult<(), Self>;

    /// The whole log is replayed, and this node is the coordinator from now on.
    fn on_loaded(&self, now_ms: i64) -> CoordinatorResult<(), Self>;

    /// This node is no longer the coordinator: what the parked requests are told.
    fn on_unloaded(&self) -> Vec<(Token, Self::Reply)>;
}

/// What a shard decided: nothing in here has happened yet.
#[derive(Debug)]
pub struct CoordinatorResult<T, S: CoordinatorShard> {
    /// To be appended, in this order.
    pub records: Vec<S::Record>,
    /// The answer to the request, to be held back until the records are committed.
    pub response: T,
    /// Timers to start and to stop, in this order.
    pub timers: Vec<TimerChange<S::TimerKey, S::TimerEvent>>,
    /// Changes outside the log; they happen before the append, whatever becomes of it.
    pub changes: Vec<S::Change>,
    /// Answers to parked requests, to be sent at once.
    pub replies: Vec<(Token, S::Reply)>,
    /// To be done outside of the shard, at once: what makes it necessary is written already.
    pub effects: Vec<S::Effect>,
    /// To be asked once the records are committed or refused.
    pub then: Option<S::Continuation>,
    /// Whether the records are replayed. Not so when `changes` already hold their effect.
    pub replay: bool,
    /// Whether the records must share a batch; otherwise they may be split over several.
    pub atomic: bool,
    /// Whose transaction the records belong to, if they belong to one: they take effect when it is committed.
    pub producer: Option<TransactionalProducer>,
}

impl<T, S: CoordinatorShard> CoordinatorResult<T, S> {
    /// An answer that changes nothing.
    pub fn of(response: T) -> Self {
        Self {
            records: Vec::new(),
            response,
            timers: Vec::new(),
            changes: Vec::new(),
            replies: Vec::new(),
            effects: Vec::new(),
            then: None,
            replay: true,
            atomic: true,
            producer: None,
        }
    }

    /// An answer behind records that are to be appended and replayed.
    pub fn with_records(records: Vec<S::Record>, response: T) -> Self {
        Self { records, ..Self::of(response) }
    }

    /// The same decision with another response.
    pub fn with_response<U>(self, response: U) -> CoordinatorResult<U, S> {
        self.split_response().0.answering(response)
    }

    /// The same decision without its response, and the response.
    pub fn split_response(self) -> (CoordinatorResult<(), S>, T) {
        let Self { records, response, timers, changes, replies, effects, then, replay, atomic, producer } =
            self;
        let rest = CoordinatorResult {
            records,
            response: (),
            timers,
            changes,
            replies,
            effects,
            then,
            replay,
            atomic,
            producer,
        };
        (rest, response)
    }
}

impl<S: CoordinatorShard> CoordinatorResult<(), S> {
    fn answering<U>(self, response: U) -> CoordinatorResult<U, S> {
        let Self { records, response: (), timers, changes, replies, effects, then, replay, atomic, producer } =
            self;
        CoordinatorResult {
            records,
            response,
            timers,
            changes,
            replies,
            effects,
            then,
            replay,
            atomic,
            producer,
        }
    }
}
