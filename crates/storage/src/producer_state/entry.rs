use std::collections::VecDeque;

use ottla_record::{NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP, decrement_sequence};

/// How many batches of a producer can be recognized when they are sent again. Clients have at most as
/// many in flight.
const BATCHES_TO_RETAIN: usize = 5;

/// A batch already in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchMetadata {
    /// Sequence of its last record.
    pub last_seq: i32,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Distance to its first record.
    pub offset_delta: i32,
    /// Its largest timestamp.
    pub timestamp: i64,
}

impl BatchMetadata {
    /// Sequence of its first record.
    pub fn first_seq(&self) -> i32 {
        decrement_sequence(self.last_seq, self.offset_delta)
    }

    /// Offset of its first record.
    pub fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }
}

/// The state of one producer on one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerStateEntry {
    /// The producer.
    pub producer_id: i64,
    /// Its epoch, or -1 before the first batch.
    pub producer_epoch: i16,
    /// Epoch of the coordinator that wrote the last marker, or -1.
    pub coordinator_epoch: i32,
    /// Largest timestamp of the last batch; expiry counts from it.
    pub last_timestamp: i64,
    /// First offset of its open transaction.
    pub current_txn_first_offset: Option<i64>,
    /// Its last batches, oldest first.
    pub batches: VecDeque<BatchMetadata>,
}

impl ProducerStateEntry {
    /// A producer never seen.
    pub fn empty(producer_id: i64) -> Self {
        Self {
            producer_id,
            producer_epoch: NO_PRODUCER_EPOCH,
            coordinator_epoch: -1,
            last_timestamp: NO_TIMESTAMP,
            current_txn_first_offset: None,
            batches: VecDeque::new(),
        }
    }

    /// Whether no batch is known.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Sequence of the last record, or -1.
    pub fn last_seq(&self) -> i32 {
        self.batches.back().map_or(NO_SEQUENCE, |b| b.last_seq)
    }

    /// Offset of the last data record, or -1.
    pub fn last_data_offset(&self) -> i64 {
        self.batches.back().map_or(-1, |b| b.last_offset)
    }

    /// Distance of the last batch's offsets, or 0.
    pub fn last_offset_delta(&self) -> i32 {
        self.batches.back().map_or(0, |b| b.offset_delta)
    }

    /// The batch with just these sequences, if it is among the last ones.
    pub fn find_duplicate_batch(&self, epoch: i16, first_seq: i32, last_seq: i32) -> Option<BatchMetadata> {
        let same = |b: &&BatchMetadata| b.first_seq() == first_seq && b.last_seq == last_seq;
        if epoch == self.producer_epoch { self.batches.iter().find(same).copied() } else { None }
    }

    /// Notes a batch. A new epoch forgets the batches of the old one.
    pub fn add_batch(&mut self, epoch: i16, batch: BatchMetadata) {
        self.update_epoch(epoch);
        self.push(batch);
        self.last_timestamp = batch.timestamp;
    }

    /// Notes a marker, which ends the transaction.
    pub fn end_txn(&mut self, epoch: i16, coordinator_epoch: i32, timestamp: i64) {
        self.update_epoch(epoch);
        self.coordinator_epoch = coordinator_epoch;
        self.last_timestamp = timestamp;
        self.current_txn_first_offset = None;
    }

    /// Takes over what an append added.
    pub fn update(&mut self, next: Self) {
        assert_eq!(self.producer_id, next.producer_id, "an update is for the same producer");
        self.update_epoch(next.producer_epoch);
        for batch in next.batches {
            self.push(batch);
        }
        self.coordinator_epoch = next.coordinator_epoch;
        self.current_txn_first_offset = next.current_txn_first_offset;
        self.last_timestamp = next.last_timestamp;
    }

    fn update_epoch(&mut self, epoch: i16) {
        if self.producer_epoch != epoch {
            self.batches.clear();
            self.producer_epoch = epoch;
        }
    }

    fn push(&mut self, batch: BatchMetadata) {
        if self.batches.len() == BATCHES_TO_RETAIN {
            self.batches.pop_front();
        }
        self.batches.push_back(batch);
    }
}
