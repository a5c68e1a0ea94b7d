/// How long Kafka trusts that nobody forgot to tell a group of changed topics.
pub const METADATA_REFRESH_INTERVAL_MS: i64 = i32::MAX as i64;

/// Until when a group need not look at its topics again. Not in the log: a new coordinator looks at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataRefresh {
    deadline_ms: i64,
    group_epoch: i32,
}

impl MetadataRefresh {
    /// The topics are to be looked at with the next heartbeat.
    pub const REQUESTED: Self = Self { deadline_ms: i64::MIN, group_epoch: 0 };

    /// The topics were looked at just now, by a decision that left the group in this epoch.
    pub fn done(now_ms: i64, group_epoch: i32) -> Self {
        Self { deadline_ms: now_ms.saturating_add(METADATA_REFRESH_INTERVAL_MS), group_epoch }
    }

    /// Whether to look again. So it is, too, when the epoch that was decided never made it to the log.
    pub fn has_expired(self, now_ms: i64, group_epoch: i32) -> bool {
        now_ms >= self.deadline_ms || group_epoch < self.group_epoch
    }
}

impl Default for MetadataRefresh {
    fn default() -> Self {
        Self::REQUESTED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_holds_until_asked_for_or_lost() {
        assert!(MetadataRefresh::REQUESTED.has_expired(0, 1));
        let done = MetadataRefresh::done(1_000, 7);
        assert!(!done.has_expired(2_000, 7));
        assert!(done.has_expired(2_000, 6), "epoch 7 was refused by the log");
        assert!(done.has_expired(1_000 + METADATA_REFRESH_INTERVAL_MS, 7));
    }
}
