//! What compaction leaves of a batch: its newest records by key, in a batch that says the same of offsets and
//! producer as before.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use ottla_record::{
    BuildError, Compression, ControlRecordType, DecompressionLimits, EmptyBatch, LegacyMessage,
    NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, OwnedRecord,
    Record, RecordBatch, RecordError, RecordsBuilder, TimestampType,
};

use super::offset_map::OffsetMap;
use super::transactions::{BatchRead, CleanedTransactions};
use crate::index::AbortedTxn;
use crate::log_entry::LogEntry;

/// A control record is some bytes; a batch of them that unpacks to more is an attack.
const CONTROL_LIMITS: DecompressionLimits = DecompressionLimits::bytes(64 * 1024);
/// Where a batch has its checksum, what that covers, and the distance of its last offset.
const CRC_AT: usize = 17;
const CHECKED_FROM: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;

/// The last a log knows of a producer. The batch that told it stays, or the producer's next one would be
/// refused after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastRecord {
    /// Offset of its last data record; none if only a marker is left.
    pub(crate) last_data_offset: Option<i64>,
    pub(crate) producer_epoch: i16,
}

/// Records or batches that compaction cannot deal with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// What becomes of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Kept {
    #[default]
    Nothing,
    /// The batch as it is.
    Original,
    /// Another one in its place.
    Rewritten(Bytes),
}

/// What was done to a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Filtered {
    pub(crate) kept: Kept,
    /// Not of a batch that went as a whole.
    pub(crate) records_read: u64,
    pub(crate) records_kept: u64,
    /// Without a key.
    pub(crate) invalid_records: u64,
    /// Goes into the new segment's transaction index.
    pub(crate) retained_abort: Option<AbortedTxn>,
}

/// Whether there must be a batch even if none of its records stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retention {
    /// No, and its records need not be looked at.
    Delete,
    /// No.
    DeleteEmpty,
    /// Yes.
    RetainEmpty,
}

/// What decides what stays.
#[derive(Debug)]
pub(crate) struct RecordFilter<'a> {
    pub(crate) map: &'a OffsetMap,
    pub(crate) now_ms: i64,
    /// `delete.retention.ms`.
    pub(crate) delete_retention_ms: i64,
    /// Whether tombstones of old message formats stay: those have no delete horizon of their own.
    pub(crate) retain_legacy_deletes: bool,
    pub(crate) last_records: &'a HashMap<i64, LastRecord>,
    pub(crate) high_watermark: i64,
    pub(crate) limits: DecompressionLimits,
}

