use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use ottla_protocol::records::group::{
    StreamsGroupCurrentMemberAssignmentKey, StreamsGroupCurrentMemberAssignmentValue,
    StreamsGroupMemberMetadataKey, StreamsGroupMemberMetadataValue, StreamsGroupMetadataKey,
    StreamsGroupMetadataValue, StreamsGroupTargetAssignmentMemberKey,
    StreamsGroupTargetAssignmentMemberValue, StreamsGroupTargetAssignmentMetadataKey,
    StreamsGroupTargetAssignmentMetadataValue, StreamsGroupTopologyKey, StreamsGroupTopologyValue,
};
use ottla_protocol::{EncodeError, Message, Reader};

use super::member::StreamsGroupMember;
use super::record_values;
use super::tasks::TasksTuple;
use crate::group::RecordError;

const GROUP_METADATA: i16 = 17;
const MEMBER_METADATA: i16 = 19;
const TARGET_ASSIGNMENT_METADATA: i16 = 20;
const TARGET_ASSIGNMENT_MEMBER: i16 = 21;
const CURRENT_MEMBER_ASSIGNMENT: i16 = 22;
const TOPOLOGY: i16 = 23;

/// Keys have no versions: their version is the number of their kind.
const KEY_VERSION: i16 = 0;
/// Apache Kafka 4.4 writes every value of a streams group in its first version, with tagged fields.
const VALUE_VERSION: i16 = 0;

/// A record of a streams group; without a value it deletes what its key names.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamsGroupRecord {
    /// The group's epoch and what goes with it.
    GroupMetadata {
        /// The group.
        group_id: ByteString,
        /// What is said of it.
        value: Option<StreamsGroupMetadataValue>,
    },
    /// Who a member is.
    MemberMetadata {
        /// The group.
        group_id: ByteString,
        /// The member.
        member_id: ByteString,
        /// What is said of it.
        value: Option<StreamsGroupMemberMetadataValue>,
    },
    /// For which epoch the target assignment is.
    TargetAssignmentMetadata {
        /// The group.
        group_id: ByteString,
        /// What is said of it.
        value: Option<StreamsGroupTargetAssignmentMetadataValue>,
    },
    /// What a member is to do.
    TargetAssignmentMember {
        /// The group.
        group_id: ByteString,
        /// The member.
        member_id: ByteString,
        /// What is said of it.
        value: Option<StreamsGroupTargetAssignmentMemberValue>,
    },
    /// What a member does.
    CurrentMemberAssignment {
        /// The group.
        group_id: ByteString,
        /// The member.
        member_id: ByteString,
        /// What is said of it.
        value: Option<StreamsGroupCurrentMemberAssignmentValue>,
    },
    /// What the application does.
    Topology {
        /// The group.
        group_id: ByteString,
        /// What is said of it.
        value: Option<StreamsGroupTopologyValue>,
    },
}

impl StreamsGroupRecord {
    /// Whether records of this kind belong to streams groups.
    pub fn is_kind(kind: i16) -> bool {
        (GROUP_METADATA..=TOPOLOGY).contains(&kind) && kind != 18
    }

    /// The group that the record is about.
    pub fn group_id(&self) -> &ByteString {
        match self {
            Self::GroupMetadata { group_id, .. }
            | Self::MemberMetadata { group_id, .. }
            | Self::TargetAssignmentMetadata { group_id, .. }
            | Self::TargetAssignmentMember { group_id, .. }
            | Self::CurrentMemberAssignment { group_id, .. }
            | Self::Topology { group_id, .. } => group_id,
        }
    }

    /// Whether the record deletes what it names.
    pub fn is_tombstone(&self) -> bool {
        match self {
            Self::GroupMetadata { value, .. } => value.is_none(),
            Self::MemberMetadata { value, .. } => value.is_none(),
            Self::TargetAssignmentMetadata { value, .. } => value.is_none(),
            Self::TargetAssignmentMember { value, .. } => value.is_none(),
            Self::CurrentMemberAssignment { value, .. } => value.is_none(),
            Self::Topology { value, .. } => value.is_none(),
        }
    }

