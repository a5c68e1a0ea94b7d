use std::io;
use std::time::Duration;

use ottla_common::ErrorCode;
use ottla_protocol::{ApiKey, DecodeError, EncodeError};
use ottla_record::{BuildError, RecordError};

/// What can go wrong between a client and its cluster.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// A property that cannot be used.
    #[error("{key}={value} cannot be used: {expected}")]
    Config {
        /// The property.
        key: String,
        /// What it was set to.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// Nobody answers at an address.
    #[error(
        "cannot connect to {address}: {reason}; check that the server runs and that the address is right"
    )]
    Connect {
        /// Where.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// The connection ended before the answer came.
    #[error("{address} closed the connection{}", during(*.api))]
    Disconnected {
        /// Who.
        address: String,
        /// What it was asked.
        api: Option<ApiKey>,
    },
    /// No answer in time.
    #[error("no answer from {address} to {api:?} within {} ms; raise request.timeout.ms if it is only slow", waited.as_millis())]
    RequestTimeout {
        /// Who.
        address: String,
        /// What it was asked.
        api: ApiKey,
        /// For how long.
        waited: Duration,
    },
    /// The time for the whole operation is over; `cause` is what the last attempt said.
    #[error("{what} did not succeed within {} ms: {cause}", waited.as_millis())]
    Timeout {
        /// What was tried.
        what: String,
        /// For how long.
        waited: Duration,
        /// The last failure.
        cause: String,
    },
    /// Broker and client have no version of an API in common.
    #[error("{address} does not support {api:?} in a version this client can use ({offered})")]
    UnsupportedVersion {
        /// Who.
        address: String,
        /// Which API.
        api: ApiKey,
        /// What it does support.
        offered: String,
    },
    /// The broker said no.
    #[error("{what}: {message} ({code})")]
    Api {
        /// What was asked.
        what: String,
        /// Why not.
        code: ErrorCode,
        /// The broker's own words, or ours when it had none.
        message: String,
    },
    /// Bytes that make no sense.
    #[error("unreadable answer from {address} to {api:?}: {source}")]
    Decode {
        /// Who.
        address: String,
        /// To what.
        api: ApiKey,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A request that has no bytes in the version the broker speaks.
    #[error("cannot ask {address} for {api:?}: {source}")]
    Encode {
        /// Whom.
        address: String,
        /// What.
        api: ApiKey,
        /// Why not.
        source: EncodeError,
    },
    /// A record batch that cannot be read.
    #[error("corrupt records in {partition}: {source}")]
    Records {
        /// Where.
        partition: String,
        /// What is wrong with them.
        source: RecordError,
    },
    /// A record batch that cannot be written.
    #[error("cannot write records for {partition}: {reason}")]
    Build {
        /// Where to.
        partition: String,
        /// Why not.
        reason: String,
    },
    /// A transaction that cannot go on.
    #[error("{}: {cause}", way_out(*.abortable))]
    Transaction {
        /// Whether aborting it helps; otherwise the producer is of no use any more.
        abortable: bool,
        /// What went wrong first.
        cause: Box<ClientError>,
    },
    /// A record that was not sent yet when its transaction was aborted.
    #[error("the transaction was aborted before the record was sent")]
    TransactionAborted,
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
    /// A call that does not fit the client's state.
    #[error("{0}")]
    IllegalState(String),
}

const fn way_out(abortable: bool) -> &'static str {
    match abortable {
        true => "the transaction has to be aborted",
        false => "the producer has to be closed",
    }
}

fn during(api: Option<ApiKey>) -> String {
    api.map_or_else(String::new, |api| format!(" before it answered {api:?}"))
}

impl ClientError {
    /// An error the broker answered, with its own words where it has some.
    pub fn api(what: impl Into<String>, code: ErrorCode, message: Option<&str>) -> Self {
        let message = message.filter(|m| !m.is_empty()).unwrap_or_else(|| explain(code)).to_owned();
        Self::Api { what: what.into(), code, message }
    }

    /// Fails unless `code` is no error.
    pub fn check(what: impl Into<String>, code: i16, message: Option<&str>) -> Result<(), Self> {
        match ErrorCode::from_code(code) {
            ErrorCode::None => Ok(()),
            code => Err(Self::api(what, code, message)),
        }
    }

    pub(crate) fn connect(address: &str, error: &io::Error) -> Self {
        Self::Connect { address: address.to_owned(), reason: error.to_string() }
    }

