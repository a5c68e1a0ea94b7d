//! ReadShareGroupStateSummary, versions 0 and 1 (KIP-932, KIP-1226).
//!
//! Errors, each share-partition its own: INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION.

use ottla_protocol::messages::read_share_group_state_summary_response::PartitionResult;

use super::{check_not_negative, check_partition_exists, message};
use crate::metadata::CoordinatorMetadata;
use crate::share_state::{
    DEFAULT_LEADER_EPOCH, DEFAULT_STATE_EPOCH, ShareCoordinatorShard, SharePartitionKey, ShareStateError,
    UNINITIALIZED_DELIVERY_COMPLETE_COUNT, UNINITIALIZED_START_OFFSET,
};

impl ShareCoordinatorShard {
    /// How far a group is. A share-partition that was never initialized is no error here: the group has
    /// not begun. Whoever asks waits for the records that this state is made of.
    pub fn read_state_summary(
        &self,
        metadata: &dyn CoordinatorMetadata,
        key: &SharePartitionKey,
    ) -> PartitionResult {
        if let Err(error) = check_summary(metadata, key) {
            return PartitionResult {
                partition: key.partition,
                error_code: error.code().code(),
                error_message: message(error),
                ..Default::default()
            };
        }
        match self.state(key).map(|state| &state.offset) {
            Some(current) => PartitionResult {
                partition: key.partition,
                state_epoch: current.state_epoch,
                leader_epoch: current.leader_epoch,
                start_offset: current.start_offset,
                delivery_complete_count: current.delivery_complete_count,
                ..Default::default()
            },
            None => PartitionResult {
                partition: key.partition,
                state_epoch: DEFAULT_STATE_EPOCH,
                leader_epoch: DEFAULT_LEADER_EPOCH,
                start_offset: UNINITIALIZED_START_OFFSET,
                delivery_complete_count: UNINITIALIZED_DELIVERY_COMPLETE_COUNT,
                ..Default::default()
            },
        }
    }
}

fn check_summary(metadata: &dyn CoordinatorMetadata, key: &SharePartitionKey) -> Result<(), ShareStateError> {
    check_not_negative(key.partition, ShareStateError::NegativePartition)?;
    check_partition_exists(metadata, key)
}

#[cfg(test)]
#[path = "read_state_summary_test.rs"]
mod tests;
