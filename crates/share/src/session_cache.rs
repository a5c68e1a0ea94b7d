use std::collections::BTreeMap;
use std::sync::Arc;

use crate::MemberId;
use crate::error::ShareSessionError;
use crate::session::{FetchOutcome, SharePartitionId, ShareSession};

/// The epoch of a request that begins a session.
pub const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request that ends a session.
pub const FINAL_EPOCH: i32 = -1;

/// The epoch after this one. A session that ended stays so, and the largest number is followed by 1.
pub const fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        i32::MIN..=-1 => FINAL_EPOCH,
        i32::MAX => 1,
        _ => epoch + 1,
    }
}

/// Names a share session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShareSessionKey {
    /// The group.
    pub group_id: Arc<str>,
    /// Its member.
    pub member_id: MemberId,
}

/// What a ShareFetch says of its session.
#[derive(Debug, Clone, Copy)]
pub struct ShareSessionRequest<'a> {
    /// Whose session.
    pub key: &'a ShareSessionKey,
    /// The epoch.
    pub epoch: i32,
    /// Partitions to fetch, and for a session that is there, only those that are new.
    pub partitions: &'a [SharePartitionId],
    /// Partitions not to fetch any more.
    pub forgotten: &'a [SharePartitionId],
    /// Whether it acknowledges anything.
    pub has_acknowledgements: bool,
    /// The connection it came by.
    pub connection_id: &'a Arc<str>,
}

/// What a ShareFetch is to its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareFetchContext {
    /// It begins a session. All that was asked for is answered.
    Initial {
        /// What to fetch.
        partitions: Vec<SharePartitionId>,
    },
    /// It goes on with a session. Only what is worth telling is answered.
    Subsequent {
        /// The request's epoch.
        epoch: i32,
        /// What to fetch: all of the session.
        partitions: Vec<SharePartitionId>,
    },
    /// It ends a session. Nothing is fetched; after the acknowledgements it brings, the session is to be
    /// [removed](ShareSessionCache::remove) and what the member still holds to be released.
    Final,
}

/// A session that ended because its connection did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Departure {
    /// The session, if it had not ended otherwise. What its member holds of these partitions is to be
    /// released.
    pub session: Option<(ShareSessionKey, Vec<SharePartitionId>)>,
    /// The group, if it has no session any more: its share-partitions are to be fenced and forgotten.
    pub empty_group: Option<Arc<str>>,
}

#[derive(Debug, Clone)]
struct ConnectionSession {
    key: ShareSessionKey,
    /// The session ended, or another connection has taken it over.
    stale: bool,
}

/// All share sessions of a broker.
///
/// A session begins with a request of epoch 0 and lasts until one of epoch -1 or until its connection
/// ends. Each request in between counts on by one, so that a request that comes twice, or one after a lost
/// answer, is found out.
#[derive(Debug)]
pub struct ShareSessionCache {
    /// `group.share.max.share.sessions`.
    max_entries: usize,
    sessions: BTreeMap<ShareSessionKey, ShareSession>,
    members_per_group: BTreeMap<Arc<str>, usize>,
    by_connection: BTreeMap<Arc<str>, ConnectionSession>,
    /// Sessions that ended with their connections (metric `ShareSessionEvictionsPerSec`).
    evictions: u64,
}

impl ShareSessionCache {
    /// Room for so many sessions.
    pub fn new(max_entries: usize) -> Self {
        Self {
            max_entries,
            sessions: BTreeMap::new(),
            members_per_group: BTreeMap::new(),
            by_connection: BTreeMap::new(),
            evictions: 0,
        }
    }

    /// Finds the session of a ShareFetch, or begins one, and counts on.
    pub fn new_context(
        &mut self,
        request: &ShareSessionRequest<'_>,
    ) -> Result<ShareFetchContext, ShareSessionError> {
        match request.epoch {
            FINAL_EPOCH => match self.sessions.contains_key(request.key) {
                true => Ok(ShareFetchContext::Final),
                false => Err(ShareSessionError::NotFound),
            },
            INITIAL_EPOCH => self.begin(request),
            epoch => {
                let session = self.sessions.get_mut(request.key).ok_or(ShareSessionError::NotFound)?;
                session.advance(epoch)?;
                session.update(request.partitions, request.forgotten);
                let partitions = session.partitions().cloned().collect();
                Ok(ShareFetchContext::Subsequent { epoch, partitions })
            }
        }
    }

