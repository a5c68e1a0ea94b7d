use std::collections::BTreeMap;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_protocol::records::group::StreamsGroupMetadataValue;
use rpds::RedBlackTreeMapSync;

use super::error::StreamsGroupError;
use super::member::{StreamsGroupMember, StreamsMemberState};
use super::record::StreamsGroupRecord;
use super::record_values;
use super::task_owners::TaskOwners;
use super::tasks::TasksTuple;
use super::topology::StreamsTopology;
use crate::group::modern::INITIAL_GROUP_EPOCH;
use crate::group::owned;

/// No topology description is stored for the group (KIP-1331).
pub(crate) const STORED_TOPOLOGY_EPOCH_NONE: i32 = -1;
/// A topology description may be stored for the group, or may not.
pub(crate) const STORED_TOPOLOGY_EPOCH_UNCERTAIN: i32 = -2;
const NO_EPOCH: i32 = -1;

/// Where a streams group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamsGroupState {
    /// It has no members.
    Empty,
    /// The topics that its topology needs are not all there, or not as they must be.
    NotReady,
    /// It is about to get a target assignment.
    Assigning,
    /// Some members do not have what they are to have yet.
    Reconciling,
    /// Everybody has what is theirs.
    Stable,
}

impl StreamsGroupState {
    /// Kafka's name of the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::NotReady => "NotReady",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }

    /// Whether a filter of ListGroups means this state: one kind of spelling has an underscore.
    pub fn is_named(self, filter: &str) -> bool {
        let name = if self == Self::NotReady { "not_ready" } else { self.name() };
        name.eq_ignore_ascii_case(filter)
    }
}

/// A streams group, as the log tells it.
///
/// Members change through [`Self::replay`] only, which keeps the counts and the owners of tasks.
#[derive(Debug, Clone)]
pub struct StreamsGroup {
    group_id: ByteString,
    group_epoch: i32,
    metadata_hash: i64,
    validated_topology_epoch: i32,
    stored_description_topology_epoch: i32,
    failed_description_topology_epoch: i32,
    last_assignment_configs: Arc<BTreeMap<ByteString, ByteString>>,
    topology: Option<Arc<StreamsTopology>>,
    members: RedBlackTreeMapSync<ByteString, Arc<StreamsGroupMember>>,
    static_members: RedBlackTreeMapSync<ByteString, ByteString>,
    owners: TaskOwners,
    /// How many members are stable in an epoch: whether all of them are is asked with every heartbeat.
    stable_members: RedBlackTreeMapSync<i32, usize>,
    assignment_epoch: i32,
    assignment_timestamp_ms: i64,
    target_assignment: RedBlackTreeMapSync<ByteString, Arc<TasksTuple>>,
}

impl StreamsGroup {
    /// A group that nothing is known of yet.
    pub fn new(group_id: ByteString) -> Self {
        Self {
            group_id,
            group_epoch: INITIAL_GROUP_EPOCH,
            metadata_hash: 0,
            validated_topology_epoch: NO_EPOCH,
            stored_description_topology_epoch: STORED_TOPOLOGY_EPOCH_NONE,
            failed_description_topology_epoch: NO_EPOCH,
            last_assignment_configs: Arc::default(),
            topology: None,
            members: RedBlackTreeMapSync::new_sync(),
            static_members: RedBlackTreeMapSync::new_sync(),
            owners: TaskOwners::default(),
            stable_members: RedBlackTreeMapSync::new_sync(),
            assignment_epoch: INITIAL_GROUP_EPOCH,
            assignment_timestamp_ms: 0,
            target_assignment: RedBlackTreeMapSync::new_sync(),
        }
    }

