//! The raft thread: feeds the kernel and does what it says, in the order in which it says it.
//!
//! All that waits in the inbox is handed to the kernel before the log is forced to disk once, so that
//! appends of many callers share one fsync; only then does the node count itself among those that have the
//! records.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_common::ErrorCode;
use ottla_common::time::Time;
use ottla_raft::{
    Endpoints, KafkaRaftClient, KernelConfig, OffsetAndEpoch, PartitionState, QuorumConfig, RaftAction,
    RaftInput, RaftRequest, RaftResponse, ReplicaKey,
};
use ottla_storage::FetchIsolation;
use ottla_storage::fs::FileSystem;
use tokio::sync::oneshot;

use super::client::{RaftConfig, RaftStartError};
use super::listeners::Listeners;
use super::metadata_log::{KafkaMetadataLog, MetadataLogError};
use super::quorum_state_store::{FileQuorumStateStore, QuorumStateError};
use super::shared::{Command, IdleAppend, Shared, Status};
use super::snapshot::{PartialFile, SnapshotError};

/// How often superfluous snapshots are looked for.
const CLEAN_INTERVAL_MS: i64 = 60_000;
/// How often the log's put-off tasks are done while something happens.
const BACKGROUND_INTERVAL_MS: i64 = 1_000;
/// No answer has more bytes of records.
const MAX_RESPONSE_BYTES: usize = 8 << 20;

