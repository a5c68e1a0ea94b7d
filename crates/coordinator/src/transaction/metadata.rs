use bytestring::ByteString;
use ottla_protocol::records::transaction::TransactionLogValue;

use super::{
    NO_PRODUCER_EPOCH, NO_PRODUCER_ID, TransactionError, TransactionPartitions, TransactionState,
    TransactionVersion,
};
use crate::runtime::TransactionResult;

/// The time-out of a transaction that waits for an outside coordinator: none (KIP-939).
pub(super) const NO_TIMEOUT_MS: i32 = i32::MAX;
const NO_START: i64 = -1;
/// Clients never get the largest epoch, so that the coordinator can always fence them.
const LAST_EPOCH_FOR_CLIENTS: i16 = i16::MAX - 1;

/// What the coordinator knows of a transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionMetadata {
    /// The transactional id.
    pub transactional_id: ByteString,
    /// The producer id in use.
    pub producer_id: i64,
    /// The producer id before the last move: the same one but for a rotation. Or -1.
    pub previous_producer_id: i64,
    /// The producer id that comes into use when the transaction that ends is over, or -1 (KIP-890).
    pub next_producer_id: i64,
    /// The producer's epoch; -1 before the first.
    pub producer_epoch: i16,
    /// The epoch before the last bump if the client asked for that bump itself, or -1. Not in the log.
    pub last_producer_epoch: i16,
    /// How long a transaction may stay open.
    pub timeout_ms: i32,
    /// What the transactional id is doing.
    pub state: TransactionState,
    /// The partitions of the transaction; while it ends, those that a marker is still missing from.
    pub partitions: TransactionPartitions,
    /// When the transaction began, or -1.
    pub start_timestamp_ms: i64,
    /// When something last happened.
    pub last_update_timestamp_ms: i64,
    /// The level of `transaction.version` of whoever moved it last.
    pub client_transaction_version: TransactionVersion,
    /// Where it is going, while the record of that is not committed. Not in the log.
    pub pending_state: Option<TransactionState>,
    /// An older producer was to be fenced, and the bumped epoch did not reach the log. Nobody was told
    /// of it, so it is not bumped again. Not in the log.
    pub has_failed_epoch_fence: bool,
}

impl TransactionMetadata {
    /// A transactional id that nobody used before.
    pub fn new(transactional_id: ByteString, producer_id: i64, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            transactional_id,
            producer_id,
            previous_producer_id: NO_PRODUCER_ID,
            next_producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            last_producer_epoch: NO_PRODUCER_EPOCH,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: TransactionPartitions::default(),
            start_timestamp_ms: NO_START,
            last_update_timestamp_ms: now_ms,
            client_transaction_version: TransactionVersion::V0,
            pending_state: None,
            has_failed_epoch_fence: false,
        }
    }

    /// What a record of the log tells. `None` if its state is none that this release knows.
    pub fn from_record(transactional_id: ByteString, value: &TransactionLogValue) -> Option<Self> {
        let state = TransactionState::from_id(value.transaction_status)?;
        let mut partitions = TransactionPartitions::default();
        let of_record = value.transaction_partitions.iter().flatten();
        for topic in of_record.filter(|_| state != TransactionState::Empty) {
            for partition in &topic.partition_ids {
                partitions.insert(&topic.topic, *partition);
            }
        }
        let version = TransactionVersion::from_feature_level(value.client_transaction_version);
        Some(Self {
            previous_producer_id: value.previous_producer_id,
            next_producer_id: value.next_producer_id,
            producer_epoch: value.producer_epoch,
            state,
            partitions,
            start_timestamp_ms: value.transaction_start_timestamp_ms,
            // Of a newer release: it can do what ours can.
            client_transaction_version: version.unwrap_or(TransactionVersion::LATEST),
            ..Self::new(
                transactional_id,
                value.producer_id,
                value.transaction_timeout_ms,
                value.transaction_last_update_timestamp_ms,
            )
        })
    }

    /// Whether no epoch is left that a client could get.
    pub fn is_producer_epoch_exhausted(&self) -> bool {
        is_epoch_exhausted(self.producer_epoch)
    }

    /// When an open transaction times out; those of an outside coordinator never do (KIP-939).
    pub fn deadline_ms(&self) -> Option<i64> {
        let ends = self.state == TransactionState::Ongoing && self.timeout_ms != NO_TIMEOUT_MS;
        ends.then(|| self.start_timestamp_ms.saturating_add(i64::from(self.timeout_ms)))
    }

    /// The same, on its way to another state.
    pub(super) fn moving_to(&self, state: TransactionState) -> Self {
        Self { pending_state: Some(state), ..self.clone() }
    }

    /// The same, going nowhere.
    pub(super) fn settled(&self) -> Self {
        Self { pending_state: None, ..self.clone() }
    }
}

