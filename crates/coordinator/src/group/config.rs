use super::consumer::ConsumerGroupConfig;
use super::share::ShareGroupConfig;
use super::streams::StreamsGroupCoordinatorConfig;

/// What the group coordinator takes from the broker's configuration; the defaults are Kafka's.
#[derive(Debug, Clone)]
pub struct GroupCoordinatorConfig {
    /// `group.min.session.timeout.ms`
    pub classic_group_min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`
    pub classic_group_max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`
    pub classic_group_initial_rebalance_delay_ms: i32,
    /// `group.max.size`
    pub classic_group_max_size: i32,
    /// How long a member that was never answered may keep its place; not configurable in Kafka.
    pub classic_group_new_member_join_timeout_ms: i32,
    /// `offset.metadata.max.bytes`
    pub offset_metadata_max_size: i32,
    /// `offsets.retention.minutes`, in milliseconds
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check_interval_ms: i64,
    /// `offsets.commit.timeout.ms`: patience with the commit of an append.
    pub offset_commit_timeout_ms: i32,
    /// `group.coordinator.append.linger.ms`: how long records wait for others; -1 is adaptive.
    pub append_linger_ms: i32,
    /// `group.consumer.*`
    pub consumer: ConsumerGroupConfig,
    /// `group.share.*`
    pub share: ShareGroupConfig,
    /// `group.streams.*`
    pub streams: StreamsGroupCoordinatorConfig,
}

impl Default for GroupCoordinatorConfig {
    fn default() -> Self {
        Self {
            classic_group_min_session_timeout_ms: 6_000,
            classic_group_max_session_timeout_ms: 1_800_000,
            classic_group_initial_rebalance_delay_ms: 3_000,
            classic_group_max_size: i32::MAX,
            classic_group_new_member_join_timeout_ms: 5 * 60 * 1000,
            offset_metadata_max_size: 4096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1000,
            offsets_retention_check_interval_ms: 600_000,
            offset_commit_timeout_ms: 5_000,
            append_linger_ms: -1,
            consumer: ConsumerGroupConfig::default(),
            share: ShareGroupConfig::default(),
            streams: StreamsGroupCoordinatorConfig::default(),
        }
    }
}
