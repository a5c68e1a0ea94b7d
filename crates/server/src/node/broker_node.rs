//! The broker role of a node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use bytestring::ByteString;
use ottla_apis::support::auto_topic_creation::AutoTopicCreationManager;
use ottla_apis::support::fetch_session::FetchManager;
use ottla_apis::support::metadata_cache::MetadataCache;
use ottla_apis::{BrokerContext, BrokerSettings};
use ottla_common::time::Time;
use ottla_metadata::SnapshotPolicy;
use ottla_network::SocketServer;
use ottla_protocol::messages::BrokerRegistrationRequest;
use ottla_protocol::messages::broker_registration_request::{Feature, Listener};
use ottla_replica::ReplicaManager;
use ottla_storage::LogManager;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::error;

use super::coordinators::{CoordinatorNode, CoordinatorParts};
use super::storage_check::FormattedStorage;
use super::{StartError, controller_node, parts};
use crate::broker::controller_requests::ControllerRequests;
use crate::broker::coordinators::Coordinators;
use crate::broker::directories::LogDirectories;
use crate::broker::groups::GroupRequests;
use crate::broker::lifecycle::{BrokerLifecycle, LifecycleOptions};
use crate::broker::live_config::LiveConfig;
use crate::broker::log_tasks::{LogTasks, LogWatch};
use crate::broker::metadata_publisher::{MetadataPublisher, PublisherParts};
use crate::broker::producer_ids::BlockProducerIds;
use crate::broker::request_handler::BrokerRequestHandler;
use crate::broker::transactions::TransactionRequests;
use crate::config::KafkaConfig;
use crate::controller::QuorumControllerHandle;
use crate::coordinator::group::{GroupProtocols, StreamsInternalTopics};
use crate::raft::RaftClient;

/// Between two evictions a fetch session must have been idle this long.
const FETCH_SESSION_EVICTION_MS: i64 = 120_000;
/// Before the metadata log was read.
const NOTHING_APPLIED: i64 = -1;
/// How long a controller may take to let the broker go.
const CONTROLLED_SHUTDOWN_PATIENCE: Duration = Duration::from_secs(30);

/// What a broker is made of.
#[derive(Debug)]
pub(super) struct BrokerOptions {
    pub(super) config: Arc<KafkaConfig>,
    pub(super) storage: FormattedStorage,
    pub(super) time: Arc<dyn Time>,
    pub(super) logs: Arc<LogManager>,
    pub(super) raft: RaftClient,
    pub(super) controller: QuorumControllerHandle,
    pub(super) addresses: Vec<(String, SocketAddr)>,
    pub(super) broker_epoch: Arc<AtomicI64>,
}

/// The running broker.
#[derive(Debug)]
pub(super) struct BrokerNode {
    lifecycle: BrokerLifecycle,
    coordinators: Coordinators,
    controlled_shutdown: bool,
    publisher: JoinHandle<()>,
    log_tasks: LogTasks,
    addresses: Vec<SocketAddr>,
}

impl BrokerNode {
    /// Registers, follows the log up to there, loads the logs, lets clients in.
    pub(super) async fn start(
        options: BrokerOptions,
        sockets: &mut SocketServer,
    ) -> Result<Self, StartError> {
        let BrokerOptions { config, time, logs, raft, controller, addresses, .. } = &options;
        let live = Arc::new(LiveConfig::new(config.clone()));
        let replicas = Arc::new(ReplicaManager::new(config.node_id, logs.clone(), live.clone()));
        let cache = Arc::new(MetadataCache::default());
        let m = &config.settings.metadata_log;
        let policy = SnapshotPolicy::new(
            m.max_record_bytes_between_snapshots,
            m.max_snapshot_interval_ms,
            time.now_ms(),
        );
        let log_watch = LogWatch::default();
        let (applied, applied_offset) = watch::channel(NOTHING_APPLIED);
        let requests = Arc::new(ControllerRequests {
            controller: controller.clone(),
            raft: raft.clone(),
            applied_offset: applied_offset.clone(),
            config: live.clone(),
        });
        let auto_topics = Arc::new(AutoTopicCreationManager::new(
            requests.clone(),
            parts::auto_topics(config),
            config.settings.server.request_timeout_ms,
        ));
        let producer_ids =
            Arc::new(BlockProducerIds::new(controller.clone(), config.node_id, options.broker_epoch.clone()));
        let coordinators = CoordinatorParts {
            config,
            live: live.clone(),
            time: time.clone(),
            cache: cache.clone(),
            replicas: replicas.clone(),
            requests: requests.clone(),
            auto_topics: auto_topics.clone(),
            producer_ids: producer_ids.clone(),
        }
        .build();
        let parts = PublisherParts {
            node_id: config.node_id,
            cache: cache.clone(),
            config: live.clone(),
            replicas: replicas.clone(),
            coordinators: coordinators.coordinators.clone(),
            share: coordinators.share.clone(),
            raft: raft.clone(),
            policy,
            time: time.clone(),
            log_watch: log_watch.clone(),
        };
        let (publisher, listener) = MetadataPublisher::new(parts, applied);
        let served = Served { live: live.clone(), cache, replicas, requests, auto_topics, producer_ids };
        let context = Arc::new(served.context(&options, &coordinators));
        coordinators.attach(&context);
        let hurry = Arc::new(Notify::new());
        let publisher = tokio::spawn(follow(publisher));
        raft.register(Box::new(listener));
        let registration = registration(&options);
        let mut lifecycle = BrokerLifecycle::start(LifecycleOptions {
            controller: controller.clone(),
            registration,
            applied_offset: applied_offset.clone(),
            heartbeat_interval: Duration::from_millis(
                config.settings.kraft.broker_heartbeat_interval_ms.max(1) as u64,
            ),
            directories: Arc::new(LogDirectories { logs: logs.clone(), config: live.clone() }),
            hurry: hurry.clone(),
            broker_epoch: options.broker_epoch.clone(),
            registration_timeout: Duration::from_millis(
                config.settings.kraft.initial_broker_registration_timeout_ms.max(0) as u64,
            ),
        })
        .await?;
        lifecycle.wait_until_caught_up().await;
        if config.values().typed("log.cleaner.enable") {
            logs.start_cleaner(parts::cleaner(config))?;
        }
        let log_tasks = LogTasks::start(config, logs, log_watch.clone(), hurry)?;
        let handler = Arc::new(BrokerRequestHandler { context, logs: log_watch });
        // As in Kafka: requests are served once the cluster counts on this broker.
        lifecycle.unfence().await;
        let mut bootstrap = Vec::new();
        for endpoint in config.broker_listeners() {
            sockets.start_listener(&endpoint.listener_name, &handler);
            bootstrap
                .extend(addresses.iter().find(|(name, _)| *name == endpoint.listener_name).map(|(_, a)| *a));
        }
        let controlled_shutdown = config.settings.server.controlled_shutdown_enable;
        let coordinators = coordinators.coordinators;
        Ok(Self { lifecycle, coordinators, controlled_shutdown, publisher, log_tasks, addresses: bootstrap })
    }

