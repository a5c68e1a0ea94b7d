use ottla_record::{
    DecompressionLimits, EndTransactionMarker, NO_PRODUCER_EPOCH, NO_SEQUENCE, RecordBatch, RecordError,
};

use super::verification::VerificationStateEntry;
use super::{BatchMetadata, ProducerStateEntry};
use crate::error::AppendError;
use crate::log_offset::LogOffsetMetadata;

/// Who appends, which decides what is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AppendOrigin {
    /// A leader's records: checked there already.
    Replication,
    /// A coordinator on this broker: state records and transaction markers.
    Coordinator,
    /// A producer: everything is checked.
    Client,
    /// The KRaft leader: offsets and epochs come with the records.
    RaftLeader,
}

/// The `transaction.version` feature in force for a marker; [`Self::UNKNOWN`] for all but markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionVersion(pub i16);

impl TransactionVersion {
    /// Not told; only replicated markers may go without.
    pub const UNKNOWN: Self = Self(-1);
    /// Transactions that may bump the epoch.
    pub const TV_0: Self = Self(0);
    /// Transactions of KIP-890, which bump the epoch at every end.
    pub const TV_2: Self = Self(2);
}

/// A transaction whose marker is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedTxn {
    /// The producer.
    pub producer_id: i64,
    /// First offset of the transaction.
    pub first_offset: i64,
    /// Offset of the marker.
    pub last_offset: i64,
    /// Aborted, not committed.
    pub is_aborted: bool,
}

/// What producer state needs to know of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProducerBatch {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) first_seq: i32,
    pub(crate) last_seq: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) is_transactional: bool,
    pub(crate) is_control: bool,
    /// The marker and its timestamp. None in a control batch that compaction emptied.
    pub(crate) marker: Option<(EndTransactionMarker, i64)>,
}

/// A control record is some bytes; a batch of them that unpacks to more is an attack.
const CONTROL_LIMITS: usize = 64 * 1024;

impl ProducerBatch {
    /// `None` for batches without a producer.
    pub(crate) fn of<B: AsRef<[u8]>>(batch: &RecordBatch<B>) -> Result<Option<Self>, RecordError> {
        if !batch.has_producer_id() {
            return Ok(None);
        }
        let is_control = batch.is_control_batch();
        Ok(Some(Self {
            producer_id: batch.producer_id(),
            epoch: batch.producer_epoch(),
            first_seq: batch.base_sequence(),
            last_seq: batch.last_sequence(),
            base_offset: batch.base_offset(),
            last_offset: batch.last_offset(),
            max_timestamp: batch.max_timestamp(),
            is_transactional: batch.is_transactional(),
            is_control,
            marker: if is_control { marker(batch)? } else { None },
        }))
    }
}

fn marker<B: AsRef<[u8]>>(
    batch: &RecordBatch<B>,
) -> Result<Option<(EndTransactionMarker, i64)>, RecordError> {
    let records = batch.records(&DecompressionLimits::bytes(CONTROL_LIMITS))?;
    let Some(record) = records.iter().next().transpose()? else { return Ok(None) };
    let marker = EndTransactionMarker::deserialize(record.key, record.value)?;
    Ok(Some((marker, record.timestamp)))
}

/// The changes one append makes to one producer, gathered before they are made.
#[derive(Debug)]
pub struct ProducerAppendInfo {
    origin: AppendOrigin,
    current: ProducerStateEntry,
    updated: ProducerStateEntry,
    verification: Option<VerificationStateEntry>,
    started_txns: Vec<LogOffsetMetadata>,
}

impl ProducerAppendInfo {
    pub(crate) fn new(
        current: ProducerStateEntry,
        origin: AppendOrigin,
        verification: Option<VerificationStateEntry>,
    ) -> Self {
        let mut updated = current.clone();
        updated.batches.clear();
        Self { origin, current, updated, verification, started_txns: Vec::new() }
    }

    /// The state after the append, with only the new batches.
    pub(crate) fn into_parts(self) -> (ProducerStateEntry, Vec<LogOffsetMetadata>) {
        (self.updated, self.started_txns)
    }

    pub(crate) fn append(
        &mut self,
        batch: &ProducerBatch,
        first_offset: Option<LogOffsetMetadata>,
        version: TransactionVersion,
    ) -> Result<Option<CompletedTxn>, AppendError> {
        if batch.is_control {
            let Some((marker, timestamp)) = batch.marker else { return Ok(None) };
            return self.append_end_txn_marker(&marker, batch.epoch, batch.base_offset, timestamp, version);
        }
        let first_offset = first_offset.unwrap_or(LogOffsetMetadata::offset_only(batch.base_offset));
        self.append_data_batch(batch, first_offset)?;
        Ok(None)
    }

