//! Leaving a streams group: StreamsGroupHeartbeat with member epoch -1 or, of static members that will
//! be back, -2; and the ways to be made leave: silence, and holding on to tasks for too long.
//!
//! Errors: GROUP_ID_NOT_FOUND, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.

use std::sync::Arc;

use ottla_protocol::messages::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};

use crate::group::modern::LEAVE_GROUP_STATIC_MEMBER_EPOCH;
use crate::group::owned;
use crate::group::streams::soft_state::SoftChange;
use crate::group::streams::{
    StreamsDecision, StreamsGroup, StreamsGroupContext, StreamsGroupError, StreamsGroupHeartbeatResult,
    StreamsGroupMember, StreamsGroupRecord, StreamsGroupTimer, TasksTupleWithEpochs,
};
use crate::runtime::TimerChange;

impl StreamsGroupContext<'_> {
    pub(super) fn streams_group_leave(
        &self,
        request: &StreamsGroupHeartbeatRequest,
    ) -> Result<StreamsDecision<StreamsGroupHeartbeatResult>, StreamsGroupError> {
        let group = self.existing(&request.group_id)?;
        let member = leaving(group, request)?;
        let leaves_for_a_while =
            request.instance_id.is_some() && request.member_epoch == LEAVE_GROUP_STATIC_MEMBER_EPOCH;
        let mut decision = match leaves_for_a_while {
            true => StreamsDecision::with_records(vec![left_for_a_while(group, member)], ()),
            false => fence(group, member),
        };
        if request.shutdown_application {
            let who = SoftChange::ShutdownRequestedBy(owned(&request.member_id));
            decision.changes.push(self.change(group.group_id(), who));
        }
        let response = StreamsGroupHeartbeatResponse {
            member_id: request.member_id.clone(),
            member_epoch: request.member_epoch,
            ..Default::default()
        };
        Ok(decision.map(|()| StreamsGroupHeartbeatResult::of(group, response)))
    }
}

/// The member goes, and with it everything that it was to do: others get that.
pub(super) fn fence(group: &StreamsGroup, member: &StreamsGroupMember) -> StreamsDecision<()> {
    let group_id = group.group_id();
    let mut records = Vec::from(StreamsGroupRecord::member_tombstones(group_id, &member.member_id));
    let mut metadata = group.metadata_value();
    metadata.epoch = metadata.epoch.saturating_add(1);
    let epoch = metadata.epoch;
    records.push(group.metadata_record(metadata));
    if group.num_members() == 1 {
        // An empty group has nothing to assign; and nobody who comes next is to wait for the interval.
        records.push(StreamsGroupRecord::target_assignment_metadata(group_id, epoch, 0));
    }
    let mut decision = StreamsDecision::with_records(records, ());
    let (group_id, member_id) = (owned(group_id), owned(&member.member_id));
    let session = StreamsGroupTimer::Session { group_id: group_id.clone(), member_id: member_id.clone() };
    decision.timers.push(TimerChange::Cancel { key: session });
    decision.timers.push(TimerChange::Cancel { key: StreamsGroupTimer::Rebalance { group_id, member_id } });
    decision
}

fn leaving<'g>(
    group: &'g StreamsGroup,
    request: &StreamsGroupHeartbeatRequest,
) -> Result<&'g Arc<StreamsGroupMember>, StreamsGroupError> {
    let Some(instance_id) = &request.instance_id else { return group.member(&request.member_id) };
    let unknown = || StreamsGroupError::UnknownInstanceId(instance_id.clone());
    let member = group.static_member(instance_id).ok_or_else(unknown)?;
    if member.member_id != request.member_id {
        let (instance_id, owner) = (instance_id.clone(), member.member_id.clone());
        return Err(StreamsGroupError::FencedInstanceId { instance_id, owner });
    }
    Ok(member)
}

/// The member keeps its tasks until its session ends, for whoever comes with its instance id.
fn left_for_a_while(group: &StreamsGroup, member: &StreamsGroupMember) -> StreamsGroupRecord {
    let mut left = member.clone();
    left.member_epoch = LEAVE_GROUP_STATIC_MEMBER_EPOCH;
    left.tasks_pending_revocation = TasksTupleWithEpochs::default();
    left.assigned_tasks = left.assigned_tasks.with_epochs_reset();
    StreamsGroupRecord::current_assignment(group.group_id(), &left)
}

#[cfg(test)]
#[path = "streams_group_leave_test.rs"]
mod tests;