    pub(super) fn bootstrap_addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Leaves the cluster in order.
    pub(super) async fn begin_shutdown(&mut self) {
        if self.controlled_shutdown {
            self.lifecycle.shut_down(CONTROLLED_SHUTDOWN_PATIENCE).await;
        }
    }

    pub(super) fn stop(self) {
        self.coordinators.shutdown();
        self.publisher.abort();
        self.log_tasks.stop();
    }
}

/// A broker that cannot follow the metadata log would serve lies: it stops.
async fn follow(publisher: MetadataPublisher) {
    // A node that stops in order ends this task first.
    let reason = match publisher.run().await {
        Err(e) => e.to_string(),
        Ok(()) => "the metadata quorum's thread has stopped".to_owned(),
    };
    error!(logger = "kafka.server.BrokerServer", "Stopping: the metadata log cannot be followed: {reason}");
    std::process::exit(1);
}

/// What a broker serves requests from.
struct Served {
    live: Arc<LiveConfig>,
    cache: Arc<MetadataCache>,
    replicas: Arc<ReplicaManager>,
    requests: Arc<ControllerRequests>,
    auto_topics: Arc<AutoTopicCreationManager>,
    producer_ids: Arc<BlockProducerIds>,
}

impl Served {
    fn context(self, options: &BrokerOptions, node: &CoordinatorNode) -> BrokerContext {
        let BrokerOptions { config, storage, time, .. } = options;
        let server = &config.settings.server;
        let Coordinators { groups, transactions, share_states } = &node.coordinators;
        let protocols = GroupProtocols::new(
            self.cache.clone(),
            config.settings.group_coordinator.rebalance_protocols.clone(),
        );
        let internal_topics =
            StreamsInternalTopics::new(self.requests.clone(), time.clone(), server.request_timeout_ms);
        BrokerContext {
            settings: BrokerSettings {
                node_id: config.node_id,
                cluster_id: ByteString::from(storage.cluster_id.as_str()),
                fetch_max_bytes: server.fetch_max_bytes,
                auto_create_topics_enable: server.auto_create_topics_enable,
                max_request_partition_size_limit: server.max_request_partition_size_limit,
                request_timeout_ms: server.request_timeout_ms,
                unstable_api_versions_enable: server.unstable_api_versions_enable,
            },
            metadata: self.cache,
            replicas: self.replicas,
            groups: Arc::new(GroupRequests::new(groups.clone(), protocols, internal_topics)),
            transactions: Arc::new(TransactionRequests {
                transactions: transactions.clone(),
                groups: groups.clone(),
            }),
            share_coordinator: share_states.clone(),
            share: node.share.clone(),
            auto_topics: self.auto_topics,
            controller: self.requests,
            configs: self.live,
            producer_ids: self.producer_ids,
            fetch: FetchManager::new(
                usize::try_from(server.max_incremental_fetch_session_cache_slots).unwrap_or(0),
                FETCH_SESSION_EVICTION_MS,
                rand::random(),
            ),
            time: time.clone(),
        }
    }
}

fn registration(options: &BrokerOptions) -> BrokerRegistrationRequest {
    let BrokerOptions { config, storage, logs, addresses, .. } = options;
    let listener = |e: &crate::config::Endpoint| Listener {
        name: e.listener_name.as_str().into(),
        host: parts::advertised_host(e).into(),
        port: parts::real_port(addresses, e),
        security_protocol: e.security_protocol.id(),
        ..Default::default()
    };
    let feature = |(name, range): (String, ottla_metadata::VersionRange)| Feature {
        name: name.into(),
        min_supported_version: range.min,
        max_supported_version: range.max,
        ..Default::default()
    };
    BrokerRegistrationRequest {
        broker_id: config.node_id,
        cluster_id: storage.cluster_id.as_str().into(),
        incarnation_id: controller_node::random_uuid(),
        listeners: config.advertised_broker_listeners.iter().map(listener).collect(),
        features: ottla_metadata::feature::supported_features().into_iter().map(feature).collect(),
        rack: config.settings.server.broker_rack.as_deref().map(ByteString::from),
        is_migrating_zk_broker: false,
        log_dirs: logs.directory_ids().into_values().collect(),
        previous_broker_epoch: logs.previous_broker_epoch(),
        ..Default::default()
    }
}