    fn append_data_batch(
        &mut self,
        batch: &ProducerBatch,
        first_offset: LogOffsetMetadata,
    ) -> Result<(), AppendError> {
        self.check_epoch(batch.epoch, batch.base_offset, TransactionVersion::UNKNOWN)?;
        if self.origin == AppendOrigin::Client {
            self.check_sequence(batch.epoch, batch.first_seq, batch.base_offset)?;
        }
        let offset_delta = i32::try_from(batch.last_offset - batch.base_offset).unwrap_or(i32::MAX);
        let metadata = BatchMetadata {
            last_seq: batch.last_seq,
            last_offset: batch.last_offset,
            offset_delta,
            timestamp: batch.max_timestamp,
        };
        self.updated.add_batch(batch.epoch, metadata);
        match (self.updated.current_txn_first_offset, batch.is_transactional) {
            (Some(_), false) => Err(AppendError::InvalidTxnState(format!(
                "producer {} wrote outside of its open transaction at offset {}",
                batch.producer_id, batch.base_offset
            ))),
            (None, true) => {
                self.updated.current_txn_first_offset = Some(batch.base_offset);
                self.started_txns.push(first_offset);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn append_end_txn_marker(
        &mut self,
        marker: &EndTransactionMarker,
        epoch: i16,
        offset: i64,
        timestamp: i64,
        version: TransactionVersion,
    ) -> Result<Option<CompletedTxn>, AppendError> {
        // The version does not travel with replicated markers: the leader has checked them by it.
        let version = version.max(TransactionVersion::TV_0);
        self.check_epoch(epoch, offset, version)?;
        self.check_coordinator_epoch(marker, offset)?;
        let producer_id = self.updated.producer_id;
        // A marker without data moves no last stable offset, so it completes nothing.
        let completed = self.updated.current_txn_first_offset.map(|first_offset| CompletedTxn {
            producer_id,
            first_offset,
            last_offset: offset,
            is_aborted: !marker.committed,
        });
        self.updated.end_txn(epoch, marker.coordinator_epoch, timestamp);
        Ok(completed)
    }

    fn check_epoch(&self, epoch: i16, offset: i64, version: TransactionVersion) -> Result<(), AppendError> {
        let current = self.updated.producer_epoch;
        let strict = version >= TransactionVersion::TV_2;
        let valid = if strict { epoch > current } else { epoch >= current };
        // The same marker again, because an answer was lost or the coordinator moved: written again
        // harmlessly (KAFKA-19999). The largest epoch cannot be bumped, so there it must be let through.
        let retried = strict
            && epoch == current
            && (self.updated.current_txn_first_offset.is_none() || epoch == i16::MAX);
        if valid || retried {
            return Ok(());
        }
        let producer_id = self.updated.producer_id;
        let message = format!(
            "epoch {epoch} of producer {producer_id} at offset {offset} is behind the last seen epoch {current}"
        );
        if self.origin == AppendOrigin::Replication {
            tracing::warn!("{message}");
            return Ok(());
        }
        Err(AppendError::InvalidProducerEpoch(message))
    }

    fn check_coordinator_epoch(&self, marker: &EndTransactionMarker, offset: i64) -> Result<(), AppendError> {
        let current = self.updated.coordinator_epoch;
        if marker.coordinator_epoch >= current {
            return Ok(());
        }
        let message = format!(
            "coordinator epoch {} of the marker for producer {} at offset {offset} is behind {current}",
            marker.coordinator_epoch, self.updated.producer_id
        );
        if self.origin == AppendOrigin::Replication {
            tracing::info!("{message}");
            return Ok(());
        }
        Err(AppendError::TransactionCoordinatorFenced(message))
    }

    fn check_sequence(&self, epoch: i16, first_seq: i32, offset: i64) -> Result<(), AppendError> {
        let refuse = |expected: &str| {
            let producer_id = self.updated.producer_id;
            Err(AppendError::OutOfOrderSequence(format!(
                "sequence {first_seq} of producer {producer_id} at offset {offset} is out of order: {expected}"
            )))
        };
        if let Some(verification) = &self.verification {
            if verification.supports_epoch_bump && first_seq != 0 && self.current.is_empty() {
                return refuse("a transactional producer without state begins with 0");
            }
            if first_seq > verification.lowest_sequence {
                return refuse(&format!("{} was seen earlier", verification.lowest_sequence));
            }
        }
        if epoch != self.updated.producer_epoch {
            let known = self.updated.producer_epoch != NO_PRODUCER_EPOCH;
            return if first_seq != 0 && known { refuse("a new epoch begins with 0") } else { Ok(()) };
        }
        let last_seq = if !self.updated.is_empty() {
            self.updated.last_seq()
        } else if epoch == self.current.producer_epoch {
            self.current.last_seq()
        } else {
            NO_SEQUENCE
        };
        // Without an epoch nothing is known of the producer: its records may have been deleted.
        let unknown = self.current.producer_epoch == NO_PRODUCER_EPOCH;
        if unknown || in_sequence(last_seq, first_seq) {
            return Ok(());
        }
        refuse(&format!("the last one is {last_seq}"))
    }
}

fn in_sequence(last: i32, next: i32) -> bool {
    i64::from(next) == i64::from(last) + 1 || (next == 0 && last == i32::MAX)
}
