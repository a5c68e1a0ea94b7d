//! What the answers of other nodes change.

use ottla_common::ErrorCode;
use ottla_protocol::messages::{
    BeginQuorumEpochResponse, EndQuorumEpochResponse, FetchResponse, FetchSnapshotResponse, VoteResponse,
};
use ottla_record::MemoryRecords;

use super::message::metadata_partition;
use super::{KafkaRaftClient, RaftAction, RaftResponse};
use crate::control::ControlRecord;
use crate::epoch_state::EpochState;
use crate::{Endpoints, OffsetAndEpoch};

/// Leader, epoch and error, which every answer has.
struct Common {
    error: ErrorCode,
    leader_id: i32,
    leader_epoch: i32,
    endpoints: Endpoints,
}

/// Whether an answer was good; after a bad one the node is left alone for a while.
type Good = bool;

impl KafkaRaftClient {
    pub(super) fn handle_response(
        &mut self,
        now_ms: i64,
        correlation_id: u64,
        response: Option<RaftResponse>,
    ) {
        let Some(node_id) = self.requests.complete(now_ms, correlation_id, response.is_some()) else {
            return;
        };
        let good = match response {
            Some(RaftResponse::Vote(response)) => self.handle_vote_response(now_ms, node_id, &response),
            Some(RaftResponse::BeginQuorumEpoch(response)) => {
                self.handle_begin_quorum_epoch_response(now_ms, node_id, &response)
            }
            Some(RaftResponse::EndQuorumEpoch(response)) => {
                self.handle_end_quorum_epoch_response(now_ms, node_id, &response)
            }
            Some(RaftResponse::Fetch(response)) => self.handle_fetch_response(now_ms, response),
            Some(RaftResponse::FetchSnapshot(response)) => {
                self.handle_fetch_snapshot_response(now_ms, response)
            }
            Some(RaftResponse::DescribeQuorum(_)) | None => true,
        };
        if !good {
            self.requests.back_off(now_ms, node_id);
        }
    }

    fn handle_vote_response(&mut self, now_ms: i64, node_id: i32, response: &VoteResponse) -> Good {
        let prospective = matches!(self.quorum.state(), EpochState::Prospective(_));
        if response.error_code == ErrorCode::UnsupportedVersion.code() && prospective {
            // Somebody does not know the pre-vote, so elections go the old way.
            self.transition_to_candidate(now_ms);
            return true;
        }
        let Some(partition) = metadata_partition!(response, topic_name, partition_index) else {
            return false;
        };
        let endpoints = self.endpoints_from(
            partition.leader_id,
            response.node_endpoints.iter().map(|at| (at.node_id, at.host.to_string(), Some(at.port))),
        );
        let common = Common {
            error: ErrorCode::from_code(partition.error_code),
            leader_id: partition.leader_id,
            leader_epoch: partition.leader_epoch,
            endpoints,
        };
        if let Some(good) = self.handle_common_response(now_ms, common) {
            return good;
        }
        match self.quorum.state_mut() {
            EpochState::Prospective(state) => state.election.record_vote(node_id, partition.vote_granted),
            EpochState::Candidate(state) => state.election.record_vote(node_id, partition.vote_granted),
            _ => return true,
        }
        self.maybe_transition_forward(now_ms);
        true
    }

    fn handle_begin_quorum_epoch_response(
        &mut self,
        now_ms: i64,
        node_id: i32,
        response: &BeginQuorumEpochResponse,
    ) -> Good {
        let Some(partition) = metadata_partition!(response, topic_name, partition_index) else {
            return false;
        };
        let endpoints = self.endpoints_from(
            partition.leader_id,
            response.node_endpoints.iter().map(|at| (at.node_id, at.host.to_string(), Some(at.port))),
        );
        let common = Common {
            error: ErrorCode::from_code(partition.error_code),
            leader_id: partition.leader_id,
            leader_epoch: partition.leader_epoch,
            endpoints,
        };
        if let Some(good) = self.handle_common_response(now_ms, common) {
            return good;
        }
        if let Some(leader) = self.quorum.leader_mut() {
            leader.add_acknowledgement_from(node_id);
        }
        true
    }

