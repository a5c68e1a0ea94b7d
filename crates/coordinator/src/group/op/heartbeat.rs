//! Heartbeat, versions 0 to 4.
//!
//! Errors: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS.

use ottla_common::ErrorCode;
use ottla_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use crate::group::classic::ClassicGroupState as State;
use crate::group::classic::rebalance::heartbeat_timer;
use crate::group::{GroupCoordinatorShard, GroupError, GroupResult};

impl GroupCoordinatorShard {
    /// A member says that it is alive.
    pub fn classic_group_heartbeat(
        &self,
        now_ms: i64,
        request: &HeartbeatRequest,
    ) -> Result<GroupResult<HeartbeatResponse>, GroupError> {
        if let Some(group) = self.live_consumer_group(&request.group_id) {
            return self.heartbeat_consumer_group(now_ms, group, request);
        }
        let member_id = &request.member_id;
        let group = self.classic_group(&request.group_id).ok_or(GroupError::UnknownMemberId)?;
        group.validate_member(member_id, request.group_instance_id.as_ref())?;
        if request.generation_id != group.generation_id() {
            return Err(GroupError::IllegalGeneration);
        }
        let error = match group.state() {
            State::Empty | State::Dead => return Err(GroupError::UnknownMemberId),
            State::PreparingRebalance => ErrorCode::RebalanceInProgress,
            // A member may heartbeat before it has its assignment: it is alive all the same.
            State::CompletingRebalance | State::Stable => ErrorCode::None,
        };
        let mut result =
            GroupResult::of(HeartbeatResponse { error_code: error.code(), ..Default::default() });
        if let Some(member) = group.member(member_id) {
            let (group_id, member_id) = (group.group_id().clone(), member.member_id.clone());
            result.timers.push(heartbeat_timer(now_ms, group_id, member_id, member.session_timeout_ms));
        }
        Ok(result)
    }
}

#[cfg(test)]
#[path = "heartbeat_test.rs"]
mod tests;
