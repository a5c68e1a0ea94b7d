//! The moves of a classic group, worked out on a copy of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::{JoinGroupResponse, SyncGroupResponse};

use super::{ClassicGroup, ClassicGroupMember, ClassicGroupState as State};
use crate::group::{
    GroupChange, GroupContinuation, GroupCoordinatorConfig, GroupRecord, GroupReply, GroupResult,
    GroupTimerEvent, GroupTimerKey,
};
use crate::runtime::{TimerChange, Token};

/// Members choose their rebalance timeout, and may choose none: no group is asked without a pause.
const JOIN_RETRY_MIN_MS: i32 = 100;

/// A decision about one group in the making: the copy that changes, and what is to follow.
pub(crate) struct Rebalance<'a> {
    pub(crate) config: &'a GroupCoordinatorConfig,
    pub(crate) now_ms: i64,
    pub(crate) group: ClassicGroup,
    pub(crate) records: Vec<GroupRecord>,
    pub(crate) then: Option<GroupContinuation>,
    timers: Vec<TimerChange<GroupTimerKey, GroupTimerEvent>>,
    replies: Vec<(Token, GroupReply)>,
}

impl<'a> Rebalance<'a> {
    pub(crate) fn of(config: &'a GroupCoordinatorConfig, now_ms: i64, group: ClassicGroup) -> Self {
        Self {
            config,
            now_ms,
            group,
            records: Vec::new(),
            then: None,
            timers: Vec::new(),
            replies: Vec::new(),
        }
    }

    /// The decision. Its records are not replayed: the copy of the group is their effect already.
    pub(crate) fn decided<T>(self, response: T) -> GroupResult<T> {
        GroupResult {
            records: self.records,
            timers: self.timers,
            changes: vec![GroupChange::Put(Box::new(self.group))],
            replies: self.replies,
            then: self.then,
            replay: false,
            ..GroupResult::of(response)
        }
    }

    pub(crate) fn answer_join(&mut self, token: Token, response: JoinGroupResponse) {
        self.replies.push((token, GroupReply::Join(response)));
    }

    pub(crate) fn answer_sync(&mut self, token: Token, response: SyncGroupResponse) {
        self.replies.push((token, GroupReply::Sync(response)));
    }

    /// Answers the member's JoinGroup request, if one is parked.
    pub(crate) fn complete_join(&mut self, member_id: &ByteString, response: JoinGroupResponse) -> bool {
        let Some(token) = self.group.member(member_id).and_then(|member| member.awaiting_join) else {
            return false;
        };
        self.group.update_member(member_id, |member| member.awaiting_join = None);
        self.answer_join(token, response);
        true
    }

    /// Answers the member's SyncGroup request, if one is parked.
    pub(crate) fn complete_sync(&mut self, member_id: &ByteString, response: SyncGroupResponse) -> bool {
        let Some(token) = self.group.member(member_id).and_then(|member| member.awaiting_sync) else {
            return false;
        };
        self.group.update_member(member_id, |member| member.awaiting_sync = None);
        self.answer_sync(token, response);
        true
    }

    /// Gives the member another session's time to live.
    pub(crate) fn reschedule_heartbeat(&mut self, member_id: &ByteString) {
        if let Some(member) = self.group.member(member_id) {
            self.schedule_heartbeat(member_id.clone(), member.session_timeout_ms);
        }
    }

    pub(crate) fn schedule_heartbeat(&mut self, member_id: ByteString, timeout_ms: i32) {
        let group_id = self.group.group_id.clone();
        self.timers.push(heartbeat_timer(self.now_ms, group_id, member_id, timeout_ms));
    }

    pub(crate) fn cancel_heartbeat(&mut self, member_id: &ByteString) {
        let key = GroupTimerKey::Heartbeat(self.group.group_id.clone(), member_id.clone());
        self.timers.push(TimerChange::Cancel { key });
    }

    /// Adds a member that was never in the group, with its parked request.
    pub(crate) fn add_member(&mut self, member: ClassicGroupMember) {
        // A newcomer during the first delay buys the others some more of it.
        if self.group.state == State::PreparingRebalance && self.group.previous_state == State::Empty {
            self.group.new_member_added = true;
        }
        let member_id = member.member_id.clone();
        self.group.put_member(member);
        // A new member cannot heartbeat, and a lost connection goes unnoticed while its request is
        // parked: its place is kept for so long, and no longer.
        self.schedule_heartbeat(member_id, self.config.classic_group_new_member_join_timeout_ms);
        self.maybe_prepare_rebalance_or_complete_join();
    }

    pub(crate) fn maybe_prepare_rebalance_or_complete_join(&mut self) {
        if self.group.state.may_become(State::PreparingRebalance) {
            self.prepare_rebalance();
        } else {
            self.maybe_complete_join_phase();
        }
    }

    pub(crate) fn maybe_complete_join_phase(&mut self) {
        let initial = self.group.previous_state == State::Empty;
        if self.group.state == State::PreparingRebalance && !initial && self.group.has_all_members_joined() {
            self.complete_join_phase();
        }
    }