    fn begin(&mut self, request: &ShareSessionRequest<'_>) -> Result<ShareFetchContext, ShareSessionError> {
        if request.has_acknowledgements {
            return Err(ShareSessionError::AcknowledgementsAtStart);
        }
        self.remove(request.key);
        if self.sessions.len() >= self.max_entries {
            return Err(ShareSessionError::LimitReached);
        }
        let key = request.key.clone();
        let epoch = next_epoch(INITIAL_EPOCH);
        let session =
            ShareSession::new(key.clone(), request.connection_id.clone(), epoch, request.partitions);
        *self.members_per_group.entry(key.group_id.clone()).or_insert(0) += 1;
        self.by_connection
            .insert(request.connection_id.clone(), ConnectionSession { key: key.clone(), stale: false });
        self.sessions.insert(key, session);
        Ok(ShareFetchContext::Initial { partitions: request.partitions.to_vec() })
    }

    /// Finds the session of a ShareAcknowledge, and counts on. After the last of a session, that is to be
    /// [removed](Self::remove).
    pub fn acknowledge_session_update(
        &mut self,
        key: &ShareSessionKey,
        epoch: i32,
    ) -> Result<(), ShareSessionError> {
        if epoch == INITIAL_EPOCH {
            return Err(ShareSessionError::InvalidEpoch);
        }
        let session = self.sessions.get_mut(key).ok_or(ShareSessionError::NotFound)?;
        if epoch == FINAL_EPOCH {
            return Ok(());
        }
        session.advance(epoch)
    }

    /// Ends a session. What its member holds of the session's partitions is to be released then.
    pub fn remove(&mut self, key: &ShareSessionKey) -> Option<ShareSession> {
        let session = self.sessions.remove(key)?;
        if let Some(members) = self.members_per_group.get_mut(&key.group_id) {
            *members = members.saturating_sub(1);
        }
        // The same connection may name another session meanwhile.
        if let Some(connection) = self.by_connection.get_mut(session.connection_id())
            && connection.key == *key
        {
            connection.stale = true;
        }
        Some(session)
    }

    /// A connection ended, and its session with it.
    pub fn disconnect(&mut self, connection_id: &str) -> Departure {
        let Some(connection) = self.by_connection.remove(connection_id) else { return Departure::default() };
        let mut departure = Departure::default();
        if !connection.stale
            && let Some(session) = self.remove(&connection.key)
        {
            self.evictions += 1;
            departure.session = Some((connection.key.clone(), session.partitions().cloned().collect()));
        }
        let group_id = connection.key.group_id;
        if !self.has_sessions(&group_id) {
            self.members_per_group.remove(&group_id);
            departure.empty_group = Some(group_id);
        }
        departure
    }

    /// Ends all sessions: share groups were turned off (`share.version` 0).
    pub fn remove_all(&mut self) {
        self.sessions.clear();
        self.members_per_group.clear();
    }

    /// Chooses which partitions an answer names. For the answer that is sent, `update` is true; for its
    /// size beforehand, nothing is remembered.
    pub fn select_for_response(
        &mut self,
        key: &ShareSessionKey,
        context: &ShareFetchContext,
        outcomes: &[(SharePartitionId, FetchOutcome)],
        update: bool,
    ) -> Result<Vec<bool>, ShareSessionError> {
        let ShareFetchContext::Subsequent { epoch, .. } = context else {
            return Ok(vec![true; outcomes.len()]);
        };
        let session = self.sessions.get_mut(key).ok_or(ShareSessionError::NotFound)?;
        session.check_current(*epoch)?;
        let select = |(id, outcome): &(SharePartitionId, FetchOutcome)| match update {
            true => session.respond(id, *outcome),
            false => session.must_respond(id, *outcome),
        };
        Ok(outcomes.iter().map(select).collect())
    }

    /// The session of a member.
    pub fn get(&self, key: &ShareSessionKey) -> Option<&ShareSession> {
        self.sessions.get(key)
    }

    /// Whether anybody of a group has a session.
    pub fn has_sessions(&self, group_id: &str) -> bool {
        self.members_per_group.get(group_id).is_some_and(|members| *members > 0)
    }

    /// How many sessions there are (metric `ShareSessionsCount`).
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// How many partitions all sessions have together (metric `SharePartitionsCount`).
    pub fn total_partitions(&self) -> usize {
        self.sessions.values().map(ShareSession::num_partitions).sum()
    }

    /// Sessions that ended with their connections.
    pub fn evictions(&self) -> u64 {
        self.evictions
    }
}

#[cfg(test)]
#[path = "session_cache_test.rs"]
mod session_cache_test;
