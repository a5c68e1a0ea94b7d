use std::collections::BTreeMap;
use std::sync::Arc;

use bytestring::ByteString;

use super::assignor::{
    GroupAssignment, GroupSpec, MemberSpec, SubtopologySpec, TaskAssignor, TaskAssignorError,
};
use super::group::StreamsGroup;
use super::member::StreamsGroupMember;
use super::record::StreamsGroupRecord;
use super::soft_state::StreamsGroupSoftState;
use super::tasks::{TasksTuple, without_epochs};
use super::topics::ConfiguredTopology;

/// What the assignor was told, as it stands in the group's record.
pub(crate) const NUM_STANDBY_REPLICAS: &str = "num.standby.replicas";
pub(crate) const RACK_AWARE_ASSIGNMENT_TAGS: &str = "rack.aware.assignment.tags";

/// Computes a group's next target assignment, with a change of membership that is decided and not yet
/// written.
#[derive(Debug)]
pub struct TargetAssignmentBuilder<'a> {
    group: &'a StreamsGroup,
    soft: &'a StreamsGroupSoftState,
    members: BTreeMap<ByteString, &'a StreamsGroupMember>,
    /// Whose target a static member took over, and the member.
    replaced: Option<(&'a ByteString, &'a ByteString)>,
}

/// A new target assignment.
#[derive(Debug)]
pub(crate) struct NewTargetAssignment {
    /// Everybody's whose tasks are others now, and the epoch, in this order.
    pub(crate) records: Vec<StreamsGroupRecord>,
    pub(crate) members: GroupAssignment,
}

impl<'a> TargetAssignmentBuilder<'a> {
    /// The members as they are.
    pub fn new(group: &'a StreamsGroup, soft: &'a StreamsGroupSoftState) -> Self {
        let members = group.members().map(|member| (member.member_id.clone(), &**member)).collect();
        Self { group, soft, members, replaced: None }
    }

    /// The members as they will be: `member` is new or changed, and took the place of `replaced`.
    #[must_use]
    pub fn with_member(mut self, member: &'a StreamsGroupMember, replaced: Option<&'a ByteString>) -> Self {
        if let Some(replaced) = replaced.filter(|replaced| **replaced != member.member_id) {
            self.members.remove(replaced);
            self.replaced = Some((replaced, &member.member_id));
        }
        self.members.insert(member.member_id.clone(), member);
        self
    }

    /// What a member is to do as of now, the place that it took included.
    pub fn target_of(&self, member_id: &ByteString) -> Option<&'a Arc<TasksTuple>> {
        let of = match self.replaced {
            Some((replaced, by)) if by == member_id => replaced,
            _ => member_id,
        };
        self.group.target_assignment(of)
    }

    /// Computes the assignment for this epoch.
    pub(crate) fn build(
        &self,
        assignor: &dyn TaskAssignor,
        topology: &ConfiguredTopology,
        configs: &BTreeMap<ByteString, ByteString>,
        epoch: i32,
        now_ms: i64,
    ) -> Result<NewTargetAssignment, TaskAssignorError> {
        // Before everything is there nobody has anything to do.
        let assigned = match &topology.subtopologies {
            Some(_) if topology.is_ready() => assignor.assign(&self.spec(topology, configs))?,
            _ => GroupAssignment::new(),
        };
        let group_id = self.group.group_id();
        let (mut records, mut members) = (Vec::new(), GroupAssignment::new());
        for member_id in self.members.keys() {
            let tasks = assigned.get(member_id).cloned().unwrap_or_default();
            if self.target_of(member_id).is_none_or(|old| **old != tasks) {
                records.push(StreamsGroupRecord::target_assignment(group_id, member_id, &tasks));
            }
            members.insert(member_id.clone(), tasks);
        }
        records.push(StreamsGroupRecord::target_assignment_metadata(group_id, epoch, now_ms));
        Ok(NewTargetAssignment { records, members })
    }

    fn spec(&self, topology: &ConfiguredTopology, configs: &BTreeMap<ByteString, ByteString>) -> GroupSpec {
        let subtopologies = topology.subtopologies.iter().flatten().map(|(id, subtopology)| {
            let (number_of_tasks, is_stateful) = (subtopology.number_of_tasks, subtopology.is_stateful());
            (id.clone(), SubtopologySpec { number_of_tasks, is_stateful })
        });
        let standbys = configs.get(NUM_STANDBY_REPLICAS).and_then(|number| number.parse().ok());
        GroupSpec {
            members: self.members.iter().map(|(id, member)| (id.clone(), self.member_spec(member))).collect(),
            subtopologies: subtopologies.collect(),
            num_standby_replicas: standbys.unwrap_or(0),
        }
    }

    /// Tasks count as a member's once it was told to do them, not while it is only to be told.
    fn member_spec(&self, member: &StreamsGroupMember) -> MemberSpec {
        let offsets = self.soft.task_offsets(&member.member_id);
        MemberSpec {
            process_id: member.process_id.clone(),
            active: without_epochs(&member.assigned_tasks.active),
            standby: member.assigned_tasks.standby.clone(),
            task_offsets: offsets.map(|offsets| offsets.task_offsets.clone()).unwrap_or_default(),
        }
    }
}
