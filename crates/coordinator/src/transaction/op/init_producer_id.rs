//! InitProducerId of a transactional producer, versions 0 to 6. Producers without a transactional id get
//! theirs from any broker, without this coordinator.
//!
//! Errors: INVALID_REQUEST, TRANSACTIONAL_ID_AUTHORIZATION_FAILED (two-phase commit is switched off),
//! UNSUPPORTED_VERSION, INVALID_TRANSACTION_TIMEOUT, COORDINATOR_LOAD_IN_PROGRESS (no producer id is at
//! hand), CONCURRENT_TRANSACTIONS, PRODUCER_FENCED (INVALID_PRODUCER_EPOCH before version 4).
//!
//! Missing, as in Kafka 4.4: `KeepPreparedTxn` (KIP-939).

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::group::owned;
use crate::transaction::metadata::{NO_TIMEOUT_MS, is_epoch_exhausted};
use crate::transaction::shard::answer;
use crate::transaction::{
    NO_PRODUCER_EPOCH, NO_PRODUCER_ID, TransactionChange, TransactionCoordinatorShard, TransactionDecision,
    TransactionError, TransactionMetadata, TransactionState,
};

const FIRST_WITH_PRODUCER_FENCED: i16 = 4;

/// Who a producer believes to be that goes on after an error (KIP-360).
#[derive(Debug, Clone, Copy)]
struct ExpectedProducer {
    producer_id: i64,
    epoch: i16,
}

impl TransactionCoordinatorShard {
    /// Gives the producer of a transactional id its id and the next epoch, which fences whoever had the
    /// one before. A transaction that is still open is aborted first; then the answer is
    /// CONCURRENT_TRANSACTIONS, and the producer comes again.
    pub fn init_producer_id(
        &self,
        now_ms: i64,
        api_version: i16,
        request: &InitProducerIdRequest,
    ) -> TransactionDecision<InitProducerIdResponse> {
        let decision = self.try_init_producer_id(now_ms, request).unwrap_or_else(|error| {
            let code = error.code_for(api_version, FIRST_WITH_PRODUCER_FENCED);
            TransactionDecision::of(init_producer_id_error(code))
        });
        self.refill(decision)
    }

    fn try_init_producer_id(
        &self,
        now_ms: i64,
        request: &InitProducerIdRequest,
    ) -> Result<TransactionDecision<InitProducerIdResponse>, TransactionError> {
        let (transactional_id, expected) = self.validate_init_producer_id(request)?;
        let timeout_ms = if request.enable2_pc { NO_TIMEOUT_MS } else { request.transaction_timeout_ms };
        let Some(metadata) = self.transaction(transactional_id) else {
            let producer_id = self.next_producer_id()?;
            let id = owned(transactional_id);
            let new = TransactionMetadata::new(id, producer_id, timeout_ms, now_ms);
            let epoch = expected.map(|expected| expected.epoch);
            let next = new.transition_to_empty_with_next_epoch(now_ms, timeout_ms, epoch)?;
            let mut decision = self.begin_init(&new, next);
            decision.changes.push(TransactionChange::TakeProducerId);
            return Ok(decision);
        };
        if metadata.pending_state.is_some() {
            return Err(TransactionError::ConcurrentTransactions);
        }
        if !expected.is_none_or(|expected| is_valid_producer_id(metadata, expected)) {
            return Err(TransactionError::ProducerFenced);
        }
        match metadata.state {
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => {
                Err(TransactionError::ConcurrentTransactions)
            }
            TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort => {
                self.next_producer(now_ms, metadata, timeout_ms, expected)
            }
            TransactionState::Ongoing => {
                let abort = self.fence_and_abort(now_ms, metadata)?;
                Ok(answer(abort, init_producer_id_error(ErrorCode::ConcurrentTransactions)))
            }
            TransactionState::Dead | TransactionState::PrepareEpochFence => {
                Err(TransactionError::IllegalState)
            }
        }
    }

    fn validate_init_producer_id<'a>(
        &self,
        request: &'a InitProducerIdRequest,
    ) -> Result<(&'a ByteString, Option<ExpectedProducer>), TransactionError> {
        let expected = match (request.producer_id, request.producer_epoch) {
            (NO_PRODUCER_ID, NO_PRODUCER_EPOCH) => None,
            (NO_PRODUCER_ID, _) | (_, NO_PRODUCER_EPOCH) => return Err(TransactionError::InvalidRequest),
            (producer_id, epoch) => Some(ExpectedProducer { producer_id, epoch }),
        };
        let transactional_id = request.transactional_id.as_ref().filter(|id| !id.is_empty());
        let transactional_id = transactional_id.ok_or(TransactionError::InvalidRequest)?;
        if request.enable2_pc && !self.config.two_phase_commit_enable {
            return Err(TransactionError::TwoPhaseCommitDisabled);
        }
        if request.keep_prepared_txn {
            return Err(TransactionError::UnsupportedVersion);
        }
        let allowed = 1..=self.config.transaction_max_timeout_ms;
        if !request.enable2_pc && !allowed.contains(&request.transaction_timeout_ms) {
            return Err(TransactionError::InvalidTransactionTimeout);
        }
        Ok((transactional_id, expected))
    }

    fn next_producer(
        &self,
        now_ms: i64,
        metadata: &TransactionMetadata,
        timeout_ms: i32,
        expected: Option<ExpectedProducer>,
    ) -> Result<TransactionDecision<InitProducerIdResponse>, TransactionError> {
        let rotates = metadata.is_producer_epoch_exhausted()
            && expected.is_none_or(|expected| expected.epoch == metadata.producer_epoch);
        if !rotates {
            let epoch = expected.map(|expected| expected.epoch);
            let next = metadata.transition_to_empty_with_next_epoch(now_ms, timeout_ms, epoch)?;
            return Ok(self.begin_init(metadata, next));
        }
        let new_id = self.next_producer_id()?;
        let keep_epoch = expected.is_some();
        let next = metadata.transition_to_empty_with_new_id(now_ms, timeout_ms, new_id, keep_epoch)?;
        let mut decision = self.begin_init(metadata, next);
        decision.changes.push(TransactionChange::TakeProducerId);
        Ok(decision)
    }

    fn begin_init(
        &self,
        current: &TransactionMetadata,
        next: TransactionMetadata,
    ) -> TransactionDecision<InitProducerIdResponse> {
        let response = InitProducerIdResponse {
            producer_id: next.producer_id,
            producer_epoch: next.producer_epoch,
            ..Default::default()
        };
        self.begin_move(current, next, false, response)
    }
}

/// Whether the producer may be the one of the transactional id, or was before the last rotation and did
/// not hear of it. Its epoch is looked at later.
fn is_valid_producer_id(metadata: &TransactionMetadata, expected: ExpectedProducer) -> bool {
    // Without an epoch the transactional id is new: whoever comes lost its state elsewhere.
    metadata.producer_epoch == NO_PRODUCER_EPOCH
        || expected.producer_id == metadata.producer_id
        || (expected.producer_id == metadata.previous_producer_id && is_epoch_exhausted(expected.epoch))
}

/// The answer that only says what went wrong.
pub fn init_producer_id_error(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: error.code(),
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "init_producer_id_test.rs"]
mod tests;
