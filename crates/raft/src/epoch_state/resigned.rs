use std::collections::BTreeSet;

use crate::{Endpoints, ReplicaKey};

/// Led this epoch and leads it no more: after a restart, on shutdown, or because it could not go on. Records
/// of this epoch may exist that it forgot, so it must never lead the same epoch again.
#[derive(Debug, Clone, PartialEq)]
pub struct ResignedState {
    /// The epoch.
    pub epoch: i32,
    /// This node.
    pub local_id: i32,
    /// Where this node is.
    pub local_listeners: Endpoints,
    /// What is committed, as far as known.
    pub high_watermark: Option<i64>,
    /// Voters that do not know yet.
    pub unacked_voters: BTreeSet<i32>,
    /// Voters that should stand first, those with the longest logs.
    pub preferred_successors: Vec<ReplicaKey>,
    /// When to seek election again.
    pub election_deadline_ms: i64,
}
