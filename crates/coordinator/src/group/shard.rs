use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::JoinGroupResponse;
use rpds::RedBlackTreeMapSync;

use super::classic::rebalance::{Rebalance, heartbeat_timer, sync_error};
use super::classic::{ClassicGroup, ClassicGroupState};
use super::offsets::Offsets;
use super::surroundings::Surroundings;
use super::{
    Group, GroupChange, GroupContinuation, GroupCoordinatorConfig, GroupRecord, GroupReply, GroupTimerEvent,
    GroupTimerKey,
};
use crate::runtime::{CoordinatorResult, CoordinatorShard, LogEntry, TimerChange, Token, TransactionResult};

/// What the group coordinator decides.
pub type GroupResult<T> = CoordinatorResult<T, GroupCoordinatorShard>;

/// How long a timer of a newer protocol's group waits when what it led to was refused.
const RETRY_MS: i64 = 500;

/// The groups and offsets of one partition of `__consumer_offsets`.
#[derive(Debug, Clone)]
pub struct GroupCoordinatorShard {
    pub(super) config: Arc<GroupCoordinatorConfig>,
    pub(super) groups: RedBlackTreeMapSync<ByteString, Group>,
    pub(super) offsets: Offsets,
    pub(super) surroundings: Surroundings,
}

impl GroupCoordinatorShard {
    /// A shard that knows nothing yet.
    pub fn new(config: Arc<GroupCoordinatorConfig>) -> Self {
        Self {
            config,
            groups: RedBlackTreeMapSync::new_sync(),
            offsets: Offsets::default(),
            surroundings: Surroundings::default(),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &GroupCoordinatorConfig {
        &self.config
    }

    /// The group of this id, of whatever protocol.
    pub fn group(&self, group_id: &ByteString) -> Option<&Group> {
        self.groups.get(group_id)
    }

    /// Every group.
    pub fn groups(&self) -> impl Iterator<Item = (&ByteString, &Group)> {
        self.groups.iter()
    }

    /// The classic group of this id.
    pub fn classic_group(&self, group_id: &ByteString) -> Option<&ClassicGroup> {
        match self.groups.get(group_id)? {
            Group::Classic(group) => Some(group),
            Group::Consumer(_) | Group::Share(_) | Group::Streams(_) => None,
        }
    }

    pub(super) fn rebalance(&self, now_ms: i64, group: &ClassicGroup) -> Rebalance<'_> {
        Rebalance::of(&self.config, now_ms, group.clone())
    }
}

impl CoordinatorShard for GroupCoordinatorShard {
    type Record = GroupRecord;
    type Change = GroupChange;
    type Reply = GroupReply;
    type Effect = Infallible;
    type Continuation = GroupContinuation;
    type TimerKey = GroupTimerKey;
    type TimerEvent = GroupTimerEvent;

    fn encode(record: &GroupRecord) -> Result<LogEntry, ErrorCode> {
        let (key, value) = record.encode().map_err(|_| ErrorCode::UnknownServerError)?;
        Ok(LogEntry { key, value })
    }

    fn replay(&mut self, offset: i64, producer_id: i64, record: &GroupRecord) {
        self.replay_record(offset, producer_id, record);
    }

    fn replay_end_transaction_marker(&mut self, producer_id: i64, result: TransactionResult) {
        self.offsets.replay_end_transaction_marker(producer_id, result);
    }

