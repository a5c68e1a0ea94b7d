use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::records::group::GroupMetadataValue;
use ottla_protocol::records::group::group_metadata_value::MemberMetadata;

use super::subscription::subscribed_topics;
use super::{ClassicGroup, ClassicGroupMember, ClassicGroupState, Protocol};
use crate::group::{GroupRecord, owned};

const NO_TIMESTAMP: i64 = -1;

impl ClassicGroup {
    /// The group as its record holds it: empty, or stable with the members of its newest generation.
    pub(crate) fn from_record(group_id: &bytestring::ByteString, value: &GroupMetadataValue) -> Self {
        let mut group = Self::new(owned(group_id), None);
        for member in &value.members {
            group.put_member(member_from_record(value, member));
        }
        if !value.members.is_empty() {
            group.state = ClassicGroupState::Stable;
        }
        group.generation_id = value.generation;
        group.protocol_type = Some(owned(&value.protocol_type)).filter(|text| !text.is_empty());
        group.protocol_name = value.protocol.as_ref().map(owned);
        // Leaders are members; a record that says otherwise gets the leader of the members' making.
        if let Some(leader) = value.leader.as_ref().filter(|leader| group.member(leader).is_some()) {
            group.leader_id = Some(owned(leader));
        }
        group.current_state_timestamp_ms =
            Some(value.current_state_timestamp).filter(|timestamp| *timestamp != NO_TIMESTAMP);
        group.subscribed_topics = subscribed_topics(&group);
        group
    }

    /// The record that holds the group. `assignment` gives each member what it is to do.
    pub(crate) fn to_record(&self, assignment: impl Fn(&ClassicGroupMember) -> Bytes) -> GroupRecord {
        let protocol = self.protocol_name.as_ref();
        let member_metadata = |member: &ClassicGroupMember| MemberMetadata {
            member_id: member.member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: protocol.and_then(|p| member.metadata(p)).cloned().unwrap_or_default(),
            assignment: assignment(member),
            ..Default::default()
        };
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation_id,
            protocol: self.protocol_name.clone(),
            leader: self.leader_id.clone(),
            current_state_timestamp: self.current_state_timestamp_ms.unwrap_or(NO_TIMESTAMP),
            members: self.members().map(member_metadata).collect(),
            ..Default::default()
        };
        GroupRecord::group_metadata(&self.group_id, value)
    }

    /// The record that holds a group which exists and says nothing more.
    pub(crate) fn to_empty_record(&self) -> GroupRecord {
        let value = GroupMetadataValue {
            protocol_type: Default::default(),
            generation: 0,
            protocol: None,
            leader: None,
            current_state_timestamp: self.current_state_timestamp_ms.unwrap_or(NO_TIMESTAMP),
            members: Vec::new(),
            ..Default::default()
        };
        GroupRecord::group_metadata(&self.group_id, value)
    }
}

fn member_from_record(group: &GroupMetadataValue, member: &MemberMetadata) -> ClassicGroupMember {
    // Version 0 of the record had no rebalance timeout: the session's was meant.
    let rebalance_timeout_ms = match member.rebalance_timeout {
        -1 => member.session_timeout,
        timeout => timeout,
    };
    let protocol = Protocol {
        name: group.protocol.as_ref().map(owned).unwrap_or_default(),
        metadata: Bytes::copy_from_slice(&member.subscription),
    };
    ClassicGroupMember {
        member_id: owned(&member.member_id),
        group_instance_id: member.group_instance_id.as_ref().map(owned),
        client_id: owned(&member.client_id),
        client_host: owned(&member.client_host),
        rebalance_timeout_ms,
        session_timeout_ms: member.session_timeout,
        protocol_type: owned(&group.protocol_type),
        protocols: Arc::from([protocol]),
        assignment: Bytes::copy_from_slice(&member.assignment),
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
    }
}
