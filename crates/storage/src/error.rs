//! What can go wrong with a log, and the code a client gets for it.

use std::io;
use std::path::PathBuf;

use ottla_common::{ErrorCode, Uuid};
use ottla_record::{BuildError, RecordError};
use thiserror::Error;

/// The disk failed, or is known to have failed: the whole log directory is offline from now on.
#[derive(Debug, Error)]
#[error("log directory {} failed: {context}", dir.display())]
pub struct StorageError {
    /// The log directory.
    pub dir: PathBuf,
    /// What was being done.
    pub context: String,
    /// What the system said; none if the directory was offline already.
    #[source]
    pub source: Option<io::Error>,
}

impl StorageError {
    /// What a client gets.
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::KafkaStorageError
    }
}

/// One refused record of a batch (KIP-467).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchIndexAndMessage {
    /// Index of the record in its batch.
    pub batch_index: i32,
    /// Why it was refused.
    pub message: String,
}

/// Why records were not appended.
#[derive(Debug, Error)]
pub enum AppendError {
    /// The disk failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The bytes are no record batches.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Batches could not be packed anew.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The batch as a whole is against the rules.
    #[error("{0}")]
    InvalidBatch(String),
    /// Some records are against the rules.
    #[error("{message}")]
    InvalidRecords {
        /// `InvalidTimestamp` or `InvalidRecord`.
        code: ErrorCode,
        /// For all of them.
        message: String,
        /// For each of them.
        record_errors: Vec<BatchIndexAndMessage>,
    },
    /// A batch is larger than `max.message.bytes`.
    #[error("the record batch of {size} bytes exceeds the maximum of {max} bytes")]
    RecordTooLarge {
        /// Bytes of the batch.
        size: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// The records are larger than a segment.
    #[error("the records of {size} bytes exceed the maximum segment size of {max} bytes")]
    RecordBatchTooLarge {
        /// Bytes of all batches.
        size: usize,
        /// Bytes they may have.
        max: usize,
    },
    /// A sequence number is missing.
    #[error("{0}")]
    OutOfOrderSequence(String),
    /// A newer instance of the producer was seen.
    #[error("{0}")]
    InvalidProducerEpoch(String),
    /// The records do not fit the state of their producer's transaction.
    #[error("{0}")]
    InvalidTxnState(String),
    /// A newer transaction coordinator was seen.
    #[error("{0}")]
    TransactionCoordinatorFenced(String),
    /// Replicated records begin before the log's end.
    #[error("replicated records begin at {first_offset}, the log ends at {log_end_offset}")]
    UnexpectedOffset {
        /// First offset of the records.
        first_offset: i64,
        /// Last offset of the records.
        last_offset: i64,
        /// The log's end.
        log_end_offset: i64,
    },
    /// Offsets of replicated records do not grow.
    #[error("{0}")]
    OffsetsOutOfOrder(String),
    /// The log was closed or deleted.
    #[error("the log is closed")]
    Closed,
}

impl AppendError {
    /// What a client gets.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Storage(e) => e.code(),
            Self::Record(e) => e.code(),
            Self::Build(_) | Self::UnexpectedOffset { .. } | Self::OffsetsOutOfOrder(_) => {
                ErrorCode::UnknownServerError
            }
            Self::InvalidBatch(_) => ErrorCode::InvalidRecord,
            Self::InvalidRecords { code, .. } => *code,
            Self::RecordTooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::RecordBatchTooLarge { .. } => ErrorCode::RecordListTooLarge,
            Self::OutOfOrderSequence(_) => ErrorCode::OutOfOrderSequenceNumber,
            Self::InvalidProducerEpoch(_) => ErrorCode::InvalidProducerEpoch,
            Self::InvalidTxnState(_) => ErrorCode::InvalidTxnState,
            Self::TransactionCoordinatorFenced(_) => ErrorCode::TransactionCoordinatorFenced,
            Self::Closed => ErrorCode::KafkaStorageError,
        }
    }
}

/// Why records were not read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The disk failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The offset is not in the log.
    #[error("offset {offset} is not in the log, which has {log_start_offset} to {log_end_offset}")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: i64,
        /// The log's first offset.
        log_start_offset: i64,
        /// The offset after the log's last.
        log_end_offset: i64,
    },
    /// The records on disk are damaged.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl ReadError {
    /// What a client gets.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Storage(e) => e.code(),
            Self::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::Record(e) => e.code(),
        }
    }
}

/// Why a log was not opened.
#[derive(Debug, Error)]
pub enum LogError {
    /// The disk failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The folder belongs to another topic of the same name (KIP-516).
    #[error("topic id {expected} does not match {found}, the id of the log on disk")]
    InconsistentTopicId {
        /// The id asked for.
        expected: Uuid,
        /// The id on disk.
        found: Uuid,
    },
    /// No directory is left to make a log in.
    #[error("no log directory is online")]
    NoLogDirOnline,
    /// The directory asked for is not one of ours, or offline.
    #[error("log directory {0} is not available")]
    LogDirNotFound(String),
    /// The name of a folder is no topic and partition.
    #[error("folder {0} is not named after a topic and partition; log directories hold nothing else")]
    InvalidFolderName(PathBuf),
    /// The same partition in two directories.
    #[error("partition {partition} is in both {} and {}; remove one of them", first.display(), second.display())]
    Duplicate {
        /// The partition.
        partition: String,
        /// One folder.
        first: PathBuf,
        /// The other folder.
        second: PathBuf,
    },
    /// Another process has the directory.
    #[error("log directory {} is in use by another process", .0.display())]
    Locked(PathBuf),
}

impl LogError {
    /// What a client gets.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::InconsistentTopicId { .. } => ErrorCode::InconsistentTopicId,
            Self::LogDirNotFound(_) => ErrorCode::LogDirNotFound,
            Self::Storage(_)
            | Self::NoLogDirOnline
            | Self::InvalidFolderName(_)
            | Self::Duplicate { .. }
            | Self::Locked(_) => ErrorCode::KafkaStorageError,
        }
    }
}
