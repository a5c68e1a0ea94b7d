//! The legal moves between roles, each written once.
//!
//! ```text
//! Unattached  -> Unattached (higher epoch, or a vote), Prospective, Follower
//! Prospective -> Unattached, Prospective (a vote), Candidate, Follower
//! Candidate   -> Unattached (higher epoch), Prospective (election lost), Leader, Follower
//! Leader      -> Unattached (higher epoch), Resigned, Follower (higher epoch)
//! Follower    -> Unattached (higher epoch), Prospective, Follower (higher epoch)
//! Resigned    -> Unattached (higher epoch), Prospective, Follower
//! ```
//!
//! A move that changes epoch, vote or leader must be on disk before anybody hears of it; such moves leave
//! an [`ElectionState`] in `unsaved` for the shell.

use std::collections::BTreeSet;

use crate::epoch_state::{
    CandidateState, EpochElection, EpochState, FollowerState, LeaderState, ProspectiveState, ResignedState,
    UnattachedState,
};
use crate::{ElectionState, Endpoints, OffsetAndEpoch, PartitionState, ReplicaKey, VoterNode};

/// How much longer than the fetch timeout a leader waits for its followers.
const CHECK_QUORUM_TIMEOUT_FACTOR: f64 = 1.5;

/// What is on disk cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InitializeError {
    /// `kraft.version` 1 without voters.
    #[error("kraft.version is {0} but neither the log nor a checkpoint names the voters")]
    NoVoters(i16),
    /// Written by a later Kafka.
    #[error("kraft.version {0} is not supported; the highest known is {MAX_KRAFT_VERSION}")]
    UnknownKRaftVersion(i16),
}

/// The highest `kraft.version` of Kafka 4.4.
pub const MAX_KRAFT_VERSION: i16 = 1;

/// Timeouts and identity that never change.
#[derive(Debug, Clone)]
pub struct QuorumConfig {
    /// This replica, with its directory id.
    pub local: ReplicaKey,
    /// Its controller listeners.
    pub local_listeners: Endpoints,
    /// `controller.quorum.election.timeout.ms`.
    pub election_timeout_ms: i32,
    /// `controller.quorum.fetch.timeout.ms`.
    pub fetch_timeout_ms: i32,
}

/// The role of this node, and the moves.
#[derive(Debug, Clone)]
pub struct QuorumState {
    config: QuorumConfig,
    random: u64,
    state: EpochState,
    unsaved: Option<ElectionState>,
}

impl QuorumState {
    /// The role to start in, from what the node did not forget.
    pub fn initialize(
        config: QuorumConfig,
        seed: u64,
        stored: Option<ElectionState>,
        log_end: OffsetAndEpoch,
        partition: &PartitionState,
        now_ms: i64,
    ) -> Self {
        let election = stored.unwrap_or_default();
        let unattached = EpochState::Unattached(UnattachedState {
            epoch: election.epoch.max(log_end.epoch),
            leader_id: None,
            voted_key: None,
            high_watermark: None,
            election_deadline_ms: None,
        });
        let mut this = Self { config, random: seed | 1, state: unattached, unsaved: None };
        let deadline = this.random_election_deadline(now_ms);
        let local = this.config.local;
        let unattached = |leader_id, voted_key| {
            EpochState::Unattached(UnattachedState {
                epoch: election.epoch,
                leader_id,
                voted_key,
                high_watermark: None,
                election_deadline_ms: Some(deadline),
            })
        };
        this.state = if election.epoch < log_end.epoch {
            // The file is older than the log: somebody removed it.
            EpochState::Unattached(UnattachedState {
                epoch: log_end.epoch,
                leader_id: None,
                voted_key: None,
                high_watermark: None,
                election_deadline_ms: Some(deadline),
            })
        } else if election.is_leader(local.id) {
            // Records of this epoch may have been lost with the process, so it is over.
            this.resigned(election.epoch, None, partition, Vec::new(), deadline)
        } else if election.is_voted_candidate(&local) {
            EpochState::Candidate(CandidateState {
                epoch: election.epoch,
                local,
                high_watermark: None,
                election: EpochElection::new(partition.last_voter_set(), local.id),
                election_deadline_ms: deadline,
            })
        } else if let Some(leader_id) = election.leader_id {
            match partition.last_voter_set().listeners(leader_id) {
                Some(endpoints) if !endpoints.is_empty() => EpochState::Follower(FollowerState {
                    epoch: election.epoch,
                    leader_id,
                    leader_endpoints: endpoints.clone(),
                    voted_key: election.voted_key,
                    high_watermark: None,
                    fetch_deadline_ms: now_ms + i64::from(this.config.fetch_timeout_ms),
                    has_fetched_from_leader: false,
                    fetching_snapshot: None,
                }),
                _ => unattached(Some(leader_id), election.voted_key),
            }
        } else {
            unattached(None, election.voted_key)
        };
        this.save(partition);
        this
    }

