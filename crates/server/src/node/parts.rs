//! From configuration keys to the settings of each part.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use ottla_apis::support::auto_topic_creation::{AutoTopicShapes, InternalTopicShape};
use ottla_common::time::Time;
use ottla_coordinator::group::assignor::{builtin_assignor, builtin_assignors};
use ottla_coordinator::group::consumer::{ConsumerGroupConfig, ConsumerGroupMigrationPolicy};
use ottla_coordinator::group::modern::PartitionAssignor;
use ottla_coordinator::group::share::ShareGroupConfig;
use ottla_coordinator::group::streams::StreamsGroupCoordinatorConfig;
use ottla_network::{ConnectionLimits, ListenerConfig, SecurityProtocol, SocketServer, SocketServerConfig};
use ottla_record::{Compression, CompressionType};
use ottla_storage::fs::FileSystem;
use ottla_storage::{LogConfig, LogManagerParams, ProducerStateManagerConfig};

use super::storage_check::FormattedStorage;
use crate::config::{self, KafkaConfig};
use crate::coordinator::GroupCoordinatorConfig;
use crate::coordinator::group::{
    IN_MEMORY_PLUGIN_CLASS, InMemoryTopologyDescriptions, TopologyDescriptionPlugin,
};
use crate::raft::{Endpoints, RaftConfig, VoterSet};

/// The release whose behaviour is offered.
pub(crate) const KAFKA_VERSION: &str = "4.4.0";

fn protocol(protocol: config::SecurityProtocol) -> SecurityProtocol {
    match protocol {
        config::SecurityProtocol::Plaintext => SecurityProtocol::Plaintext,
        config::SecurityProtocol::Ssl => SecurityProtocol::Ssl,
        config::SecurityProtocol::SaslPlaintext => SecurityProtocol::SaslPlaintext,
        config::SecurityProtocol::SaslSsl => SecurityProtocol::SaslSsl,
    }
}

/// Every listener of the node.
pub(crate) fn listeners(config: &KafkaConfig) -> Vec<ListenerConfig> {
    let listener = |e: &config::Endpoint| ListenerConfig {
        name: e.listener_name.clone(),
        security_protocol: protocol(e.security_protocol),
        host: e.host.clone().unwrap_or_default(),
        port: e.port,
    };
    config.listeners.iter().map(listener).collect()
}

/// Where each listener really listens.
pub(crate) fn bound_addresses(sockets: &SocketServer, config: &KafkaConfig) -> Vec<(String, SocketAddr)> {
    let bound =
        |e: &config::Endpoint| Some((e.listener_name.clone(), sockets.bound_address(&e.listener_name)?));
    config.listeners.iter().filter_map(bound).collect()
}

/// The port a listener really has, where the configuration leaves it to the system.
pub(crate) fn real_port(addresses: &[(String, SocketAddr)], endpoint: &config::Endpoint) -> u16 {
    let bound = addresses.iter().find(|(name, _)| *name == endpoint.listener_name);
    if endpoint.port == 0 { bound.map_or(0, |(_, address)| address.port()) } else { endpoint.port }
}

/// What others are told; a listener on every interface is advertised under the host's name.
pub(crate) fn advertised_host(endpoint: &config::Endpoint) -> String {
    match endpoint.host.as_deref() {
        Some(host) if !host.is_empty() && host != "0.0.0.0" && host != "::" => host.to_owned(),
        _ => rustix::system::uname().nodename().to_string_lossy().into_owned(),
    }
}

/// Settings of the sockets.
pub(crate) fn socket_server(config: &KafkaConfig) -> SocketServerConfig {
    let s = &config.settings.socket_server;
    let mut limits = ConnectionLimits {
        max_connections: count(s.max_connections),
        max_connections_per_ip: count(s.max_connections_per_ip),
        inter_broker_listener: Some(config.inter_broker_listener_name.clone()),
        ..Default::default()
    };
    for (host, max) in &config.max_connections_per_ip_overrides {
        // A host that cannot be resolved now cannot connect under that name either.
        let addresses = (host.as_str(), 0).to_socket_addrs().into_iter().flatten();
        limits
            .per_ip_overrides
            .extend(addresses.map(|a: SocketAddr| (IpAddr::to_canonical(&a.ip()), count(*max))));
    }
    SocketServerConfig {
        listen_backlog_size: s.socket_listen_backlog_size,
        send_buffer_bytes: s.socket_send_buffer_bytes,
        receive_buffer_bytes: s.socket_receive_buffer_bytes,
        request_max_bytes: count(s.socket_request_max_bytes),
        connections_max_idle: millis(s.connections_max_idle_ms),
        queued_max_request_bytes: usize::try_from(s.queued_max_request_bytes).ok().filter(|b| *b > 0),
        limits,
    }
}