/// Why the raft thread cannot go on.
#[derive(Debug, thiserror::Error)]
enum DriverError {
    #[error(transparent)]
    Log(#[from] MetadataLogError),
    #[error(transparent)]
    QuorumState(#[from] QuorumStateError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

pub(super) fn start(
    config: RaftConfig,
    fs: Arc<dyn FileSystem>,
    time: Arc<dyn Time>,
) -> Result<Arc<Shared>, RaftStartError> {
    let log = KafkaMetadataLog::open(&config, Arc::clone(&fs), Arc::clone(&time))?;
    let store = FileQuorumStateStore::new(Arc::clone(&fs), log.dir());
    let mut partition = PartitionState::new(config.static_voters.clone());
    log.replay(&mut partition)?;
    tracing::info!(
        voters = ?partition.last_voter_set().ids().collect::<Vec<_>>(),
        kraft_version = partition.last_kraft_version(),
        log_end_offset = log.log().log_end_offset(),
        "read the metadata snapshot and log"
    );
    let clock = Clock::new(time);
    let seed = u64::from(config.node_id.unsigned_abs()) ^ clock.time.now_ms().unsigned_abs().rotate_left(17);
    let stored = store.read()?;
    let view = log.view()?;
    let mut kernel =
        KafkaRaftClient::new(kernel_config(&config), seed, stored, partition, view, clock.now_ms())?;
    let first = kernel.take_actions();
    let shared = Arc::new(Shared::new(
        config.node_id,
        Arc::clone(&fs),
        Arc::clone(&clock.time),
        Arc::clone(log.log()),
        log.snapshots().clone(),
    ));
    let driver = Driver {
        shared: Arc::clone(&shared),
        clock,
        kernel,
        log,
        store,
        fs,
        listeners: Listeners::new(config.node_id),
        asked: HashMap::new(),
        next_request_id: 0,
        leader_endpoints: Endpoints::EMPTY,
        fetching: None,
        dirty: false,
        unforced: false,
        was_asked: false,
        done: false,
        idle: None,
        idle_since_ms: 0,
        next_clean_ms: 0,
        next_background_ms: 0,
    };
    driver.publish_status();
    let thread = std::thread::Builder::new()
        .name("kafka-raft-io-thread".to_owned())
        .spawn(move || driver.run(first))
        .map_err(RaftStartError::Thread)?;
    shared.set_thread(thread);
    Ok(shared)
}

fn kernel_config(config: &RaftConfig) -> KernelConfig {
    let local = ReplicaKey::new(config.node_id, config.directory_id);
    let listener = config.local_listeners.iter().next().map(|(name, _)| name.to_owned());
    let listener = listener.or_else(|| {
        let voter = config.static_voters.iter().next()?;
        voter.listeners.iter().next().map(|(name, _)| name.to_owned())
    });
    let mut bootstrap_servers = config.bootstrap_servers.clone();
    if bootstrap_servers.is_empty() {
        let voters = config.static_voters.iter().filter(|voter| voter.key.id != config.node_id);
        let first = voters.filter_map(|voter| voter.listeners.iter().next());
        bootstrap_servers = first.map(|(_, at)| (at.host.clone(), at.port)).collect();
    }
    KernelConfig {
        quorum: QuorumConfig {
            local,
            local_listeners: config.local_listeners.clone(),
            election_timeout_ms: config.election_timeout_ms,
            fetch_timeout_ms: config.fetch_timeout_ms,
        },
        cluster_id: config.cluster_id.clone(),
        listener: listener.unwrap_or_else(|| "CONTROLLER".to_owned()),
        bootstrap_servers,
        request_timeout_ms: config.request_timeout_ms,
        retry_backoff_ms: config.retry_backoff_ms,
        election_backoff_max_ms: config.election_backoff_max_ms,
        fetch_max_bytes: MAX_RESPONSE_BYTES as i32,
    }
}

/// The wall's time at the start, moved on by a clock that never goes back: elections must not hang on NTP.
#[derive(Debug)]
struct Clock {
    time: Arc<dyn Time>,
    start_ms: i64,
    start_ns: i64,
}

impl Clock {
    fn new(time: Arc<dyn Time>) -> Self {
        Self { start_ms: time.now_ms(), start_ns: time.monotonic_ns(), time }
    }

    fn now_ms(&self) -> i64 {
        self.start_ms + (self.time.monotonic_ns() - self.start_ns) / 1_000_000
    }
}

struct Driver {
    shared: Arc<Shared>,
    clock: Clock,
    kernel: KafkaRaftClient,
    log: KafkaMetadataLog,
    store: FileQuorumStateStore,
    fs: Arc<dyn FileSystem>,
    listeners: Listeners,
    asked: HashMap<u64, oneshot::Sender<RaftResponse>>,
    next_request_id: u64,
    leader_endpoints: Endpoints,
    fetching: Option<PartialFile>,
    /// Whether the log has what is not on disk yet.
    dirty: bool,
    /// Whether it has what need not be there before somebody else reads it.
    unforced: bool,
    /// Whether another node or a tool asked anything since the log was idle last.
    was_asked: bool,
    done: bool,
    /// What to append when nothing was appended for a while; its wait counts from `idle_since_ms`.
    idle: Option<IdleAppend>,
    idle_since_ms: i64,
    next_clean_ms: i64,
    next_background_ms: i64,
}

/// Whether an election state is followed by the next one before anybody could learn of it. A voter that elects
/// itself goes through several at once, and each would wait for the disk twice.
fn is_superseded(action: &RaftAction, rest: &[RaftAction]) -> bool {
    let is_state = |action: &RaftAction| matches!(action, RaftAction::PersistElectionState { .. });
    let tells_nobody = |action: &&RaftAction| {
        let local = matches!(
            action,
            RaftAction::OpenAccumulator { .. }
                | RaftAction::CloseAccumulator
                | RaftAction::LeaderChanged { .. }
        );
        local || is_state(action)
    };
    is_state(action) && rest.iter().take_while(tells_nobody).any(is_state)
}

impl Driver {
    fn run(mut self, first: Vec<RaftAction>) {
        let result = self.run_until_done(first);
        self.listeners.begin_shutdown();
        let result = result.and_then(|()| self.log.close().map_err(DriverError::from));
        if let Err(error) = &result {
            tracing::error!(%error, "the metadata quorum client stops: without its log it must not go on");
        }
        self.shared.stop(result.err().map(|error| error.to_string()));
    }

    fn run_until_done(&mut self, first: Vec<RaftAction>) -> Result<(), DriverError> {
        self.execute(first)?;
        self.settle()?;
        while !self.done {
            let now = self.clock.now_ms();
            let wake_ms = self.kernel.poll_timeout(now).min(self.idle_deadline_ms());
            let timeout = wake_ms.saturating_sub(now);
            let commands = self.shared.wait(Duration::from_millis(timeout.max(0).unsigned_abs()));
            if commands.is_empty() {
                self.feed(RaftInput::Tick)?;
            }
            for command in commands {
                self.handle(command)?;
            }
            self.append_if_idle()?;
            self.settle()?;
            self.do_chores()?;
        }
        Ok(())
    }

    fn idle_deadline_ms(&self) -> i64 {
        self.idle.as_ref().map_or(i64::MAX, |idle| self.idle_since_ms.saturating_add(idle.interval_ms))
    }

    /// Done here and not by whoever wants it, so that a node at rest wakes one thread and not three.
    fn append_if_idle(&mut self) -> Result<(), DriverError> {
        let now = self.clock.now_ms();
        let Some(idle) = self.idle.as_ref().filter(|_| self.idle_deadline_ms() <= now) else { return Ok(()) };
        self.idle_since_ms = now;
        match self.shared.prepare_idle_append(idle) {
            Ok(Some(append)) => {
                let force = self.dirty || self.has_readers();
                self.handle(append)?;
                if !force {
                    self.count_as_flushed()?;
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "cannot append to the idle metadata log"),
        }
        Ok(())
    }

    /// Whether anybody else may have learned what is in the log. If so, nothing may be lost that was committed.
    fn has_readers(&mut self) -> bool {
        let asked = std::mem::take(&mut self.was_asked) || !self.asked.is_empty();
        asked || self.kernel.partition().last_voter_set().ids().count() > 1
    }

    /// A record that says nothing and that nobody else has seen may be lost with the power: nothing follows
    /// from it, and a sync of the disk twice a second is all that a node at rest would do.
    fn count_as_flushed(&mut self) -> Result<(), DriverError> {
        self.dirty = false;
        self.unforced = true;
        self.feed(RaftInput::LogFlushed(self.log.log().log_end_offset()))
    }

    fn handle(&mut self, command: Command) -> Result<(), DriverError> {
        match command {
            Command::Input(input) => self.feed(input),
            Command::Append(batches, decoded) => {
                self.idle_since_ms = self.clock.now_ms();
                self.listeners.expect(decoded);
                self.feed(RaftInput::Append(batches))
            }
            Command::Ask(request, reply) => {
                self.was_asked = true;
                if std::mem::take(&mut self.unforced) {
                    self.log.flush()?;
                }
                let id = self.next_request_id;
                self.next_request_id += 1;
                self.asked.insert(id, reply);
                self.feed(RaftInput::Request { id, request })
            }
            Command::AppendWhenIdle(idle) => {
                self.idle_since_ms = self.clock.now_ms();
                self.idle = Some(idle);
                Ok(())
            }
            Command::Register(listener) => {
                self.listeners.register(listener);
                Ok(())
            }
        }
    }

    /// Forces to disk what was appended, as long as that leads to more, then tells the listeners.
    fn settle(&mut self) -> Result<(), DriverError> {
        while self.dirty {
            (self.dirty, self.unforced) = (false, false);
            let end_offset = self.log.flush()?;
            self.feed(RaftInput::LogFlushed(end_offset))?;
        }
        self.publish_status();
        self.listeners.progress(&self.log, self.kernel.high_watermark())?;
        Ok(())
    }

    fn feed(&mut self, input: RaftInput) -> Result<(), DriverError> {
        let actions = self.kernel.handle(self.clock.now_ms(), input);
        self.execute(actions)
    }

    fn execute(&mut self, actions: Vec<RaftAction>) -> Result<(), DriverError> {
        let mut actions = actions.into_iter();
        while let Some(action) = actions.next() {
            if !is_superseded(&action, actions.as_slice()) {
                self.perform(action)?;
            }
        }
        Ok(())
    }

    fn perform(&mut self, action: RaftAction) -> Result<(), DriverError> {
        match action {
            RaftAction::PersistElectionState { state, version } => self.store.write(&state, version)?,
            RaftAction::Append { records, as_leader, epoch } => {
                if as_leader {
                    self.log.append_as_leader(records, epoch)?;
                } else {
                    self.log.append_as_follower(records, epoch)?;
                }
                self.dirty = true;
            }
            RaftAction::TruncateTo(offset) => self.log.truncate_to(offset)?,
            RaftAction::TruncateToSnapshot(id) => {
                let now = self.clock.now_ms();
                self.log.truncate_to_snapshot(id, now)?;
            }
            RaftAction::AdvanceHighWatermark(offset) => self.log.update_high_watermark(offset),
            RaftAction::LeaderChanged { leader, endpoints, epoch_start_offset } => {
                let (leader_id, epoch) = (leader.leader_id, leader.epoch);
                tracing::info!(?leader_id, epoch, "the leader of the metadata quorum changed");
                self.leader_endpoints = endpoints;
                self.listeners.leader_changed(leader, epoch_start_offset);
            }
            RaftAction::OpenAccumulator { epoch, base_offset } => {
                self.shared.open_accumulator(epoch, base_offset);
            }
            RaftAction::CloseAccumulator => {
                self.shared.close_accumulator();
                self.idle = None;
                self.listeners.expect_nothing();
            }
            RaftAction::Respond { id, response } => self.respond(id, response),
            RaftAction::RespondWithRecords { id, mut response, offset, max_bytes } => {
                let max_bytes = usize::try_from(max_bytes).unwrap_or(0).min(MAX_RESPONSE_BYTES);
                let records = self.log.read(offset, max_bytes, FetchIsolation::LogEnd);
                if let Some(partition) = response.responses.iter_mut().flat_map(|t| &mut t.partitions).next()
                {
                    match records {
                        Ok(records) => partition.records = Some(records.into()),
                        Err(error) => {
                            tracing::error!(%error, offset, "cannot answer a fetch of the metadata log");
                            partition.error_code = ErrorCode::UnknownServerError.code();
                        }
                    }
                }
                self.respond(id, RaftResponse::Fetch(response));
            }
            RaftAction::RespondWithSnapshot { id, mut response, snapshot, position, max_bytes } => {
                if let Some(partition) = response.topics.iter_mut().flat_map(|t| &mut t.partitions).next() {
                    let max_bytes = usize::try_from(max_bytes).unwrap_or(0).min(MAX_RESPONSE_BYTES);
                    match self.read_snapshot(snapshot, position, max_bytes) {
                        Ok((size, bytes)) => {
                            partition.size = size;
                            partition.position = position;
                            partition.unaligned_records = bytes.into();
                        }
                        Err(error) => partition.error_code = error.code(),
                    }
                }
                self.respond(id, RaftResponse::FetchSnapshot(response));
            }
            RaftAction::Send { correlation_id, to, request } => self.send(correlation_id, &to, &request)?,
            RaftAction::WriteSnapshotChunk { id, position, bytes, last } => {
                self.write_snapshot_chunk(id, position, &bytes, last)?;
            }
            RaftAction::ShutdownComplete => self.done = true,
        }
        Ok(())
    }

    fn respond(&mut self, id: u64, response: RaftResponse) {
        if let Some(reply) = self.asked.remove(&id) {
            // Whoever asked may be gone.
            let _ = reply.send(response);
        }
    }

    /// Other nodes cannot be asked yet, which a quorum of one never does. The kernel backs off and tries on.
    fn send(
        &mut self,
        correlation_id: u64,
        to: &ottla_raft::Node,
        _request: &RaftRequest,
    ) -> Result<(), DriverError> {
        tracing::debug!(node = to.id, "no channel to other members of the metadata quorum");
        self.feed(RaftInput::Response { correlation_id, response: None })
    }

    /// A piece of a snapshot, and the size of the whole.
    fn read_snapshot(
        &self,
        id: OffsetAndEpoch,
        position: i64,
        max_bytes: usize,
    ) -> Result<(i64, Bytes), ErrorCode> {
        let failed = |error: SnapshotError| {
            tracing::error!(%error, "cannot answer a fetch of a metadata snapshot");
            ErrorCode::SnapshotNotFound
        };
        let reader = self.log.open_snapshot(id).map_err(failed)?;
        let size = reader.size_in_bytes();
        let at = u64::try_from(position).ok().filter(|at| *at < size);
        let at = at.ok_or(ErrorCode::PositionOutOfRange)?;
        let bytes = reader.read_slice(at, max_bytes).map_err(failed)?;
        Ok((i64::try_from(size).unwrap_or(i64::MAX), bytes))
    }

    fn write_snapshot_chunk(
        &mut self,
        id: OffsetAndEpoch,
        position: i64,
        bytes: &[u8],
        last: bool,
    ) -> Result<(), DriverError> {
        let at = u64::try_from(position).unwrap_or(u64::MAX);
        let mut file = match self.fetching.take() {
            Some(file) if at > 0 && file.id() == id && file.len() == at => file,
            _ if at == 0 => {
                let unique = self.clock.time.monotonic_ns();
                PartialFile::create(Arc::clone(&self.fs), self.log.dir(), id, unique)?
            }
            // A piece of something else; the kernel starts over when the leader's answers do not fit.
            _ => return Ok(()),
        };
        file.append(bytes)?;
        if !last {
            self.fetching = Some(file);
            return Ok(());
        }
        file.freeze()?;
        let mut snapshot = self.log.open_snapshot(id)?;
        while snapshot.next_batch()?.is_some() {}
        self.log.snapshots().insert(id);
        self.feed(RaftInput::SnapshotFetched(id, snapshot.control_records().to_vec()))
    }

    fn do_chores(&mut self) -> Result<(), DriverError> {
        let now = self.clock.now_ms();
        if now >= self.next_background_ms {
            self.next_background_ms = now + BACKGROUND_INTERVAL_MS;
            self.log.run_background_tasks(now)?;
        }
        if now >= self.next_clean_ms {
            self.next_clean_ms = now + CLEAN_INTERVAL_MS;
            if let Some(id) = self.log.maybe_clean(now)? {
                self.feed(RaftInput::LogCleaned(id))?;
            }
        }
        Ok(())
    }

    fn publish_status(&self) {
        let (state, partition, log) = (self.kernel.state(), self.kernel.partition(), self.kernel.log());
        self.shared.set_status(Status {
            leader_and_epoch: match state {
                // It names itself so as not to vote, but it leads nobody.
                ottla_raft::epoch_state::EpochState::Resigned(s) => {
                    ottla_raft::LeaderAndEpoch { leader_id: None, epoch: s.epoch }
                }
                state => state.leader_and_epoch(),
            },
            leader_endpoints: self.leader_endpoints.clone(),
            high_watermark: self.kernel.high_watermark(),
            log_start_offset: log.start_offset(),
            log_end_offset: log.end_offset(),
            voters: partition.last_voter_set().clone(),
            kraft_version: partition.last_kraft_version(),
            partition: Arc::new(partition.clone()),
        });
    }
}