impl RecordFilter<'_> {
    /// Decides about the next batch of the log, or message of an old format. A damaged one is an error: else
    /// it would get a right checksum.
    pub(crate) fn filter<B: AsRef<[u8]>>(
        &self,
        entry: &LogEntry<B>,
        txns: &mut CleanedTransactions,
    ) -> Result<Filtered, FilterError> {
        entry.ensure_valid()?;
        match entry {
            LogEntry::Batch(batch) => self.filter_batch(batch, read_batch(batch, txns)?),
            LogEntry::Message(message) => {
                txns.on_batch_read(NO_PRODUCER_ID, message.offset(), false);
                self.filter_message(message)
            }
        }
    }

    fn filter_batch<B: AsRef<[u8]>>(
        &self,
        batch: &RecordBatch<B>,
        read: BatchRead,
    ) -> Result<Filtered, FilterError> {
        let discard = read.can_discard && (!batch.is_control_batch() || self.is_past_horizon(batch));
        let retention = self.retention(batch, discard);
        let mut filtered = Filtered { retained_abort: read.retained, ..Filtered::default() };
        if retention == Retention::Delete {
            return Ok(filtered);
        }
        let records = batch.records(&self.limits)?;
        let retain_deletes = !self.is_past_horizon(batch);
        let mut kept: Vec<Record<'_>> = Vec::new();
        for record in &records {
            let record = record?;
            filtered.records_read += 1;
            let keep = !discard
                && (batch.is_control_batch()
                    || filtered.retains(self.map, record.offset, record.key, record.value, retain_deletes));
            if keep {
                kept.push(record);
            }
        }
        filtered.records_kept = kept.len() as u64;
        filtered.kept = if kept.is_empty() {
            match retention {
                Retention::RetainEmpty => Kept::Rewritten(empty_batch(batch)?),
                Retention::Delete | Retention::DeleteEmpty => Kept::Nothing,
            }
        } else {
            let is_whole = filtered.records_kept == filtered.records_read;
            let has_deletes = kept.iter().any(|record| record.value.is_none());
            let is_marker_alone = read.can_discard && batch.is_control_batch();
            let needs_horizon = (has_deletes || is_marker_alone) && batch.delete_horizon_ms().is_none();
            let horizon = if needs_horizon { Some(self.new_horizon_ms()) } else { batch.delete_horizon_ms() };
            if is_whole && !needs_horizon {
                Kept::Original
            } else {
                Kept::Rewritten(rewrite(batch, &kept, horizon)?)
            }
        };
        Ok(filtered)
    }

    /// A message of an old format becomes a batch of the current one, if anything of it stays.
    fn filter_message<B: AsRef<[u8]>>(&self, message: &LegacyMessage<B>) -> Result<Filtered, FilterError> {
        let mut filtered = Filtered::default();
        let mut kept: Vec<OwnedRecord> = Vec::new();
        for record in message.records(&self.limits)? {
            filtered.records_read += 1;
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            if filtered.retains(self.map, record.offset, key, value, self.retain_legacy_deletes) {
                kept.push(record);
            }
        }
        filtered.records_kept = kept.len() as u64;
        if !kept.is_empty() {
            let has_deletes = kept.iter().any(|record| record.value.is_none());
            let horizon = has_deletes.then(|| self.new_horizon_ms());
            filtered.kept = Kept::Rewritten(convert(message, &kept, horizon)?);
        } else if self.is_last_replicated(message.offset()) {
            filtered.kept = Kept::Rewritten(empty_message(message)?);
        }
        Ok(filtered)
    }

    fn retention<B: AsRef<[u8]>>(&self, batch: &RecordBatch<B>, discard: bool) -> Retention {
        if self.is_last_of_producer(batch) || self.is_last_replicated(batch.last_offset()) {
            Retention::RetainEmpty
        } else if discard {
            Retention::Delete
        } else {
            Retention::DeleteEmpty
        }
    }

    /// A producer that is still known keeps the batch with its last sequence; without one, the marker with its
    /// last epoch, so that older ones stay fenced.
    fn is_last_of_producer<B: AsRef<[u8]>>(&self, batch: &RecordBatch<B>) -> bool {
        let last = self.last_records.get(&batch.producer_id()).filter(|_| batch.has_producer_id());
        last.is_some_and(|last| match last.last_data_offset {
            Some(offset) => batch.last_offset() == offset,
            None => batch.is_control_batch() && batch.producer_epoch() == last.producer_epoch,
        })
    }

    /// The last batch below the high watermark stays: a log must not seem to end before it.
    fn is_last_replicated(&self, last_offset: i64) -> bool {
        last_offset.wrapping_add(1) == self.high_watermark
    }

    fn is_past_horizon<B: AsRef<[u8]>>(&self, batch: &RecordBatch<B>) -> bool {
        batch.delete_horizon_ms().is_some_and(|horizon| horizon <= self.now_ms)
    }

    /// Until when a tombstone stays that was seen for the first time (KIP-534).
    fn new_horizon_ms(&self) -> i64 {
        self.now_ms.saturating_add(self.delete_retention_ms)
    }
}

impl Filtered {
    /// Whether a record is the newest of its key, and no tombstone whose time is over.
    fn retains(
        &mut self,
        map: &OffsetMap,
        offset: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        retain_deletes: bool,
    ) -> bool {
        if offset > map.latest_offset() {
            return true;
        }
        let Some(key) = key else {
            self.invalid_records += 1;
            return false;
        };
        let is_newest = map.get(key).is_none_or(|newest| offset >= newest);
        is_newest && (value.is_some() || retain_deletes)
    }
}

/// Has the transactions take note of a batch.
pub(crate) fn read_batch<B: AsRef<[u8]>>(
    batch: &RecordBatch<B>,
    txns: &mut CleanedTransactions,
) -> Result<BatchRead, RecordError> {
    let (producer_id, last_offset) = (batch.producer_id(), batch.last_offset());
    if batch.is_control_batch() {
        return Ok(txns.on_control_batch_read(producer_id, last_offset, control_type(batch)?));
    }
    let can_discard = txns.on_batch_read(producer_id, last_offset, batch.is_transactional());
    Ok(BatchRead { can_discard, retained: None })
}