/// Whether clients may not get a larger epoch than this.
pub(super) fn is_epoch_exhausted(epoch: i16) -> bool {
    epoch >= LAST_EPOCH_FOR_CLIENTS
}

/// The moves. Each gives what the transactional id will be once the record of it is committed.
impl TransactionMetadata {
    /// The next epoch for a producer that initializes itself. `expected_epoch` is what a producer
    /// believes to have that goes on after an error (KIP-360): it must be the current one, or the one
    /// before if the answer to that bump was lost.
    pub(super) fn transition_to_empty_with_next_epoch(
        &self,
        now_ms: i64,
        timeout_ms: i32,
        expected_epoch: Option<i16>,
    ) -> Result<Self, TransactionError> {
        let current = self.producer_epoch;
        let bumped = current.checked_add(1).ok_or(TransactionError::IllegalState);
        let (epoch, last_epoch) = match expected_epoch {
            None => (bumped?, NO_PRODUCER_EPOCH),
            Some(expected) if current == NO_PRODUCER_EPOCH || expected == current => (bumped?, current),
            Some(expected) if expected == self.last_producer_epoch => (current, expected),
            Some(_) => return Err(TransactionError::ProducerFenced),
        };
        let next = self.target(TransactionState::Empty)?;
        Ok(Self {
            producer_epoch: epoch,
            last_producer_epoch: last_epoch,
            ..next.without_transaction(now_ms, timeout_ms)
        })
    }

    /// A new producer id, whose epochs begin anew. `keep_last_epoch`: the producer asked for it itself
    /// and may ask again, by its old id and epoch.
    pub(super) fn transition_to_empty_with_new_id(
        &self,
        now_ms: i64,
        timeout_ms: i32,
        new_producer_id: i64,
        keep_last_epoch: bool,
    ) -> Result<Self, TransactionError> {
        let last_epoch = if keep_last_epoch { self.producer_epoch } else { NO_PRODUCER_EPOCH };
        let next = self.target(TransactionState::Empty)?;
        Ok(Self {
            producer_id: new_producer_id,
            producer_epoch: 0,
            last_producer_epoch: last_epoch,
            ..next.without_transaction(now_ms, timeout_ms)
        })
    }

    /// More partitions, of a transaction that they may begin.
    pub(super) fn transition_to_ongoing(
        &self,
        now_ms: i64,
        added: &TransactionPartitions,
        version: TransactionVersion,
    ) -> Result<Self, TransactionError> {
        let mut next = self.target(TransactionState::Ongoing)?;
        if self.state != TransactionState::Ongoing {
            next.start_timestamp_ms = now_ms;
        }
        for (topic, partition) in added.iter() {
            next.partitions.insert(topic, partition);
        }
        next.last_update_timestamp_ms = now_ms;
        next.client_transaction_version = version;
        Ok(next)
    }

