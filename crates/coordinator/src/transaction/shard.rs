use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::ErrorCode;

use super::producer_ids::ProducerIdPool;
use super::transactions::{Deadline, Transactions};
use super::{
    TransactionConfig, TransactionEffect, TransactionError, TransactionMetadata, TransactionRecord,
    TransactionVersion, append_error,
};
use crate::group::owned;
use crate::runtime::{CoordinatorResult, CoordinatorShard, LogEntry, TimerChange, Token, TransactionResult};

/// What the transaction coordinator decides.
pub type TransactionDecision<T> = CoordinatorResult<T, TransactionCoordinatorShard>;

/// The transactional ids of one partition of `__transaction_state`.
#[derive(Debug, Clone)]
pub struct TransactionCoordinatorShard {
    pub(super) config: Arc<TransactionConfig>,
    /// The leader epoch of the partition.
    pub(super) coordinator_epoch: i32,
    /// The cluster's `transaction.version`.
    pub(super) version: TransactionVersion,
    pub(super) transactions: Transactions,
    pub(super) producer_ids: ProducerIdPool,
}

/// A change that is not in the log, or whose record is committed by now.
#[derive(Debug, Clone)]
pub enum TransactionChange {
    /// The transactional id is this now.
    Put(Arc<TransactionMetadata>),
    /// The move to this is over.
    Complete(Arc<TransactionMetadata>),
    /// The transactional id is no more.
    Remove(ByteString),
    /// When the markers are written, the transactional id becomes this.
    AwaitMarkers(Arc<TransactionMetadata>),
    /// Nobody waits for the markers any more.
    ForgetMarkers(ByteString),
    /// The first of the producer ids has an owner.
    TakeProducerId,
    /// More producer ids are asked for.
    ProducerIdsRequested,
    /// More producer ids are here; none if there were none to be had.
    ProducerIds(Range<i64>),
    /// The cluster's `transaction.version` is this now.
    Version(TransactionVersion),
    /// The configuration is this now.
    Config(Arc<TransactionConfig>),
}

/// What is decided once records are committed, or refused.
#[derive(Debug)]
pub enum TransactionContinuation {
    /// Everything that was found in the log.
    Loaded,
    /// A move of a transactional id.
    Move {
        /// What it becomes.
        next: Arc<TransactionMetadata>,
        /// It fences a producer by an epoch that was bumped in memory before.
        fences: bool,
    },
    /// The last move of a transaction, when all its markers are written.
    Completion(Arc<TransactionMetadata>),
    /// Transactional ids that expired, as they were.
    Expired(Vec<Arc<TransactionMetadata>>),
}

/// Names a timer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransactionTimerKey {
    /// The next look for transactions that are open for too long.
    AbortTimedOut,
    /// The next look for transactional ids that expired.
    Expiration,
    /// The next try to write that a transaction is complete: transactional id.
    Completion(ByteString),
}

/// What a timer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionTimerEvent {
    /// Abort a transaction that is open for too long, and go on with the next.
    AbortTimedOut {
        /// Where this look has come.
        after: Option<Deadline>,
    },
    /// Delete transactional ids that expired, and go on with the next.
    RemoveExpired {
        /// Where this look has come.
        after: Option<ByteString>,
    },
    /// Write that a transaction is complete.
    Complete(ByteString),
}

impl TransactionCoordinatorShard {
    /// A shard that knows nothing yet. `coordinator_epoch` is the leader epoch of its partition.
    pub fn new(config: Arc<TransactionConfig>, coordinator_epoch: i32, version: TransactionVersion) -> Self {
        Self {
            config,
            coordinator_epoch,
            version,
            transactions: Transactions::default(),
            producer_ids: ProducerIdPool::default(),
        }
    }

    /// What is known of a transactional id.
    pub fn transaction(&self, transactional_id: &ByteString) -> Option<&TransactionMetadata> {
        self.transactions.get(transactional_id).map(Arc::as_ref)
    }

