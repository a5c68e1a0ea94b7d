/// What share groups take from the broker's configuration; the defaults are Kafka's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGroupConfig {
    /// `group.share.max.size`
    pub max_size: i32,
    /// `group.share.session.timeout.ms`
    pub session_timeout_ms: i32,
    /// `group.share.min.session.timeout.ms`
    pub min_session_timeout_ms: i32,
    /// `group.share.max.session.timeout.ms`
    pub max_session_timeout_ms: i32,
    /// `group.share.heartbeat.interval.ms`
    pub heartbeat_interval_ms: i32,
    /// `group.share.min.heartbeat.interval.ms`
    pub min_heartbeat_interval_ms: i32,
    /// `group.share.max.heartbeat.interval.ms`
    pub max_heartbeat_interval_ms: i32,
    /// `group.share.assignment.interval.ms`
    pub assignment_interval_ms: i32,
    /// `group.share.min.assignment.interval.ms`
    pub min_assignment_interval_ms: i32,
    /// `group.share.max.assignment.interval.ms`
    pub max_assignment_interval_ms: i32,
    /// `group.share.initialize.retry.interval.ms`, and `offsets.commit.timeout.ms` when that is longer:
    /// how long the share coordinator has to answer before it is asked again.
    pub initialize_retry_interval_ms: i32,
}

/// What a group's own configuration says; what it does not say is the broker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShareGroupOverrides {
    /// `share.session.timeout.ms`
    pub session_timeout_ms: Option<i32>,
    /// `share.heartbeat.interval.ms`
    pub heartbeat_interval_ms: Option<i32>,
    /// `share.assignment.interval.ms`
    pub assignment_interval_ms: Option<i32>,
}

impl Default for ShareGroupConfig {
    fn default() -> Self {
        Self {
            max_size: 200,
            session_timeout_ms: 45_000,
            min_session_timeout_ms: 45_000,
            max_session_timeout_ms: 60_000,
            heartbeat_interval_ms: 5_000,
            min_heartbeat_interval_ms: 5_000,
            max_heartbeat_interval_ms: 15_000,
            assignment_interval_ms: 1_000,
            min_assignment_interval_ms: 0,
            max_assignment_interval_ms: 15_000,
            initialize_retry_interval_ms: 30_000,
        }
    }
}

impl ShareGroupConfig {
    /// How long a member may be silent.
    pub fn session_timeout_ms(&self, overrides: &ShareGroupOverrides) -> i32 {
        let range = (self.min_session_timeout_ms, self.max_session_timeout_ms);
        within(overrides.session_timeout_ms, range, self.session_timeout_ms)
    }

    /// How often a member is to say that it is alive.
    pub fn heartbeat_interval_ms(&self, overrides: &ShareGroupOverrides) -> i32 {
        let range = (self.min_heartbeat_interval_ms, self.max_heartbeat_interval_ms);
        within(overrides.heartbeat_interval_ms, range, self.heartbeat_interval_ms)
    }

    /// The least time between two target assignments of a group (KIP-1263).
    pub fn assignment_interval_ms(&self, overrides: &ShareGroupOverrides) -> i32 {
        let range = (self.min_assignment_interval_ms, self.max_assignment_interval_ms);
        within(overrides.assignment_interval_ms, range, self.assignment_interval_ms)
    }
}

/// The broker's limits may be narrower now than when the group was configured.
fn within(group: Option<i32>, (min, max): (i32, i32), broker: i32) -> i32 {
    group.map_or(broker, |value| value.max(min).min(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_says_otherwise_within_the_brokers_limits() {
        let config = ShareGroupConfig::default();
        let of = |value| ShareGroupOverrides {
            session_timeout_ms: value,
            heartbeat_interval_ms: value,
            assignment_interval_ms: value,
        };
        let all = |value| {
            let overrides = of(value);
            let session_ms = config.session_timeout_ms(&overrides);
            (session_ms, config.heartbeat_interval_ms(&overrides), config.assignment_interval_ms(&overrides))
        };
        assert_eq!(all(None), (45_000, 5_000, 1_000));
        assert_eq!(all(Some(7_000)), (45_000, 7_000, 7_000));
        assert_eq!(all(Some(100_000)), (60_000, 15_000, 15_000));
        assert_eq!(all(Some(0)), (45_000, 5_000, 0));
    }
}
