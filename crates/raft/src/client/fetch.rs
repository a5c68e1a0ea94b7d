//! Fetch of the metadata log: how followers and observers get it, and how the leader learns what they have.

use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::fetch_response::{
    EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData, SnapshotId,
};
use ottla_protocol::messages::{FetchRequest, FetchResponse};

use super::{KafkaRaftClient, RaftAction, RaftResponse};
use crate::log_view::ValidOffsetAndEpoch;
use crate::{CLUSTER_METADATA_TOPIC, OffsetAndEpoch, ReplicaKey};

/// The version from which requests name topics by id.
const TOPIC_ID_VERSION: i16 = 13;
/// The version from which responses tell where the leader is (KIP-951 gave 16, KIP-853 asks for 17).
const NODE_ENDPOINTS_VERSION: i16 = 17;

/// A fetch that waits for news.
#[derive(Debug, Clone)]
pub(super) struct ParkedFetch {
    pub(super) deadline_ms: i64,
    id: u64,
    fetch: PartitionFetch,
}

#[derive(Debug, Clone)]
struct PartitionFetch {
    version: i16,
    replica: ReplicaKey,
    leader_epoch: i32,
    offset: i64,
    last_fetched_epoch: i32,
    known_high_watermark: i64,
    max_bytes: i32,
}

/// What a fetch finds.
enum Outcome {
    Failed(ErrorCode),
    Diverging(OffsetAndEpoch),
    Snapshot(OffsetAndEpoch),
    Records,
    Nothing,
}

impl KafkaRaftClient {
    pub(super) fn handle_fetch(&mut self, now_ms: i64, id: u64, request: FetchRequest, version: i16) {
        let failed = |error: ErrorCode| {
            let response = FetchResponse { error_code: error.code(), ..Default::default() };
            RaftAction::Respond { id, response: RaftResponse::Fetch(response) }
        };
        if !self.has_valid_cluster_id(request.cluster_id.as_deref()) {
            return self.actions.push(failed(ErrorCode::InconsistentClusterId));
        }
        let Some(fetch) = partition_fetch(&request, version) else {
            return self.actions.push(failed(ErrorCode::InvalidRequest));
        };
        let impossible = request.max_wait_ms < 0
            || fetch.offset < 0
            || fetch.last_fetched_epoch < 0
            || fetch.last_fetched_epoch > fetch.leader_epoch;
        if impossible {
            return self.respond_fetch(id, &fetch, Outcome::Failed(ErrorCode::InvalidRequest));
        }
        let outcome = self.try_fetch(now_ms, &fetch);
        let high_watermark = self.high_watermark().unwrap_or(-1);
        let wait = matches!(outcome, Outcome::Nothing)
            && request.max_wait_ms > 0
            && fetch.known_high_watermark >= high_watermark;
        if wait {
            let deadline_ms = now_ms.saturating_add(i64::from(request.max_wait_ms));
            self.fetches.push(ParkedFetch { deadline_ms, id, fetch });
        } else {
            self.respond_fetch(id, &fetch, outcome);
        }
    }

    /// Looks what there is for a replica, and takes note of what it has.
    fn try_fetch(&mut self, now_ms: i64, fetch: &PartitionFetch) -> Outcome {
        if let Some(error) = self.validate_leader_only_request(fetch.leader_epoch) {
            return Outcome::Failed(error);
        }
        let latest = self.log.latest_snapshot_id();
        // To an empty log a snapshot is the shorter way.
        if let Some(id) =
            latest.filter(|id| fetch.offset == 0 && *id != OffsetAndEpoch::BOOTSTRAP_SNAPSHOT_ID)
        {
            return Outcome::Snapshot(id);
        }
        match self.log.validate(fetch.offset, fetch.last_fetched_epoch) {
            ValidOffsetAndEpoch::Diverging(end) => return Outcome::Diverging(end),
            ValidOffsetAndEpoch::Snapshot(id) => return Outcome::Snapshot(id),
            ValidOffsetAndEpoch::Valid => {}
        }
        let (end_offset, timeout) = (self.log.end_offset(), self.quorum.check_quorum_timeout_ms());
        let Some(leader) = self.quorum.leader_mut() else {
            return Outcome::Failed(ErrorCode::NotLeaderOrFollower);
        };
        if leader.update_replica_state(fetch.replica, now_ms, fetch.offset, end_offset, timeout) {
            self.on_update_leader_high_watermark(now_ms);
        }
        if fetch.offset < end_offset { Outcome::Records } else { Outcome::Nothing }
    }

