//! The settings that code reads, each as a Rust value with the key's own name.
//!
//! A key that stands in none of these groups has no effect yet, and the parser says so.

use ottla_common::config::ConfigValues;

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty = $key:literal,)* })*) => {
        $($(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $name {
            $(#[doc = concat!("`", $key, "`")] pub $field: $type,)*
        }

        impl $name {
            pub(super) fn read(values: &ConfigValues) -> Self {
                Self { $($field: values.typed::<$type>($key),)* }
            }
        })*

        /// Every key that some code reads.
        pub(super) static KEYS_READ: &[&str] = &[$($($key,)*)*];

        /// The fields behind them.
        #[cfg(test)]
        pub(super) static FIELDS: &[&str] = &[$($(stringify!($field),)*)*];
    };
}

settings! {
    /// The server in general.
    ServerSettings {
        request_timeout_ms: i32 = "request.timeout.ms",
        fetch_max_bytes: i32 = "fetch.max.bytes",
        max_incremental_fetch_session_cache_slots: i32 = "max.incremental.fetch.session.cache.slots",
        max_request_partition_size_limit: i32 = "max.request.partition.size.limit",
        delete_topic_enable: bool = "delete.topic.enable",
        auto_create_topics_enable: bool = "auto.create.topics.enable",
        controlled_shutdown_enable: bool = "controlled.shutdown.enable",
        broker_rack: Option<String> = "broker.rack",
        unstable_api_versions_enable: bool = "unstable.api.versions.enable",
    }
    /// Roles, registration and heartbeats.
    KRaftSettings {
        initial_broker_registration_timeout_ms: i32 = "initial.broker.registration.timeout.ms",
        broker_heartbeat_interval_ms: i32 = "broker.heartbeat.interval.ms",
        broker_session_timeout_ms: i32 = "broker.session.timeout.ms",
    }
    /// The metadata log and its snapshots.
    MetadataLogSettings {
        max_record_bytes_between_snapshots: i64 = "metadata.log.max.record.bytes.between.snapshots",
        max_snapshot_interval_ms: i64 = "metadata.log.max.snapshot.interval.ms",
        segment_bytes: i32 = "metadata.log.segment.bytes",
        segment_ms: i64 = "metadata.log.segment.ms",
        max_retention_bytes: i64 = "metadata.max.retention.bytes",
        max_retention_ms: i64 = "metadata.max.retention.ms",
        max_idle_interval_ms: i32 = "metadata.max.idle.interval.ms",
        internal_segment_bytes: Option<i32> = "internal.metadata.log.segment.bytes",
    }
    /// The KRaft quorum.
    QuorumSettings {
        election_timeout_ms: i32 = "controller.quorum.election.timeout.ms",
        election_backoff_max_ms: i32 = "controller.quorum.election.backoff.max.ms",
        fetch_timeout_ms: i32 = "controller.quorum.fetch.timeout.ms",
        request_timeout_ms: i32 = "controller.quorum.request.timeout.ms",
        retry_backoff_ms: i32 = "controller.quorum.retry.backoff.ms",
        auto_join_enable: bool = "controller.quorum.auto.join.enable",
        fetch_max_bytes: i32 = "controller.quorum.fetch.max.bytes",
    }
    /// Connections and request queues.
    SocketServerSettings {
        socket_send_buffer_bytes: i32 = "socket.send.buffer.bytes",
        socket_receive_buffer_bytes: i32 = "socket.receive.buffer.bytes",
        socket_request_max_bytes: i32 = "socket.request.max.bytes",
        socket_listen_backlog_size: i32 = "socket.listen.backlog.size",
        max_connections_per_ip: i32 = "max.connections.per.ip",
        max_connections: i32 = "max.connections",
        connections_max_idle_ms: i64 = "connections.max.idle.ms",
        queued_max_request_bytes: i64 = "queued.max.request.bytes",
    }
    /// Replicas and leaders.
    ReplicationSettings {
        default_replication_factor: i32 = "default.replication.factor",
        replica_lag_time_max_ms: i64 = "replica.lag.time.max.ms",
        replica_high_watermark_checkpoint_interval_ms: i64 = "replica.high.watermark.checkpoint.interval.ms",
        min_insync_replicas: i32 = "min.insync.replicas",
        leader_imbalance_check_interval_seconds: i64 = "leader.imbalance.check.interval.seconds",
        auto_leader_rebalance_enable: bool = "auto.leader.rebalance.enable",
    }
    /// Groups and their offsets.
    GroupCoordinatorSettings {
        rebalance_protocols: Vec<String> = "group.coordinator.rebalance.protocols",
        offsets_commit_timeout_ms: i32 = "offsets.commit.timeout.ms",
        offsets_topic_replication_factor: i16 = "offsets.topic.replication.factor",
        offsets_topic_num_partitions: i32 = "offsets.topic.num.partitions",
        offsets_topic_segment_bytes: i32 = "offsets.topic.segment.bytes",
        offsets_topic_compression_codec: i32 = "offsets.topic.compression.codec",
        offset_metadata_max_bytes: i32 = "offset.metadata.max.bytes",
        offsets_retention_minutes: i32 = "offsets.retention.minutes",
        offsets_retention_check_interval_ms: i64 = "offsets.retention.check.interval.ms",
        group_min_session_timeout_ms: i32 = "group.min.session.timeout.ms",
        group_max_session_timeout_ms: i32 = "group.max.session.timeout.ms",
        group_initial_rebalance_delay_ms: i32 = "group.initial.rebalance.delay.ms",
        group_max_size: i32 = "group.max.size",
    }
    /// Producers' state.
    ProducerStateSettings {
        producer_id_expiration_ms: i32 = "producer.id.expiration.ms",
        producer_id_expiration_check_interval_ms: i32 = "producer.id.expiration.check.interval.ms",
        transaction_max_timeout_ms: i32 = "transaction.max.timeout.ms",
        transaction_state_log_num_partitions: i32 = "transaction.state.log.num.partitions",
        transaction_state_log_replication_factor: i16 = "transaction.state.log.replication.factor",
        transaction_state_log_min_isr: i32 = "transaction.state.log.min.isr",
        transaction_state_log_segment_bytes: i32 = "transaction.state.log.segment.bytes",
    }
    /// Logs on disk: what is not a topic's own.
    LogSettings {
        num_partitions: i32 = "num.partitions",
        num_recovery_threads_per_data_dir: i32 = "num.recovery.threads.per.data.dir",
        log_retention_check_interval_ms: i64 = "log.retention.check.interval.ms",
        log_flush_scheduler_interval_ms: i64 = "log.flush.scheduler.interval.ms",
        log_flush_offset_checkpoint_interval_ms: i32 = "log.flush.offset.checkpoint.interval.ms",
        log_flush_start_offset_checkpoint_interval_ms: i32 = "log.flush.start.offset.checkpoint.interval.ms",
        log_initial_task_delay_ms: i64 = "log.initial.task.delay.ms",
    }
}

/// All groups of settings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// The server in general.
    pub server: ServerSettings,
    /// Roles, registration and heartbeats.
    pub kraft: KRaftSettings,
    /// The metadata log and its snapshots.
    pub metadata_log: MetadataLogSettings,
    /// The KRaft quorum.
    pub quorum: QuorumSettings,
    /// Connections and request queues.
    pub socket_server: SocketServerSettings,
    /// Replicas and leaders.
    pub replication: ReplicationSettings,
    /// Groups and their offsets.
    pub group_coordinator: GroupCoordinatorSettings,
    /// Producers' state.
    pub producer_state: ProducerStateSettings,
    /// Logs on disk.
    pub log: LogSettings,
}

impl Settings {
    pub(super) fn read(values: &ConfigValues) -> Self {
        Self {
            server: ServerSettings::read(values),
            kraft: KRaftSettings::read(values),
            metadata_log: MetadataLogSettings::read(values),
            quorum: QuorumSettings::read(values),
            socket_server: SocketServerSettings::read(values),
            replication: ReplicationSettings::read(values),
            group_coordinator: GroupCoordinatorSettings::read(values),
            producer_state: ProducerStateSettings::read(values),
            log: LogSettings::read(values),
        }
    }
}
