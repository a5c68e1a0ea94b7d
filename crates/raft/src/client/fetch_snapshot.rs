//! FetchSnapshot (KIP-630): a snapshot in pieces.

use ottla_common::ErrorCode;
use ottla_protocol::messages::fetch_snapshot_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionSnapshot, SnapshotId, TopicSnapshot,
};
use ottla_protocol::messages::{FetchSnapshotRequest, FetchSnapshotResponse};

use super::{KafkaRaftClient, RaftAction, RaftResponse};
use crate::{CLUSTER_METADATA_TOPIC, OffsetAndEpoch, ReplicaKey};

impl KafkaRaftClient {
    pub(super) fn handle_fetch_snapshot(&mut self, now_ms: i64, id: u64, request: &FetchSnapshotRequest) {
        let answer = self.find_snapshot(now_ms, request);
        self.actions.push(match answer {
            Err(response) => RaftAction::Respond { id, response: RaftResponse::FetchSnapshot(response) },
            Ok((snapshot, position)) => RaftAction::RespondWithSnapshot {
                id,
                response: self.snapshot_response(ErrorCode::None, snapshot),
                snapshot,
                position,
                max_bytes: request.max_bytes,
            },
        });
    }

    fn find_snapshot(
        &mut self,
        now_ms: i64,
        request: &FetchSnapshotRequest,
    ) -> Result<(OffsetAndEpoch, i64), FetchSnapshotResponse> {
        let failed =
            |error: ErrorCode| FetchSnapshotResponse { error_code: error.code(), ..Default::default() };
        if !self.has_valid_cluster_id(request.cluster_id.as_deref()) {
            return Err(failed(ErrorCode::InconsistentClusterId));
        }
        let [topic] = request.topics.as_slice() else { return Err(failed(ErrorCode::InvalidRequest)) };
        let [partition] = topic.partitions.as_slice() else { return Err(failed(ErrorCode::InvalidRequest)) };
        let wanted = OffsetAndEpoch::new(partition.snapshot_id.end_offset, partition.snapshot_id.epoch);
        if topic.name != CLUSTER_METADATA_TOPIC || partition.partition != 0 {
            return Err(self.snapshot_response(ErrorCode::UnknownTopicOrPartition, wanted));
        }
        if let Some(error) = self.validate_leader_only_request(partition.current_leader_epoch) {
            return Err(self.snapshot_response(error, wanted));
        }
        // What formatting wrote is not replicated: the first leader repeated it in the log.
        if !self.log.has_snapshot(wanted) || wanted == OffsetAndEpoch::BOOTSTRAP_SNAPSHOT_ID {
            return Err(self.snapshot_response(ErrorCode::SnapshotNotFound, wanted));
        }
        if partition.position < 0 {
            return Err(self.snapshot_response(ErrorCode::PositionOutOfRange, wanted));
        }
        let replica = ReplicaKey::new(request.replica_id, partition.replica_directory_id);
        let timeout = self.quorum.check_quorum_timeout_ms();
        if let Some(leader) = self.quorum.leader_mut() {
            leader.note_fetch_of_voter(&replica, now_ms, timeout);
        }
        Ok((wanted, partition.position))
    }

    fn snapshot_response(&self, error: ErrorCode, id: OffsetAndEpoch) -> FetchSnapshotResponse {
        let partition = PartitionSnapshot {
            index: 0,
            error_code: error.code(),
            snapshot_id: SnapshotId { end_offset: id.offset, epoch: id.epoch, ..Default::default() },
            current_leader: LeaderIdAndEpoch {
                leader_id: self.leader_id_or_sentinel(),
                leader_epoch: self.quorum.epoch(),
                ..Default::default()
            },
            ..Default::default()
        };
        let endpoint = self.leader_endpoint().map(|(node_id, host, port)| NodeEndpoint {
            node_id,
            host: host.into(),
            port,
            ..Default::default()
        });
        FetchSnapshotResponse {
            topics: vec![TopicSnapshot {
                name: CLUSTER_METADATA_TOPIC.into(),
                partitions: vec![partition],
                ..Default::default()
            }],
            node_endpoints: endpoint.into_iter().collect(),
            ..Default::default()
        }
    }
}
