//! JoinGroup, versions 0 to 9.
//!
//! Errors: UNKNOWN_MEMBER_ID, MEMBER_ID_REQUIRED (KIP-394), FENCED_INSTANCE_ID (KIP-345),
//! INCONSISTENT_GROUP_PROTOCOL, GROUP_MAX_SIZE_REACHED; what speaks of the coordinator itself, the
//! group id or the session timeout is the shell's to say.

use std::fmt::Write;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use super::{RequestContext, append_error};
use crate::group::classic::rebalance::Rebalance;
use crate::group::classic::{ClassicGroup, ClassicGroupMember, ClassicGroupState as State};
use crate::group::shard::max_size;
use crate::group::{
    Group, GroupChange, GroupContinuation, GroupCoordinatorShard, GroupError, GroupReply, GroupResult,
    classic, owned,
};
use crate::runtime::Token;

/// Below this version members are let in without knowing their id (KIP-394).
const KNOWN_MEMBER_ID_MIN_VERSION: i16 = 4;
/// From this version on a leader can be told to leave the assignment as it is (KIP-814).
const SKIP_ASSIGNMENT_MIN_VERSION: i16 = 9;

/// A JoinGroup request on its way, and the token that it is answered under.
struct Join<'a> {
    context: &'a RequestContext,
    request: &'a JoinGroupRequest,
    token: Token,
    /// The id for a member that has none yet.
    new_member_id: ByteString,
}

impl GroupCoordinatorShard {
    /// A member joins, or joins again. The answer comes under `token`: at once in the result's
    /// replies, or in those of a later decision. `uuid` is random; a new member's id is made of it.
    pub fn classic_group_join(
        &self,
        now_ms: i64,
        context: &RequestContext,
        request: &JoinGroupRequest,
        uuid: Uuid,
        token: Token,
    ) -> GroupResult<()> {
        let name = request.group_instance_id.as_ref().unwrap_or(&context.client_id);
        let join = Join { context, request, token, new_member_id: member_id(name, uuid) };
        let group = self.groups.get(&request.group_id);
        let (existing, tombstones) = match group {
            Some(Group::Classic(group)) => (Some(ClassicGroup::clone(group)), Vec::new()),
            Some(Group::Consumer(consumer)) if !consumer.is_empty() => {
                return self.join_consumer_group(now_ms, context, consumer, request, uuid, token);
            }
            // A group of another protocol without members makes way; share groups never do.
            Some(group @ (Group::Consumer(_) | Group::Streams(_))) if group.is_empty() => {
                (None, group.tombstones())
            }
            Some(Group::Consumer(_) | Group::Streams(_) | Group::Share(_)) => {
                return join.refused(&ByteString::new(), ErrorCode::InconsistentGroupProtocol);
            }
            None => (None, Vec::new()),
        };
        match existing {
            Some(group) => self.join_classic(now_ms, &join, group).decided(()),
            None if !request.member_id.is_empty() => {
                join.refused(&request.member_id, ErrorCode::UnknownMemberId)
            }
            None => {
                let group = ClassicGroup::new(owned(&request.group_id), Some(now_ms));
                let first_record = group.to_empty_record();
                let mut rebalance = self.join_classic(now_ms, &join, group);
                if rebalance.records.is_empty() {
                    // A group must be in the log before anybody is told of it as committed.
                    rebalance.records = tombstones;
                    rebalance.records.push(first_record);
                    let group_id = rebalance.group.group_id().clone();
                    rebalance.then = Some(GroupContinuation::NewGroup { group_id });
                }
                rebalance.decided(())
            }
        }
    }

