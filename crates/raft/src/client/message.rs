//! The messages of the protocol, and what all of them have in common: they are about one partition.

use ottla_common::ErrorCode;
use ottla_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, DescribeQuorumRequest, DescribeQuorumResponse,
    EndQuorumEpochRequest, EndQuorumEpochResponse, FetchRequest, FetchResponse, FetchSnapshotRequest,
    FetchSnapshotResponse, VoteRequest, VoteResponse,
};

use super::KafkaRaftClient;
use crate::epoch_state::EpochState;

/// The topic of the quorum; its one partition is 0.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// A request of the protocol.
#[derive(Debug, Clone, PartialEq)]
pub enum RaftRequest {
    /// Elect me?
    Vote(VoteRequest),
    /// I lead.
    BeginQuorumEpoch(BeginQuorumEpochRequest),
    /// I lead no more.
    EndQuorumEpoch(EndQuorumEpochRequest),
    /// What comes next in the log? With the version in which it was asked.
    Fetch(FetchRequest, i16),
    /// What comes next in a snapshot?
    FetchSnapshot(FetchSnapshotRequest),
    /// How is the quorum?
    DescribeQuorum(DescribeQuorumRequest),
}

/// A response of the protocol.
#[derive(Debug, Clone, PartialEq)]
pub enum RaftResponse {
    /// To Vote.
    Vote(VoteResponse),
    /// To BeginQuorumEpoch.
    BeginQuorumEpoch(BeginQuorumEpochResponse),
    /// To EndQuorumEpoch.
    EndQuorumEpoch(EndQuorumEpochResponse),
    /// To Fetch.
    Fetch(FetchResponse),
    /// To FetchSnapshot.
    FetchSnapshot(FetchSnapshotResponse),
    /// To DescribeQuorum.
    DescribeQuorum(DescribeQuorumResponse),
}

/// The one partition that a message of the protocol is about.
macro_rules! metadata_partition {
    ($message:expr, $topic_name:ident, $index:ident) => {
        match $message.topics.as_slice() {
            [topic] if topic.$topic_name == $crate::CLUSTER_METADATA_TOPIC => {
                match topic.partitions.as_slice() {
                    [partition] if partition.$index == 0 => Some(partition),
                    _ => None,
                }
            }
            _ => None,
        }
    };
}
pub(super) use metadata_partition;

impl KafkaRaftClient {
    /// A request that names no cluster is taken to mean this one.
    pub(super) fn has_valid_cluster_id(&self, cluster_id: Option<&str>) -> bool {
        cluster_id.is_none_or(|id| id == self.config.cluster_id)
    }

    /// What is wrong with a request of a voter.
    pub(super) fn validate_voter_only_request(&self, replica_id: i32, epoch: i32) -> Option<ErrorCode> {
        if epoch < self.quorum.epoch() {
            Some(ErrorCode::FencedLeaderEpoch)
        } else if replica_id < 0 || epoch == i32::MAX {
            // After the last epoch there could be no election any more.
            Some(ErrorCode::InvalidRequest)
        } else {
            None
        }
    }

    /// What is wrong with a request that only the leader of that epoch answers.
    pub(super) fn validate_leader_only_request(&self, epoch: i32) -> Option<ErrorCode> {
        let current = self.quorum.epoch();
        if epoch < current {
            Some(ErrorCode::FencedLeaderEpoch)
        } else if epoch > current {
            Some(ErrorCode::UnknownLeaderEpoch)
        } else if !matches!(self.quorum.state(), EpochState::Leader(_)) {
            Some(ErrorCode::NotLeaderOrFollower)
        } else if self.shutdown_deadline_ms.is_some() {
            Some(ErrorCode::BrokerNotAvailable)
        } else {
            None
        }
    }

    /// Whether a request meant for a voter is meant for this one. One that names nobody is.
    pub(super) fn is_valid_voter_key(&self, voter_id: i32, directory_id: ottla_common::Uuid) -> bool {
        let local = self.quorum.local();
        voter_id < 0
            || (voter_id == local.id && (directory_id.is_zero() || Some(directory_id) == local.directory_id))
    }

    pub(super) fn leader_id_or_sentinel(&self) -> i32 {
        self.quorum.state().leader_id().unwrap_or(-1)
    }

    /// Where the leader is, for those who ask over the quorum's listener.
    pub(super) fn leader_endpoint(&self) -> Option<(i32, String, u16)> {
        let leader = self.quorum.state().leader_id()?;
        let endpoint = self.quorum.state().leader_endpoints().get(&self.config.listener)?.clone();
        Some((leader, endpoint.host, endpoint.port))
    }
}