/// What a control batch says; nothing if it has no record any more.
fn control_type<B: AsRef<[u8]>>(batch: &RecordBatch<B>) -> Result<Option<ControlRecordType>, RecordError> {
    let records = batch.records(&CONTROL_LIMITS)?;
    let first = records.iter().next().transpose()?;
    first.map(|record| ControlRecordType::parse(record.key)).transpose()
}

/// Some records of a batch, with its base and last offset and its producer.
fn rewrite<B: AsRef<[u8]>>(
    batch: &RecordBatch<B>,
    kept: &[Record<'_>],
    horizon_ms: Option<i64>,
) -> Result<Bytes, FilterError> {
    let mut builder = RecordsBuilder::new(Compression::of(batch.compression_type()?))
        .base_offset(batch.base_offset())
        .partition_leader_epoch(batch.partition_leader_epoch())
        .producer(batch.producer_id(), batch.producer_epoch(), batch.base_sequence())
        .transactional(batch.is_transactional())
        .control(batch.is_control_batch())
        .delete_horizon_ms(horizon_ms.unwrap_or(NO_TIMESTAMP));
    if batch.timestamp_type() == TimestampType::LogAppendTime {
        builder = builder.log_append_time(batch.max_timestamp());
    }
    for record in kept {
        builder.append_borrowed(record)?;
    }
    let bytes = with_last_offset_delta(builder.build()?.into_bytes(), batch.last_offset_delta());
    let rewritten = RecordBatch::new(bytes)?;
    let same = rewritten.base_offset() == batch.base_offset()
        && rewritten.last_offset() == batch.last_offset()
        && rewritten.last_sequence() == batch.last_sequence();
    assert!(same, "COMPACTION-KEEPS-OFFSETS: a batch keeps its offsets and its producer's sequences");
    Ok(rewritten.into_inner())
}

/// Has a batch end where it ended before its last records went, because its last sequence comes from there.
fn with_last_offset_delta(batch: Bytes, delta: i32) -> Bytes {
    let mut batch = batch.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
    batch[LAST_OFFSET_DELTA_AT..][..4].copy_from_slice(&delta.to_be_bytes());
    let crc = crc32c::crc32c(&batch[CHECKED_FROM..]);
    batch[CRC_AT..][..4].copy_from_slice(&crc.to_be_bytes());
    batch.freeze()
}

fn empty_batch<B: AsRef<[u8]>>(batch: &RecordBatch<B>) -> Result<Bytes, BuildError> {
    let empty = EmptyBatch {
        base_offset: batch.base_offset(),
        last_offset: batch.last_offset(),
        partition_leader_epoch: batch.partition_leader_epoch(),
        timestamp_type: batch.timestamp_type(),
        max_timestamp: batch.max_timestamp(),
        producer_id: batch.producer_id(),
        producer_epoch: batch.producer_epoch(),
        base_sequence: batch.base_sequence(),
        transactional: batch.is_transactional(),
        control: batch.is_control_batch(),
    };
    Ok(empty.build()?.into_bytes())
}

fn convert<B: AsRef<[u8]>>(
    message: &LegacyMessage<B>,
    kept: &[OwnedRecord],
    horizon_ms: Option<i64>,
) -> Result<Bytes, FilterError> {
    let mut builder = RecordsBuilder::new(Compression::of(message.compression_type()?))
        .base_offset(kept.first().map_or(message.offset(), |first| first.offset))
        .delete_horizon_ms(horizon_ms.unwrap_or(NO_TIMESTAMP));
    if message.timestamp_type() == Some(TimestampType::LogAppendTime) {
        builder = builder.log_append_time(message.timestamp());
    }
    for record in kept {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder.append_with_offset(record.offset, record.timestamp, key, value, &[])?;
    }
    Ok(builder.build()?.into_bytes())
}

/// Old formats had no batch without records.
fn empty_message<B: AsRef<[u8]>>(message: &LegacyMessage<B>) -> Result<Bytes, BuildError> {
    let empty = EmptyBatch {
        base_offset: message.offset(),
        last_offset: message.offset(),
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        timestamp_type: message.timestamp_type().unwrap_or_default(),
        max_timestamp: message.timestamp(),
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        base_sequence: NO_SEQUENCE,
        transactional: false,
        control: false,
    };
    Ok(empty.build()?.into_bytes())
}

#[cfg(test)]
#[path = "filter_test.rs"]
mod tests;
