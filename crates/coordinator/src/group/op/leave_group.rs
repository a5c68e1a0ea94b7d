//! LeaveGroup, versions 0 to 5.
//!
//! Errors, each member its own: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::leave_group_response::MemberResponse;
use ottla_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use crate::group::classic::ClassicGroupState as State;
use crate::group::classic::rebalance::Rebalance;
use crate::group::{GroupCoordinatorShard, GroupError, GroupResult};

impl GroupCoordinatorShard {
    /// Members leave, or an administrator shows static members the door.
    pub fn classic_group_leave(
        &self,
        now_ms: i64,
        request: &LeaveGroupRequest,
    ) -> GroupResult<LeaveGroupResponse> {
        if let Some(group) = self.live_consumer_group(&request.group_id) {
            return self.leave_consumer_group(now_ms, group, request);
        }
        let Some(group) = self.classic_group(&request.group_id) else {
            let unknown = |member: &MemberIdentity| respond(member, Err(GroupError::UnknownMemberId));
            let members = request.members.iter().map(unknown).collect();
            return GroupResult::of(LeaveGroupResponse { members, ..Default::default() });
        };
        let mut rebalance = self.rebalance(now_ms, group);
        let mut anybody_left = false;
        let mut members = Vec::with_capacity(request.members.len());
        for member in &request.members {
            let outcome = leave(&mut rebalance, member);
            anybody_left |= outcome.is_ok();
            members.push(respond(member, outcome));
        }
        let response = LeaveGroupResponse { members, ..Default::default() };
        if !anybody_left {
            return GroupResult::of(response);
        }
        match rebalance.group.state() {
            State::Stable | State::CompletingRebalance => {
                rebalance.maybe_prepare_rebalance_or_complete_join();
            }
            State::PreparingRebalance => rebalance.maybe_complete_join_phase(),
            State::Empty | State::Dead => {}
        }
        rebalance.decided(response)
    }
}

fn leave(rebalance: &mut Rebalance<'_>, member: &MemberIdentity) -> Result<(), GroupError> {
    let member_id = leaving_member_id(rebalance, member)?;
    rebalance.cancel_heartbeat(&member_id);
    rebalance.remove_member(&member_id);
    Ok(())
}

/// Who it is that leaves. An administrator knows static members by their instance id only.
fn leaving_member_id(rebalance: &Rebalance<'_>, member: &MemberIdentity) -> Result<ByteString, GroupError> {
    let group = &rebalance.group;
    let instance_id = member.group_instance_id.as_ref();
    if member.member_id.is_empty() {
        let known = instance_id.and_then(|id| group.static_members.get(id));
        return known.cloned().ok_or(GroupError::UnknownMemberId);
    }
    if !group.pending_join_members.contains(&member.member_id) {
        group.validate_member(&member.member_id, instance_id)?;
    }
    Ok(member.member_id.clone())
}

fn respond(member: &MemberIdentity, outcome: Result<(), GroupError>) -> MemberResponse {
    MemberResponse {
        member_id: member.member_id.clone(),
        group_instance_id: member.group_instance_id.clone(),
        error_code: outcome.map_or_else(GroupError::code, |()| ErrorCode::None).code(),
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "leave_group_test.rs"]
mod tests;
