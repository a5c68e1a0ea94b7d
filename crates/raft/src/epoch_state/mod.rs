//! The role of a node in an epoch. Which moves are legal stands in `quorum_state`.

mod candidate;
mod epoch_election;
mod follower;
mod leader;
mod prospective;
mod resigned;
mod unattached;

pub use candidate::CandidateState;
pub use epoch_election::EpochElection;
pub use follower::FollowerState;
pub use leader::{LeaderState, ReplicaState};
pub use prospective::ProspectiveState;
pub use resigned::ResignedState;
pub use unattached::UnattachedState;

use std::collections::BTreeSet;

use crate::{ElectionState, Endpoints, LeaderAndEpoch, ReplicaKey};

/// A node's role, with all that only this role has.
#[derive(Debug, Clone, PartialEq)]
pub enum EpochState {
    /// No leader to follow is known.
    Unattached(UnattachedState),
    /// Asks whether an election could be won, without disturbing the epoch (KIP-996).
    Prospective(ProspectiveState),
    /// Stands for election.
    Candidate(CandidateState),
    /// Leads.
    Leader(LeaderState),
    /// Follows a leader.
    Follower(FollowerState),
    /// Led, and gave it up; the epoch has no leader any more.
    Resigned(ResignedState),
}

impl EpochState {
    /// The epoch.
    pub fn epoch(&self) -> i32 {
        match self {
            Self::Unattached(s) => s.epoch,
            Self::Prospective(s) => s.epoch,
            Self::Candidate(s) => s.epoch,
            Self::Leader(s) => s.epoch,
            Self::Follower(s) => s.epoch,
            Self::Resigned(s) => s.epoch,
        }
    }

    /// The leader, if known. A resigned leader names itself: it must not vote in its epoch.
    pub fn leader_id(&self) -> Option<i32> {
        match self {
            Self::Unattached(s) => s.leader_id,
            Self::Prospective(s) => s.leader_id,
            Self::Candidate(_) => None,
            Self::Leader(s) => Some(s.local.key.id),
            Self::Follower(s) => Some(s.leader_id),
            Self::Resigned(s) => Some(s.local_id),
        }
    }

    /// What others are told of leader and epoch.
    pub fn leader_and_epoch(&self) -> LeaderAndEpoch {
        LeaderAndEpoch { leader_id: self.leader_id(), epoch: self.epoch() }
    }

    /// Whom this node voted for.
    pub fn voted_key(&self) -> Option<ReplicaKey> {
        match self {
            Self::Unattached(s) => s.voted_key,
            Self::Prospective(s) => s.voted_key,
            Self::Candidate(s) => Some(s.local),
            Self::Follower(s) => s.voted_key,
            Self::Leader(_) | Self::Resigned(_) => None,
        }
    }

    /// Where the leader is reached.
    pub fn leader_endpoints(&self) -> Endpoints {
        match self {
            Self::Prospective(s) => s.leader_endpoints.clone(),
            Self::Leader(s) => s.local.listeners.clone(),
            Self::Follower(s) => s.leader_endpoints.clone(),
            Self::Resigned(s) => s.local_listeners.clone(),
            Self::Unattached(_) | Self::Candidate(_) => Endpoints::EMPTY,
        }
    }

    /// What is committed, as far as known.
    pub fn high_watermark(&self) -> Option<i64> {
        match self {
            Self::Unattached(s) => s.high_watermark,
            Self::Prospective(s) => s.high_watermark,
            Self::Candidate(s) => s.high_watermark,
            Self::Leader(s) => s.high_watermark(),
            Self::Follower(s) => s.high_watermark,
            Self::Resigned(s) => s.high_watermark,
        }
    }

    /// What has to be on disk for this role.
    pub fn election(&self, voters: BTreeSet<i32>) -> ElectionState {
        ElectionState {
            epoch: self.epoch(),
            leader_id: self.leader_id(),
            voted_key: self.voted_key(),
            voters,
        }
    }

    /// Whether a candidate with such a log gets this node's vote.
    pub fn can_grant_vote(&self, candidate: &ReplicaKey, is_log_up_to_date: bool, is_pre_vote: bool) -> bool {
        match self {
            Self::Unattached(s) => {
                can_grant(s.leader_id, s.voted_key, candidate, is_log_up_to_date, is_pre_vote)
            }
            Self::Prospective(s) => {
                can_grant(s.leader_id, s.voted_key, candidate, is_log_up_to_date, is_pre_vote)
            }
            // Either way it has a vote in this epoch already, but may let another take the next.
            Self::Candidate(_) | Self::Resigned(_) => is_pre_vote && is_log_up_to_date,
            // Who hears from its leader does not help to unseat it.
            Self::Follower(s) => is_pre_vote && is_log_up_to_date && !s.has_fetched_from_leader,
            Self::Leader(_) => false,
        }
    }
}

fn can_grant(
    leader_id: Option<i32>,
    voted_key: Option<ReplicaKey>,
    candidate: &ReplicaKey,
    is_log_up_to_date: bool,
    is_pre_vote: bool,
) -> bool {
    if is_pre_vote {
        return is_log_up_to_date;
    }
    match voted_key {
        Some(voted) => {
            voted.id == candidate.id
                && (voted.directory_id.is_none() || voted.directory_id == candidate.directory_id)
        }
        None => leader_id.is_none() && is_log_up_to_date,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_vote_per_epoch() {
        let a = ReplicaKey { id: 1, directory_id: None };
        let b = ReplicaKey { id: 2, directory_id: None };
        assert!(can_grant(None, None, &a, true, false));
        assert!(!can_grant(None, None, &a, false, false));
        assert!(can_grant(None, Some(a), &a, true, false));
        assert!(!can_grant(None, Some(a), &b, true, false));
        assert!(!can_grant(Some(3), None, &b, true, false));
        assert!(can_grant(Some(3), Some(a), &b, true, true));
    }
}
