use crate::file_records::FileRecords;
use crate::index::AbortedTxn;
use crate::log_offset::LogOffsetMetadata;

/// Up to where a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FetchIsolation {
    /// All: followers.
    LogEnd,
    /// What is replicated: `read_uncommitted` consumers.
    HighWatermark,
    /// What is replicated and decided: `read_committed` consumers.
    TxnCommitted,
}

/// What a read found.
#[derive(Debug)]
pub struct FetchDataInfo {
    /// The offset read from, and where its batch begins.
    pub fetch_offset_metadata: LogOffsetMetadata,
    /// Batches; the last may be cut, the first may begin below the offset.
    pub records: FileRecords,
    /// Whether even the first batch is cut.
    pub first_entry_incomplete: bool,
    /// Aborted transactions in the records; only for [`FetchIsolation::TxnCommitted`].
    pub aborted_transactions: Option<Vec<AbortedTxn>>,
}

impl FetchDataInfo {
    /// Nothing, at an offset.
    pub fn empty(offset: i64) -> Self {
        Self {
            fetch_offset_metadata: LogOffsetMetadata::offset_only(offset),
            records: FileRecords::EMPTY,
            first_entry_incomplete: false,
            aborted_transactions: None,
        }
    }
}