    /// The group as it is after this record; `None` when nothing is left of it, or never was.
    pub fn replay(group: Option<&Self>, record: &StreamsGroupRecord) -> Option<Self> {
        let mut group = match group {
            Some(group) => group.clone(),
            None if record.is_tombstone() => return None,
            None => Self::new(owned(record.group_id())),
        };
        match record {
            StreamsGroupRecord::GroupMetadata { value, .. } => group.replay_metadata(value.as_ref()?),
            StreamsGroupRecord::Topology { value, .. } => {
                let topology = value.as_ref().map(StreamsTopology::from_record);
                group.topology = topology.map(Arc::new);
            }
            StreamsGroupRecord::TargetAssignmentMetadata { value, .. } => {
                let value = value.as_ref();
                group.assignment_epoch = value.map_or(NO_EPOCH, |value| value.assignment_epoch);
                group.assignment_timestamp_ms = value.map_or(0, |value| value.assignment_timestamp);
            }
            StreamsGroupRecord::TargetAssignmentMember { member_id, value: Some(value), .. } => {
                let tasks = Arc::new(record_values::target_assignment_of(value));
                group.target_assignment.insert_mut(owned(member_id), tasks);
            }
            StreamsGroupRecord::TargetAssignmentMember { member_id, value: None, .. } => {
                group.target_assignment.remove_mut(member_id);
            }
            StreamsGroupRecord::MemberMetadata { member_id, value: None, .. } => {
                group.remove_member(member_id)
            }
            StreamsGroupRecord::MemberMetadata { member_id, value: Some(value), .. } => {
                let mut member = group.member_or_new(member_id);
                member.update_metadata(value);
                group.put_member(member);
            }
            StreamsGroupRecord::CurrentMemberAssignment { member_id, value: Some(value), .. } => {
                let mut member = group.member_or_new(member_id);
                member.update_current_assignment(value);
                group.put_member(member);
            }
            StreamsGroupRecord::CurrentMemberAssignment { member_id, value: None, .. } => {
                if let Some(member) = group.members.get(member_id) {
                    let mut member = StreamsGroupMember::clone(member);
                    member.remove_current_assignment();
                    group.put_member(member);
                }
            }
        }
        Some(group)
    }

    /// The group's id.
    pub fn group_id(&self) -> &ByteString {
        &self.group_id
    }

    /// Where the group stands.
    pub fn state(&self) -> StreamsGroupState {
        let validated =
            self.topology.as_ref().is_some_and(|topology| topology.epoch() == self.validated_topology_epoch);
        let stable = self.stable_members.get(&self.assignment_epoch).copied().unwrap_or(0);
        if self.members.is_empty() {
            StreamsGroupState::Empty
        } else if !validated {
            StreamsGroupState::NotReady
        } else if self.group_epoch > self.assignment_epoch {
            StreamsGroupState::Assigning
        } else if stable < self.members.size() {
            StreamsGroupState::Reconciling
        } else {
            StreamsGroupState::Stable
        }
    }

    /// Whether the group has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The number of the group's newest state; grows with everything that an assignment depends on.
    pub fn group_epoch(&self) -> i32 {
        self.group_epoch
    }

    /// The group epoch that the target assignment is for.
    pub fn assignment_epoch(&self) -> i32 {
        self.assignment_epoch
    }

    /// When the target assignment was computed; 0 when nothing is to wait for it.
    pub fn assignment_timestamp_ms(&self) -> i64 {
        self.assignment_timestamp_ms
    }

    /// What the topics of the group came to when they were looked at last.
    pub fn metadata_hash(&self) -> i64 {
        self.metadata_hash
    }

    /// The epoch of the topology whose topics were all found to be there, or -1.
    pub fn validated_topology_epoch(&self) -> i32 {
        self.validated_topology_epoch
    }

    /// The epoch of the topology whose description is stored; -1 for none, -2 for who knows.
    pub fn stored_description_topology_epoch(&self) -> i32 {
        self.stored_description_topology_epoch
    }

    /// The epoch of the topology whose description could not be stored and never will be, or -1.
    pub fn failed_description_topology_epoch(&self) -> i32 {
        self.failed_description_topology_epoch
    }

    /// What the assignor was told when the group epoch grew last.
    pub fn last_assignment_configs(&self) -> &BTreeMap<ByteString, ByteString> {
        &self.last_assignment_configs
    }

    /// What the application does, once a member told.
    pub fn topology(&self) -> Option<&Arc<StreamsTopology>> {
        self.topology.as_ref()
    }

    /// The epoch of the topology, or -1.
    pub fn topology_epoch(&self) -> i32 {
        self.topology.as_ref().map_or(NO_EPOCH, |topology| topology.epoch())
    }

    /// The members, by id.
    pub fn members(&self) -> impl Iterator<Item = &Arc<StreamsGroupMember>> {
        self.members.values()
    }

    /// How many members the group has.
    pub fn num_members(&self) -> usize {
        self.members.size()
    }

