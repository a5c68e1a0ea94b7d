//! From configuration keys to the settings of each part.

mod coordinators;
mod groups;

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ottla_apis::support::auto_topic_creation::{AutoTopicShapes, InternalTopicShape};
use ottla_common::time::Time;
use ottla_network::{ConnectionLimits, ListenerConfig, SecurityProtocol, SocketServer, SocketServerConfig};
use ottla_storage::fs::FileSystem;
use ottla_storage::{LogConfig, LogManagerParams};

use crate::config::{self, KafkaConfig};
use crate::node::storage_check::FormattedStorage;
use crate::raft::{Endpoints, RaftConfig, VoterSet};

pub(crate) use coordinators::{
    share_append_linger, share_coordinator, share_state_compression, transaction_verification, transactions,
};
pub(crate) use groups::{group_coordinator, offsets_compression, topology_descriptions};

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
    LogManagerParams {
        fs,
        time,
        log_dirs: config.log_dirs.iter().map(PathBuf::from).collect(),
        default_config: Arc::new(LogConfig::from_map(config.topic_defaults()).unwrap_or_default()),
        recovery_threads_per_data_dir: count(config.settings.log.num_recovery_threads_per_data_dir),
        producer_state: config.producer_state(),
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
