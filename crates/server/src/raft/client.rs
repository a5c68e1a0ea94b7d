//! The handle by which the rest of the process speaks to the metadata quorum.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ottla_common::time::Time;
use ottla_common::{ErrorCode, Uuid};
use ottla_metadata::ApiMessageAndVersion;
use ottla_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, DescribeQuorumRequest, DescribeQuorumResponse,
    EndQuorumEpochRequest, EndQuorumEpochResponse, FetchRequest, FetchResponse, FetchSnapshotRequest,
    FetchSnapshotResponse, VoteRequest, VoteResponse,
};
use ottla_raft::{
    AppendError, Endpoints, LeaderAndEpoch, OffsetAndEpoch, RaftRequest, RaftResponse, VoterSet,
};
use ottla_storage::fs::FileSystem;

use super::driver;
use super::listener::RaftListener;
use super::metadata_log::MetadataLogError;
use super::quorum_state_store::QuorumStateError;
use super::shared::{IdleAppend, Shared};
use super::snapshot::{SnapshotError, SnapshotWriter};

/// What the quorum client needs to know to start.
#[derive(Debug, Clone)]
pub struct RaftConfig {
    /// `node.id`.
    pub node_id: i32,
    /// `directory.id` of the folder that holds the metadata log.
    pub directory_id: Uuid,
    /// The cluster this node was formatted for; requests of another are refused.
    pub cluster_id: String,
    /// `metadata.log.dir`: the folder that holds `__cluster_metadata-0`.
    pub metadata_log_dir: PathBuf,
    /// Whether `process.roles` has `controller`: only then may this node be a voter.
    pub can_become_voter: bool,
    /// `controller.quorum.voters` under the first controller listener's name; empty for a dynamic quorum.
    pub static_voters: VoterSet,
    /// `controller.quorum.bootstrap.servers`.
    pub bootstrap_servers: Vec<(String, u16)>,
    /// Advertised controller listeners of this node, the first being the quorum's own.
    pub local_listeners: Endpoints,
    /// `controller.quorum.election.timeout.ms`.
    pub election_timeout_ms: i32,
    /// `controller.quorum.election.backoff.max.ms`.
    pub election_backoff_max_ms: i32,
    /// `controller.quorum.fetch.timeout.ms`.
    pub fetch_timeout_ms: i32,
    /// `controller.quorum.request.timeout.ms`.
    pub request_timeout_ms: i32,
    /// `controller.quorum.retry.backoff.ms`.
    pub retry_backoff_ms: i32,
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: i32,
    /// `metadata.log.segment.ms`.
    pub segment_ms: i64,
    /// `metadata.max.retention.bytes`; negative is without bound.
    pub max_retention_bytes: i64,
    /// `metadata.max.retention.ms`; negative is without bound.
    pub max_retention_ms: i64,
}

impl RaftConfig {
    /// A node with Kafka's defaults for everything that has one.
    pub fn new(node_id: i32, directory_id: Uuid, cluster_id: String, metadata_log_dir: PathBuf) -> Self {
        Self {
            node_id,
            directory_id,
            cluster_id,
            metadata_log_dir,
            can_become_voter: true,
            static_voters: VoterSet::default(),
            bootstrap_servers: Vec::new(),
            local_listeners: Endpoints::default(),
            election_timeout_ms: 1_000,
            election_backoff_max_ms: 1_000,
            fetch_timeout_ms: 2_000,
            request_timeout_ms: 2_000,
            retry_backoff_ms: 20,
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 60 * 60 * 1_000,
            max_retention_bytes: 100 * 1024 * 1024,
            max_retention_ms: 7 * 24 * 60 * 60 * 1_000,
        }
    }
}

/// Answers of the quorum's own requests name endpoints since KIP-853.
const FIRST_VERSION_WITH_ENDPOINTS: i16 = 1;
/// DescribeQuorum names directory ids and nodes since KIP-853.
const FIRST_VERSION_WITH_DIRECTORY_IDS: i16 = 2;

