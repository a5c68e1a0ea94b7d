use std::collections::VecDeque;

use ottla_common::ErrorCode;
use ottla_server_common::Timeline;

use super::{
    CoordinatorResult, CoordinatorShard, CoordinatorTimers, EndTransaction, Token, TransactionResult,
    TransactionalProducer,
};

/// The log that a coordinator's records go to.
pub trait CoordinatorLog<R> {
    /// Appends the records as one batch, transactional if they are a producer's, and gives the offset of the first
    /// of them.
    fn append(
        &mut self,
        now_ms: i64,
        records: &[R],
        producer: Option<TransactionalProducer>,
    ) -> Result<i64, ErrorCode>;

    /// Appends the marker of a transaction's end and gives its offset.
    fn append_end_transaction(&mut self, now_ms: i64, end: &EndTransaction) -> Result<i64, ErrorCode>;

    /// The offset below which everything is committed.
    fn high_watermark(&self) -> i64;
}

/// What the outside is to be told.
#[derive(Debug)]
pub enum Output<R, F, E> {
    /// The answer to a parked request.
    Reply(Token, R),
    /// Something to be done outside.
    Effect(F),
    /// The operation that brought this event is committed, or failed.
    Complete(E, Result<(), ErrorCode>),
}

/// What a shard's context tells the outside.
pub type OutputOf<S, E> = Output<<S as CoordinatorShard>::Reply, <S as CoordinatorShard>::Effect, E>;

/// How a decision's records are appended.
#[derive(Debug, Clone, Copy)]
struct Batch {
    producer: Option<TransactionalProducer>,
    replay: bool,
    atomic: bool,
}

#[derive(Debug)]
struct Deferred<C, E> {
    offset: i64,
    deadline_ms: i64,
    then: Option<C>,
    event: Option<E>,
}

/// A shard at work: the leader of one partition of the coordinator's topic.
///
/// `E` is whatever the owner wants back when an operation is committed.
#[derive(Debug)]
pub struct CoordinatorContext<S: CoordinatorShard, E> {
    timeline: Timeline<S>,
    timers: CoordinatorTimers<S::TimerKey, S::TimerEvent>,
    /// What waits for its offset to be committed. Offsets and deadlines both only grow.
    deferred: VecDeque<Deferred<S::Continuation, E>>,
    write_timeout_ms: i64,
    last_written: i64,
    outputs: Vec<OutputOf<S, E>>,
}

impl<S: CoordinatorShard, E> CoordinatorContext<S, E> {
    /// The newest state, uncommitted records included.
    pub fn shard(&self) -> &S {
        self.timeline.latest()
    }

    /// The state of the committed records.
    pub fn committed(&self) -> &S {
        self.timeline.committed()
    }

    /// What the outside is to be told since the last time somebody asked.
    pub fn take_outputs(&mut self) -> Vec<OutputOf<S, E>> {
        std::mem::take(&mut self.outputs)
    }

    /// When something falls due: a timer, or the patience with an uncommitted write.
    pub fn next_deadline(&self) -> Option<i64> {
        let write = self.deferred.front().map(|deferred| deferred.deadline_ms);
        [self.timers.next_deadline(), write].into_iter().flatten().min()
    }

    /// The running timers.
    pub fn timers(&self) -> &CoordinatorTimers<S::TimerKey, S::TimerEvent> {
        &self.timers
    }

    /// Carries out a decision. `event` comes back in an [`Output::Complete`] once it is committed.
    pub fn execute(
        &mut self,
        now_ms: i64,
        result: CoordinatorResult<(), S>,
        event: Option<E>,
        log: &mut impl CoordinatorLog<S::Record>,
    ) {
        let CoordinatorResult {
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
        } = result;
        for change in changes {
            self.timeline.latest_mut().apply(change);
        }
        for timer in timers {
            self.timers.change(timer);
        }
        self.outputs.extend(replies.into_iter().map(|(token, reply)| Output::Reply(token, reply)));
        self.outputs.extend(effects.into_iter().map(Output::Effect));
        let batch = Batch { producer, replay, atomic };
        if let Err(error) = self.append(now_ms, &records, batch, log) {
            let refused = Deferred { offset: self.last_written, deadline_ms: now_ms, then, event };
            self.settle(now_ms, refused, Err(error), log);
            return;
        }
        if then.is_some() || event.is_some() {
            let deadline_ms = now_ms.saturating_add(self.write_timeout_ms);
            self.deferred.push_back(Deferred { offset: self.last_written, deadline_ms, then, event });
        }
        self.commit(now_ms, log);
    }

    /// A transaction that appended to this partition ended. `event` comes back once the marker is committed.
    pub fn complete_transaction(
        &mut self,
        now_ms: i64,
        end: &EndTransaction,
        event: E,
        log: &mut impl CoordinatorLog<S::Record>,
    ) {
        let offset = match log.append_end_transaction(now_ms, end) {
            Ok(offset) => offset,
            Err(error) => {
                self.outputs.push(Output::Complete(event, Err(error)));
                return;
            }
        };
        assert!(offset > self.last_written, "COORDINATOR-LOG-MONOTONIC: {offset}");
        self.timeline.latest_mut().replay_end_transaction_marker(end.producer.producer_id, end.result);
        self.last_written = offset;
        self.timeline.snapshot(offset);
        let deadline_ms = now_ms.saturating_add(self.write_timeout_ms);
        self.deferred.push_back(Deferred { offset, deadline_ms, then: None, event: Some(event) });
        self.commit(now_ms, log);
    }

