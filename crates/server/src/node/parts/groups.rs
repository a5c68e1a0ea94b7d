//! Settings of the group coordinator and of each kind of group.

use std::sync::Arc;

use bytestring::ByteString;
use ottla_coordinator::group::assignor::{builtin_assignor, builtin_assignors};
use ottla_coordinator::group::consumer::{ConsumerGroupConfig, ConsumerGroupMigrationPolicy};
use ottla_coordinator::group::modern::PartitionAssignor;
use ottla_coordinator::group::share::ShareGroupConfig;
use ottla_coordinator::group::streams::StreamsGroupCoordinatorConfig;
use ottla_record::{Compression, CompressionType};

use crate::config::KafkaConfig;
use crate::coordinator::GroupCoordinatorConfig;
use crate::coordinator::group::{
    IN_MEMORY_PLUGIN_CLASS, InMemoryTopologyDescriptions, TopologyDescriptionPlugin,
};

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
