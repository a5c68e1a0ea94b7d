//! DescribeQuorum (KIP-836): who leads, who votes, who is how far.

use ottla_common::ErrorCode;
use ottla_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState as ReplicaData, TopicData,
};
use ottla_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::KafkaRaftClient;
use super::message::metadata_partition;
use crate::CLUSTER_METADATA_TOPIC;
use crate::epoch_state::ReplicaState;

impl KafkaRaftClient {
    pub(super) fn handle_describe_quorum(
        &mut self,
        now_ms: i64,
        request: &DescribeQuorumRequest,
    ) -> DescribeQuorumResponse {
        if metadata_partition!(request, topic_name, partition_index).is_none() {
            return unknown_partitions(request);
        }
        let end_offset = self.log.end_offset();
        let Some(leader) = self.quorum.leader_mut() else {
            return describe(PartitionData {
                error_code: ErrorCode::NotLeaderOrFollower.code(),
                ..Default::default()
            });
        };
        leader.clear_inactive_observers(now_ms);
        let local_id = leader.local.key.id;
        let data = |state: &ReplicaState| {
            let local = state.key.id == local_id;
            let or_unknown = |time: Option<i64>| if local { now_ms } else { time.unwrap_or(-1) };
            ReplicaData {
                replica_id: state.key.id,
                replica_directory_id: state.key.directory_id_or_zero(),
                log_end_offset: if local { end_offset } else { state.end_offset.unwrap_or(-1) },
                last_fetch_timestamp: or_unknown(state.last_fetch_ms),
                last_caught_up_timestamp: or_unknown(state.last_caught_up_ms),
                ..Default::default()
            }
        };
        let mut response = describe(PartitionData {
            leader_id: local_id,
            leader_epoch: leader.epoch,
            high_watermark: leader.high_watermark().unwrap_or(-1),
            current_voters: leader.voters().map(data).collect(),
            observers: leader.observers().map(data).collect(),
            ..Default::default()
        });
        let listener = |(name, at): (&str, &crate::Endpoint)| Listener {
            name: name.into(),
            host: at.host.as_str().into(),
            port: at.port,
            ..Default::default()
        };
        response.nodes = self
            .partition
            .last_voter_set()
            .iter()
            .map(|voter| Node {
                node_id: voter.key.id,
                listeners: voter.listeners.iter().map(listener).collect(),
                ..Default::default()
            })
            .collect();
        response
    }
}

fn describe(partition: PartitionData) -> DescribeQuorumResponse {
    DescribeQuorumResponse {
        topics: vec![TopicData {
            topic_name: CLUSTER_METADATA_TOPIC.into(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn unknown_partitions(request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
    let partition = |index: i32| PartitionData {
        partition_index: index,
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
        ..Default::default()
    };
    let topics = request.topics.iter().map(|topic| TopicData {
        topic_name: topic.topic_name.clone(),
        partitions: topic.partitions.iter().map(|wanted| partition(wanted.partition_index)).collect(),
        ..Default::default()
    });
    DescribeQuorumResponse { topics: topics.collect(), ..Default::default() }
}
