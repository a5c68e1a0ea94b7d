//! A share-partition: what one share group has in flight of one partition.

mod acknowledge;
mod acquire;
mod load;
mod locks;
mod persist;
mod start_offset;

#[cfg(test)]
mod acknowledge_test;
#[cfg(test)]
mod acquire_test;
#[cfg(test)]
mod dead_letter_test;
#[cfg(test)]
mod isolation_test;
#[cfg(test)]
mod load_test;
#[cfg(test)]
mod locks_test;
#[cfg(test)]
mod property_test;
#[cfg(test)]
mod start_offset_test;
#[cfg(test)]
mod testing;

use std::collections::{BTreeMap, VecDeque};

use ottla_common::Uuid;

pub use self::acquire::{AcquireRequest, AcquiredRecords, ShareAcquireMode, ShareAcquiredRecords};
use self::persist::PendingWrite;
use crate::config::SharePartitionConfig;
use crate::effect::{DeadLetterRange, EffectToken, SharePartitionEffect};
use crate::in_flight::InFlightBatch;
use crate::persister::ReadState;

/// How far a share-partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharePartitionState {
    /// Nobody asked for its state yet.
    Empty,
    /// Its state is being read.
    Initializing,
    /// It hands out records.
    Active,
    /// Its state could not be read.
    Failed,
    /// Another leader or another life of the group took over.
    Fenced,
}

/// What one share group has in flight of one partition, at the partition's leader (KIP-932).
///
/// Records from the start offset to the end offset are in flight: below the start offset everything is
/// done, behind the end offset nothing was handed out yet. In between each record is available, with a
/// member, or done out of order. What is done is written to the share coordinator before it is answered;
/// that somebody holds a record is not: after a change of the leader, what was not acknowledged is
/// available again.
///
/// One owner calls it, one call at a time, and runs [`poll_effect`](Self::poll_effect) empty after each.
#[derive(Debug)]
pub struct SharePartition {
    config: SharePartitionConfig,
    leader_epoch: i32,
    state: SharePartitionState,
    state_epoch: i32,
    start_offset: i64,
    /// Offset of the last record in flight. Without any, it is the start offset, the next to be fetched.
    end_offset: i64,
    /// By their first offsets. Offsets in no batch hold no record.
    cached: BTreeMap<i64, InFlightBatch>,
    /// False if certainly nothing is available, which spares the search for it.
    may_have_available: bool,
    /// No lock ends earlier.
    earliest_lock_ms: Option<i64>,
    /// Which fetch may acquire records.
    fetch_lock: Option<Uuid>,
    /// What the share coordinator told, while the start offset is looked up.
    reading: Option<ReadState>,
    writes: BTreeMap<EffectToken, PendingWrite>,
    dead_letters: BTreeMap<EffectToken, DeadLetterRange>,
    next_token: u64,
    effects: VecDeque<SharePartitionEffect>,
}

impl SharePartition {
    /// A share-partition whose state is to be read yet, at a leader of this epoch.
    pub fn new(leader_epoch: i32, config: SharePartitionConfig) -> Self {
        Self {
            config,
            leader_epoch,
            state: SharePartitionState::Empty,
            state_epoch: 0,
            start_offset: 0,
            end_offset: 0,
            cached: BTreeMap::new(),
            may_have_available: false,
            earliest_lock_ms: None,
            fetch_lock: None,
            reading: None,
            writes: BTreeMap::new(),
            dead_letters: BTreeMap::new(),
            next_token: 0,
            effects: VecDeque::new(),
        }
    }

