use std::collections::{BTreeMap, BTreeSet};

use crate::{ReplicaKey, VoterNode, VoterSet};

/// An observer that was silent for so long is forgotten.
const OBSERVER_SESSION_TIMEOUT_MS: i64 = 300_000;

/// What the leader knows of a replica's log.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaState {
    /// The replica.
    pub key: ReplicaKey,
    /// One past the last offset it has; for the leader itself, has on disk.
    pub end_offset: Option<i64>,
    /// When it last fetched.
    pub last_fetch_ms: Option<i64>,
    /// The leader's end when it last fetched.
    pub last_fetch_leader_end_offset: i64,
    /// When it last had all that the leader had.
    pub last_caught_up_ms: Option<i64>,
    /// Whether it knows who leads.
    pub has_acknowledged_leader: bool,
}

impl ReplicaState {
    fn new(key: ReplicaKey, has_acknowledged_leader: bool) -> Self {
        Self {
            key,
            end_offset: None,
            last_fetch_ms: None,
            last_fetch_leader_end_offset: -1,
            last_caught_up_ms: None,
            has_acknowledged_leader,
        }
    }

    fn update(&mut self, now_ms: i64, end_offset: i64, leader_end_offset: i64) {
        // Having all there was at the time of the fetch before is also being caught up, then.
        if end_offset >= leader_end_offset {
            self.last_caught_up_ms = self.last_caught_up_ms.max(Some(now_ms));
        } else if self.last_fetch_leader_end_offset > 0 && end_offset >= self.last_fetch_leader_end_offset {
            self.last_caught_up_ms = self.last_caught_up_ms.max(self.last_fetch_ms);
        }
        self.last_fetch_ms = self.last_fetch_ms.max(Some(now_ms));
        self.last_fetch_leader_end_offset = leader_end_offset;
        self.end_offset = Some(end_offset);
        self.has_acknowledged_leader = true;
    }
}

/// Leads an epoch: knows how far every replica is, and thereby what is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaderState {
    /// The epoch.
    pub epoch: i32,
    /// This voter.
    pub local: VoterNode,
    /// The log's end when the epoch began: where the LeaderChange record is.
    pub epoch_start_offset: i64,
    /// Who elected this leader.
    pub granting_voters: BTreeSet<i32>,
    /// When BeginQuorumEpoch is sent again to voters that do not fetch.
    pub begin_quorum_epoch_deadline_ms: i64,
    /// When a majority of voters must have fetched, lest this leader resigns.
    pub check_quorum_deadline_ms: i64,
    /// Whether to step down at the next chance.
    pub resign_requested: bool,
    high_watermark: Option<i64>,
    voters: BTreeMap<i32, ReplicaState>,
    observers: BTreeMap<ReplicaKey, ReplicaState>,
    fetched_voters: BTreeSet<i32>,
}

impl LeaderState {
    /// A leader just elected, at whose end of the log the epoch begins.
    pub fn new(
        epoch: i32,
        local: VoterNode,
        epoch_start_offset: i64,
        granting_voters: BTreeSet<i32>,
        voter_set: &VoterSet,
        now_ms: i64,
        check_quorum_timeout_ms: i64,
    ) -> Self {
        assert!(voter_set.is_voter(&local.key), "only a voter leads");
        let voters = voter_set
            .iter()
            .map(|voter| (voter.key.id, ReplicaState::new(voter.key, voter.is_voter(&local.key))))
            .collect();
        Self {
            epoch,
            local,
            epoch_start_offset,
            granting_voters,
            begin_quorum_epoch_deadline_ms: now_ms,
            check_quorum_deadline_ms: now_ms + check_quorum_timeout_ms,
            resign_requested: false,
            high_watermark: None,
            voters,
            observers: BTreeMap::new(),
            fetched_voters: BTreeSet::new(),
        }
    }

    /// What is committed; unknown until a record of this epoch is.
    pub fn high_watermark(&self) -> Option<i64> {
        self.high_watermark
    }

    /// The voters' logs.
    pub fn voters(&self) -> impl Iterator<Item = &ReplicaState> {
        self.voters.values()
    }