    fn apply(&mut self, change: GroupChange) {
        match change {
            GroupChange::Put(group) => {
                self.groups.insert_mut(group.group_id().clone(), Group::Classic(Arc::new(*group)));
            }
            GroupChange::PutConsumer(group) => {
                self.groups.insert_mut(group.group_id().clone(), Group::Consumer(group));
            }
            GroupChange::Remove(group_id) => {
                self.groups.remove_mut(&group_id);
            }
            GroupChange::Consumer(group_id, change) => {
                if let Some(Group::Consumer(group)) = self.groups.get_mut(&group_id) {
                    Arc::make_mut(group).apply(&change);
                }
            }
            GroupChange::Share(group_id, change) => {
                if let Some(Group::Share(group)) = self.groups.get_mut(&group_id) {
                    Arc::make_mut(group).apply(change);
                }
            }
            GroupChange::Streams(change) => self.surroundings.streams.apply(change),
            GroupChange::Resolving(group_id, true) => self.surroundings.resolving.insert_mut(group_id),
            GroupChange::Resolving(group_id, false) => {
                self.surroundings.resolving.remove_mut(&group_id);
            }
            GroupChange::Metadata { metadata, has_new_topics, changed } => {
                self.take_metadata(metadata, has_new_topics, &changed);
            }
            GroupChange::Overrides(group_id, overrides) => {
                self.surroundings.set_overrides(group_id, overrides);
            }
        }
    }

    fn on_timer(&self, now_ms: i64, event: &GroupTimerEvent) -> GroupResult<()> {
        let on_group = |group_id, work: &dyn Fn(&mut Rebalance<'_>)| {
            let Some(group) = self.classic_group(group_id) else { return GroupResult::of(()) };
            let mut rebalance = self.rebalance(now_ms, group);
            work(&mut rebalance);
            rebalance.decided(())
        };
        match event {
            GroupTimerEvent::ExpireMember { group_id, member_id } => {
                on_group(group_id, &|rebalance| rebalance.expire_member(member_id))
            }
            GroupTimerEvent::CompleteJoin { group_id } => on_group(group_id, &|r| r.complete_join_phase()),
            GroupTimerEvent::InitialRebalance { group_id, delay_ms, remaining_ms } => {
                on_group(group_id, &|r| r.try_complete_initial_rebalance(*delay_ms, *remaining_ms))
            }
            GroupTimerEvent::ExpirePendingSync { group_id, generation_id } => {
                on_group(group_id, &|rebalance| rebalance.expire_pending_sync(*generation_id))
            }
            GroupTimerEvent::ExpireOffsets => self.cleanup_group_metadata(now_ms),
            GroupTimerEvent::Consumer(timer) => self.on_consumer_group_timer(now_ms, timer),
            GroupTimerEvent::Share(timer) => self.on_share_group_timer(now_ms, timer),
            GroupTimerEvent::Streams(timer) => self.on_streams_group_timer(now_ms, timer),
        }
    }

    fn on_append(
        &self,
        now_ms: i64,
        then: GroupContinuation,
        outcome: Result<(), ErrorCode>,
    ) -> GroupResult<()> {
        match then {
            GroupContinuation::EmptyGroup => GroupResult::of(()),
            GroupContinuation::NewGroup { group_id } => self.after_new_group(&group_id, outcome),
            GroupContinuation::Assignment { group_id, generation_id, assignment } => {
                self.after_assignment(now_ms, &group_id, generation_id, &assignment, outcome)
            }
            GroupContinuation::StaticMember { .. } => self.after_static_member(now_ms, then, outcome),
            GroupContinuation::Answer { token, reply } => answer(token, reply, outcome),
            GroupContinuation::Downgrade { group, then } => {
                let mut result = match then {
                    Some(then) => self.on_append(now_ms, *then, outcome),
                    None => GroupResult::of(()),
                };
                if outcome.is_err() {
                    result.changes.push(GroupChange::PutConsumer(group));
                }
                result
            }
            GroupContinuation::Timer(event) => retry(now_ms, event, outcome),
        }
    }

    fn on_loaded(&self, now_ms: i64) -> GroupResult<()> {
        let mut result = GroupResult::of(());
        for group in self.groups.values() {
            match group {
                Group::Classic(group) => self.on_classic_group_loaded(now_ms, group, &mut result),
                Group::Consumer(group) => self.on_consumer_group_loaded(now_ms, group, &mut result),
                Group::Share(group) => self.on_share_group_loaded(now_ms, group, &mut result),
                Group::Streams(group) => self.on_streams_group_loaded(now_ms, group, &mut result),
            }
        }
        result.timers.push(self.schedule_expiration(now_ms));
        result
    }