    /// Answers the waiting fetches for which there is something before this offset.
    pub(super) fn complete_fetches(&mut self, now_ms: i64, offset: i64) {
        let parked = std::mem::take(&mut self.fetches);
        let (ready, waiting) = parked.into_iter().partition(|parked| parked.fetch.offset < offset);
        self.fetches = waiting;
        let ready: Vec<ParkedFetch> = ready;
        for parked in ready {
            let outcome = self.try_fetch(now_ms, &parked.fetch);
            self.respond_fetch(parked.id, &parked.fetch, outcome);
        }
    }

    /// Answers those whose time is over with nothing.
    pub(super) fn expire_fetches(&mut self, now_ms: i64) {
        let parked = std::mem::take(&mut self.fetches);
        for parked in parked {
            if parked.deadline_ms > now_ms {
                self.fetches.push(parked);
            } else {
                self.respond_fetch(parked.id, &parked.fetch, Outcome::Nothing);
            }
        }
    }

    /// The node leads no more.
    pub(super) fn fail_fetches(&mut self) {
        for parked in std::mem::take(&mut self.fetches) {
            self.respond_fetch(parked.id, &parked.fetch, Outcome::Failed(ErrorCode::NotLeaderOrFollower));
        }
    }

    fn respond_fetch(&mut self, id: u64, fetch: &PartitionFetch, outcome: Outcome) {
        let mut partition = PartitionData {
            partition_index: 0,
            log_start_offset: self.log.start_offset(),
            high_watermark: self.high_watermark().unwrap_or(-1),
            current_leader: LeaderIdAndEpoch {
                leader_id: self.leader_id_or_sentinel(),
                leader_epoch: self.quorum.epoch(),
                ..Default::default()
            },
            records: Some(bytes::Bytes::new().into()),
            ..Default::default()
        };
        let has_records = matches!(outcome, Outcome::Records);
        match outcome {
            Outcome::Failed(error) => {
                partition.error_code = error.code();
                partition.high_watermark = -1;
            }
            Outcome::Diverging(end) => {
                partition.diverging_epoch =
                    EpochEndOffset { epoch: end.epoch, end_offset: end.offset, ..Default::default() };
            }
            Outcome::Snapshot(id) => {
                partition.snapshot_id =
                    SnapshotId { epoch: id.epoch, end_offset: id.offset, ..Default::default() };
            }
            Outcome::Records | Outcome::Nothing => {}
        }
        let endpoint = self.leader_endpoint().filter(|_| fetch.version >= NODE_ENDPOINTS_VERSION);
        let response = FetchResponse {
            responses: vec![FetchableTopicResponse {
                topic: CLUSTER_METADATA_TOPIC.into(),
                topic_id: Uuid::METADATA_TOPIC_ID,
                partitions: vec![partition],
                ..Default::default()
            }],
            node_endpoints: endpoint
                .map(|(node_id, host, port)| NodeEndpoint {
                    node_id,
                    host: host.into(),
                    port: i32::from(port),
                    ..Default::default()
                })
                .into_iter()
                .collect(),
            ..Default::default()
        };
        self.actions.push(if has_records {
            let (offset, max_bytes) = (fetch.offset, fetch.max_bytes);
            RaftAction::RespondWithRecords { id, response, offset, max_bytes }
        } else {
            RaftAction::Respond { id, response: RaftResponse::Fetch(response) }
        });
    }
}

fn partition_fetch(request: &FetchRequest, version: i16) -> Option<PartitionFetch> {
    let [topic] = request.topics.as_slice() else { return None };
    let named = if version >= TOPIC_ID_VERSION {
        topic.topic_id == Uuid::METADATA_TOPIC_ID
    } else {
        topic.topic == CLUSTER_METADATA_TOPIC
    };
    let [partition] = topic.partitions.as_slice() else { return None };
    if !named || partition.partition != 0 {
        return None;
    }
    // Since version 15 the replica stands in a structure of its own (KIP-903).
    let replica_id =
        if request.replica_id != -1 { request.replica_id } else { request.replica_state.replica_id };
    Some(PartitionFetch {
        version,
        replica: ReplicaKey::new(replica_id, partition.replica_directory_id),
        leader_epoch: partition.current_leader_epoch,
        offset: partition.fetch_offset,
        last_fetched_epoch: partition.last_fetched_epoch,
        known_high_watermark: partition.high_watermark,
        max_bytes: request.max_bytes,
    })
}
