use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_storage::{FetchIsolation, FileRecords, LogOffsetMetadata};

/// What a fetch as a whole wants.
#[derive(Debug, Clone, Copy)]
pub struct FetchParams {
    /// Up to where the fetcher may see.
    pub isolation: FetchIsolation,
    /// How long it would wait for `min_bytes`.
    pub max_wait_ms: i32,
    /// Fewer bytes than these are not worth an answer before the time is up.
    pub min_bytes: i32,
    /// More bytes than these are not wanted, except that one batch always fits.
    pub max_bytes: i32,
}

/// What a fetch wants of one partition.
#[derive(Debug, Clone)]
pub struct FetchInfo {
    /// Which partition.
    pub tp: TopicPartition,
    /// The topic's id as the fetcher knows it, zero for none.
    pub topic_id: Uuid,
    /// First offset wanted.
    pub fetch_offset: i64,
    /// Most bytes wanted.
    pub max_bytes: i32,
    /// The leader epoch the fetcher believes in.
    pub current_leader_epoch: Option<i32>,
    /// The epoch of the last record it has.
    pub last_fetched_epoch: Option<i32>,
}

/// What one partition answers.
#[derive(Debug, Clone)]
pub struct FetchPartitionData {
    /// The code, or none.
    pub error: ErrorCode,
    /// The high watermark, -1 with an error.
    pub high_watermark: i64,
    /// The last stable offset, -1 where unknown.
    pub last_stable_offset: i64,
    /// The log's first offset, -1 with an error.
    pub log_start_offset: i64,
    /// Aborted transactions (producer id, first offset) among the records; `None` unless asked for.
    pub aborted_transactions: Option<Vec<(i64, i64)>>,
    /// Where the fetcher's log parts from this one: epoch and its end offset.
    pub diverging_epoch: Option<(i32, i64)>,
    /// Batches, where they lie in the log.
    pub records: FileRecords,
    /// Where the offset lies from which on was read.
    pub(crate) start: LogOffsetMetadata,
}

impl FetchPartitionData {
    pub(crate) fn failed(error: ErrorCode) -> Self {
        Self {
            error,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted_transactions: None,
            diverging_epoch: None,
            records: FileRecords::EMPTY,
            start: LogOffsetMetadata::offset_only(-1),
        }
    }

    /// Whether waiting cannot make this answer better.
    pub(crate) fn is_final(&self) -> bool {
        !self.error.is_none() || self.diverging_epoch.is_some()
    }
}
