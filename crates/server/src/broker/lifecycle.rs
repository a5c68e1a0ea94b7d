//! The broker's life as the controller sees it: registration, heartbeats, controlled shutdown
//! (KIP-631).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ottla_common::Uuid;
use ottla_controller::ApiError;
use ottla_protocol::messages::{BrokerHeartbeatRequest, BrokerRegistrationRequest};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{info, warn};

use crate::controller::QuorumControllerHandle;

const LOGGER: &str = "kafka.server.BrokerLifecycleManager";
/// Between two attempts to register.
const REGISTRATION_RETRY: Duration = Duration::from_millis(50);

/// Where a broker is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerState {
    /// Registered, and reading the metadata log.
    Starting,
    /// Has read it, and waits to be let in.
    Recovery,
    /// Leads partitions and serves clients.
    Running,
    /// Hands over what it leads.
    PendingControlledShutdown,
    /// Gone.
    ShuttingDown,
}

/// What the controller must know of log directories (KIP-858, KIP-1066).
pub trait DirectoryStates: std::fmt::Debug + Send + Sync {
    /// Directories of the registration that have failed since.
    fn offline(&self) -> Vec<Uuid>;
    /// Directories that take no new partitions.
    fn cordoned(&self) -> Vec<Uuid>;
}

/// What the lifecycle needs to know.
#[derive(Debug)]
pub struct LifecycleOptions {
    /// The controller.
    pub controller: QuorumControllerHandle,
    /// What to register, without the id of this life.
    pub registration: BrokerRegistrationRequest,
    /// The highest metadata offset that this broker has applied.
    pub applied_offset: watch::Receiver<i64>,
    /// `broker.heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// The log directories, asked at every heartbeat.
    pub directories: Arc<dyn DirectoryStates>,
    /// Told when the next heartbeat should not wait.
    pub hurry: Arc<Notify>,
    /// Told once, as soon as the registration has it.
    pub broker_epoch: Arc<AtomicI64>,
    /// `initial.broker.registration.timeout.ms`.
    pub registration_timeout: Duration,
}

/// What may be asked of a broker's lifecycle.
#[derive(Debug)]
enum Command {
    /// Recovered: let clients in.
    Unfence,
    /// Hand over and leave.
    ShutDown,
}

/// Watches and steers the lifecycle task.
#[derive(Debug)]
pub struct BrokerLifecycle {
    commands: mpsc::UnboundedSender<Command>,
    state: watch::Receiver<BrokerState>,
}

/// Why a broker is not let into its cluster.
#[derive(Debug, thiserror::Error)]
#[error("the controller does not register this broker: {0}")]
pub struct RegistrationError(pub String);

impl BrokerLifecycle {
    /// Registers, and starts the heartbeats.
    pub async fn start(options: LifecycleOptions) -> Result<Self, RegistrationError> {
        let epoch = register(&options).await?;
        options.broker_epoch.store(epoch, Ordering::Release);
        let (commands, received) = mpsc::unbounded_channel();
        let (state_sender, state) = watch::channel(BrokerState::Starting);
        let task = Heartbeats {
            broker_id: options.registration.broker_id,
            epoch,
            state: state_sender,
            ready: false,
            options,
            commands: received,
        };
        tokio::spawn(task.run());
        Ok(Self { commands, state })
    }

    /// Says that everything is loaded, and waits until the controller lets the broker in.
    pub async fn unfence(&mut self) {
        let _ = self.commands.send(Command::Unfence);
        self.wait_for(BrokerState::Running).await;
    }

    /// Waits until the broker has read the log up to its own registration.
    pub async fn wait_until_caught_up(&mut self) {
        let _ = self.state.wait_for(|s| *s != BrokerState::Starting).await;
    }

    /// Hands everything over and waits until the controller lets the broker go, at most `patience`.
    pub async fn shut_down(&mut self, patience: Duration) {
        let _ = self.commands.send(Command::ShutDown);
        if timeout(patience, self.wait_for(BrokerState::ShuttingDown)).await.is_err() {
            warn!(
                logger = LOGGER,
                "The controller did not let the broker go within {patience:?}; it leaves anyway."
            );
        }
    }

    async fn wait_for(&mut self, wanted: BrokerState) {
        // The task ends only after the last state.
        let _ = self.state.wait_for(|s| *s == wanted).await;
    }
}

async fn register(options: &LifecycleOptions) -> Result<i64, RegistrationError> {
    let deadline = Instant::now() + options.registration_timeout;
    loop {
        // Out of time it is asked all the same, for the error that it has.
        let _ = timeout_at(deadline, options.controller.wait_until_active()).await;
        let request = options.registration.clone();
        let version = <BrokerRegistrationRequest as ottla_protocol::Message>::MAX_VERSION;
        match options.controller.register_broker(request, version).await {
            Ok(epoch) => {
                info!(
                    logger = LOGGER,
                    "Successfully registered broker {} with broker epoch {epoch}",
                    options.registration.broker_id
                );
                return Ok(epoch);
            }
            Err(error) if error.code.is_retriable() && Instant::now() < deadline => {
                tokio::time::sleep(REGISTRATION_RETRY).await;
            }
            Err(error) => return Err(RegistrationError(describe(&error))),
        }
    }
}

