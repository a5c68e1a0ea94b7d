use std::collections::VecDeque;
use std::fmt;

use ottla_common::ErrorCode;
use ottla_server_common::Timeline;

use super::batch::{OpenBatch, Waiter};
use super::{
    AppendLinger, CoordinatorResult, CoordinatorShard, CoordinatorTimers, EndTransaction, LogEntry, Token,
    TransactionalProducer,
};

/// The log that a coordinator's records go to. Nobody else appends to it.
pub trait CoordinatorLog {
    /// Appends the records as one batch, transactional if they are a producer's, and gives the offset of the first
    /// of them.
    fn append(
        &mut self,
        now_ms: i64,
        entries: &[LogEntry],
        producer: Option<TransactionalProducer>,
    ) -> Result<i64, ErrorCode>;

    /// Appends the marker of a transaction's end and gives its offset.
    fn append_end_transaction(&mut self, now_ms: i64, end: &EndTransaction) -> Result<i64, ErrorCode>;

    /// The offset that the next record gets.
    fn end_offset(&self) -> i64;

    /// The offset below which everything is committed.
    fn high_watermark(&self) -> i64;

    /// The largest batch that the log takes.
    fn max_batch_bytes(&self) -> usize;
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

type WaiterOf<S, E> = Waiter<<S as CoordinatorShard>::Continuation, E>;

/// A shard at work: the leader of one partition of the coordinator's topic.
///
/// `E` is whatever the owner wants back when an operation is committed.
pub struct CoordinatorContext<S: CoordinatorShard, E> {
    timeline: Timeline<S>,
    timers: CoordinatorTimers<S::TimerKey, S::TimerEvent>,
    /// Records that wait for others.
    open: Option<OpenBatch<S, E>>,
    /// What waits for its offset to be committed. Offsets and deadlines both only grow.
    deferred: VecDeque<(i64, WaiterOf<S, E>)>,
    linger: AppendLinger,
    write_timeout_ms: i64,
    last_written: i64,
    /// Somebody else appended to the log: what was replayed is not what is in it.
    out_of_sync: bool,
    outputs: Vec<OutputOf<S, E>>,
}

impl<S: CoordinatorShard, E> fmt::Debug for CoordinatorContext<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoordinatorContext")
            .field("linger", &self.linger)
            .field("last_written", &self.last_written)
            .field("deferred", &self.deferred.len())
            .finish_non_exhaustive()
    }
}

impl<S: CoordinatorShard, E> CoordinatorContext<S, E> {
    pub(super) fn new(timeline: Timeline<S>, last_written: i64, write_timeout_ms: i64) -> Self {
        Self {
            timeline,
            timers: CoordinatorTimers::default(),
            open: None,
            deferred: VecDeque::new(),
            linger: AppendLinger::Off,
            write_timeout_ms,
            last_written,
            out_of_sync: false,
            outputs: Vec::new(),
        }
    }

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

    /// How long records wait for others.
    pub fn set_linger(&mut self, linger: AppendLinger) {
        self.linger = linger;
    }

    /// Whether the log is not what was replayed any more, so that it must be loaded again.
    pub fn is_out_of_sync(&self) -> bool {
        self.out_of_sync
    }

    /// When something falls due: a timer, a batch, or the patience with an uncommitted write.
    pub fn next_deadline(&self) -> Option<i64> {
        let write = self.deferred.front().map(|(_, waiter)| waiter.deadline_ms);
        [self.timers.next_deadline(), write, self.batch_deadline()].into_iter().flatten().min()
    }

