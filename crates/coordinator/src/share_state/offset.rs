use ottla_protocol::messages::initialize_share_group_state_request::PartitionData as InitializeData;
use ottla_protocol::records::share::{
    ShareSnapshotValue, ShareUpdateValue, share_snapshot_value, share_update_value,
};

use super::{
    DEFAULT_LEADER_EPOCH, DEFAULT_STATE_EPOCH, StateBatch, UNINITIALIZED_DELIVERY_COMPLETE_COUNT,
    UNINITIALIZED_START_OFFSET, combine,
};

const NO_TIMESTAMP: i64 = 0;
/// Says of a field of an update: it stays as it was.
const UNCHANGED: i64 = -1;

/// How far a share group has worked off a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGroupOffset {
    /// Counts the snapshots.
    pub snapshot_epoch: i32,
    /// Counts how often the state began anew: the group's epoch at that time.
    pub state_epoch: i32,
    /// The epoch of the leader that read the state last.
    pub leader_epoch: i32,
    /// The first record that the group is not done with; -1 when it has not begun.
    pub start_offset: i64,
    /// How many records above the start offset the group is done with; -1 when nobody counted.
    pub delivery_complete_count: i32,
    /// What became of records above the start offset.
    pub state_batches: Vec<StateBatch>,
    /// When the state was written by a request.
    pub create_timestamp_ms: i64,
    /// When the newest snapshot was written, be it only to renew it.
    pub write_timestamp_ms: i64,
}

impl ShareGroupOffset {
    /// A state that begins where a request says. With an offset, lag can be computed from there on;
    /// without one it cannot until a leader has found the offset.
    pub(super) fn initial(data: &InitializeData, snapshot_epoch: i32, now_ms: i64) -> Self {
        let delivery_complete_count = match data.start_offset {
            UNINITIALIZED_START_OFFSET => UNINITIALIZED_DELIVERY_COMPLETE_COUNT,
            _ => 0,
        };
        Self {
            snapshot_epoch,
            state_epoch: data.state_epoch,
            leader_epoch: DEFAULT_LEADER_EPOCH,
            start_offset: data.start_offset,
            delivery_complete_count,
            state_batches: Vec::new(),
            create_timestamp_ms: now_ms,
            write_timestamp_ms: now_ms,
        }
    }

    pub(super) fn from_snapshot(value: &ShareSnapshotValue) -> Self {
        Self {
            snapshot_epoch: value.snapshot_epoch,
            state_epoch: value.state_epoch,
            leader_epoch: value.leader_epoch,
            start_offset: value.start_offset,
            delivery_complete_count: value.delivery_complete_count,
            state_batches: value.state_batches.iter().map(of_snapshot).collect(),
            create_timestamp_ms: value.create_timestamp,
            write_timestamp_ms: value.write_timestamp,
        }
    }

    /// What an update says whose snapshot is gone.
    pub(super) fn from_update(value: &ShareUpdateValue) -> Self {
        Self {
            snapshot_epoch: value.snapshot_epoch,
            state_epoch: DEFAULT_STATE_EPOCH,
            leader_epoch: value.leader_epoch,
            start_offset: value.start_offset,
            delivery_complete_count: value.delivery_complete_count,
            state_batches: value.state_batches.iter().map(of_update).collect(),
            create_timestamp_ms: NO_TIMESTAMP,
            write_timestamp_ms: NO_TIMESTAMP,
        }
    }

    /// The state after an update.
    pub(super) fn updated(&self, value: &ShareUpdateValue) -> Self {
        let start_offset = match value.start_offset {
            UNCHANGED => self.start_offset,
            start_offset => start_offset,
        };
        let leader_epoch = match i64::from(value.leader_epoch) {
            UNCHANGED => self.leader_epoch,
            _ => value.leader_epoch,
        };
        let newer: Vec<_> = value.state_batches.iter().map(of_update).collect();
        Self {
            start_offset,
            leader_epoch,
            delivery_complete_count: value.delivery_complete_count,
            state_batches: combine(&self.state_batches, &newer, start_offset),
            snapshot_epoch: self.snapshot_epoch,
            state_epoch: self.state_epoch,
            create_timestamp_ms: self.create_timestamp_ms,
            write_timestamp_ms: self.write_timestamp_ms,
        }
    }

    pub(super) fn to_snapshot(&self) -> ShareSnapshotValue {
        ShareSnapshotValue {
            snapshot_epoch: self.snapshot_epoch,
            state_epoch: self.state_epoch,
            leader_epoch: self.leader_epoch,
            start_offset: self.start_offset,
            delivery_complete_count: self.delivery_complete_count,
            create_timestamp: self.create_timestamp_ms,
            write_timestamp: self.write_timestamp_ms,
            state_batches: self.state_batches.iter().map(to_snapshot).collect(),
            ..Default::default()
        }
    }

    /// All of it as an update, which carries neither the state epoch nor times.
    pub(super) fn to_update(&self) -> ShareUpdateValue {
        ShareUpdateValue {
            snapshot_epoch: self.snapshot_epoch,
            leader_epoch: self.leader_epoch,
            start_offset: self.start_offset,
            delivery_complete_count: self.delivery_complete_count,
            state_batches: self.state_batches.iter().map(to_update).collect(),
            ..Default::default()
        }
    }

    /// Whether the newest snapshot was written only to renew an older one.
    pub(super) fn is_cold(&self) -> bool {
        self.create_timestamp_ms != self.write_timestamp_ms
    }
}

fn of_snapshot(batch: &share_snapshot_value::StateBatch) -> StateBatch {
    StateBatch {
        first_offset: batch.first_offset,
        last_offset: batch.last_offset,
        delivery_state: batch.delivery_state,
        delivery_count: batch.delivery_count,
    }
}

fn of_update(batch: &share_update_value::StateBatch) -> StateBatch {
    StateBatch {
        first_offset: batch.first_offset,
        last_offset: batch.last_offset,
        delivery_state: batch.delivery_state,
        delivery_count: batch.delivery_count,
    }
}

fn to_snapshot(batch: &StateBatch) -> share_snapshot_value::StateBatch {
    share_snapshot_value::StateBatch {
        first_offset: batch.first_offset,
        last_offset: batch.last_offset,
        delivery_state: batch.delivery_state,
        delivery_count: batch.delivery_count,
        ..Default::default()
    }
}

fn to_update(batch: &StateBatch) -> share_update_value::StateBatch {
    share_update_value::StateBatch {
        first_offset: batch.first_offset,
        last_offset: batch.last_offset,
        delivery_state: batch.delivery_state,
        delivery_count: batch.delivery_count,
        ..Default::default()
    }
}
