//! Record batches and compression: Kafka's message format v2, read and written without any IO.
//!
//! [`RecordBatch`] is a view of one batch where it lies, [`MemoryRecords`] of a run of them,
//! [`RecordsBuilder`] writes them. Batches in the clear have the Java client's bytes, and so do those packed with
//! snappy and zstd, whose libraries are the same or agree. With gzip and lz4 headers and frames are Java's,
//! but the data inside is another encoder's and differs; each side reads the other's.
//!
//! Formats v0 and v1, which Kafka 4 no longer writes (KIP-724), are refused everywhere but in
//! [`LegacyMessage`], for old logs.

mod batch;
mod builder;
mod compression;
mod control;
mod error;
mod header;
mod legacy;
mod memory_records;
mod record;
mod transferable;
mod varint;

pub use batch::RecordBatch;
pub use builder::{EmptyBatch, RecordsBuilder};
pub use compression::{Compression, CompressionType, DecompressionLimits, Levels, UnknownCompressionName};
pub use control::{ControlRecordType, EndTransactionMarker};
pub use error::{BuildError, RecordError};
pub use header::{
    CURRENT_MAGIC_VALUE, HEADER_SIZE_UP_TO_MAGIC, LOG_OVERHEAD, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, RECORD_BATCH_OVERHEAD, RecordBatchHeader, TimestampType,
    decrement_sequence, increment_sequence, peek_batch_size,
};
pub use legacy::{LegacyHeader, LegacyMessage, peek_log_entry_size};
pub use memory_records::{Batches, BatchesMut, MemoryRecords, batches_mut};
pub use record::{
    BatchRecords, Header, Headers, OwnedRecord, OwnedRecords, Record, RecordHeader, RecordIter, SimpleRecord,
};
