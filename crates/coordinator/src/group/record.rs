use bytes::Bytes;
use bytestring::ByteString;
use ottla_protocol::records::group::{
    GroupMetadataKey, GroupMetadataValue, LegacyOffsetCommitKey, LegacyOffsetCommitValue, OffsetCommitKey,
    OffsetCommitValue,
};
use ottla_protocol::{DecodeError, EncodeError, Message, Reader, Writer};
use thiserror::Error;

use super::consumer::ConsumerGroupRecord;
use super::share::ShareGroupRecord;
use super::streams::StreamsGroupRecord;

const LEGACY_OFFSET_COMMIT: i16 = 0;
const OFFSET_COMMIT: i16 = 1;
const GROUP_METADATA: i16 = 2;
/// Keys have no versions: their version is the number of their kind.
const KEY_VERSION: i16 = 0;
/// Kafka keeps to version 3, so that a broker older than 3.5 reads the record (KIP-915).
const GROUP_METADATA_VALUE_VERSION: i16 = 3;
/// The one version that carries when an offset expires, which requests up to version 4 may set.
const OFFSET_COMMIT_VALUE_VERSION_WITH_EXPIRY: i16 = 1;
const OFFSET_COMMIT_VALUE_VERSION: i16 = 4;
const NO_EXPIRY: i64 = -1;

/// A record of `__consumer_offsets`.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupRecord {
    /// A committed offset; `None` deletes it.
    OffsetCommit {
        /// Group, topic and partition.
        key: OffsetCommitKey,
        /// What was committed.
        value: Option<OffsetCommitValue>,
    },
    /// A classic group; `None` deletes it.
    GroupMetadata {
        /// The group's id.
        key: GroupMetadataKey,
        /// The group as of its newest generation.
        value: Option<GroupMetadataValue>,
    },
    /// A record of a consumer group.
    Consumer(ConsumerGroupRecord),
    /// A record of a share group.
    Share(ShareGroupRecord),
    /// A record of a streams group.
    Streams(StreamsGroupRecord),
}

/// Why bytes are no record of a group.
#[derive(Debug, Error)]
pub enum RecordError {
    /// A kind of record that this release does not know. Kafka skips such records, and so do we.
    #[error("unknown record type {0}")]
    UnknownType(i16),
    /// A value in a version that this release does not know: skipping it would lose state.
    #[error("unknown version {version} of the value of record type {kind}")]
    UnknownValueVersion {
        /// The number of the record's kind.
        kind: i16,
        /// The value's version.
        version: i16,
    },
    /// Bytes that cannot be read.
    #[error("malformed record: {0}")]
    Malformed(#[from] DecodeError),
}

impl GroupRecord {
    /// A record that says: this group is no more.
    pub(crate) fn group_tombstone(group: &ByteString) -> Self {
        Self::GroupMetadata { key: group_key(group), value: None }
    }

    /// A record that holds a classic group.
    pub(crate) fn group_metadata(group: &ByteString, value: GroupMetadataValue) -> Self {
        Self::GroupMetadata { key: group_key(group), value: Some(value) }
    }

    /// A record that holds a committed offset.
    pub(crate) fn offset_commit(
        group: &ByteString,
        topic: &ByteString,
        partition: i32,
        value: OffsetCommitValue,
    ) -> Self {
        Self::OffsetCommit { key: offset_key(group, topic, partition), value: Some(value) }
    }

    /// A record that says: nothing is committed here.
    pub(crate) fn offset_tombstone(group: &ByteString, topic: &ByteString, partition: i32) -> Self {
        Self::OffsetCommit { key: offset_key(group, topic, partition), value: None }
    }

    /// The key and the value as they stand in the log.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            Self::OffsetCommit { key, value } => {
                let value = value.as_ref().map(|value| {
                    let version = match value.expire_timestamp {
                        NO_EXPIRY => OFFSET_COMMIT_VALUE_VERSION,
                        _ => OFFSET_COMMIT_VALUE_VERSION_WITH_EXPIRY,
                    };
                    prefixed(version, version, value)
                });
                Ok((prefixed(OFFSET_COMMIT, KEY_VERSION, key)?, value.transpose()?))
            }
            Self::GroupMetadata { key, value } => {
                let version = GROUP_METADATA_VALUE_VERSION;
                let value = value.as_ref().map(|value| prefixed(version, version, value));
                Ok((prefixed(GROUP_METADATA, KEY_VERSION, key)?, value.transpose()?))
            }
            Self::Consumer(record) => record.encode(),
            Self::Share(record) => record.encode(),
            Self::Streams(record) => record.encode(),
        }
    }

    /// Reads a record of the log. A record without a key is malformed: the topic is compacted.
    pub fn decode(key: Bytes, value: Option<Bytes>) -> Result<Self, RecordError> {
        let mut r = Reader::new(key);
        let kind = r.i16()?;
        match kind {
            LEGACY_OFFSET_COMMIT => {
                let key = LegacyOffsetCommitKey::decode(&mut r, KEY_VERSION)?;
                let value = read_value::<LegacyOffsetCommitValue>(kind, value)?;
                Ok(from_legacy(key, value))
            }
            OFFSET_COMMIT => Ok(Self::OffsetCommit {
                key: OffsetCommitKey::decode(&mut r, KEY_VERSION)?,
                value: read_value(kind, value)?,
            }),
            GROUP_METADATA => Ok(Self::GroupMetadata {
                key: GroupMetadataKey::decode(&mut r, KEY_VERSION)?,
                value: read_value(kind, value)?,
            }),
            kind if ConsumerGroupRecord::is_kind(kind) => {
                ConsumerGroupRecord::decode(kind, &mut r, value).map(Self::Consumer)
            }
            kind if ShareGroupRecord::is_kind(kind) => {
                ShareGroupRecord::decode(kind, &mut r, value).map(Self::Share)
            }
            kind if StreamsGroupRecord::is_kind(kind) => {
                StreamsGroupRecord::decode(kind, &mut r, value).map(Self::Streams)
            }
            kind => Err(RecordError::UnknownType(kind)),
        }
    }
}

