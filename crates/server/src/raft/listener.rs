//! Who is told what the metadata quorum decided.

use std::sync::Arc;

use ottla_metadata::ApiMessageAndVersion;
use ottla_protocol::records::metadata::MetadataRecord;
use ottla_raft::LeaderAndEpoch;

use super::snapshot::SnapshotReader;

/// Records that were appended together and are committed.
#[derive(Debug, Clone, PartialEq)]
pub struct CommittedBatch {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record; a control record may have it, so do not count `records`.
    pub last_offset: i64,
    /// Epoch of the leader that appended.
    pub epoch: i32,
    /// When the leader appended, by its clock.
    pub append_timestamp: i64,
    /// Bytes of the batch in the log.
    pub size_in_bytes: usize,
    /// The metadata records; empty for a batch of control records.
    pub records: Vec<ApiMessageAndVersion>,
}

impl CommittedBatch {
    /// Whether it only moves the offset: what a leader writes when there is nothing to write (KIP-835).
    pub fn is_no_op(&self) -> bool {
        let is_no_op =
            |record: &ApiMessageAndVersion| matches!(record.message, MetadataRecord::NoOpRecord(_));
        !self.records.is_empty() && self.records.iter().all(is_no_op)
    }
}

/// Someone who follows the metadata log.
///
/// Every call comes from the raft thread, one at a time and in the order of offsets: pass the news on and
/// return, because nothing is committed meanwhile. After a `handle_load_snapshot` the commits go on at the
/// snapshot's end offset.
pub trait RaftListener: Send + 'static {
    /// These batches are committed; they follow on what was handed over before without a gap.
    fn handle_commit(&mut self, batches: &[Arc<CommittedBatch>]);

    /// Forget everything and start from this snapshot.
    fn handle_load_snapshot(&mut self, snapshot: SnapshotReader);

    /// The leader changed. The new leader itself is told only after it has seen every record of earlier
    /// epochs, so it may answer from its state at once.
    fn handle_leader_change(&mut self, leader: LeaderAndEpoch);

    /// The quorum client stops; no call follows.
    fn begin_shutdown(&mut self) {}
}