/// Why the quorum client did not start.
#[derive(Debug, thiserror::Error)]
pub enum RaftStartError {
    /// The election state could not be read or written.
    #[error(transparent)]
    QuorumState(#[from] QuorumStateError),
    /// The metadata log could not be opened or read.
    #[error(transparent)]
    Log(#[from] MetadataLogError),
    /// A snapshot could not be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// What is on disk contradicts itself.
    #[error(transparent)]
    Kernel(#[from] ottla_raft::InitializeError),
    /// The operating system gave no thread.
    #[error("cannot start the raft thread: {0}")]
    Thread(std::io::Error),
}

/// Why a snapshot cannot be begun.
#[derive(Debug, thiserror::Error)]
pub enum CreateSnapshotError {
    /// Its end is not committed.
    #[error("snapshot {id} is beyond the high watermark {high_watermark}")]
    BeyondHighWatermark {
        /// The snapshot asked for.
        id: OffsetAndEpoch,
        /// What is committed.
        high_watermark: i64,
    },
    /// The log has another epoch there, or no batch begins there.
    #[error("snapshot {0} does not fit the log")]
    DoesNotFitLog(OffsetAndEpoch),
    /// The file could not be made.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] MetadataLogError),
}

/// The one member of the metadata quorum that runs in this process. Clones speak to the same.
///
/// Its state lives on a thread of its own, which does all IO of the metadata log; no method of this handle
/// waits for the disk unless it says so.
#[derive(Debug, Clone)]
pub struct RaftClient {
    shared: Arc<Shared>,
}

impl RaftClient {
    /// Opens or makes the metadata log, finds the state of the last run and starts the raft thread.
    /// Waits for the disk.
    pub fn start(
        config: RaftConfig,
        fs: Arc<dyn FileSystem>,
        time: Arc<dyn Time>,
    ) -> Result<Self, RaftStartError> {
        Ok(Self { shared: driver::start(config, fs, time)? })
    }

    /// Adds a listener. It is first handed the latest snapshot, if there is one, or else the log from its
    /// start, as soon as a high watermark is known.
    pub fn register(&self, listener: Box<dyn RaftListener>) {
        self.shared.register(listener);
    }

    /// Gives the records offsets and keeps them, in one batch (all or none of them become part of the log),
    /// until [`Self::schedule_prepared_append`]. Returns the offset of the last. Records prepared in
    /// succession are appended in that order.
    pub fn prepare_append(&self, epoch: i32, records: Vec<ApiMessageAndVersion>) -> Result<i64, AppendError> {
        self.shared.prepare_append(epoch, records)
    }

    /// Lets everything that was prepared go to the log.
    pub fn schedule_prepared_append(&self) {
        self.shared.schedule_prepared_append();
    }

    /// Both steps at once. The records are committed when a listener gets them.
    pub fn schedule_append(
        &self,
        epoch: i32,
        records: Vec<ApiMessageAndVersion>,
    ) -> Result<i64, AppendError> {
        let offset = self.prepare_append(epoch, records)?;
        self.schedule_prepared_append();
        Ok(offset)
    }

    /// From now on, and as long as this node leads in this epoch: appends the records, in one batch, whenever
    /// nothing was appended for so long.
    pub fn append_when_idle(&self, epoch: i32, interval_ms: i64, records: Vec<ApiMessageAndVersion>) {
        self.shared.append_when_idle(IdleAppend { epoch, interval_ms, records });
    }

    /// One past the last committed offset, once it is known in this epoch.
    pub fn high_watermark(&self) -> Option<i64> {
        self.shared.status().high_watermark
    }

    /// Who leads.
    pub fn leader_and_epoch(&self) -> LeaderAndEpoch {
        self.shared.status().leader_and_epoch
    }

    /// One past the last offset in the local log.
    pub fn log_end_offset(&self) -> i64 {
        self.shared.status().log_end_offset
    }

    /// The first offset in the local log.
    pub fn log_start_offset(&self) -> i64 {
        self.shared.status().log_start_offset
    }

    /// This node's id.
    pub fn node_id(&self) -> i32 {
        self.shared.node_id()
    }

    /// The voters that the end of the log names.
    pub fn voters(&self) -> VoterSet {
        self.shared.status().voters.clone()
    }

    /// The finalized `kraft.version`.
    pub fn kraft_version(&self) -> i16 {
        self.shared.status().kraft_version
    }

    /// Where the leader's controller listener of this name can be reached, if the quorum knows it.
    pub fn leader_endpoint(&self, listener: &str) -> Option<(String, u16)> {
        let status = self.shared.status();
        let leader = status.leader_and_epoch.leader_id?;
        let endpoint = status.leader_endpoints.get(listener).cloned();
        let endpoint = endpoint.or_else(|| status.voters.listeners(leader)?.get(listener).cloned())?;
        Some((endpoint.host, endpoint.port))
    }

    /// The newest snapshot.
    pub fn latest_snapshot_id(&self) -> Option<OffsetAndEpoch> {
        self.shared.latest_snapshot_id()
    }

    /// Begins a snapshot of everything before `id.offset`, the first offset of a batch or the end of the log,
    /// with `id.epoch` the epoch of the batch before. `None` if the log starts later already or that snapshot
    /// exists. It becomes visible by `freeze`. The writer works on the caller's thread and waits for the disk.
    pub fn create_snapshot(
        &self,
        id: OffsetAndEpoch,
        last_contained_log_timestamp: i64,
    ) -> Result<Option<SnapshotWriter>, CreateSnapshotError> {
        self.shared.create_snapshot(id, last_contained_log_timestamp)
    }

    /// Answers DescribeQuorum.
    pub async fn describe_quorum(
        &self,
        request: DescribeQuorumRequest,
        version: i16,
    ) -> DescribeQuorumResponse {
        let answer = self.shared.ask(RaftRequest::DescribeQuorum(request)).await;
        let Some(RaftResponse::DescribeQuorum(mut response)) = answer else {
            return DescribeQuorumResponse { error_code: stopped(), ..Default::default() };
        };
        if version < FIRST_VERSION_WITH_DIRECTORY_IDS {
            response.nodes.clear();
            let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            for partition in partitions {
                let replicas = partition.current_voters.iter_mut().chain(&mut partition.observers);
                replicas.for_each(|replica| replica.replica_directory_id = Uuid::ZERO);
            }
        }
        response
    }

    /// Answers Fetch of the metadata partition; waits as long as the request allows for news.
    pub async fn handle_fetch(&self, request: FetchRequest, version: i16) -> FetchResponse {
        match self.shared.ask(RaftRequest::Fetch(request, version)).await {
            Some(RaftResponse::Fetch(response)) => response,
            _ => FetchResponse { error_code: stopped(), ..Default::default() },
        }
    }

    /// Answers FetchSnapshot.
    pub async fn handle_fetch_snapshot(
        &self,
        request: FetchSnapshotRequest,
        version: i16,
    ) -> FetchSnapshotResponse {
        let answer = self.shared.ask(RaftRequest::FetchSnapshot(request)).await;
        let Some(RaftResponse::FetchSnapshot(mut response)) = answer else {
            return FetchSnapshotResponse { error_code: stopped(), ..Default::default() };
        };
        if version < FIRST_VERSION_WITH_ENDPOINTS {
            response.node_endpoints.clear();
        }
        response
    }

    /// Answers Vote.
    pub async fn handle_vote(&self, request: VoteRequest, version: i16) -> VoteResponse {
        let answer = self.shared.ask(RaftRequest::Vote(request)).await;
        let Some(RaftResponse::Vote(mut response)) = answer else {
            return VoteResponse { error_code: stopped(), ..Default::default() };
        };
        if version < FIRST_VERSION_WITH_ENDPOINTS {
            response.node_endpoints.clear();
        }
        response
    }

    /// Answers BeginQuorumEpoch.
    pub async fn handle_begin_quorum_epoch(
        &self,
        request: BeginQuorumEpochRequest,
        version: i16,
    ) -> BeginQuorumEpochResponse {
        let answer = self.shared.ask(RaftRequest::BeginQuorumEpoch(request)).await;
        let Some(RaftResponse::BeginQuorumEpoch(mut response)) = answer else {
            return BeginQuorumEpochResponse { error_code: stopped(), ..Default::default() };
        };
        if version < FIRST_VERSION_WITH_ENDPOINTS {
            response.node_endpoints.clear();
        }
        response
    }

    /// Answers EndQuorumEpoch.
    pub async fn handle_end_quorum_epoch(
        &self,
        request: EndQuorumEpochRequest,
        version: i16,
    ) -> EndQuorumEpochResponse {
        let answer = self.shared.ask(RaftRequest::EndQuorumEpoch(request)).await;
        let Some(RaftResponse::EndQuorumEpoch(mut response)) = answer else {
            return EndQuorumEpochResponse { error_code: stopped(), ..Default::default() };
        };
        if version < FIRST_VERSION_WITH_ENDPOINTS {
            response.node_endpoints.clear();
        }
        response
    }

    /// Why the raft thread stopped on its own: its disk failed. The process should stop too.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure()
    }

    /// Gives up leadership of this epoch, if held; a controller that cannot go on calls it.
    pub fn resign(&self, epoch: i32) {
        self.shared.resign(epoch);
    }

    /// Stops: tells the other voters, flushes and closes the log and ends the thread. Waits for that, at most
    /// `timeout` for the other voters. True if the thread ended in peace.
    pub fn shutdown(&self, timeout: Duration) -> bool {
        self.shared.shutdown(timeout)
    }
}

fn stopped() -> i16 {
    ErrorCode::BrokerNotAvailable.code()
}
