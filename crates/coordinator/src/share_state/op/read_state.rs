//! ReadShareGroupState, version 0 (KIP-932).
//!
//! Errors, each share-partition its own: INVALID_REQUEST, FENCED_LEADER_EPOCH,
//! UNKNOWN_TOPIC_OR_PARTITION.

use ottla_protocol::messages::read_share_group_state_request::PartitionData;
use ottla_protocol::messages::read_share_group_state_response::{self as response, PartitionResult};

use super::{StateChange, check_not_negative, check_partition_exists, message};
use crate::metadata::CoordinatorMetadata;
use crate::share_state::{
    ShareCoordinatorShard, SharePartitionKey, SharePartitionState, ShareStateError, ShareStateResult,
    StateBatch,
};

impl ShareCoordinatorShard {
    /// A leader takes a share-partition over. Its epoch is written down, so that the leaders before it
    /// cannot write any more.
    pub fn read_state(
        &self,
        now_ms: i64,
        metadata: &dyn CoordinatorMetadata,
        key: &SharePartitionKey,
        data: &PartitionData,
    ) -> ShareStateResult<PartitionResult> {
        let state = match self.check_read(metadata, key, data) {
            Ok(state) => state,
            Err(error) => return ShareStateResult::of(refused(key, error)),
        };
        let current = &state.offset;
        let result = PartitionResult {
            partition: key.partition,
            state_epoch: current.state_epoch,
            start_offset: current.start_offset,
            state_batches: current.state_batches.iter().map(state_batch).collect(),
            ..Default::default()
        };
        if data.leader_epoch == state.leader_epoch {
            return ShareStateResult::of(result);
        }
        let change = StateChange {
            start_offset: current.start_offset,
            delivery_complete_count: current.delivery_complete_count,
            leader_epoch: Some(data.leader_epoch),
            state_batches: Vec::new(),
        };
        let record = self.change_record(now_ms, key, state, &change);
        ShareStateResult::with_records(vec![record], result)
    }

    fn check_read(
        &self,
        metadata: &dyn CoordinatorMetadata,
        key: &SharePartitionKey,
        data: &PartitionData,
    ) -> Result<&SharePartitionState, ShareStateError> {
        check_not_negative(key.partition, ShareStateError::NegativePartition)?;
        check_not_negative(data.leader_epoch, ShareStateError::NegativeLeaderEpoch)?;
        let state = self.state(key).ok_or(ShareStateError::Uninitialized)?;
        if data.leader_epoch < state.leader_epoch {
            return Err(ShareStateError::FencedLeaderEpoch);
        }
        check_partition_exists(metadata, key)?;
        Ok(state)
    }
}

fn refused(key: &SharePartitionKey, error: ShareStateError) -> PartitionResult {
    PartitionResult {
        partition: key.partition,
        error_code: error.code().code(),
        error_message: message(error),
        ..Default::default()
    }
}

fn state_batch(batch: &StateBatch) -> response::StateBatch {
    response::StateBatch {
        first_offset: batch.first_offset,
        last_offset: batch.last_offset,
        delivery_state: batch.delivery_state,
        delivery_count: batch.delivery_count,
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "read_state_test.rs"]
mod tests;