    fn join_classic(&self, now_ms: i64, join: &Join<'_>, group: ClassicGroup) -> Rebalance<'_> {
        let mut rebalance = Rebalance::of(&self.config, now_ms, group);
        let member_id = &join.request.member_id;
        if !accepts(&rebalance, member_id) {
            // Kafka forgets the member here; ours hears from its parked requests first.
            rebalance.remove_member(member_id);
            join.answer_error(&mut rebalance, &ByteString::new(), ErrorCode::GroupMaxSizeReached);
        } else if !rebalance.group.supports_protocols(&join.request.protocol_type, &join.request.protocols) {
            join.answer_error(&mut rebalance, member_id, ErrorCode::InconsistentGroupProtocol);
        } else if member_id.is_empty() {
            join.new_member(&mut rebalance);
        } else {
            join.existing_member(&mut rebalance);
        }
        rebalance
    }

    /// After the first record of a group was written: when it was not, the group never was, and who
    /// waits in it is told so. Who was answered already finds no group when it comes back. A record
    /// that is written, and takes its time to be committed, is no reason to forget the group.
    pub(in crate::group) fn after_new_group(
        &self,
        group_id: &ByteString,
        outcome: Result<(), ErrorCode>,
    ) -> GroupResult<()> {
        let mut result = GroupResult::of(());
        if outcome == Err(ErrorCode::RequestTimedOut) {
            return result;
        }
        if let (Err(error), Some(group)) = (outcome, self.classic_group(group_id)) {
            let error_code = append_error(error).code();
            let response = JoinGroupResponse { error_code, ..Default::default() };
            let waiting = group.members().filter_map(|member| member.awaiting_join);
            result.replies.extend(waiting.map(|token| (token, GroupReply::Join(response.clone()))));
            result.changes.push(GroupChange::Remove(group_id.clone()));
        }
        result
    }

    /// After a static member's new id was written: now it may be told; or the old one is back.
    pub(in crate::group) fn after_static_member(
        &self,
        now_ms: i64,
        then: GroupContinuation,
        outcome: Result<(), ErrorCode>,
    ) -> GroupResult<()> {
        let GroupContinuation::StaticMember {
            group_id,
            old_member,
            new_member_id,
            old_leader,
            token,
            supports_skipping,
        } = then
        else {
            return GroupResult::of(());
        };
        let Some(group) = self.classic_group(&group_id) else { return GroupResult::of(()) };
        let still_waits = group.member(&new_member_id).is_some_and(|m| m.awaiting_join == Some(token));
        // A rebalance that began in the meantime answers the member when it is through.
        if !still_waits || group.state() == State::PreparingRebalance {
            return GroupResult::of(());
        }
        let mut rebalance = self.rebalance(now_ms, group);
        let mut response = rebalance.joined(&new_member_id);
        match outcome {
            Ok(()) if supports_skipping => {
                response.skip_assignment = rebalance.group.is_leader(&new_member_id);
            }
            Ok(()) => {
                // An old client cannot skip the assignment. It is told of the leader that was, and
                // so does not take itself for the leader and assigns nothing.
                response.members = Vec::new();
                response.leader = old_leader;
            }
            Err(error) => {
                response = JoinGroupResponse {
                    member_id: ByteString::new(),
                    members: Vec::new(),
                    leader: old_leader,
                    error_code: append_error(error).code(),
                    ..response
                };
            }
        }
        rebalance.complete_join(&new_member_id, response);
        if outcome.is_err() {
            rebalance.group.replace_static_member(&new_member_id, &old_member.member_id);
            let old_member_id = old_member.member_id.clone();
            rebalance.group.put_member(*old_member);
            rebalance.reschedule_heartbeat(&old_member_id);
        }
        rebalance.decided(())
    }
}

impl Join<'_> {
    fn refused(&self, member_id: &ByteString, error: ErrorCode) -> GroupResult<()> {
        let mut result = GroupResult::of(());
        result.replies.push((self.token, GroupReply::Join(refusal(member_id, error))));
        result
    }

    fn answer_error(&self, rebalance: &mut Rebalance<'_>, member_id: &ByteString, error: ErrorCode) {
        rebalance.answer_join(self.token, refusal(member_id, error));
    }

