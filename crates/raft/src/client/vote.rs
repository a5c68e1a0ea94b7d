//! Vote and pre-vote (KIP-595, KIP-996).

use ottla_common::ErrorCode;
use ottla_protocol::messages::vote_response::{NodeEndpoint, PartitionData, TopicData};
use ottla_protocol::messages::{VoteRequest, VoteResponse};

use super::KafkaRaftClient;
use super::message::metadata_partition;
use crate::{CLUSTER_METADATA_TOPIC, OffsetAndEpoch, ReplicaKey};

impl KafkaRaftClient {
    pub(super) fn handle_vote(&mut self, now_ms: i64, request: &VoteRequest) -> VoteResponse {
        if !self.has_valid_cluster_id(request.cluster_id.as_deref()) {
            return failed(ErrorCode::InconsistentClusterId);
        }
        let Some(partition) = metadata_partition!(request, topic_name, partition_index) else {
            return failed(ErrorCode::InvalidRequest);
        };
        let (last_epoch, epoch) = (partition.last_offset_epoch, partition.replica_epoch);
        // A candidate stands in an epoch after its log's; one that only asks, in that or a later.
        let illegal = if partition.pre_vote { last_epoch > epoch } else { last_epoch >= epoch };
        if partition.last_offset < 0 || last_epoch < 0 || illegal {
            return self.vote_response(ErrorCode::InvalidRequest, false);
        }
        if let Some(error) = self.validate_voter_only_request(partition.replica_id, epoch) {
            return self.vote_response(error, false);
        }
        if epoch > self.quorum.epoch() {
            self.transition_to_unattached(now_ms, epoch, None);
        }
        if !self.is_valid_voter_key(request.voter_id, partition.voter_directory_id) {
            return self.vote_response(ErrorCode::InvalidVoterKey, false);
        }
        let candidate = ReplicaKey::new(partition.replica_id, partition.replica_directory_id);
        let up_to_date = OffsetAndEpoch::new(partition.last_offset, last_epoch) >= self.log.end();
        let stranger = candidate.id != self.quorum.local().id;
        let granted =
            stranger && self.quorum.state().can_grant_vote(&candidate, up_to_date, partition.pre_vote);
        if granted && !partition.pre_vote {
            self.quorum.add_voted_state(now_ms, candidate, &self.partition);
            self.save_election_state();
        }
        self.vote_response(ErrorCode::None, granted)
    }

    fn vote_response(&self, error: ErrorCode, vote_granted: bool) -> VoteResponse {
        let partition = PartitionData {
            partition_index: 0,
            error_code: error.code(),
            leader_id: self.leader_id_or_sentinel(),
            leader_epoch: self.quorum.epoch(),
            vote_granted,
            ..Default::default()
        };
        VoteResponse {
            topics: vec![TopicData {
                topic_name: CLUSTER_METADATA_TOPIC.into(),
                partitions: vec![partition],
                ..Default::default()
            }],
            node_endpoints: self
                .leader_endpoint()
                .map(|(node_id, host, port)| NodeEndpoint {
                    node_id,
                    host: host.into(),
                    port,
                    ..Default::default()
                })
                .into_iter()
                .collect(),
            ..Default::default()
        }
    }
}

fn failed(error: ErrorCode) -> VoteResponse {
    VoteResponse { error_code: error.code(), ..Default::default() }
}
