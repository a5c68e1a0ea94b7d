//! DescribeGroups, versions 0 to 6.
//!
//! Errors, each group its own: GROUP_ID_NOT_FOUND (from version 6, KIP-1043).

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::describe_groups_response::DescribedGroup;

use super::RequestContext;
use crate::group::classic::{ClassicGroup, ClassicGroupState as State};
use crate::group::{Group, GroupCoordinatorShard};

const GROUP_ID_NOT_FOUND_MIN_VERSION: i16 = 6;

impl GroupCoordinatorShard {
    /// What there is to know about classic groups. `committed` is the same shard as of the committed
    /// records: a group is shown from the moment it is committed, and then as it stands.
    pub fn describe_groups(
        &self,
        committed: &Self,
        context: &RequestContext,
        group_ids: &[ByteString],
    ) -> Vec<DescribedGroup> {
        let describe_one = |group_id: &ByteString| match committed.groups.get(group_id) {
            None => not_found(context, group_id, "not found"),
            Some(Group::Consumer(_) | Group::Share(_) | Group::Streams(_)) => {
                not_found(context, group_id, "is not a classic group")
            }
            Some(Group::Classic(group)) => describe(self.classic_group(group_id).unwrap_or(group)),
        };
        group_ids.iter().map(describe_one).collect()
    }
}

fn describe(group: &ClassicGroup) -> DescribedGroup {
    let stable = group.state() == State::Stable;
    // Before the generation is settled, what members said belongs to no protocol.
    let protocol = group.protocol_name.as_ref().filter(|_| stable);
    DescribedGroup {
        group_id: group.group_id().clone(),
        group_state: ByteString::from_static(group.state().name()),
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        protocol_data: protocol.cloned().unwrap_or_default(),
        members: group.members().map(|member| member.describe(protocol)).collect(),
        ..Default::default()
    }
}

fn not_found(context: &RequestContext, group_id: &ByteString, why: &str) -> DescribedGroup {
    let mut described = DescribedGroup {
        group_id: group_id.clone(),
        group_state: ByteString::from_static(State::Dead.name()),
        ..Default::default()
    };
    if context.api_version >= GROUP_ID_NOT_FOUND_MIN_VERSION {
        described.error_code = ErrorCode::GroupIdNotFound.code();
        described.error_message = Some(format!("Group {group_id} {why}.").into());
    }
    described
}

#[cfg(test)]
#[path = "describe_groups_test.rs"]
mod tests;
