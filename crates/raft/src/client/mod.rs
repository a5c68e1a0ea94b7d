//! The machine: what goes in, what comes out, and the turns of its roles.

mod describe_quorum;
mod fetch;
mod fetch_snapshot;
mod follower;
mod leader;
mod message;
mod quorum_requests;
mod request_manager;
mod responses;
mod vote;

use bytes::Bytes;

use crate::control::ControlRecord;
use crate::epoch_state::EpochState;
use crate::{
    CompletedBatch, ElectionState, Endpoints, InitializeError, LeaderAndEpoch, LogView, OffsetAndEpoch,
    PartitionState, QuorumConfig, QuorumState,
};
use fetch::ParkedFetch;
pub use message::{CLUSTER_METADATA_TOPIC, RaftRequest, RaftResponse};
pub use request_manager::Node;
use request_manager::RequestManager;

/// The longest time between two polls.
const MAX_POLL_MS: i64 = 60_000;

/// What never changes while the node runs.
#[derive(Debug, Clone)]
pub struct KernelConfig {
    /// Identity and timeouts of elections.
    pub quorum: QuorumConfig,
    /// The cluster's id.
    pub cluster_id: String,
    /// Name of the listener over which voters speak with each other.
    pub listener: String,
    /// `controller.quorum.bootstrap.servers`, or the static voters' addresses.
    pub bootstrap_servers: Vec<(String, u16)>,
    /// `controller.quorum.request.timeout.ms`.
    pub request_timeout_ms: i32,
    /// `controller.quorum.retry.backoff.ms`.
    pub retry_backoff_ms: i32,
    /// `controller.quorum.election.backoff.max.ms`.
    pub election_backoff_max_ms: i32,
    /// `controller.quorum.fetch.max.bytes` of a follower.
    pub fetch_max_bytes: i32,
}

/// What can happen.
#[derive(Debug, Clone)]
pub enum RaftInput {
    /// Time went by.
    Tick,
    /// Someone asks; the answer carries the same id.
    Request {
        /// Names the answer.
        id: u64,
        /// What is asked.
        request: RaftRequest,
    },
    /// An answer came, or none will.
    Response {
        /// Of the request.
        correlation_id: u64,
        /// `None` if the connection or its time ran out.
        response: Option<RaftResponse>,
    },
    /// The accumulator was drained.
    Append(Vec<CompletedBatch>),
    /// Everything before is on disk.
    LogFlushed(i64),
    /// A snapshot became visible that this node made.
    SnapshotFrozen(OffsetAndEpoch),
    /// A snapshot was fetched whole and is visible; it has these control records.
    SnapshotFetched(OffsetAndEpoch, Vec<ControlRecord>),
    /// The log's beginning was deleted up to this snapshot.
    LogCleaned(OffsetAndEpoch),
    /// Leave the leadership of this epoch.
    Resign(i32),
    /// Stop, and tell the others until this moment.
    Shutdown {
        /// When to stop waiting for others.
        deadline_ms: i64,
    },
}

