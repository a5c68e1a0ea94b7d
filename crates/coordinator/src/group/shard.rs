use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use rpds::RedBlackTreeMapSync;

use super::classic::rebalance::{Rebalance, heartbeat_timer, sync_error};
use super::classic::{ClassicGroup, ClassicGroupMember, ClassicGroupState};
use super::offsets::Offsets;
use super::{ForeignGroup, GroupCoordinatorConfig, GroupRecord, GroupType, owned};
use crate::runtime::{CoordinatorResult, CoordinatorShard, TimerChange, Token, TransactionResult};

/// What the group coordinator decides.
pub type GroupResult<T> = CoordinatorResult<T, GroupCoordinatorShard>;

/// The groups and offsets of one partition of `__consumer_offsets`.
#[derive(Debug, Clone)]
pub struct GroupCoordinatorShard {
    pub(super) config: Arc<GroupCoordinatorConfig>,
    pub(super) groups: RedBlackTreeMapSync<ByteString, Group>,
    pub(super) offsets: Offsets,
}

/// A group of whatever protocol.
#[derive(Debug, Clone)]
pub enum Group {
    /// Of the classic protocol, or without members and with offsets only.
    Classic(Arc<ClassicGroup>),
    /// Of a newer protocol.
    Foreign(ForeignGroup),
}

/// A change of a group that is not in the log.
#[derive(Debug)]
pub enum GroupChange {
    /// The group is this now.
    Put(Box<ClassicGroup>),
    /// The group never was: its first record was refused.
    Remove(ByteString),
}

/// The answer to a parked request.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupReply {
    /// To a JoinGroup.
    Join(JoinGroupResponse),
    /// To a SyncGroup.
    Sync(SyncGroupResponse),
}

/// Names a timer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupTimerKey {
    /// A member's session: group, member.
    Heartbeat(ByteString, ByteString),
    /// The end of joining.
    Join(ByteString),
    /// The end of waiting for SyncGroup requests.
    Sync(ByteString),
    /// The next look for offsets that expired.
    Expiration,
    /// The end of the sessions of members that speak a newer protocol.
    ForeignSessions,
}

/// What a timer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupTimerEvent {
    /// A member was silent for too long.
    ExpireMember {
        /// The group.
        group_id: ByteString,
        /// The member.
        member_id: ByteString,
    },
    /// The rebalance timeout is over.
    CompleteJoin {
        /// The group.
        group_id: ByteString,
    },
    /// The delay of a group's first rebalance is over.
    InitialRebalance {
        /// The group.
        group_id: ByteString,
        /// How long the delay was.
        delay_ms: i32,
        /// How much longer it may be made.
        remaining_ms: i32,
    },
    /// The time for SyncGroup requests is over.
    ExpirePendingSync {
        /// The group.
        group_id: ByteString,
        /// The generation that it was for.
        generation_id: i32,
    },
    /// Look for offsets that expired, and for groups that nothing is left of.
    ExpireOffsets,
    /// Members that speak a newer protocol were not heard of since the log was loaded.
    ExpireForeignMembers,
}

/// What is decided once records are committed, or refused.
#[derive(Debug)]
pub enum GroupContinuation {
    /// The first record of a group.
    NewGroup {
        /// The group.
        group_id: ByteString,
    },
    /// A group without members. Nothing follows: should the record be lost, the generation before
    /// comes back after a restart, and its members' sessions end.
    EmptyGroup,
    /// A leader's assignment.
    Assignment {
        /// The group.
        group_id: ByteString,
        /// The generation that it is for.
        generation_id: i32,
        /// What each member is to do.
        assignment: BTreeMap<ByteString, Bytes>,
    },
    /// A static member under its new id.
    StaticMember {
        /// The group.
        group_id: ByteString,
        /// The member as it was.
        old_member: Box<ClassicGroupMember>,
        /// Its new id.
        new_member_id: ByteString,
        /// Who led the group before.
        old_leader: ByteString,
        /// The member's JoinGroup request.
        token: Token,
        /// Whether that request can be told to skip the assignment (KIP-814).
        supports_skipping: bool,
    },
}

