use std::io;

use ottla_record::{BuildError, RecordError};

use super::filter::FilterError;
use crate::error::{ReadError, StorageError};

/// Why a log was not compacted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CleanError {
    /// Somebody needs the log for himself, or it is gone.
    #[error("compaction was called off")]
    Aborted,
    /// The cleaner stops.
    #[error("the cleaner stops")]
    Stopped,
    /// The disk failed; the directory is offline.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Records cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Records cannot be written anew.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// What the files say cannot be.
    #[error("the log contradicts itself: {0}")]
    Inconsistent(io::Error),
    /// A segment's last batch is not whole.
    #[error("segment {base_offset} ends within a batch")]
    Truncated {
        /// The segment.
        base_offset: i64,
    },
    /// A batch is too far from its segment's base offset for the index.
    #[error("offset {offset} is too far from base offset {base_offset}")]
    OffsetOverflow {
        /// Base offset of the segment it was to go to.
        base_offset: i64,
        /// The offset.
        offset: i64,
    },
}

impl CleanError {
    /// Whether trying again would end the same way, so that the partition is left alone from now on.
    pub(crate) const fn is_lasting(&self) -> bool {
        !matches!(self, Self::Aborted | Self::Stopped | Self::Storage(_))
    }
}

impl From<FilterError> for CleanError {
    fn from(error: FilterError) -> Self {
        match error {
            FilterError::Record(error) => Self::Record(error),
            FilterError::Build(error) => Self::Build(error),
        }
    }
}

impl From<ReadError> for CleanError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Storage(error) => Self::Storage(error),
            ReadError::Record(error) => Self::Record(error),
            ReadError::OffsetOutOfRange { .. } => Self::Aborted,
        }
    }
}
