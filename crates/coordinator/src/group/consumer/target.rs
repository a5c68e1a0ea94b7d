//! The target assignment of a group epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::Uuid;

use super::work::Work;
use super::{ConsumerGroup, ConsumerGroupError, ConsumerGroupMember, record_of};
use crate::group::modern::{GroupSpec, MemberSpec, TopicIdResolver, can_compute_next_target_assignment};
use crate::metadata::CoordinatorMetadata;

impl Work<'_> {
    /// Computes the target assignment of the newest group epoch, unless there is one already or the
    /// last one was computed a moment ago (KIP-1263).
    pub(crate) fn update_target_assignment(&mut self) -> Result<(), ConsumerGroupError> {
        let target = &self.group.target;
        if target.epoch() >= self.group.epoch {
            return Ok(());
        }
        let (interval_ms, now_ms) = (self.context.config.assignment_interval_ms, self.context.now_ms);
        if !can_compute_next_target_assignment(target.timestamp_ms(), interval_ms, now_ms) {
            return Ok(());
        }
        let wanted = self.group.preferred_server_assignor();
        let assignor = self.context.config.assignor_or_default(wanted.map(|name| &**name));
        let spec = group_spec(&self.group, self.context.metadata);
        let mut assigned = assignor.assign(&spec, self.context.metadata)?;
        let group_id = self.group.group_id.clone();
        for member_id in spec.members.keys() {
            let assignment = assigned.remove(member_id).unwrap_or_default();
            if self.group.target.get(member_id).is_none_or(|before| **before != assignment) {
                self.write(record_of::target(&group_id, member_id, &assignment));
            }
        }
        self.write(record_of::target_metadata(&group_id, self.group.epoch, now_ms));
        assert!(is_disjoint(&self.group), "ASSIGNMENT-DISJOINT");
        Ok(())
    }
}

fn group_spec(group: &ConsumerGroup, metadata: &dyn CoordinatorMetadata) -> GroupSpec {
    let mut resolver = TopicIdResolver::new(metadata);
    let mut spec = |member: &Arc<ConsumerGroupMember>| MemberSpec {
        rack_id: member.rack_id.clone(),
        instance_id: member.instance_id.clone(),
        subscribed_topic_ids: subscribed_topic_ids(group, member, &mut resolver),
        assignment: Arc::clone(group.target.member(&member.member_id)),
    };
    GroupSpec {
        members: group.members().map(|member| (member.member_id.clone(), spec(member))).collect(),
        subscription_type: group.subscription_type(),
        assignable: None,
    }
}

/// The topics that the member names, and those that its expression matches.
fn subscribed_topic_ids(
    group: &ConsumerGroup,
    member: &ConsumerGroupMember,
    resolver: &mut TopicIdResolver<'_>,
) -> Arc<BTreeSet<Uuid>> {
    let names = &member.subscribed_topic_names;
    match member.regex().and_then(|regex| group.resolved_regex(regex)) {
        None => resolver.resolve(names),
        Some(regex) if names.is_empty() => resolver.resolve(&regex.topics),
        Some(regex) => {
            let both: BTreeSet<ByteString> = names.union(&regex.topics).cloned().collect();
            resolver.resolve(&both)
        }
    }
}

/// Whether no partition is assigned twice. Members that are gone have no target.
fn is_disjoint(group: &ConsumerGroup) -> bool {
    let mut counts: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut partitions: BTreeMap<Uuid, BTreeSet<i32>> = BTreeMap::new();
    for (member_id, assignment) in group.target.members() {
        if group.member(member_id).is_some() {
            for (topic_id, of_topic) in assignment.iter() {
                *counts.entry(*topic_id).or_default() += of_topic.len();
                partitions.entry(*topic_id).or_default().extend(of_topic);
            }
        }
    }
    counts.iter().all(|(topic_id, count)| partitions.get(topic_id).map(BTreeSet::len) == Some(*count))
}