/// Settings of the logs.
pub(crate) fn log_manager(
    config: &KafkaConfig,
    fs: Arc<dyn FileSystem>,
    time: Arc<dyn Time>,
) -> LogManagerParams {
    let p = &config.settings.producer_state;
    LogManagerParams {
        fs,
        time,
        log_dirs: config.log_dirs.iter().map(PathBuf::from).collect(),
        default_config: Arc::new(LogConfig::from_map(config.topic_defaults()).unwrap_or_default()),
        recovery_threads_per_data_dir: count(config.settings.log.num_recovery_threads_per_data_dir),
        producer_state: ProducerStateManagerConfig {
            producer_id_expiration_ms: i64::from(p.producer_id_expiration_ms),
            transaction_verification_enabled: config
                .values()
                .typed("transaction.partition.verification.enable"),
            max_transaction_timeout_ms: i64::from(p.transaction_max_timeout_ms),
        },
    }
}

/// Settings of the metadata quorum's member.
pub(crate) fn raft(
    config: &KafkaConfig,
    storage: &FormattedStorage,
    addresses: &[(String, SocketAddr)],
) -> RaftConfig {
    let q = &config.settings.quorum;
    let m = &config.settings.metadata_log;
    RaftConfig {
        can_become_voter: config.process_roles.controller,
        static_voters: static_voters(config),
        bootstrap_servers: config.quorum_bootstrap_servers.iter().map(|s| (s.host.clone(), s.port)).collect(),
        local_listeners: controller_endpoints(config, addresses),
        election_timeout_ms: q.election_timeout_ms,
        election_backoff_max_ms: q.election_backoff_max_ms,
        fetch_timeout_ms: q.fetch_timeout_ms,
        request_timeout_ms: q.request_timeout_ms,
        retry_backoff_ms: q.retry_backoff_ms,
        segment_bytes: m.internal_segment_bytes.unwrap_or(m.segment_bytes),
        segment_ms: m.segment_ms,
        max_retention_bytes: m.max_retention_bytes,
        max_retention_ms: m.max_retention_ms,
        ..RaftConfig::new(
            config.node_id,
            storage.metadata_directory_id,
            storage.cluster_id.clone(),
            PathBuf::from(&config.metadata_log_dir),
        )
    }
}

/// Voters of a static quorum know each other by the first controller listener.
fn static_voters(config: &KafkaConfig) -> VoterSet {
    let Some(listener) = config.controller_listener_names.first() else { return VoterSet::default() };
    let voters = config.quorum_voters.iter().map(|v| (v.id, v.address.host.clone(), v.address.port));
    VoterSet::from_static(listener, voters)
}

/// Advertised controller listeners of this node.
pub(crate) fn controller_endpoints(config: &KafkaConfig, addresses: &[(String, SocketAddr)]) -> Endpoints {
    config.advertised_controller_listeners.iter().fold(Endpoints::EMPTY, |endpoints, e| {
        endpoints.with(&e.listener_name, advertised_host(e), real_port(addresses, e))
    })
}

/// Settings of the group coordinator.
pub(crate) fn group_coordinator(config: &KafkaConfig) -> GroupCoordinatorConfig {
    let g = &config.settings.group_coordinator;
    GroupCoordinatorConfig {
        classic_group_min_session_timeout_ms: g.group_min_session_timeout_ms,
        classic_group_max_session_timeout_ms: g.group_max_session_timeout_ms,
        classic_group_initial_rebalance_delay_ms: g.group_initial_rebalance_delay_ms,
        classic_group_max_size: g.group_max_size,
        offset_metadata_max_size: g.offset_metadata_max_bytes,
        offsets_retention_ms: i64::from(g.offsets_retention_minutes) * 60_000,
        offsets_retention_check_interval_ms: g.offsets_retention_check_interval_ms,
        offset_commit_timeout_ms: g.offsets_commit_timeout_ms,
        append_linger_ms: config.values().typed::<i32>("group.coordinator.append.linger.ms"),
        consumer: consumer_groups(config),
        share: share_groups(config),
        streams: streams_groups(config),
        ..Default::default()
    }
}

