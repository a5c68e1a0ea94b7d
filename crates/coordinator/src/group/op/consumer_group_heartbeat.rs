//! ConsumerGroupHeartbeat, versions 0 and 1 (KIP-848, KIP-1082).
//!
//! Errors: INVALID_REQUEST, UNSUPPORTED_ASSIGNOR, INVALID_REGULAR_EXPRESSION, GROUP_ID_NOT_FOUND,
//! GROUP_MAX_SIZE_REACHED, UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, FENCED_INSTANCE_ID,
//! UNRELEASED_INSTANCE_ID, UNKNOWN_SERVER_ERROR (an assignor failed); what speaks of the coordinator
//! itself is the shell's to say.

use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_protocol::messages::consumer_group_heartbeat_request::TopicPartitions as OwnedTopicPartitions;
use ottla_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use ottla_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::RequestContext;
use super::consumer_group_request::validate_heartbeat;
use crate::group::consumer::work::Work;
use crate::group::consumer::{
    ConsumerGroup, ConsumerGroupContext, ConsumerGroupError, ConsumerGroupMember, ConsumerGroupResult,
    ExistingGroup, PartitionEpochs, RegexUpdate, upgrade_group,
};
use crate::group::modern::{LEAVE_GROUP_MEMBER_EPOCH, LEAVE_GROUP_STATIC_MEMBER_EPOCH};
use crate::group::owned;

const JOIN_GROUP_MEMBER_EPOCH: i32 = 0;
const NOT_GIVEN: i32 = -1;

/// A member joins, says that it is alive, tells what it reads and has, or leaves. `uuid` is random: the
/// id of a member that brings none, which version 0 lets it do.
pub(crate) fn consumer_group_heartbeat(
    context: &ConsumerGroupContext<'_>,
    request_context: &RequestContext,
    existing: ExistingGroup<'_>,
    request: &ConsumerGroupHeartbeatRequest,
    uuid: Uuid,
) -> Result<ConsumerGroupResult<ConsumerGroupHeartbeatResponse>, ConsumerGroupError> {
    validate_heartbeat(context.config, request_context.api_version, request)?;
    match request.member_epoch {
        LEAVE_GROUP_MEMBER_EPOCH | LEAVE_GROUP_STATIC_MEMBER_EPOCH => {
            leave(context, existing.consumer(&request.group_id)?, request)
        }
        _ => Heartbeat { context, request_context, request }.decide(existing, uuid),
    }
}

/// A heartbeat of a member that joins or stays.
struct Heartbeat<'a> {
    context: &'a ConsumerGroupContext<'a>,
    request_context: &'a RequestContext,
    request: &'a ConsumerGroupHeartbeatRequest,
}

