//! The controller's event loop.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ottla_common::ErrorCode;
use ottla_common::time::Time;
use ottla_controller::{
    ApiError, ConfigSchema, ControllerConfig, ControllerResult, MAX_RECORDS_PER_USER_OP, QuorumController,
    Random,
};
use ottla_metadata::{ApiMessageAndVersion, BootstrapMetadata, CommittedBatch, MetadataImage};
use ottla_raft::AppendError;
use ottla_server_common::DeferredEventQueue;
use tokio::sync::{mpsc, watch};

use super::handle::{QuorumControllerHandle, SharedImage};
use super::quorum::{MetadataEvent, MetadataQuorum};

const LOGGER: &str = "org.apache.kafka.controller.QuorumController";

/// Something that takes its turn on the controller task.
pub(super) type WriteOperation = Box<dyn FnOnce(&mut ControllerTask) + Send>;
type DeferredReply = Box<dyn FnOnce(Result<(), ApiError>) + Send>;

pub(super) enum Event {
    Metadata(MetadataEvent),
    Write(WriteOperation),
    Shutdown,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata(event) => event.fmt(f),
            Self::Write(_) => f.write_str("Write"),
            Self::Shutdown => f.write_str("Shutdown"),
        }
    }
}

/// What a controller is made of.
#[derive(Debug)]
pub struct QuorumControllerOptions {
    /// What the node's file says.
    pub config: ControllerConfig,
    /// Configuration keys.
    pub schema: Arc<dyn ConfigSchema>,
    /// The first records of a new cluster.
    pub bootstrap: BootstrapMetadata,
    /// The metadata log.
    pub quorum: Arc<dyn MetadataQuorum>,
    /// The clock.
    pub time: Arc<dyn Time>,
    /// Chance, for placement and ids.
    pub random: Box<dyn Random>,
}

/// Owns the kernel. One task runs it; everybody else holds a [`QuorumControllerHandle`].
pub struct ControllerTask {
    kernel: QuorumController,
    quorum: Arc<dyn MetadataQuorum>,
    time: Arc<dyn Time>,
    random: Box<dyn Random>,
    events: mpsc::UnboundedReceiver<Event>,
    committed: SharedImage,
    /// Whether this node leads: told only once the first records of its epoch are on their way.
    leads: watch::Sender<bool>,
    deferred: DeferredEventQueue<DeferredReply>,
    timers: Timers,
}

impl fmt::Debug for ControllerTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerTask").field("kernel", &self.kernel).finish_non_exhaustive()
    }
}

/// When periodic work is next due, by the clock. `None` while this node does not lead.
#[derive(Debug, Default)]
struct Timers {
    balance_leaders_ms: Option<i64>,
    unclean_elections_ms: Option<i64>,
}

/// The longest the task sleeps: a clock that jumps back must not put it to sleep for good.
const MAX_SLEEP_MS: i64 = 60_000;

impl ControllerTask {
    /// Makes the task and the handle to it. Register the handle with the raft client, then run the task.
    pub fn new(options: QuorumControllerOptions) -> (Self, QuorumControllerHandle) {
        // Unbounded, because the raft thread must never wait; requests are bounded by the request channel.
        #[allow(clippy::disallowed_methods)]
        let (sender, events) = mpsc::unbounded_channel();
        let committed: SharedImage = Arc::new(ArcSwap::from_pointee(MetadataImage::default()));
        let (leads, leads_receiver) = watch::channel(false);
        let handle =
            QuorumControllerHandle { events: sender, committed: committed.clone(), leads: leads_receiver };
        let kernel = QuorumController::new(options.config, options.schema, options.bootstrap);
        let task = Self {
            kernel,
            quorum: options.quorum,
            time: options.time,
            random: options.random,
            events,
            committed,
            leads,
            deferred: DeferredEventQueue::default(),
            timers: Timers::default(),
        };
        (task, handle)
    }

    /// Takes events in order until told to stop, or until nobody can send any more.
    pub async fn run(mut self) {
        loop {
            let wait = Duration::from_millis(self.sleep_ms().unsigned_abs());
            #[allow(clippy::disallowed_methods)]
            let event = tokio::time::timeout(wait, self.events.recv()).await;
            match event {
                Err(_elapsed) => {}
                Ok(Some(Event::Write(operation))) => operation(&mut self),
                Ok(Some(Event::Metadata(event))) => self.handle_metadata(event),
                Ok(Some(Event::Shutdown)) | Ok(None) => break,
            }
            self.run_timers();
        }
        self.fail_deferred("The controller is shutting down.");
    }