fn consumer_groups(config: &KafkaConfig) -> ConsumerGroupConfig {
    let int = |key: &str| config.values().typed::<i32>(key);
    let names = config.values().typed::<Vec<String>>("group.consumer.assignors");
    let assignors: Vec<_> = names.iter().filter_map(|name| consumer_assignor(name)).collect();
    ConsumerGroupConfig {
        session_timeout_ms: int("group.consumer.session.timeout.ms"),
        min_session_timeout_ms: int("group.consumer.min.session.timeout.ms"),
        max_session_timeout_ms: int("group.consumer.max.session.timeout.ms"),
        heartbeat_interval_ms: int("group.consumer.heartbeat.interval.ms"),
        min_heartbeat_interval_ms: int("group.consumer.min.heartbeat.interval.ms"),
        max_heartbeat_interval_ms: int("group.consumer.max.heartbeat.interval.ms"),
        assignment_interval_ms: int("group.consumer.assignment.interval.ms"),
        min_assignment_interval_ms: int("group.consumer.min.assignment.interval.ms"),
        max_assignment_interval_ms: int("group.consumer.max.assignment.interval.ms"),
        max_size: int("group.consumer.max.size"),
        // Other assignors are classes, which cannot be loaded here.
        assignors: if assignors.is_empty() { builtin_assignors() } else { assignors },
        migration_policy: ConsumerGroupMigrationPolicy::parse(
            &config.values().typed::<String>("group.consumer.migration.policy"),
        ),
        regex_refresh_interval_ms: int("group.consumer.regex.refresh.interval.ms"),
    }
}

/// An assignor by its own name or by that of Kafka's class.
fn consumer_assignor(name: &str) -> Option<Arc<dyn PartitionAssignor>> {
    match name {
        "org.apache.kafka.coordinator.group.assignor.UniformAssignor" => builtin_assignor("uniform"),
        "org.apache.kafka.coordinator.group.assignor.RangeAssignor" => builtin_assignor("range"),
        name => builtin_assignor(name),
    }
}

fn share_groups(config: &KafkaConfig) -> ShareGroupConfig {
    let int = |key: &str| config.values().typed::<i32>(key);
    let retry_interval_ms = int("group.share.initialize.retry.interval.ms");
    ShareGroupConfig {
        max_size: int("group.share.max.size"),
        session_timeout_ms: int("group.share.session.timeout.ms"),
        min_session_timeout_ms: int("group.share.min.session.timeout.ms"),
        max_session_timeout_ms: int("group.share.max.session.timeout.ms"),
        heartbeat_interval_ms: int("group.share.heartbeat.interval.ms"),
        min_heartbeat_interval_ms: int("group.share.min.heartbeat.interval.ms"),
        max_heartbeat_interval_ms: int("group.share.max.heartbeat.interval.ms"),
        assignment_interval_ms: int("group.share.assignment.interval.ms"),
        min_assignment_interval_ms: int("group.share.min.assignment.interval.ms"),
        max_assignment_interval_ms: int("group.share.max.assignment.interval.ms"),
        // Nobody is asked again before the first answer can have been committed.
        initialize_retry_interval_ms: retry_interval_ms
            .max(config.settings.group_coordinator.offsets_commit_timeout_ms),
    }
}

