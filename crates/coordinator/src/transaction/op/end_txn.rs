//! EndTxn, versions 0 to 5: a producer commits or aborts. From version 5 on the answer carries the
//! producer's next epoch (KIP-890).
//!
//! Errors: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED (INVALID_PRODUCER_EPOCH before
//! version 2), CONCURRENT_TRANSACTIONS, INVALID_TXN_STATE, COORDINATOR_LOAD_IN_PROGRESS (no producer id
//! is at hand), UNSUPPORTED_VERSION (the cluster's `transaction.version` is older than the request).

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::{EndTxnRequest, EndTxnResponse};

use crate::runtime::TransactionResult;
use crate::transaction::{
    NO_PRODUCER_EPOCH, NO_PRODUCER_ID, TransactionChange, TransactionCoordinatorShard, TransactionDecision,
    TransactionError, TransactionMetadata, TransactionState as State, TransactionVersion,
};

const FIRST_WITH_PRODUCER_FENCED: i16 = 2;

/// What an EndTxn comes to, before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The transaction ends.
    End,
    /// There is no transaction, and the producer wants to be sure of that.
    EndNothing,
    /// It ended this way already: the answer was lost.
    Ended,
}

impl TransactionCoordinatorShard {
    /// Ends a transaction. The markers follow once the decision is committed; the producer need not
    /// wait for them.
    pub fn end_transaction(
        &self,
        now_ms: i64,
        api_version: i16,
        request: &EndTxnRequest,
    ) -> TransactionDecision<EndTxnResponse> {
        let version = TransactionVersion::of_end_txn(api_version);
        let decision = self.try_end_transaction(now_ms, version, request).unwrap_or_else(|error| {
            let code = error.code_for(api_version, FIRST_WITH_PRODUCER_FENCED);
            TransactionDecision::of(end_txn_error(code))
        });
        self.refill(decision)
    }

    fn try_end_transaction(
        &self,
        now_ms: i64,
        version: TransactionVersion,
        request: &EndTxnRequest,
    ) -> Result<TransactionDecision<EndTxnResponse>, TransactionError> {
        let metadata = self.producer_transaction(&request.transactional_id)?;
        if !version.supports_epoch_bump() {
            return match validate_end(metadata, request)? {
                Verdict::Ended => Ok(TransactionDecision::of(EndTxnResponse::default())),
                Verdict::End | Verdict::EndNothing => {
                    let next = metadata.transition_to_prepare(
                        now_ms,
                        result_of(request),
                        version,
                        NO_PRODUCER_ID,
                        false,
                    )?;
                    Ok(self.begin_move(metadata, next, false, EndTxnResponse::default()))
                }
            };
        }
        self.validate_version(version)?;
        let verdict = validate_end_with_bump(metadata, request)?;
        if verdict == Verdict::Ended {
            return Ok(TransactionDecision::of(end_txn_response(metadata)));
        }
        self.end_with_bump(now_ms, metadata, result_of(request), verdict == Verdict::EndNothing)
    }

    /// Aborts an open transaction whose producer is not asked, and fences that producer.
    pub(in crate::transaction) fn fence_and_abort(
        &self,
        now_ms: i64,
        metadata: &TransactionMetadata,
    ) -> Result<TransactionDecision<()>, TransactionError> {
        let abort = TransactionResult::Abort;
        if self.version.supports_epoch_bump() {
            // The abort bumps the epoch, and that fences. Nobody waits for the new one.
            let (decision, _) = self.end_with_bump(now_ms, metadata, abort, false)?.split_response();
            return Ok(decision);
        }
        let fenced = metadata.transition_to_prepare_epoch_fence()?;
        let version = TransactionVersion::V0;
        let next = fenced.transition_to_prepare(now_ms, abort, version, NO_PRODUCER_ID, false)?;
        Ok(self.begin_move(&fenced, next, true, ()))
    }

    fn end_with_bump(
        &self,
        now_ms: i64,
        metadata: &TransactionMetadata,
        result: TransactionResult,
        nothing_added: bool,
    ) -> Result<TransactionDecision<EndTxnResponse>, TransactionError> {
        let rotates = metadata.is_producer_epoch_exhausted();
        let next_id = if rotates { self.next_producer_id()? } else { NO_PRODUCER_ID };
        let version = TransactionVersion::V2;
        let next = metadata.transition_to_prepare(now_ms, result, version, next_id, nothing_added)?;
        // The producer goes on with what it will be when all is over.
        let response = end_txn_response(&next.transition_to_complete(now_ms)?);
        let mut decision = self.begin_move(metadata, next, false, response);
        if rotates {
            decision.changes.push(TransactionChange::TakeProducerId);
        }
        Ok(decision)
    }

    /// The transactional id of a producer that must have been here before.
    pub(in crate::transaction) fn producer_transaction(
        &self,
        transactional_id: &ByteString,
    ) -> Result<&TransactionMetadata, TransactionError> {
        if transactional_id.is_empty() {
            return Err(TransactionError::InvalidRequest);
        }
        self.transaction(transactional_id).ok_or(TransactionError::InvalidProducerIdMapping)
    }

