//! What the roles other than leader do on their own: ask for votes, fetch, say that they resigned.

use ottla_common::Uuid;
use ottla_protocol::messages::{
    BeginQuorumEpochRequest, EndQuorumEpochRequest, FetchRequest, FetchSnapshotRequest, VoteRequest,
    begin_quorum_epoch_request, end_quorum_epoch_request, fetch_request, fetch_snapshot_request,
    vote_request,
};

use super::{KafkaRaftClient, Node, RaftAction, RaftRequest};
use crate::epoch_state::EpochState;
use crate::{CLUSTER_METADATA_TOPIC, Endpoints, OffsetAndEpoch, ReplicaKey};

/// How long a leader may hold a fetch back.
const FETCH_MAX_WAIT_MS: i32 = 500;
/// The newest version of Fetch.
const FETCH_VERSION: i16 = 18;

impl KafkaRaftClient {
    pub(super) fn poll_unattached(&mut self, now_ms: i64) {
        let EpochState::Unattached(state) = self.quorum.state() else { return };
        let expired = state.election_deadline_ms.is_some_and(|deadline| now_ms >= deadline);
        if self.quorum.is_voter(&self.partition) && self.shutdown_deadline_ms.is_none() && expired {
            return self.transition_to_prospective_and_poll(now_ms);
        }
        self.fetch_from_bootstrap(now_ms);
    }

    pub(super) fn poll_nominee(&mut self, now_ms: i64) {
        let (pre_vote, deadline, election, leader_id, endpoints) = match self.quorum.state() {
            EpochState::Prospective(s) => {
                (true, s.election_deadline_ms, &s.election, s.leader_id, s.leader_endpoints.clone())
            }
            EpochState::Candidate(s) => (false, s.election_deadline_ms, &s.election, None, Endpoints::EMPTY),
            _ => return,
        };
        if self.shutdown_deadline_ms.is_some() {
            return;
        }
        if now_ms >= deadline || (pre_vote && election.is_vote_rejected()) {
            return self.election_lost(now_ms, pre_vote, leader_id, endpoints);
        }
        let voters = election.unrecorded_voters();
        for voter in voters {
            let request = RaftRequest::Vote(self.vote_request(voter, pre_vote));
            self.send_to_voter(now_ms, voter.id, request);
        }
    }

    /// Who only asked goes back to the leader it had; who stood asks again.
    fn election_lost(&mut self, now_ms: i64, pre_vote: bool, leader_id: Option<i32>, endpoints: Endpoints) {
        if !pre_vote {
            return self.transition_to_prospective_and_poll(now_ms);
        }
        let epoch = self.quorum.epoch();
        let local_id = self.quorum.local().id;
        match leader_id {
            Some(leader) if !endpoints.is_empty() && leader != local_id => {
                self.transition_to_follower(now_ms, epoch, leader, endpoints);
            }
            known => self.transition_to_unattached(now_ms, epoch, known),
        }
    }

    pub(super) fn poll_follower(&mut self, now_ms: i64) {
        let EpochState::Follower(state) = self.quorum.state() else { return };
        let expired = now_ms >= state.fetch_deadline_ms;
        let (leader_id, endpoints) = (state.leader_id, state.leader_endpoints.clone());
        let fetching = state.fetching_snapshot;
        if expired && self.quorum.is_voter(&self.partition) {
            if self.shutdown_deadline_ms.is_none() {
                self.transition_to_prospective_and_poll(now_ms);
            }
            return;
        }
        // A fetch says what is on this disk; what is not yet has to wait.
        if self.flushed_end_offset < self.log.end_offset() {
            return;
        }
        if expired {
            return self.fetch_from_bootstrap(now_ms);
        }
        let Some(at) = endpoints.get(&self.config.listener) else { return };
        let node = Node { id: leader_id, host: at.host.clone(), port: at.port };
        let request = match fetching {
            Some((id, position)) => RaftRequest::FetchSnapshot(self.fetch_snapshot_request(id, position)),
            None => RaftRequest::Fetch(self.fetch_request(), FETCH_VERSION),
        };
        self.send(now_ms, node, request);
    }

    pub(super) fn poll_resigned(&mut self, now_ms: i64) {
        let EpochState::Resigned(state) = self.quorum.state() else { return };
        let (epoch, expired) = (state.epoch, now_ms >= state.election_deadline_ms);
        let unacked: Vec<i32> = state.unacked_voters.iter().copied().collect();
        let successors = state.preferred_successors.clone();
        if expired && self.shutdown_deadline_ms.is_none() {
            if self.quorum.is_voter(&self.partition) {
                return self.transition_to_prospective_and_poll(now_ms);
            }
            return self.transition_to_unattached(now_ms, epoch + 1, None);
        }
        for voter in unacked {
            let request = RaftRequest::EndQuorumEpoch(self.end_quorum_epoch_request(epoch, &successors));
            self.send_to_voter(now_ms, voter, request);
        }
    }

    pub(super) fn send_begin_quorum_epoch(&mut self, now_ms: i64, voters: &[ReplicaKey]) {
        for voter in voters {
            let request = RaftRequest::BeginQuorumEpoch(self.begin_quorum_epoch_request(*voter));
            self.send_to_voter(now_ms, voter.id, request);
        }
    }

    fn transition_to_prospective_and_poll(&mut self, now_ms: i64) {
        self.transition_to_prospective(now_ms);
        self.poll_nominee(now_ms);
    }