    /// The role.
    pub fn state(&self) -> &EpochState {
        &self.state
    }

    /// The role, to note what happened in it.
    pub fn state_mut(&mut self) -> &mut EpochState {
        &mut self.state
    }

    /// The epoch.
    pub fn epoch(&self) -> i32 {
        self.state.epoch()
    }

    /// What has to go to disk, once.
    pub fn take_unsaved(&mut self) -> Option<ElectionState> {
        self.unsaved.take()
    }

    /// This replica.
    pub fn local(&self) -> ReplicaKey {
        self.config.local
    }

    /// The leader's role, if held.
    pub fn leader(&self) -> Option<&LeaderState> {
        match &self.state {
            EpochState::Leader(leader) => Some(leader),
            _ => None,
        }
    }

    /// The leader's role, if held.
    pub fn leader_mut(&mut self) -> Option<&mut LeaderState> {
        match &mut self.state {
            EpochState::Leader(leader) => Some(leader),
            _ => None,
        }
    }

    /// The follower's role, if held.
    pub fn follower_mut(&mut self) -> Option<&mut FollowerState> {
        match &mut self.state {
            EpochState::Follower(follower) => Some(follower),
            _ => None,
        }
    }

    /// Whether this replica votes.
    pub fn is_voter(&self, partition: &PartitionState) -> bool {
        partition.last_voter_set().is_voter(&self.config.local)
    }

    /// Whether it votes alone.
    pub fn is_only_voter(&self, partition: &PartitionState) -> bool {
        partition.last_voter_set().is_only_voter(&self.config.local)
    }

    /// How long a leader waits for fetches of a majority.
    pub fn check_quorum_timeout_ms(&self) -> i64 {
        (f64::from(self.config.fetch_timeout_ms) * CHECK_QUORUM_TIMEOUT_FACTOR) as i64
    }

    /// How often a leader reminds voters that do not fetch.
    pub fn begin_quorum_epoch_interval_ms(&self) -> i64 {
        i64::from(self.config.fetch_timeout_ms / 2)
    }

    /// To an epoch without a leader to follow.
    pub fn transition_to_unattached(
        &mut self,
        now_ms: i64,
        epoch: i32,
        leader_id: Option<i32>,
        partition: &PartitionState,
    ) {
        let current = self.epoch();
        assert!(
            epoch > current || (epoch == current && matches!(self.state, EpochState::Prospective(_))),
            "only a prospective node becomes unattached in its epoch"
        );
        let deadline = match &self.state {
            _ if !self.is_voter(partition) => None,
            EpochState::Candidate(s) => Some(s.election_deadline_ms),
            EpochState::Unattached(s) => s.election_deadline_ms,
            EpochState::Prospective(s) if !s.election.is_vote_rejected() => Some(s.election_deadline_ms),
            EpochState::Resigned(s) => Some(s.election_deadline_ms),
            EpochState::Prospective(_) | EpochState::Leader(_) | EpochState::Follower(_) => {
                Some(self.random_election_deadline(now_ms))
            }
        };
        let deadline = match deadline {
            None if self.is_voter(partition) => Some(self.random_election_deadline(now_ms)),
            known => known,
        };
        // A vote holds for its whole epoch.
        let voted_key = if epoch == current { self.state.voted_key() } else { None };
        self.state = EpochState::Unattached(UnattachedState {
            epoch,
            leader_id,
            voted_key,
            high_watermark: self.state.high_watermark(),
            election_deadline_ms: deadline,
        });
        self.save(partition);
    }

    /// Notes the vote for another. The election timeout starts anew: that one has as good a chance.
    pub fn add_voted_state(&mut self, now_ms: i64, candidate: ReplicaKey, partition: &PartitionState) {
        assert_ne!(candidate.id, self.config.local.id, "nobody asks itself");
        let deadline = self.random_election_deadline(now_ms);
        match &mut self.state {
            EpochState::Unattached(s) if s.voted_key.is_none() => {
                s.voted_key = Some(candidate);
                s.election_deadline_ms = Some(deadline);
            }
            EpochState::Prospective(s) if s.voted_key.is_none() => {
                s.voted_key = Some(candidate);
                s.election = EpochElection::new(partition.last_voter_set(), self.config.local.id);
                s.election_deadline_ms = deadline;
            }
            // The vote was given before.
            _ => return,
        }
        self.save(partition);
    }

    /// To the question whether an election could be won. Nothing on disk changes.
    pub fn transition_to_prospective(&mut self, now_ms: i64, partition: &PartitionState) {
        assert!(self.is_voter(partition), "observers are not elected");
        assert!(!matches!(self.state, EpochState::Leader(_) | EpochState::Prospective(_)), "nothing to ask");
        self.state = EpochState::Prospective(ProspectiveState {
            epoch: self.epoch(),
            leader_id: self.state.leader_id(),
            leader_endpoints: self.state.leader_endpoints(),
            voted_key: self.state.voted_key(),
            high_watermark: self.state.high_watermark(),
            election: EpochElection::new(partition.last_voter_set(), self.config.local.id),
            election_deadline_ms: self.random_election_deadline(now_ms),
        });
    }