impl GroupCoordinatorShard {
    /// A shard that knows nothing yet.
    pub fn new(config: Arc<GroupCoordinatorConfig>) -> Self {
        Self { config, groups: RedBlackTreeMapSync::new_sync(), offsets: Offsets::default() }
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
            Group::Foreign(_) => None,
        }
    }

    pub(super) fn rebalance(&self, now_ms: i64, group: &ClassicGroup) -> Rebalance<'_> {
        Rebalance::of(&self.config, now_ms, group.clone())
    }

    fn replay_group(
        &mut self,
        group_id: &ByteString,
        value: Option<&ottla_protocol::records::group::GroupMetadataValue>,
    ) {
        match value {
            Some(value) => {
                let group = ClassicGroup::from_record(group_id, value);
                self.groups.insert_mut(owned(group_id), Group::Classic(Arc::new(group)));
            }
            None => {
                self.groups.remove_mut(group_id);
            }
        }
    }

    fn replay_foreign(&mut self, kind: i16, group_id: &ByteString, key: &Bytes, live: bool) {
        let mut foreign = match self.groups.get(group_id) {
            Some(Group::Foreign(foreign)) => foreign.clone(),
            // A group of offsets only turns out to be more; a tombstone of nothing is nothing.
            Some(Group::Classic(_)) | None if live => ForeignGroup::new(kind),
            Some(Group::Classic(_)) | None => return,
        };
        match foreign.replay(kind, key, live) {
            true => self.groups.insert_mut(owned(group_id), Group::Foreign(foreign)),
            false => {
                self.groups.remove_mut(group_id);
            }
        }
    }

    fn replay_offset(
        &mut self,
        offset: i64,
        producer_id: i64,
        key: &ottla_protocol::records::group::OffsetCommitKey,
        value: Option<&ottla_protocol::records::group::OffsetCommitValue>,
    ) {
        if value.is_some() && !self.groups.contains_key(&key.group) {
            // Offsets without a group make a simple one.
            let group = ClassicGroup::new(owned(&key.group), None);
            self.groups.insert_mut(owned(&key.group), Group::Classic(Arc::new(group)));
        }
        self.offsets.replay(offset, producer_id, key, value);
    }
}

impl Group {
    /// The protocol that the group uses.
    pub fn group_type(&self) -> GroupType {
        match self {
            Self::Classic(_) => GroupType::Classic,
            Self::Foreign(group) => group.group_type(),
        }
    }

    /// Whether the group has no members.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_empty(),
            Self::Foreign(group) => group.is_empty(),
        }
    }
}

impl CoordinatorShard for GroupCoordinatorShard {
    type Record = GroupRecord;
    type Change = GroupChange;
    type Reply = GroupReply;
    type Continuation = GroupContinuation;
    type TimerKey = GroupTimerKey;
    type TimerEvent = GroupTimerEvent;

    fn replay(&mut self, offset: i64, producer_id: i64, record: &GroupRecord) {
        match record {
            GroupRecord::OffsetCommit { key, value } => {
                self.replay_offset(offset, producer_id, key, value.as_ref());
            }
            GroupRecord::GroupMetadata { key, value } => self.replay_group(&key.group, value.as_ref()),
            GroupRecord::Foreign { kind, group, key, value } => {
                self.replay_foreign(*kind, group, key, value.is_some());
            }
        }
    }

    fn replay_end_transaction_marker(&mut self, producer_id: i64, result: TransactionResult) {
        self.offsets.replay_end_transaction_marker(producer_id, result);
    }

    fn apply(&mut self, change: GroupChange) {
        match change {
            GroupChange::Put(group) => {
                self.groups.insert_mut(group.group_id().clone(), Group::Classic(Arc::new(*group)));
            }
            GroupChange::Remove(group_id) => {
                self.groups.remove_mut(&group_id);
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
            GroupTimerEvent::ExpireForeignMembers => self.expire_foreign_members(),
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
        }
    }

    fn on_loaded(&self, now_ms: i64) -> GroupResult<()> {
        let mut result = GroupResult::of(());
        let mut foreign_members = false;
        for (group_id, group) in self.groups.iter() {
            let Group::Classic(group) = group else {
                foreign_members |= !group.is_empty();
                continue;
            };
            for member in group.members() {
                let member_id = member.member_id.clone();
                let timeout_ms = member.session_timeout_ms;
                result.timers.push(heartbeat_timer(now_ms, group_id.clone(), member_id, timeout_ms));
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
        result.timers.push(self.schedule_expiration(now_ms));
        if foreign_members {
            let timeout_ms = i64::from(self.config.consumer_group_session_timeout_ms);
            result.timers.push(TimerChange::Schedule {
                key: GroupTimerKey::ForeignSessions,
                deadline_ms: now_ms.saturating_add(timeout_ms),
                event: GroupTimerEvent::ExpireForeignMembers,
            });
        }
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

impl GroupCoordinatorShard {
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