    /// Asks every member to join again.
    pub(crate) fn prepare_rebalance(&mut self) {
        if self.group.state == State::CompletingRebalance {
            self.reset_and_propagate_assignment(ErrorCode::RebalanceInProgress);
        }
        self.group.pending_sync_members = rpds::RedBlackTreeSetSync::new_sync();
        self.cancel(GroupTimerKey::Sync(self.group.group_id.clone()));
        if self.group.state == State::Empty {
            // The group is new: more members are likely to be on their way.
            let delay_ms = self.config.classic_group_initial_rebalance_delay_ms;
            let remaining_ms = self.group.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
            self.group.transition_to(State::PreparingRebalance, self.now_ms);
            self.schedule_initial_rebalance(delay_ms, remaining_ms);
            return;
        }
        self.group.transition_to(State::PreparingRebalance, self.now_ms);
        if self.group.has_all_members_joined() {
            self.complete_join_phase();
        } else {
            self.schedule_join_expiry(0);
        }
    }

    /// The first delay is over: another one when somebody came in the meantime, as long as the
    /// rebalance timeout lasts.
    pub(crate) fn try_complete_initial_rebalance(&mut self, delay_ms: i32, remaining_ms: i32) {
        if !self.group.new_member_added || remaining_ms == 0 {
            self.complete_join_phase();
            return;
        }
        self.group.new_member_added = false;
        let next_delay_ms = self.config.classic_group_initial_rebalance_delay_ms.min(remaining_ms);
        self.schedule_initial_rebalance(next_delay_ms, remaining_ms.saturating_sub(delay_ms).max(0));
    }

    /// Ends the joining: whoever is not there is out, the others make the next generation.
    pub(crate) fn complete_join_phase(&mut self) {
        self.cancel(GroupTimerKey::Join(self.group.group_id.clone()));
        for member_id in self.not_yet_rejoined_dynamic_members() {
            self.group.remove(&member_id);
            self.cancel_heartbeat(&member_id);
        }
        if self.group.state != State::PreparingRebalance {
            return;
        }
        if !self.group.maybe_elect_new_joined_leader() && self.group.num_members() > 0 {
            // Only static members are left, and none of them joined: wait for their sessions to end.
            self.schedule_join_expiry(JOIN_RETRY_MIN_MS);
            return;
        }
        self.group.init_next_generation(self.now_ms);
        if self.group.is_empty() {
            self.records.push(self.group.to_record(|_| Bytes::new()));
            self.then = Some(GroupContinuation::EmptyGroup);
            return;
        }
        self.answer_all_joins();
        let rebalance_timeout_ms = self.group.rebalance_timeout_ms();
        let generation_id = self.group.generation_id;
        let group_id = self.group.group_id.clone();
        self.schedule(
            GroupTimerKey::Sync(group_id.clone()),
            rebalance_timeout_ms,
            GroupTimerEvent::ExpirePendingSync { group_id, generation_id },
        );
    }

    /// The response that tells a member of the generation it belongs to.
    pub(crate) fn joined(&self, member_id: &ByteString) -> JoinGroupResponse {
        let leads = self.group.is_leader(member_id);
        JoinGroupResponse {
            members: if leads { self.group.current_members() } else { Vec::new() },
            member_id: member_id.clone(),
            generation_id: self.group.generation_id,
            protocol_name: self.group.protocol_name.clone(),
            protocol_type: self.group.protocol_type.clone(),
            leader: self.group.leader_id.clone().unwrap_or_default(),
            skip_assignment: false,
            ..Default::default()
        }
    }

    /// Removes a member that was heard of no more, or said goodbye while it was joining.
    pub(crate) fn remove_member(&mut self, member_id: &ByteString) {
        let response = JoinGroupResponse {
            error_code: ErrorCode::UnknownMemberId.code(),
            ..JoinGroupResponse::default()
        };
        self.complete_join(member_id, response);
        // Kafka lets a parked SyncGroup of a removed member go unanswered; ours is told the same.
        self.complete_sync(member_id, sync_error(ErrorCode::UnknownMemberId));
        self.group.remove(member_id);
    }

    /// A member's session is over.
    pub(crate) fn expire_member(&mut self, member_id: &ByteString) {
        if self.group.pending_join_members.contains(member_id) {
            self.group.remove(member_id);
            if self.group.state == State::PreparingRebalance && self.group.has_all_members_joined() {
                self.complete_join_phase();
            }
            return;
        }
        if self.group.member(member_id).is_none_or(ClassicGroupMember::has_satisfied_heartbeat) {
            return;
        }
        self.remove_member(member_id);
        match self.group.state {
            State::Stable | State::CompletingRebalance => self.maybe_prepare_rebalance_or_complete_join(),
            State::PreparingRebalance if self.group.has_all_members_joined() => self.complete_join_phase(),
            State::PreparingRebalance | State::Empty | State::Dead => {}
        }
    }

