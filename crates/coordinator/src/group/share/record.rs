use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_protocol::records::group::{
    ShareGroupCurrentMemberAssignmentKey, ShareGroupCurrentMemberAssignmentValue,
    ShareGroupMemberMetadataKey, ShareGroupMemberMetadataValue, ShareGroupMetadataKey,
    ShareGroupMetadataValue, ShareGroupStatePartitionMetadataKey, ShareGroupStatePartitionMetadataValue,
    ShareGroupTargetAssignmentMemberKey, ShareGroupTargetAssignmentMemberValue,
    ShareGroupTargetAssignmentMetadataKey, ShareGroupTargetAssignmentMetadataValue,
    share_group_current_member_assignment_value, share_group_target_assignment_member_value,
};
use ottla_protocol::{EncodeError, Message, Reader};

use super::{ShareGroupMember, StatePartitions};
use crate::group::RecordError;
use crate::group::modern::MemberAssignment;

const MEMBER_METADATA: i16 = 10;
const METADATA: i16 = 11;
const TARGET_ASSIGNMENT_METADATA: i16 = 12;
const TARGET_ASSIGNMENT_MEMBER: i16 = 13;
const CURRENT_MEMBER_ASSIGNMENT: i16 = 14;
const STATE_PARTITION_METADATA: i16 = 15;

/// Keys have no versions: their version is the number of their kind.
const KEY_VERSION: i16 = 0;
const VALUE_VERSION: i16 = 0;

/// A record of a share group; `None` deletes what the key names.
#[derive(Debug, Clone, PartialEq)]
pub enum ShareGroupRecord {
    /// What a member is and reads.
    MemberMetadata {
        /// Group and member.
        key: ShareGroupMemberMetadataKey,
        /// The member.
        value: Option<ShareGroupMemberMetadataValue>,
    },
    /// The group's epoch.
    Metadata {
        /// The group.
        key: ShareGroupMetadataKey,
        /// Its epoch.
        value: Option<ShareGroupMetadataValue>,
    },
    /// The epoch of the target assignment.
    TargetAssignmentMetadata {
        /// The group.
        key: ShareGroupTargetAssignmentMetadataKey,
        /// The epoch, and when the assignment was computed.
        value: Option<ShareGroupTargetAssignmentMetadataValue>,
    },
    /// What a member is to have.
    TargetAssignmentMember {
        /// Group and member.
        key: ShareGroupTargetAssignmentMemberKey,
        /// The partitions.
        value: Option<ShareGroupTargetAssignmentMemberValue>,
    },
    /// What a member was told to have.
    CurrentMemberAssignment {
        /// Group and member.
        key: ShareGroupCurrentMemberAssignmentKey,
        /// The member's epoch and partitions.
        value: Option<ShareGroupCurrentMemberAssignmentValue>,
    },
    /// Which partitions have a state at the share coordinator.
    StatePartitionMetadata {
        /// The group.
        key: ShareGroupStatePartitionMetadataKey,
        /// The partitions.
        value: Option<ShareGroupStatePartitionMetadataValue>,
    },
}

impl ShareGroupRecord {
    pub(in crate::group) fn member(group_id: &ByteString, member: &ShareGroupMember) -> Self {
        let value = ShareGroupMemberMetadataValue {
            rack_id: member.rack_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            subscribed_topic_names: member.subscribed_topic_names.iter().cloned().collect(),
            ..Default::default()
        };
        Self::MemberMetadata { key: member_key(group_id, &member.member_id), value: Some(value) }
    }

    pub(in crate::group) fn member_tombstone(group_id: &ByteString, member_id: &ByteString) -> Self {
        Self::MemberMetadata { key: member_key(group_id, member_id), value: None }
    }

    pub(in crate::group) fn group(group_id: &ByteString, epoch: i32, metadata_hash: i64) -> Self {
        let value = ShareGroupMetadataValue { epoch, metadata_hash, ..Default::default() };
        Self::Metadata { key: ShareGroupMetadataKey { group_id: group_id.clone() }, value: Some(value) }
    }

    pub(in crate::group) fn group_tombstone(group_id: &ByteString) -> Self {
        Self::Metadata { key: ShareGroupMetadataKey { group_id: group_id.clone() }, value: None }
    }

