use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytestring::ByteString;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::join_group_response::JoinGroupResponseMember;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::subscription::subscribed_topics;
use super::{ClassicGroupMember, ClassicGroupState};
use crate::group::GroupError;

/// The protocol type of groups of consumers, whose subscriptions the coordinator can read.
pub(crate) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// A classic group: its newest generation, and who takes part in making the next one.
///
/// Members change through [`Self::put_member`] and [`Self::remove`] only, which keep the counts.
#[derive(Debug, Clone)]
pub struct ClassicGroup {
    pub(crate) group_id: ByteString,
    pub(crate) state: ClassicGroupState,
    pub(crate) previous_state: ClassicGroupState,
    pub(crate) current_state_timestamp_ms: Option<i64>,
    pub(crate) protocol_type: Option<ByteString>,
    pub(crate) protocol_name: Option<ByteString>,
    pub(crate) generation_id: i32,
    pub(crate) leader_id: Option<ByteString>,
    pub(crate) members: RedBlackTreeMapSync<ByteString, ClassicGroupMember>,
    pub(crate) static_members: RedBlackTreeMapSync<ByteString, ByteString>,
    pub(crate) pending_join_members: RedBlackTreeSetSync<ByteString>,
    pub(crate) pending_sync_members: RedBlackTreeSetSync<ByteString>,
    pub(crate) subscribed_topics: Option<Arc<BTreeSet<ByteString>>>,
    pub(crate) new_member_added: bool,
    supported_protocols: RedBlackTreeMapSync<ByteString, usize>,
    num_awaiting_join: usize,
}

impl ClassicGroup {
    /// A group without members, as it is when somebody first names it.
    pub(crate) fn new(group_id: ByteString, now_ms: Option<i64>) -> Self {
        Self {
            group_id,
            state: ClassicGroupState::Empty,
            previous_state: ClassicGroupState::Dead,
            current_state_timestamp_ms: now_ms,
            protocol_type: None,
            protocol_name: None,
            generation_id: 0,
            leader_id: None,
            members: RedBlackTreeMapSync::new_sync(),
            static_members: RedBlackTreeMapSync::new_sync(),
            pending_join_members: RedBlackTreeSetSync::new_sync(),
            pending_sync_members: RedBlackTreeSetSync::new_sync(),
            subscribed_topics: None,
            new_member_added: false,
            supported_protocols: RedBlackTreeMapSync::new_sync(),
            num_awaiting_join: 0,
        }
    }

    /// The group's id.
    pub fn group_id(&self) -> &ByteString {
        &self.group_id
    }

    /// Where the group stands.
    pub fn state(&self) -> ClassicGroupState {
        self.state
    }

    /// The number of the newest generation.
    pub fn generation_id(&self) -> i32 {
        self.generation_id
    }

    /// The member that assigns.
    pub fn leader_id(&self) -> Option<&ByteString> {
        self.leader_id.as_ref()
    }

    /// The members, by id.
    pub fn members(&self) -> impl Iterator<Item = &ClassicGroupMember> {
        self.members.values()
    }

    /// The number of members.
    pub fn num_members(&self) -> usize {
        self.members.size()
    }

    /// The member of this id.
    pub fn member(&self, member_id: &ByteString) -> Option<&ClassicGroupMember> {
        self.members.get(member_id)
    }

    /// Whether the group has no members and may be deleted.
    pub fn is_empty(&self) -> bool {
        self.state == ClassicGroupState::Empty
    }

    /// Whether nobody ever joined: the group only keeps offsets.
    pub fn is_simple(&self) -> bool {
        self.protocol_type.is_none() && self.is_empty() && self.pending_join_members.is_empty()
    }

    pub(crate) fn is_leader(&self, member_id: &ByteString) -> bool {
        self.leader_id.as_ref() == Some(member_id)
    }

    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    pub(crate) fn num_awaiting_join(&self) -> usize {
        self.num_awaiting_join
    }

