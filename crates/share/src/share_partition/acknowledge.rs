use super::persist::{Outcome, StateChanges};
use super::{SharePartition, SharePartitionState};
use crate::acknowledgement::{AcknowledgeType, AcknowledgementBatch, Segment};
use crate::effect::EffectToken;
use crate::error::SharePartitionError;
use crate::in_flight::InFlightBatch;
use crate::persister::PersisterStateBatch;

impl SharePartition {
    /// A member says what became of records it holds. All batches count, or none; but for locks that were
    /// renewed, which last longer in any case.
    ///
    /// With a token, the answer is [`Reply`](crate::SharePartitionEffect::Reply) with that token, once the
    /// change is written. Without, there is nothing to write, and the answer is yes.
    pub fn acknowledge(
        &mut self,
        now_ms: i64,
        member_id: &str,
        batches: &[AcknowledgementBatch],
    ) -> Result<Option<EffectToken>, SharePartitionError> {
        if self.state == SharePartitionState::Fenced {
            return Err(SharePartitionError::Fenced);
        }
        let token = self.new_token();
        let mut changes = StateChanges::default();
        for batch in batches {
            if let Err(error) = self.acknowledge_batch(now_ms, member_id, batch, token, &mut changes) {
                self.roll_back(now_ms, token, &changes);
                return Err(error);
            }
        }
        Ok(self.write_if_any(token, changes))
    }

    /// Releases all records that a member holds: its session ended. A token as of
    /// [`acknowledge`](Self::acknowledge).
    pub fn release_acquired(&mut self, member_id: &str) -> Option<EffectToken> {
        let token = self.new_token();
        let rules = self.give_up_rules();
        let mut changes = StateChanges::default();
        for batch in self.cached.values_mut() {
            for run in batch.runs_mut() {
                if run.state.holder().is_none_or(|lock| &*lock.member_id != member_id) {
                    continue;
                }
                let delivery_count = run.state.delivery_count;
                let (next, cause) = rules.apply(Outcome::Released, delivery_count);
                run.state.begin_transition(next, token);
                let (first_offset, last_offset) = (run.first_offset, run.last_offset);
                let change =
                    PersisterStateBatch { first_offset, last_offset, delivery_state: next, delivery_count };
                changes.push(change, cause);
            }
            batch.join_runs();
        }
        self.write_if_any(token, changes)
    }

    fn write_if_any(&mut self, token: EffectToken, changes: StateChanges) -> Option<EffectToken> {
        if changes.is_empty() {
            return None;
        }
        self.write_awaited(token, changes);
        Some(token)
    }

    fn acknowledge_batch(
        &mut self,
        now_ms: i64,
        member_id: &str,
        batch: &AcknowledgementBatch,
        token: EffectToken,
        changes: &mut StateChanges,
    ) -> Result<(), SharePartitionError> {
        batch.check()?;
        if batch.last_offset < self.start_offset {
            // Done already, or gone from the log.
            return Ok(());
        }
        let first = batch.first_offset.max(self.start_offset);
        let keys = self.batches_to_acknowledge(batch)?;
        for key in &keys {
            let Some(cached) = self.cached.get(key) else { continue };
            check_holder(cached, first, batch.last_offset, member_id)?;
        }
        if batch.renews() && !self.config.renew_acknowledge_enable {
            return Err(SharePartitionError::RenewDisabled);
        }
        for key in keys {
            let Some(cached) = self.cached.get(&key) else { continue };
            let (from, to) = (first.max(key), batch.last_offset.min(cached.last_offset()));
            for segment in batch.segments(from, to) {
                self.acknowledge_segment(now_ms, key, segment, token, changes);
            }
        }
        Ok(())
    }

    /// The batches in flight that an acknowledgement speaks of; fails where it speaks of more.
    fn batches_to_acknowledge(&self, batch: &AcknowledgementBatch) -> Result<Vec<i64>, SharePartitionError> {
        let (first, last) = (batch.first_offset.max(self.start_offset), batch.last_offset);
        // Records below the start offset are forgotten; whoever acknowledges them does no harm.
        if self.cached.range(..=first).next_back().is_none() && batch.first_offset >= self.start_offset {
            return Err(SharePartitionError::NotInFlight);
        }
        match self.cached.range(..=last).next_back() {
            None => Err(SharePartitionError::NotInFlight),
            Some((_, highest)) if last > highest.last_offset() => Err(SharePartitionError::PastAcquired),
            Some(_) => Ok(self.overlapping(first, last)),
        }
    }

    fn acknowledge_segment(
        &mut self,
        now_ms: i64,
        key: i64,
        (first, last, kind): Segment,
        token: EffectToken,
        changes: &mut StateChanges,
    ) {
        let outcome = match kind {
            AcknowledgeType::Accept => Some(Outcome::Accepted),
            AcknowledgeType::Release => Some(Outcome::Released),
            AcknowledgeType::Reject => Some(Outcome::Rejected),
            AcknowledgeType::Gap => Some(Outcome::Missing),
            AcknowledgeType::Renew => None,
        };
        let rules = self.give_up_rules();
        let renewed_ms = outcome.is_none().then(|| self.lock_deadline(now_ms));
        let Some(cached) = self.cached.get_mut(&key) else { return };
        for run in cached.isolate(first, last) {
            if let (Some(deadline_ms), Some(lock)) = (renewed_ms, run.state.lock.as_mut()) {
                lock.deadline_ms = deadline_ms;
            }
            let Some(outcome) = outcome else { continue };
            let delivery_count = run.state.delivery_count;
            let (next, cause) = rules.apply(outcome, delivery_count);
            run.state.begin_transition(next, token);
            let (first_offset, last_offset) = (run.first_offset, run.last_offset);
            let change =
                PersisterStateBatch { first_offset, last_offset, delivery_state: next, delivery_count };
            changes.push(change, cause);
        }
        cached.join_runs();
    }
}

/// Whether the member holds all records of the range.
fn check_holder(
    batch: &InFlightBatch,
    first: i64,
    last: i64,
    member_id: &str,
) -> Result<(), SharePartitionError> {
    for run in batch.overlapping(first, last) {
        let lock = run.state.holder().ok_or(SharePartitionError::NotAcquired)?;
        if &*lock.member_id != member_id {
            return Err(SharePartitionError::NotHolder);
        }
    }
    Ok(())
}