    fn batch_deadline(&self) -> Option<i64> {
        match (&self.open, self.linger) {
            (Some(batch), AppendLinger::Millis(linger_ms)) => Some(batch.opened_ms.saturating_add(linger_ms)),
            _ => None,
        }
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
        log: &mut impl CoordinatorLog,
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
            self.apply(change);
        }
        for timer in timers {
            self.timers.change(timer);
        }
        self.outputs.extend(replies.into_iter().map(|(token, reply)| Output::Reply(token, reply)));
        self.outputs.extend(effects.into_iter().map(Output::Effect));
        let deadline_ms = now_ms.saturating_add(self.write_timeout_ms);
        let waiter = Waiter { deadline_ms, then, event };
        let outcome = match (records.is_empty(), producer) {
            (true, _) => Ok(()),
            (false, Some(producer)) => self.write_within_transaction(now_ms, &records, replay, producer, log),
            (false, None) => self.write(now_ms, &records, replay, atomic, log),
        };
        match outcome {
            Ok(()) => self.wait(waiter),
            Err(error) => return self.settle(now_ms, waiter, Err(error), log),
        }
        if producer.is_some() || self.linger == AppendLinger::Off {
            self.flush(now_ms, log);
        }
        self.commit(now_ms, log);
    }

    /// There is nothing more to decide at the moment: whoever waits for a batch need not wait longer.
    pub fn on_idle(&mut self, now_ms: i64, log: &mut impl CoordinatorLog) {
        if self.linger == AppendLinger::Adaptive && self.open.is_some() {
            self.flush(now_ms, log);
            self.commit(now_ms, log);
        }
    }

    /// A transaction that appended to this partition ended. `event` comes back once the marker is committed.
    pub fn complete_transaction(
        &mut self,
        now_ms: i64,
        end: &EndTransaction,
        event: E,
        log: &mut impl CoordinatorLog,
    ) {
        self.flush(now_ms, log);
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
        self.deferred.push_back((offset, Waiter { deadline_ms, then: None, event: Some(event) }));
        self.commit(now_ms, log);
    }

    /// Takes note of the log's high watermark: releases what waited for it.
    pub fn commit(&mut self, now_ms: i64, log: &mut impl CoordinatorLog) {
        let committed = if self.timeline.has_uncommitted() {
            let committed = log.high_watermark().saturating_sub(1);
            self.timeline.commit(committed);
            committed
        } else {
            // Nothing was written since: the log need not be asked.
            self.last_written
        };
        while let Some((_, waiter)) = self.deferred.pop_front_if(|(offset, _)| *offset <= committed) {
            self.settle(now_ms, waiter, Ok(()), log);
        }
    }

    /// Fires the timers that are due, appends the batch that is, and gives up on writes that took too long.
    pub fn on_time(&mut self, now_ms: i64, log: &mut impl CoordinatorLog) {
        while let Some(event) = self.timers.pop_due(now_ms) {
            let result = self.timeline.latest().on_timer(now_ms, &event);
            self.execute(now_ms, result, None, log);
        }
        if self.batch_deadline().is_some_and(|deadline| deadline <= now_ms) {
            self.flush(now_ms, log);
            self.commit(now_ms, log);
        }
        while let Some((_, waiter)) = self.deferred.pop_front_if(|(_, waiter)| waiter.deadline_ms <= now_ms) {
            self.settle(now_ms, waiter, Err(ErrorCode::RequestTimedOut), log);
        }
    }

    /// The clock was set by so much: what is left of each deadline stays the same.
    pub fn on_clock_set(&mut self, by_ms: i64) {
        self.timers.shift(by_ms);
        let open = self.open.iter_mut().flat_map(|batch| &mut batch.waiting);
        for waiter in self.deferred.iter_mut().map(|(_, waiter)| waiter).chain(open) {
            waiter.deadline_ms = waiter.deadline_ms.saturating_add(by_ms);
        }
        if let Some(batch) = &mut self.open {
            batch.opened_ms = batch.opened_ms.saturating_add(by_ms);
        }
    }

    /// This node is no longer the coordinator: every waiting request is told so.
    pub fn unload(mut self) -> Vec<OutputOf<S, E>> {
        let replies = self.timeline.latest().on_unloaded();
        self.outputs.extend(replies.into_iter().map(|(token, reply)| Output::Reply(token, reply)));
        let open = self.open.take().into_iter().flat_map(|batch| batch.waiting);
        for waiter in std::mem::take(&mut self.deferred).into_iter().map(|(_, waiter)| waiter).chain(open) {
            if let Some(event) = waiter.event {
                self.outputs.push(Output::Complete(event, Err(ErrorCode::NotCoordinator)));
            }
        }
        self.outputs
    }

    /// A change that is not in the log. Should records be refused that were replayed before it, it stays.
    fn apply(&mut self, change: S::Change) {
        if let Some(batch) = &mut self.open {
            batch.changes.push(change.clone());
        }
        self.timeline.latest_mut().apply(change);
    }

    /// Replays records and puts them into the open batch, or into one of their own when they would not fit.
    fn write(
        &mut self,
        now_ms: i64,
        records: &[S::Record],
        replay: bool,
        atomic: bool,
        log: &mut impl CoordinatorLog,
    ) -> Result<(), ErrorCode> {
        let entries = records.iter().map(S::encode).collect::<Result<Vec<_>, _>>()?;
        if atomic && self.is_too_full_for(&entries, log) {
            // What this decision was made upon may be gone then.
            self.try_flush(now_ms, log)?;
        }
        for (record, entry) in records.iter().zip(entries) {
            if !atomic && self.is_too_full_for(std::slice::from_ref(&entry), log) {
                self.try_flush(now_ms, log)?;
            }
            self.push(now_ms, record, entry, replay, None, log);
        }
        Ok(())
    }

    /// Whether these have to go into another batch than the open one.
    fn is_too_full_for(&self, entries: &[LogEntry], log: &impl CoordinatorLog) -> bool {
        self.open.as_ref().is_some_and(|batch| !batch.has_room_for(entries, log.max_batch_bytes()))
    }

    /// The same for records of a transaction, which share a batch with no others.
    fn write_within_transaction(
        &mut self,
        now_ms: i64,
        records: &[S::Record],
        replay: bool,
        producer: TransactionalProducer,
        log: &mut impl CoordinatorLog,
    ) -> Result<(), ErrorCode> {
        let entries = records.iter().map(S::encode).collect::<Result<Vec<_>, _>>()?;
        self.try_flush(now_ms, log)?;
        for (record, entry) in records.iter().zip(entries) {
            self.push(now_ms, record, entry, replay, Some(producer), log);
        }
        Ok(())
    }

    fn push(
        &mut self,
        now_ms: i64,
        record: &S::Record,
        entry: LogEntry,
        replay: bool,
        producer: Option<TransactionalProducer>,
        log: &impl CoordinatorLog,
    ) {
        let latest = self.timeline.latest();
        let open = || OpenBatch::new(latest.clone(), producer, log.end_offset(), now_ms);
        let offset = self.open.get_or_insert_with(open).push(entry);
        if replay {
            let producer_id = producer.map_or(NO_PRODUCER_ID, |producer| producer.producer_id);
            self.timeline.latest_mut().replay(offset, producer_id, record);
        }
    }

    /// Has somebody wait for all that was decided so far.
    fn wait(&mut self, waiter: WaiterOf<S, E>) {
        if waiter.then.is_none() && waiter.event.is_none() {
            return;
        }
        match &mut self.open {
            Some(batch) => batch.waiting.push(waiter),
            None => self.deferred.push_back((self.last_written, waiter)),
        }
    }

    fn flush(&mut self, now_ms: i64, log: &mut impl CoordinatorLog) {
        // Whoever waits for the batch is told.
        let _ = self.try_flush(now_ms, log);
    }

    /// Appends the open batch. If it is refused, its records never were, and whoever waits for them is told why.
    fn try_flush(&mut self, now_ms: i64, log: &mut impl CoordinatorLog) -> Result<(), ErrorCode> {
        let Some(batch) = self.open.take() else { return Ok(()) };
        let OpenBatch { before, changes, entries, producer, base_offset, waiting, .. } = batch;
        let appended = match log.append(now_ms, &entries, producer) {
            Ok(offset) if offset != base_offset => {
                self.out_of_sync = true;
                Err(ErrorCode::NotCoordinator)
            }
            appended => appended,
        };
        match appended {
            Ok(_) => {
                assert!(base_offset > self.last_written, "COORDINATOR-LOG-MONOTONIC: {base_offset}");
                self.last_written = base_offset + entries.len() as i64 - 1;
                self.timeline.snapshot(self.last_written);
                let offset = self.last_written;
                self.deferred.extend(waiting.into_iter().map(|waiter| (offset, waiter)));
                Ok(())
            }
            Err(error) => {
                *self.timeline.latest_mut() = before;
                for change in changes {
                    self.timeline.latest_mut().apply(change);
                }
                for waiter in waiting {
                    self.settle(now_ms, waiter, Err(error), log);
                }
                Err(error)
            }
        }
    }

    fn settle(
        &mut self,
        now_ms: i64,
        waiter: WaiterOf<S, E>,
        outcome: Result<(), ErrorCode>,
        log: &mut impl CoordinatorLog,
    ) {
        if let Some(event) = waiter.event {
            self.outputs.push(Output::Complete(event, outcome));
        }
        if let Some(then) = waiter.then {
            let result = self.timeline.latest().on_append(now_ms, then, outcome);
            self.execute(now_ms, result, None, log);
        }
    }
}

const NO_PRODUCER_ID: i64 = -1;
