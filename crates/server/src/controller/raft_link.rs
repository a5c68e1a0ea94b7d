//! The controller as a listener of the raft client, and the raft client as the controller's log.

use std::sync::Arc;

use ottla_metadata::{ApiMessageAndVersion, MetadataProvenance};
use ottla_raft::AppendError;

use super::handle::QuorumControllerHandle;
use super::quorum::{MetadataEvent, MetadataQuorum};
use crate::raft::{CommittedBatch, LeaderAndEpoch, OffsetAndEpoch, RaftClient, RaftListener, SnapshotReader};

impl MetadataQuorum for RaftClient {
    fn prepare_append(&self, epoch: i32, records: Vec<ApiMessageAndVersion>) -> Result<i64, AppendError> {
        Self::prepare_append(self, epoch, records)
    }

    fn schedule_prepared_append(&self) {
        Self::schedule_prepared_append(self);
    }

    fn append_when_idle(&self, epoch: i32, interval_ms: i64, records: Vec<ApiMessageAndVersion>) {
        Self::append_when_idle(self, epoch, interval_ms, records);
    }

    fn log_end_offset(&self) -> i64 {
        Self::log_end_offset(self)
    }

    fn kraft_version(&self) -> i16 {
        Self::kraft_version(self)
    }

    fn leader_id(&self) -> Option<i32> {
        self.leader_and_epoch().leader_id
    }

    fn resign(&self, epoch: i32) {
        Self::resign(self, epoch);
    }
}

/// Passes the raft thread's news on to the controller task. Register it with the raft client.
#[derive(Debug)]
pub struct ControllerListener {
    node_id: i32,
    handle: QuorumControllerHandle,
}

impl ControllerListener {
    /// A listener for the controller of this node.
    pub fn new(node_id: i32, handle: QuorumControllerHandle) -> Self {
        Self { node_id, handle }
    }
}

impl RaftListener for ControllerListener {
    fn handle_commit(&mut self, batches: &[Arc<CommittedBatch>]) {
        // What says nothing needs nobody to wake up: where the log ends is known from the quorum.
        for batch in batches.iter().filter(|batch| !batch.is_no_op()) {
            self.handle.metadata_event(MetadataEvent::Commit(batch.clone()));
        }
    }

    fn handle_load_snapshot(&mut self, mut snapshot: SnapshotReader) {
        let id = snapshot.snapshot_id();
        if id == OffsetAndEpoch::BOOTSTRAP_SNAPSHOT_ID {
            // What formatting left is not committed: it becomes the log's first records on activation (KIP-1170).
            return;
        }
        match snapshot.read_all() {
            Ok(records) => self.handle.metadata_event(MetadataEvent::LoadSnapshot {
                provenance: MetadataProvenance {
                    last_contained_offset: snapshot.last_contained_log_offset(),
                    last_contained_epoch: id.epoch,
                    last_contained_log_time_ms: snapshot.last_contained_log_timestamp(),
                    is_offset_batch_aligned: true,
                },
                records,
            }),
            Err(error) => {
                // Without the snapshot what follows makes no sense: this controller can never lead.
                tracing::error!(
                    logger = "org.apache.kafka.controller.QuorumController",
                    "Stopping this controller: snapshot {id} cannot be read: {error}"
                );
                self.handle.begin_shutdown();
            }
        }
    }

    fn handle_leader_change(&mut self, leader: LeaderAndEpoch) {
        let active_epoch = (leader.leader_id == Some(self.node_id)).then_some(leader.epoch);
        self.handle.metadata_event(MetadataEvent::LeaderChange { active_epoch });
    }
}
