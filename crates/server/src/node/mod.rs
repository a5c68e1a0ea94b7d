//! One node: everything that `process.roles` says, started in order and stopped in the reverse one.

mod broker_node;
mod controller_listener;
mod controller_node;
mod coordinators;
mod parts;
mod storage_check;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ottla_common::time::{SystemTime, Time};
use ottla_network::{BindError, SocketServer};
use ottla_storage::fs::{FileSystem, OsFileSystem};
use ottla_storage::{LogError, LogManager};
use tracing::info;

use crate::broker::lifecycle::RegistrationError;
use crate::config::KafkaConfig;
use crate::raft::{RaftClient, RaftStartError};

use broker_node::BrokerNode;
use controller_node::ControllerNode;
pub use storage_check::{FormattedStorage, StorageCheckError};

const LOGGER: &str = "kafka.server.KafkaRaftServer";
/// How long requests that are being served may still take when a node stops.
const DRAIN_GRACE: Duration = Duration::from_secs(5);

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directories are not formatted, or for somebody else.
    #[error(transparent)]
    Storage(#[from] StorageCheckError),
    /// A port is not to be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The logs cannot be opened.
    #[error(transparent)]
    Logs(#[from] LogError),
    /// The metadata log cannot be opened.
    #[error(transparent)]
    Raft(#[from] RaftStartError),
    /// The first records of the cluster cannot be read.
    #[error("the bootstrap metadata cannot be read: {0}")]
    Bootstrap(String),
    /// The controller does not want this broker.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// The system gives no more threads.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// Nothing here can be served yet.
    #[error("{0}")]
    Unsupported(String),
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    sockets: SocketServer,
    addresses: Vec<(String, SocketAddr)>,
    broker: Option<BrokerNode>,
    controller: Option<ControllerNode>,
    raft: RaftClient,
    logs: Arc<LogManager>,
    broker_epoch: Arc<AtomicI64>,
}

impl Node {
    /// Starts a node and returns once it serves. Must be called within a tokio runtime.
    pub async fn start(config: Arc<KafkaConfig>) -> Result<Self, StartError> {
        let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
        let time: Arc<dyn Time> = Arc::new(SystemTime::default());
        let storage = FormattedStorage::check(fs.as_ref(), &config)?;
        if !config.process_roles.controller {
            return Err(StartError::Unsupported(
                "A node needs the role `controller` for now: set process.roles=broker,controller.".to_owned(),
            ));
        }
        // Ports first: a taken one must stop the start before anything is touched on disk.
        let mut sockets = SocketServer::bind(parts::socket_server(&config), &parts::listeners(&config))?;
        let addresses = parts::bound_addresses(&sockets, &config);
        let logs = LogManager::open(parts::log_manager(&config, fs.clone(), time.clone()))?;
        let raft = RaftClient::start(parts::raft(&config, &storage, &addresses), fs.clone(), time.clone())?;
        let broker_epoch = Arc::new(AtomicI64::new(-1));
        let controller = ControllerNode::start(&config, &storage, &fs, &time, &raft)?;
        controller.serve(&mut sockets, &config, &storage, &raft);
        controller.register(&config, &addresses);
        let broker = if config.process_roles.broker {
            let options = broker_node::BrokerOptions {
                config: config.clone(),
                storage,
                time,
                logs: logs.clone(),
                raft: raft.clone(),
                controller: controller.handle.clone(),
                addresses: addresses.clone(),
                broker_epoch: broker_epoch.clone(),
            };
            Some(BrokerNode::start(options, &mut sockets).await?)
        } else {
            None
        };
        info!(
            logger = LOGGER,
            "Kafka version: {} (Ottla {})",
            parts::KAFKA_VERSION,
            env!("CARGO_PKG_VERSION")
        );
        info!(logger = LOGGER, "Kafka Server started");
        Ok(Self { sockets, addresses, broker, controller: Some(controller), raft, logs, broker_epoch })
    }

    /// Where a listener really listens.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.addresses.iter().find(|(name, _)| name == listener).map(|(_, address)| *address)
    }

    /// Where clients come in.
    pub fn bootstrap_addresses(&self) -> Vec<SocketAddr> {
        self.broker.as_ref().map(|b| b.bootstrap_addresses()).unwrap_or_default()
    }

    /// Hands over, lets requests finish, and closes every file, so that the next start is instant.
    pub async fn stop(mut self) {
        if let Some(broker) = &mut self.broker {
            broker.begin_shutdown().await;
        }
        self.sockets.shutdown(DRAIN_GRACE).await;
        if let Some(broker) = self.broker.take() {
            broker.stop();
        }
        let epoch = self.broker_epoch.load(Ordering::Acquire);
        let logs = self.logs.clone();
        let closed = tokio::task::spawn_blocking(move || logs.shutdown(epoch)).await;
        if closed.is_err() {
            tracing::error!(
                logger = LOGGER,
                "The logs were not closed cleanly; the next start recovers them."
            );
        }
        if let Some(controller) = self.controller.take() {
            controller.stop().await;
        }
        let raft = self.raft.clone();
        let _ = tokio::task::spawn_blocking(move || raft.shutdown(DRAIN_GRACE)).await;
        info!(logger = LOGGER, "shut down completed");
    }
}