impl Heartbeat<'_> {
    fn decide(
        &self,
        existing: ExistingGroup<'_>,
        uuid: Uuid,
    ) -> Result<ConsumerGroupResult<ConsumerGroupHeartbeatResponse>, ConsumerGroupError> {
        let request = self.request;
        let mut work = self.work_on(existing)?;
        let member_id = match request.member_id.is_empty() {
            true => ByteString::from(uuid.to_string()),
            false => owned(&request.member_id),
        };
        check_size(self.context, &work.group, &member_id, request.instance_id.as_ref())?;
        let before = match &request.instance_id {
            None => self.dynamic_member(&work.group, member_id)?,
            Some(instance_id) => self.static_member(&mut work, member_id, instance_id)?,
        };
        let member = self.updated(&before);
        let subscription_changed = self.update_group(&mut work, &before, &member)?;
        work.update_target_assignment()?;
        let member = work.reconcile(member, subscription_changed, self.owned_partitions())?;
        work.schedule_session(&member.member_id, self.context.config.session_timeout_ms);
        let response = self.response(&before, &member);
        Ok(work.decided(response))
    }

    /// The group that the member joins or is in. Joining makes a group where there is none.
    fn work_on(&self, existing: ExistingGroup<'_>) -> Result<Work<'_>, ConsumerGroupError> {
        let joins = self.request.member_epoch == JOIN_GROUP_MEMBER_EPOCH;
        match existing {
            ExistingGroup::None if joins => {
                Ok(Work::on(self.context, ConsumerGroup::new(owned(&self.request.group_id))))
            }
            ExistingGroup::Classic(classic) if joins => upgrade_group(self.context, classic),
            existing => Ok(Work::on(self.context, existing.consumer(&self.request.group_id)?.clone())),
        }
    }

    fn dynamic_member(
        &self,
        group: &ConsumerGroup,
        member_id: ByteString,
    ) -> Result<ConsumerGroupMember, ConsumerGroupError> {
        let joins = self.request.member_epoch == JOIN_GROUP_MEMBER_EPOCH;
        match group.member(&member_id) {
            Some(member) => {
                self.check_epoch(member)?;
                Ok(ConsumerGroupMember::clone(member))
            }
            None if joins => Ok(ConsumerGroupMember::new(member_id)),
            None => Err(ConsumerGroupError::UnknownMemberId(member_id)),
        }
    }

    /// A member with an instance id. One that joins takes the place that the id has in the group.
    fn static_member(
        &self,
        work: &mut Work<'_>,
        member_id: ByteString,
        instance_id: &ByteString,
    ) -> Result<ConsumerGroupMember, ConsumerGroupError> {
        if self.request.member_epoch != JOIN_GROUP_MEMBER_EPOCH {
            let member = work.group.validated_member(&member_id, Some(instance_id))?;
            self.check_epoch(member)?;
            return Ok(ConsumerGroupMember::clone(member));
        }
        let existing = work.group.static_member(instance_id).map(Arc::clone);
        let Some(existing) = existing else {
            let member = work.group.member(&member_id).map(|member| ConsumerGroupMember::clone(member));
            return Ok(member.unwrap_or_else(|| ConsumerGroupMember::new(member_id)));
        };
        if !existing.uses_classic_protocol() && !existing.is_away() {
            return Err(ConsumerGroupError::UnreleasedInstanceId(instance_id.clone()));
        }
        Ok(work.replace_static_member(&existing, member_id))
    }

    fn check_epoch(&self, member: &ConsumerGroupMember) -> Result<(), ConsumerGroupError> {
        let (received, known) = (self.request.member_epoch, member.member_epoch);
        if received == JOIN_GROUP_MEMBER_EPOCH || received == known {
            return Ok(());
        }
        // The answer with its newest epoch may have been lost: that is fine as long as it has nothing
        // which that answer did not give it.
        let missed_one = received < known
            && received == member.previous_member_epoch
            && member.has_only(self.owned_partitions());
        if missed_one { Ok(()) } else { Err(ConsumerGroupError::FencedMemberEpoch { received, known }) }
    }

    /// The member with what the request says about it; what it leaves out stays as it was.
    fn updated(&self, before: &ConsumerGroupMember) -> ConsumerGroupMember {
        let request = self.request;
        let or_before = |given: &Option<ByteString>, before: &Option<ByteString>| {
            given.as_ref().map(owned).or_else(|| before.clone())
        };
        let mut member = ConsumerGroupMember {
            instance_id: or_before(&request.instance_id, &before.instance_id),
            rack_id: or_before(&request.rack_id, &before.rack_id),
            server_assignor: or_before(&request.server_assignor, &before.server_assignor),
            subscribed_topic_regex: or_before(
                &request.subscribed_topic_regex,
                &before.subscribed_topic_regex,
            ),
            client_id: owned(&self.request_context.client_id),
            client_host: owned(&self.request_context.client_host),
            classic: None,
            ..before.clone()
        };
        if let Some(names) = &request.subscribed_topic_names {
            member.subscribed_topic_names = Arc::new(names.iter().map(owned).collect());
        }
        if request.rebalance_timeout_ms != NOT_GIVEN {
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        member
    }

    /// Writes what is new about the member, and another group epoch if that calls for one. Tells
    /// whether the member reads other topics now.
    fn update_group(
        &self,
        work: &mut Work<'_>,
        before: &ConsumerGroupMember,
        member: &ConsumerGroupMember,
    ) -> Result<bool, ConsumerGroupError> {
        let default = self.context.config.default_assignor();
        let assignor = |group: &ConsumerGroup| {
            group.preferred_server_assignor().cloned().unwrap_or_else(|| ByteString::from_static(default))
        };
        let assignor_before = assignor(&work.group);
        if member != before {
            work.write_member(member);
        }
        let names_changed = member.subscribed_topic_names != before.subscribed_topic_names;
        let regex = work.update_regular_expressions(before, member)?;
        // A new expression calls for another target when its topics are known, and not before.
        let bump = names_changed
            || regex == RegexUpdate::UpdatedAndResolved
            || assignor(&work.group) != assignor_before;
        if bump || work.group.has_metadata_expired(self.context.now_ms) {
            work.refresh_metadata(bump);
        }
        Ok(names_changed || regex != RegexUpdate::NoChange)
    }

    fn owned_partitions(&self) -> Option<&[OwnedTopicPartitions]> {
        self.request.topic_partitions.as_deref()
    }

    /// Members are told what they have when it changed, and when they said everything about
    /// themselves, as they do when they cannot be sure of anything.
    fn response(
        &self,
        before: &ConsumerGroupMember,
        member: &ConsumerGroupMember,
    ) -> ConsumerGroupHeartbeatResponse {
        let request = self.request;
        let subscribes = request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
        let says_everything =
            request.rebalance_timeout_ms != NOT_GIVEN && subscribes && request.topic_partitions.is_some();
        let told = request.member_epoch == JOIN_GROUP_MEMBER_EPOCH
            || says_everything
            || before.assigned_partitions != member.assigned_partitions;
        ConsumerGroupHeartbeatResponse {
            member_id: Some(member.member_id.clone()),
            member_epoch: member.member_epoch,
            heartbeat_interval_ms: self.context.config.heartbeat_interval_ms,
            assignment: told.then(|| assignment(&member.assigned_partitions)),
            ..Default::default()
        }
    }
}

/// Whether there is room for the member. Who is in stays in, and so does the place of a static member.
pub(super) fn check_size(
    context: &ConsumerGroupContext<'_>,
    group: &ConsumerGroup,
    member_id: &ByteString,
    instance_id: Option<&ByteString>,
) -> Result<(), ConsumerGroupError> {
    let is_in =
        instance_id.is_some_and(|id| group.static_member(id).is_some()) || group.member(member_id).is_some();
    match !is_in && context.config.is_full(group.num_members()) {
        true => Err(ConsumerGroupError::GroupMaxSizeReached(context.config.max_size)),
        false => Ok(()),
    }
}

/// A member leaves for good (-1), or a static member for a while (-2).
fn leave(
    context: &ConsumerGroupContext<'_>,
    group: &ConsumerGroup,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<ConsumerGroupResult<ConsumerGroupHeartbeatResponse>, ConsumerGroupError> {
    let member = group.validated_member(&request.member_id, request.instance_id.as_ref())?;
    let mut work = Work::on(context, group.clone());
    let for_a_while =
        request.instance_id.is_some() && request.member_epoch == LEAVE_GROUP_STATIC_MEMBER_EPOCH;
    if for_a_while {
        work.write_current(&member.going_away());
    } else {
        work.fence([member.member_id.clone()].into());
    }
    Ok(work.decided(ConsumerGroupHeartbeatResponse {
        member_id: Some(member.member_id.clone()),
        member_epoch: request.member_epoch,
        ..Default::default()
    }))
}

fn assignment(partitions: &PartitionEpochs) -> Assignment {
    let of_topic = |(topic_id, epochs): (&Uuid, &std::collections::BTreeMap<i32, i32>)| TopicPartitions {
        topic_id: *topic_id,
        partitions: epochs.keys().copied().collect(),
        ..Default::default()
    };
    Assignment { topic_partitions: partitions.iter().map(of_topic).collect(), ..Default::default() }
}

#[cfg(test)]
#[path = "consumer_group_heartbeat_test.rs"]
mod tests;
