//! InitializeShareGroupState, version 0 (KIP-932).
//!
//! Errors, each share-partition its own: INVALID_REQUEST, FENCED_STATE_EPOCH,
//! UNKNOWN_TOPIC_OR_PARTITION.

use ottla_protocol::messages::initialize_share_group_state_request::PartitionData;
use ottla_protocol::messages::initialize_share_group_state_response::PartitionResult;

use super::{check_not_negative, check_partition_exists, message};
use crate::metadata::CoordinatorMetadata;
use crate::share_state::{
    ShareCoordinatorShard, ShareGroupOffset, SharePartitionKey, ShareStateError, ShareStateRecord,
    ShareStateResult,
};

impl ShareCoordinatorShard {
    /// A group begins with a partition, or begins anew at an offset of an operator's choice: whatever was
    /// known before is forgotten.
    pub fn initialize_state(
        &self,
        now_ms: i64,
        metadata: &dyn CoordinatorMetadata,
        key: &SharePartitionKey,
        data: &PartitionData,
    ) -> ShareStateResult<PartitionResult> {
        let mut result = PartitionResult { partition: key.partition, ..Default::default() };
        if let Err(error) = self.check_initialize(metadata, key, data) {
            result.error_code = error.code().code();
            result.error_message = message(error);
            return ShareStateResult::of(result);
        }
        let snapshot_epoch = self.state(key).map_or(0, |state| state.offset.snapshot_epoch.saturating_add(1));
        let initial = ShareGroupOffset::initial(data, snapshot_epoch, now_ms);
        ShareStateResult::with_records(vec![ShareStateRecord::snapshot(key, &initial)], result)
    }

    fn check_initialize(
        &self,
        metadata: &dyn CoordinatorMetadata,
        key: &SharePartitionKey,
        data: &PartitionData,
    ) -> Result<(), ShareStateError> {
        check_not_negative(key.partition, ShareStateError::NegativePartition)?;
        check_not_negative(data.state_epoch, ShareStateError::NegativeStateEpoch)?;
        if self.state(key).is_some_and(|state| data.state_epoch < state.state_epoch) {
            return Err(ShareStateError::FencedStateEpoch);
        }
        check_partition_exists(metadata, key)
    }
}

#[cfg(test)]
#[path = "initialize_state_test.rs"]
mod tests;
