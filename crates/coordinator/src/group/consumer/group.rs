use std::fmt;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::Uuid;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::counts::Counts;
use super::{ConsumerGroupError, ConsumerGroupMember, ResolvedRegularExpression};
use crate::group::classic::ClassicGroup;
use crate::group::modern::{
    INITIAL_GROUP_EPOCH, MemberState, MetadataRefresh, SubscribedTopics, SubscriptionType, TargetAssignment,
};

/// Where a consumer group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsumerGroupState {
    /// No members.
    Empty,
    /// A newer target assignment is to be computed.
    Assigning,
    /// Some member is not where the target assignment wants it.
    Reconciling,
    /// Everybody has what they are to have.
    Stable,
}

impl ConsumerGroupState {
    /// Kafka's name of the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

impl fmt::Display for ConsumerGroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What goes by a group id when a request for a consumer group comes in.
#[derive(Debug, Clone, Copy)]
pub enum ExistingGroup<'a> {
    /// Nothing.
    None,
    /// A classic group, which may become a consumer group.
    Classic(&'a ClassicGroup),
    /// A consumer group.
    Consumer(&'a ConsumerGroup),
    /// A group of another type.
    Other,
}

impl<'a> ExistingGroup<'a> {
    /// The consumer group of this id.
    pub fn consumer(self, group_id: &ByteString) -> Result<&'a ConsumerGroup, ConsumerGroupError> {
        match self {
            Self::Consumer(group) => Ok(group),
            Self::None => Err(ConsumerGroupError::GroupIdNotFound(group_id.clone())),
            Self::Classic(_) | Self::Other => Err(ConsumerGroupError::NotAConsumerGroup(group_id.clone())),
        }
    }
}

/// A consumer group. Copies are cheap: decisions try their records on one.
#[derive(Debug, Clone)]
pub struct ConsumerGroup {
    pub(super) group_id: ByteString,
    pub(super) epoch: i32,
    pub(super) metadata_hash: i64,
    pub(super) members: RedBlackTreeMapSync<ByteString, Arc<ConsumerGroupMember>>,
    /// Instance id to member id.
    pub(super) static_members: RedBlackTreeMapSync<ByteString, ByteString>,
    pub(super) subscribed_topics: SubscribedTopics,
    pub(super) target: TargetAssignment,
    /// The assignors that members want.
    pub(super) server_assignors: Counts,
    pub(super) num_classic_members: usize,
    /// The protocols that classic members can speak.
    pub(super) classic_protocols: Counts,
    /// The epoch of the member that has, or may still have, each partition.
    pub(super) partition_epochs: RedBlackTreeMapSync<Uuid, RedBlackTreeMapSync<i32, i32>>,
    /// The expressions that members use.
    pub(super) regex_members: Counts,
    pub(super) resolved_regexes: RedBlackTreeMapSync<ByteString, Arc<ResolvedRegularExpression>>,
    /// Whether a record of a release before 4.1 is to be deleted.
    pub(super) has_subscription_metadata_record: bool,
    /// Not in the log.
    pub(super) metadata_refresh: MetadataRefresh,
    /// The classic members that were asked to join again. Not in the log.
    pub(super) asked_to_join: RedBlackTreeSetSync<ByteString>,
}

impl ConsumerGroup {
    /// A group that nothing is known of yet.
    pub fn new(group_id: ByteString) -> Self {
        Self {
            group_id,
            epoch: INITIAL_GROUP_EPOCH,
            metadata_hash: 0,
            members: RedBlackTreeMapSync::new_sync(),
            static_members: RedBlackTreeMapSync::new_sync(),
            subscribed_topics: SubscribedTopics::default(),
            target: TargetAssignment::default(),
            server_assignors: Counts::default(),
            num_classic_members: 0,
            classic_protocols: Counts::default(),
            partition_epochs: RedBlackTreeMapSync::new_sync(),
            regex_members: Counts::default(),
            resolved_regexes: RedBlackTreeMapSync::new_sync(),
            has_subscription_metadata_record: false,
            metadata_refresh: MetadataRefresh::REQUESTED,
            asked_to_join: RedBlackTreeSetSync::new_sync(),
        }
    }

    /// The group's id.
    pub fn group_id(&self) -> &ByteString {
        &self.group_id
    }

    /// The group's epoch: grows with every change that calls for another target assignment.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The epoch that the target assignment is for.
    pub fn assignment_epoch(&self) -> i32 {
        self.target.epoch()
    }

    /// The hash of the topics that the group reads.
    pub fn metadata_hash(&self) -> i64 {
        self.metadata_hash
    }

    /// What every member is to have.
    pub fn target_assignment(&self) -> &TargetAssignment {
        &self.target
    }

    /// The members, by id.
    pub fn members(&self) -> impl Iterator<Item = &Arc<ConsumerGroupMember>> {
        self.members.values()
    }

    /// The number of members.
    pub fn num_members(&self) -> usize {
        self.members.size()
    }

    /// The number of members that speak the classic protocol.
    pub fn num_classic_members(&self) -> usize {
        self.num_classic_members
    }

