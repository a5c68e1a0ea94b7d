use std::sync::Arc;

use crate::group::assignor::{UniformAssignor, builtin_assignors};
use crate::group::modern::PartitionAssignor;

/// Which live groups may change their protocol: `group.consumer.migration.policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConsumerGroupMigrationPolicy {
    /// Classic groups become consumer groups and the other way round.
    #[default]
    Bidirectional,
    /// Classic groups become consumer groups.
    Upgrade,
    /// Consumer groups become classic groups.
    Downgrade,
    /// No group changes, and no classic member joins a consumer group.
    Disabled,
}

impl ConsumerGroupMigrationPolicy {
    /// The policy of this name, in whatever case; as in Kafka, anything else disables migration.
    pub fn parse(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "bidirectional" => Self::Bidirectional,
            "upgrade" => Self::Upgrade,
            "downgrade" => Self::Downgrade,
            _ => Self::Disabled,
        }
    }

    /// Whether a live classic group may become a consumer group.
    pub fn is_upgrade_enabled(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    /// Whether a live consumer group may become a classic group.
    pub fn is_downgrade_enabled(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

/// What consumer groups take from the broker's configuration; the defaults are Kafka's.
#[derive(Debug, Clone)]
pub struct ConsumerGroupConfig {
    /// `group.consumer.session.timeout.ms`
    pub session_timeout_ms: i32,
    /// `group.consumer.min.session.timeout.ms`
    pub min_session_timeout_ms: i32,
    /// `group.consumer.max.session.timeout.ms`
    pub max_session_timeout_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`
    pub heartbeat_interval_ms: i32,
    /// `group.consumer.min.heartbeat.interval.ms`
    pub min_heartbeat_interval_ms: i32,
    /// `group.consumer.max.heartbeat.interval.ms`
    pub max_heartbeat_interval_ms: i32,
    /// `group.consumer.assignment.interval.ms` (KIP-1263)
    pub assignment_interval_ms: i32,
    /// `group.consumer.min.assignment.interval.ms`
    pub min_assignment_interval_ms: i32,
    /// `group.consumer.max.assignment.interval.ms`
    pub max_assignment_interval_ms: i32,
    /// `group.consumer.max.size`
    pub max_size: i32,
    /// `group.consumer.assignors`: the first is used when members have no wish.
    pub assignors: Vec<Arc<dyn PartitionAssignor>>,
    /// `group.consumer.migration.policy`
    pub migration_policy: ConsumerGroupMigrationPolicy,
    /// `group.consumer.regex.refresh.interval.ms`
    pub regex_refresh_interval_ms: i32,
}

impl Default for ConsumerGroupConfig {
    fn default() -> Self {
        Self {
            session_timeout_ms: 45_000,
            min_session_timeout_ms: 45_000,
            max_session_timeout_ms: 60_000,
            heartbeat_interval_ms: 5_000,
            min_heartbeat_interval_ms: 5_000,
            max_heartbeat_interval_ms: 15_000,
            assignment_interval_ms: 1_000,
            min_assignment_interval_ms: 0,
            max_assignment_interval_ms: 15_000,
            max_size: i32::MAX,
            assignors: builtin_assignors(),
            migration_policy: ConsumerGroupMigrationPolicy::default(),
            regex_refresh_interval_ms: 10 * 60 * 1000,
        }
    }
}

/// What a group's own configuration says instead: `consumer.session.timeout.ms` and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConsumerGroupOverrides {
    /// `consumer.session.timeout.ms`
    pub session_timeout_ms: Option<i32>,
    /// `consumer.heartbeat.interval.ms`
    pub heartbeat_interval_ms: Option<i32>,
    /// `consumer.assignment.interval.ms`
    pub assignment_interval_ms: Option<i32>,
}

impl ConsumerGroupConfig {
    /// The configuration as it is for one group; what its own says is kept within the broker's bounds.
    pub fn for_group(&self, overrides: &ConsumerGroupOverrides) -> Self {
        let within = |value: Option<i32>, default: i32, min: i32, max: i32| {
            value.map_or(default, |value| value.min(max).max(min))
        };
        Self {
            session_timeout_ms: within(
                overrides.session_timeout_ms,
                self.session_timeout_ms,
                self.min_session_timeout_ms,
                self.max_session_timeout_ms,
            ),
            heartbeat_interval_ms: within(
                overrides.heartbeat_interval_ms,
                self.heartbeat_interval_ms,
                self.min_heartbeat_interval_ms,
                self.max_heartbeat_interval_ms,
            ),
            assignment_interval_ms: within(
                overrides.assignment_interval_ms,
                self.assignment_interval_ms,
                self.min_assignment_interval_ms,
                self.max_assignment_interval_ms,
            ),
            ..self.clone()
        }
    }

    /// The assignor of this name, if it is one of those that may be used.
    pub fn assignor(&self, name: &str) -> Option<&Arc<dyn PartitionAssignor>> {
        self.assignors.iter().find(|assignor| assignor.name() == name)
    }

    /// The assignor that members want, or the first when they have no wish that can be met.
    pub fn assignor_or_default(&self, name: Option<&str>) -> Arc<dyn PartitionAssignor> {
        let wanted = name.and_then(|name| self.assignor(name)).or_else(|| self.assignors.first());
        wanted.cloned().unwrap_or_else(|| Arc::new(UniformAssignor))
    }

    /// The name of the assignor that is used when members have no wish.
    pub fn default_assignor(&self) -> &'static str {
        self.assignor_or_default(None).name()
    }

    pub(crate) fn is_full(&self, num_members: usize) -> bool {
        num_members >= usize::try_from(self.max_size).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_groups_own_configuration_stays_within_bounds() {
        let config = ConsumerGroupConfig::default();
        let overrides = ConsumerGroupOverrides {
            session_timeout_ms: Some(1_000_000),
            heartbeat_interval_ms: Some(1),
            assignment_interval_ms: Some(2_000),
        };
        let of_group = config.for_group(&overrides);
        assert_eq!(of_group.session_timeout_ms, 60_000);
        assert_eq!(of_group.heartbeat_interval_ms, 5_000);
        assert_eq!(of_group.assignment_interval_ms, 2_000);
        assert_eq!(config.for_group(&ConsumerGroupOverrides::default()).session_timeout_ms, 45_000);
    }

    #[test]
    fn policies_go_by_their_names() {
        use ConsumerGroupMigrationPolicy as Policy;
        assert_eq!(Policy::parse("BIDIRECTIONAL"), Policy::Bidirectional);
        assert!(Policy::parse("upgrade").is_upgrade_enabled() && !Policy::Upgrade.is_downgrade_enabled());
        assert!(Policy::parse("downgrade").is_downgrade_enabled() && !Policy::Downgrade.is_upgrade_enabled());
        assert_eq!(Policy::parse("whatever"), Policy::Disabled);
    }
}
