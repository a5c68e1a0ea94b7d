use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ottla_common::ErrorCode;

use super::context::FetchContext;
use super::session::{FetchPartition, FetchSession, PartitionKey};
use super::{FINAL_EPOCH, INITIAL_EPOCH, INVALID_SESSION_ID, next_epoch};

pub(super) type SharedSession = Arc<Mutex<FetchSession>>;

/// A poisoned lock means another request panicked; the session's maps are whole at every step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Slot {
    session: SharedSession,
    privileged: bool,
    size: usize,
    created_ms: i64,
    last_used_ms: i64,
}

#[derive(Debug, Default)]
struct Slots {
    by_id: HashMap<i32, Slot>,
    /// State of the generator of ids. Ids need not be secret, only unlikely to meet again.
    id_state: u64,
}

/// Keeps the sessions of all fetchers within `max.incremental.fetch.session.cache.slots`.
#[derive(Debug)]
pub struct FetchManager {
    slots: Mutex<Slots>,
    slots_max: usize,
    eviction_ms: i64,
}

impl FetchManager {
    /// A session may be evicted for a stale one after `eviction_ms` without use. `seed` sets the
    /// sequence of session ids.
    pub fn new(slots_max: usize, eviction_ms: i64, seed: u64) -> Self {
        let slots = Slots { by_id: HashMap::new(), id_state: seed | 1 };
        Self { slots: Mutex::new(slots), slots_max, eviction_ms }
    }

    /// Decides what a request means: a fetch without session, a new session, or the next step of
    /// one.
    #[allow(clippy::too_many_arguments)]
    pub fn new_context(
        &self,
        version: i16,
        session_id: i32,
        epoch: i32,
        is_follower: bool,
        partitions: Vec<FetchPartition>,
        forgotten: &[PartitionKey],
        now_ms: i64,
    ) -> FetchContext {
        let uses_topic_ids = version >= 13;
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            if session_id != INVALID_SESSION_ID {
                lock(&self.slots).by_id.remove(&session_id);
            }
            return if epoch == FINAL_EPOCH {
                FetchContext::Sessionless { partitions }
            } else {
                FetchContext::Full { partitions, is_follower, uses_topic_ids }
            };
        }
        self.continue_session(session_id, epoch, uses_topic_ids, partitions, forgotten, now_ms)
    }

    fn continue_session(
        &self,
        session_id: i32,
        epoch: i32,
        uses_topic_ids: bool,
        partitions: Vec<FetchPartition>,
        forgotten: &[PartitionKey],
        now_ms: i64,
    ) -> FetchContext {
        let mut slots = lock(&self.slots);
        let Some(slot) = slots.by_id.get_mut(&session_id) else {
            return FetchContext::Error(ErrorCode::FetchSessionIdNotFound);
        };
        let shared = slot.session.clone();
        let mut session = lock(&shared);
        if session.epoch != epoch {
            return FetchContext::Error(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids != uses_topic_ids {
            return FetchContext::Error(ErrorCode::FetchSessionTopicIdError);
        }
        // What a request names it may forget in the same breath, and the session with it.
        let named = if forgotten.is_empty() { Vec::new() } else { partitions.clone() };
        session.update(partitions, forgotten);
        if session.is_empty() {
            slots.by_id.remove(&session_id);
            return FetchContext::Sessionless { partitions: named };
        }
        slot.last_used_ms = now_ms;
        slot.size = session.len();
        session.epoch = next_epoch(session.epoch);
        let epoch = session.epoch;
        drop(session);
        FetchContext::Incremental { session: shared, epoch }
    }

    /// Keeps a new session when there is room for it; answers its id, or 0.
    pub(super) fn keep(
        &self,
        is_follower: bool,
        uses_topic_ids: bool,
        size: usize,
        now_ms: i64,
        fill: impl FnOnce(&mut FetchSession),
    ) -> i32 {
        let mut slots = lock(&self.slots);
        if slots.by_id.len() >= self.slots_max && !self.evict_one(&mut slots, is_follower, size, now_ms) {
            return INVALID_SESSION_ID;
        }
        let id = slots.new_id();
        let mut session = FetchSession::new(id, is_follower, uses_topic_ids);
        fill(&mut session);
        let slot = Slot {
            privileged: session.privileged,
            session: Arc::new(Mutex::new(session)),
            size,
            created_ms: now_ms,
            last_used_ms: now_ms,
        };
        slots.by_id.insert(id, slot);
        id
    }

    /// Makes room: a stale session goes first; else a privileged newcomer displaces a consumer's,
    /// and a larger one displaces a smaller one that is not new.
    fn evict_one(&self, slots: &mut Slots, privileged: bool, size: usize, now_ms: i64) -> bool {
        let stale = slots
            .by_id
            .iter()
            .filter(|(_, s)| now_ms - s.last_used_ms > self.eviction_ms)
            .min_by_key(|(_, s)| s.last_used_ms)
            .map(|(id, _)| *id);
        let victim = stale.or_else(|| {
            let least = slots
                .by_id
                .iter()
                .filter(|(_, s)| {
                    let settled = now_ms - s.created_ms > self.eviction_ms;
                    if privileged { !s.privileged || settled } else { !s.privileged && settled }
                })
                .min_by_key(|(_, s)| (s.privileged, s.size))?;
            ((privileged, size) >= (least.1.privileged, least.1.size)).then_some(*least.0)
        });
        victim.is_some_and(|id| slots.by_id.remove(&id).is_some())
    }
}

impl Slots {
    fn new_id(&mut self) -> i32 {
        loop {
            self.id_state ^= self.id_state << 13;
            self.id_state ^= self.id_state >> 7;
            self.id_state ^= self.id_state << 17;
            let id = (self.id_state >> 33) as i32;
            if id != INVALID_SESSION_ID && !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }
}
