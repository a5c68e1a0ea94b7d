use bytestring::ByteString;

/// What streams groups take from the broker's configuration (`group.streams.*`); the defaults are Kafka's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamsGroupCoordinatorConfig {
    /// `group.streams.session.timeout.ms`
    pub session_timeout_ms: i32,
    /// `group.streams.min.session.timeout.ms`
    pub min_session_timeout_ms: i32,
    /// `group.streams.max.session.timeout.ms`
    pub max_session_timeout_ms: i32,
    /// `group.streams.heartbeat.interval.ms`
    pub heartbeat_interval_ms: i32,
    /// `group.streams.min.heartbeat.interval.ms`
    pub min_heartbeat_interval_ms: i32,
    /// `group.streams.max.heartbeat.interval.ms`
    pub max_heartbeat_interval_ms: i32,
    /// `group.streams.max.size`
    pub max_size: i32,
    /// `group.streams.num.standby.replicas`
    pub num_standby_replicas: i32,
    /// `group.streams.max.standby.replicas`
    pub max_standby_replicas: i32,
    /// `group.streams.initial.rebalance.delay.ms`
    pub initial_rebalance_delay_ms: i32,
    /// `group.streams.assignment.interval.ms`
    pub assignment_interval_ms: i32,
    /// `group.streams.min.assignment.interval.ms`
    pub min_assignment_interval_ms: i32,
    /// `group.streams.max.assignment.interval.ms`
    pub max_assignment_interval_ms: i32,
    /// `group.streams.task.offset.interval.ms`
    pub task_offset_interval_ms: i32,
    /// `group.streams.min.task.offset.interval.ms`
    pub min_task_offset_interval_ms: i32,
    /// `group.streams.num.warmup.replicas`
    pub num_warmup_replicas: i32,
    /// `group.streams.max.warmup.replicas`
    pub max_warmup_replicas: i32,
    /// `group.streams.acceptable.recovery.lag`
    pub acceptable_recovery_lag: i64,
    /// `group.streams.rack.aware.assignment.tags`
    pub rack_aware_assignment_tags: Vec<ByteString>,
    /// Whether `group.streams.topology.description.plugin.class` names something (KIP-1331).
    pub topology_description_plugin_configured: bool,
}

impl Default for StreamsGroupCoordinatorConfig {
    fn default() -> Self {
        Self {
            session_timeout_ms: 45_000,
            min_session_timeout_ms: 45_000,
            max_session_timeout_ms: 60_000,
            heartbeat_interval_ms: 5_000,
            min_heartbeat_interval_ms: 5_000,
            max_heartbeat_interval_ms: 15_000,
            max_size: i32::MAX,
            num_standby_replicas: 0,
            max_standby_replicas: 2,
            initial_rebalance_delay_ms: 3_000,
            assignment_interval_ms: 1_000,
            min_assignment_interval_ms: 0,
            max_assignment_interval_ms: 15_000,
            task_offset_interval_ms: 60_000,
            min_task_offset_interval_ms: 15_000,
            num_warmup_replicas: 2,
            max_warmup_replicas: 20,
            acceptable_recovery_lag: 10_000,
            rack_aware_assignment_tags: Vec::new(),
            topology_description_plugin_configured: false,
        }
    }
}

/// What the group's own configuration (resource type GROUP, `streams.*`) says differently.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamsGroupConfigOverrides {
    /// `streams.session.timeout.ms`
    pub session_timeout_ms: Option<i32>,
    /// `streams.heartbeat.interval.ms`
    pub heartbeat_interval_ms: Option<i32>,
    /// `streams.num.standby.replicas`
    pub num_standby_replicas: Option<i32>,
    /// `streams.initial.rebalance.delay.ms`
    pub initial_rebalance_delay_ms: Option<i32>,
    /// `streams.assignment.interval.ms`
    pub assignment_interval_ms: Option<i32>,
    /// `streams.task.offset.interval.ms`
    pub task_offset_interval_ms: Option<i32>,
    /// `streams.num.warmup.replicas`
    pub num_warmup_replicas: Option<i32>,
    /// `streams.acceptable.recovery.lag`
    pub acceptable_recovery_lag: Option<i64>,
    /// `streams.rack.aware.assignment.tags`
    pub rack_aware_assignment_tags: Option<Vec<ByteString>>,
}

