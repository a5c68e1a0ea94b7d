use super::SharePartition;
use crate::effect::{DeadLetterCause, DeadLetterRange, EffectToken, SharePartitionEffect};
use crate::error::SharePartitionError;
use crate::in_flight::InFlightState;
use crate::persister::{PersisterError, PersisterStateBatch, WriteState, append_merged};
use crate::record_state::RecordState;

/// A write to the share coordinator that is under way.
#[derive(Debug)]
pub(super) struct PendingWrite {
    changes: StateChanges,
    /// Whether the changes count only if the write succeeds, and somebody waits for that. Otherwise they
    /// are true whatever the share coordinator says.
    awaited: bool,
}

/// What happened to records, as it is written.
#[derive(Debug, Default)]
pub(super) struct StateChanges {
    batches: Vec<PersisterStateBatch>,
    dead_letters: Vec<DeadLetterRange>,
}

/// What becomes of records that nobody holds any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct GiveUpRules {
    delivery_count_limit: i32,
    dead_letter_queue: bool,
}

/// What is wanted to become of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Accepted,
    Released,
    Rejected,
    /// There never was such a record.
    Missing,
}

impl GiveUpRules {
    /// The state that records get, and why they go to the dead-letter queue, if they do.
    pub(super) fn apply(
        self,
        outcome: Outcome,
        delivery_count: i16,
    ) -> (RecordState, Option<DeadLetterCause>) {
        let exceeded = i32::from(delivery_count) >= self.delivery_count_limit;
        match outcome {
            Outcome::Accepted => (RecordState::Acknowledged, None),
            Outcome::Missing => (RecordState::Archived, None),
            Outcome::Released if !exceeded => (RecordState::Available, None),
            Outcome::Released => self.give_up(DeadLetterCause::DeliveryCountExceeded),
            Outcome::Rejected => self.give_up(DeadLetterCause::ClientReject),
        }
    }

    fn give_up(self, cause: DeadLetterCause) -> (RecordState, Option<DeadLetterCause>) {
        match self.dead_letter_queue {
            true => (RecordState::Archiving, Some(cause)),
            false => (RecordState::Archived, None),
        }
    }
}

impl StateChanges {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Notes a change; changes come in order of offsets.
    pub(super) fn push(&mut self, batch: PersisterStateBatch, cause: Option<DeadLetterCause>) {
        append_merged(&mut self.batches, batch);
        let Some(cause) = cause else { return };
        let PersisterStateBatch { first_offset, last_offset, delivery_count, .. } = batch;
        match self.dead_letters.last_mut() {
            Some(last)
                if last.last_offset.checked_add(1) == Some(first_offset)
                    && (last.delivery_count, last.cause) == (delivery_count, cause) =>
            {
                last.last_offset = last_offset;
            }
            _ => self.dead_letters.push(DeadLetterRange { first_offset, last_offset, delivery_count, cause }),
        }
    }
}

impl SharePartition {
    pub(super) fn give_up_rules(&self) -> GiveUpRules {
        GiveUpRules {
            delivery_count_limit: self.config.delivery_count_limit,
            dead_letter_queue: self.config.dead_letter_queue,
        }
    }

    /// Has changes written that count once that is done. They are in transition under the token.
    pub(super) fn write_awaited(&mut self, token: EffectToken, changes: StateChanges) {
        self.write(token, PendingWrite { changes, awaited: true });
    }

    /// Has changes written that are true already.
    pub(super) fn write_settled(&mut self, changes: StateChanges) {
        let token = self.new_token();
        self.write(token, PendingWrite { changes, awaited: false });
    }

    fn write(&mut self, token: EffectToken, pending: PendingWrite) {
        let write = WriteState {
            state_epoch: self.state_epoch,
            leader_epoch: self.leader_epoch,
            start_offset: self.start_offset,
            delivery_complete_count: self.delivery_complete_count(),
            batches: pending.changes.batches.clone(),
        };
        let earlier = self.writes.insert(token, pending);
        assert!(earlier.is_none(), "SHARE-TOKEN-UNIQUE: {token:?}");
        self.effects.push_back(SharePartitionEffect::WriteState { token, write });
    }

