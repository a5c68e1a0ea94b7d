use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_common::{ErrorCode, Uuid};

use crate::error::ShareSessionError;
use crate::session_cache::{ShareSessionKey, next_epoch};

/// A partition that a member fetches. Its id and number tell it from others.
#[derive(Debug, Clone)]
pub struct SharePartitionId {
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
    /// The topic's name, if this broker knows it. Without it the partition is answered with
    /// UNKNOWN_TOPIC_ID.
    pub topic: Option<Arc<str>>,
}

impl SharePartitionId {
    fn key(&self) -> (Uuid, i32) {
        (self.topic_id, self.partition)
    }
}

impl PartialEq for SharePartitionId {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for SharePartitionId {}

impl PartialOrd for SharePartitionId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SharePartitionId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// What a fetch got of one partition, as far as the session cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchOutcome {
    /// Whether there are records.
    pub has_records: bool,
    /// The partition's error.
    pub error: ErrorCode,
}

/// Which partitions a member fetches, so that it need not name them with every request.
#[derive(Debug, Clone)]
pub struct ShareSession {
    key: ShareSessionKey,
    connection_id: Arc<str>,
    /// The next request's.
    epoch: i32,
    /// In the order in which partitions get their turn.
    in_turn: BTreeMap<u64, CachedSharePartition>,
    turns: BTreeMap<(Uuid, i32), u64>,
    next_turn: u64,
}

#[derive(Debug, Clone)]
struct CachedSharePartition {
    id: SharePartitionId,
    /// Whether the next answer names the partition even if there is nothing to tell: it is new, or its
    /// last answer was an error, which is to be taken back.
    requires_update: bool,
}

impl ShareSession {
    pub(crate) fn new(
        key: ShareSessionKey,
        connection_id: Arc<str>,
        epoch: i32,
        partitions: &[SharePartitionId],
    ) -> Self {
        let mut session = Self {
            key,
            connection_id,
            epoch,
            in_turn: BTreeMap::new(),
            turns: BTreeMap::new(),
            next_turn: 0,
        };
        for id in partitions {
            session.add(id, false);
        }
        session
    }

    /// Whose it is.
    pub fn key(&self) -> &ShareSessionKey {
        &self.key
    }

    /// The connection it lasts as long as.
    pub fn connection_id(&self) -> &Arc<str> {
        &self.connection_id
    }

    /// What the next request has to say.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The partitions, those first that did not give any records for long.
    pub fn partitions(&self) -> impl Iterator<Item = &SharePartitionId> {
        self.in_turn.values().map(|cached| &cached.id)
    }

    /// How many partitions.
    pub fn num_partitions(&self) -> usize {
        self.in_turn.len()
    }

    /// Checks that a request is the next, and waits for the one after.
    pub(crate) fn advance(&mut self, request_epoch: i32) -> Result<(), ShareSessionError> {
        if request_epoch != self.epoch {
            return Err(ShareSessionError::InvalidEpoch);
        }
        self.epoch = next_epoch(self.epoch);
        Ok(())
    }

    /// Adds partitions and forgets others.
    pub(crate) fn update(&mut self, add: &[SharePartitionId], forget: &[SharePartitionId]) {
        for id in add {
            self.add(id, true);
        }
        for id in forget {
            if let Some(turn) = self.turns.remove(&id.key()) {
                self.in_turn.remove(&turn);
            }
        }
        assert!(self.turns.len() == self.in_turn.len(), "SHARE-SESSION-TURNS-PAIRED");
    }

    fn add(&mut self, id: &SharePartitionId, requires_update: bool) {
        if self.turns.contains_key(&id.key()) {
            return;
        }
        self.turns.insert(id.key(), self.next_turn);
        self.in_turn.insert(self.next_turn, CachedSharePartition { id: id.clone(), requires_update });
        self.next_turn += 1;
    }

    /// Fails if the answer to a request of this epoch comes too late: the session went on without it.
    pub(crate) fn check_current(&self, request_epoch: i32) -> Result<(), ShareSessionError> {
        match self.epoch == next_epoch(request_epoch) {
            true => Ok(()),
            false => Err(ShareSessionError::InvalidEpoch),
        }
    }

    /// Whether an answer has to name this partition. It changes nothing; for the size of an answer.
    pub(crate) fn must_respond(&self, id: &SharePartitionId, outcome: FetchOutcome) -> bool {
        let cached = self.turns.get(&id.key()).and_then(|turn| self.in_turn.get(turn));
        let requires_update = cached.is_none_or(|cached| cached.requires_update);
        outcome.has_records || requires_update || !outcome.error.is_none()
    }

    /// Whether the answer that is being made has to name this partition; remembers what it tells, and lets
    /// a partition that gave records wait for its next turn.
    pub(crate) fn respond(&mut self, id: &SharePartitionId, outcome: FetchOutcome) -> bool {
        let must_respond = self.must_respond(id, outcome);
        let Some(turn) = self.turns.get(&id.key()).copied() else { return must_respond };
        let Some(cached) = self.in_turn.get_mut(&turn) else { return must_respond };
        cached.requires_update = !outcome.error.is_none();
        if outcome.has_records
            && let Some(cached) = self.in_turn.remove(&turn)
        {
            self.turns.insert(id.key(), self.next_turn);
            self.in_turn.insert(self.next_turn, cached);
            self.next_turn += 1;
        }
        must_respond
    }
}
