use bytestring::ByteString;
use ottla_common::ErrorCode;

use super::{TransactionPartitions, TransactionVersion};
use crate::runtime::TransactionResult;

/// What must happen outside of the shard. The shard has written already what makes it necessary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionEffect {
    /// Write these markers, however often it takes, and tell by
    /// [`write_txn_markers_completed`](super::TransactionCoordinatorShard::write_txn_markers_completed).
    SendMarkers(TransactionMarkers),
    /// Get a block of producer ids and hand it in by
    /// [`supply_producer_ids`](super::TransactionCoordinatorShard::supply_producer_ids). There is no
    /// second wish before the first is answered, be it with an error.
    RequestProducerIds,
}

/// The markers that end one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionMarkers {
    /// The transactional id.
    pub transactional_id: ByteString,
    /// Its producer.
    pub producer_id: i64,
    /// The epoch that the markers carry.
    pub producer_epoch: i16,
    /// The leader epoch of the coordinator's partition: partitions refuse an older one.
    pub coordinator_epoch: i32,
    /// Commit or abort.
    pub result: TransactionResult,
    /// What decides how strictly partitions look at the epoch (KIP-1228).
    pub transaction_version: TransactionVersion,
    /// Where a marker is to be written.
    pub partitions: TransactionPartitions,
}

/// What became of the markers of one transaction on some of its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkersWritten {
    /// The transactional id.
    pub transactional_id: ByteString,
    /// Its producer, as the markers had it.
    pub producer_id: i64,
    /// The epoch of the markers.
    pub producer_epoch: i16,
    /// The coordinator epoch of the markers.
    pub coordinator_epoch: i32,
    /// Each partition, and what became of it.
    pub partitions: Vec<(ByteString, i32, MarkerOutcome)>,
}

impl MarkersWritten {
    /// Nothing yet of these markers.
    pub(super) fn of(markers: &TransactionMarkers) -> Self {
        Self {
            transactional_id: markers.transactional_id.clone(),
            producer_id: markers.producer_id,
            producer_epoch: markers.producer_epoch,
            coordinator_epoch: markers.coordinator_epoch,
            partitions: Vec::new(),
        }
    }
}

/// What became of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkerOutcome {
    /// It is in the log, on every replica in sync.
    Written,
    /// There is no such partition any more, or it cannot hold transactions.
    Gone,
    /// The partition knows a newer producer or coordinator: this transaction is not ours to end.
    Fenced,
}

impl MarkerOutcome {
    /// What a leader's answer means. `None`: try again, perhaps with another leader. Kafka stops its
    /// sender over answers that it does not expect; trying again keeps the other transactions going.
    pub(super) fn of(error: ErrorCode) -> Option<Self> {
        match error {
            ErrorCode::None => Some(Self::Written),
            ErrorCode::UnsupportedForMessageFormat | ErrorCode::UnsupportedVersion => Some(Self::Gone),
            ErrorCode::InvalidProducerEpoch | ErrorCode::TransactionCoordinatorFenced => Some(Self::Fenced),
            _ => None,
        }
    }
}
