//! ShareGroupDescribe, version 1 (KIP-932).
//!
//! Errors, each group its own: INVALID_GROUP_ID, GROUP_ID_NOT_FOUND.

use bytestring::ByteString;
use ottla_protocol::messages::share_group_describe_response::DescribedGroup;

use crate::group::modern::PartitionAssignor;
use crate::group::share::{ShareGroup, ShareGroupError, ShareGroupLookup, ShareGroupManager, SimpleAssignor};

impl ShareGroupManager<'_> {
    /// A group with its members. To be asked of the committed state.
    pub fn share_group_describe(&self, group_id: &ByteString, group: ShareGroupLookup<'_>) -> DescribedGroup {
        let found = match group_id.is_empty() {
            true => Err(ShareGroupError::InvalidGroupId),
            false => group.existing(),
        };
        match found {
            Ok(group) => self.described(group),
            Err(error) => DescribedGroup {
                group_id: group_id.clone(),
                error_code: error.code().code(),
                error_message: Some(ByteString::from(refusal(group_id, &error))),
                ..Default::default()
            },
        }
    }

    fn described(&self, group: &ShareGroup) -> DescribedGroup {
        DescribedGroup {
            group_id: group.group_id().clone(),
            group_state: ByteString::from_static(group.state().name()),
            group_epoch: group.epoch(),
            assignment_epoch: group.target_assignment().epoch(),
            assignor_name: ByteString::from_static(SimpleAssignor.name()),
            members: group.members().map(|member| member.described(self.metadata)).collect(),
            ..Default::default()
        }
    }
}

/// Tools print this, and name the group nowhere else.
fn refusal(group_id: &ByteString, error: &ShareGroupError) -> String {
    match error {
        ShareGroupError::GroupIdNotFound => format!("Group {group_id} not found."),
        ShareGroupError::NotAShareGroup => format!("Group {group_id} is not a share group."),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "share_group_describe_test.rs"]
mod tests;
