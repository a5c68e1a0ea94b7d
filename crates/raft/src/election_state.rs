//! What a node must not forget about elections.

use std::collections::BTreeSet;

use ottla_common::Uuid;
use ottla_protocol::records::raft::quorum_state_data::{QuorumStateData, Voter};

use crate::ReplicaKey;

/// The epoch, and in it the leader or the one voted for. It is on disk before anybody is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ElectionState {
    /// The epoch.
    pub epoch: i32,
    /// Its leader, if known.
    pub leader_id: Option<i32>,
    /// Whom this node voted for in it.
    pub voted_key: Option<ReplicaKey>,
    /// The voters, which only version 0 of the file has and nobody reads.
    pub voters: BTreeSet<i32>,
}

impl ElectionState {
    /// Nothing known of this epoch.
    pub fn with_unknown_leader(epoch: i32, voters: BTreeSet<i32>) -> Self {
        Self { epoch, voters, ..Self::default() }
    }

    /// Whether that node leads.
    pub fn is_leader(&self, node_id: i32) -> bool {
        self.leader_id == Some(node_id)
    }

    /// Whether this node voted for that replica. A vote noted in version 0 has no directory id and is
    /// taken to be for the one that asks.
    pub fn is_voted_candidate(&self, key: &ReplicaKey) -> bool {
        self.voted_key.is_some_and(|voted| {
            voted.id == key.id && (voted.directory_id.is_none() || voted.directory_id == key.directory_id)
        })
    }

    /// The file's content in this version.
    pub fn to_quorum_state_data(&self, version: i16) -> QuorumStateData {
        let mut data = QuorumStateData {
            leader_epoch: self.epoch,
            leader_id: self.leader_id.unwrap_or(-1),
            voted_id: self.voted_key.map_or(-1, |key| key.id),
            ..Default::default()
        };
        if version == 0 {
            let voter = |id: &i32| Voter { voter_id: *id, ..Default::default() };
            data.current_voters = Some(self.voters.iter().map(voter).collect());
        } else {
            data.voted_directory_id = self.voted_key.and_then(|key| key.directory_id).unwrap_or(Uuid::ZERO);
        }
        data
    }

    /// Reads the file's content.
    pub fn from_quorum_state_data(data: &QuorumStateData) -> Self {
        Self {
            epoch: data.leader_epoch,
            leader_id: (data.leader_id >= 0).then_some(data.leader_id),
            voted_key: (data.voted_id >= 0).then(|| ReplicaKey::new(data.voted_id, data.voted_directory_id)),
            voters: data.current_voters.iter().flatten().map(|voter| voter.voter_id).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_both_versions() {
        let state = ElectionState {
            epoch: 7,
            leader_id: None,
            voted_key: Some(ReplicaKey::new(2, Uuid::from_u128(5))),
            voters: BTreeSet::new(),
        };
        assert_eq!(ElectionState::from_quorum_state_data(&state.to_quorum_state_data(1)), state);
        let old = ElectionState {
            voted_key: Some(ReplicaKey { id: 2, directory_id: None }),
            voters: [1, 2].into(),
            ..state
        };
        assert_eq!(ElectionState::from_quorum_state_data(&old.to_quorum_state_data(0)), old);
        assert!(old.is_voted_candidate(&ReplicaKey::new(2, Uuid::from_u128(9))));
    }
}
