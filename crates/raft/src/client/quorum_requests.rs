//! BeginQuorumEpoch and EndQuorumEpoch: the leader's word about its office.

use ottla_common::ErrorCode;
use ottla_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, EndQuorumEpochRequest, EndQuorumEpochResponse,
    begin_quorum_epoch_response, end_quorum_epoch_request, end_quorum_epoch_response,
};

use super::KafkaRaftClient;
use super::message::metadata_partition;
use crate::{CLUSTER_METADATA_TOPIC, Endpoints};

impl KafkaRaftClient {
    pub(super) fn handle_begin_quorum_epoch(
        &mut self,
        now_ms: i64,
        request: &BeginQuorumEpochRequest,
    ) -> BeginQuorumEpochResponse {
        let failed =
            |error: ErrorCode| BeginQuorumEpochResponse { error_code: error.code(), ..Default::default() };
        if !self.has_valid_cluster_id(request.cluster_id.as_deref()) {
            return failed(ErrorCode::InconsistentClusterId);
        }
        let Some(partition) = metadata_partition!(request, topic_name, partition_index) else {
            return failed(ErrorCode::InvalidRequest);
        };
        if let Some(error) = self.validate_voter_only_request(partition.leader_id, partition.leader_epoch) {
            return self.begin_quorum_epoch_response(error);
        }
        let endpoints = if request.leader_endpoints.is_empty() {
            self.leader_endpoints_of(Some(partition.leader_id))
        } else {
            request
                .leader_endpoints
                .iter()
                .fold(Endpoints::EMPTY, |all, at| all.with(&at.name, at.host.to_string(), at.port))
        };
        self.maybe_transition(now_ms, Some(partition.leader_id), partition.leader_epoch, endpoints);
        if !self.is_valid_voter_key(request.voter_id, partition.voter_directory_id) {
            return self.begin_quorum_epoch_response(ErrorCode::InvalidVoterKey);
        }
        self.begin_quorum_epoch_response(ErrorCode::None)
    }

    pub(super) fn handle_end_quorum_epoch(
        &mut self,
        now_ms: i64,
        request: &EndQuorumEpochRequest,
    ) -> EndQuorumEpochResponse {
        let failed =
            |error: ErrorCode| EndQuorumEpochResponse { error_code: error.code(), ..Default::default() };
        if !self.has_valid_cluster_id(request.cluster_id.as_deref()) {
            return failed(ErrorCode::InconsistentClusterId);
        }
        let Some(partition) = metadata_partition!(request, topic_name, partition_index) else {
            return failed(ErrorCode::InvalidRequest);
        };
        if let Some(error) = self.validate_voter_only_request(partition.leader_id, partition.leader_epoch) {
            return self.end_quorum_epoch_response(error);
        }
        let endpoints = if request.leader_endpoints.is_empty() {
            self.leader_endpoints_of(Some(partition.leader_id))
        } else {
            request
                .leader_endpoints
                .iter()
                .fold(Endpoints::EMPTY, |all, at| all.with(&at.name, at.host.to_string(), at.port))
        };
        self.maybe_transition(now_ms, Some(partition.leader_id), partition.leader_epoch, endpoints);
        let backoff = self.end_epoch_election_backoff_ms(partition);
        let leader_id = partition.leader_id;
        if let Some(follower) = self.quorum.follower_mut().filter(|state| state.leader_id == leader_id) {
            follower.fetch_deadline_ms = now_ms + backoff;
            // It said itself that it leads no more: that is not disloyal.
            follower.has_fetched_from_leader = false;
        }
        self.end_quorum_epoch_response(ErrorCode::None)
    }

    /// The voter with the longest log stands at once, the next ones each twice as late, so that the first
    /// usually has no rival.
    fn end_epoch_election_backoff_ms(&self, partition: &end_quorum_epoch_request::PartitionData) -> i64 {
        let local = self.quorum.local();
        let max = i64::from(self.config.election_backoff_max_ms);
        let (position, total) = if partition.preferred_candidates.is_empty() {
            let ids = &partition.preferred_successors;
            (ids.iter().position(|id| *id == local.id), ids.len())
        } else {
            let keys = &partition.preferred_candidates;
            let is_local = |key: &end_quorum_epoch_request::ReplicaInfo| {
                key.candidate_id == local.id
                    && (key.candidate_directory_id.is_zero()
                        || Some(key.candidate_directory_id) == local.directory_id)
            };
            (keys.iter().position(is_local), keys.len())
        };
        match position {
            Some(0) => 0,
            Some(position) => {
                let base = max >> (total - 1).min(62);
                max.min(base.checked_shl((position - 1).min(62) as u32).unwrap_or(max))
            }
            None => max,
        }
    }

    fn begin_quorum_epoch_response(&self, error: ErrorCode) -> BeginQuorumEpochResponse {
        use begin_quorum_epoch_response::{NodeEndpoint, PartitionData, TopicData};
        let partition = PartitionData {
            error_code: error.code(),
            leader_id: self.leader_id_or_sentinel(),
            leader_epoch: self.quorum.epoch(),
            ..Default::default()
        };
        let endpoint = self.leader_endpoint().map(|(node_id, host, port)| NodeEndpoint {
            node_id,
            host: host.into(),
            port,
            ..Default::default()
        });
        BeginQuorumEpochResponse {
            topics: vec![TopicData {
                topic_name: CLUSTER_METADATA_TOPIC.into(),
                partitions: vec![partition],
                ..Default::default()
            }],
            node_endpoints: endpoint.into_iter().collect(),
            ..Default::default()
        }
    }

    fn end_quorum_epoch_response(&self, error: ErrorCode) -> EndQuorumEpochResponse {
        use end_quorum_epoch_response::{NodeEndpoint, PartitionData, TopicData};
        let partition = PartitionData {
            error_code: error.code(),
            leader_id: self.leader_id_or_sentinel(),
            leader_epoch: self.quorum.epoch(),
            ..Default::default()
        };
        let endpoint = self.leader_endpoint().map(|(node_id, host, port)| NodeEndpoint {
            node_id,
            host: host.into(),
            port,
            ..Default::default()
        });
        EndQuorumEpochResponse {
            topics: vec![TopicData {
                topic_name: CLUSTER_METADATA_TOPIC.into(),
                partitions: vec![partition],
                ..Default::default()
            }],
            node_endpoints: endpoint.into_iter().collect(),
            ..Default::default()
        }
    }
}