    /// Adds a member, or replaces the one of the same id, and keeps every count.
    pub(crate) fn put_member(&mut self, member: ClassicGroupMember) {
        if let Some(old) = self.members.get(&member.member_id).cloned() {
            self.uncount(&old);
            if let Some(instance_id) = &old.group_instance_id {
                self.static_members.remove_mut(instance_id);
            }
        }
        if self.members.is_empty() {
            self.protocol_type = Some(member.protocol_type.clone());
        }
        if self.leader_id.is_none() {
            self.leader_id = Some(member.member_id.clone());
        }
        for protocol in protocol_names(&member) {
            let count = self.supported_protocols.get(protocol).copied().unwrap_or(0);
            self.supported_protocols.insert_mut(protocol.clone(), count + 1);
        }
        self.num_awaiting_join += usize::from(member.awaiting_join.is_some());
        if let Some(instance_id) = &member.group_instance_id {
            self.static_members.insert_mut(instance_id.clone(), member.member_id.clone());
        }
        self.pending_join_members.remove_mut(&member.member_id);
        self.members.insert_mut(member.member_id.clone(), member);
        self.check();
    }

    /// Removes a member, pending or not. A lost leader is followed by some other member.
    pub(crate) fn remove(&mut self, member_id: &ByteString) {
        if let Some(member) = self.members.get(member_id).cloned() {
            self.uncount(&member);
            self.members.remove_mut(member_id);
            if let Some(instance_id) = &member.group_instance_id {
                self.static_members.remove_mut(instance_id);
            }
        }
        if self.is_leader(member_id) {
            self.leader_id = self.members.keys().next().cloned();
        }
        self.pending_join_members.remove_mut(member_id);
        self.pending_sync_members.remove_mut(member_id);
        self.check();
    }

    /// Changes a member in place.
    pub(crate) fn update_member(
        &mut self,
        member_id: &ByteString,
        change: impl FnOnce(&mut ClassicGroupMember),
    ) {
        let Some(mut member) = self.members.get(member_id).cloned() else { return };
        change(&mut member);
        self.put_member(member);
    }

