//! Replaying a partition's log into a fresh shard.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use ottla_common::ErrorCode;
use ottla_coordinator::runtime::{CoordinatorLoad, TransactionResult};
use ottla_record::{ControlRecordType, DecompressionLimits, MemoryRecords, RecordBatch};
use thiserror::Error;
use tracing::warn;

use super::kind::{CoordinatorKind, Undecodable};
use super::log::LOGGER;
use super::partition::LedPartition;

/// `offsets.load.buffer.size`: how much is read at a time.
const LOAD_BUFFER_BYTES: usize = 5 * 1024 * 1024;

/// Why a log could not be loaded.
#[derive(Debug, Error)]
pub(super) enum LoadError {
    #[error("the log cannot be read: {0}")]
    Log(ErrorCode),
    #[error("a batch of the log is broken: {0}")]
    Batch(#[from] ottla_record::RecordError),
    #[error("the record at offset {offset} is broken: {error}")]
    Record { offset: i64, error: Undecodable },
    #[error("another broker took over meanwhile")]
    Cancelled,
    #[error("{0}")]
    Panicked(String),
}

/// Reads the log from its start to its end, which may move meanwhile.
pub(super) fn load<K: CoordinatorKind>(
    partition: &LedPartition<K>,
    shard: K::Shard,
    cancelled: &AtomicBool,
) -> Result<CoordinatorLoad<K::Shard>, LoadError> {
    let mut load = CoordinatorLoad::new(shard);
    let (mut next_offset, _) = partition.offsets().map_err(LoadError::Log)?;
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Err(LoadError::Cancelled);
        }
        let (_, end_offset) = partition.offsets().map_err(LoadError::Log)?;
        if next_offset >= end_offset {
            return Ok(load);
        }
        let records = partition.read(next_offset, LOAD_BUFFER_BYTES).map_err(LoadError::Log)?;
        let before = next_offset;
        for batch in MemoryRecords::new(records).batches() {
            let batch = batch?;
            if batch.last_offset() < next_offset {
                continue;
            }
            replay_batch::<K>(&mut load, &batch, next_offset)?;
            next_offset = batch.next_offset();
            load.batch_done(batch.last_offset(), partition.high_watermark().map_err(LoadError::Log)?);
        }
        if next_offset == before {
            // Compaction may leave nothing at the end of a log.
            return Ok(load);
        }
    }
}

fn replay_batch<K: CoordinatorKind>(
    load: &mut CoordinatorLoad<K::Shard>,
    batch: &RecordBatch,
    from_offset: i64,
) -> Result<(), LoadError> {
    batch.ensure_valid()?;
    let producer_id = if batch.is_transactional() { batch.producer_id() } else { -1 };
    for record in batch.owned_records(&DecompressionLimits::default())? {
        let record = record?;
        if record.offset < from_offset {
            continue;
        }
        if batch.is_control_batch() {
            replay_marker::<K>(load, producer_id, record.key.as_ref());
        } else {
            replay_record::<K>(load, producer_id, record.offset, record.key, record.value)?;
        }
    }
    Ok(())
}

fn replay_marker<K: CoordinatorKind>(
    load: &mut CoordinatorLoad<K::Shard>,
    producer_id: i64,
    key: Option<&Bytes>,
) {
    let result = match ControlRecordType::parse(key.map(|key| &key[..])) {
        Ok(ControlRecordType::Commit) => TransactionResult::Commit,
        Ok(ControlRecordType::Abort) => TransactionResult::Abort,
        Ok(_) | Err(_) => return,
    };
    load.replay_end_transaction_marker(producer_id, result);
}

fn replay_record<K: CoordinatorKind>(
    load: &mut CoordinatorLoad<K::Shard>,
    producer_id: i64,
    offset: i64,
    key: Option<Bytes>,
    value: Option<Bytes>,
) -> Result<(), LoadError> {
    match K::decode(key.unwrap_or_default(), value) {
        Ok(record) => load.replay(offset, producer_id, &record),
        Err(Undecodable::UnknownType(kind)) => {
            warn!(
                target: LOGGER,
                "Unknown record type {kind} at offset {offset} while loading {}. Ignoring it.",
                K::TOPIC
            );
        }
        Err(error) => return Err(LoadError::Record { offset, error }),
    }
    Ok(())
}
