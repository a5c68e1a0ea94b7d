//! WriteShareGroupState, versions 0 and 1 (KIP-932, KIP-1226).
//!
//! Errors, each share-partition its own: INVALID_REQUEST, FENCED_LEADER_EPOCH, FENCED_STATE_EPOCH,
//! UNKNOWN_TOPIC_OR_PARTITION.

use ottla_protocol::messages::write_share_group_state_request::{self as request, PartitionData};
use ottla_protocol::messages::write_share_group_state_response::PartitionResult;

use super::{StateChange, check_not_negative, check_partition_exists, message};
use crate::metadata::CoordinatorMetadata;
use crate::share_state::{
    ShareCoordinatorShard, SharePartitionKey, SharePartitionState, ShareStateError, ShareStateResult,
    StateBatch,
};

impl ShareCoordinatorShard {
    /// The leader of a partition says what became of its records.
    pub fn write_state(
        &self,
        now_ms: i64,
        metadata: &dyn CoordinatorMetadata,
        key: &SharePartitionKey,
        data: &PartitionData,
    ) -> ShareStateResult<PartitionResult> {
        let mut result = PartitionResult { partition: key.partition, ..Default::default() };
        match self.check_write(metadata, key, data) {
            Ok(state) => {
                let change = StateChange {
                    start_offset: data.start_offset,
                    delivery_complete_count: data.delivery_complete_count,
                    leader_epoch: None,
                    state_batches: data.state_batches.iter().map(state_batch).collect(),
                };
                let record = self.change_record(now_ms, key, state, &change);
                ShareStateResult::with_records(vec![record], result)
            }
            Err(error) => {
                result.error_code = error.code().code();
                result.error_message = message(error);
                ShareStateResult::of(result)
            }
        }
    }

    fn check_write(
        &self,
        metadata: &dyn CoordinatorMetadata,
        key: &SharePartitionKey,
        data: &PartitionData,
    ) -> Result<&SharePartitionState, ShareStateError> {
        check_not_negative(key.partition, ShareStateError::NegativePartition)?;
        check_not_negative(data.leader_epoch, ShareStateError::NegativeLeaderEpoch)?;
        check_not_negative(data.state_epoch, ShareStateError::NegativeStateEpoch)?;
        let state = self.state(key).ok_or(ShareStateError::Uninitialized)?;
        if data.leader_epoch < state.leader_epoch {
            return Err(ShareStateError::FencedLeaderEpoch);
        }
        if data.state_epoch < state.state_epoch {
            return Err(ShareStateError::FencedStateEpoch);
        }
        check_partition_exists(metadata, key)?;
        Ok(state)
    }
}

fn state_batch(batch: &request::StateBatch) -> StateBatch {
    StateBatch {
        first_offset: batch.first_offset,
        last_offset: batch.last_offset,
        delivery_state: batch.delivery_state,
        delivery_count: batch.delivery_count,
    }
}

#[cfg(test)]
#[path = "write_state_test.rs"]
mod tests;
