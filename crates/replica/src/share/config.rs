use std::fmt;

use ottla_share::SharePartitionConfig;

/// Default of `group.share.max.share.sessions`.
const DEFAULT_MAX_SHARE_SESSIONS: usize = 2_000;
/// As many as 2 000 members with 100 partitions each of their own need.
const DEFAULT_MAX_SHARE_PARTITIONS: usize = 200_000;

/// How much of this broker's memory share groups may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareLimits {
    /// `group.share.max.share.sessions`.
    pub max_share_sessions: usize,
    /// The most share-partitions, for all groups together. Kafka knows no such limit: there each partition of
    /// each group that anybody names stays until the group's last connection is gone.
    pub max_share_partitions: usize,
}

impl Default for ShareLimits {
    fn default() -> Self {
        Self {
            max_share_sessions: DEFAULT_MAX_SHARE_SESSIONS,
            max_share_partitions: DEFAULT_MAX_SHARE_PARTITIONS,
        }
    }
}

/// What a share group's configuration says, or the broker's where the group's says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShareGroupSettings {
    /// What a share-partition needs of it.
    pub partition: SharePartitionConfig,
    /// Whether `share.isolation.level` is `read_committed`.
    pub read_committed: bool,
}

/// Tells how share groups are configured.
pub trait ShareGroupConfigs: fmt::Debug + Send + Sync {
    /// The settings of a group as they are now.
    fn settings(&self, group_id: &str) -> ShareGroupSettings;
}
