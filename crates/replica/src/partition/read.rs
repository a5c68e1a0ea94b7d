//! What a partition is asked: for its records, and where offsets, times and epochs lie.

use ottla_common::ErrorCode;
use ottla_storage::{
    FetchIsolation, FileRecords, ListOffsetsTimestamp, LogOffsetMetadata, LogOffsetSnapshot,
};

use super::Partition;
use crate::fetch::{FetchInfo, FetchPartitionData};
use crate::offsets::FoundOffset;

impl Partition {
    /// Where a fetch would begin to read if there were anything to read; `None` if its answer could be more
    /// than that there is nothing.
    pub(crate) fn end_of_news(
        &self,
        info: &FetchInfo,
        isolation: FetchIsolation,
    ) -> Option<LogOffsetMetadata> {
        let parts = |epoch| self.divergence(epoch, info.fetch_offset).is_some();
        let is_plain = !info.last_fetched_epoch.is_some_and(parts)
            && (info.topic_id.is_zero() || info.topic_id == self.topic_id)
            && self.check_leader(info.current_leader_epoch).is_ok();
        if !is_plain {
            return None;
        }
        let start = nothing_from(info.fetch_offset, isolation, &self.log.known_offsets())?;
        self.log.check_online().is_ok().then_some(start)
    }

    /// Reads at most `max_bytes`; one batch always fits when `min_one_message` is set.
    pub fn read(
        &self,
        info: &FetchInfo,
        isolation: FetchIsolation,
        max_bytes: usize,
        min_one_message: bool,
    ) -> FetchPartitionData {
        if !info.topic_id.is_zero() && info.topic_id != self.topic_id {
            return FetchPartitionData::failed(ErrorCode::InconsistentTopicId);
        }
        if let Err(error) = self.check_leader(info.current_leader_epoch) {
            return FetchPartitionData::failed(error);
        }
        // Taken before the read: a watermark that moves meanwhile must not promise unread records.
        let at = self.log.known_offsets();
        if let Some(diverging) =
            info.last_fetched_epoch.and_then(|epoch| self.divergence(epoch, info.fetch_offset))
        {
            let mut data = positions(&at);
            data.diverging_epoch = Some(diverging);
            return data;
        }
        match self.read_log(info.fetch_offset, isolation, max_bytes, min_one_message, &at) {
            Ok(data) => data,
            Err(error) => FetchPartitionData::failed(error),
        }
    }

    fn read_log(
        &self,
        offset: i64,
        isolation: FetchIsolation,
        max_bytes: usize,
        min_one_message: bool,
        at: &LogOffsetSnapshot,
    ) -> Result<FetchPartitionData, ErrorCode> {
        let mut data = positions(at);
        if let Some(start) = nothing_from(offset, isolation, at) {
            // As for most partitions of most fetches: what is known answers it.
            self.log.check_online().map_err(|e| e.code())?;
            data.start = start;
            data.aborted_transactions = (isolation == FetchIsolation::TxnCommitted).then(Vec::new);
            return Ok(data);
        }
        let read =
            self.log.read_of(at, offset, max_bytes, isolation, min_one_message).map_err(|e| e.code())?;
        data.start = read.fetch_offset_metadata;
        if !read.first_entry_incomplete {
            data.records = read.records;
        }
        data.aborted_transactions = read
            .aborted_transactions
            .map(|list| list.into_iter().map(|txn| (txn.producer_id, txn.first_offset)).collect());
        Ok(data)
    }

    /// The fetcher's last epoch ended earlier here than it thinks: it must cut its log (KIP-595).
    fn divergence(&self, last_fetched_epoch: i32, fetch_offset: i64) -> Option<(i32, i64)> {
        let end = self.log.end_offset_for_epoch(last_fetched_epoch)?;
        (end.epoch < last_fetched_epoch || end.offset < fetch_offset).then_some((end.epoch, end.offset))
    }

    /// The offset for a timestamp or a named place.
    pub fn fetch_offset(
        &self,
        timestamp: i64,
        current_leader_epoch: Option<i32>,
        isolation: FetchIsolation,
    ) -> Result<Option<FoundOffset>, ErrorCode> {
        let epoch = self.check_leader(current_leader_epoch)?;
        let last_fetchable = match isolation {
            FetchIsolation::LogEnd => self.log.log_end_offset(),
            FetchIsolation::HighWatermark => self.log.high_watermark(),
            FetchIsolation::TxnCommitted => self.log.last_stable_offset(),
        };
        if timestamp == ListOffsetsTimestamp::LATEST {
            return Ok(Some(FoundOffset {
                timestamp: -1,
                offset: last_fetchable,
                leader_epoch: Some(epoch),
            }));
        }
        let found = self.log.fetch_offset_by_timestamp(timestamp).map_err(|e| e.code())?;
        // Where the log begins is told even if nothing is there to be seen.
        let is_begin =
            matches!(timestamp, ListOffsetsTimestamp::EARLIEST | ListOffsetsTimestamp::EARLIEST_LOCAL);
        let visible = found.filter(|f| is_begin || f.offset < last_fetchable);
        Ok(visible.map(|f| FoundOffset {
            timestamp: f.timestamp,
            offset: f.offset,
            leader_epoch: f.leader_epoch,
        }))
    }

    /// The end of the newest epoch that is not after the one asked for; -1 twice for none.
    pub fn end_offset_for_epoch(&self, current: Option<i32>, epoch: i32) -> Result<(i32, i64), ErrorCode> {
        self.check_leader(current)?;
        Ok(self.log.end_offset_for_epoch(epoch).map_or((-1, -1), |end| (end.epoch, end.offset)))
    }
}

/// The place of an offset of the log behind which a reader sees nothing.
fn nothing_from(offset: i64, isolation: FetchIsolation, at: &LogOffsetSnapshot) -> Option<LogOffsetMetadata> {
    let (bound, end) = (at.upper_bound(isolation), &at.log_end_offset);
    let is_in_log = at.log_start_offset <= offset && offset <= end.message_offset;
    if !is_in_log || offset < bound.message_offset {
        return None;
    }
    let known = [end, bound].into_iter().find(|known| known.message_offset == offset);
    Some(known.copied().unwrap_or(LogOffsetMetadata::offset_only(offset)))
}

fn positions(at: &LogOffsetSnapshot) -> FetchPartitionData {
    FetchPartitionData {
        error: ErrorCode::None,
        high_watermark: at.high_watermark.message_offset,
        last_stable_offset: at.last_stable_offset.message_offset,
        log_start_offset: at.log_start_offset,
        aborted_transactions: None,
        diverging_epoch: None,
        records: FileRecords::EMPTY,
        start: LogOffsetMetadata::offset_only(-1),
    }
}
