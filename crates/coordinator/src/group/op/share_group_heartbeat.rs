//! ShareGroupHeartbeat, version 1 (KIP-932).
//!
//! Errors: INVALID_REQUEST, GROUP_ID_NOT_FOUND, UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH,
//! GROUP_MAX_SIZE_REACHED, UNKNOWN_SERVER_ERROR when no assignment can be computed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use ottla_common::Uuid;
use ottla_protocol::messages::share_group_heartbeat_response::{Assignment, TopicPartitions as Assigned};
use ottla_protocol::messages::{
    InitializeShareGroupStateRequest, ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse,
};

use crate::group::RequestContext;
use crate::group::modern::{
    LEAVE_GROUP_MEMBER_EPOCH, MemberAssignment, MetadataRefresh, SubscribedTopics, SubscriptionType,
    metadata_hash,
};
use crate::group::share::{
    ShareChange, ShareDecision, ShareGroup, ShareGroupError, ShareGroupLookup, ShareGroupManager,
    ShareGroupMember, ShareGroupRecord, StatePartitions, TopicPartitions, initialize_request,
};
use crate::share_state::UNINITIALIZED_START_OFFSET;

/// What a heartbeat leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareGroupHeartbeat {
    /// The answer.
    pub response: ShareGroupHeartbeatResponse,
    /// To be sent to the share coordinator once the records are committed. Its answer goes to
    /// [`ShareGroupManager::share_group_state_initialized`]; the member does not wait for it.
    pub initialize: Option<InitializeShareGroupStateRequest>,
    /// A change outside the log, for the group if it exists.
    pub change: Option<ShareChange>,
}

