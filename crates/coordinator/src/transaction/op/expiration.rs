//! Transactions that are open for too long, and transactional ids that nobody used for long.
//!
//! Either look goes through the shard in small steps, one timer each, so that requests get their turn.

use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::ErrorCode;

use crate::runtime::TimerChange;
use crate::transaction::transactions::Deadline;
use crate::transaction::{
    TransactionChange, TransactionContinuation, TransactionCoordinatorShard, TransactionDecision,
    TransactionMetadata, TransactionRecord, TransactionState, TransactionTimerEvent, TransactionTimerKey,
};

/// How many transactional ids one step looks at.
const LOOKED_AT_AT_ONCE: usize = 10_000;
/// How many tombstones one step writes.
const EXPIRED_AT_ONCE: usize = 1_000;

type Timer = TimerChange<TransactionTimerKey, TransactionTimerEvent>;

impl TransactionCoordinatorShard {
    /// Aborts the next transaction whose time is over, and asks to be called again.
    pub(in crate::transaction) fn abort_timed_out_transaction(
        &self,
        now_ms: i64,
        after: Option<&Deadline>,
    ) -> TransactionDecision<()> {
        let Some(deadline) = self.transactions.first_timed_out(now_ms, after) else {
            let mut decision = TransactionDecision::of(());
            decision.timers.push(self.schedule_abort_timed_out(now_ms));
            return decision;
        };
        // One that is on the move is not aborted now; the next look finds it if it is still open.
        let metadata = self.transaction(&deadline.1).filter(|metadata| metadata.pending_state.is_none());
        let aborted = metadata.and_then(|metadata| self.fence_and_abort(now_ms, metadata).ok());
        let mut decision = aborted.unwrap_or_else(|| TransactionDecision::of(()));
        decision.timers.push(abort_timer(now_ms, Some(deadline.clone())));
        self.refill(decision)
    }

    pub(in crate::transaction) fn schedule_abort_timed_out(&self, now_ms: i64) -> Timer {
        let interval_ms = self.config.abort_timed_out_transactions_interval_ms.max(1);
        abort_timer(now_ms.saturating_add(interval_ms), None)
    }

    /// Deletes the next transactional ids that expired, and asks to be called again.
    pub(in crate::transaction) fn remove_expired_transactional_ids(
        &self,
        now_ms: i64,
        after: Option<&ByteString>,
    ) -> TransactionDecision<()> {
        let mut decision =
            TransactionDecision { atomic: false, replay: false, ..TransactionDecision::of(()) };
        let mut expired = Vec::new();
        let mut last = None;
        for metadata in self.transactions.iter_after(after).take(LOOKED_AT_AT_ONCE) {
            if expired.len() == EXPIRED_AT_ONCE {
                break;
            }
            last = Some(metadata.transactional_id.clone());
            if self.is_expired(now_ms, metadata) {
                decision.records.push(TransactionRecord::tombstone(&metadata.transactional_id));
                let dying = metadata.moving_to(TransactionState::Dead);
                decision.changes.push(TransactionChange::Put(Arc::new(dying)));
                expired.push(Arc::clone(metadata));
            }
        }
        decision.timers.push(match last {
            Some(_) => expiration_timer(now_ms, last),
            None => self.schedule_expiration(now_ms),
        });
        if !expired.is_empty() {
            decision.then = Some(TransactionContinuation::Expired(expired));
        }
        decision
    }

    pub(in crate::transaction) fn schedule_expiration(&self, now_ms: i64) -> Timer {
        let interval_ms = self.config.remove_expired_transactional_ids_interval_ms.max(1);
        expiration_timer(now_ms.saturating_add(interval_ms), None)
    }

    /// After tombstones were written, or refused.
    pub(in crate::transaction) fn after_expiration(
        &self,
        expired: &[Arc<TransactionMetadata>],
        outcome: Result<(), ErrorCode>,
    ) -> TransactionDecision<()> {
        let mut decision = TransactionDecision::of(());
        for before in expired {
            let transactional_id = &before.transactional_id;
            let Some(current) = self.transaction(transactional_id) else { continue };
            assert_eq!(current.pending_state, Some(TransactionState::Dead), "TXN-ONE-MOVE-AT-A-TIME");
            decision.changes.push(match outcome {
                Ok(()) => TransactionChange::Remove(transactional_id.clone()),
                Err(_) => TransactionChange::Put(Arc::new(current.settled())),
            });
        }
        decision
    }

    fn is_expired(&self, now_ms: i64, metadata: &TransactionMetadata) -> bool {
        let oldest_ms = now_ms.saturating_sub(self.config.transactional_id_expiration_ms);
        metadata.pending_state.is_none()
            && metadata.state.is_expiration_allowed()
            && metadata.last_update_timestamp_ms <= oldest_ms
            && metadata.transition_to_dead().is_ok()
    }
}

fn abort_timer(deadline_ms: i64, after: Option<Deadline>) -> Timer {
    let event = TransactionTimerEvent::AbortTimedOut { after };
    TransactionCoordinatorShard::schedule(TransactionTimerKey::AbortTimedOut, deadline_ms, event)
}

fn expiration_timer(deadline_ms: i64, after: Option<ByteString>) -> Timer {
    let event = TransactionTimerEvent::RemoveExpired { after };
    TransactionCoordinatorShard::schedule(TransactionTimerKey::Expiration, deadline_ms, event)
}

#[cfg(test)]
#[path = "expiration_test.rs"]
mod tests;