    /// The member of this id.
    pub fn member(&self, member_id: &ByteString) -> Option<&Arc<ConsumerGroupMember>> {
        self.members.get(member_id)
    }

    /// The member of this id, or the error that says there is none.
    pub fn known_member(
        &self,
        member_id: &ByteString,
    ) -> Result<&Arc<ConsumerGroupMember>, ConsumerGroupError> {
        self.member(member_id).ok_or_else(|| ConsumerGroupError::UnknownMemberId(member_id.clone()))
    }

    /// The member that goes by this instance id.
    pub fn static_member(&self, instance_id: &ByteString) -> Option<&Arc<ConsumerGroupMember>> {
        self.members.get(self.static_members.get(instance_id)?)
    }

    /// The member that these two ids are of, both of them as far as they are given.
    pub(crate) fn validated_member(
        &self,
        member_id: &ByteString,
        instance_id: Option<&ByteString>,
    ) -> Result<&Arc<ConsumerGroupMember>, ConsumerGroupError> {
        let Some(instance_id) = instance_id else { return self.known_member(member_id) };
        let member = self.static_member(instance_id);
        let member = member.ok_or_else(|| ConsumerGroupError::UnknownInstanceId(instance_id.clone()))?;
        match member.member_id == *member_id {
            true => Ok(member),
            false => Err(ConsumerGroupError::FencedInstanceId(instance_id.clone())),
        }
    }

    /// Whether the group has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Where the group stands.
    pub fn state(&self) -> ConsumerGroupState {
        if self.is_empty() {
            ConsumerGroupState::Empty
        } else if self.epoch > self.assignment_epoch() {
            ConsumerGroupState::Assigning
        } else if self.members().all(|member| member.is_reconciled_to(self.assignment_epoch())) {
            ConsumerGroupState::Stable
        } else {
            ConsumerGroupState::Reconciling
        }
    }

    /// The topics that the group reads.
    pub fn subscribed_topics(&self) -> &SubscribedTopics {
        &self.subscribed_topics
    }

    /// Whether the group reads this topic.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.subscribed_topics.contains(topic)
    }

    /// Whether all members read the same.
    pub fn subscription_type(&self) -> SubscriptionType {
        let regex_members = self.regex_members.iter().map(|(_, count)| count);
        self.subscribed_topics.subscription_type_with_regexes(regex_members, self.num_members())
    }

    /// The assignor that most members want.
    pub fn preferred_server_assignor(&self) -> Option<&ByteString> {
        let most = self.server_assignors.iter().map(|(_, count)| count).max()?;
        self.server_assignors.iter().find(|(_, count)| *count == most).map(|(name, _)| name)
    }

    /// The epoch of the member that has, or may still have, this partition.
    pub fn partition_epoch(&self, topic_id: Uuid, partition: i32) -> Option<i32> {
        self.partition_epochs.get(&topic_id)?.get(&partition).copied()
    }

    /// How many members use this expression.
    pub fn num_regex_members(&self, regex: &str) -> usize {
        self.regex_members.get(regex)
    }

    /// The topics that this expression matches, if somebody has looked.
    pub fn resolved_regex(&self, regex: &ByteString) -> Option<&Arc<ResolvedRegularExpression>> {
        self.resolved_regexes.get(regex)
    }

    /// Whether the topics are to be looked at again.
    pub fn has_metadata_expired(&self, now_ms: i64) -> bool {
        self.metadata_refresh.has_expired(now_ms, self.epoch)
    }

    /// Some topic that the group reads was made, changed or deleted.
    pub fn request_metadata_refresh(&mut self) {
        self.metadata_refresh = MetadataRefresh::REQUESTED;
    }

    /// Whether all but so many members, of which so many are classic, speak the classic protocol.
    pub(crate) fn all_use_classic_protocol_except(&self, members: usize, of_them_classic: usize) -> bool {
        self.num_classic_members + members == self.num_members() + of_them_classic
    }

    /// Whether a classic member with these protocols could talk with every other one.
    pub(crate) fn supports_classic_protocols<'p>(
        &self,
        mut protocols: impl Iterator<Item = &'p ByteString>,
    ) -> bool {
        match self.is_empty() {
            true => protocols.next().is_some(),
            false => protocols.any(|name| self.classic_protocols.get(name) == self.num_classic_members),
        }
    }

    /// Whether partitions that are to be this member's are still somebody else's.
    pub(crate) fn waits_for_unreleased_partition(&self, member: &ConsumerGroupMember) -> bool {
        if member.state != MemberState::UnreleasedPartitions {
            return false;
        }
        let target = self.target.member(&member.member_id);
        target.iter().any(|(topic_id, partitions)| {
            let assigned = member.assigned_partitions.get(topic_id);
            let has = |partition: &i32| assigned.is_some_and(|of_topic| of_topic.contains_key(partition));
            partitions.iter().any(|p| !has(p) && self.partition_epoch(*topic_id, *p).is_some())
        })
    }
}