    fn on_unloaded(&self) -> Vec<(Token, GroupReply)> {
        let not_coordinator = ErrorCode::NotCoordinator;
        let mut replies = Vec::new();
        for (_, group) in self.groups.iter() {
            let Group::Classic(group) = group else { continue };
            for member in group.members() {
                let join = JoinGroupResponse {
                    member_id: member.member_id.clone(),
                    error_code: not_coordinator.code(),
                    ..Default::default()
                };
                replies.extend(member.awaiting_join.map(|token| (token, GroupReply::Join(join))));
                let sync = GroupReply::Sync(sync_error(not_coordinator));
                replies.extend(member.awaiting_sync.map(|token| (token, sync)));
            }
        }
        replies
    }
}

pub(super) fn max_size(config: &GroupCoordinatorConfig) -> usize {
    usize::try_from(config.classic_group_max_size).unwrap_or(0)
}

/// A classic member of a consumer group hears what is committed, or that it could not be.
fn answer(token: Token, reply: GroupReply, outcome: Result<(), ErrorCode>) -> GroupResult<()> {
    let reply = match (outcome, reply) {
        (Ok(()), reply) => reply,
        (Err(error), GroupReply::Join(_)) => {
            let error_code = super::append_error(error).code();
            GroupReply::Join(JoinGroupResponse { error_code, ..Default::default() })
        }
        (Err(error), GroupReply::Sync(_)) => GroupReply::Sync(sync_error(super::append_error(error))),
    };
    let mut result = GroupResult::of(());
    result.replies.push((token, reply));
    result
}

fn retry(now_ms: i64, event: GroupTimerEvent, outcome: Result<(), ErrorCode>) -> GroupResult<()> {
    let mut result = GroupResult::of(());
    if let (Err(_), Some(key)) = (outcome, event.modern_key()) {
        let deadline_ms = now_ms.saturating_add(RETRY_MS);
        result.timers.push(TimerChange::Schedule { key, deadline_ms, event });
    }
    result
}

impl GroupCoordinatorShard {
    fn on_classic_group_loaded(&self, now_ms: i64, group: &ClassicGroup, result: &mut GroupResult<()>) {
        for member in group.members() {
            let (group_id, member_id) = (group.group_id().clone(), member.member_id.clone());
            result.timers.push(heartbeat_timer(now_ms, group_id, member_id, member.session_timeout_ms));
        }
        if group.num_members() > max_size(&self.config) {
            // The maximum was lowered. A rebalance lets the members commit before some must go.
            let mut rebalance = self.rebalance(now_ms, group);
            rebalance.prepare_rebalance();
            let decided = rebalance.decided(());
            result.timers.extend(decided.timers);
            result.changes.extend(decided.changes);
        }
    }

    /// After a leader's assignment was written. The group may have moved on in the meantime: then
    /// whoever waits for the assignment has been told already.
    fn after_assignment(
        &self,
        now_ms: i64,
        group_id: &ByteString,
        generation_id: i32,
        assignment: &BTreeMap<ByteString, Bytes>,
        outcome: Result<(), ErrorCode>,
    ) -> GroupResult<()> {
        let Some(group) = self.classic_group(group_id) else { return GroupResult::of(()) };
        if group.state() != ClassicGroupState::CompletingRebalance || group.generation_id() != generation_id {
            return GroupResult::of(());
        }
        let mut rebalance = self.rebalance(now_ms, group);
        match outcome {
            Ok(()) => rebalance.set_and_propagate_assignment(assignment),
            Err(error) => {
                rebalance.reset_and_propagate_assignment(super::op::append_error(error));
                rebalance.maybe_prepare_rebalance_or_complete_join();
            }
        }
        rebalance.decided(())
    }
}