impl ShareGroupManager<'_> {
    /// A member says that it is alive, joins, changes what it reads, or leaves.
    pub fn share_group_heartbeat(
        &self,
        group: ShareGroupLookup<'_>,
        context: &RequestContext,
        request: &ShareGroupHeartbeatRequest,
    ) -> Result<ShareDecision<ShareGroupHeartbeat>, ShareGroupError> {
        validate(request)?;
        if request.member_epoch == LEAVE_GROUP_MEMBER_EPOCH {
            let decision = self.share_group_leave(group, &request.member_id)?;
            return Ok(decision.map(|()| left(request)));
        }
        let group = match request.member_epoch {
            0 => group.existing_or_new(&request.group_id)?,
            _ => Cow::Borrowed(group.existing()?),
        };
        if group.is_full_for(&request.member_id, self.config.max_size) {
            return Err(ShareGroupError::GroupMaxSizeReached);
        }
        let member = member_of(&group, request)?;
        self.heartbeat(&group, &member, context, request)
    }

    fn heartbeat(
        &self,
        group: &ShareGroup,
        member: &ShareGroupMember,
        context: &RequestContext,
        request: &ShareGroupHeartbeatRequest,
    ) -> Result<ShareDecision<ShareGroupHeartbeat>, ShareGroupError> {
        let group_id = group.group_id();
        let updated = updated_member(member, context, request);
        let mut records = Vec::new();
        if updated != *member {
            records.push(ShareGroupRecord::member(group_id, &updated));
        }
        let next = self.next_epoch(group, member, &updated, &mut records);
        let target = self.maybe_update_target_assignment(
            group,
            next.group_epoch,
            next.subscription_type,
            &updated,
            &mut records,
        )?;
        let has_subscription_changed = next.group_epoch != group.epoch();
        let reconciled = if !has_subscription_changed && updated.is_reconciled_to(target.epoch) {
            updated
        } else {
            let reconciled = self.reconcile(updated.clone(), &target, has_subscription_changed);
            if reconciled != updated {
                records.push(ShareGroupRecord::current_assignment(group_id, &reconciled));
            }
            reconciled
        };
        let tell_assignment = request.member_epoch == 0
            || request.subscribed_topic_names.is_some()
            || reconciled.assigned_partitions != member.assigned_partitions;
        let response = ShareGroupHeartbeatResponse {
            member_id: Some(reconciled.member_id.clone()),
            member_epoch: reconciled.member_epoch,
            heartbeat_interval_ms: self.config.heartbeat_interval_ms(&self.overrides),
            assignment: tell_assignment.then(|| assignment(&reconciled.assigned_partitions)),
            ..Default::default()
        };
        let outcome = ShareGroupHeartbeat { response, initialize: None, change: next.change };
        let mut decision = ShareDecision::with_records(records, outcome);
        self.schedule_session_timeout(&mut decision, group_id, &reconciled.member_id);
        decision.response.initialize =
            self.maybe_initialize(&mut decision, group, next.group_epoch, &next.subscribed);
        Ok(decision)
    }

    /// The group's epoch after this heartbeat. It grows when somebody reads something else, when the
    /// topics are not what they were, and when partitions became ready that nobody was given.
    fn next_epoch(
        &self,
        group: &ShareGroup,
        member: &ShareGroupMember,
        updated: &ShareGroupMember,
        records: &mut Vec<ShareGroupRecord>,
    ) -> NextEpoch {
        let group_epoch = group.epoch();
        let mut bump = updated.subscribed_topic_names != member.subscribed_topic_names;
        if group.target_assignment().epoch() >= group_epoch {
            bump |= group.has_initialized_assignment_pending();
        }
        if !bump && !group.has_metadata_expired(self.now_ms) {
            let subscribed = group.subscribed_topics().clone();
            let subscription_type = group.subscription_type();
            return NextEpoch { group_epoch, subscribed, subscription_type, change: None };
        }
        let subscribed = group.subscribed_topics_with(&updated.member_id, Some(updated));
        let is_new = group.member(&updated.member_id).is_none();
        let subscription_type = subscribed.subscription_type(group.num_members() + usize::from(is_new));
        let hash = metadata_hash(subscribed.names(), self.metadata);
        bump |= hash != group.metadata_hash();
        let group_epoch = group_epoch.saturating_add(i32::from(bump));
        if bump {
            records.push(ShareGroupRecord::group(group.group_id(), group_epoch, hash));
        }
        let refresh = MetadataRefresh::done(self.now_ms, group_epoch);
        let change = Some(ShareChange::MetadataRefreshed(refresh));
        NextEpoch { group_epoch, subscribed, subscription_type, change }
    }

    /// Asks the share coordinator to begin with partitions that are read and have no state. Those of a
    /// topic that is known already begin with their first record, so that none is passed over; those of
    /// a new topic begin where the group's `share.auto.offset.reset` says.
    fn maybe_initialize(
        &self,
        decision: &mut ShareDecision<ShareGroupHeartbeat>,
        group: &ShareGroup,
        group_epoch: i32,
        subscribed: &SubscribedTopics,
    ) -> Option<InitializeShareGroupStateRequest> {
        let nothing = StatePartitions::default();
        let known = group.state_partitions().unwrap_or(&nothing);
        let topics = self.partitions_without_state(known, group.is_initializing(), subscribed);
        if topics.is_empty() {
            return None;
        }
        self.write_state_partitions(decision, group.group_id(), &known.with_initializing(&topics));
        let offsets = topics.iter().map(|(topic_id, topic)| {
            let start_offset = if known.knows(*topic_id) { 0 } else { UNINITIALIZED_START_OFFSET };
            (*topic_id, topic.partitions.iter().map(|partition| (*partition, start_offset)).collect())
        });
        Some(initialize_request(group.group_id(), group_epoch, &offsets.collect()))
    }

    /// The partitions that are read, and neither have a state nor will have one shortly.
    fn partitions_without_state(
        &self,
        known: &StatePartitions,
        is_initializing: bool,
        subscribed: &SubscribedTopics,
    ) -> BTreeMap<Uuid, TopicPartitions> {
        let mut topics = BTreeMap::new();
        for name in subscribed.names() {
            let Some(topic) = self.metadata.topic(name) else { continue };
            let num_initialized = known.initialized.get(&topic.id).map_or(0, |topic| topic.partitions.len());
            if num_initialized >= usize::try_from(topic.num_partitions).unwrap_or(0) {
                continue;
            }
            let of = |topics: &BTreeMap<Uuid, TopicPartitions>, partition: i32| {
                topics.get(&topic.id).is_some_and(|topic| topic.partitions.contains(&partition))
            };
            let has_state = |partition: &i32| {
                of(&known.initialized, *partition) || (is_initializing && of(&known.initializing, *partition))
            };
            let partitions: BTreeSet<i32> =
                (0..topic.num_partitions).filter(|partition| !has_state(partition)).collect();
            if !partitions.is_empty() {
                topics.insert(topic.id, TopicPartitions { name: topic.name.clone(), partitions });
            }
        }
        topics
    }
}