    /// Everything that is known, in the order of the transactional ids.
    pub fn transactions(&self) -> impl Iterator<Item = &TransactionMetadata> {
        self.transactions.iter().map(Arc::as_ref)
    }

    /// The answer to [`TransactionEffect::RequestProducerIds`]: a block, or an empty range if there was
    /// none to be had. Then the next producer that needs an id lets the shard ask again.
    pub fn supply_producer_ids(&self, block: Range<i64>) -> TransactionDecision<()> {
        changed(TransactionChange::ProducerIds(block))
    }

    /// The cluster's `transaction.version` changed.
    pub fn change_transaction_version(&self, version: TransactionVersion) -> TransactionDecision<()> {
        changed(TransactionChange::Version(version))
    }

    /// The configuration changed.
    pub fn change_config(&self, config: Arc<TransactionConfig>) -> TransactionDecision<()> {
        changed(TransactionChange::Config(config))
    }

    /// Writes a move; it takes effect when its record is committed. `current` is the transactional id as
    /// it is until then.
    pub(super) fn begin_move<T>(
        &self,
        current: &TransactionMetadata,
        next: TransactionMetadata,
        fences: bool,
        response: T,
    ) -> TransactionDecision<T> {
        assert_eq!(current.pending_state, None, "TXN-ONE-MOVE-AT-A-TIME");
        let mut decision = self.write(&next, response);
        decision.changes.push(TransactionChange::Put(Arc::new(current.moving_to(next.state))));
        decision.then = Some(TransactionContinuation::Move { next: Arc::new(next), fences });
        decision
    }

    /// The record of a transactional id. It is not replayed: what it says takes effect by its commit.
    pub(super) fn write<T>(&self, next: &TransactionMetadata, response: T) -> TransactionDecision<T> {
        let record = TransactionRecord::of(next, self.version);
        TransactionDecision { replay: false, ..TransactionDecision::with_records(vec![record], response) }
    }

    /// A producer id that nobody had, which the decision must then own by
    /// [`TransactionChange::TakeProducerId`].
    pub(super) fn next_producer_id(&self) -> Result<i64, TransactionError> {
        self.producer_ids.first().ok_or(TransactionError::NoProducerId)
    }

    /// Lets a decision ask for more producer ids, if they are running out.
    pub(super) fn refill<T>(&self, mut decision: TransactionDecision<T>) -> TransactionDecision<T> {
        if self.producer_ids.is_wanting() {
            decision.changes.push(TransactionChange::ProducerIdsRequested);
            decision.effects.push(TransactionEffect::RequestProducerIds);
        }
        decision
    }
}

/// The same decision with an answer.
pub(super) fn answer<T>(decision: TransactionDecision<()>, response: T) -> TransactionDecision<T> {
    decision.with_response(response)
}

pub(super) fn changed(change: TransactionChange) -> TransactionDecision<()> {
    TransactionDecision { changes: vec![change], ..TransactionDecision::of(()) }
}

impl CoordinatorShard for TransactionCoordinatorShard {
    type Record = TransactionRecord;
    type Change = TransactionChange;
    type Reply = Infallible;
    type Effect = TransactionEffect;
    type Continuation = TransactionContinuation;
    type TimerKey = TransactionTimerKey;
    type TimerEvent = TransactionTimerEvent;

    fn encode(record: &TransactionRecord) -> Result<LogEntry, ErrorCode> {
        let (key, value) = record.encode().map_err(|_| ErrorCode::UnknownServerError)?;
        Ok(LogEntry { key, value })
    }

    fn replay(&mut self, _: i64, _: i64, record: &TransactionRecord) {
        let transactional_id = owned(&record.key.transactional_id);
        let value = record.value.as_ref();
        // A record with an unknown state is not decoded in the first place.
        match value.and_then(|(_, value)| TransactionMetadata::from_record(transactional_id.clone(), value)) {
            Some(metadata) => self.transactions.put(Arc::new(metadata)),
            None => self.transactions.remove(&transactional_id),
        }
    }

    /// Nothing in this topic is written within a transaction.
    fn replay_end_transaction_marker(&mut self, _: i64, _: TransactionResult) {}

