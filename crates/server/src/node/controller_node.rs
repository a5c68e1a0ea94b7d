//! The controller role of a node.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_common::time::Time;
use ottla_controller::{ControllerConfig, SeededRandom};
use ottla_metadata::bootstrap::BINARY_BOOTSTRAP_FILENAME;
use ottla_metadata::{BootstrapMetadata, MetadataVersion};
use ottla_network::SocketServer;
use ottla_storage::fs::FileSystem;
use tokio::task::JoinHandle;

use super::controller_listener::ControllerListenerHandler;
use super::storage_check::FormattedStorage;
use super::{StartError, parts};
use crate::broker::config_schema::NodeConfigSchema;
use crate::config::KafkaConfig;
use crate::controller::{
    ControllerListener, ControllerTask, QuorumControllerHandle, QuorumControllerOptions,
    controller_registration, register_controller,
};
use crate::raft::{OffsetAndEpoch, RaftClient, SnapshotReader};

/// The running controller.
#[derive(Debug)]
pub(super) struct ControllerNode {
    pub(super) handle: QuorumControllerHandle,
    task: JoinHandle<()>,
    stopping: Arc<AtomicBool>,
}

impl ControllerNode {
    pub(super) fn start(
        config: &Arc<KafkaConfig>,
        storage: &FormattedStorage,
        fs: &Arc<dyn FileSystem>,
        time: &Arc<dyn Time>,
        raft: &RaftClient,
    ) -> Result<Self, StartError> {
        let options = QuorumControllerOptions {
            config: controller_config(config, storage, raft),
            schema: Arc::new(NodeConfigSchema::new(config.clone())),
            bootstrap: bootstrap_metadata(fs.as_ref(), Path::new(&config.metadata_log_dir))?,
            quorum: Arc::new(raft.clone()),
            time: time.clone(),
            random: Box::new(SeededRandom::new(rand::random())),
        };
        let (task, handle) = ControllerTask::new(options);
        let stopping = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(run_until_stopped(task, stopping.clone()));
        raft.register(Box::new(ControllerListener::new(config.node_id, handle.clone())));
        Ok(Self { handle, task, stopping })
    }

    /// Lets the controller listeners in.
    pub(super) fn serve(
        &self,
        sockets: &mut SocketServer,
        config: &KafkaConfig,
        storage: &FormattedStorage,
        raft: &RaftClient,
    ) {
        let handler = Arc::new(ControllerListenerHandler {
            node_id: config.node_id,
            cluster_id: ByteString::from(storage.cluster_id.as_str()),
            raft: raft.clone(),
            controller: self.handle.clone(),
            listener: config.controller_listener_names.first().cloned().unwrap_or_default(),
        });
        for endpoint in config.controller_listeners() {
            sockets.start_listener(&endpoint.listener_name, &handler);
        }
    }

    /// Says where this controller can be reached, once it leads.
    pub(super) fn register(&self, config: &KafkaConfig, addresses: &[(String, SocketAddr)]) {
        let endpoint = |e: &crate::config::Endpoint| ottla_metadata::Endpoint {
            name: e.listener_name.clone(),
            host: parts::advertised_host(e),
            port: parts::real_port(addresses, e),
            security_protocol: e.security_protocol.id(),
        };
        let endpoints: Vec<_> = config.advertised_controller_listeners.iter().map(endpoint).collect();
        let request = controller_registration(config.node_id, random_uuid(), &endpoints);
        tokio::spawn(register_controller(self.handle.clone(), request));
    }

    pub(super) async fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        self.handle.begin_shutdown();
        // A controller that panicked has nothing left to stop.
        let _ = self.task.await;
    }
}

/// A node whose controller is gone would look alive and decide nothing: it stops.
async fn run_until_stopped(task: ControllerTask, stopping: Arc<AtomicBool>) {
    task.run().await;
    if !stopping.load(Ordering::Acquire) {
        tracing::error!(
            logger = "kafka.server.ControllerServer",
            "Stopping: the controller has ended by itself"
        );
        std::process::exit(1);
    }
}

fn controller_config(
    config: &KafkaConfig,
    storage: &FormattedStorage,
    raft: &RaftClient,
) -> ControllerConfig {
    let r = &config.settings.replication;
    let voters = raft.voters();
    ControllerConfig {
        node_id: config.node_id,
        cluster_id: storage.cluster_id.clone(),
        default_num_partitions: config.settings.log.num_partitions,
        default_replication_factor: i16::try_from(r.default_replication_factor).unwrap_or(1),
        session_timeout_ms: i64::from(config.settings.kraft.broker_session_timeout_ms),
        leader_imbalance_check_interval_ms: r
            .auto_leader_rebalance_enable
            .then_some(r.leader_imbalance_check_interval_seconds * 1000),
        unclean_leader_election_check_interval_ms: config
            .values()
            .typed("unclean.leader.election.interval.ms"),
        max_idle_interval_ms: Some(i64::from(config.settings.metadata_log.max_idle_interval_ms))
            .filter(|ms| *ms > 0),
        has_co_located_broker: config.process_roles.broker,
        quorum_node_ids: voters.ids().collect(),
    }
}

/// What a new cluster begins with: the file that formatting left, or the defaults of this release.
/// Since 4.4 it is the first snapshot (KIP-1170), before that a file of its own.
fn bootstrap_metadata(fs: &dyn FileSystem, dir: &Path) -> Result<BootstrapMetadata, StartError> {
    let nothing_before = OffsetAndEpoch { offset: 0, epoch: 0 };
    let log_dir = dir.join(ottla_storage::log_dir_name(&ottla_common::TopicPartition::new(
        ottla_common::internal_topics::CLUSTER_METADATA_TOPIC,
        0,
    )));
    let candidates =
        [dir.join(BINARY_BOOTSTRAP_FILENAME), log_dir.join("00000000000000000000-0000000000.checkpoint")];
    for path in candidates {
        let failed = |e: &dyn std::fmt::Display| StartError::Bootstrap(format!("{}: {e}", path.display()));
        if !fs.exists(&path).map_err(|e| failed(&e))? {
            continue;
        }
        let mut reader = SnapshotReader::open_file(fs, &path, nothing_before).map_err(|e| failed(&e))?;
        let records = reader.read_all().map_err(|e| failed(&e))?;
        if !records.is_empty() {
            let source = format!("the file {}", path.display());
            return BootstrapMetadata::from_records(records, &source).map_err(|e| failed(&e));
        }
    }
    Ok(BootstrapMetadata::with_defaults(MetadataVersion::LATEST_PRODUCTION, "the defaults"))
}

/// A new id from the system's randomness.
pub(super) fn random_uuid() -> Uuid {
    loop {
        if let Some(id) = Uuid::from_random_bytes(rand::random()) {
            return id;
        }
    }
}