    fn fetch_from_bootstrap(&mut self, now_ms: i64) {
        if self.flushed_end_offset < self.log.end_offset() {
            return;
        }
        if let Some(node) = self.requests.next_bootstrap(now_ms) {
            let request = RaftRequest::Fetch(self.fetch_request(), FETCH_VERSION);
            self.send(now_ms, node, request);
        }
    }

    fn send_to_voter(&mut self, now_ms: i64, voter_id: i32, request: RaftRequest) {
        let listeners = self.partition.last_voter_set().listeners(voter_id);
        let Some(at) = listeners.and_then(|all| all.get(&self.config.listener)) else { return };
        let node = Node { id: voter_id, host: at.host.clone(), port: at.port };
        self.send(now_ms, node, request);
    }

    fn send(&mut self, now_ms: i64, to: Node, request: RaftRequest) {
        if let Some(correlation_id) = self.requests.try_send(now_ms, to.id) {
            self.actions.push(RaftAction::Send { correlation_id, to, request });
        }
    }

    fn vote_request(&self, voter: ReplicaKey, pre_vote: bool) -> VoteRequest {
        use vote_request::{PartitionData, TopicData};
        let (local, end) = (self.quorum.local(), self.log.end());
        VoteRequest {
            cluster_id: Some(self.config.cluster_id.as_str().into()),
            voter_id: voter.id,
            topics: vec![TopicData {
                topic_name: CLUSTER_METADATA_TOPIC.into(),
                partitions: vec![PartitionData {
                    replica_epoch: self.quorum.epoch(),
                    replica_id: local.id,
                    replica_directory_id: local.directory_id_or_zero(),
                    voter_directory_id: voter.directory_id_or_zero(),
                    last_offset_epoch: end.epoch,
                    last_offset: end.offset,
                    pre_vote,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn fetch_request(&self) -> FetchRequest {
        use fetch_request::{FetchPartition, FetchTopic, ReplicaState};
        let (local, end) = (self.quorum.local(), self.log.end());
        FetchRequest {
            cluster_id: Some(self.config.cluster_id.as_str().into()),
            max_wait_ms: FETCH_MAX_WAIT_MS,
            max_bytes: self.config.fetch_max_bytes,
            replica_state: ReplicaState { replica_id: local.id, ..Default::default() },
            topics: vec![FetchTopic {
                topic: CLUSTER_METADATA_TOPIC.into(),
                topic_id: Uuid::METADATA_TOPIC_ID,
                partitions: vec![FetchPartition {
                    current_leader_epoch: self.quorum.epoch(),
                    fetch_offset: end.offset,
                    last_fetched_epoch: end.epoch,
                    replica_directory_id: local.directory_id_or_zero(),
                    high_watermark: self.high_watermark().unwrap_or(-1),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn fetch_snapshot_request(&self, id: OffsetAndEpoch, position: i64) -> FetchSnapshotRequest {
        use fetch_snapshot_request::{PartitionSnapshot, SnapshotId, TopicSnapshot};
        let local = self.quorum.local();
        FetchSnapshotRequest {
            cluster_id: Some(self.config.cluster_id.as_str().into()),
            replica_id: local.id,
            max_bytes: self.config.fetch_max_bytes,
            topics: vec![TopicSnapshot {
                name: CLUSTER_METADATA_TOPIC.into(),
                partitions: vec![PartitionSnapshot {
                    current_leader_epoch: self.quorum.epoch(),
                    snapshot_id: SnapshotId { end_offset: id.offset, epoch: id.epoch, ..Default::default() },
                    position,
                    replica_directory_id: local.directory_id_or_zero(),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn begin_quorum_epoch_request(&self, voter: ReplicaKey) -> BeginQuorumEpochRequest {
        use begin_quorum_epoch_request::{LeaderEndpoint, PartitionData, TopicData};
        let endpoints = self.quorum.state().leader_endpoints();
        BeginQuorumEpochRequest {
            cluster_id: Some(self.config.cluster_id.as_str().into()),
            voter_id: voter.id,
            topics: vec![TopicData {
                topic_name: CLUSTER_METADATA_TOPIC.into(),
                partitions: vec![PartitionData {
                    voter_directory_id: voter.directory_id_or_zero(),
                    leader_id: self.quorum.local().id,
                    leader_epoch: self.quorum.epoch(),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            leader_endpoints: endpoints
                .iter()
                .map(|(name, at)| LeaderEndpoint {
                    name: name.into(),
                    host: at.host.as_str().into(),
                    port: at.port,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }
    }

    fn end_quorum_epoch_request(&self, epoch: i32, successors: &[ReplicaKey]) -> EndQuorumEpochRequest {
        use end_quorum_epoch_request::{LeaderEndpoint, PartitionData, ReplicaInfo, TopicData};
        let endpoints = self.quorum.state().leader_endpoints();
        let candidate = |key: &ReplicaKey| ReplicaInfo {
            candidate_id: key.id,
            candidate_directory_id: key.directory_id_or_zero(),
            ..Default::default()
        };
        EndQuorumEpochRequest {
            cluster_id: Some(self.config.cluster_id.as_str().into()),
            topics: vec![TopicData {
                topic_name: CLUSTER_METADATA_TOPIC.into(),
                partitions: vec![PartitionData {
                    leader_id: self.quorum.local().id,
                    leader_epoch: epoch,
                    preferred_successors: successors.iter().map(|key| key.id).collect(),
                    preferred_candidates: successors.iter().map(candidate).collect(),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            leader_endpoints: endpoints
                .iter()
                .map(|(name, at)| LeaderEndpoint {
                    name: name.into(),
                    host: at.host.as_str().into(),
                    port: at.port,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }
    }
}