    fn apply(&mut self, change: TransactionChange) {
        match change {
            TransactionChange::Put(metadata) => self.transactions.put(metadata),
            TransactionChange::Complete(metadata) => self.transactions.complete(metadata),
            TransactionChange::Remove(transactional_id) => self.transactions.remove(&transactional_id),
            TransactionChange::AwaitMarkers(complete) => self.transactions.await_markers(complete),
            TransactionChange::ForgetMarkers(transactional_id) => {
                self.transactions.forget_markers(&transactional_id);
            }
            TransactionChange::TakeProducerId => self.producer_ids.take(),
            TransactionChange::ProducerIdsRequested => self.producer_ids.note_requested(),
            TransactionChange::ProducerIds(block) => self.producer_ids.supply(block),
            TransactionChange::Version(version) => self.version = version,
            TransactionChange::Config(config) => self.config = config,
        }
    }

    fn on_timer(&self, now_ms: i64, event: &TransactionTimerEvent) -> TransactionDecision<()> {
        match event {
            TransactionTimerEvent::AbortTimedOut { after } => {
                self.abort_timed_out_transaction(now_ms, after.as_ref())
            }
            TransactionTimerEvent::RemoveExpired { after } => {
                self.remove_expired_transactional_ids(now_ms, after.as_ref())
            }
            TransactionTimerEvent::Complete(transactional_id) => self.retry_completion(transactional_id),
        }
    }

    fn on_append(
        &self,
        now_ms: i64,
        then: TransactionContinuation,
        outcome: Result<(), ErrorCode>,
    ) -> TransactionDecision<()> {
        match then {
            TransactionContinuation::Loaded => self.after_load(now_ms, outcome),
            TransactionContinuation::Move { next, fences } => match outcome {
                Ok(()) => self.after_move(now_ms, next),
                Err(_) => self.after_refused_move(&next, fences),
            },
            TransactionContinuation::Completion(complete) => {
                self.after_completion(now_ms, complete, outcome.map_err(append_error))
            }
            TransactionContinuation::Expired(expired) => self.after_expiration(&expired, outcome),
        }
    }

    fn on_loaded(&self, now_ms: i64) -> TransactionDecision<()> {
        let mut decision = self.refill(TransactionDecision::of(()));
        decision.timers.push(self.schedule_abort_timed_out(now_ms));
        decision.timers.push(self.schedule_expiration(now_ms));
        // What is at the end of the log may not be committed yet, and no marker goes out before that.
        decision.then = Some(TransactionContinuation::Loaded);
        decision
    }

    fn on_unloaded(&self) -> Vec<(Token, Infallible)> {
        Vec::new()
    }
}

impl TransactionCoordinatorShard {
    /// After a move was written: it takes effect, and if it decides the end of the transaction, the
    /// markers go out.
    fn after_move(&self, now_ms: i64, next: Arc<TransactionMetadata>) -> TransactionDecision<()> {
        if self.transactions.get(&next.transactional_id).is_none() {
            return TransactionDecision::of(());
        }
        let mut decision = changed(TransactionChange::Complete(Arc::clone(&next)));
        if next.state.is_prepared() {
            self.begin_completion(now_ms, &next, &mut decision);
        }
        decision
    }

    /// The record of a move was refused, or not committed in time: the move never was.
    fn after_refused_move(&self, next: &TransactionMetadata, fences: bool) -> TransactionDecision<()> {
        let Some(current) = self.transactions.get(&next.transactional_id) else {
            return TransactionDecision::of(());
        };
        let mut settled = current.settled();
        settled.has_failed_epoch_fence |= fences;
        changed(TransactionChange::Put(Arc::new(settled)))
    }

    pub(super) fn schedule(
        key: TransactionTimerKey,
        deadline_ms: i64,
        event: TransactionTimerEvent,
    ) -> TimerChange<TransactionTimerKey, TransactionTimerEvent> {
        TimerChange::Schedule { key, deadline_ms, event }
    }
}