    /// The share coordinator answered a write. A failed one leaves records with their members, unless
    /// their locks ended meanwhile.
    pub fn complete_write(&mut self, now_ms: i64, token: EffectToken, result: Result<(), PersisterError>) {
        let Some(PendingWrite { changes, awaited }) = self.writes.remove(&token) else { return };
        let counts = result.is_ok() || !awaited;
        if awaited {
            match result {
                Ok(()) => self.commit(token, &changes),
                Err(_) => self.roll_back(now_ms, token, &changes),
            }
            let result = result.map_err(SharePartitionError::from);
            self.effects.push_back(SharePartitionEffect::Reply { token, result });
        }
        if counts {
            self.advance_start_offset();
            for range in changes.dead_letters {
                self.begin_dead_letter(range);
            }
        }
    }

    fn commit(&mut self, token: EffectToken, changes: &StateChanges) {
        let mut available = false;
        self.for_transitions(token, changes, |state| {
            state.commit();
            available |= state.is_available();
        });
        if available {
            self.may_have_available = true;
            self.effects.push_back(SharePartitionEffect::CheckDelayedFetches);
        }
    }

    /// Takes back what is in transition under this token.
    pub(super) fn roll_back(&mut self, now_ms: i64, token: EffectToken, changes: &StateChanges) {
        let mut earliest: Option<i64> = None;
        self.for_transitions(token, changes, |state| {
            state.roll_back();
            let deadline_ms = state.holder().map(|lock| lock.deadline_ms);
            earliest = [earliest, deadline_ms].into_iter().flatten().min();
        });
        if let Some(earliest) = earliest {
            self.note_lock(earliest);
            self.handle_timeout(now_ms);
        }
    }

    /// Visits all records in transition under this token. Those below the start offset are gone.
    fn for_transitions(
        &mut self,
        token: EffectToken,
        changes: &StateChanges,
        mut visit: impl FnMut(&mut InFlightState),
    ) {
        for change in &changes.batches {
            for key in self.overlapping(change.first_offset, change.last_offset) {
                let Some(batch) = self.cached.get_mut(&key) else { continue };
                for run in batch.isolate(change.first_offset, change.last_offset) {
                    if run.state.transition == Some(token) {
                        visit(&mut run.state);
                    }
                }
                batch.join_runs();
            }
        }
    }

    /// Sends records to the dead-letter queue.
    pub(super) fn begin_dead_letter(&mut self, range: DeadLetterRange) {
        let token = self.new_token();
        self.dead_letters.insert(token, range);
        self.effects.push_back(SharePartitionEffect::DeadLetter { token, range });
    }

    /// Records are in the dead-letter queue, or it was given up to bring them there (KIP-1191): they are
    /// archived either way, for nothing may hold up the records behind them.
    pub fn complete_dead_letter(&mut self, token: EffectToken) {
        let Some(range) = self.dead_letters.remove(&token) else { return };
        let mut changes = StateChanges::default();
        for key in self.overlapping(range.first_offset, range.last_offset) {
            let Some(batch) = self.cached.get_mut(&key) else { continue };
            for run in batch.isolate(range.first_offset, range.last_offset) {
                if run.state.state != RecordState::Archiving || run.state.transition.is_some() {
                    continue;
                }
                run.state.settle(RecordState::Archived);
                let change = PersisterStateBatch {
                    first_offset: run.first_offset,
                    last_offset: run.last_offset,
                    delivery_state: RecordState::Archived,
                    delivery_count: run.state.delivery_count,
                };
                changes.push(change, None);
            }
            batch.join_runs();
        }
        if !changes.is_empty() {
            self.write_settled(changes);
        }
    }
}
