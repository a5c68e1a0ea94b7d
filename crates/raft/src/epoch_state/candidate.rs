use super::EpochElection;
use crate::ReplicaKey;

/// Stands for election in a new epoch and has voted for itself.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateState {
    /// The epoch.
    pub epoch: i32,
    /// This replica.
    pub local: ReplicaKey,
    /// What is committed, as far as known.
    pub high_watermark: Option<i64>,
    /// The votes.
    pub election: EpochElection,
    /// When this election counts as lost.
    pub election_deadline_ms: i64,
}
