use std::io;
use std::sync::Arc;

use super::{LogState, UnifiedLog};
use crate::error::StorageError;
use crate::log_segment::LogSegment;
use crate::producer_state::ProducerStateManager;

/// Why the log's start moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStartOffsetIncrementReason {
    /// The leader's start moved.
    LeaderOffsetIncremented,
    /// Retention removed segments.
    SegmentDeletion,
    /// A client asked for it.
    ClientRecordDeletion,
    /// KRaft made a snapshot.
    SnapshotGenerated,
}

/// The log's start cannot be moved behind what is replicated.
#[derive(Debug, thiserror::Error)]
pub enum OffsetBeyondHighWatermark {
    /// The offset is too large.
    #[error("offset {offset} is beyond the high watermark {high_watermark}")]
    Beyond {
        /// What was asked for.
        offset: i64,
        /// What is replicated.
        high_watermark: i64,
    },
    /// The disk failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl OffsetBeyondHighWatermark {
    /// What a client gets.
    pub const fn code(&self) -> ottla_common::ErrorCode {
        match self {
            Self::Beyond { .. } => ottla_common::ErrorCode::OffsetOutOfRange,
            Self::Storage(error) => error.code(),
        }
    }
}

impl UnifiedLog {
    /// Moves the log's start forward (DeleteRecords). Tells whether it moved.
    pub fn maybe_increment_log_start_offset(
        &self,
        offset: i64,
        reason: LogStartOffsetIncrementReason,
    ) -> Result<bool, OffsetBeyondHighWatermark> {
        self.increment_log_start_offset(&mut self.state.lock(), offset, reason)
    }

    fn increment_log_start_offset(
        &self,
        state: &mut LogState,
        offset: i64,
        reason: LogStartOffsetIncrementReason,
    ) -> Result<bool, OffsetBeyondHighWatermark> {
        self.failures.check(&self.parent_dir)?;
        let high_watermark = self.high_watermark();
        if offset > high_watermark {
            return Err(OffsetBeyondHighWatermark::Beyond { offset, high_watermark });
        }
        if offset <= self.log_start_offset() {
            return Ok(false);
        }
        self.marks.write().log_start_offset = offset;
        self.local.update_recovery_point(self.local.recovery_point().max(offset));
        tracing::info!(partition = %self.topic_partition(), offset, ?reason, "log start offset moves");
        self.leader_epochs.truncate_from_start(offset);
        state.producers.on_log_start_offset_incremented(offset);
        self.update_first_unstable_offset(state);
        Ok(true)
    }

    /// Removes segments that are too old, too many, or before the log's start. Returns how many. At least
    /// one remains, and nothing goes that is not replicated.
    pub fn delete_old_segments(&self) -> Result<usize, StorageError> {
        let config = self.config();
        let mut deleted = self.delete_log_start_offset_breached()?;
        if config.delete {
            deleted += self.delete_retention_size_breached(config.retention_bytes)?;
            deleted += self.delete_retention_ms_breached(config.retention_ms)?;
        }
        Ok(deleted)
    }

    fn delete_log_start_offset_breached(&self) -> Result<usize, StorageError> {
        let start = self.log_start_offset();
        self.delete_while("they are before the log's start", |_, next| {
            Ok(next.is_some_and(|next| next.base_offset() <= start))
        })
    }

    fn delete_retention_size_breached(&self, retention_bytes: i64) -> Result<usize, StorageError> {
        let Ok(retention_bytes) = u64::try_from(retention_bytes) else { return Ok(0) };
        let Some(mut excess) = self.size().checked_sub(retention_bytes) else { return Ok(0) };
        self.delete_while("the log is too large", |segment, _| {
            let rest = excess.checked_sub(segment.size());
            excess = rest.unwrap_or(excess);
            Ok(rest.is_some())
        })
    }

    fn delete_retention_ms_breached(&self, retention_ms: i64) -> Result<usize, StorageError> {
        if retention_ms < 0 {
            return Ok(0);
        }
        let now = self.local.time().now_ms();
        self.delete_while("they are too old", |segment, _| {
            Ok(now.saturating_sub(segment.largest_timestamp()?) > retention_ms)
        })
    }

    fn delete_while(
        &self,
        reason: &str,
        mut breached: impl FnMut(&LogSegment, Option<&LogSegment>) -> io::Result<bool>,
    ) -> Result<usize, StorageError> {
        let mut state = self.state.lock();
        if state.closed {
            return Ok(0);
        }
        let segments = self.local.segments();
        let high_watermark = self.high_watermark();
        let deletable = self.guard("cannot look at segments", || {
            let mut deletable = Vec::new();
            for (i, segment) in segments.iter().enumerate() {
                let next = segments.get(i + 1).map(Arc::as_ref);
                let upper_bound = next.map_or(self.log_end_offset(), LogSegment::base_offset);
                let is_last_and_empty = next.is_none() && segment.size() == 0;
                if is_last_and_empty || high_watermark < upper_bound || !breached(segment, next)? {
                    break;
                }
                deletable.push(Arc::clone(segment));
            }
            Ok(deletable)
        })?;
        self.delete_segments(&mut state, deletable, reason)
    }

    fn delete_segments(
        &self,
        state: &mut LogState,
        deletable: Vec<Arc<LogSegment>>,
        reason: &str,
    ) -> Result<usize, StorageError> {
        let Some(last) = deletable.last() else { return Ok(0) };
        if deletable.len() == self.number_of_segments() {
            self.roll_locked(state, None)?;
        }
        let start = self.local.higher_segment(last.base_offset()).map(|segment| segment.base_offset());
        if let Some(start) = start {
            let reason = LogStartOffsetIncrementReason::SegmentDeletion;
            match self.increment_log_start_offset(state, start, reason) {
                Ok(_) => {}
                Err(OffsetBeyondHighWatermark::Storage(error)) => return Err(error),
                Err(error @ OffsetBeyondHighWatermark::Beyond { .. }) => {
                    tracing::warn!(partition = %self.topic_partition(), %error, "segments are kept");
                    return Ok(0);
                }
            }
        }
        let bases: Vec<i64> = deletable.iter().map(|segment| segment.base_offset()).collect();
        tracing::info!(partition = %self.topic_partition(), ?bases, "segments are deleted: {reason}");
        self.guard("cannot delete segments", || {
            self.local.remove_and_delete_segments(&deletable)?;
            self.doom_producer_snapshots(&mut state.producers, &bases)
        })?;
        Ok(deletable.len())
    }

    pub(super) fn doom_producer_snapshots(
        &self,
        producers: &mut ProducerStateManager,
        segment_base_offsets: &[i64],
    ) -> io::Result<()> {
        let mut renamed = Vec::new();
        for base in segment_base_offsets {
            renamed.extend(producers.mark_snapshot_for_deletion(*base)?);
        }
        self.local.doom_files(renamed);
        Ok(())
    }
}
