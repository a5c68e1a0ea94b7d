use super::SharePartition;
use super::persist::{Outcome, StateChanges};
use crate::effect::SharePartitionEffect;
use crate::persister::PersisterStateBatch;
use crate::record_state::RecordState;

impl SharePartition {
    /// Releases all records whose acquisition locks ended. What was handed out too often is given up on.
    ///
    /// The records are released whether or not that can be written. What is being acknowledged is left
    /// alone: if the write of that fails, it is released then.
    pub fn handle_timeout(&mut self, now_ms: i64) {
        if self.earliest_lock_ms.is_none_or(|earliest| earliest > now_ms) {
            return;
        }
        let rules = self.give_up_rules();
        let mut changes = StateChanges::default();
        let mut earliest: Option<i64> = None;
        let mut records = 0;
        let mut available = false;
        for batch in self.cached.values_mut() {
            for run in batch.runs_mut() {
                let Some(deadline_ms) = run.state.holder().map(|lock| lock.deadline_ms) else { continue };
                if deadline_ms > now_ms {
                    earliest = Some(earliest.map_or(deadline_ms, |earliest| earliest.min(deadline_ms)));
                    continue;
                }
                let delivery_count = run.state.delivery_count;
                let (next, cause) = rules.apply(Outcome::Released, delivery_count);
                run.state.settle(next);
                available |= next == RecordState::Available;
                records += run.len();
                let (first_offset, last_offset) = (run.first_offset, run.last_offset);
                let change =
                    PersisterStateBatch { first_offset, last_offset, delivery_state: next, delivery_count };
                changes.push(change, cause);
            }
            batch.join_runs();
        }
        self.earliest_lock_ms = earliest;
        self.may_have_available |= available;
        if !changes.is_empty() {
            self.effects.push_back(SharePartitionEffect::LocksTimedOut { records });
            self.write_settled(changes);
            self.effects.push_back(SharePartitionEffect::CheckDelayedFetches);
        }
    }
}