    fn handle_end_quorum_epoch_response(
        &mut self,
        now_ms: i64,
        node_id: i32,
        response: &EndQuorumEpochResponse,
    ) -> Good {
        let Some(partition) = metadata_partition!(response, topic_name, partition_index) else {
            return false;
        };
        let common = Common {
            error: ErrorCode::from_code(partition.error_code),
            leader_id: partition.leader_id,
            leader_epoch: partition.leader_epoch,
            endpoints: Endpoints::EMPTY,
        };
        if let Some(good) = self.handle_common_response(now_ms, common) {
            return good;
        }
        if let EpochState::Resigned(state) = self.quorum.state_mut() {
            state.unacked_voters.remove(&node_id);
        }
        true
    }

    fn handle_fetch_response(&mut self, now_ms: i64, response: FetchResponse) -> Good {
        let [topic] = response.responses.as_slice() else { return false };
        let [partition] = topic.partitions.as_slice() else { return false };
        let leader = &partition.current_leader;
        let endpoints = self.endpoints_from(
            leader.leader_id,
            response
                .node_endpoints
                .iter()
                .map(|at| (at.node_id, at.host.to_string(), u16::try_from(at.port).ok())),
        );
        let common = Common {
            error: ErrorCode::from_code(partition.error_code),
            leader_id: leader.leader_id,
            leader_epoch: leader.leader_epoch,
            endpoints,
        };
        if let Some(good) = self.handle_common_response(now_ms, common) {
            return good;
        }
        if self.quorum.follower_mut().is_none() {
            return true;
        }
        let (diverging, snapshot) = (&partition.diverging_epoch, &partition.snapshot_id);
        if diverging.epoch >= 0 {
            if diverging.end_offset < 0 {
                return false;
            }
            self.truncate_to_end_offset(OffsetAndEpoch::new(diverging.end_offset, diverging.epoch));
        } else if snapshot.epoch >= 0 || snapshot.end_offset >= 0 {
            if snapshot.epoch < 0 || snapshot.end_offset < 0 {
                return false;
            }
            let id = OffsetAndEpoch::new(snapshot.end_offset, snapshot.epoch);
            if let Some(follower) = self.quorum.follower_mut() {
                follower.fetching_snapshot = Some((id, 0));
            }
        } else {
            let records = partition.records.clone().map(|records| records.into_bytes()).unwrap_or_default();
            if !self.append_as_follower(MemoryRecords::new(records)) {
                return false;
            }
            self.update_follower_high_watermark(partition.high_watermark);
        }
        self.leader_answered(now_ms);
        true
    }

    fn handle_fetch_snapshot_response(&mut self, now_ms: i64, response: FetchSnapshotResponse) -> Good {
        let [topic] = response.topics.as_slice() else { return false };
        let [partition] = topic.partitions.as_slice() else { return false };
        let leader = &partition.current_leader;
        let endpoints = self.endpoints_from(
            leader.leader_id,
            response.node_endpoints.iter().map(|at| (at.node_id, at.host.to_string(), Some(at.port))),
        );
        let error = ErrorCode::from_code(partition.error_code);
        let gone = matches!(error, ErrorCode::SnapshotNotFound | ErrorCode::PositionOutOfRange);
        let common = Common {
            error: if gone { ErrorCode::None } else { error },
            leader_id: leader.leader_id,
            leader_epoch: leader.leader_epoch,
            endpoints,
        };
        if let Some(good) = self.handle_common_response(now_ms, common) {
            return good;
        }
        let Some(follower) = self.quorum.follower_mut() else { return true };
        let Some((id, position)) = follower.fetching_snapshot else { return true };
        if gone {
            // The leader has a newer one by now, which the next fetch will tell.
            follower.fetching_snapshot = None;
            self.leader_answered(now_ms);
            return true;
        }
        let answered = OffsetAndEpoch::new(partition.snapshot_id.end_offset, partition.snapshot_id.epoch);
        let bytes = partition.unaligned_records.clone().into_bytes();
        let next = position + bytes.len() as i64;
        if answered != id || partition.position != position || bytes.is_empty() || next > partition.size {
            follower.fetching_snapshot = None;
            return false;
        }
        let last = next == partition.size;
        follower.fetching_snapshot = (!last).then_some((id, next));
        self.actions.push(RaftAction::WriteSnapshotChunk { id, position, bytes, last });
        self.leader_answered(now_ms);
        true
    }

