//! Share sessions: which partitions each member fetches, as long as its connection lasts.

use std::sync::{Arc, MutexGuard, PoisonError};

use ottla_share::{
    FetchOutcome, ShareFetchContext, SharePartitionId, ShareSessionCache, ShareSessionError, ShareSessionKey,
    ShareSessionRequest,
};

use super::manager::{LOGGER, SharePartitionManager};

impl SharePartitionManager {
    /// Finds the session of a ShareFetch, or begins one, and counts on.
    pub fn new_context(
        &self,
        request: &ShareSessionRequest<'_>,
    ) -> Result<ShareFetchContext, ShareSessionError> {
        self.sessions().new_context(request)
    }

    /// Finds the session of a ShareAcknowledge, and counts on.
    pub fn acknowledge_session_update(
        &self,
        key: &ShareSessionKey,
        epoch: i32,
    ) -> Result<(), ShareSessionError> {
        self.sessions().acknowledge_session_update(key, epoch)
    }

    /// Which of these partitions the answer to a ShareFetch names. The session remembers what it is told.
    pub fn select_for_response(
        &self,
        key: &ShareSessionKey,
        context: &ShareFetchContext,
        outcomes: &[(SharePartitionId, FetchOutcome)],
    ) -> Result<Vec<bool>, ShareSessionError> {
        self.sessions().select_for_response(key, context, outcomes, true)
    }

    /// A member ends its session: what it still holds may be handed to others. Nobody waits for that.
    ///
    /// After the last of a group its share-partitions go, though the connection may stay: the group can be
    /// reset or deleted now, and who comes next must not go on with what it was before.
    pub fn release_session(self: &Arc<Self>, key: &ShareSessionKey) {
        let (session, is_last) = {
            let mut sessions = self.sessions();
            (sessions.remove(key), !sessions.has_sessions(&key.group_id))
        };
        let Some(session) = session else {
            let ShareSessionKey { group_id, member_id } = key;
            tracing::debug!(logger = LOGGER, "{member_id} of {group_id} has no share session to release");
            return;
        };
        self.release_acquired(key, session.partitions());
        if is_last {
            self.remove_group(&key.group_id);
        }
    }

    /// A connection ended, and its share session with it. After the last of a group, so do the group's
    /// share-partitions: who comes next begins with what the share coordinator has.
    pub fn disconnect(self: &Arc<Self>, connection_id: &str) {
        let departure = self.sessions().disconnect(connection_id);
        if let Some((key, partitions)) = &departure.session {
            self.release_acquired(key, partitions.iter());
        }
        if let Some(group_id) = &departure.empty_group {
            self.remove_group(group_id);
        }
    }

    /// How many share sessions there are (metric `ShareSessionsCount`).
    pub fn num_sessions(&self) -> usize {
        self.sessions().len()
    }

    fn release_acquired<'a>(
        self: &Arc<Self>,
        key: &ShareSessionKey,
        partitions: impl Iterator<Item = &'a SharePartitionId>,
    ) {
        for id in partitions {
            if let Some(hosted) = self.get(&key.group_id, id) {
                self.with(&hosted, |state| state.kernel.release_acquired(&key.member_id));
            }
        }
    }

    /// A poisoned lock means that a request panicked; sessions are changed in small steps, and a client whose
    /// session makes no sense begins a new one.
    pub(super) fn sessions(&self) -> MutexGuard<'_, ShareSessionCache> {
        self.session_cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