    /// The key and the value as they stand in the log.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self.clone() {
            Self::GroupMetadata { group_id, value } => {
                encoded(GROUP_METADATA, &StreamsGroupMetadataKey { group_id }, value.as_ref())
            }
            Self::MemberMetadata { group_id, member_id, value } => encoded(
                MEMBER_METADATA,
                &StreamsGroupMemberMetadataKey { group_id, member_id },
                value.as_ref(),
            ),
            Self::TargetAssignmentMetadata { group_id, value } => {
                let key = StreamsGroupTargetAssignmentMetadataKey { group_id };
                encoded(TARGET_ASSIGNMENT_METADATA, &key, value.as_ref())
            }
            Self::TargetAssignmentMember { group_id, member_id, value } => {
                let key = StreamsGroupTargetAssignmentMemberKey { group_id, member_id };
                encoded(TARGET_ASSIGNMENT_MEMBER, &key, value.as_ref())
            }
            Self::CurrentMemberAssignment { group_id, member_id, value } => {
                let key = StreamsGroupCurrentMemberAssignmentKey { group_id, member_id };
                encoded(CURRENT_MEMBER_ASSIGNMENT, &key, value.as_ref())
            }
            Self::Topology { group_id, value } => {
                encoded(TOPOLOGY, &StreamsGroupTopologyKey { group_id }, value.as_ref())
            }
        }
    }

    /// Reads a record of this kind. `key` stands behind the number of the kind.
    pub fn decode(kind: i16, key: &mut Reader, value: Option<Bytes>) -> Result<Self, RecordError> {
        match kind {
            GROUP_METADATA => {
                let StreamsGroupMetadataKey { group_id } = Message::decode(key, KEY_VERSION)?;
                Ok(Self::GroupMetadata { group_id, value: read_value(kind, value)? })
            }
            MEMBER_METADATA => {
                let StreamsGroupMemberMetadataKey { group_id, member_id } =
                    Message::decode(key, KEY_VERSION)?;
                Ok(Self::MemberMetadata { group_id, member_id, value: read_value(kind, value)? })
            }
            TARGET_ASSIGNMENT_METADATA => {
                let StreamsGroupTargetAssignmentMetadataKey { group_id } = Message::decode(key, KEY_VERSION)?;
                Ok(Self::TargetAssignmentMetadata { group_id, value: read_value(kind, value)? })
            }
            TARGET_ASSIGNMENT_MEMBER => {
                let StreamsGroupTargetAssignmentMemberKey { group_id, member_id } =
                    Message::decode(key, KEY_VERSION)?;
                Ok(Self::TargetAssignmentMember { group_id, member_id, value: read_value(kind, value)? })
            }
            CURRENT_MEMBER_ASSIGNMENT => {
                let StreamsGroupCurrentMemberAssignmentKey { group_id, member_id } =
                    Message::decode(key, KEY_VERSION)?;
                Ok(Self::CurrentMemberAssignment { group_id, member_id, value: read_value(kind, value)? })
            }
            TOPOLOGY => {
                let StreamsGroupTopologyKey { group_id } = Message::decode(key, KEY_VERSION)?;
                Ok(Self::Topology { group_id, value: read_value(kind, value)? })
            }
            kind => Err(RecordError::UnknownType(kind)),
        }
    }

    pub(crate) fn member(group_id: &ByteString, member: &StreamsGroupMember) -> Self {
        let (group_id, member_id) = (group_id.clone(), member.member_id.clone());
        Self::MemberMetadata { group_id, member_id, value: Some(record_values::member_metadata(member)) }
    }

    pub(crate) fn target_assignment(
        group_id: &ByteString,
        member_id: &ByteString,
        tasks: &TasksTuple,
    ) -> Self {
        let value = Some(record_values::target_assignment(tasks));
        Self::TargetAssignmentMember { group_id: group_id.clone(), member_id: member_id.clone(), value }
    }

    pub(crate) fn target_assignment_metadata(group_id: &ByteString, epoch: i32, timestamp_ms: i64) -> Self {
        let value = StreamsGroupTargetAssignmentMetadataValue {
            assignment_epoch: epoch,
            assignment_timestamp: timestamp_ms,
            ..Default::default()
        };
        Self::TargetAssignmentMetadata { group_id: group_id.clone(), value: Some(value) }
    }

    pub(crate) fn current_assignment(group_id: &ByteString, member: &StreamsGroupMember) -> Self {
        let (group_id, member_id) = (group_id.clone(), member.member_id.clone());
        let value = Some(record_values::current_assignment(member));
        Self::CurrentMemberAssignment { group_id, member_id, value }
    }

    /// The records that remove a member, in the order in which they must be read.
    pub(crate) fn member_tombstones(group_id: &ByteString, member_id: &ByteString) -> [Self; 3] {
        [
            Self::current_assignment_tombstone(group_id, member_id),
            Self::target_assignment_tombstone(group_id, member_id),
            Self::member_tombstone(group_id, member_id),
        ]
    }

    pub(crate) fn current_assignment_tombstone(group_id: &ByteString, member_id: &ByteString) -> Self {
        let (group_id, member_id) = (group_id.clone(), member_id.clone());
        Self::CurrentMemberAssignment { group_id, member_id, value: None }
    }

    pub(crate) fn target_assignment_tombstone(group_id: &ByteString, member_id: &ByteString) -> Self {
        let (group_id, member_id) = (group_id.clone(), member_id.clone());
        Self::TargetAssignmentMember { group_id, member_id, value: None }
    }

    pub(crate) fn member_tombstone(group_id: &ByteString, member_id: &ByteString) -> Self {
        let (group_id, member_id) = (group_id.clone(), member_id.clone());
        Self::MemberMetadata { group_id, member_id, value: None }
    }
}

fn encoded<K: Message, V: Message>(
    kind: i16,
    key: &K,
    value: Option<&V>,
) -> Result<(Bytes, Option<Bytes>), EncodeError> {
    let value = value.map(|value| prefixed(VALUE_VERSION, VALUE_VERSION, value)).transpose()?;
    Ok((prefixed(kind, KEY_VERSION, key)?, value))
}

fn prefixed<M: Message>(prefix: i16, version: i16, message: &M) -> Result<Bytes, EncodeError> {
    let body = message.to_bytes(version)?;
    let mut bytes = BytesMut::with_capacity(2 + body.len());
    bytes.extend_from_slice(&prefix.to_be_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes.freeze())
}

fn read_value<M: Message>(kind: i16, value: Option<Bytes>) -> Result<Option<M>, RecordError> {
    let Some(value) = value else { return Ok(None) };
    let mut r = Reader::new(value);
    let version = r.i16()?;
    if !(M::MIN_VERSION..=M::MAX_VERSION).contains(&version) {
        return Err(RecordError::UnknownValueVersion { kind, version });
    }
    Ok(Some(M::decode(&mut r, version)?))
}

#[cfg(test)]
#[path = "record_test.rs"]
mod tests;
