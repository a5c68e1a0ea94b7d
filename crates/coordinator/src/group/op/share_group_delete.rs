//! The part of DeleteGroups that only share groups have (KIP-932): before the group goes, the share
//! coordinator must have forgotten it.
//!
//! Errors, each group its own: NON_EMPTY_GROUP, and whatever the share coordinator says.

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::DeleteShareGroupStateRequest;

use crate::group::modern::MemberAssignment;
use crate::group::share::{
    ShareDecision, ShareGroupError, ShareGroupLookup, ShareGroupManager, StatePartitions, delete_request,
};

/// What comes before a group is deleted.
#[derive(Debug, Clone, PartialEq)]
pub enum ShareGroupDeletion {
    /// Nothing: it is not a share group, or the share coordinator knows nothing of it.
    Proceed,
    /// The share coordinator must answer this without an error first, see
    /// [`first_delete_error`](crate::group::share::first_delete_error). To be sent once the records are
    /// committed.
    Forget(DeleteShareGroupStateRequest),
    /// It cannot be deleted.
    Refused(ErrorCode),
}

impl ShareGroupManager<'_> {
    /// Notes that everything of a group is being forgotten, and asks the share coordinator to do so.
    pub fn share_group_deletion(
        &self,
        group_id: &ByteString,
        group: ShareGroupLookup<'_>,
    ) -> ShareDecision<ShareGroupDeletion> {
        let Ok(group) = group.existing() else { return ShareDecision::of(ShareGroupDeletion::Proceed) };
        if !group.is_empty() {
            let error = ShareGroupError::NonEmptyGroup.code();
            return ShareDecision::of(ShareGroupDeletion::Refused(error));
        }
        let Some(known) = group.state_partitions() else {
            return ShareDecision::of(ShareGroupDeletion::Proceed);
        };
        let topics = known.deletable(self.metadata);
        let deleting = topics.iter().map(|(topic_id, topic)| (*topic_id, topic.name.clone())).collect();
        let partitions: MemberAssignment =
            topics.into_iter().map(|(topic_id, topic)| (topic_id, topic.partitions)).collect();
        let mut decision = match partitions.is_empty() {
            true => ShareDecision::of(ShareGroupDeletion::Proceed),
            false => {
                let request = delete_request(group_id, &partitions);
                ShareDecision::of(ShareGroupDeletion::Forget(request))
            }
        };
        let next = StatePartitions { deleting, ..Default::default() };
        if next != *known {
            self.write_state_partitions(&mut decision, group.group_id(), &next);
        }
        decision
    }
}

#[cfg(test)]
#[path = "share_group_delete_test.rs"]
mod tests;
