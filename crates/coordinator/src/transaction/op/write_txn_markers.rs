//! What comes after the end of a transaction is decided: markers for its partitions, and when each has
//! its marker, the record that says so.

use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::ErrorCode;

use crate::runtime::TransactionResult;
use crate::transaction::shard::changed;
use crate::transaction::{
    MarkerOutcome, MarkersWritten, TransactionChange, TransactionContinuation, TransactionCoordinatorShard,
    TransactionDecision, TransactionEffect, TransactionMarkers, TransactionMetadata, TransactionState,
    TransactionTimerEvent, TransactionTimerKey,
};

/// How long to wait before a record that was refused is written again.
const COMPLETION_RETRY_BACKOFF_MS: i64 = 100;

impl TransactionCoordinatorShard {
    /// Markers of a transaction are written, or will never be. When no partition is without, the
    /// transaction is complete.
    pub fn write_txn_markers_completed(&self, written: &MarkersWritten) -> TransactionDecision<()> {
        let waits = self.transactions.completing(&written.transactional_id);
        let (Some(complete), Some(current)) = (waits, self.transaction(&written.transactional_id)) else {
            return TransactionDecision::of(());
        };
        let is_of_this_end = current.producer_id == written.producer_id
            && current.producer_epoch == written.producer_epoch
            && self.coordinator_epoch == written.coordinator_epoch;
        if !is_of_this_end {
            return TransactionDecision::of(());
        }
        let mut ending = current.clone();
        for (topic, partition, outcome) in &written.partitions {
            match outcome {
                MarkerOutcome::Written | MarkerOutcome::Gone => ending.partitions.remove(topic, *partition),
                MarkerOutcome::Fenced => {}
            }
        }
        let is_fenced = written.partitions.iter().any(|(_, _, outcome)| *outcome == MarkerOutcome::Fenced);
        let is_complete = ending.partitions.is_empty();
        let mut decision = changed(TransactionChange::Put(Arc::new(ending)));
        if is_fenced {
            // As in Kafka the transaction stays as it is, for whoever coordinates it next.
            decision.changes.push(TransactionChange::ForgetMarkers(written.transactional_id.clone()));
        } else if is_complete {
            self.complete(complete, &mut decision);
        }
        decision
    }

    /// The end of a transaction is written: the markers go out.
    pub(in crate::transaction) fn begin_completion(
        &self,
        now_ms: i64,
        prepared: &TransactionMetadata,
        decision: &mut TransactionDecision<()>,
    ) {
        let Ok(complete) = prepared.transition_to_complete(now_ms) else { return };
        let mut ending = prepared.moving_to(complete.state);
        // The fence, if this was one, has reached the log.
        ending.has_failed_epoch_fence = false;
        decision.changes.push(TransactionChange::Put(Arc::new(ending)));
        decision.changes.push(TransactionChange::AwaitMarkers(Arc::new(complete)));
        if prepared.partitions.is_empty() {
            decision.timers.push(completion_timer(&prepared.transactional_id, now_ms));
        } else {
            let markers = self.markers_of(prepared);
            decision.effects.push(TransactionEffect::SendMarkers(markers));
        }
    }

    /// Everything that was found in the log is committed: the ends that another coordinator decided and
    /// did not complete are completed here.
    pub(in crate::transaction) fn after_load(
        &self,
        now_ms: i64,
        outcome: Result<(), ErrorCode>,
    ) -> TransactionDecision<()> {
        let mut decision = TransactionDecision::of(());
        if outcome.is_err() {
            decision.then = Some(TransactionContinuation::Loaded);
            return decision;
        }
        for metadata in self.transactions() {
            if metadata.state.is_prepared() && metadata.pending_state.is_none() {
                self.begin_completion(now_ms, metadata, &mut decision);
            }
        }
        decision
    }

    /// Writes that a transaction is complete, if it still waits for that.
    pub(in crate::transaction) fn retry_completion(
        &self,
        transactional_id: &ByteString,
    ) -> TransactionDecision<()> {
        let mut decision = TransactionDecision::of(());
        let is_ready =
            self.transaction(transactional_id).is_some_and(|current| current.partitions.is_empty());
        if let Some(complete) = self.transactions.completing(transactional_id).filter(|_| is_ready) {
            self.complete(complete, &mut decision);
        }
        decision
    }

    /// After it was written that a transaction is complete, or refused. `outcome` in a client's terms.
    pub(in crate::transaction) fn after_completion(
        &self,
        now_ms: i64,
        complete: Arc<TransactionMetadata>,
        outcome: Result<(), ErrorCode>,
    ) -> TransactionDecision<()> {
        let transactional_id = complete.transactional_id.clone();
        if self.transaction(&transactional_id).is_none() {
            return TransactionDecision::of(());
        }
        match outcome {
            Ok(()) => changed(TransactionChange::Complete(complete)),
            // Another coordinator finds the end in the log and completes it.
            Err(ErrorCode::NotCoordinator) => TransactionDecision::of(()),
            Err(_) => {
                let mut decision = changed(TransactionChange::AwaitMarkers(complete));
                let retry_ms = now_ms.saturating_add(COMPLETION_RETRY_BACKOFF_MS);
                decision.timers.push(completion_timer(&transactional_id, retry_ms));
                decision
            }
        }
    }

    fn complete(&self, complete: &Arc<TransactionMetadata>, decision: &mut TransactionDecision<()>) {
        let written = self.write(complete, ());
        decision.records.extend(written.records);
        decision.replay = written.replay;
        decision.changes.push(TransactionChange::ForgetMarkers(complete.transactional_id.clone()));
        decision.then = Some(TransactionContinuation::Completion(Arc::clone(complete)));
    }

    fn markers_of(&self, prepared: &TransactionMetadata) -> TransactionMarkers {
        TransactionMarkers {
            transactional_id: prepared.transactional_id.clone(),
            producer_id: prepared.producer_id,
            producer_epoch: prepared.producer_epoch,
            coordinator_epoch: self.coordinator_epoch,
            result: match prepared.state {
                TransactionState::PrepareCommit => TransactionResult::Commit,
                _ => TransactionResult::Abort,
            },
            transaction_version: prepared.client_transaction_version,
            partitions: prepared.partitions.clone(),
        }
    }
}

fn completion_timer(
    transactional_id: &ByteString,
    deadline_ms: i64,
) -> crate::runtime::TimerChange<TransactionTimerKey, TransactionTimerEvent> {
    TransactionCoordinatorShard::schedule(
        TransactionTimerKey::Completion(transactional_id.clone()),
        deadline_ms,
        TransactionTimerEvent::Complete(transactional_id.clone()),
    )
}

#[cfg(test)]
#[path = "write_txn_markers_test.rs"]
mod tests;