    pub(crate) fn build(partition: impl ToString, error: &BuildError) -> Self {
        Self::Build { partition: partition.to_string(), reason: error.to_string() }
    }

    /// A sentence for a code that comes without one. Those that Kafka's tools print and scripts look for are
    /// Kafka's own.
    pub fn explain(code: ErrorCode) -> &'static str {
        explain(code)
    }

    /// The broker's error code, when it answered with one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Api { code, .. } => Some(*code),
            Self::Transaction { cause, .. } => cause.code(),
            _ => None,
        }
    }

    /// Whether aborting the transaction lets the producer go on (KIP-1050).
    pub fn is_abortable(&self) -> bool {
        matches!(self, Self::Transaction { abortable: true, .. })
    }

    /// Whether the same request may succeed later or elsewhere.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Disconnected { .. } | Self::RequestTimeout { .. } => true,
            // Most often a typo; those who create topics by asking for them wait on their own.
            Self::Api { code: ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId, .. } => false,
            Self::Api { code, .. } => code.is_retriable(),
            _ => false,
        }
    }
}

fn explain(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ErrorCode::UnknownTopicId => "This server does not host this topic ID.",
        ErrorCode::NotLeaderOrFollower => "the broker asked is not the leader of the partition",
        ErrorCode::LeaderNotAvailable => "there is no leader for the partition at the moment",
        ErrorCode::OffsetOutOfRange => {
            "The requested offset is not within the range of offsets maintained by the server."
        }
        ErrorCode::MessageTooLarge => {
            "the record batch is larger than the server accepts (max.message.bytes)"
        }
        ErrorCode::CoordinatorNotAvailable => "The coordinator is not available.",
        ErrorCode::CoordinatorLoadInProgress => "the coordinator is loading and cannot answer yet",
        ErrorCode::NotCoordinator => "This is not the correct coordinator.",
        ErrorCode::NotController => "This is not the correct controller for this cluster.",
        ErrorCode::NonEmptyGroup => "The group is not empty.",
        ErrorCode::InvalidGroupId => "The group id is invalid.",
        ErrorCode::GroupIdNotFound => "The group id does not exist.",
        ErrorCode::GroupSubscribedToTopic => {
            "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it."
        }
        ErrorCode::UnknownMemberId => {
            "the group does not know this member; it was probably removed for being silent"
        }
        ErrorCode::IllegalGeneration => "the group has rebalanced since",
        ErrorCode::RebalanceInProgress => "the group is rebalancing",
        ErrorCode::TopicAlreadyExists => "Topic with this name already exists.",
        ErrorCode::TopicDeletionDisabled => "Topic deletion is disabled.",
        ErrorCode::PolicyViolation => "Request parameters do not satisfy the configured policy.",
        ErrorCode::InvalidTopicException => {
            "The request attempted to perform an operation on an invalid topic."
        }
        ErrorCode::TopicAuthorizationFailed => "not allowed on this topic",
        ErrorCode::GroupAuthorizationFailed => "Group authorization failed.",
        ErrorCode::ClusterAuthorizationFailed => "not allowed on this cluster",
        ErrorCode::UnsupportedVersion => "The version of API is not supported.",
        ErrorCode::InvalidProducerEpoch | ErrorCode::ProducerFenced => "a newer producer has taken over",
        ErrorCode::TransactionAbortable => "the transaction cannot be committed any more",
        ErrorCode::InvalidTxnState => "the coordinator's transaction is in another state",
        ErrorCode::TransactionalIdNotFound => "The transactionalId could not be found.",
        ErrorCode::InvalidTransactionTimeout => {
            "transaction.timeout.ms is above the brokers' transaction.max.timeout.ms"
        }
        ErrorCode::ConcurrentTransactions => "the transaction before is still being completed",
        ErrorCode::FencedMemberEpoch => "the group has gone on without this member",
        ErrorCode::StaleMemberEpoch => "the group gave this member a newer epoch",
        ErrorCode::UnreleasedInstanceId => "another consumer holds this group.instance.id",
        ErrorCode::InvalidRecordState => "the record's lock was lost, so its state cannot change",
        ErrorCode::OutOfOrderSequenceNumber => "the broker misses records that came before",
        ErrorCode::RequestTimedOut => "The request timed out.",
        ErrorCode::UnknownServerError => "the server met an unexpected error; its log says more",
        code => code.name(),
    }
}
