use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_protocol::messages::describe_groups_response::DescribedGroupMember;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;

use crate::group::owned;
use crate::runtime::Token;

/// A protocol that a member can speak, such as the assignor `range`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// Its name.
    pub name: ByteString,
    /// What the member has to say in it; only members understand it.
    pub metadata: Bytes,
}

/// A member of a classic group.
#[derive(Debug, Clone)]
pub struct ClassicGroupMember {
    /// The id that the coordinator gave it.
    pub member_id: ByteString,
    /// The id that its configuration gave it (KIP-345).
    pub group_instance_id: Option<ByteString>,
    /// The client's name for itself.
    pub client_id: ByteString,
    /// Where the client connected from.
    pub client_host: ByteString,
    /// How long the group waits for it to join again.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// What kind of group it believes in, such as `consumer`.
    pub protocol_type: ByteString,
    /// The protocols it can speak, most wanted first.
    pub protocols: Arc<[Protocol]>,
    /// What the leader assigned to it.
    pub assignment: Bytes,
    /// Its JoinGroup request that waits for the rebalance.
    pub awaiting_join: Option<Token>,
    /// Its SyncGroup request that waits for the leader's assignment.
    pub awaiting_sync: Option<Token>,
    /// Whether it was never answered: then it may be gone without anybody noticing.
    pub is_new: bool,
}

impl ClassicGroupMember {
    /// Whether the member keeps its place over restarts.
    pub fn is_static(&self) -> bool {
        self.group_instance_id.is_some()
    }

    /// Whether a request of the member is parked here, which is as good as a heartbeat. Not so for a
    /// new member: it cannot heartbeat, and a client that gave up must not stay for ever.
    pub fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    /// What the member has to say in this protocol.
    pub fn metadata(&self, protocol: &ByteString) -> Option<&Bytes> {
        self.protocols.iter().find(|p| p.name == *protocol).map(|p| &p.metadata)
    }

    /// Whether the member can speak exactly these protocols, in this order.
    pub fn matches(&self, protocols: &[JoinGroupRequestProtocol]) -> bool {
        self.protocols.len() == protocols.len()
            && self.protocols.iter().zip(protocols).all(|(a, b)| a.name == b.name && a.metadata == b.metadata)
    }

    pub(crate) fn describe(&self, protocol: Option<&ByteString>) -> DescribedGroupMember {
        DescribedGroupMember {
            member_id: self.member_id.clone(),
            group_instance_id: self.group_instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            member_metadata: protocol.and_then(|p| self.metadata(p)).cloned().unwrap_or_default(),
            member_assignment: self.assignment.clone(),
            ..Default::default()
        }
    }
}

/// The request's protocols, freed from the request's frame.
pub(crate) fn protocols_of(protocols: &[JoinGroupRequestProtocol]) -> Arc<[Protocol]> {
    let copy = |p: &JoinGroupRequestProtocol| Protocol {
        name: owned(&p.name),
        metadata: Bytes::copy_from_slice(&p.metadata),
    };
    protocols.iter().map(copy).collect()
}