    /// To an election in the next epoch.
    pub fn transition_to_candidate(&mut self, now_ms: i64, partition: &PartitionState) {
        assert!(self.is_voter(partition), "observers are not elected");
        assert!(matches!(self.state, EpochState::Prospective(_)), "a candidate asked first");
        self.state = EpochState::Candidate(CandidateState {
            epoch: self.epoch() + 1,
            local: self.config.local,
            high_watermark: self.state.high_watermark(),
            election: EpochElection::new(partition.last_voter_set(), self.config.local.id),
            election_deadline_ms: self.random_election_deadline(now_ms),
        });
        self.save(partition);
    }

    /// To leadership. The high watermark known before is not kept: what the leader tells must only ever
    /// rise, and only a majority that reached this epoch proves where it stands.
    pub fn transition_to_leader(&mut self, now_ms: i64, epoch_start_offset: i64, partition: &PartitionState) {
        let EpochState::Candidate(candidate) = &self.state else {
            panic!("only a candidate becomes leader");
        };
        assert!(candidate.election.is_vote_granted(), "ONE-LEADER-PER-EPOCH: a majority elects");
        let granting = candidate.election.granting_voters();
        self.state = EpochState::Leader(LeaderState::new(
            candidate.epoch,
            self.local_voter_node(),
            epoch_start_offset,
            granting,
            partition.last_voter_set(),
            now_ms,
            self.check_quorum_timeout_ms(),
        ));
        self.save(partition);
    }

    /// To following that leader.
    pub fn transition_to_follower(
        &mut self,
        now_ms: i64,
        epoch: i32,
        leader_id: i32,
        leader_endpoints: Endpoints,
        partition: &PartitionState,
    ) {
        let current = self.epoch();
        assert!(!leader_endpoints.is_empty(), "a leader is followed where it is");
        assert_ne!(leader_id, self.config.local.id, "nobody follows itself");
        assert!(epoch >= current, "epochs do not go back");
        assert!(
            epoch > current || !matches!(self.state, EpochState::Leader(_)),
            "ONE-LEADER-PER-EPOCH: a leader of the epoch follows nobody in it"
        );
        let voted_key = if epoch == current { self.state.voted_key() } else { None };
        self.state = EpochState::Follower(FollowerState {
            epoch,
            leader_id,
            leader_endpoints,
            voted_key,
            high_watermark: self.state.high_watermark(),
            fetch_deadline_ms: now_ms + i64::from(self.config.fetch_timeout_ms),
            has_fetched_from_leader: false,
            fetching_snapshot: None,
        });
        self.save(partition);
    }

    /// Out of leadership. Nothing on disk changes: a leader that restarts resigns as well.
    pub fn transition_to_resigned(
        &mut self,
        now_ms: i64,
        preferred_successors: Vec<ReplicaKey>,
        partition: &PartitionState,
    ) {
        assert!(matches!(self.state, EpochState::Leader(_)), "only a leader resigns");
        let deadline = self.random_election_deadline(now_ms);
        let high_watermark = self.state.high_watermark();
        self.state = self.resigned(self.epoch(), high_watermark, partition, preferred_successors, deadline);
    }

    /// This voter as the voters record should have it.
    pub fn local_voter_node(&self) -> VoterNode {
        VoterNode {
            key: self.config.local,
            listeners: self.config.local_listeners.clone(),
            supported_kraft_versions: (0, MAX_KRAFT_VERSION),
        }
    }

    /// A moment in the future, not the same for every node, so that elections are rarely split.
    pub fn random_election_deadline(&mut self, now_ms: i64) -> i64 {
        let timeout = self.config.election_timeout_ms.max(0).unsigned_abs();
        if timeout == 0 {
            return now_ms;
        }
        // xorshift64: enough to spread elections, and the same for the same seed.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        now_ms + i64::from(timeout) + (self.random % u64::from(timeout)) as i64
    }

    fn resigned(
        &self,
        epoch: i32,
        high_watermark: Option<i64>,
        partition: &PartitionState,
        preferred_successors: Vec<ReplicaKey>,
        election_deadline_ms: i64,
    ) -> EpochState {
        let local_id = self.config.local.id;
        EpochState::Resigned(ResignedState {
            epoch,
            local_id,
            local_listeners: self.config.local_listeners.clone(),
            high_watermark,
            unacked_voters: partition.last_voter_set().ids().filter(|id| *id != local_id).collect(),
            preferred_successors,
            election_deadline_ms,
        })
    }

    fn save(&mut self, partition: &PartitionState) {
        let voters: BTreeSet<i32> = partition.last_voter_set().ids().collect();
        self.unsaved = Some(self.state.election(voters));
    }
}
