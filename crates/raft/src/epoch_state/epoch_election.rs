use std::collections::{BTreeMap, BTreeSet};

use crate::{ReplicaKey, VoterSet};

/// The votes of one election, or of the question before it.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochElection {
    votes: BTreeMap<i32, (ReplicaKey, Option<bool>)>,
}

impl EpochElection {
    /// Nobody has answered but the node itself, which is for itself.
    pub fn new(voters: &VoterSet, local_id: i32) -> Self {
        let mut votes: BTreeMap<_, _> =
            voters.iter().map(|voter| (voter.key.id, (voter.key, None))).collect();
        if let Some((_, vote)) = votes.get_mut(&local_id) {
            *vote = Some(true);
        }
        Self { votes }
    }

    /// Notes an answer; one of a stranger counts for nothing.
    pub fn record_vote(&mut self, voter_id: i32, granted: bool) {
        if let Some((_, vote)) = self.votes.get_mut(&voter_id) {
            *vote = Some(granted);
        }
    }

    /// Whether a majority is for it.
    pub fn is_vote_granted(&self) -> bool {
        self.count(|vote| vote == Some(true)) >= self.majority()
    }

    /// Whether no majority can come any more.
    pub fn is_vote_rejected(&self) -> bool {
        self.count(|vote| vote != Some(false)) < self.majority()
    }

    /// Who has not answered yet.
    pub fn unrecorded_voters(&self) -> Vec<ReplicaKey> {
        self.votes.values().filter(|(_, vote)| vote.is_none()).map(|(key, _)| *key).collect()
    }

    /// Who is for it.
    pub fn granting_voters(&self) -> BTreeSet<i32> {
        self.votes.iter().filter(|(_, (_, vote))| *vote == Some(true)).map(|(id, _)| *id).collect()
    }

    fn count(&self, matches: impl Fn(Option<bool>) -> bool) -> usize {
        self.votes.values().filter(|(_, vote)| matches(*vote)).count()
    }

    fn majority(&self) -> usize {
        self.votes.len() / 2 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn majorities() {
        let voters = VoterSet::from_static("C", (1..=3).map(|id| (id, "h".into(), 1)));
        let mut election = EpochElection::new(&voters, 1);
        assert!(!election.is_vote_granted() && !election.is_vote_rejected());
        election.record_vote(9, true);
        election.record_vote(2, false);
        assert!(!election.is_vote_granted() && !election.is_vote_rejected());
        let mut lost = election.clone();
        lost.record_vote(3, false);
        assert!(lost.is_vote_rejected());
        election.record_vote(3, true);
        assert!(election.is_vote_granted());
        let alone = VoterSet::from_static("C", [(1, "h".into(), 1)]);
        assert!(EpochElection::new(&alone, 1).is_vote_granted());
    }
}