    /// The epoch that fences whoever has the current one, before the open transaction is aborted. Only
    /// where that abort does not bump the epoch by itself. It takes effect at once, in memory: Kafka's
    /// PrepareEpochFence, which is never written.
    pub(super) fn transition_to_prepare_epoch_fence(&self) -> Result<Self, TransactionError> {
        self.target(TransactionState::PrepareEpochFence)?;
        let bumped = match self.has_failed_epoch_fence {
            true => self.producer_epoch,
            false => self.producer_epoch.saturating_add(1),
        };
        let mut fenced = self.settled();
        fenced.producer_epoch = bumped;
        fenced.last_producer_epoch = NO_PRODUCER_EPOCH;
        Ok(fenced)
    }

    /// The end is decided. `next_producer_id` comes into use afterwards if the epochs are used up, else
    /// -1. `no_partition_added`: there was no transaction to speak of, and nobody knows when it began.
    pub(super) fn transition_to_prepare(
        &self,
        now_ms: i64,
        result: TransactionResult,
        version: TransactionVersion,
        next_producer_id: i64,
        no_partition_added: bool,
    ) -> Result<Self, TransactionError> {
        let mut next = self.target(match result {
            TransactionResult::Commit => TransactionState::PrepareCommit,
            TransactionResult::Abort => TransactionState::PrepareAbort,
        })?;
        if version.supports_epoch_bump() {
            // The largest epoch got here by a mistake; an abort of it is the way out.
            let stays = self.producer_epoch == i16::MAX && result == TransactionResult::Abort;
            let bumped = self.producer_epoch.checked_add(1).filter(|_| !stays);
            next.producer_epoch = match bumped {
                Some(epoch) => epoch,
                None if stays => self.producer_epoch,
                None => return Err(TransactionError::IllegalState),
            };
            next.last_producer_epoch = self.producer_epoch;
        }
        if no_partition_added {
            next.start_timestamp_ms = now_ms;
        }
        next.next_producer_id = next_producer_id;
        next.last_update_timestamp_ms = now_ms;
        next.client_transaction_version = version;
        Ok(next)
    }

    /// Every marker is written. If the epochs were used up, the next producer id comes into use; its
    /// client saw the last epoch but one, and then 0.
    pub(super) fn transition_to_complete(&self, now_ms: i64) -> Result<Self, TransactionError> {
        let mut next = self.target(match self.state {
            TransactionState::PrepareCommit => TransactionState::CompleteCommit,
            _ => TransactionState::CompleteAbort,
        })?;
        if self.client_transaction_version.supports_epoch_bump() && self.next_producer_id != NO_PRODUCER_ID {
            next.producer_id = self.next_producer_id;
            next.producer_epoch = 0;
        }
        next.next_producer_id = NO_PRODUCER_ID;
        next.partitions = TransactionPartitions::default();
        next.last_update_timestamp_ms = now_ms;
        next.has_failed_epoch_fence = false;
        Ok(next)
    }

    /// The transactional id expired.
    pub(super) fn transition_to_dead(&self) -> Result<Self, TransactionError> {
        let mut next = self.target(TransactionState::Dead)?;
        next.partitions = TransactionPartitions::default();
        Ok(next)
    }

    /// The same in another state, if that may follow. A record may hold anything, so this is no assertion.
    fn target(&self, state: TransactionState) -> Result<Self, TransactionError> {
        let has_epoch =
            self.producer_epoch >= 0 || matches!(state, TransactionState::Empty | TransactionState::Dead);
        if !state.is_reachable_from(self.state) || self.producer_id < 0 || !has_epoch {
            return Err(TransactionError::IllegalState);
        }
        Ok(Self { state, previous_producer_id: self.producer_id, ..self.settled() })
    }

    fn without_transaction(self, now_ms: i64, timeout_ms: i32) -> Self {
        Self {
            timeout_ms,
            partitions: TransactionPartitions::default(),
            start_timestamp_ms: NO_START,
            last_update_timestamp_ms: now_ms,
            ..self
        }
    }
}

#[cfg(test)]
#[path = "metadata_test.rs"]
mod tests;