    /// The member of this id.
    pub fn member(&self, member_id: &ByteString) -> Result<&Arc<StreamsGroupMember>, StreamsGroupError> {
        self.members.get(member_id).ok_or_else(|| StreamsGroupError::UnknownMemberId(member_id.clone()))
    }

    /// The member that goes by this `group.instance.id`.
    pub fn static_member(&self, instance_id: &ByteString) -> Option<&Arc<StreamsGroupMember>> {
        self.members.get(self.static_members.get(instance_id)?)
    }

    /// What a member is to do, if anything was ever said about it.
    pub fn target_assignment(&self, member_id: &ByteString) -> Option<&Arc<TasksTuple>> {
        self.target_assignment.get(member_id)
    }

    /// Whether the group reads this topic, and somebody is there to do so.
    pub fn is_subscribed_to_topic(&self, topic: &str) -> bool {
        let topology = self.topology.as_ref().filter(|_| !self.is_empty());
        topology.is_some_and(|topology| topology.reader_of(topic).is_some())
    }

    pub(crate) fn owners(&self) -> &TaskOwners {
        &self.owners
    }

    /// A record that says of the group what it is, for a decision to change.
    pub(crate) fn metadata_value(&self) -> StreamsGroupMetadataValue {
        StreamsGroupMetadataValue {
            epoch: self.group_epoch,
            metadata_hash: self.metadata_hash,
            validated_topology_epoch: self.validated_topology_epoch,
            last_assignment_configs: Some(record_values::assignment_configs(&self.last_assignment_configs)),
            stored_description_topology_epoch: self.stored_description_topology_epoch,
            failed_description_topology_epoch: self.failed_description_topology_epoch,
            ..Default::default()
        }
    }

    pub(crate) fn metadata_record(&self, value: StreamsGroupMetadataValue) -> StreamsGroupRecord {
        StreamsGroupRecord::GroupMetadata { group_id: self.group_id.clone(), value: Some(value) }
    }

    fn replay_metadata(&mut self, value: &StreamsGroupMetadataValue) {
        self.group_epoch = value.epoch;
        self.metadata_hash = value.metadata_hash;
        self.validated_topology_epoch = value.validated_topology_epoch;
        self.stored_description_topology_epoch = value.stored_description_topology_epoch;
        self.failed_description_topology_epoch = value.failed_description_topology_epoch;
        let configs = record_values::assignment_configs_of(value.last_assignment_configs.as_deref());
        self.last_assignment_configs = Arc::new(configs);
    }

    fn member_or_new(&self, member_id: &ByteString) -> StreamsGroupMember {
        match self.members.get(member_id) {
            Some(member) => StreamsGroupMember::clone(member),
            None => StreamsGroupMember::new(owned(member_id)),
        }
    }

    fn put_member(&mut self, member: StreamsGroupMember) {
        if let Some(old) = self.members.get(&member.member_id).cloned() {
            self.forget(&old);
        }
        self.owners.add(&member);
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert_mut(instance_id.clone(), member.member_id.clone());
        }
        if member.state == StreamsMemberState::Stable {
            let count = self.stable_members.get(&member.member_epoch).copied().unwrap_or(0);
            self.stable_members.insert_mut(member.member_epoch, count + 1);
        }
        self.members.insert_mut(member.member_id.clone(), Arc::new(member));
    }

    fn remove_member(&mut self, member_id: &ByteString) {
        if let Some(old) = self.members.get(member_id).cloned() {
            self.forget(&old);
            self.members.remove_mut(member_id);
        }
    }

    /// Takes a member out of everything but the members.
    fn forget(&mut self, member: &StreamsGroupMember) {
        self.owners.remove(member);
        if let Some(instance_id) = &member.instance_id
            && self.static_members.get(instance_id) == Some(&member.member_id)
        {
            self.static_members.remove_mut(instance_id);
        }
        if member.state == StreamsMemberState::Stable {
            let count = self.stable_members.get(&member.member_epoch).copied().unwrap_or(0);
            assert!(count > 0, "STREAMS-STABLE-COUNTED: epoch {}", member.member_epoch);
            match count {
                1 => {
                    self.stable_members.remove_mut(&member.member_epoch);
                }
                _ => self.stable_members.insert_mut(member.member_epoch, count - 1),
            }
        }
    }
}

#[cfg(test)]
#[path = "group_test.rs"]
mod tests;
