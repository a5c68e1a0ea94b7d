//! SyncGroup, Heartbeat and LeaveGroup of members of the classic protocol that take part in a consumer
//! group (KIP-848).
//!
//! Errors of SyncGroup: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION,
//! INCONSISTENT_GROUP_PROTOCOL, REBALANCE_IN_PROGRESS; of Heartbeat: UNKNOWN_MEMBER_ID,
//! FENCED_INSTANCE_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS; of LeaveGroup, each member its own:
//! UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.

use std::collections::BTreeSet;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::leave_group_response::MemberResponse;
use ottla_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest,
    SyncGroupResponse,
};

use super::consumer_group_join::CONSUMER_PROTOCOL_TYPE;
use crate::group::consumer::work::Work;
use crate::group::consumer::{
    ConsumerGroup, ConsumerGroupContext, ConsumerGroupError, ConsumerGroupMember, ConsumerGroupResult,
    ConsumerGroupTimer, encode_assignment, subscription_version,
};
use crate::group::modern::MemberState;
use crate::metadata::CoordinatorMetadata;

/// A classic member asks what it has. The answer is to be held back until what it tells of is committed.
pub(crate) fn consumer_group_sync(
    context: &ConsumerGroupContext<'_>,
    group: &ConsumerGroup,
    request: &SyncGroupRequest,
) -> Result<ConsumerGroupResult<SyncGroupResponse>, ConsumerGroupError> {
    let instance_id = request.group_instance_id.as_ref();
    let member = classic_member(group, &request.member_id, instance_id, request.generation_id)?;
    validate_protocol(member, request)?;
    let mut work = Work::on(context, group.clone());
    let behind = group.assignment_epoch() > member.member_epoch;
    if behind && member.state != MemberState::UnrevokedPartitions {
        work.ask_to_join(member);
        let error_code = ErrorCode::RebalanceInProgress.code();
        return Ok(work.decided(SyncGroupResponse { error_code, ..Default::default() }));
    }
    let assignment = assignment(member, context.metadata)?;
    work.cancel(ConsumerGroupTimer::Sync(group.group_id().clone(), member.member_id.clone()));
    keep_session(&mut work, member);
    Ok(work.decided(SyncGroupResponse {
        protocol_type: request.protocol_type.clone(),
        protocol_name: request.protocol_name.clone(),
        assignment,
        ..Default::default()
    }))
}

/// A classic member says that it is alive, and hears whether it is to join again: to catch up with the
/// target assignment, to give something up, or to get what others have given up by now.
pub(crate) fn consumer_group_classic_heartbeat(
    context: &ConsumerGroupContext<'_>,
    group: &ConsumerGroup,
    request: &HeartbeatRequest,
) -> Result<ConsumerGroupResult<HeartbeatResponse>, ConsumerGroupError> {
    let instance_id = request.group_instance_id.as_ref();
    let member = classic_member(group, &request.member_id, instance_id, request.generation_id)?;
    let mut work = Work::on(context, group.clone());
    keep_session(&mut work, member);
    let is_to_join = member.member_epoch < group.assignment_epoch()
        || match member.state {
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => !group.waits_for_unreleased_partition(member),
            MemberState::Stable | MemberState::Unknown => false,
        };
    let error = match is_to_join {
        true => {
            work.ask_to_join(member);
            ErrorCode::RebalanceInProgress
        }
        false => ErrorCode::None,
    };
    Ok(work.decided(HeartbeatResponse { error_code: error.code(), ..Default::default() }))
}

/// Members leave, or an administrator shows some the door: whatever protocol they speak.
pub(crate) fn consumer_group_leave(
    context: &ConsumerGroupContext<'_>,
    group: &ConsumerGroup,
    request: &LeaveGroupRequest,
) -> ConsumerGroupResult<LeaveGroupResponse> {
    let mut leaving = BTreeSet::new();
    let mut members = Vec::with_capacity(request.members.len());
    for identity in &request.members {
        let error = match leaving_member(group, identity) {
            Ok(member) => {
                leaving.insert(member.member_id.clone());
                ErrorCode::None
            }
            Err(error) => error.code(),
        };
        members.push(MemberResponse {
            member_id: identity.member_id.clone(),
            group_instance_id: identity.group_instance_id.clone(),
            error_code: error.code(),
            ..Default::default()
        });
    }
    let mut work = Work::on(context, group.clone());
    work.fence(leaving);
    work.decided(LeaveGroupResponse { members, ..Default::default() })
}

/// Who it is that leaves. An administrator knows static members by their instance id only.
fn leaving_member<'g>(
    group: &'g ConsumerGroup,
    identity: &MemberIdentity,
) -> Result<&'g ConsumerGroupMember, ConsumerGroupError> {
    match &identity.group_instance_id {
        Some(instance_id) if identity.member_id.is_empty() => group
            .static_member(instance_id)
            .map(|member| &**member)
            .ok_or_else(|| ConsumerGroupError::UnknownInstanceId(instance_id.clone())),
        instance_id => {
            let member = group.validated_member(&identity.member_id, instance_id.as_ref())?;
            Ok(member)
        }
    }
}

/// The member that asks, if it speaks the classic protocol and knows its epoch.
fn classic_member<'g>(
    group: &'g ConsumerGroup,
    member_id: &ByteString,
    instance_id: Option<&ByteString>,
    generation_id: i32,
) -> Result<&'g ConsumerGroupMember, ConsumerGroupError> {
    let member = group.validated_member(member_id, instance_id)?;
    if !member.uses_classic_protocol() {
        return Err(ConsumerGroupError::NotAClassicMember(member_id.clone()));
    }
    if member.member_epoch != generation_id {
        let (received, known) = (generation_id, member.member_epoch);
        return Err(ConsumerGroupError::IllegalGeneration { received, known });
    }
    Ok(member)
}

fn validate_protocol(
    member: &ConsumerGroupMember,
    request: &SyncGroupRequest,
) -> Result<(), ConsumerGroupError> {
    let other_type = request.protocol_type.as_ref().is_some_and(|given| *given != CONSUMER_PROTOCOL_TYPE);
    let first = member.classic_protocols().first().map(|protocol| &protocol.name);
    let other_name = request.protocol_name.is_some() && request.protocol_name.as_ref() != first;
    match other_type || other_name {
        true => Err(ConsumerGroupError::InconsistentGroupProtocol("the protocol is not the member's")),
        false => Ok(()),
    }
}

fn keep_session(work: &mut Work<'_>, member: &ConsumerGroupMember) {
    if let Some(timeout_ms) = member.classic_session_timeout_ms() {
        work.schedule_session(&member.member_id, timeout_ms);
    }
}

/// What the member has, in the version that it wrote its own subscription in.
fn assignment(
    member: &ConsumerGroupMember,
    metadata: &dyn CoordinatorMetadata,
) -> Result<Bytes, ConsumerGroupError> {
    let malformed = ConsumerGroupError::InconsistentGroupProtocol("the member's subscription cannot be read");
    let protocol = member.classic_protocols().first();
    let version = protocol.and_then(|protocol| subscription_version(&protocol.metadata).ok());
    let partitions = member.assigned_partitions.iter().map(|(topic_id, epochs)| (topic_id, epochs.keys()));
    let encoded = version.and_then(|version| encode_assignment(partitions, version, metadata).ok());
    encoded.ok_or(malformed)
}

#[cfg(test)]
#[path = "consumer_group_classic_test.rs"]
mod tests;
