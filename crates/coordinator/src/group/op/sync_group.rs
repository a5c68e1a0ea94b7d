//! SyncGroup, versions 0 to 5.
//!
//! Errors: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL,
//! REBALANCE_IN_PROGRESS.

use std::collections::BTreeMap;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_protocol::messages::SyncGroupRequest;

use crate::group::classic::rebalance::{Rebalance, sync_error};
use crate::group::classic::{ClassicGroup, ClassicGroupMember, ClassicGroupState as State};
use crate::group::{GroupContinuation, GroupCoordinatorShard, GroupError, GroupReply, GroupResult};
use crate::runtime::Token;

impl GroupCoordinatorShard {
    /// A member asks what it is to do; the leader says what everybody is to do. The answer comes
    /// under `token`: at once in the result's replies, or in those of a later decision.
    pub fn classic_group_sync(
        &self,
        now_ms: i64,
        request: &SyncGroupRequest,
        token: Token,
    ) -> GroupResult<()> {
        if let Some(group) = self.live_consumer_group(&request.group_id) {
            return self.sync_consumer_group(now_ms, group, request, token);
        }
        let group = self.classic_group(&request.group_id).filter(|group| !group.is_empty());
        let Some(group) = group else { return refused(token, GroupError::UnknownMemberId) };
        if let Err(error) = validate(group, request) {
            return refused(token, error);
        }
        let mut rebalance = self.rebalance(now_ms, group);
        match group.state() {
            State::PreparingRebalance => return refused(token, GroupError::RebalanceInProgress),
            State::CompletingRebalance => sync(&mut rebalance, request, token),
            State::Stable => {
                rebalance.remove_pending_sync_member(&request.member_id);
                let response = rebalance.synced(&request.member_id);
                rebalance.answer_sync(token, response);
            }
            State::Empty | State::Dead => return refused(token, GroupError::UnknownMemberId),
        }
        rebalance.decided(())
    }
}

/// Parks the member; a leader's assignment goes into the log before anybody hears of it.
fn sync(rebalance: &mut Rebalance<'_>, request: &SyncGroupRequest, token: Token) {
    let member_id = &request.member_id;
    // A request that the client sent before, and seems to have given up on, is let go.
    rebalance.complete_sync(member_id, sync_error(GroupError::RebalanceInProgress.code()));
    rebalance.group.update_member(member_id, |member| member.awaiting_sync = Some(token));
    rebalance.remove_pending_sync_member(member_id);
    if !rebalance.group.is_leader(member_id) {
        return;
    }
    let assignment = assignment(&rebalance.group, request);
    let of_member =
        |member: &ClassicGroupMember| assignment.get(&member.member_id).cloned().unwrap_or_default();
    rebalance.records.push(rebalance.group.to_record(of_member));
    rebalance.then = Some(GroupContinuation::Assignment {
        group_id: rebalance.group.group_id().clone(),
        generation_id: rebalance.group.generation_id(),
        assignment,
    });
}

/// What the leader assigns to each member, freed from the request's frame. The last word counts.
fn assignment(group: &ClassicGroup, request: &SyncGroupRequest) -> BTreeMap<ByteString, Bytes> {
    let mut assignment: BTreeMap<_, _> =
        group.members().map(|member| (member.member_id.clone(), Bytes::new())).collect();
    for assigned in &request.assignments {
        if let Some(of_member) = assignment.get_mut(&assigned.member_id) {
            *of_member = Bytes::copy_from_slice(&assigned.assignment);
        }
    }
    assignment
}

fn validate(group: &ClassicGroup, request: &SyncGroupRequest) -> Result<(), GroupError> {
    group.validate_member(&request.member_id, request.group_instance_id.as_ref())?;
    if request.generation_id != group.generation_id() {
        return Err(GroupError::IllegalGeneration);
    }
    let differ = |theirs: &Option<ByteString>, ours: &Option<ByteString>| {
        theirs.is_some() && ours.is_some() && theirs != ours
    };
    if differ(&request.protocol_type, &group.protocol_type)
        || differ(&request.protocol_name, &group.protocol_name)
    {
        return Err(GroupError::InconsistentGroupProtocol);
    }
    Ok(())
}

fn refused(token: Token, error: GroupError) -> GroupResult<()> {
    let mut result = GroupResult::of(());
    result.replies.push((token, GroupReply::Sync(sync_error(error.code()))));
    result
}

#[cfg(test)]
#[path = "sync_group_test.rs"]
mod tests;
