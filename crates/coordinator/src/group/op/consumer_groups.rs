//! Requests about consumer groups (KIP-848) on their way to the group, and what was decided on its way back.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_protocol::messages::consumer_group_describe_response::DescribedGroup;
use ottla_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatRequest, HeartbeatResponse,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest,
};

use super::{
    RequestContext, consumer_group_classic, consumer_group_describe, consumer_group_heartbeat,
    consumer_group_join, consumer_group_regex, consumer_group_timer,
};
use crate::group::classic::rebalance::sync_error;
use crate::group::consumer::{
    ConsumerGroup, ConsumerGroupContext, ConsumerGroupError, ConsumerGroupResult, ConsumerGroupTimerEvent,
    Conversion, RegexResolution, ResolvedRegularExpression,
};
use crate::group::timer::wrapped;
use crate::group::{
    Group, GroupChange, GroupContinuation, GroupCoordinatorShard, GroupError, GroupRecord, GroupReply,
    GroupResult, GroupTimerEvent, GroupTimerKey,
};
use crate::runtime::Token;

/// What a heartbeat leads to.
#[derive(Debug)]
pub struct ConsumerGroupHeartbeat {
    /// The answer.
    pub response: ConsumerGroupHeartbeatResponse,
    /// Topics to look for, beside: the member does not wait for it.
    pub resolve: Option<RegexResolution>,
}

/// Requests of the consumer protocol.
impl GroupCoordinatorShard {
    /// A member joins, says that it is alive, tells what it reads and has, or leaves. `uuid` is random.
    pub fn consumer_group_heartbeat(
        &self,
        now_ms: i64,
        context: &RequestContext,
        request: &ConsumerGroupHeartbeatRequest,
        uuid: Uuid,
    ) -> Result<GroupResult<ConsumerGroupHeartbeat>, ConsumerGroupError> {
        let group_id = &request.group_id;
        let existing = Group::as_consumer(self.groups.get(group_id));
        let result = self.in_consumer_group(now_ms, group_id, |consumer| {
            consumer_group_heartbeat::consumer_group_heartbeat(consumer, context, existing, request, uuid)
        })?;
        let (mut result, resolve) = self.folded(group_id, result);
        if resolve.is_some() {
            result.changes.push(GroupChange::Resolving(group_id.clone(), true));
        }
        let (rest, response) = result.split_response();
        Ok(rest.with_response(ConsumerGroupHeartbeat { response, resolve }))
    }

    /// What there is to know about a consumer group. To be asked of the committed state.
    pub fn consumer_group_describe(&self, group_id: &ByteString) -> DescribedGroup {
        let existing = Group::as_consumer(self.groups.get(group_id));
        let metadata = &*self.surroundings.metadata;
        consumer_group_describe::consumer_group_describe(&self.config.consumer, metadata, group_id, existing)
    }

    /// Somebody looked for the topics that a group's expressions match; `None` when that failed.
    pub fn on_regular_expressions_resolved(
        &self,
        now_ms: i64,
        group_id: &ByteString,
        resolved: Option<BTreeMap<ByteString, ResolvedRegularExpression>>,
    ) -> GroupResult<()> {
        let mut result = match (resolved, self.groups.get(group_id)) {
            (Some(resolved), Some(Group::Consumer(group))) => {
                let result = self.in_consumer_group(now_ms, group_id, |consumer| {
                    consumer_group_regex::on_regular_expressions_resolved(consumer, group, resolved)
                });
                self.folded(group_id, result).0
            }
            _ => GroupResult::of(()),
        };
        result.changes.push(GroupChange::Resolving(group_id.clone(), false));
        result
    }

    pub(in crate::group) fn on_consumer_group_timer(
        &self,
        now_ms: i64,
        event: &ConsumerGroupTimerEvent,
    ) -> GroupResult<()> {
        let group_id = event.timer.group_id();
        let Some(Group::Consumer(group)) = self.groups.get(group_id) else { return GroupResult::of(()) };
        let result = self.in_consumer_group(now_ms, group_id, |consumer| {
            consumer_group_timer::on_consumer_group_timer(consumer, group, event)
        });
        let (mut result, _) = self.folded(group_id, result);
        if !result.records.is_empty() && result.then.is_none() {
            result.then = Some(GroupContinuation::Timer(GroupTimerEvent::Consumer(event.clone())));
        }
        result
    }

    pub(in crate::group) fn on_consumer_group_loaded(
        &self,
        now_ms: i64,
        group: &ConsumerGroup,
        result: &mut GroupResult<()>,
    ) {
        let group_id = group.group_id();
        let loaded = self.in_consumer_group(now_ms, group_id, |consumer| {
            consumer_group_timer::on_consumer_group_loaded(consumer, group)
        });
        let (folded, _) = self.folded(group_id, loaded);
        result.timers.extend(folded.timers);
        result.changes.extend(folded.changes);
    }
}

/// Requests of the classic protocol, by members of a consumer group.
impl GroupCoordinatorShard {
    /// The consumer group of this id, if classic members can be in it.
    pub(super) fn live_consumer_group(&self, group_id: &ByteString) -> Option<&Arc<ConsumerGroup>> {
        match self.groups.get(group_id)? {
            Group::Consumer(group) if !group.is_empty() => Some(group),
            _ => None,
        }
    }

