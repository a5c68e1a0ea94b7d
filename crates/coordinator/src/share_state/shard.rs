use std::convert::Infallible;
use std::sync::Arc;

use ottla_common::ErrorCode;
use ottla_protocol::records::share::{ShareSnapshotValue, ShareUpdateValue};
use rpds::RedBlackTreeMapSync;

use super::redundant::RedundantOffsets;
use super::{ShareCoordinatorConfig, ShareGroupOffset, SharePartitionKey, ShareStateRecord};
use crate::runtime::{CoordinatorResult, CoordinatorShard, LogEntry, TimerChange, Token, TransactionResult};

/// What the share coordinator decides.
pub type ShareStateResult<T> = CoordinatorResult<T, ShareCoordinatorShard>;

/// The share-partitions of one partition of `__share_group_state`.
#[derive(Debug, Clone)]
pub struct ShareCoordinatorShard {
    pub(super) config: Arc<ShareCoordinatorConfig>,
    pub(super) states: RedBlackTreeMapSync<SharePartitionKey, Arc<SharePartitionState>>,
    redundant: RedundantOffsets,
}

/// What is known of a share-partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharePartitionState {
    /// How far the group is.
    pub offset: ShareGroupOffset,
    /// The newest leader epoch that was ever written; an older leader is fenced.
    pub leader_epoch: i32,
    /// The newest state epoch that was ever written, -1 when only updates are left.
    pub state_epoch: i32,
    /// How many updates were written since a snapshot was due.
    pub updates: i32,
}

/// The timers of a share coordinator, and what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShareStateTimer {
    /// Look for snapshots that became too old.
    SnapshotColdPartitions,
}

/// No state epoch was written.
const NO_STATE_EPOCH: i32 = -1;

impl ShareCoordinatorShard {
    /// A shard that knows nothing yet.
    pub fn new(config: Arc<ShareCoordinatorConfig>) -> Self {
        Self { config, states: RedBlackTreeMapSync::new_sync(), redundant: RedundantOffsets::new() }
    }

    /// The configuration.
    pub fn config(&self) -> &ShareCoordinatorConfig {
        &self.config
    }

    /// What is known of this share-partition.
    pub fn state(&self, key: &SharePartitionKey) -> Option<&SharePartitionState> {
        self.states.get(key).map(|state| &**state)
    }

    /// Every share-partition.
    pub fn states(&self) -> impl Iterator<Item = (&SharePartitionKey, &SharePartitionState)> {
        self.states.iter().map(|(key, state)| (key, &**state))
    }

    /// The offset below which the log may be deleted. To be asked of the committed state.
    pub fn last_redundant_offset(&self) -> Option<i64> {
        self.redundant.last_redundant_offset()
    }

    fn replay_snapshot(&mut self, offset: i64, key: &SharePartitionKey, value: &ShareSnapshotValue) {
        let before = self.state(key);
        let due = self.config.snapshot_update_records_per_snapshot;
        let updates = before.map_or(0, |before| before.updates);
        let state = SharePartitionState {
            offset: ShareGroupOffset::from_snapshot(value),
            leader_epoch: before.map_or(value.leader_epoch, |b| b.leader_epoch.max(value.leader_epoch)),
            state_epoch: before.map_or(value.state_epoch, |b| b.state_epoch.max(value.state_epoch)),
            // A snapshot for another reason does not put off the one that updates will ask for.
            updates: if updates >= due { 0 } else { updates },
        };
        let key = key.owned();
        self.redundant.on_snapshot(&key, offset);
        self.states.insert_mut(key, Arc::new(state));
    }

    fn replay_tombstone(&mut self, offset: i64, key: &SharePartitionKey) {
        self.states.remove_mut(key);
        self.redundant.on_tombstone(key, offset);
    }

    fn replay_update(&mut self, key: &SharePartitionKey, value: &ShareUpdateValue) {
        let state = match self.state(key) {
            Some(before) => SharePartitionState {
                offset: before.offset.updated(value),
                leader_epoch: before.leader_epoch.max(value.leader_epoch),
                state_epoch: before.state_epoch,
                updates: before.updates.saturating_add(1),
            },
            None => SharePartitionState {
                offset: ShareGroupOffset::from_update(value),
                leader_epoch: value.leader_epoch,
                state_epoch: NO_STATE_EPOCH,
                updates: 1,
            },
        };
        self.states.insert_mut(key.owned(), Arc::new(state));
    }

    pub(super) fn schedule_cold_snapshots(
        &self,
        now_ms: i64,
    ) -> TimerChange<ShareStateTimer, ShareStateTimer> {
        let interval_ms = i64::from(self.config.cold_partition_snapshot_interval_ms.max(1));
        TimerChange::Schedule {
            key: ShareStateTimer::SnapshotColdPartitions,
            deadline_ms: now_ms.saturating_add(interval_ms),
            event: ShareStateTimer::SnapshotColdPartitions,
        }
    }
}

impl CoordinatorShard for ShareCoordinatorShard {
    type Record = ShareStateRecord;
    type Change = Infallible;
    type Reply = Infallible;
    type Effect = Infallible;
    type Continuation = Infallible;
    type TimerKey = ShareStateTimer;
    type TimerEvent = ShareStateTimer;

    fn encode(record: &ShareStateRecord) -> Result<LogEntry, ErrorCode> {
        let (key, value) = record.encode().map_err(|_| ErrorCode::UnknownServerError)?;
        Ok(LogEntry { key, value })
    }

    fn replay(&mut self, offset: i64, _producer_id: i64, record: &ShareStateRecord) {
        let key = record.key();
        match record {
            ShareStateRecord::Snapshot { value: Some(value), .. } => {
                self.replay_snapshot(offset, &key, value);
            }
            ShareStateRecord::Snapshot { value: None, .. } => self.replay_tombstone(offset, &key),
            ShareStateRecord::Update { value: Some(value), .. } => self.replay_update(&key, value),
            ShareStateRecord::Update { value: None, .. } => {}
        }
    }

    fn replay_end_transaction_marker(&mut self, _producer_id: i64, _result: TransactionResult) {}

    fn apply(&mut self, change: Infallible) {
        match change {}
    }

    fn on_timer(&self, now_ms: i64, event: &ShareStateTimer) -> ShareStateResult<()> {
        match event {
            ShareStateTimer::SnapshotColdPartitions => self.snapshot_cold_partitions(now_ms),
        }
    }

    fn on_append(
        &self,
        _now_ms: i64,
        then: Infallible,
        _outcome: Result<(), ErrorCode>,
    ) -> ShareStateResult<()> {
        match then {}
    }

    fn on_loaded(&self, now_ms: i64) -> ShareStateResult<()> {
        let mut result = ShareStateResult::of(());
        result.timers.push(self.schedule_cold_snapshots(now_ms));
        result
    }

    fn on_unloaded(&self) -> Vec<(Token, Infallible)> {
        Vec::new()
    }
}