/// What a heartbeat makes of the group.
#[derive(Debug)]
struct NextEpoch {
    group_epoch: i32,
    subscribed: SubscribedTopics,
    subscription_type: SubscriptionType,
    change: Option<ShareChange>,
}

fn validate(request: &ShareGroupHeartbeatRequest) -> Result<(), ShareGroupError> {
    if request.member_id.trim().is_empty() {
        return Err(ShareGroupError::EmptyMemberId);
    }
    if request.group_id.trim().is_empty() {
        return Err(ShareGroupError::EmptyGroupId);
    }
    if request.rack_id.as_ref().is_some_and(|rack_id| rack_id.trim().is_empty()) {
        return Err(ShareGroupError::EmptyRackId);
    }
    let names_topics = request.subscribed_topic_names.as_ref().is_some_and(|names| !names.is_empty());
    match request.member_epoch {
        0 if !names_topics => Err(ShareGroupError::NoSubscription),
        epoch if epoch < LEAVE_GROUP_MEMBER_EPOCH => Err(ShareGroupError::InvalidMemberEpoch),
        _ => Ok(()),
    }
}

/// The member that the request speaks of, if it is who it says. Epoch 0 joins, or joins again. The epoch
/// before the present one is good, too: the answer with the present one may have got lost.
fn member_of<'a>(
    group: &'a ShareGroup,
    request: &ShareGroupHeartbeatRequest,
) -> Result<Cow<'a, ShareGroupMember>, ShareGroupError> {
    let epoch = request.member_epoch;
    match group.member(&request.member_id) {
        None if epoch == 0 => Ok(Cow::Owned(ShareGroupMember::new(&request.member_id))),
        None => Err(ShareGroupError::UnknownMemberId),
        Some(member) if epoch == 0 || epoch == member.member_epoch => Ok(Cow::Borrowed(member)),
        Some(member) if epoch > member.member_epoch => Err(ShareGroupError::GreaterMemberEpoch),
        Some(member) if epoch == member.previous_member_epoch => Ok(Cow::Borrowed(member)),
        Some(_) => Err(ShareGroupError::SmallerMemberEpoch),
    }
}

/// The member with what the request says of it. What the request leaves out stays.
fn updated_member(
    member: &ShareGroupMember,
    context: &RequestContext,
    request: &ShareGroupHeartbeatRequest,
) -> ShareGroupMember {
    let mut updated = member.clone();
    if let Some(rack_id) = &request.rack_id {
        updated.rack_id = Some(rack_id.clone());
    }
    if let Some(names) = &request.subscribed_topic_names {
        updated.subscribed_topic_names = names.iter().cloned().collect();
    }
    updated.client_id = context.client_id.clone();
    updated.client_host = context.client_host.clone();
    updated
}

fn left(request: &ShareGroupHeartbeatRequest) -> ShareGroupHeartbeat {
    let response = ShareGroupHeartbeatResponse {
        member_id: Some(request.member_id.clone()),
        member_epoch: LEAVE_GROUP_MEMBER_EPOCH,
        ..Default::default()
    };
    ShareGroupHeartbeat { response, initialize: None, change: None }
}

fn assignment(partitions: &MemberAssignment) -> Assignment {
    let topic = |(topic_id, partitions): (&Uuid, &BTreeSet<i32>)| Assigned {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
        ..Default::default()
    };
    Assignment { topic_partitions: partitions.iter().map(topic).collect(), ..Default::default() }
}

#[cfg(test)]
#[path = "share_group_heartbeat_test.rs"]
mod tests;