    pub(super) fn snapshot_fetched(&mut self, now_ms: i64, id: OffsetAndEpoch, records: &[ControlRecord]) {
        // A longer log of an older epoch was never committed: the snapshot stands for what was.
        if id <= self.log.end() {
            return self.log.add_snapshot(id);
        }
        self.log.start_at_snapshot(id);
        self.flushed_end_offset = id.offset;
        self.partition.clear();
        for record in records {
            self.partition.replay(id.offset - 1, record);
        }
        self.actions.push(RaftAction::TruncateToSnapshot(id));
        self.update_follower_high_watermark(id.offset);
        self.leader_answered(now_ms);
    }

    /// What holds for every answer. `None` if its own content matters.
    fn handle_common_response(&mut self, now_ms: i64, common: Common) -> Option<Good> {
        let Common { error, leader_id, leader_epoch, endpoints } = common;
        let leader_id = (leader_id >= 0).then_some(leader_id);
        if leader_epoch < self.quorum.epoch() || error == ErrorCode::UnknownLeaderEpoch {
            return Some(true);
        }
        let newer = leader_epoch > self.quorum.epoch()
            || matches!(error, ErrorCode::FencedLeaderEpoch | ErrorCode::NotLeaderOrFollower);
        if newer {
            self.maybe_transition(now_ms, leader_id, leader_epoch, endpoints);
            return Some(true);
        }
        if leader_id.is_some() && self.quorum.state().leader_id().is_none() {
            self.maybe_transition(now_ms, leader_id, leader_epoch, endpoints);
        }
        if error == ErrorCode::None { None } else { Some(false) }
    }

    fn endpoints_from(
        &self,
        leader_id: i32,
        nodes: impl Iterator<Item = (i32, String, Option<u16>)>,
    ) -> Endpoints {
        let told = nodes.filter(|(node_id, _, _)| *node_id == leader_id).fold(
            Endpoints::EMPTY,
            |all, (_, host, port)| match port {
                Some(port) => all.with(&self.config.listener, host, port),
                None => all,
            },
        );
        if told.is_empty() { self.leader_endpoints_of(Some(leader_id)) } else { told }
    }

    fn leader_answered(&mut self, now_ms: i64) {
        let timeout = self.config.quorum.fetch_timeout_ms;
        if let Some(follower) = self.quorum.follower_mut() {
            follower.reset_fetch_timeout(now_ms, timeout);
        }
    }

    /// Cuts off what the leader does not have. What is committed it has, so that stays (COMMITTED-NEVER-LOST).
    fn truncate_to_end_offset(&mut self, leader_end: OffsetAndEpoch) {
        let local = self.log.end_offset_for_epoch(leader_end.epoch);
        let offset =
            if local.epoch < leader_end.epoch { local.offset } else { local.offset.min(leader_end.offset) };
        let floor = self.high_watermark().unwrap_or(0).max(self.log.start_offset());
        let offset = offset.max(floor);
        if offset < self.log.end_offset() {
            self.log.truncate_to(offset);
            self.partition.truncate_new_entries(offset);
            self.flushed_end_offset = self.flushed_end_offset.min(offset);
            self.actions.push(RaftAction::TruncateTo(offset));
        }
    }

    /// Takes what follows on the log; a batch cut short at the end comes again. False if it does not fit.
    fn append_as_follower(&mut self, records: MemoryRecords) -> bool {
        for batch in records.batches() {
            let Ok(batch) = batch else { return false };
            let epoch = batch.partition_leader_epoch();
            let fits = batch.is_valid()
                && batch.base_offset() == self.log.end_offset()
                && batch.last_offset() >= batch.base_offset()
                && epoch <= self.quorum.epoch()
                && epoch >= self.log.last_fetched_epoch();
            if !fits || self.partition.replay_batch(&batch).is_err() {
                return false;
            }
            self.log.append(batch.base_offset(), batch.next_offset(), epoch);
            let records = batch.bytes().clone();
            self.actions.push(RaftAction::Append { records, as_leader: false, epoch });
        }
        true
    }

    fn update_follower_high_watermark(&mut self, leader_high_watermark: i64) {
        let high_watermark = leader_high_watermark.min(self.log.end_offset());
        if high_watermark < 0 {
            return;
        }
        let Some(follower) = self.quorum.follower_mut() else { return };
        if follower.update_high_watermark(high_watermark) {
            self.actions.push(RaftAction::AdvanceHighWatermark(high_watermark));
        }
    }
}
