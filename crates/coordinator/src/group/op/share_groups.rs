//! Requests about share groups (KIP-932) on their way to the group, and what was decided on its way back.

use std::collections::BTreeSet;

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
use ottla_protocol::messages::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
use ottla_protocol::messages::share_group_describe_response::DescribedGroup;
use ottla_protocol::messages::{
    AlterShareGroupOffsetsRequest, DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse,
    DeleteShareGroupStateResponse, InitializeShareGroupStateRequest, InitializeShareGroupStateResponse,
    ShareGroupHeartbeatRequest,
};

use super::RequestContext;
use super::share_group_alter_offsets::AlteredOffsets;
use super::share_group_delete::ShareGroupDeletion;
use super::share_group_delete_offsets::DeletedOffsets;
use super::share_group_describe_offsets::DescribedOffsets;
use super::share_group_heartbeat::ShareGroupHeartbeat;
use crate::group::share::{
    ShareDecision, ShareGroup, ShareGroupError, ShareGroupManager, ShareTimer, schedule_on_load,
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
        let change = decision.response.change;
        let mut result = folded_share(decision);
        result.changes.extend(change.map(|change| GroupChange::Share(request.group_id.clone(), change)));
        Ok(result)
    }

    /// What there is to know about a share group. To be asked of the committed state.
    pub fn share_group_describe(&self, now_ms: i64, group_id: &ByteString) -> DescribedGroup {
        let group = Group::as_share(self.groups.get(group_id));
        self.share_manager(now_ms, group_id).share_group_describe(group_id, group)
    }

    /// How far a share group is: the first of three steps. To be asked of the committed state.
    pub fn describe_share_group_offsets(
        &self,
        now_ms: i64,
        request: &DescribeShareGroupOffsetsRequestGroup,
    ) -> DescribedOffsets {
        let group = Group::as_share(self.groups.get(&request.group_id));
        self.share_manager(now_ms, &request.group_id).describe_share_group_offsets(group, request)
    }

    /// An empty share group is to begin anew at other offsets.
    pub fn alter_share_group_offsets(
        &self,
        now_ms: i64,
        request: &AlterShareGroupOffsetsRequest,
    ) -> Result<GroupResult<AlteredOffsets>, ShareGroupError> {
        let group = Group::as_share(self.groups.get(&request.group_id));
        let manager = self.share_manager(now_ms, &request.group_id);
        manager.alter_share_group_offsets(group, request).map(folded_share)
    }

    /// An empty share group is to forget topics.
    pub fn initiate_delete_share_group_offsets(
        &self,
        now_ms: i64,
        request: &DeleteShareGroupOffsetsRequest,
    ) -> Result<GroupResult<DeletedOffsets>, ShareGroupError> {
        let group = Group::as_share(self.groups.get(&request.group_id));
        let manager = self.share_manager(now_ms, &request.group_id);
        manager.initiate_delete_share_group_offsets(group, request).map(folded_share)
    }

    /// The share coordinator forgot topics, or could not. `errors` are those of the first half.
    pub fn complete_delete_share_group_offsets(
        &self,
        now_ms: i64,
        group_id: &ByteString,
        deleted: &DeleteShareGroupStateResponse,
        errors: Vec<DeleteShareGroupOffsetsResponseTopic>,
    ) -> GroupResult<DeleteShareGroupOffsetsResponse> {
        let group = Group::as_share(self.groups.get(group_id));
        let manager = self.share_manager(now_ms, group_id);
        folded_share(manager.complete_delete_share_group_offsets(group, deleted, errors))
    }

    /// What comes before the deletion of a group, should it be a share group.
    pub fn share_group_deletion(
        &self,
        now_ms: i64,
        group_id: &ByteString,
    ) -> GroupResult<ShareGroupDeletion> {
        let group = Group::as_share(self.groups.get(group_id));
        folded_share(self.share_manager(now_ms, group_id).share_group_deletion(group_id, group))
    }
}

/// What becomes of the partitions' states.
impl GroupCoordinatorShard {
    /// The share coordinator answered a request to initialize partitions. Gives the first error.
    pub fn on_share_group_state_initialized(
        &self,
        now_ms: i64,
        group_id: &ByteString,
        response: &InitializeShareGroupStateResponse,
    ) -> GroupResult<ErrorCode> {
        let group = Group::as_share(self.groups.get(group_id));
        folded_share(self.share_manager(now_ms, group_id).share_group_state_initialized(group, response))
    }

    /// The share coordinator did not answer, or the group could not note its answer.
    pub fn on_share_group_state_not_initialized(
        &self,
        now_ms: i64,
        request: &InitializeShareGroupStateRequest,
    ) -> GroupResult<()> {
        let group = Group::as_share(self.groups.get(&request.group_id));
        let manager = self.share_manager(now_ms, &request.group_id);
        folded_share(manager.share_group_state_not_initialized(group, request))
    }

    /// These topics are gone: no share group has them any more.
    pub fn cleanup_share_group_state(&self, now_ms: i64, topic_ids: &BTreeSet<Uuid>) -> GroupResult<()> {
        let mut result = GroupResult::of(());
        for (group_id, group) in self.groups.iter() {
            let manager = self.share_manager(now_ms, group_id);
            let cleaned =
                folded_share(manager.cleanup_share_group_state(Group::as_share(Some(group)), topic_ids));
            result.records.extend(cleaned.records);
            result.timers.extend(cleaned.timers);
        }
        result
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
        result
            .timers
            .extend(timers.map(|timer| wrapped(timer, GroupTimerKey::Share, GroupTimerEvent::Share)));
    }
}

fn folded_share<T>(decision: ShareDecision<T>) -> GroupResult<T> {
    let records = decision.records.into_iter().map(GroupRecord::Share).collect();
    let mut result = GroupResult::with_records(records, decision.response);
    let timers = decision.timers.into_iter();
    result.timers =
        timers.map(|timer| wrapped(timer, GroupTimerKey::Share, GroupTimerEvent::Share)).collect();
    result
}
