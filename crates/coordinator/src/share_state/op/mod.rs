//! What can be asked of the share coordinator, one file each. Each operation is about one
//! share-partition; what is wrong with it is said in its own result.

mod cold_snapshots;
mod delete_state;
mod initialize_state;
mod read_state;
mod read_state_summary;
mod write_state;

use bytestring::ByteString;

use super::{
    ShareCoordinatorShard, ShareGroupOffset, SharePartitionKey, SharePartitionState, ShareStateError,
    ShareStateRecord, StateBatch, combine,
};
use crate::metadata::CoordinatorMetadata;

/// A change of a share-partition's state, as a request asks for it.
#[derive(Debug)]
struct StateChange {
    start_offset: i64,
    delivery_complete_count: i32,
    /// The epoch of a leader that takes over; `None` leaves the one that is known.
    leader_epoch: Option<i32>,
    state_batches: Vec<StateBatch>,
}

impl ShareCoordinatorShard {
    /// The record that brings the change about: an update, or a snapshot when there were enough of them.
    fn change_record(
        &self,
        now_ms: i64,
        key: &SharePartitionKey,
        state: &SharePartitionState,
        change: &StateChange,
    ) -> ShareStateRecord {
        let current = &state.offset;
        let start_offset = change.start_offset.max(current.start_offset);
        let delivery_complete_count = delivery_complete_count(current, change);
        let leader_epoch = change.leader_epoch.unwrap_or(current.leader_epoch);
        let is_snapshot = state.updates >= self.config.snapshot_update_records_per_snapshot;
        let so_far = if is_snapshot { &current.state_batches[..] } else { &[] };
        let next = ShareGroupOffset {
            snapshot_epoch: current.snapshot_epoch.saturating_add(i32::from(is_snapshot)),
            state_epoch: current.state_epoch,
            leader_epoch,
            start_offset,
            delivery_complete_count,
            state_batches: combine(so_far, &change.state_batches, start_offset),
            create_timestamp_ms: now_ms,
            write_timestamp_ms: now_ms,
        };
        assert!(next.start_offset >= current.start_offset, "SHARE-START-OFFSET-MONOTONIC: {start_offset}");
        match is_snapshot {
            true => ShareStateRecord::snapshot(key, &next),
            false => ShareStateRecord::update(key, &next),
        }
    }
}

/// The count belongs to the start offset that it was counted from: of two for the same one the larger is
/// the newer, and one for an offset that was passed says nothing.
fn delivery_complete_count(current: &ShareGroupOffset, change: &StateChange) -> i32 {
    use std::cmp::Ordering;
    match change.start_offset.cmp(&current.start_offset) {
        Ordering::Less => current.delivery_complete_count,
        Ordering::Equal => change.delivery_complete_count.max(current.delivery_complete_count),
        Ordering::Greater => change.delivery_complete_count,
    }
}

fn check_not_negative(value: i32, error: ShareStateError) -> Result<(), ShareStateError> {
    if value < 0 { Err(error) } else { Ok(()) }
}

fn check_partition_exists(
    metadata: &dyn CoordinatorMetadata,
    key: &SharePartitionKey,
) -> Result<(), ShareStateError> {
    match metadata.topic_by_id(key.topic_id) {
        Some(topic) if key.partition < topic.num_partitions => Ok(()),
        _ => Err(ShareStateError::UnknownTopicOrPartition),
    }
}

fn message(error: ShareStateError) -> Option<ByteString> {
    Some(ByteString::from(error.to_string()))
}