    /// A member without an id.
    fn new_member(&self, rebalance: &mut Rebalance<'_>) {
        let instance_id = self.request.group_instance_id.as_ref();
        let existing = instance_id.and_then(|id| rebalance.group.static_members.get(id)).cloned();
        if let Some(old_member_id) = existing {
            self.replace_static_member(rebalance, &old_member_id);
        } else if instance_id.is_some() || self.context.api_version < KNOWN_MEMBER_ID_MIN_VERSION {
            rebalance.add_member(self.member(&self.new_member_id));
        } else {
            // The member must come back with its id: then a lost answer leaves no ghost behind.
            let member_id = &self.new_member_id;
            rebalance.group.pending_join_members.insert_mut(member_id.clone());
            rebalance.schedule_heartbeat(member_id.clone(), self.request.session_timeout_ms);
            self.answer_error(rebalance, member_id, ErrorCode::MemberIdRequired);
        }
    }

    /// A member that has an id, from an earlier generation or from the first half of joining.
    fn existing_member(&self, rebalance: &mut Rebalance<'_>) {
        let request = self.request;
        let member_id = &request.member_id;
        if rebalance.group.pending_join_members.contains(member_id) {
            if request.group_instance_id.is_some() {
                // Ids are required of dynamic members only: no client does this.
                self.answer_error(rebalance, member_id, ErrorCode::UnknownServerError);
                return;
            }
            rebalance.add_member(self.member(&owned(member_id)));
            return;
        }
        let instance_id = request.group_instance_id.as_ref();
        if let Err(error) = rebalance.group.validate_member(member_id, instance_id) {
            let response = JoinGroupResponse { protocol_name: None, ..refusal(member_id, error.code()) };
            rebalance.answer_join(self.token, response);
            return;
        }
        let unchanged = rebalance.group.member(member_id).is_some_and(|m| m.matches(&request.protocols));
        let leads = rebalance.group.is_leader(member_id);
        match rebalance.group.state() {
            State::PreparingRebalance => self.update_member(rebalance, member_id),
            // It may have missed the answer to its last JoinGroup: here it is again.
            State::CompletingRebalance if unchanged => self.answer_joined(rebalance),
            // A leader that joins again wants a rebalance: it knows of changes that we do not.
            State::Stable if unchanged && !leads => self.answer_joined(rebalance),
            State::CompletingRebalance | State::Stable => self.update_member(rebalance, member_id),
            State::Empty | State::Dead => {
                self.answer_error(rebalance, member_id, GroupError::UnknownMemberId.code());
            }
        }
    }

    fn answer_joined(&self, rebalance: &mut Rebalance<'_>) {
        let response = rebalance.joined(&self.request.member_id);
        rebalance.answer_join(self.token, response);
    }

    fn update_member(&self, rebalance: &mut Rebalance<'_>, member_id: &ByteString) {
        self.park(rebalance, member_id);
        rebalance.maybe_prepare_rebalance_or_complete_join();
    }

    /// Notes what the request says about the member, and that it waits. A request that the client
    /// sent before, and seems to have given up on, is let go.
    fn park(&self, rebalance: &mut Rebalance<'_>, member_id: &ByteString) {
        rebalance.complete_join(member_id, refusal(member_id, ErrorCode::RebalanceInProgress));
        let protocols = classic::protocols_of(&self.request.protocols);
        rebalance.group.update_member(member_id, |member| {
            member.protocols = protocols;
            member.rebalance_timeout_ms = self.request.rebalance_timeout_ms;
            member.session_timeout_ms = self.request.session_timeout_ms;
            member.awaiting_join = Some(self.token);
        });
    }