fn group_key(group: &ByteString) -> GroupMetadataKey {
    GroupMetadataKey { group: group.clone() }
}

fn offset_key(group: &ByteString, topic: &ByteString, partition: i32) -> OffsetCommitKey {
    OffsetCommitKey { group: group.clone(), topic: topic.clone(), partition }
}

fn from_legacy(key: LegacyOffsetCommitKey, value: Option<LegacyOffsetCommitValue>) -> GroupRecord {
    let value = value.map(|value| OffsetCommitValue {
        offset: value.offset,
        metadata: value.metadata,
        commit_timestamp: value.commit_timestamp,
        ..Default::default()
    });
    GroupRecord::OffsetCommit { key: offset_key(&key.group, &key.topic, key.partition), value }
}

/// Room for the keys and values of most records.
const RECORD_BYTES: usize = 96;

fn prefixed<M: Message>(prefix: i16, version: i16, message: &M) -> Result<Bytes, EncodeError> {
    let mut w = Writer::with_capacity(RECORD_BYTES);
    w.i16(prefix);
    message.encode(&mut w, version)?;
    Ok(w.into_bytes())
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
mod tests {
    use bytes::BytesMut;

    use super::*;

    fn offset_value(expire_timestamp: i64) -> OffsetCommitValue {
        OffsetCommitValue {
            offset: 42,
            leader_epoch: -1,
            metadata: "m".into(),
            commit_timestamp: 7,
            expire_timestamp,
            ..Default::default()
        }
    }

    #[test]
    fn an_offset_commit_has_kafkas_bytes() {
        let record = GroupRecord::offset_commit(&"g".into(), &"t".into(), 3, offset_value(-1));
        let (key, value) = record.encode().unwrap();
        assert_eq!(&key[..], b"\0\x01\0\x01g\0\x01t\0\0\0\x03");
        let value = value.unwrap();
        assert_eq!(value[..2], [0, 4], "the version that has topic ids");
        assert_eq!(GroupRecord::decode(key, Some(value)).unwrap(), record);
    }

    #[test]
    fn an_offset_that_expires_is_written_as_version_1() {
        let record = GroupRecord::offset_commit(&"g".into(), &"t".into(), 3, offset_value(99));
        let (key, value) = record.encode().unwrap();
        assert_eq!(value.as_ref().unwrap()[..2], [0, 1]);
        assert_eq!(GroupRecord::decode(key, value).unwrap(), record);
    }

    #[test]
    fn tombstones_have_no_value() {
        let record = GroupRecord::group_tombstone(&"g".into());
        let (key, value) = record.encode().unwrap();
        assert_eq!((&key[..], &value), (&b"\0\x02\0\x01g"[..], &None));
        assert_eq!(GroupRecord::decode(key, None).unwrap(), record);
    }

    #[test]
    fn legacy_offsets_read_as_todays() {
        let value = LegacyOffsetCommitValue { offset: 5, metadata: "".into(), commit_timestamp: 6 };
        let mut bytes = BytesMut::from(&[0u8, 0][..]);
        bytes.extend_from_slice(&value.to_bytes(0).unwrap());
        let key = Bytes::from_static(b"\0\0\0\x01g\0\x01t\0\0\0\0");
        let Ok(GroupRecord::OffsetCommit { value: Some(value), .. }) =
            GroupRecord::decode(key, Some(bytes.freeze()))
        else {
            panic!("no offset commit");
        };
        assert_eq!((value.offset, value.leader_epoch, value.expire_timestamp), (5, -1, -1));
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        let unknown = GroupRecord::decode(Bytes::from_static(b"\0\x63\0\x01g"), None);
        assert!(matches!(unknown, Err(RecordError::UnknownType(99))));
        let newer =
            GroupRecord::decode(Bytes::from_static(b"\0\x02\0\x01g"), Some(Bytes::from_static(b"\0\x09")));
        assert!(matches!(newer, Err(RecordError::UnknownValueVersion { kind: 2, version: 9 })));
        let cut = GroupRecord::decode(Bytes::from_static(b"\0\x02\0\x09g"), None);
        assert!(matches!(cut, Err(RecordError::Malformed(_))));
        assert!(matches!(GroupRecord::decode(Bytes::new(), None), Err(RecordError::Malformed(_))));
    }
}