    /// Takes note of the log's high watermark: releases what waited for it.
    pub fn commit(&mut self, now_ms: i64, log: &mut impl CoordinatorLog<S::Record>) {
        let committed = log.high_watermark().saturating_sub(1);
        self.timeline.commit(committed);
        while let Some(deferred) = self.deferred.pop_front_if(|deferred| deferred.offset <= committed) {
            self.settle(now_ms, deferred, Ok(()), log);
        }
    }

    /// Fires the timers that are due, and gives up on writes that took too long.
    pub fn on_time(&mut self, now_ms: i64, log: &mut impl CoordinatorLog<S::Record>) {
        while let Some(event) = self.timers.pop_due(now_ms) {
            let result = self.timeline.latest().on_timer(now_ms, &event);
            self.execute(now_ms, result, None, log);
        }
        while let Some(deferred) = self.deferred.pop_front_if(|deferred| deferred.deadline_ms <= now_ms) {
            self.settle(now_ms, deferred, Err(ErrorCode::RequestTimedOut), log);
        }
    }

    /// The clock was set by so much: what is left of each deadline stays the same.
    pub fn on_clock_set(&mut self, by_ms: i64) {
        self.timers.shift(by_ms);
        for deferred in &mut self.deferred {
            deferred.deadline_ms = deferred.deadline_ms.saturating_add(by_ms);
        }
    }

    /// This node is no longer the coordinator: every waiting request is told so.
    pub fn unload(mut self) -> Vec<OutputOf<S, E>> {
        let replies = self.timeline.latest().on_unloaded();
        self.outputs.extend(replies.into_iter().map(|(token, reply)| Output::Reply(token, reply)));
        for deferred in std::mem::take(&mut self.deferred) {
            if let Some(event) = deferred.event {
                self.outputs.push(Output::Complete(event, Err(ErrorCode::NotCoordinator)));
            }
        }
        self.outputs
    }

    fn append(
        &mut self,
        now_ms: i64,
        records: &[S::Record],
        batch: Batch,
        log: &mut impl CoordinatorLog<S::Record>,
    ) -> Result<(), ErrorCode> {
        if records.is_empty() {
            return Ok(());
        }
        let base_offset = match log.append(now_ms, records, batch.producer) {
            Ok(base_offset) => base_offset,
            Err(error) if !batch.atomic && records.len() > 1 && is_too_large(error) => {
                let (first, second) = records.split_at(records.len() / 2);
                self.append(now_ms, first, batch, log)?;
                return self.append(now_ms, second, batch, log);
            }
            Err(error) => return Err(error),
        };
        assert!(base_offset > self.last_written, "COORDINATOR-LOG-MONOTONIC: {base_offset}");
        let producer_id = batch.producer.map_or(NO_PRODUCER_ID, |producer| producer.producer_id);
        for (offset, record) in (base_offset..).zip(records) {
            if batch.replay {
                self.timeline.latest_mut().replay(offset, producer_id, record);
            }
            self.last_written = offset;
        }
        self.timeline.snapshot(self.last_written);
        Ok(())
    }

    fn settle(
        &mut self,
        now_ms: i64,
        deferred: Deferred<S::Continuation, E>,
        outcome: Result<(), ErrorCode>,
        log: &mut impl CoordinatorLog<S::Record>,
    ) {
        if let Some(event) = deferred.event {
            self.outputs.push(Output::Complete(event, outcome));
        }
        if let Some(then) = deferred.then {
            let result = self.timeline.latest().on_append(now_ms, then, outcome);
            self.execute(now_ms, result, None, log);
        }
    }
}

const NO_PRODUCER_ID: i64 = -1;

fn is_too_large(error: ErrorCode) -> bool {
    matches!(error, ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge)
}

/// A shard while its log is replayed, before it may decide anything.
#[derive(Debug)]
pub struct CoordinatorLoad<S: CoordinatorShard> {
    timeline: Timeline<S>,
    last_read: i64,
}

impl<S: CoordinatorShard> CoordinatorLoad<S> {
    /// Begins with an empty shard.
    pub fn new(shard: S) -> Self {
        Self { timeline: Timeline::new(shard, -1), last_read: -1 }
    }

    /// Replays one record of the log.
    pub fn replay(&mut self, offset: i64, producer_id: i64, record: &S::Record) {
        self.timeline.latest_mut().replay(offset, producer_id, record);
    }

    /// Replays one transaction marker of the log.
    pub fn replay_end_transaction_marker(&mut self, producer_id: i64, result: TransactionResult) {
        self.timeline.latest_mut().replay_end_transaction_marker(producer_id, result);
    }

    /// A batch is through, whose last offset this is.
    pub fn batch_done(&mut self, last_offset: i64, high_watermark: i64) {
        if last_offset <= self.last_read {
            return;
        }
        self.last_read = last_offset;
        if last_offset < high_watermark && !self.timeline.has_uncommitted() {
            self.timeline.commit_latest(last_offset);
        } else {
            self.timeline.snapshot(last_offset);
            self.timeline.commit(high_watermark.saturating_sub(1));
        }
    }

    /// The log is through: from now on the shard decides.
    pub fn finish<E>(
        self,
        now_ms: i64,
        write_timeout_ms: i64,
        log: &mut impl CoordinatorLog<S::Record>,
    ) -> CoordinatorContext<S, E> {
        let mut context = CoordinatorContext {
            timeline: self.timeline,
            timers: CoordinatorTimers::default(),
            deferred: VecDeque::new(),
            write_timeout_ms,
            last_written: self.last_read,
            outputs: Vec::new(),
        };
        let result = context.shard().on_loaded(now_ms);
        context.execute(now_ms, result, None, log);
        context
    }
}