fn describe(error: &ApiError) -> String {
    match &error.message {
        Some(message) => format!("{}: {message}", error.code),
        None => error.code.to_string(),
    }
}

/// What a heartbeat says of a broker's state and directories.
fn news(state: BrokerState, directories: &dyn DirectoryStates) -> BrokerHeartbeatRequest {
    BrokerHeartbeatRequest {
        want_shut_down: state == BrokerState::PendingControlledShutdown,
        offline_log_dirs: directories.offline(),
        // What is cordoned may be set in the metadata log, which must be read before anything is said.
        cordoned_log_dirs: (state != BrokerState::Starting).then(|| directories.cordoned()),
        ..Default::default()
    }
}

#[derive(Debug)]
struct Heartbeats {
    broker_id: i32,
    epoch: i64,
    state: watch::Sender<BrokerState>,
    /// Whether everything is loaded.
    ready: bool,
    options: LifecycleOptions,
    commands: mpsc::UnboundedReceiver<Command>,
}

impl Heartbeats {
    async fn run(mut self) {
        while self.current() != BrokerState::ShuttingDown {
            let seen = *self.options.applied_offset.borrow_and_update();
            self.beat(seen).await;
            if self.current() == BrokerState::ShuttingDown {
                return;
            }
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Unfence) => self.ready = true,
                    Some(Command::ShutDown) => self.begin_shutdown(),
                    None => return,
                },
                // Until the broker runs, every step forward is worth a heartbeat.
                changed = self.options.applied_offset.changed(), if self.is_impatient() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = self.options.hurry.notified() => {}
                () = tokio::time::sleep(self.options.heartbeat_interval) => {}
            }
        }
    }

    fn current(&self) -> BrokerState {
        *self.state.borrow()
    }

    fn is_impatient(&self) -> bool {
        self.current() != BrokerState::Running
    }

    fn begin_shutdown(&mut self) {
        let from = if self.current() == BrokerState::Running { "RUNNING" } else { "STARTING" };
        info!(
            logger = LOGGER,
            "Beginning controlled shutdown. Transitioning from {from} to PENDING_CONTROLLED_SHUTDOWN."
        );
        self.state.send_replace(BrokerState::PendingControlledShutdown);
    }

    async fn beat(&mut self, applied_offset: i64) {
        let state = self.current();
        let request = BrokerHeartbeatRequest {
            broker_id: self.broker_id,
            broker_epoch: self.epoch,
            current_metadata_offset: applied_offset,
            want_fence: !self.ready,
            ..news(state, &*self.options.directories)
        };
        let reply = match self.options.controller.broker_heartbeat(request).await {
            Ok(reply) => reply,
            Err(error) => {
                warn!(logger = LOGGER, "The controller refused a heartbeat: {}", describe(&error));
                return;
            }
        };
        if state == BrokerState::Starting && reply.is_caught_up {
            info!(logger = LOGGER, "The broker has caught up. Transitioning from STARTING to RECOVERY.");
            self.state.send_replace(BrokerState::Recovery);
        }
        if self.current() == BrokerState::Recovery && !reply.is_fenced {
            info!(logger = LOGGER, "The broker has been unfenced. Transitioning from RECOVERY to RUNNING.");
            self.state.send_replace(BrokerState::Running);
        }
        if state == BrokerState::PendingControlledShutdown && reply.should_shut_down {
            info!(
                logger = LOGGER,
                "The controller has asked us to exit controlled shutdown. Transitioning from PENDING_CONTROLLED_SHUTDOWN to SHUTTING_DOWN."
            );
            self.state.send_replace(BrokerState::ShuttingDown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Directories;

    impl DirectoryStates for Directories {
        fn offline(&self) -> Vec<Uuid> {
            vec![Uuid::from_u128(101)]
        }
        fn cordoned(&self) -> Vec<Uuid> {
            Vec::new()
        }
    }

    #[test]
    fn heartbeats_tell_of_directories() {
        let starting = news(BrokerState::Starting, &Directories);
        assert_eq!(starting.offline_log_dirs, [Uuid::from_u128(101)]);
        assert_eq!(starting.cordoned_log_dirs, None, "nothing is known of them yet");
        // An empty list is news, too: it says that directories cordoned before are free again.
        assert_eq!(news(BrokerState::Running, &Directories).cordoned_log_dirs, Some(Vec::new()));
        assert!(news(BrokerState::PendingControlledShutdown, &Directories).want_shut_down);
    }
}
