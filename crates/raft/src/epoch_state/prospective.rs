use super::EpochElection;
use crate::{Endpoints, ReplicaKey};

/// Asks the voters whether they would elect this node (pre-vote, KIP-996), so that a node that comes back
/// from a partition does not unseat a healthy leader.
#[derive(Debug, Clone, PartialEq)]
pub struct ProspectiveState {
    /// The epoch, which the question does not change.
    pub epoch: i32,
    /// The last leader.
    pub leader_id: Option<i32>,
    /// Where it was.
    pub leader_endpoints: Endpoints,
    /// Whom this node voted for in the epoch.
    pub voted_key: Option<ReplicaKey>,
    /// What is committed, as far as known.
    pub high_watermark: Option<i64>,
    /// The answers.
    pub election: EpochElection,
    /// When to give up waiting for answers.
    pub election_deadline_ms: i64,
}
