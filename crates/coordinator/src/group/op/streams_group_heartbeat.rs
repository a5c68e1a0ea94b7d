//! StreamsGroupHeartbeat, versions 0 and 1 (KIP-1071).
//!
//! Errors: INVALID_REQUEST, STREAMS_INVALID_TOPOLOGY, GROUP_ID_NOT_FOUND, UNKNOWN_MEMBER_ID,
//! FENCED_MEMBER_EPOCH, UNRELEASED_INSTANCE_ID, FENCED_INSTANCE_ID, GROUP_MAX_SIZE_REACHED; and
//! UNKNOWN_SERVER_ERROR when an assignor fails, which Kafka's own never does with a member there.

use ottla_protocol::messages::StreamsGroupHeartbeatRequest;

use super::RequestContext;
use crate::group::owned;
use crate::group::streams::heartbeat::Heartbeat;
use crate::group::streams::heartbeat_validation::{JOIN_GROUP_MEMBER_EPOCH, validate};
use crate::group::streams::{
    StreamsDecision, StreamsGroup, StreamsGroupContext, StreamsGroupError, StreamsGroupHeartbeatResult,
};

impl StreamsGroupContext<'_> {
    /// A member joins, is there, or leaves.
    pub fn streams_group_heartbeat(
        &self,
        context: &RequestContext,
        request: &StreamsGroupHeartbeatRequest,
    ) -> Result<StreamsDecision<StreamsGroupHeartbeatResult>, StreamsGroupError> {
        validate(request)?;
        if request.member_epoch < JOIN_GROUP_MEMBER_EPOCH {
            return self.streams_group_leave(request);
        }
        let new;
        let group = match self.group {
            Some(group) => group,
            None if request.member_epoch == JOIN_GROUP_MEMBER_EPOCH => {
                new = StreamsGroup::new(owned(&request.group_id));
                &new
            }
            None => return Err(StreamsGroupError::GroupIdNotFound(request.group_id.clone())),
        };
        if request.member_epoch == JOIN_GROUP_MEMBER_EPOCH {
            self.refuse_when_full(group, request)?;
        }
        Heartbeat::decide(self, context, request, group)
    }

    /// Who takes the place of a static member makes the group no larger.
    fn refuse_when_full(
        &self,
        group: &StreamsGroup,
        request: &StreamsGroupHeartbeatRequest,
    ) -> Result<(), StreamsGroupError> {
        let max_size = self.config.max_size;
        let has_place = request.instance_id.as_ref().is_some_and(|id| group.static_member(id).is_some())
            || group.member(&request.member_id).is_ok()
            || group.num_members() < usize::try_from(max_size).unwrap_or(0);
        if has_place { Ok(()) } else { Err(StreamsGroupError::GroupMaxSizeReached(max_size)) }
    }
}

#[cfg(test)]
#[path = "streams_group_heartbeat_test.rs"]
mod tests;

#[cfg(test)]
#[path = "streams_group_assignment_test.rs"]
mod assignment_tests;
