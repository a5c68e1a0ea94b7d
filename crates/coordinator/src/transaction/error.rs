use ottla_common::ErrorCode;
use thiserror::Error;

/// Why a request of a transactional producer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TransactionError {
    /// The request contradicts itself.
    #[error("the request is not valid")]
    InvalidRequest,
    /// The transactional id is not known, or has another producer id.
    #[error("the producer id is not that of the transactional id")]
    InvalidProducerIdMapping,
    /// A newer producer took the transactional id over.
    #[error("a newer producer took the transactional id over")]
    ProducerFenced,
    /// A move of this transactional id is under way: try again.
    #[error("the transactional id is busy")]
    ConcurrentTransactions,
    /// The request makes no sense in the transaction's state.
    #[error("the transaction's state does not allow it")]
    InvalidTxnState,
    /// The transaction's time-out is none, or longer than any may be.
    #[error("the transaction timeout is not allowed")]
    InvalidTransactionTimeout,
    /// Two-phase commit is switched off (KIP-939).
    #[error("two-phase commit is disabled")]
    TwoPhaseCommitDisabled,
    /// Something that this release, or the cluster's `transaction.version`, does not have.
    #[error("not supported")]
    UnsupportedVersion,
    /// No producer id is at hand; more are asked for.
    #[error("waiting for a block of producer ids")]
    NoProducerId,
    /// The partition is not part of the transaction: the client should abort (KIP-890).
    #[error("the partition is not part of the transaction")]
    TransactionAbortable,
    /// The transactional id is not known.
    #[error("the transactional id is not known")]
    TransactionalIdNotFound,
    /// The log told of a state that no coordinator leaves behind.
    #[error("the transactional id is in an impossible state")]
    IllegalState,
}

impl TransactionError {
    /// What a client is told, if it is not too old for it.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::InvalidRequest => ErrorCode::InvalidRequest,
            Self::InvalidProducerIdMapping => ErrorCode::InvalidProducerIdMapping,
            Self::ProducerFenced => ErrorCode::ProducerFenced,
            Self::ConcurrentTransactions => ErrorCode::ConcurrentTransactions,
            Self::InvalidTxnState => ErrorCode::InvalidTxnState,
            Self::InvalidTransactionTimeout => ErrorCode::InvalidTransactionTimeout,
            Self::TwoPhaseCommitDisabled => ErrorCode::TransactionalIdAuthorizationFailed,
            Self::UnsupportedVersion => ErrorCode::UnsupportedVersion,
            Self::NoProducerId => ErrorCode::CoordinatorLoadInProgress,
            Self::TransactionAbortable => ErrorCode::TransactionAbortable,
            Self::TransactionalIdNotFound => ErrorCode::TransactionalIdNotFound,
            Self::IllegalState => ErrorCode::UnknownServerError,
        }
    }

    /// What a client of this version is told: PRODUCER_FENCED came with KIP-588, in the version
    /// `fenced_since` of its API; before, INVALID_PRODUCER_EPOCH said the same.
    pub(super) fn code_for(self, api_version: i16, fenced_since: i16) -> ErrorCode {
        match self {
            Self::ProducerFenced if api_version < fenced_since => ErrorCode::InvalidProducerEpoch,
            other => other.code(),
        }
    }
}

/// What a client is told when the log refused the coordinator's record, or did not commit it in time.
pub fn append_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => ErrorCode::UnknownServerError,
        other => other,
    }
}