/// What to do, in this order. None may overtake another.
#[derive(Debug, Clone, PartialEq)]
pub enum RaftAction {
    /// Write the election state; it must be durable before the next action.
    PersistElectionState {
        /// What to write.
        state: ElectionState,
        /// The file's version, which `kraft.version` decides.
        version: i16,
    },
    /// Append this batch to the log, as it is; tell [`RaftInput::LogFlushed`] once it is on disk.
    Append {
        /// The bytes of one batch or several.
        records: Bytes,
        /// Whether the local leader wrote them.
        as_leader: bool,
        /// The leader's epoch.
        epoch: i32,
    },
    /// Cut the log back to this end.
    TruncateTo(i64),
    /// Empty the log and let it begin at this snapshot.
    TruncateToSnapshot(OffsetAndEpoch),
    /// This is committed: tell the listeners.
    AdvanceHighWatermark(i64),
    /// Leader or epoch changed: tell the listeners; a leader itself only once it was told of everything
    /// before its epoch's start.
    LeaderChanged {
        /// Who leads now.
        leader: LeaderAndEpoch,
        /// Where it is.
        endpoints: Endpoints,
        /// Where its epoch starts, if it is this node.
        epoch_start_offset: Option<i64>,
    },
    /// Take records for this epoch from here on.
    OpenAccumulator {
        /// The epoch in which this node leads.
        epoch: i32,
        /// The first offset it gives.
        base_offset: i64,
    },
    /// Take no more records, and drop those that wait.
    CloseAccumulator,
    /// Answer.
    Respond {
        /// Of the request.
        id: u64,
        /// The answer.
        response: RaftResponse,
    },
    /// Read the log and answer.
    RespondWithRecords {
        /// Of the request.
        id: u64,
        /// The answer but for its records.
        response: ottla_protocol::messages::FetchResponse,
        /// Where to read.
        offset: i64,
        /// How much.
        max_bytes: i32,
    },
    /// Read a snapshot and answer.
    RespondWithSnapshot {
        /// Of the request.
        id: u64,
        /// The answer but for its bytes and size.
        response: ottla_protocol::messages::FetchSnapshotResponse,
        /// Which snapshot.
        snapshot: OffsetAndEpoch,
        /// Where to read.
        position: i64,
        /// How much.
        max_bytes: i32,
    },
    /// Ask another node.
    Send {
        /// Names the answer.
        correlation_id: u64,
        /// Whom.
        to: Node,
        /// What.
        request: RaftRequest,
    },
    /// Write a piece of a snapshot that is fetched. With the last piece make it visible and tell
    /// [`RaftInput::SnapshotFetched`].
    WriteSnapshotChunk {
        /// Which snapshot.
        id: OffsetAndEpoch,
        /// Where the piece belongs; 0 begins anew.
        position: i64,
        /// The piece.
        bytes: Bytes,
        /// Whether it is the last.
        last: bool,
    },
    /// All is told, the node may stop.
    ShutdownComplete,
}

/// One member of the metadata quorum, voter or observer.
#[derive(Debug, Clone)]
pub struct KafkaRaftClient {
    config: KernelConfig,
    quorum: QuorumState,
    partition: PartitionState,
    log: LogView,
    flushed_end_offset: i64,
    fetches: Vec<ParkedFetch>,
    requests: RequestManager,
    reported_leader: LeaderAndEpoch,
    shutdown_deadline_ms: Option<i64>,
    shutdown_complete: bool,
    actions: Vec<RaftAction>,
}

impl KafkaRaftClient {
    /// A node that starts: `partition` has read snapshot and log to the end, everything in which is on disk.
    pub fn new(
        config: KernelConfig,
        seed: u64,
        stored: Option<ElectionState>,
        partition: PartitionState,
        log: LogView,
        now_ms: i64,
    ) -> Result<Self, InitializeError> {
        let kraft_version = partition.last_kraft_version();
        if kraft_version > crate::MAX_KRAFT_VERSION {
            return Err(InitializeError::UnknownKRaftVersion(kraft_version));
        }
        // Without configured voters they are still to be learned, from those who have them.
        let nowhere = partition.last_voter_set_offset().is_none() && !partition.last_voter_set().is_empty();
        if kraft_version > 0 && nowhere {
            return Err(InitializeError::NoVoters(kraft_version));
        }
        let quorum =
            QuorumState::initialize(config.quorum.clone(), seed, stored, log.end(), &partition, now_ms);
        let requests = RequestManager::new(&config);
        let mut this = Self {
            config,
            quorum,
            partition,
            flushed_end_offset: log.end_offset(),
            log,
            fetches: Vec::new(),
            requests,
            reported_leader: LeaderAndEpoch { leader_id: None, epoch: -1 },
            shutdown_deadline_ms: None,
            shutdown_complete: false,
            actions: Vec::new(),
        };
        this.save_election_state();
        if this.quorum.is_only_voter(&this.partition) {
            // Nobody else could win, so there is nothing to wait for.
            match this.quorum.state() {
                EpochState::Candidate(_) => this.on_become_candidate(now_ms),
                _ => this.transition_to_prospective(now_ms),
            }
        }
        this.report_leader();
        Ok(this)
    }