    /// The observers' logs.
    pub fn observers(&self) -> impl Iterator<Item = &ReplicaState> {
        self.observers.values()
    }

    /// Everything before `flushed_end_offset` is safe on this node's disk. True if more is committed now.
    pub fn update_local_state(&mut self, flushed_end_offset: i64, voter_set: &VoterSet) -> bool {
        self.update_voter_set(voter_set);
        if let Some(local) = self.voters.get_mut(&self.local.key.id) {
            assert!(local.end_offset.is_none_or(|known| known <= flushed_end_offset), "a leader's log grows");
            local.end_offset = Some(flushed_end_offset);
        }
        self.maybe_update_high_watermark()
    }

    /// A replica fetched from `fetch_offset`, so has all before. True if more is committed now.
    pub fn update_replica_state(
        &mut self,
        key: ReplicaKey,
        now_ms: i64,
        fetch_offset: i64,
        leader_end_offset: i64,
        check_quorum_timeout_ms: i64,
    ) -> bool {
        if key.id < 0 || key.id == self.local.key.id {
            return false;
        }
        self.note_fetch_of_voter(&key, now_ms, check_quorum_timeout_ms);
        if !self.is_voter(&key) {
            let observer = self.observers.entry(key).or_insert_with(|| ReplicaState::new(key, false));
            observer.update(now_ms, fetch_offset, leader_end_offset);
            return false;
        }
        if let Some(voter) = self.voters.get_mut(&key.id) {
            voter.update(now_ms, fetch_offset, leader_end_offset);
        }
        self.maybe_update_high_watermark()
    }

    /// A voter that fetches keeps its leader in office.
    pub fn note_fetch_of_voter(&mut self, key: &ReplicaKey, now_ms: i64, check_quorum_timeout_ms: i64) {
        if key.id == self.local.key.id || !self.is_voter(key) {
            return;
        }
        self.fetched_voters.insert(key.id);
        // The leader counts itself when it votes.
        let others = self.voters.len() / 2 + 1 - usize::from(self.voters.contains_key(&self.local.key.id));
        if self.fetched_voters.len() >= others {
            self.fetched_voters.clear();
            self.check_quorum_deadline_ms = now_ms + check_quorum_timeout_ms;
        }
    }

    /// Whether it needs the fetches of others to stay in office.
    pub fn needs_check_quorum(&self) -> bool {
        self.voters.keys().any(|id| *id != self.local.key.id)
    }

    /// A voter answered BeginQuorumEpoch.
    pub fn add_acknowledgement_from(&mut self, voter_id: i32) {
        if let Some(voter) = self.voters.get_mut(&voter_id) {
            voter.has_acknowledged_leader = true;
        }
    }

    /// Voters that should be told (again) who leads: those that did not fetch lately.
    pub fn need_begin_quorum_epoch(&self, now_ms: i64, interval_ms: i64) -> Vec<ReplicaKey> {
        self.voters
            .values()
            .filter(|voter| voter.key.id != self.local.key.id)
            .filter(|voter| voter.last_fetch_ms.is_none_or(|last| now_ms - last >= interval_ms))
            .map(|voter| voter.key)
            .collect()
    }

    /// The other voters, longest log first.
    pub fn preferred_successors(&self) -> Vec<ReplicaKey> {
        let mut voters: Vec<_> = self.voters.values().filter(|v| v.key.id != self.local.key.id).collect();
        voters.sort_by_key(|voter| std::cmp::Reverse(voter.end_offset));
        voters.into_iter().map(|voter| voter.key).collect()
    }

    /// Forgets observers that were silent for long.
    pub fn clear_inactive_observers(&mut self, now_ms: i64) {
        self.observers.retain(|_, observer| {
            observer.last_fetch_ms.is_some_and(|last| now_ms - last < OBSERVER_SESSION_TIMEOUT_MS)
        });
    }

    fn is_voter(&self, key: &ReplicaKey) -> bool {
        self.voters.get(&key.id).is_some_and(|voter| {
            voter.key.directory_id.is_none() || voter.key.directory_id == key.directory_id
        })
    }

