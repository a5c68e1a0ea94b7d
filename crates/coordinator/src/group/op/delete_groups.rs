//! DeleteGroups, versions 0 to 3.
//!
//! Errors, each group its own: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP.

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::delete_groups_response::DeletableGroupResult;

use crate::group::{GroupCoordinatorShard, GroupError, GroupRecord, GroupResult};

impl GroupCoordinatorShard {
    /// Deletes groups that have no members, with everything they committed.
    pub fn delete_groups(&self, group_ids: &[ByteString]) -> GroupResult<Vec<DeletableGroupResult>> {
        let mut records = Vec::new();
        let mut results = Vec::with_capacity(group_ids.len());
        for group_id in group_ids {
            let error = match self.delete_group(group_id) {
                Ok(tombstones) => {
                    records.extend(tombstones);
                    ErrorCode::None
                }
                Err(error) => error.code(),
            };
            results.push(DeletableGroupResult {
                group_id: group_id.clone(),
                error_code: error.code(),
                ..Default::default()
            });
        }
        GroupResult::with_records(records, results)
    }

    fn delete_group(&self, group_id: &ByteString) -> Result<Vec<GroupRecord>, GroupError> {
        let group = self.groups.get(group_id).ok_or(GroupError::GroupIdNotFound)?;
        if !group.is_empty() {
            return Err(GroupError::NonEmptyGroup);
        }
        let offsets = self.offsets.partitions_of(group_id);
        let offset = |(topic, partition): &(ByteString, i32)| {
            GroupRecord::offset_tombstone(group_id, topic, *partition)
        };
        let mut records: Vec<_> = offsets.iter().map(offset).collect();
        records.extend(group.tombstones());
        Ok(records)
    }
}

#[cfg(test)]
#[path = "delete_groups_test.rs"]
mod tests;
