//! Requests about streams groups (KIP-1071) on their way to the group, and what was decided on its way back.

use bytestring::ByteString;
use ottla_protocol::messages::StreamsGroupHeartbeatRequest;
use ottla_protocol::messages::streams_group_describe_response::DescribedGroup;

use super::RequestContext;
use super::streams_group_describe::streams_group_describe_error;
use crate::group::streams::{
    StreamsDecision, StreamsGroup, StreamsGroupContext, StreamsGroupError, StreamsGroupHeartbeatResult,
    StreamsGroupTimer,
};
use crate::group::timer::wrapped;
use crate::group::{
    Group, GroupChange, GroupContinuation, GroupCoordinatorShard, GroupRecord, GroupResult, GroupTimerEvent,
    GroupTimerKey,
};

impl GroupCoordinatorShard {
    /// A member joins, says that it is alive, tells of its topology and its tasks, or leaves.
    pub fn streams_group_heartbeat(
        &self,
        now_ms: i64,
        context: &RequestContext,
        request: &StreamsGroupHeartbeatRequest,
    ) -> Result<GroupResult<StreamsGroupHeartbeatResult>, StreamsGroupError> {
        let group_id = &request.group_id;
        let joins = request.member_epoch == 0;
        let (group, makes_way) = match self.groups.get(group_id) {
            None => (None, false),
            Some(Group::Streams(group)) => (Some(&**group), false),
            // A classic group without members makes way for one that has some.
            Some(Group::Classic(group)) if joins && group.is_empty() => (None, true),
            Some(Group::Classic(_) | Group::Consumer(_) | Group::Share(_)) => {
                return Err(StreamsGroupError::NotAStreamsGroup(group_id.clone()));
            }
        };
        let decision = self.in_streams_group(now_ms, group_id, group, |streams| {
            streams.streams_group_heartbeat(context, request)
        })?;
        let mut result = folded_streams(decision);
        if makes_way && !result.records.is_empty() {
            result.records.insert(0, GroupRecord::group_tombstone(group_id));
        }
        Ok(result)
    }

    /// What there is to know about a streams group. To be asked of the committed state.
    pub fn streams_group_describe(&self, now_ms: i64, group_id: &ByteString) -> DescribedGroup {
        let group = match self.groups.get(group_id) {
            None => None,
            Some(Group::Streams(group)) => Some(&**group),
            Some(Group::Classic(_) | Group::Consumer(_) | Group::Share(_)) => {
                let error = StreamsGroupError::NotAStreamsGroup(group_id.clone());
                return streams_group_describe_error(group_id, &error);
            }
        };
        self.in_streams_group(now_ms, group_id, group, |streams| streams.streams_group_describe(group_id))
    }

    pub(in crate::group) fn on_streams_group_timer(
        &self,
        now_ms: i64,
        timer: &StreamsGroupTimer,
    ) -> GroupResult<()> {
        let group_id = timer.group_id();
        let group = self.streams_group(group_id);
        let decision = self.in_streams_group(now_ms, group_id, group, |streams| streams.on_timer(timer));
        let mut result = folded_streams(decision);
        if !result.records.is_empty() {
            result.then = Some(GroupContinuation::Timer(GroupTimerEvent::Streams(timer.clone())));
        }
        result
    }

    pub(in crate::group) fn on_streams_group_loaded(
        &self,
        now_ms: i64,
        group: &StreamsGroup,
        result: &mut GroupResult<()>,
    ) {
        let timers =
            self.in_streams_group(now_ms, group.group_id(), Some(group), |streams| streams.on_loaded());
        let timers = timers.into_iter();
        result
            .timers
            .extend(timers.map(|timer| wrapped(timer, GroupTimerKey::Streams, GroupTimerEvent::Streams)));
    }

    fn streams_group(&self, group_id: &ByteString) -> Option<&StreamsGroup> {
        match self.groups.get(group_id)? {
            Group::Streams(group) => Some(group),
            Group::Classic(_) | Group::Consumer(_) | Group::Share(_) => None,
        }
    }

    fn in_streams_group<T>(
        &self,
        now_ms: i64,
        group_id: &ByteString,
        group: Option<&StreamsGroup>,
        decide: impl FnOnce(&StreamsGroupContext<'_>) -> T,
    ) -> T {
        let surroundings = &self.surroundings;
        decide(&StreamsGroupContext {
            now_ms,
            config: &self.config.streams.of_group(&surroundings.overrides(group_id).streams),
            metadata: &*surroundings.metadata,
            group,
            soft: surroundings.streams.of(group_id),
        })
    }
}

fn folded_streams<T>(decision: StreamsDecision<T>) -> GroupResult<T> {
    let StreamsDecision { records, response, timers, changes } = decision;
    let records = records.into_iter().map(GroupRecord::Streams).collect();
    let mut result = GroupResult::with_records(records, response);
    let timers = timers.into_iter();
    result.timers =
        timers.map(|timer| wrapped(timer, GroupTimerKey::Streams, GroupTimerEvent::Streams)).collect();
    result.changes = changes.into_iter().map(GroupChange::Streams).collect();
    result
}
