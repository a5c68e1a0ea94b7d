//! Requests about share groups (KIP-932) on their way to the group, and what was decided on its way back.

use std::collections::BTreeSet;

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::share_group_describe_response::DescribedGroup;
use ottla_protocol::messages::{
    AlterShareGroupOffsetsRequest, DeleteShareGroupOffsetsRequest, DeleteShareGroupStateResponse,
    InitializeShareGroupStateRequest, InitializeShareGroupStateResponse, ShareGroupHeartbeatRequest,
    describe_share_group_offsets_request,
};

use super::share_group_alter_offsets::AlteredOffsets;
use super::share_group_delete::ShareGroupDeletion;
use super::share_group_delete_offsets::DeletedOffsets;
use super::share_group_describe_offsets::DescribedOffsets;
use super::share_group_heartbeat::ShareGroupHeartbeat;
use super::RequestContext;
use crate::group::share::{
    ShareChange, ShareDecision, ShareGroup, ShareGroupError, ShareGroupManager, ShareTimer, schedule_on_load,
};
use crate::group::timer::wrapped;
use crate::group::{
    Group, GroupChange, GroupContinuation, GroupCoordinatorShard, GroupRecord, GroupResult, GroupTimerEvent,
    GroupTimerKey,
};

impl GroupCoordinatorShard {
    /// A member says that it is alive, joins, changes what it reads, or leaves.
    pub fn share_group_heartbeat(
        &self,
        now_ms: i64,
        context: &RequestContext,
        request: &ShareGroupHeartbeatRequest,
    ) -> Result<GroupResult<ShareGroupHeartbeat>, ShareGroupError> {
        let group = Group::as_share(self.groups.get(&request.group_id));
        let decision =
            self.share_manager(now_ms, &request.group_id).share_group_heartbeat(group, context, request)?;
        let change = decision.response.change.clone();
        let mut result = folded_share(decision);
        result.changes.extend(change.map(|change| GroupChange::Share(request.group_id.clone(), change)));
        Ok(result)
    }

    /// What there is to know about a share group. To be asked of the committed state.
    pub fn share_group_describe(&self, now_ms: i64, group_id: &ByteString) -> DescribedGroup {
        let group = Group::as_share(self.groups.get(group_id));
        self.share_manager(now_ms, group_id).share_group_describe(group_id, group)
    }

    fn share_manager(&self, now_ms: i64, group_id: &ByteString) -> ShareGroupManager<'_> {
        ShareGroupManager {
            now_ms,
            config: &self.config.share,
            overrides: self.surroundings.overrides(group_id).share,
            metadata: &*self.surroundings.metadata,
        }
    }

    pub(in crate::group) fn on_share_group_timer(&self, now_ms: i64, timer: &ShareTimer) -> GroupResult<()> {
        let group_id = timer.group_id();
        let group = Group::as_share(self.groups.get(group_id));
        let (mut result, change) = {
            let decision = self.share_manager(now_ms, group_id).on_share_timer(group, timer);
            folded_share(decision).split_response()
        };
        result.changes.extend(change.map(|change| GroupChange::Share(group_id.clone(), change)));
        if !result.records.is_empty() {
            result.then = Some(GroupContinuation::Timer(GroupTimerEvent::Share(timer.clone())));
        }
        result
    }

    pub(in crate::group) fn on_share_group_loaded(
        &self,
        now_ms: i64,
        group: &ShareGroup,
        result: &mut GroupResult<()>,
    ) {
        let overrides = &self.surroundings.overrides(group.group_id()).share;
        let timers = schedule_on_load(now_ms, &self.config.share, overrides, group).into_iter();
        result.timers.extend(timers.map(|timer| wrapped(timer, GroupTimerKey::Share, GroupTimerEvent::Share)));
    }
}

fn folded_share<T>(decision: ShareDecision<T>) -> GroupResult<T> {
    let records = decision.records.into_iter().map(GroupRecord::Share).collect();
    let mut result = GroupResult::with_records(records, decision.response);
    let timers = decision.timers.into_iter();
    result.timers = timers.map(|timer| wrapped(timer, GroupTimerKey::Share, GroupTimerEvent::Share)).collect();
    result
}
