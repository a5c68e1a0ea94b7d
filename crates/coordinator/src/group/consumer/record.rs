use bytes::Bytes;
use bytestring::ByteString;
use ottla_protocol::records::group::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey, ConsumerGroupPartitionMetadataValue,
    ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey, ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue,
};
use ottla_protocol::{EncodeError, Message, Reader};

use crate::group::RecordError;
use crate::group::modern::{KEY_VERSION, decode_value, encode_record};

const METADATA: i16 = 3;
const PARTITION_METADATA: i16 = 4;
const MEMBER_METADATA: i16 = 5;
const TARGET_ASSIGNMENT_METADATA: i16 = 6;
const TARGET_ASSIGNMENT_MEMBER: i16 = 7;
const CURRENT_MEMBER_ASSIGNMENT: i16 = 8;
const REGULAR_EXPRESSION: i16 = 16;

/// Every value has this one version so far.
const VALUE_VERSION: i16 = 0;

/// A record of a consumer group; a value of `None` deletes.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a record lives for one decision, in a list of a few")]
pub enum ConsumerGroupRecord {
    /// The group's epoch, and the hash of the topics that it reads.
    Metadata {
        /// The group.
        key: ConsumerGroupMetadataKey,
        /// Epoch and hash.
        value: Option<ConsumerGroupMetadataValue>,
    },
    /// The topics that the group reads, as releases before 4.1 wrote it. Only ever deleted now.
    PartitionMetadata {
        /// The group.
        key: ConsumerGroupPartitionMetadataKey,
        /// Topics, partitions and racks.
        value: Option<ConsumerGroupPartitionMetadataValue>,
    },
    /// What a member said about itself.
    MemberMetadata {
        /// Group and member.
        key: ConsumerGroupMemberMetadataKey,
        /// Subscription, timeout, addresses.
        value: Option<ConsumerGroupMemberMetadataValue>,
    },
    /// The epoch that the target assignment is for.
    TargetAssignmentMetadata {
        /// The group.
        key: ConsumerGroupTargetAssignmentMetadataKey,
        /// Epoch and time.
        value: Option<ConsumerGroupTargetAssignmentMetadataValue>,
    },
    /// What a member is to have.
    TargetAssignmentMember {
        /// Group and member.
        key: ConsumerGroupTargetAssignmentMemberKey,
        /// Partitions.
        value: Option<ConsumerGroupTargetAssignmentMemberValue>,
    },
    /// What a member has, and where it stands.
    CurrentMemberAssignment {
        /// Group and member.
        key: ConsumerGroupCurrentMemberAssignmentKey,
        /// Epochs, state, partitions.
        value: Option<ConsumerGroupCurrentMemberAssignmentValue>,
    },
    /// The topics that a regular expression matches.
    RegularExpression {
        /// Group and expression.
        key: ConsumerGroupRegularExpressionKey,
        /// Topics, and when they were looked for.
        value: Option<ConsumerGroupRegularExpressionValue>,
    },
}

impl ConsumerGroupRecord {
    /// Whether records of this kind are consumer groups'.
    pub fn is_kind(kind: i16) -> bool {
        matches!(kind, METADATA..=CURRENT_MEMBER_ASSIGNMENT | REGULAR_EXPRESSION)
    }

    /// Reads a record of the log. `key` stands behind the number of the kind.
    pub fn decode(kind: i16, key: &mut Reader, value: Option<Bytes>) -> Result<Self, RecordError> {
        Ok(match kind {
            METADATA => Self::Metadata { key: read_key(key)?, value: decode_value(kind, value)? },
            PARTITION_METADATA => {
                Self::PartitionMetadata { key: read_key(key)?, value: decode_value(kind, value)? }
            }
            MEMBER_METADATA => {
                Self::MemberMetadata { key: read_key(key)?, value: decode_value(kind, value)? }
            }
            TARGET_ASSIGNMENT_METADATA => {
                Self::TargetAssignmentMetadata { key: read_key(key)?, value: decode_value(kind, value)? }
            }
            TARGET_ASSIGNMENT_MEMBER => {
                Self::TargetAssignmentMember { key: read_key(key)?, value: decode_value(kind, value)? }
            }
            CURRENT_MEMBER_ASSIGNMENT => {
                Self::CurrentMemberAssignment { key: read_key(key)?, value: decode_value(kind, value)? }
            }
            REGULAR_EXPRESSION => {
                Self::RegularExpression { key: read_key(key)?, value: decode_value(kind, value)? }
            }
            kind => return Err(RecordError::UnknownType(kind)),
        })
    }

    /// The key and the value as they stand in the log.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            Self::Metadata { key, value } => encode_record(METADATA, key, VALUE_VERSION, value.as_ref()),
            Self::PartitionMetadata { key, value } => {
                encode_record(PARTITION_METADATA, key, VALUE_VERSION, value.as_ref())
            }
            Self::MemberMetadata { key, value } => {
                encode_record(MEMBER_METADATA, key, VALUE_VERSION, value.as_ref())
            }
            Self::TargetAssignmentMetadata { key, value } => {
                encode_record(TARGET_ASSIGNMENT_METADATA, key, VALUE_VERSION, value.as_ref())
            }
            Self::TargetAssignmentMember { key, value } => {
                encode_record(TARGET_ASSIGNMENT_MEMBER, key, VALUE_VERSION, value.as_ref())
            }
            Self::CurrentMemberAssignment { key, value } => {
                encode_record(CURRENT_MEMBER_ASSIGNMENT, key, VALUE_VERSION, value.as_ref())
            }
            Self::RegularExpression { key, value } => {
                encode_record(REGULAR_EXPRESSION, key, VALUE_VERSION, value.as_ref())
            }
        }
    }

    /// The group that the record is about.
    pub fn group_id(&self) -> &ByteString {
        match self {
            Self::Metadata { key, .. } => &key.group_id,
            Self::PartitionMetadata { key, .. } => &key.group_id,
            Self::MemberMetadata { key, .. } => &key.group_id,
            Self::TargetAssignmentMetadata { key, .. } => &key.group_id,
            Self::TargetAssignmentMember { key, .. } => &key.group_id,
            Self::CurrentMemberAssignment { key, .. } => &key.group_id,
            Self::RegularExpression { key, .. } => &key.group_id,
        }
    }

    /// Whether the record deletes. A tombstone never brings a group into being.
    pub fn is_tombstone(&self) -> bool {
        match self {
            Self::Metadata { value, .. } => value.is_none(),
            Self::PartitionMetadata { value, .. } => value.is_none(),
            Self::MemberMetadata { value, .. } => value.is_none(),
            Self::TargetAssignmentMetadata { value, .. } => value.is_none(),
            Self::TargetAssignmentMember { value, .. } => value.is_none(),
            Self::CurrentMemberAssignment { value, .. } => value.is_none(),
            Self::RegularExpression { value, .. } => value.is_none(),
        }
    }
}

fn read_key<K: Message>(key: &mut Reader) -> Result<K, RecordError> {
    Ok(K::decode(key, KEY_VERSION)?)
}

#[cfg(test)]
#[path = "record_test.rs"]
mod tests;