fn streams_groups(config: &KafkaConfig) -> StreamsGroupCoordinatorConfig {
    let int = |key: &str| config.values().typed::<i32>(key);
    let tags = config.values().typed::<Vec<String>>("group.streams.rack.aware.assignment.tags");
    StreamsGroupCoordinatorConfig {
        session_timeout_ms: int("group.streams.session.timeout.ms"),
        min_session_timeout_ms: int("group.streams.min.session.timeout.ms"),
        max_session_timeout_ms: int("group.streams.max.session.timeout.ms"),
        heartbeat_interval_ms: int("group.streams.heartbeat.interval.ms"),
        min_heartbeat_interval_ms: int("group.streams.min.heartbeat.interval.ms"),
        max_heartbeat_interval_ms: int("group.streams.max.heartbeat.interval.ms"),
        max_size: int("group.streams.max.size"),
        num_standby_replicas: int("group.streams.num.standby.replicas"),
        max_standby_replicas: int("group.streams.max.standby.replicas"),
        initial_rebalance_delay_ms: int("group.streams.initial.rebalance.delay.ms"),
        assignment_interval_ms: int("group.streams.assignment.interval.ms"),
        min_assignment_interval_ms: int("group.streams.min.assignment.interval.ms"),
        max_assignment_interval_ms: int("group.streams.max.assignment.interval.ms"),
        task_offset_interval_ms: int("group.streams.task.offset.interval.ms"),
        min_task_offset_interval_ms: int("group.streams.min.task.offset.interval.ms"),
        num_warmup_replicas: int("group.streams.num.warmup.replicas"),
        max_warmup_replicas: int("group.streams.max.warmup.replicas"),
        acceptable_recovery_lag: config.values().typed::<i64>("group.streams.acceptable.recovery.lag"),
        rack_aware_assignment_tags: tags.into_iter().map(ByteString::from).collect(),
        topology_description_plugin_configured: topology_descriptions(config).is_some(),
    }
}

/// `group.streams.topology.description.plugin.class`: other plugins than Kafka's own are classes, which cannot be
/// loaded here.
pub(crate) fn topology_descriptions(config: &KafkaConfig) -> Option<Arc<dyn TopologyDescriptionPlugin>> {
    let class = config.values().typed::<Option<String>>("group.streams.topology.description.plugin.class")?;
    (class == IN_MEMORY_PLUGIN_CLASS)
        .then(|| Arc::new(InMemoryTopologyDescriptions::default()) as Arc<dyn TopologyDescriptionPlugin>)
}

/// `offsets.topic.compression.codec`, by Kafka's number of the codec.
pub(crate) fn offsets_compression(config: &KafkaConfig) -> Compression {
    let number = config.settings.group_coordinator.offsets_topic_compression_codec;
    let codec = i16::try_from(number).ok().and_then(CompressionType::from_id);
    Compression::from(codec.unwrap_or(CompressionType::None))
}