    /// Decides, appends, replays and parks the reply.
    pub(super) fn run_write<T, F, G>(
        &mut self,
        name: &'static str,
        decide: F,
        then: G,
        reply: impl FnOnce(Result<T, ApiError>) + Send + 'static,
    ) where
        T: Send + 'static,
        F: FnOnce(&mut QuorumController, &mut dyn Random, i64) -> Result<ControllerResult<T>, ApiError>,
        G: FnOnce(&mut QuorumController, &T, i64),
    {
        let Some(epoch) = self.kernel.active_epoch() else {
            return reply(Err(self.not_controller()));
        };
        self.kernel.note_log_end_offset(self.quorum.log_end_offset());
        let now_ms = self.time.now_ms();
        let decided = decide(&mut self.kernel, &mut *self.random, now_ms);
        let ControllerResult { records, response, is_atomic } = match decided {
            Ok(result) => result,
            Err(error) => {
                tracing::debug!(logger = LOGGER, "{name}: {error}");
                return reply(Err(error));
            }
        };
        match self.append(epoch, records, is_atomic) {
            Err(error) => reply(Err(error)),
            Ok(offset) => {
                let last_written = self.kernel.next_write_offset() - 1;
                then(&mut self.kernel, &response, last_written);
                let done: DeferredReply = Box::new(move |result| reply(result.map(|()| response)));
                match offset {
                    Some(offset) => self.deferred.add(offset, done),
                    None => done(Ok(())),
                }
            }
        }
    }

    /// Appends and replays. The offset to wait for: the last record's or, when there are none, that of the
    /// newest uncommitted record, because the decision may rest on it.
    fn append(
        &mut self,
        epoch: i32,
        records: Vec<ApiMessageAndVersion>,
        is_atomic: bool,
    ) -> Result<Option<i64>, ApiError> {
        if records.is_empty() {
            return Ok(self.deferred.highest_pending_offset());
        }
        let chunk = if is_atomic { records.len() } else { MAX_RECORDS_PER_USER_OP };
        let mut last_offset = None;
        for records in records.chunks(chunk) {
            match self.quorum.prepare_append(epoch, records.to_vec()) {
                Ok(offset) => {
                    if let Err(error) = self.kernel.apply(records, offset) {
                        // What was decided cannot be replayed: a bug. Nobody may build on this state.
                        tracing::error!(
                            logger = LOGGER,
                            "Resigning: decided records cannot be replayed at offset {offset}: {error}"
                        );
                        self.resign(epoch);
                        return Err(ApiError::new(ErrorCode::UnknownServerError, error.to_string()));
                    }
                    last_offset = Some(offset);
                }
                Err(error) => {
                    let api_error = self.append_failed(&error);
                    // Part of the records may be on their way: only a new leader knows what came of them.
                    if last_offset.is_some() || matches!(error, AppendError::NotLeader { .. }) {
                        self.resign(epoch);
                    }
                    return Err(api_error);
                }
            }
        }
        self.quorum.schedule_prepared_append();
        Ok(last_offset)
    }

    fn append_failed(&self, error: &AppendError) -> ApiError {
        tracing::warn!(logger = LOGGER, "Appending to the metadata log failed: {error}");
        match error {
            AppendError::NotLeader { .. } => self.not_controller(),
            AppendError::Full(_) => ApiError::new(ErrorCode::RequestTimedOut, error.to_string()),
            AppendError::TooLarge { .. } => {
                let message = "Unable to perform excessively large batch operation.";
                ApiError::new(ErrorCode::PolicyViolation, message)
            }
            _ => ApiError::new(ErrorCode::UnknownServerError, error.to_string()),
        }
    }

    fn not_controller(&self) -> ApiError {
        let message = match self.quorum.leader_id() {
            Some(leader) => format!("The active controller appears to be node {leader}."),
            None => "No controller appears to be active.".to_owned(),
        };
        ApiError::new(ErrorCode::NotController, message)
    }

    fn resign(&mut self, epoch: i32) {
        self.renounce();
        self.quorum.resign(epoch);
    }

    fn handle_metadata(&mut self, event: MetadataEvent) {
        match event {
            MetadataEvent::Commit(batch) => {
                let last_offset = batch.last_offset;
                let batch = CommittedBatch {
                    base_offset: batch.base_offset,
                    last_offset,
                    epoch: batch.epoch,
                    append_timestamp_ms: batch.append_timestamp,
                    size_bytes: i64::try_from(batch.size_in_bytes).unwrap_or(i64::MAX),
                    records: &batch.records,
                };
                if let Err(error) = self.kernel.handle_commit(&batch) {
                    // Kafka halts here: a controller that misses a record must never lead.
                    tracing::error!(
                        logger = LOGGER,
                        "Stopping this controller: the metadata log cannot be replayed: {error}"
                    );
                    self.events.close();
                    return;
                }
                for done in self.deferred.complete_up_to(last_offset) {
                    done(Ok(()));
                }
            }
            MetadataEvent::LoadSnapshot { provenance, records } => {
                self.renounce();
                let last_offset = provenance.last_contained_offset;
                if let Err(error) = self.kernel.load_snapshot(last_offset, &records) {
                    tracing::error!(
                        logger = LOGGER,
                        "Stopping this controller: the snapshot cannot be loaded: {error}"
                    );
                    self.events.close();
                    return;
                }
            }
            MetadataEvent::LeaderChange { active_epoch } => self.handle_leader_change(active_epoch),
        }
        self.committed.store(Arc::new(self.kernel.committed_state().image().clone()));
    }

