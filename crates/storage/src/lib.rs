//! The log on disk, in Apache Kafka's own format, both directions: what Kafka wrote is read, what is
//! written here Kafka reads.
//!
//! [`LogManager`] owns the log directories, [`UnifiedLog`] is one partition. Below it lie segments with
//! their indexes, the state of producers, and the history of leader epochs. Nothing here is async, and
//! every byte goes through [`fs::FileSystem`].

pub mod checkpoint;
pub mod cleaner;
mod error;
mod fetch;
mod file_records;
pub mod fs;
pub mod index;
mod leader_epoch_cache;
mod local_log;
mod log_config;
pub mod log_config_def;
mod log_dir_failure;
mod log_entry;
mod log_file_names;
mod log_loader;
mod log_manager;
mod log_offset;
mod log_segment;
mod log_segments;
mod log_validator;
mod meta_properties;
pub mod producer_state;
mod recent_batches;
#[cfg(test)]
mod recovery_point_test;
#[cfg(test)]
mod recovery_test;
mod stamped_records;
mod sync;
#[cfg(test)]
mod test_support;
mod unified_log;
mod write_back;

pub use cleaner::{CleanerConfig, CleanerMetrics, InvalidCleanerConfig, LogCleaner, ReconfigureError};
pub use error::{AppendError, BatchIndexAndMessage, LogError, ReadError, StorageError};
pub use fetch::{FetchDataInfo, FetchIsolation};
pub use file_records::FileRecords;
pub use leader_epoch_cache::{LeaderEpochFileCache, OffsetAndEpoch};
pub use log_config::{InvalidLogConfig, LogConfig};
pub use log_dir_failure::LogDirFailureChannel;
pub use log_file_names::{
    DELETE_DIR_SUFFIX, FUTURE_DIR_SUFFIX, LogDirKind, STRAY_DIR_SUFFIX, log_delete_dir_name, log_dir_name,
    log_stray_dir_name, parse_log_dir_name,
};
pub use log_manager::{LogDirDescription, LogManager, LogManagerParams, ReplicaDescription};
pub use log_offset::{LogOffsetMetadata, SegmentPosition};
pub use log_segment::{LogSegment, TimestampAndOffset};
pub use meta_properties::{META_PROPERTIES_FILE_NAME, MetaProperties};
pub use producer_state::{
    AppendOrigin, ProducerStateEntry, ProducerStateManagerConfig, TransactionVersion, VerificationGuard,
};
pub use unified_log::{
    ActiveProducer, ListOffsetsTimestamp, LogAppendInfo, LogOffsetSnapshot, LogStartOffsetIncrementReason,
    OffsetBeyondHighWatermark, UnifiedLog, UnifiedLogParams,
};
