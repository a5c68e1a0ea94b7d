use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    ShareGroup, ShareGroupError, ShareGroupManager, ShareGroupMember, ShareGroupRecord, SimpleAssignor,
};
use crate::group::modern::{
    GroupSpec, MemberAssignment, MemberSpec, MemberState, PartitionAssignor, SubscriptionType,
    TopicIdResolver, can_compute_next_target_assignment,
};

/// What a member is to have, and the epoch of the target assignment that says so.
#[derive(Debug, Clone)]
pub(in crate::group) struct Target {
    pub(in crate::group) epoch: i32,
    pub(in crate::group) assignment: Arc<MemberAssignment>,
}

impl ShareGroupManager<'_> {
    /// Computes a new target assignment when the group's epoch is ahead of the one it has, and the
    /// group's interval between two of them allows (KIP-1263). Gives what `member` is to have.
    pub(in crate::group) fn maybe_update_target_assignment(
        &self,
        group: &ShareGroup,
        group_epoch: i32,
        subscription_type: SubscriptionType,
        member: &ShareGroupMember,
        records: &mut Vec<ShareGroupRecord>,
    ) -> Result<Target, ShareGroupError> {
        let current = group.target_assignment();
        let interval_ms = self.config.assignment_interval_ms(&self.overrides);
        if current.epoch() >= group_epoch
            || !can_compute_next_target_assignment(current.timestamp_ms(), interval_ms, self.now_ms)
        {
            let assignment = Arc::clone(current.member(&member.member_id));
            return Ok(Target { epoch: current.epoch(), assignment });
        }
        let spec = self.group_spec(group, subscription_type, member);
        let assigned = SimpleAssignor.assign(&spec, self.metadata);
        let assigned = assigned.map_err(|_| ShareGroupError::AssignorFailed)?;
        let group_id = group.group_id();
        let mut target = Target { epoch: group_epoch, assignment: Arc::default() };
        for (member_id, assignment) in assigned {
            if current.get(&member_id).map(|known| &**known) != Some(&assignment) {
                records.push(ShareGroupRecord::target_assignment(group_id, &member_id, &assignment));
            }
            if member_id == member.member_id {
                target.assignment = Arc::new(assignment);
            }
        }
        records.push(ShareGroupRecord::target_assignment_metadata(group_id, group_epoch, self.now_ms));
        Ok(target)
    }

    /// The group as the assignor sees it, `member` as it is from now on.
    fn group_spec(
        &self,
        group: &ShareGroup,
        subscription_type: SubscriptionType,
        member: &ShareGroupMember,
    ) -> GroupSpec {
        let mut resolver = TopicIdResolver::new(self.metadata);
        let others = group.members().filter(|other| other.member_id != member.member_id);
        let mut members = BTreeMap::new();
        for member in others.chain([member]) {
            let spec = MemberSpec {
                rack_id: member.rack_id.clone(),
                instance_id: None,
                subscribed_topic_ids: resolver.resolve(&member.subscribed_topic_names),
                assignment: Arc::clone(group.target_assignment().member(&member.member_id)),
            };
            members.insert(member.member_id.clone(), spec);
        }
        let assignable = group.state_partitions().map(|partitions| partitions.assignable());
        GroupSpec { members, subscription_type, assignable: Some(assignable.unwrap_or_default()) }
    }

    /// The member as it is told to be. A share group's member need not give anything up first: it goes to
    /// the target in one step.
    pub(in crate::group) fn reconcile(
        &self,
        member: ShareGroupMember,
        target: &Target,
        has_subscription_changed: bool,
    ) -> ShareGroupMember {
        if target.epoch != member.member_epoch {
            return ShareGroupMember {
                state: MemberState::Stable,
                assigned_partitions: self.subscribed_only(&member, &target.assignment),
                previous_member_epoch: member.member_epoch,
                member_epoch: target.epoch,
                ..member
            };
        }
        if has_subscription_changed {
            let assigned_partitions = self.subscribed_only(&member, &target.assignment);
            return ShareGroupMember { assigned_partitions, ..member };
        }
        member
    }

    /// The target may be older than the subscription.
    fn subscribed_only(&self, member: &ShareGroupMember, assignment: &MemberAssignment) -> MemberAssignment {
        let topics = assignment.iter().filter(|(topic_id, _)| {
            let topic = self.metadata.topic_by_id(**topic_id);
            topic.is_some_and(|topic| member.subscribed_topic_names.contains(&topic.name))
        });
        topics.map(|(topic_id, partitions)| (*topic_id, partitions.clone())).collect()
    }
}
