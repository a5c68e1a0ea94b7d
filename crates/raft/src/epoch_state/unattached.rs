use crate::ReplicaKey;

/// No leader to follow is known; or one is known by name but not where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct UnattachedState {
    /// The epoch.
    pub epoch: i32,
    /// The leader's name, if known.
    pub leader_id: Option<i32>,
    /// Whom this node voted for.
    pub voted_key: Option<ReplicaKey>,
    /// What is committed, as far as known.
    pub high_watermark: Option<i64>,
    /// When to seek election; never for an observer.
    pub election_deadline_ms: Option<i64>,
}