/// Shapes of topics that are made on demand.
pub(crate) fn auto_topics(config: &KafkaConfig) -> AutoTopicShapes {
    let g = &config.settings.group_coordinator;
    let p = &config.settings.producer_state;
    let internal =
        |partitions, replication_factor, segment_bytes: i32, cleanup: &str, more: &[(&str, String)]| {
            let mut configs = vec![
                ("cleanup.policy".to_owned(), cleanup.to_owned()),
                ("segment.bytes".to_owned(), segment_bytes.to_string()),
                // Coordinators read records as they wrote them.
                ("compression.type".to_owned(), "producer".to_owned()),
            ];
            configs.extend(more.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
            InternalTopicShape { partitions, replication_factor, configs }
        };
    let share = |key: &str| config.values().typed::<i32>(key);
    AutoTopicShapes {
        offsets: internal(
            g.offsets_topic_num_partitions,
            g.offsets_topic_replication_factor,
            g.offsets_topic_segment_bytes,
            "compact",
            &[],
        ),
        transactions: internal(
            p.transaction_state_log_num_partitions,
            p.transaction_state_log_replication_factor,
            p.transaction_state_log_segment_bytes,
            "compact",
            &[("min.insync.replicas", p.transaction_state_log_min_isr.to_string())],
        ),
        share_state: internal(
            share("share.coordinator.state.topic.num.partitions"),
            config.values().typed::<i16>("share.coordinator.state.topic.replication.factor"),
            share("share.coordinator.state.topic.segment.bytes"),
            // Its records change what the ones before them say: they go only when the coordinator says so.
            "delete",
            &[
                (
                    "min.insync.replicas",
                    config.values().typed::<i16>("share.coordinator.state.topic.min.isr").to_string(),
                ),
                ("retention.ms", "-1".to_owned()),
            ],
        ),
    }
}

/// A bound that the configuration has already checked to be positive.
fn count(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

fn millis(value: i64) -> Option<Duration> {
    u64::try_from(value).ok().map(Duration::from_millis)
}

/// Settings of the share coordinator.
pub(crate) fn share_coordinator(
    config: &KafkaConfig,
) -> ottla_coordinator::share_state::ShareCoordinatorConfig {
    let number = |key: &str| config.values().typed::<i32>(key);
    ottla_coordinator::share_state::ShareCoordinatorConfig {
        snapshot_update_records_per_snapshot: number(
            "share.coordinator.snapshot.update.records.per.snapshot",
        ),
        cold_partition_snapshot_interval_ms: number("share.coordinator.cold.partition.snapshot.interval.ms"),
        state_topic_prune_interval_ms: number("share.coordinator.state.topic.prune.interval.ms"),
        write_timeout_ms: number("share.coordinator.write.timeout.ms"),
    }
}

/// `share.coordinator.append.linger.ms`.
pub(crate) fn share_append_linger(config: &KafkaConfig) -> ottla_coordinator::runtime::AppendLinger {
    let linger_ms = config.values().typed::<i32>("share.coordinator.append.linger.ms");
    ottla_coordinator::runtime::AppendLinger::from_config(linger_ms)
}

/// `share.coordinator.state.topic.compression.codec`, by Kafka's number of the codec.
pub(crate) fn share_state_compression(config: &KafkaConfig) -> Compression {
    let number = config.values().typed::<i32>("share.coordinator.state.topic.compression.codec");
    let codec = i16::try_from(number).ok().and_then(CompressionType::from_id);
    Compression::from(codec.unwrap_or(CompressionType::None))
}

/// Settings of the transaction coordinator.
pub(crate) fn transactions(config: &KafkaConfig) -> ottla_coordinator::transaction::TransactionConfig {
    let millis = |key: &str| i64::from(config.values().typed::<i32>(key));
    ottla_coordinator::transaction::TransactionConfig {
        transactional_id_expiration_ms: millis("transactional.id.expiration.ms"),
        transaction_max_timeout_ms: config.settings.producer_state.transaction_max_timeout_ms,
        abort_timed_out_transactions_interval_ms: millis(
            "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        ),
        remove_expired_transactional_ids_interval_ms: millis(
            "transaction.remove.expired.transaction.cleanup.interval.ms",
        ),
        two_phase_commit_enable: config.values().typed("transaction.two.phase.commit.enable"),
        request_timeout_ms: config.settings.server.request_timeout_ms,
    }
}

/// When the leader of a partition asks a transaction's coordinator again.
pub(crate) fn transaction_verification(
    config: &KafkaConfig,
) -> ottla_replica::transaction_verification::AddPartitionsToTxnConfig {
    let millis = |key: &str| i64::from(config.values().typed::<i32>(key));
    ottla_replica::transaction_verification::AddPartitionsToTxnConfig {
        retry_backoff_ms: millis("add.partitions.to.txn.retry.backoff.ms"),
        retry_backoff_max_ms: millis("add.partitions.to.txn.retry.backoff.max.ms"),
        request_timeout_ms: i64::from(config.settings.server.request_timeout_ms),
    }
}

/// A channel to the other brokers, and to this one. One for each purpose: see
/// [`InterBrokerChannel`](crate::broker::inter_broker::InterBrokerChannel).
pub(crate) fn inter_broker(
    config: &KafkaConfig,
    purpose: &'static str,
) -> crate::broker::inter_broker::InterBrokerOptions {
    crate::broker::inter_broker::InterBrokerOptions {
        node_id: config.node_id,
        listener: config.inter_broker_listener_name.clone(),
        purpose,
        request_timeout: millis(i64::from(config.settings.server.request_timeout_ms)).unwrap_or_default(),
    }
}

/// Settings of compaction.
pub(crate) fn cleaner(config: &KafkaConfig) -> ottla_storage::cleaner::CleanerConfig {
    let values = config.values();
    let bytes = |key: &str| values.typed::<i64>(key).max(0).unsigned_abs();
    ottla_storage::cleaner::CleanerConfig {
        threads: count(values.typed("log.cleaner.threads")),
        dedupe_buffer_size: bytes("log.cleaner.dedupe.buffer.size"),
        dedupe_buffer_load_factor: values.typed("log.cleaner.io.buffer.load.factor"),
        io_buffer_size: count(values.typed("log.cleaner.io.buffer.size")),
        io_max_bytes_per_second: values.typed("log.cleaner.io.max.bytes.per.second"),
        backoff_ms: values.typed("log.cleaner.backoff.ms"),
    }
}