    /// Takes what there is to do, in order.
    pub fn poll_effect(&mut self) -> Option<SharePartitionEffect> {
        self.effects.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called: at the end of an acquisition lock,
    /// or at a time when one would have ended.
    pub fn poll_timeout(&self) -> Option<i64> {
        self.earliest_lock_ms
    }

    /// The offset to fetch from: of the first record that may be handed out again, or behind all in flight.
    pub fn next_fetch_offset(&mut self) -> i64 {
        if self.may_have_available {
            if let Some(available) = self.cached.values().find_map(InFlightBatch::first_available) {
                return available;
            }
            self.may_have_available = false;
        }
        self.offset_behind_end()
    }

    /// Whether a fetch could acquire anything: something is available again, or there is room for more.
    pub fn can_acquire_records(&mut self) -> bool {
        self.next_fetch_offset() != self.offset_behind_end()
            || self.num_in_flight_records() < i64::from(self.config.partition_max_record_locks)
    }

    /// Lets one fetch at a time acquire records. True if it is this one.
    pub fn maybe_acquire_fetch_lock(&mut self, fetch_id: Uuid) -> bool {
        let free = self.state == SharePartitionState::Active && self.fetch_lock.is_none();
        if free {
            self.fetch_lock = Some(fetch_id);
        }
        free
    }

    /// The fetch is done. False if it was another one's turn, which is an error of the caller.
    pub fn release_fetch_lock(&mut self, fetch_id: Uuid) -> bool {
        self.fetch_lock.take_if(|holder| *holder == fetch_id).is_some()
    }

    /// The leader changed, or the group is gone: no fetch acquires anything from here any more.
    pub fn mark_fenced(&mut self) {
        self.state = SharePartitionState::Fenced;
        self.effects.push_back(SharePartitionEffect::CheckDelayedFetches);
    }

    /// Takes over changed configurations. Locks that are held keep their ends.
    pub fn update_config(&mut self, config: SharePartitionConfig) {
        self.config = config;
    }

    /// How far it is.
    pub fn state(&self) -> SharePartitionState {
        self.state
    }

    /// Epoch of the leader it belongs to.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// Epoch of the state, as the share coordinator told it.
    pub fn state_epoch(&self) -> i32 {
        self.state_epoch
    }

    /// Everything below is done.
    pub fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// Nothing behind was handed out yet.
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// How many records from the start offset on are done, or will be once that is written (KIP-1226).
    pub fn delivery_complete_count(&self) -> i32 {
        let count: i64 = self.cached.values().map(InFlightBatch::terminal_count).sum();
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    /// How many offsets there are from the start to the end (metric `InFlightMessageCount`).
    pub fn num_in_flight_records(&self) -> i64 {
        if self.cached.is_empty() { 0 } else { self.end_offset - self.start_offset + 1 }
    }

    /// How many batches are kept (metric `InFlightBatchCount`).
    pub fn num_in_flight_batches(&self) -> usize {
        self.cached.len()
    }

    /// How long a member may keep records, to be told in every answer to ShareFetch.
    pub fn acquisition_lock_timeout_ms(&self) -> i32 {
        self.config.record_lock_duration_ms
    }

    fn offset_behind_end(&self) -> i64 {
        if self.cached.is_empty() { self.end_offset } else { self.end_offset.saturating_add(1) }
    }

    /// First offsets of the batches with offsets of this range.
    fn overlapping(&self, first: i64, last: i64) -> Vec<i64> {
        if first > last {
            return Vec::new();
        }
        let before = self.cached.range(..first).next_back();
        let reaching = before.filter(|(_, batch)| batch.last_offset() >= first).map(|(key, _)| *key);
        reaching.into_iter().chain(self.cached.range(first..=last).map(|(key, _)| *key)).collect()
    }

    /// What a lock that begins now lasts to.
    fn lock_deadline(&mut self, now_ms: i64) -> i64 {
        let deadline_ms = now_ms.saturating_add(i64::from(self.config.record_lock_duration_ms));
        self.note_lock(deadline_ms);
        deadline_ms
    }

    fn note_lock(&mut self, deadline_ms: i64) {
        let earliest = self.earliest_lock_ms.map_or(deadline_ms, |earliest| earliest.min(deadline_ms));
        self.earliest_lock_ms = Some(earliest);
    }

    fn new_token(&mut self) -> EffectToken {
        self.next_token += 1;
        EffectToken(self.next_token)
    }
}