    /// Something happened; the actions are what to do about it, in order.
    pub fn handle(&mut self, now_ms: i64, input: RaftInput) -> Vec<RaftAction> {
        match input {
            RaftInput::Tick => {}
            RaftInput::Request { id, request } => self.handle_request(now_ms, id, request),
            RaftInput::Response { correlation_id, response } => {
                self.handle_response(now_ms, correlation_id, response);
            }
            RaftInput::Append(batches) => self.append_batches(now_ms, batches),
            RaftInput::LogFlushed(end_offset) => self.log_flushed(now_ms, end_offset),
            RaftInput::SnapshotFrozen(id) => self.log.add_snapshot(id),
            RaftInput::SnapshotFetched(id, records) => self.snapshot_fetched(now_ms, id, &records),
            RaftInput::LogCleaned(id) => {
                self.log.delete_before_snapshot(id);
                self.partition.truncate_old_entries(id.offset);
            }
            RaftInput::Resign(epoch) => self.resign(epoch),
            RaftInput::Shutdown { deadline_ms } => {
                self.shutdown_deadline_ms.get_or_insert(deadline_ms);
            }
        }
        self.poll(now_ms);
        self.take_actions()
    }

    /// When to come back with a [`RaftInput::Tick`] at the latest.
    pub fn poll_timeout(&self, now_ms: i64) -> i64 {
        let role = match self.quorum.state() {
            EpochState::Unattached(s) => s.election_deadline_ms.unwrap_or(i64::MAX),
            EpochState::Prospective(s) => s.election_deadline_ms,
            EpochState::Candidate(s) => s.election_deadline_ms,
            EpochState::Follower(s) => s.fetch_deadline_ms,
            EpochState::Resigned(s) => s.election_deadline_ms,
            EpochState::Leader(s) if s.needs_check_quorum() => {
                s.check_quorum_deadline_ms.min(s.begin_quorum_epoch_deadline_ms)
            }
            EpochState::Leader(_) => i64::MAX,
        };
        let fetch = self.fetches.iter().map(|parked| parked.deadline_ms).min().unwrap_or(i64::MAX);
        let shutdown = self.shutdown_deadline_ms.unwrap_or(i64::MAX);
        let requests = self.requests.next_deadline_ms(now_ms);
        role.min(fetch).min(shutdown).min(requests).min(now_ms + MAX_POLL_MS).max(now_ms)
    }

    /// The actions that starting left.
    pub fn take_actions(&mut self) -> Vec<RaftAction> {
        std::mem::take(&mut self.actions)
    }

    /// The role.
    pub fn state(&self) -> &EpochState {
        self.quorum.state()
    }

    /// What is known of the log.
    pub fn log(&self) -> &LogView {
        &self.log
    }

    /// Voters and `kraft.version`.
    pub fn partition(&self) -> &PartitionState {
        &self.partition
    }

    /// What is committed, as far as known.
    pub fn high_watermark(&self) -> Option<i64> {
        self.quorum.state().high_watermark()
    }

    fn handle_request(&mut self, now_ms: i64, id: u64, request: RaftRequest) {
        let response = match request {
            RaftRequest::Vote(request) => RaftResponse::Vote(self.handle_vote(now_ms, &request)),
            RaftRequest::BeginQuorumEpoch(request) => {
                RaftResponse::BeginQuorumEpoch(self.handle_begin_quorum_epoch(now_ms, &request))
            }
            RaftRequest::EndQuorumEpoch(request) => {
                RaftResponse::EndQuorumEpoch(self.handle_end_quorum_epoch(now_ms, &request))
            }
            RaftRequest::DescribeQuorum(request) => {
                RaftResponse::DescribeQuorum(self.handle_describe_quorum(now_ms, &request))
            }
            RaftRequest::Fetch(request, version) => return self.handle_fetch(now_ms, id, request, version),
            RaftRequest::FetchSnapshot(request) => return self.handle_fetch_snapshot(now_ms, id, &request),
        };
        self.actions.push(RaftAction::Respond { id, response });
    }

    /// What the role does on its own when its time comes.
    fn poll(&mut self, now_ms: i64) {
        self.expire_fetches(now_ms);
        match self.quorum.state() {
            EpochState::Unattached(_) => self.poll_unattached(now_ms),
            EpochState::Prospective(_) | EpochState::Candidate(_) => self.poll_nominee(now_ms),
            EpochState::Leader(_) => self.poll_leader(now_ms),
            EpochState::Follower(_) => self.poll_follower(now_ms),
            EpochState::Resigned(_) => self.poll_resigned(now_ms),
        }
        self.report_leader();
        self.poll_shutdown(now_ms);
    }

    fn poll_shutdown(&mut self, now_ms: i64) {
        let Some(deadline) = self.shutdown_deadline_ms else { return };
        let told = match self.quorum.state() {
            EpochState::Leader(_) => false,
            EpochState::Resigned(s) => s.unacked_voters.is_empty(),
            _ => true,
        };
        if !self.shutdown_complete && (told || now_ms >= deadline) {
            self.shutdown_complete = true;
            self.actions.push(RaftAction::ShutdownComplete);
        }
    }

