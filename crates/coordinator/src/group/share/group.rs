use std::collections::BTreeSet;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::Uuid;
use rpds::RedBlackTreeMapSync;

use super::{ShareGroupMember, ShareGroupRecord, StatePartitions};
use crate::group::modern::{
    INITIAL_GROUP_EPOCH, MetadataRefresh, SubscribedTopics, SubscriptionType, TargetAssignment,
};
use crate::group::owned;

/// A share group. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct ShareGroup {
    group_id: ByteString,
    pub(super) epoch: i32,
    pub(super) metadata_hash: i64,
    members: RedBlackTreeMapSync<ByteString, Arc<ShareGroupMember>>,
    subscribed: SubscribedTopics,
    pub(super) target: TargetAssignment,
    pub(super) state_partitions: Option<Arc<StatePartitions>>,
    /// Whether the share coordinator may still be at the partitions that are being initialized. Not in
    /// the log: after a restart it is given its time anew.
    pub(super) is_initializing: bool,
    metadata_refresh: MetadataRefresh,
}

/// A change of a share group that is not in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareChange {
    /// The topics that the group reads were looked at.
    MetadataRefreshed(MetadataRefresh),
    /// The share coordinator did not answer in time.
    InitializationExpired,
}

/// What a share group is up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareGroupState {
    /// It has no members.
    Empty,
    /// It has members.
    Stable,
}

impl ShareGroupState {
    /// Kafka's name of the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Stable => "Stable",
        }
    }
}

impl ShareGroup {
    /// A group that nobody is in.
    pub fn new(group_id: &ByteString) -> Self {
        Self {
            group_id: owned(group_id),
            epoch: INITIAL_GROUP_EPOCH,
            metadata_hash: 0,
            members: RedBlackTreeMapSync::new_sync(),
            subscribed: SubscribedTopics::default(),
            target: TargetAssignment::default(),
            state_partitions: None,
            is_initializing: false,
            metadata_refresh: MetadataRefresh::REQUESTED,
        }
    }

    /// Its id.
    pub fn group_id(&self) -> &ByteString {
        &self.group_id
    }

    /// Counts the changes of members, subscriptions and topics.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The hash of the topics that the group reads, as of its epoch.
    pub fn metadata_hash(&self) -> i64 {
        self.metadata_hash
    }

    /// The member of this id.
    pub fn member(&self, member_id: &ByteString) -> Option<&ShareGroupMember> {
        self.members.get(member_id).map(|member| &**member)
    }

    /// Every member, by id.
    pub fn members(&self) -> impl Iterator<Item = &ShareGroupMember> {
        self.members.values().map(|member| &**member)
    }

    /// How many members there are.
    pub fn num_members(&self) -> usize {
        self.members.size()
    }

    /// The topics that members read.
    pub fn subscribed_topics(&self) -> &SubscribedTopics {
        &self.subscribed
    }

    /// Whether all members read the same.
    pub fn subscription_type(&self) -> SubscriptionType {
        self.subscribed.subscription_type(self.num_members())
    }

    /// What every member is to have.
    pub fn target_assignment(&self) -> &TargetAssignment {
        &self.target
    }

    /// Which partitions have a state at the share coordinator; `None` when that was never written.
    pub fn state_partitions(&self) -> Option<&StatePartitions> {
        self.state_partitions.as_deref()
    }

    /// What the group is up to.
    pub fn state(&self) -> ShareGroupState {
        if self.is_empty() { ShareGroupState::Empty } else { ShareGroupState::Stable }
    }

    /// Whether the group has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether the group has no room for this member.
    pub(in crate::group) fn is_full_for(&self, member_id: &ByteString, max_size: i32) -> bool {
        let max_size = usize::try_from(max_size).unwrap_or(0);
        self.num_members() >= max_size && !self.members.contains_key(member_id)
    }

    /// Whether it is time to look at the topics again.
    pub(in crate::group) fn has_metadata_expired(&self, now_ms: i64) -> bool {
        self.metadata_refresh.has_expired(now_ms, self.epoch)
    }

    /// Whether the share coordinator may still be at the partitions that are being initialized.
    pub(in crate::group) fn is_initializing(&self) -> bool {
        self.is_initializing
    }

    /// Topics that the group reads have changed: the next heartbeat looks at them.
    pub fn request_metadata_refresh(&mut self) {
        self.metadata_refresh = MetadataRefresh::REQUESTED;
    }

    /// Takes in a change that is not in the log.
    pub fn apply(&mut self, change: ShareChange) {
        match change {
            ShareChange::MetadataRefreshed(refresh) => self.metadata_refresh = refresh,
            ShareChange::InitializationExpired => self.is_initializing = false,
        }
    }

    /// The topics that members read when `member`, or nobody in its place, follows on what is known of it.
    pub(in crate::group) fn subscribed_topics_with(
        &self,
        member_id: &ByteString,
        member: Option<&ShareGroupMember>,
    ) -> SubscribedTopics {
        let mut subscribed = self.subscribed.clone();
        if let Some(old) = self.member(member_id) {
            subscribed.remove_names(&old.subscribed_topic_names);
        }
        if let Some(new) = member {
            subscribed.add_names(&new.subscribed_topic_names);
        }
        subscribed
    }

    /// Whether partitions became ready that members read and nobody was given.
    pub(in crate::group) fn has_initialized_assignment_pending(&self) -> bool {
        let Some(partitions) = self.state_partitions() else { return false };
        let subscribed = partitions.initialized.iter();
        let mut subscribed = subscribed.filter(|(_, topic)| self.subscribed.contains(&topic.name));
        subscribed.any(|(topic_id, topic)| self.assigned(*topic_id) != topic.partitions)
    }

    fn assigned(&self, topic_id: Uuid) -> BTreeSet<i32> {
        let members = self.target.members();
        members.filter_map(|(_, assignment)| assignment.get(&topic_id)).flatten().copied().collect()
    }

    pub(super) fn put_member(&mut self, member: ShareGroupMember) {
        self.subscribed = self.subscribed_topics_with(&member.member_id, Some(&member));
        self.members.insert_mut(member.member_id.clone(), Arc::new(member));
    }

    pub(super) fn remove_member(&mut self, member_id: &ByteString) {
        self.subscribed = self.subscribed_topics_with(member_id, None);
        self.members.remove_mut(member_id);
    }

    /// The records that delete the group, in Kafka's order.
    pub fn tombstones(&self) -> Vec<ShareGroupRecord> {
        let group_id = &self.group_id;
        let mut records = Vec::new();
        for member in self.members() {
            records.push(ShareGroupRecord::current_assignment_tombstone(group_id, &member.member_id));
        }
        let targets = self.target.members().map(|(member_id, _)| member_id);
        let members = self.members().map(|member| &member.member_id);
        for member_id in targets.chain(members).collect::<BTreeSet<_>>() {
            records.push(ShareGroupRecord::target_assignment_tombstone(group_id, member_id));
        }
        records.push(ShareGroupRecord::target_assignment_metadata_tombstone(group_id));
        for member in self.members() {
            records.push(ShareGroupRecord::member_tombstone(group_id, &member.member_id));
        }
        records.push(ShareGroupRecord::state_partition_metadata_tombstone(group_id));
        records.push(ShareGroupRecord::group_tombstone(group_id));
        records
    }
}