    /// The log named other voters: those count from now on, with what is known of them as observers.
    fn update_voter_set(&mut self, voter_set: &VoterSet) {
        let same = voter_set.len() == self.voters.len()
            && voter_set
                .iter()
                .all(|voter| self.voters.get(&voter.key.id).is_some_and(|s| s.key == voter.key));
        if same {
            return;
        }
        let mut old = std::mem::take(&mut self.voters);
        for voter in voter_set.iter() {
            let known = old.remove(&voter.key.id).filter(|state| voter.is_voter(&state.key));
            let known = known.or_else(|| self.observers.remove(&voter.key));
            let mut state = known.unwrap_or_else(|| ReplicaState::new(voter.key, false));
            state.key = voter.key;
            self.voters.insert(voter.key.id, state);
        }
        self.observers.extend(old.into_values().map(|state| (state.key, state)));
    }

    /// The offset that a majority of voters has. It counts only when it is beyond the epoch's start, because
    /// records of earlier epochs are committed only together with one of this.
    fn maybe_update_high_watermark(&mut self) -> bool {
        let mut ends: Vec<_> = self.voters.values().map(|voter| voter.end_offset).collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        let Some(Some(candidate)) = ends.get(ends.len() / 2).copied() else { return false };
        if candidate <= self.epoch_start_offset {
            return false;
        }
        // A voter that lost its disk can make the majority's offset smaller, never what is committed
        // (HW-MONOTONIC).
        let rose = self.high_watermark.is_none_or(|known| candidate > known);
        if rose {
            self.high_watermark = Some(candidate);
        }
        rose
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader(voters: i32) -> (LeaderState, VoterSet) {
        let set = VoterSet::from_static("C", (1..=voters).map(|id| (id, "h".into(), 1)));
        let local = set.get(1).unwrap().clone();
        (LeaderState::new(5, local, 10, [1].into(), &set, 0, 3_000), set)
    }

    fn key(id: i32) -> ReplicaKey {
        ReplicaKey { id, directory_id: None }
    }

    #[test]
    fn alone_its_own_disk_decides() {
        let (mut leader, voters) = leader(1);
        assert!(!leader.update_local_state(10, &voters));
        assert_eq!(leader.high_watermark(), None);
        assert!(leader.update_local_state(11, &voters));
        assert_eq!(leader.high_watermark(), Some(11));
        assert!(!leader.needs_check_quorum());
    }

    #[test]
    fn a_majority_decides() {
        let (mut leader, voters) = leader(3);
        assert!(!leader.update_local_state(20, &voters));
        assert!(!leader.update_replica_state(key(2), 1, 10, 20, 3_000));
        assert!(leader.update_replica_state(key(2), 2, 15, 20, 3_000));
        assert_eq!(leader.high_watermark(), Some(15));
        assert!(!leader.update_replica_state(key(3), 2, 12, 20, 3_000));
        assert!(leader.update_replica_state(key(3), 2, 18, 20, 3_000));
        assert_eq!(leader.high_watermark(), Some(18));
        assert!(!leader.update_replica_state(key(3), 2, 0, 20, 3_000));
        assert_eq!(leader.high_watermark(), Some(18));
    }

    #[test]
    fn observers_decide_nothing() {
        let (mut leader, voters) = leader(1);
        leader.update_local_state(11, &voters);
        assert!(!leader.update_replica_state(key(7), 5, 99, 11, 3_000));
        assert_eq!(leader.observers().count(), 1);
        leader.clear_inactive_observers(5 + OBSERVER_SESSION_TIMEOUT_MS);
        assert_eq!(leader.observers().count(), 0);
    }

    #[test]
    fn fetches_keep_the_leader_in_office() {
        let (mut leader, _) = leader(5);
        leader.note_fetch_of_voter(&key(2), 100, 3_000);
        assert_eq!(leader.check_quorum_deadline_ms, 3_000);
        leader.note_fetch_of_voter(&key(3), 100, 3_000);
        assert_eq!(leader.check_quorum_deadline_ms, 3_100);
    }
}
