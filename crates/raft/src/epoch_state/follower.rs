use crate::{Endpoints, OffsetAndEpoch, ReplicaKey};

/// Follows a leader by fetching from it.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowerState {
    /// The epoch.
    pub epoch: i32,
    /// The leader.
    pub leader_id: i32,
    /// Where it is.
    pub leader_endpoints: Endpoints,
    /// Whom this node voted for in the epoch.
    pub voted_key: Option<ReplicaKey>,
    /// What is committed, as far as known.
    pub high_watermark: Option<i64>,
    /// When the leader counts as lost.
    pub fetch_deadline_ms: i64,
    /// Whether the leader answered a fetch in this epoch.
    pub has_fetched_from_leader: bool,
    /// The snapshot being fetched, and how far.
    pub fetching_snapshot: Option<(OffsetAndEpoch, i64)>,
}

impl FollowerState {
    /// The leader answered.
    pub fn reset_fetch_timeout(&mut self, now_ms: i64, fetch_timeout_ms: i32) {
        self.fetch_deadline_ms = now_ms + i64::from(fetch_timeout_ms);
        self.has_fetched_from_leader = true;
    }

    /// Takes the leader's high watermark, which never goes back (HW-MONOTONIC). True if it rose.
    pub fn update_high_watermark(&mut self, high_watermark: i64) -> bool {
        assert!(high_watermark >= 0, "a high watermark is an offset");
        let rose = self.high_watermark.is_none_or(|known| high_watermark > known);
        if rose {
            self.high_watermark = Some(high_watermark);
        }
        rose
    }
}
