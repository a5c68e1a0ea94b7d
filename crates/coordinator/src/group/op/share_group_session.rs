//! How members of share groups go: they leave, or are silent for too long.

use bytestring::ByteString;

use crate::group::modern::metadata_hash;
use crate::group::share::{
    ShareChange, ShareDecision, ShareGroup, ShareGroupError, ShareGroupLookup, ShareGroupManager,
    ShareGroupRecord, ShareTimer,
};

impl ShareGroupManager<'_> {
    /// A member says that it goes.
    pub(super) fn share_group_leave(
        &self,
        group: ShareGroupLookup<'_>,
        member_id: &ByteString,
    ) -> Result<ShareDecision<()>, ShareGroupError> {
        let group = group.existing()?;
        if group.member(member_id).is_none() {
            return Err(ShareGroupError::UnknownMemberId);
        }
        Ok(self.fence_member(group, member_id))
    }

    /// A timer of a share group fired. A change outside the log comes back for the group.
    pub fn on_share_timer(
        &self,
        group: ShareGroupLookup<'_>,
        event: &ShareTimer,
    ) -> ShareDecision<Option<ShareChange>> {
        let Ok(group) = group.existing() else { return ShareDecision::of(None) };
        match event {
            ShareTimer::SessionTimeout { member_id, .. } => match group.member(member_id) {
                Some(_) => self.fence_member(group, member_id).map(|()| None),
                None => ShareDecision::of(None),
            },
            // The next heartbeat asks the share coordinator again.
            ShareTimer::InitializeRetry { .. } => ShareDecision::of(Some(ShareChange::InitializationExpired)),
        }
    }

    fn fence_member(&self, group: &ShareGroup, member_id: &ByteString) -> ShareDecision<()> {
        let group_id = group.group_id();
        let subscribed = group.subscribed_topics_with(member_id, None);
        let hash = metadata_hash(subscribed.names(), self.metadata);
        let epoch = group.epoch().saturating_add(1);
        let mut records = vec![
            ShareGroupRecord::current_assignment_tombstone(group_id, member_id),
            ShareGroupRecord::target_assignment_tombstone(group_id, member_id),
            ShareGroupRecord::member_tombstone(group_id, member_id),
            ShareGroupRecord::group(group_id, epoch, hash),
        ];
        if group.num_members() == 1 {
            // Nobody is left to compute an assignment for. Without a time of its own the empty assignment
            // does not make the next member wait.
            records.push(ShareGroupRecord::target_assignment_metadata(group_id, epoch, 0));
        }
        let mut decision = ShareDecision::with_records(records, ());
        decision.cancel(ShareTimer::session(group_id, member_id));
        decision
    }
}