    pub(super) fn join_consumer_group(
        &self,
        now_ms: i64,
        context: &RequestContext,
        group: &ConsumerGroup,
        request: &JoinGroupRequest,
        uuid: Uuid,
        token: Token,
    ) -> GroupResult<()> {
        let result = self.in_consumer_group(now_ms, group.group_id(), |consumer| {
            consumer_group_join::consumer_group_join(consumer, context, group, request, uuid)
        });
        match result {
            Ok(result) => self.answered(group.group_id(), result.map(GroupReply::Join), token),
            Err(error) => {
                let error_code = error.code().code();
                refused(token, GroupReply::Join(JoinGroupResponse { error_code, ..Default::default() }))
            }
        }
    }

    pub(super) fn sync_consumer_group(
        &self,
        now_ms: i64,
        group: &ConsumerGroup,
        request: &SyncGroupRequest,
        token: Token,
    ) -> GroupResult<()> {
        let result = self.in_consumer_group(now_ms, group.group_id(), |consumer| {
            consumer_group_classic::consumer_group_sync(consumer, group, request)
        });
        match result {
            Ok(result) => self.answered(group.group_id(), result.map(GroupReply::Sync), token),
            Err(error) => refused(token, GroupReply::Sync(sync_error(error.code()))),
        }
    }

    pub(super) fn heartbeat_consumer_group(
        &self,
        now_ms: i64,
        group: &ConsumerGroup,
        request: &HeartbeatRequest,
    ) -> Result<GroupResult<HeartbeatResponse>, GroupError> {
        let result = self.in_consumer_group(now_ms, group.group_id(), |consumer| {
            consumer_group_classic::consumer_group_classic_heartbeat(consumer, group, request)
        });
        Ok(self.folded(group.group_id(), result?).0)
    }

    pub(super) fn leave_consumer_group(
        &self,
        now_ms: i64,
        group: &ConsumerGroup,
        request: &LeaveGroupRequest,
    ) -> GroupResult<LeaveGroupResponse> {
        let result = self.in_consumer_group(now_ms, group.group_id(), |consumer| {
            consumer_group_classic::consumer_group_leave(consumer, group, request)
        });
        self.folded(group.group_id(), result).0
    }

    /// The answer waits until all that it tells of is committed, also what was written before.
    fn answered(
        &self,
        group_id: &ByteString,
        result: ConsumerGroupResult<GroupReply>,
        token: Token,
    ) -> GroupResult<()> {
        let (result, reply) = self.folded(group_id, result).0.split_response();
        let answer = GroupContinuation::Answer { token, reply };
        let then = match result.then {
            Some(GroupContinuation::Downgrade { group, then: None }) => {
                GroupContinuation::Downgrade { group, then: Some(Box::new(answer)) }
            }
            _ => answer,
        };
        GroupResult { then: Some(then), ..result }
    }
}

impl GroupCoordinatorShard {
    /// Decides something with all that a decision about this consumer group may look at.
    fn in_consumer_group<T>(
        &self,
        now_ms: i64,
        group_id: &ByteString,
        decide: impl FnOnce(&ConsumerGroupContext<'_>) -> T,
    ) -> T {
        let surroundings = &self.surroundings;
        decide(&ConsumerGroupContext {
            now_ms,
            config: &self.config.consumer.for_group(&surroundings.overrides(group_id).consumer),
            classic_config: &self.config,
            metadata: &*surroundings.metadata,
            new_topics_version: surroundings.new_topics_version,
            is_resolving: surroundings.resolving.contains(group_id),
        })
    }

    /// What a consumer group decided, in the words of the shard.
    fn folded<T>(
        &self,
        group_id: &ByteString,
        result: ConsumerGroupResult<T>,
    ) -> (GroupResult<T>, Option<RegexResolution>) {
        let ConsumerGroupResult { decision, changes, replies, conversion, resolve } = result;
        let records = decision.records.into_iter().map(GroupRecord::Consumer).collect();
        let mut folded = GroupResult::with_records(records, decision.response);
        let timers = decision.timers.into_iter();
        folded.timers =
            timers.map(|timer| wrapped(timer, GroupTimerKey::Consumer, GroupTimerEvent::Consumer)).collect();
        folded.changes =
            changes.into_iter().map(|change| GroupChange::Consumer(group_id.clone(), change)).collect();
        folded.replies = replies;
        match conversion {
            None => {}
            Some(Conversion::FromClassic) => folded.records.insert(0, GroupRecord::group_tombstone(group_id)),
            Some(Conversion::ToClassic(classic)) => self.downgrade(group_id, *classic, &mut folded),
        }
        (folded, resolve)
    }

    fn downgrade<T>(&self, group_id: &ByteString, classic: GroupResult<()>, folded: &mut GroupResult<T>) {
        folded.records.extend(classic.records);
        folded.timers.extend(classic.timers);
        folded.changes.extend(classic.changes);
        folded.replies.extend(classic.replies);
        folded.replay = false;
        folded.then = match self.groups.get(group_id) {
            Some(Group::Consumer(group)) => Some(GroupContinuation::Downgrade {
                group: Arc::clone(group),
                then: classic.then.map(Box::new),
            }),
            _ => classic.then,
        };
    }
}

fn refused(token: Token, reply: GroupReply) -> GroupResult<()> {
    let mut result = GroupResult::of(());
    result.replies.push((token, reply));
    result
}