    pub(in crate::group) fn target_assignment_metadata(
        group_id: &ByteString,
        assignment_epoch: i32,
        assignment_timestamp: i64,
    ) -> Self {
        let key = ShareGroupTargetAssignmentMetadataKey { group_id: group_id.clone() };
        let value = ShareGroupTargetAssignmentMetadataValue {
            assignment_epoch,
            assignment_timestamp,
            ..Default::default()
        };
        Self::TargetAssignmentMetadata { key, value: Some(value) }
    }

    pub(in crate::group) fn target_assignment_metadata_tombstone(group_id: &ByteString) -> Self {
        let key = ShareGroupTargetAssignmentMetadataKey { group_id: group_id.clone() };
        Self::TargetAssignmentMetadata { key, value: None }
    }

    pub(in crate::group) fn target_assignment(
        group_id: &ByteString,
        member_id: &ByteString,
        assignment: &MemberAssignment,
    ) -> Self {
        use share_group_target_assignment_member_value::TopicPartition;
        let topic = |(topic_id, partitions): (&Uuid, &BTreeSet<i32>)| TopicPartition {
            topic_id: *topic_id,
            partitions: partitions.iter().copied().collect(),
            ..Default::default()
        };
        let topic_partitions = assignment.iter().map(topic).collect();
        let value = ShareGroupTargetAssignmentMemberValue { topic_partitions, ..Default::default() };
        Self::TargetAssignmentMember { key: target_key(group_id, member_id), value: Some(value) }
    }

    pub(in crate::group) fn target_assignment_tombstone(
        group_id: &ByteString,
        member_id: &ByteString,
    ) -> Self {
        Self::TargetAssignmentMember { key: target_key(group_id, member_id), value: None }
    }

    pub(in crate::group) fn current_assignment(group_id: &ByteString, member: &ShareGroupMember) -> Self {
        use share_group_current_member_assignment_value::TopicPartitions;
        let topic = |(topic_id, partitions): (&Uuid, &BTreeSet<i32>)| TopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.iter().copied().collect(),
            ..Default::default()
        };
        let value = ShareGroupCurrentMemberAssignmentValue {
            member_epoch: member.member_epoch,
            previous_member_epoch: member.previous_member_epoch,
            state: member.state.value(),
            assigned_partitions: member.assigned_partitions.iter().map(topic).collect(),
            ..Default::default()
        };
        let key = current_key(group_id, &member.member_id);
        Self::CurrentMemberAssignment { key, value: Some(value) }
    }

    pub(in crate::group) fn current_assignment_tombstone(
        group_id: &ByteString,
        member_id: &ByteString,
    ) -> Self {
        Self::CurrentMemberAssignment { key: current_key(group_id, member_id), value: None }
    }

    pub(in crate::group) fn state_partition_metadata(
        group_id: &ByteString,
        partitions: &StatePartitions,
    ) -> Self {
        let key = ShareGroupStatePartitionMetadataKey { group_id: group_id.clone() };
        Self::StatePartitionMetadata { key, value: Some(partitions.to_record()) }
    }

    pub(in crate::group) fn state_partition_metadata_tombstone(group_id: &ByteString) -> Self {
        let key = ShareGroupStatePartitionMetadataKey { group_id: group_id.clone() };
        Self::StatePartitionMetadata { key, value: None }
    }

    /// Whether records of this kind are share groups'.
    pub fn is_kind(kind: i16) -> bool {
        matches!(kind, MEMBER_METADATA..=STATE_PARTITION_METADATA)
    }

    /// The group that the record is about.
    pub fn group_id(&self) -> &ByteString {
        match self {
            Self::MemberMetadata { key, .. } => &key.group_id,
            Self::Metadata { key, .. } => &key.group_id,
            Self::TargetAssignmentMetadata { key, .. } => &key.group_id,
            Self::TargetAssignmentMember { key, .. } => &key.group_id,
            Self::CurrentMemberAssignment { key, .. } => &key.group_id,
            Self::StatePartitionMetadata { key, .. } => &key.group_id,
        }
    }

    /// Whether the record deletes what its key names.
    pub fn is_tombstone(&self) -> bool {
        match self {
            Self::MemberMetadata { value, .. } => value.is_none(),
            Self::Metadata { value, .. } => value.is_none(),
            Self::TargetAssignmentMetadata { value, .. } => value.is_none(),
            Self::TargetAssignmentMember { value, .. } => value.is_none(),
            Self::CurrentMemberAssignment { value, .. } => value.is_none(),
            Self::StatePartitionMetadata { value, .. } => value.is_none(),
        }
    }

    /// The key and the value as they stand in the log.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            Self::MemberMetadata { key, value } => pair(MEMBER_METADATA, key, value.as_ref()),
            Self::Metadata { key, value } => pair(METADATA, key, value.as_ref()),
            Self::TargetAssignmentMetadata { key, value } => {
                pair(TARGET_ASSIGNMENT_METADATA, key, value.as_ref())
            }
            Self::TargetAssignmentMember { key, value } => {
                pair(TARGET_ASSIGNMENT_MEMBER, key, value.as_ref())
            }
            Self::CurrentMemberAssignment { key, value } => {
                pair(CURRENT_MEMBER_ASSIGNMENT, key, value.as_ref())
            }
            Self::StatePartitionMetadata { key, value } => {
                pair(STATE_PARTITION_METADATA, key, value.as_ref())
            }
        }
    }

    /// Reads a record of this kind, the reader standing behind the number of the kind.
    pub fn decode(kind: i16, key: &mut Reader, value: Option<Bytes>) -> Result<Self, RecordError> {
        match kind {
            MEMBER_METADATA => {
                let (key, value) = read(kind, key, value)?;
                Ok(Self::MemberMetadata { key, value })
            }
            METADATA => {
                let (key, value) = read(kind, key, value)?;
                Ok(Self::Metadata { key, value })
            }
            TARGET_ASSIGNMENT_METADATA => {
                let (key, value) = read(kind, key, value)?;
                Ok(Self::TargetAssignmentMetadata { key, value })
            }
            TARGET_ASSIGNMENT_MEMBER => {
                let (key, value) = read(kind, key, value)?;
                Ok(Self::TargetAssignmentMember { key, value })
            }
            CURRENT_MEMBER_ASSIGNMENT => {
                let (key, value) = read(kind, key, value)?;
                Ok(Self::CurrentMemberAssignment { key, value })
            }
            STATE_PARTITION_METADATA => {
                let (key, value) = read(kind, key, value)?;
                Ok(Self::StatePartitionMetadata { key, value })
            }
            kind => Err(RecordError::UnknownType(kind)),
        }
    }
}