/// What holds for one group: the broker's word, unless the group has its own within the broker's bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamsGroupConfig {
    /// How long a member may be silent.
    pub session_timeout_ms: i32,
    /// How often members are to send heartbeats.
    pub heartbeat_interval_ms: i32,
    /// How many members the group may have.
    pub max_size: i32,
    /// How many standby replicas every stateful task is to have.
    pub num_standby_replicas: i32,
    /// How long the first assignment of a group waits for more members.
    pub initial_rebalance_delay_ms: i32,
    /// The least time between two assignments.
    pub assignment_interval_ms: i32,
    /// How often members are to report the offsets of their tasks.
    pub task_offset_interval_ms: i32,
    /// How many tasks may warm up at a time.
    pub num_warmup_replicas: i32,
    /// How far behind a task may be and still count as caught up.
    pub acceptable_recovery_lag: i64,
    /// The client tags by which standby replicas are to be spread (KIP-1357).
    pub rack_aware_assignment_tags: Vec<ByteString>,
    /// Whether topology descriptions can be stored anywhere (KIP-1331).
    pub topology_description_plugin_configured: bool,
}

impl StreamsGroupCoordinatorConfig {
    /// What holds for a group with these overrides. A value out of bounds, which may be left from a time
    /// of other bounds, is brought within them.
    pub fn of_group(&self, group: &StreamsGroupConfigOverrides) -> StreamsGroupConfig {
        let (sessions, beats) = (
            (self.min_session_timeout_ms, self.max_session_timeout_ms),
            (self.min_heartbeat_interval_ms, self.max_heartbeat_interval_ms),
        );
        let intervals = (self.min_assignment_interval_ms, self.max_assignment_interval_ms);
        let offsets = (self.min_task_offset_interval_ms, i32::MAX);
        let tags = group.rack_aware_assignment_tags.as_ref().unwrap_or(&self.rack_aware_assignment_tags);
        StreamsGroupConfig {
            session_timeout_ms: within(group.session_timeout_ms, sessions, self.session_timeout_ms),
            heartbeat_interval_ms: within(group.heartbeat_interval_ms, beats, self.heartbeat_interval_ms),
            max_size: self.max_size,
            num_standby_replicas: within(
                group.num_standby_replicas,
                (0, self.max_standby_replicas),
                self.num_standby_replicas,
            ),
            initial_rebalance_delay_ms: group
                .initial_rebalance_delay_ms
                .unwrap_or(self.initial_rebalance_delay_ms),
            assignment_interval_ms: within(
                group.assignment_interval_ms,
                intervals,
                self.assignment_interval_ms,
            ),
            task_offset_interval_ms: within(
                group.task_offset_interval_ms,
                offsets,
                self.task_offset_interval_ms,
            ),
            num_warmup_replicas: within(
                group.num_warmup_replicas,
                (0, self.max_warmup_replicas),
                self.num_warmup_replicas,
            ),
            acceptable_recovery_lag: group.acceptable_recovery_lag.unwrap_or(self.acceptable_recovery_lag),
            rack_aware_assignment_tags: tags.clone(),
            topology_description_plugin_configured: self.topology_description_plugin_configured,
        }
    }
}

impl Default for StreamsGroupConfig {
    fn default() -> Self {
        StreamsGroupCoordinatorConfig::default().of_group(&StreamsGroupConfigOverrides::default())
    }
}

/// The group's value between the bounds, or the broker's, which is taken as it is.
fn within(group: Option<i32>, (min, max): (i32, i32), broker: i32) -> i32 {
    group.map_or(broker, |value| value.min(max).max(min))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_without_its_own_word_has_the_brokers() {
        let config = StreamsGroupConfig::default();
        assert_eq!((config.session_timeout_ms, config.heartbeat_interval_ms), (45_000, 5_000));
        assert_eq!((config.num_standby_replicas, config.initial_rebalance_delay_ms), (0, 3_000));
        assert_eq!((config.assignment_interval_ms, config.task_offset_interval_ms), (1_000, 60_000));
    }

    #[test]
    fn a_groups_own_word_keeps_within_the_brokers_bounds() {
        let overrides = StreamsGroupConfigOverrides {
            session_timeout_ms: Some(50_000),
            heartbeat_interval_ms: Some(1),
            num_standby_replicas: Some(9),
            ..Default::default()
        };
        let config = StreamsGroupCoordinatorConfig::default().of_group(&overrides);
        assert_eq!(config.session_timeout_ms, 50_000);
        assert_eq!(config.heartbeat_interval_ms, 5_000, "raised to the least");
        assert_eq!(config.num_standby_replicas, 2, "lowered to the most");
    }
}