    /// Refuses what the cluster's records could not hold.
    pub(in crate::transaction) fn validate_version(
        &self,
        version: TransactionVersion,
    ) -> Result<(), TransactionError> {
        let fits =
            !version.supports_epoch_bump() || self.version.transaction_log_value_version() > OLDEST_VALUE;
        if fits { Ok(()) } else { Err(TransactionError::UnsupportedVersion) }
    }
}

/// The version of the record that does not say which client wrote it.
const OLDEST_VALUE: i16 = 0;

/// An end that bumps no epoch: the producer must have the current one. What ended can be told by the
/// state alone.
fn validate_end(
    metadata: &TransactionMetadata,
    request: &EndTxnRequest,
) -> Result<Verdict, TransactionError> {
    if metadata.producer_id != request.producer_id {
        return Err(TransactionError::InvalidProducerIdMapping);
    }
    if metadata.producer_epoch != request.producer_epoch {
        return Err(TransactionError::ProducerFenced);
    }
    if metadata.pending_state.is_some() {
        return Err(TransactionError::ConcurrentTransactions);
    }
    match metadata.state {
        State::Ongoing => Ok(Verdict::End),
        State::CompleteCommit if request.committed => Ok(Verdict::Ended),
        State::CompleteAbort if !request.committed => Ok(Verdict::Ended),
        State::Empty | State::CompleteCommit | State::CompleteAbort => Err(TransactionError::InvalidTxnState),
        State::PrepareCommit | State::PrepareAbort => Err(unfinished(metadata, request)),
        State::Dead | State::PrepareEpochFence => Err(TransactionError::IllegalState),
    }
}

/// An end that bumps the epoch: one with the epoch before the current one is a retry, and one with the
/// current epoch speaks of the next transaction, which may be none. The overflow of the epoch looks
/// different: the transactional id has its next producer id then, in epoch 0.
fn validate_end_with_bump(
    metadata: &TransactionMetadata,
    request: &EndTxnRequest,
) -> Result<Verdict, TransactionError> {
    // First of all: the producer may know already what is being written.
    if metadata.pending_state.is_some() {
        return Err(TransactionError::ConcurrentTransactions);
    }
    let retry_on_overflow = metadata.previous_producer_id == request.producer_id
        && request.producer_epoch == i16::MAX - 1
        && metadata.producer_epoch == 0;
    let retry_on_bump = i32::from(metadata.producer_epoch) == i32::from(request.producer_epoch) + 1;
    if metadata.producer_id != request.producer_id && !retry_on_overflow {
        return Err(TransactionError::InvalidProducerIdMapping);
    }
    let is_retry = retry_on_bump || retry_on_overflow;
    let has_current_epoch = metadata.producer_epoch == request.producer_epoch;
    let has_valid_epoch = match metadata.state {
        State::Empty | State::Ongoing | State::Dead | State::PrepareEpochFence => has_current_epoch,
        State::PrepareCommit | State::PrepareAbort => retry_on_bump,
        State::CompleteCommit | State::CompleteAbort => is_retry || has_current_epoch,
    };
    if !has_valid_epoch {
        return Err(TransactionError::ProducerFenced);
    }
    match (metadata.state, request.committed) {
        (State::Ongoing, _) => Ok(Verdict::End),
        (State::CompleteCommit, true) | (State::CompleteAbort, false) if is_retry => Ok(Verdict::Ended),
        (State::CompleteCommit, false) if is_retry => Err(TransactionError::InvalidTxnState),
        (State::Empty | State::CompleteCommit | State::CompleteAbort, false) => Ok(Verdict::EndNothing),
        (State::Empty | State::CompleteCommit | State::CompleteAbort, true) => {
            Err(TransactionError::InvalidTxnState)
        }
        (State::PrepareCommit | State::PrepareAbort, _) => Err(unfinished(metadata, request)),
        (State::Dead | State::PrepareEpochFence, _) => Err(TransactionError::IllegalState),
    }
}

/// The end is decided and not over: the same end must wait, the other cannot be.
fn unfinished(metadata: &TransactionMetadata, request: &EndTxnRequest) -> TransactionError {
    match (metadata.state == State::PrepareCommit) == request.committed {
        true => TransactionError::ConcurrentTransactions,
        false => TransactionError::InvalidTxnState,
    }
}

fn result_of(request: &EndTxnRequest) -> TransactionResult {
    if request.committed { TransactionResult::Commit } else { TransactionResult::Abort }
}

fn end_txn_response(metadata: &TransactionMetadata) -> EndTxnResponse {
    EndTxnResponse {
        producer_id: metadata.producer_id,
        producer_epoch: metadata.producer_epoch,
        ..Default::default()
    }
}

/// The answer that only says what went wrong.
pub fn end_txn_error(error: ErrorCode) -> EndTxnResponse {
    EndTxnResponse {
        error_code: error.code(),
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "end_txn_test.rs"]
mod tests;