    /// Puts a static member under a new id, in the place that the old id had (KIP-345).
    pub(crate) fn replace_static_member(&mut self, old_member_id: &ByteString, new_member_id: &ByteString) {
        let Some(old) = self.members.get(old_member_id).cloned() else { return };
        if self.is_leader(old_member_id) {
            self.leader_id = Some(new_member_id.clone());
        }
        self.uncount(&old);
        self.members.remove_mut(old_member_id);
        self.put_member(ClassicGroupMember {
            member_id: new_member_id.clone(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
            ..old
        });
    }

    /// Whether this member may speak for itself under these ids.
    pub(crate) fn validate_member(
        &self,
        member_id: &ByteString,
        instance_id: Option<&ByteString>,
    ) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(GroupError::UnknownMemberId),
                Some(existing) if existing != member_id => return Err(GroupError::FencedInstanceId),
                Some(_) => {}
            }
        }
        match self.members.contains_key(member_id) {
            true => Ok(()),
            false => Err(GroupError::UnknownMemberId),
        }
    }

    /// Whether a member of this type and with these protocols could talk with every other member.
    pub(crate) fn supports_protocols(
        &self,
        protocol_type: &ByteString,
        protocols: &[JoinGroupRequestProtocol],
    ) -> bool {
        if self.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let of_all = |name| self.supported_protocols.get(name).copied().unwrap_or(0) == self.members.size();
        self.protocol_type.as_ref() == Some(protocol_type) && protocols.iter().any(|p| of_all(&p.name))
    }

    /// The protocol that every member can speak and most members want; names decide between equals.
    pub(crate) fn select_protocol(&self) -> Option<ByteString> {
        let mut votes: BTreeMap<&ByteString, usize> = BTreeMap::new();
        for member in self.members.values() {
            let of_all = |name| self.supported_protocols.get(name) == Some(&self.members.size());
            if let Some(vote) = member.protocols.iter().find(|p| of_all(&p.name)) {
                *votes.entry(&vote.name).or_default() += 1;
            }
        }
        let most = votes.values().max().copied()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    /// The longest time that some member wants to be waited for.
    pub(crate) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0).max(0)
    }

    pub(crate) fn has_all_members_joined(&self) -> bool {
        self.members.size() == self.num_awaiting_join && self.pending_join_members.is_empty()
    }

    /// Makes sure the leader is among those that joined in time. `false` when nobody did.
    pub(crate) fn maybe_elect_new_joined_leader(&mut self) -> bool {
        let Some(leader) = self.leader_id.as_ref().and_then(|id| self.members.get(id)) else { return false };
        if leader.awaiting_join.is_some() {
            return true;
        }
        let joined = self.members.values().find(|member| member.awaiting_join.is_some());
        let Some(joined) = joined.map(|member| member.member_id.clone()) else { return false };
        self.leader_id = Some(joined);
        true
    }

    /// Moves on to the next generation, of the members that are left.
    pub(crate) fn init_next_generation(&mut self, now_ms: i64) {
        let before = self.generation_id;
        self.generation_id = self.generation_id.wrapping_add(1);
        assert!(self.generation_id > before || before == i32::MAX, "GROUP-EPOCH-MONOTONIC");
        self.protocol_name = self.select_protocol();
        self.subscribed_topics = subscribed_topics(self);
        let next = match self.members.is_empty() {
            true => ClassicGroupState::Empty,
            false => ClassicGroupState::CompletingRebalance,
        };
        self.transition_to(next, now_ms);
        self.pending_sync_members = RedBlackTreeSetSync::new_sync();
    }

    pub(crate) fn transition_to(&mut self, next: ClassicGroupState, now_ms: i64) {
        assert!(self.state.may_become(next), "CLASSIC-GROUP-MOVES: {} to {next}", self.state);
        self.previous_state = self.state;
        self.state = next;
        self.current_state_timestamp_ms = Some(now_ms);
    }

    /// What the leader is told about the members.
    pub(crate) fn current_members(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol_name.as_ref();
        let tell = |member: &ClassicGroupMember| JoinGroupResponseMember {
            member_id: member.member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            metadata: protocol.and_then(|p| member.metadata(p)).cloned().unwrap_or_default(),
            ..Default::default()
        };
        self.members.values().map(tell).collect()
    }

    /// Whether the group reads this topic. A group of consumers whose subscriptions cannot be read
    /// may read any.
    pub(crate) fn is_subscribed_to(&self, topic: &ByteString) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    fn uncount(&mut self, member: &ClassicGroupMember) {
        for protocol in protocol_names(member) {
            let count = self.supported_protocols.get(protocol).copied().unwrap_or(0);
            match count {
                0 | 1 => {
                    self.supported_protocols.remove_mut(protocol);
                }
                _ => {
                    self.supported_protocols.insert_mut(protocol.clone(), count - 1);
                }
            }
        }
        self.num_awaiting_join -= usize::from(member.awaiting_join.is_some());
    }

    fn check(&self) {
        assert!(self.num_awaiting_join <= self.members.size(), "CLASSIC-GROUP-COUNTS");
        assert!(self.static_members.size() <= self.members.size(), "CLASSIC-GROUP-STATIC-MEMBERS");
        let leader = self.leader_id.as_ref();
        assert!(leader.is_none_or(|id| self.members.contains_key(id)), "CLASSIC-GROUP-LEADER-IS-MEMBER");
    }
}

/// The names of a member's protocols, each once.
fn protocol_names(member: &ClassicGroupMember) -> BTreeSet<&ByteString> {
    member.protocols.iter().map(|protocol| &protocol.name).collect()
}
