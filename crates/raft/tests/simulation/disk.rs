//! What a node keeps: some of it only once it was flushed.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_raft::{ElectionState, LogView, OffsetAndEpoch, PartitionState, VoterSet};
use ottla_record::RecordBatch;

/// A batch in the log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batch {
    pub(crate) base_offset: i64,
    pub(crate) next_offset: i64,
    pub(crate) epoch: i32,
    pub(crate) bytes: Bytes,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    pub(crate) election: Option<ElectionState>,
    pub(crate) start_offset: i64,
    pub(crate) batches: Vec<Batch>,
    pub(crate) flushed_end_offset: i64,
    pub(crate) snapshots: BTreeMap<OffsetAndEpoch, Bytes>,
    /// A snapshot that is being fetched.
    pub(crate) partial: Vec<u8>,
}

impl Disk {
    pub(crate) fn end_offset(&self) -> i64 {
        self.batches.last().map_or(self.start_offset, |batch| batch.next_offset)
    }

    pub(crate) fn append(&mut self, bytes: &Bytes) {
        let batch = RecordBatch::new(bytes.clone()).expect("a batch");
        assert_eq!(batch.base_offset(), self.end_offset(), "appends leave no gap");
        self.batches.push(Batch {
            base_offset: batch.base_offset(),
            next_offset: batch.next_offset(),
            epoch: batch.partition_leader_epoch(),
            bytes: bytes.clone(),
        });
    }

    pub(crate) fn truncate_to(&mut self, offset: i64) {
        self.batches.retain(|batch| batch.base_offset < offset);
        self.flushed_end_offset = self.flushed_end_offset.min(self.end_offset());
    }

    pub(crate) fn truncate_to_snapshot(&mut self, id: OffsetAndEpoch) {
        self.batches.clear();
        self.start_offset = id.offset;
        self.flushed_end_offset = id.offset;
        self.snapshots = self.snapshots.split_off(&id);
    }

    pub(crate) fn read(&self, offset: i64, max_bytes: usize) -> Bytes {
        let mut found = Vec::new();
        for batch in self.batches.iter().filter(|batch| batch.next_offset > offset) {
            if !found.is_empty() && found.len() + batch.bytes.len() > max_bytes {
                break;
            }
            found.extend_from_slice(&batch.bytes);
        }
        found.into()
    }

    /// The process is gone, and with it some of what was not flushed.
    pub(crate) fn crash(&mut self, kept_unflushed: usize) {
        let flushed = self.flushed_end_offset;
        let safe = self.batches.iter().filter(|batch| batch.next_offset <= flushed).count();
        self.batches.truncate(safe + kept_unflushed);
        self.partial.clear();
    }

    /// Deletes the log before a snapshot.
    pub(crate) fn clean(&mut self, id: OffsetAndEpoch) {
        self.snapshots = self.snapshots.split_off(&id);
        self.batches.retain(|batch| batch.next_offset > id.offset);
        self.start_offset = self.start_offset.max(id.offset);
    }

    pub(crate) fn view(&self) -> LogView {
        let mut epochs: Vec<(i32, i64)> = Vec::new();
        for batch in &self.batches {
            if epochs.last().is_none_or(|(epoch, _)| *epoch < batch.epoch) {
                epochs.push((batch.epoch, batch.base_offset));
            }
        }
        LogView::new(self.start_offset, self.end_offset(), epochs, self.snapshots.keys().copied().collect())
    }

    pub(crate) fn partition(&self, voters: &VoterSet) -> PartitionState {
        let mut partition = PartitionState::new(voters.clone());
        for batch in &self.batches {
            let batch = RecordBatch::new(batch.bytes.clone()).expect("a batch");
            partition.replay_batch(&batch).expect("control records");
        }
        partition
    }
}