    fn save_election_state(&mut self) {
        if let Some(state) = self.quorum.take_unsaved() {
            let version = self.partition.last_kraft_version();
            self.actions.push(RaftAction::PersistElectionState { state, version });
        }
    }

    fn report_leader(&mut self) {
        let leader = match self.quorum.state() {
            // The epoch goes on, but without it.
            EpochState::Resigned(s) => LeaderAndEpoch { leader_id: None, epoch: s.epoch },
            state => state.leader_and_epoch(),
        };
        if leader != self.reported_leader {
            self.reported_leader = leader;
            self.actions.push(RaftAction::LeaderChanged {
                leader,
                endpoints: self.quorum.state().leader_endpoints(),
                epoch_start_offset: self.quorum.leader().map(|state| state.epoch_start_offset),
            });
        }
    }

    /// Whatever the node was, it becomes a follower or unattached: its requests and promises lapse.
    fn leave_role(&mut self, was_leader: bool) {
        self.requests.reset();
        if was_leader {
            self.actions.push(RaftAction::CloseAccumulator);
            self.fail_fetches();
        }
    }

    fn transition_to_unattached(&mut self, now_ms: i64, epoch: i32, leader_id: Option<i32>) {
        let was_leader = self.quorum.leader().is_some();
        self.quorum.transition_to_unattached(now_ms, epoch, leader_id, &self.partition);
        self.save_election_state();
        self.leave_role(was_leader);
        self.report_leader();
    }

    fn transition_to_follower(&mut self, now_ms: i64, epoch: i32, leader_id: i32, endpoints: Endpoints) {
        let was_leader = self.quorum.leader().is_some();
        self.quorum.transition_to_follower(now_ms, epoch, leader_id, endpoints, &self.partition);
        self.save_election_state();
        self.leave_role(was_leader);
        self.report_leader();
    }

    fn transition_to_prospective(&mut self, now_ms: i64) {
        self.quorum.transition_to_prospective(now_ms, &self.partition);
        self.requests.reset();
        self.maybe_transition_forward(now_ms);
    }

    fn transition_to_candidate(&mut self, now_ms: i64) {
        self.quorum.transition_to_candidate(now_ms, &self.partition);
        self.save_election_state();
        self.report_leader();
        self.on_become_candidate(now_ms);
    }

    fn on_become_candidate(&mut self, now_ms: i64) {
        self.requests.reset();
        self.maybe_transition_forward(now_ms);
    }

    /// A question or an election that is won leads one step on.
    fn maybe_transition_forward(&mut self, now_ms: i64) {
        match self.quorum.state() {
            EpochState::Prospective(s) if s.election.is_vote_granted() => {
                self.transition_to_candidate(now_ms)
            }
            EpochState::Candidate(s) if s.election.is_vote_granted() => self.on_become_leader(now_ms),
            _ => {}
        }
    }

    /// Someone named the leader of an epoch.
    fn maybe_transition(&mut self, now_ms: i64, leader_id: Option<i32>, epoch: i32, endpoints: Endpoints) {
        let local_id = self.quorum.local().id;
        let leader_id = leader_id.filter(|id| *id != local_id);
        if epoch > self.quorum.epoch() {
            match leader_id {
                Some(leader) if !endpoints.is_empty() => {
                    self.transition_to_follower(now_ms, epoch, leader, endpoints);
                }
                known => self.transition_to_unattached(now_ms, epoch, known),
            }
        } else if epoch == self.quorum.epoch() && !endpoints.is_empty() {
            let Some(leader) = leader_id else { return };
            let state = self.quorum.state();
            let follows = matches!(state, EpochState::Follower(_) | EpochState::Leader(_));
            let resigned = matches!(state, EpochState::Resigned(_));
            let consistent = state.leader_id().is_none_or(|known| known == leader);
            if consistent && !follows && !resigned {
                self.transition_to_follower(now_ms, epoch, leader, endpoints);
            }
        }
    }

    fn leader_endpoints_of(&self, leader_id: Option<i32>) -> Endpoints {
        leader_id
            .and_then(|id| self.partition.last_voter_set().listeners(id).cloned())
            .unwrap_or(Endpoints::EMPTY)
    }
}
