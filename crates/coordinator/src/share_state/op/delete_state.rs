//! DeleteShareGroupState, version 0 (KIP-932), and what becomes of deleted topics.
//!
//! Errors, each share-partition its own: INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION.

use std::collections::BTreeSet;

use ottla_common::Uuid;
use ottla_protocol::messages::delete_share_group_state_response::PartitionResult;

use super::{check_not_negative, check_partition_exists, message};
use crate::metadata::CoordinatorMetadata;
use crate::share_state::{
    ShareCoordinatorShard, SharePartitionKey, ShareStateError, ShareStateRecord, ShareStateResult,
};

impl ShareCoordinatorShard {
    /// A group is done with a partition. To delete what is not there is no error: the sender may try
    /// again when an answer got lost.
    pub fn delete_state(
        &self,
        metadata: &dyn CoordinatorMetadata,
        key: &SharePartitionKey,
    ) -> ShareStateResult<PartitionResult> {
        let mut result = PartitionResult { partition: key.partition, ..Default::default() };
        if let Err(error) = check_delete(metadata, key) {
            result.error_code = error.code().code();
            result.error_message = message(error);
            return ShareStateResult::of(result);
        }
        let record = self.state(key).map(|_| ShareStateRecord::tombstone(key));
        ShareStateResult::with_records(record.into_iter().collect(), result)
    }

    /// Topics were deleted: whatever groups knew of them goes.
    pub fn cleanup_deleted_topics(&self, topic_ids: &BTreeSet<Uuid>) -> ShareStateResult<()> {
        let gone = self.states.keys().filter(|key| topic_ids.contains(&key.topic_id));
        let records = gone.map(ShareStateRecord::tombstone).collect();
        ShareStateResult { atomic: false, ..ShareStateResult::with_records(records, ()) }
    }
}

fn check_delete(metadata: &dyn CoordinatorMetadata, key: &SharePartitionKey) -> Result<(), ShareStateError> {
    check_not_negative(key.partition, ShareStateError::NegativePartition)?;
    check_partition_exists(metadata, key)
}

#[cfg(test)]
#[path = "delete_state_test.rs"]
mod tests;