    fn handle_leader_change(&mut self, active_epoch: Option<i32>) {
        if self.kernel.active_epoch() == active_epoch {
            return;
        }
        self.renounce();
        let Some(epoch) = active_epoch else {
            return;
        };
        self.kernel.set_kraft_version(self.quorum.kraft_version());
        let now_ms = self.time.now_ms();
        let activation = self.kernel.claim(epoch, self.quorum.log_end_offset(), now_ms);
        let count = activation.records.len();
        tracing::info!(
            logger = LOGGER,
            "Becoming the active controller at epoch {epoch}, with {count} activation record(s)."
        );
        self.start_timers(now_ms);
        match self.append(epoch, activation.records, activation.is_atomic) {
            Ok(_) => {
                if let Some(interval_ms) = self.kernel.config().max_idle_interval_ms {
                    self.quorum.append_when_idle(epoch, interval_ms, self.kernel.no_op().records);
                }
                self.leads.send_replace(true);
            }
            Err(error) => {
                tracing::error!(
                    logger = LOGGER,
                    "Resigning: the activation records were not written: {error}"
                );
                self.resign(epoch);
            }
        }
    }

    fn renounce(&mut self) {
        if self.kernel.active_epoch().is_some() {
            tracing::warn!(logger = LOGGER, "No longer the active controller.");
            self.kernel.renounce();
        }
        self.leads.send_replace(false);
        self.timers = Timers::default();
        self.fail_deferred("The controller lost leadership; what it wrote last may or may not survive.");
    }

    fn fail_deferred(&mut self, message: &str) {
        for done in self.deferred.take_all() {
            done(Err(ApiError::new(ErrorCode::NotController, message)));
        }
    }

    fn start_timers(&mut self, now_ms: i64) {
        let config = self.kernel.config();
        self.timers = Timers {
            balance_leaders_ms: config.leader_imbalance_check_interval_ms.map(|ms| now_ms + ms),
            unclean_elections_ms: Some(now_ms + config.unclean_leader_election_check_interval_ms.max(1)),
        };
    }

    fn sleep_ms(&self) -> i64 {
        let due = [
            self.timers.balance_leaders_ms,
            self.timers.unclean_elections_ms,
            self.kernel.next_session_expiration_ms().filter(|_| self.kernel.active_epoch().is_some()),
        ];
        let now_ms = self.time.now_ms();
        let next = due.into_iter().flatten().min().map_or(MAX_SLEEP_MS, |at| at.saturating_sub(now_ms));
        next.clamp(0, MAX_SLEEP_MS)
    }

    fn run_timers(&mut self) {
        if self.kernel.active_epoch().is_none() {
            return;
        }
        let now_ms = self.time.now_ms();
        while self.kernel.next_session_expiration_ms().is_some_and(|at| at <= now_ms) {
            self.periodic("maybeFenceStaleBroker", |kernel| kernel.maybe_fence_one_stale_broker(now_ms));
        }
        let is_due = |timer: Option<i64>| timer.is_some_and(|at| at <= now_ms);
        if is_due(self.timers.balance_leaders_ms) {
            let more = self.periodic("electPreferred", |kernel| kernel.maybe_balance_partition_leaders());
            let interval = self.kernel.config().leader_imbalance_check_interval_ms;
            self.timers.balance_leaders_ms = if more { Some(now_ms) } else { interval.map(|ms| now_ms + ms) };
        }
        if is_due(self.timers.unclean_elections_ms) {
            let more = self.periodic("electUnclean", |kernel| kernel.maybe_elect_unclean_leaders());
            let interval = self.kernel.config().unclean_leader_election_check_interval_ms.max(1);
            self.timers.unclean_elections_ms = Some(if more { now_ms } else { now_ms + interval });
        }
    }

    fn periodic(
        &mut self,
        name: &'static str,
        decide: impl FnOnce(&mut QuorumController) -> ControllerResult<bool>,
    ) -> bool {
        let Some(epoch) = self.kernel.active_epoch() else {
            return false;
        };
        self.kernel.note_log_end_offset(self.quorum.log_end_offset());
        let result = decide(&mut self.kernel);
        if result.records.is_empty() {
            return result.response;
        }
        match self.append(epoch, result.records, result.is_atomic) {
            Ok(_) => result.response,
            Err(error) => {
                tracing::warn!(logger = LOGGER, "{name} failed: {error}");
                false
            }
        }
    }
}