    /// A static member that restarted takes the place it had (KIP-345).
    fn replace_static_member(&self, rebalance: &mut Rebalance<'_>, old_member_id: &ByteString) {
        let old_leader = rebalance.group.leader_id().cloned().unwrap_or_default();
        let Some(old_member) = rebalance.group.member(old_member_id).cloned() else { return };
        let fenced = ErrorCode::FencedInstanceId;
        let response = JoinGroupResponse { protocol_name: None, ..refusal(old_member_id, fenced) };
        rebalance.complete_join(old_member_id, response);
        rebalance.complete_sync(old_member_id, classic::rebalance::sync_error(fenced));
        rebalance.group.replace_static_member(old_member_id, &self.new_member_id);
        rebalance.cancel_heartbeat(old_member_id);
        rebalance.reschedule_heartbeat(&self.new_member_id);
        self.park(rebalance, &self.new_member_id);
        match rebalance.group.state() {
            State::Stable if rebalance.group.select_protocol() == rebalance.group.protocol_name => {
                self.persist_static_member(rebalance, old_member, old_leader);
            }
            State::Stable => rebalance.maybe_prepare_rebalance_or_complete_join(),
            // The leader may be assigning to the old id just now: begin anew.
            State::CompletingRebalance => rebalance.prepare_rebalance(),
            State::PreparingRebalance | State::Empty | State::Dead => rebalance.maybe_complete_join_phase(),
        }
    }

    /// No rebalance: the group goes on with the member's new id in it.
    fn persist_static_member(
        &self,
        rebalance: &mut Rebalance<'_>,
        old_member: ClassicGroupMember,
        old_leader: ByteString,
    ) {
        rebalance.records.push(rebalance.group.to_record(|member| member.assignment.clone()));
        let old_member =
            ClassicGroupMember { awaiting_join: None, awaiting_sync: None, is_new: false, ..old_member };
        rebalance.then = Some(GroupContinuation::StaticMember {
            group_id: rebalance.group.group_id().clone(),
            old_member: Box::new(old_member),
            new_member_id: self.new_member_id.clone(),
            old_leader,
            token: self.token,
            supports_skipping: self.context.api_version >= SKIP_ASSIGNMENT_MIN_VERSION,
        });
    }

    fn member(&self, member_id: &ByteString) -> ClassicGroupMember {
        ClassicGroupMember {
            member_id: member_id.clone(),
            group_instance_id: self.request.group_instance_id.as_ref().map(owned),
            client_id: owned(&self.context.client_id),
            client_host: owned(&self.context.client_host),
            rebalance_timeout_ms: self.request.rebalance_timeout_ms,
            session_timeout_ms: self.request.session_timeout_ms,
            protocol_type: owned(&self.request.protocol_type),
            protocols: classic::protocols_of(&self.request.protocols),
            assignment: Bytes::new(),
            awaiting_join: Some(self.token),
            awaiting_sync: None,
            is_new: true,
        }
    }
}

/// Whether there is room for the member. Who is in stays in; while joining, those count who joined,
/// so that a lowered maximum pushes the last ones out.
fn accepts(rebalance: &Rebalance<'_>, member_id: &ByteString) -> bool {
    let max_size = max_size(rebalance.config);
    let member = rebalance.group.member(member_id);
    match rebalance.group.state() {
        State::Empty | State::Dead => true,
        State::PreparingRebalance => {
            member.is_some_and(|m| m.awaiting_join.is_some())
                || rebalance.group.num_awaiting_join() < max_size
        }
        State::CompletingRebalance | State::Stable => {
            member.is_some() || rebalance.group.num_members() < max_size
        }
    }
}

fn refusal(member_id: &ByteString, error: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse { member_id: member_id.clone(), error_code: error.code(), ..Default::default() }
}

/// A member's id: its name, a hyphen, and a UUID as Java prints it.
fn member_id(name: &ByteString, uuid: Uuid) -> ByteString {
    let mut id = String::with_capacity(name.len() + 37);
    id.push_str(name);
    for (i, byte) in uuid.0.iter().enumerate() {
        if matches!(i, 0 | 4 | 6 | 8 | 10) {
            id.push('-');
        }
        let _ = write!(id, "{byte:02x}");
    }
    id.into()
}

#[cfg(test)]
#[path = "join_group_test.rs"]
mod tests;
