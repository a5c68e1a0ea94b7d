//! The three sparse indexes beside each `.log` file. They only save reading: whatever they lack or lost
//! is rebuilt from the log.
//!
//! Entries are kept in memory and written a page at a time, so a file never holds more than its entries.
//! Kafka maps the file and preallocates it instead; both leave the same file when a segment is closed.

mod entries;
mod offset;
mod time;
mod transaction;

pub use offset::{OffsetIndex, OffsetPosition};
pub use time::{TimeIndex, TimestampOffset};
pub use transaction::{AbortedTxn, TransactionIndex, TxnIndexSearchResult};

use thiserror::Error;

/// The index contradicts itself or its segment; it must be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("index file {path} is corrupt: {reason}")]
pub struct CorruptIndexError {
    /// The file.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}