fn member_key(group_id: &ByteString, member_id: &ByteString) -> ShareGroupMemberMetadataKey {
    ShareGroupMemberMetadataKey { group_id: group_id.clone(), member_id: member_id.clone() }
}

fn target_key(group_id: &ByteString, member_id: &ByteString) -> ShareGroupTargetAssignmentMemberKey {
    ShareGroupTargetAssignmentMemberKey { group_id: group_id.clone(), member_id: member_id.clone() }
}

fn current_key(group_id: &ByteString, member_id: &ByteString) -> ShareGroupCurrentMemberAssignmentKey {
    ShareGroupCurrentMemberAssignmentKey { group_id: group_id.clone(), member_id: member_id.clone() }
}

fn pair<K: Message, V: Message>(
    kind: i16,
    key: &K,
    value: Option<&V>,
) -> Result<(Bytes, Option<Bytes>), EncodeError> {
    let value = value.map(|value| prefixed(VALUE_VERSION, VALUE_VERSION, value));
    Ok((prefixed(kind, KEY_VERSION, key)?, value.transpose()?))
}

fn prefixed<M: Message>(prefix: i16, version: i16, message: &M) -> Result<Bytes, EncodeError> {
    let body = message.to_bytes(version)?;
    let mut bytes = BytesMut::with_capacity(2 + body.len());
    bytes.extend_from_slice(&prefix.to_be_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes.freeze())
}

fn read<K: Message, V: Message>(
    kind: i16,
    key: &mut Reader,
    value: Option<Bytes>,
) -> Result<(K, Option<V>), RecordError> {
    let key = K::decode(key, KEY_VERSION)?;
    let Some(value) = value else { return Ok((key, None)) };
    let mut r = Reader::new(value);
    let version = r.i16()?;
    if !(V::MIN_VERSION..=V::MAX_VERSION).contains(&version) {
        return Err(RecordError::UnknownValueVersion { kind, version });
    }
    Ok((key, Some(V::decode(&mut r, version)?)))
}

#[cfg(test)]
#[path = "record_test.rs"]
mod tests;