    /// Some members joined and then never asked for their assignment: they are out.
    pub(crate) fn expire_pending_sync(&mut self, generation_id: i32) {
        let waits = matches!(self.group.state, State::CompletingRebalance | State::Stable);
        if generation_id != self.group.generation_id || !waits || self.group.pending_sync_members.is_empty() {
            return;
        }
        for member_id in self.group.pending_sync_members.iter().cloned().collect::<Vec<_>>() {
            self.group.remove(&member_id);
            self.cancel_heartbeat(&member_id);
        }
        self.prepare_rebalance();
    }

    /// The member has sent its SyncGroup.
    pub(crate) fn remove_pending_sync_member(&mut self, member_id: &ByteString) {
        self.group.pending_sync_members.remove_mut(member_id);
        if self.group.pending_sync_members.is_empty() {
            self.cancel(GroupTimerKey::Sync(self.group.group_id.clone()));
        }
    }

    /// The leader's assignment is committed: everybody gets theirs.
    pub(crate) fn set_and_propagate_assignment(&mut self, assignment: &BTreeMap<ByteString, Bytes>) {
        assert_eq!(self.group.state, State::CompletingRebalance, "CLASSIC-GROUP-ASSIGNS-ONCE");
        for member_id in self.member_ids() {
            let of_member = assignment.get(&member_id).cloned().unwrap_or_default();
            self.group.update_member(&member_id, |member| member.assignment = of_member);
        }
        self.propagate_assignment(ErrorCode::None);
        self.group.transition_to(State::Stable, self.now_ms);
    }

    /// The leader's assignment is void: whoever waits for it is told why.
    pub(crate) fn reset_and_propagate_assignment(&mut self, error: ErrorCode) {
        assert_eq!(self.group.state, State::CompletingRebalance, "CLASSIC-GROUP-ASSIGNS-ONCE");
        for member_id in self.member_ids() {
            self.group.update_member(&member_id, |member| member.assignment = Bytes::new());
        }
        self.propagate_assignment(error);
    }

    pub(crate) fn member_ids(&self) -> Vec<ByteString> {
        self.group.members().map(|member| member.member_id.clone()).collect()
    }

    fn propagate_assignment(&mut self, error: ErrorCode) {
        for member_id in self.member_ids() {
            let response = match error {
                ErrorCode::None => self.synced(&member_id),
                error => sync_error(error),
            };
            if self.complete_sync(&member_id, response) {
                // Its session may have ended while it waited, which was ignored: start another.
                self.reschedule_heartbeat(&member_id);
            }
        }
    }

    /// The response that tells a member what it is to do.
    pub(crate) fn synced(&self, member_id: &ByteString) -> SyncGroupResponse {
        SyncGroupResponse {
            protocol_type: self.group.protocol_type.clone(),
            protocol_name: self.group.protocol_name.clone(),
            assignment: self.group.member(member_id).map(|m| m.assignment.clone()).unwrap_or_default(),
            ..Default::default()
        }
    }

    fn answer_all_joins(&mut self) {
        for member_id in self.member_ids() {
            let response = self.joined(&member_id);
            self.complete_join(&member_id, response);
            self.reschedule_heartbeat(&member_id);
            self.group.update_member(&member_id, |member| member.is_new = false);
            self.group.pending_sync_members.insert_mut(member_id);
        }
    }

    fn not_yet_rejoined_dynamic_members(&self) -> Vec<ByteString> {
        let missing = |member: &&ClassicGroupMember| member.awaiting_join.is_none() && !member.is_static();
        self.group.members().filter(missing).map(|member| member.member_id.clone()).collect()
    }

    fn schedule_join_expiry(&mut self, at_least_ms: i32) {
        let group_id = self.group.group_id.clone();
        self.schedule(
            GroupTimerKey::Join(group_id.clone()),
            self.group.rebalance_timeout_ms().max(at_least_ms),
            GroupTimerEvent::CompleteJoin { group_id },
        );
    }

    fn schedule_initial_rebalance(&mut self, delay_ms: i32, remaining_ms: i32) {
        let group_id = self.group.group_id.clone();
        self.schedule(
            GroupTimerKey::Join(group_id.clone()),
            delay_ms,
            GroupTimerEvent::InitialRebalance { group_id, delay_ms, remaining_ms },
        );
    }

    fn schedule(&mut self, key: GroupTimerKey, timeout_ms: i32, event: GroupTimerEvent) {
        let deadline_ms = self.now_ms.saturating_add(i64::from(timeout_ms));
        self.timers.push(TimerChange::Schedule { key, deadline_ms, event });
    }

    fn cancel(&mut self, key: GroupTimerKey) {
        self.timers.push(TimerChange::Cancel { key });
    }
}

pub(crate) fn sync_error(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: error.code(), ..Default::default() }
}

pub(crate) fn heartbeat_timer(
    now_ms: i64,
    group_id: ByteString,
    member_id: ByteString,
    timeout_ms: i32,
) -> TimerChange<GroupTimerKey, GroupTimerEvent> {
    TimerChange::Schedule {
        key: GroupTimerKey::Heartbeat(group_id.clone(), member_id.clone()),
        deadline_ms: now_ms.saturating_add(i64::from(timeout_ms)),
        event: GroupTimerEvent::ExpireMember { group_id, member_id },
    }
}
