use bytes::Bytes;
use ottla_protocol::records::share::{
    ShareSnapshotKey, ShareSnapshotValue, ShareUpdateKey, ShareUpdateValue,
};
use ottla_protocol::{DecodeError, EncodeError, Message, Reader, Writer};
use thiserror::Error;

use super::{ShareGroupOffset, SharePartitionKey};

const SHARE_SNAPSHOT: i16 = 0;
const SHARE_UPDATE: i16 = 1;
/// Keys have no versions: their version is the number of their kind.
const KEY_VERSION: i16 = 0;
const VALUE_VERSION: i16 = 0;

/// A record of `__share_group_state`.
#[derive(Debug, Clone, PartialEq)]
pub enum ShareStateRecord {
    /// The whole state of a share-partition; `None` deletes it, updates included.
    Snapshot {
        /// The share-partition.
        key: ShareSnapshotKey,
        /// Its state.
        value: Option<ShareSnapshotValue>,
    },
    /// A change since the snapshot. Nobody writes it without a value.
    Update {
        /// The share-partition.
        key: ShareUpdateKey,
        /// What is new.
        value: Option<ShareUpdateValue>,
    },
}

/// Why bytes are no record of a share-partition's state.
#[derive(Debug, Error)]
pub enum ShareStateRecordError {
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

impl ShareStateRecord {
    pub(super) fn snapshot(key: &SharePartitionKey, state: &ShareGroupOffset) -> Self {
        Self::Snapshot { key: snapshot_key(key), value: Some(state.to_snapshot()) }
    }

    pub(super) fn update(key: &SharePartitionKey, state: &ShareGroupOffset) -> Self {
        let SharePartitionKey { group_id, topic_id, partition } = key.clone();
        let key = ShareUpdateKey { group_id, topic_id, partition };
        Self::Update { key, value: Some(state.to_update()) }
    }

    pub(super) fn tombstone(key: &SharePartitionKey) -> Self {
        Self::Snapshot { key: snapshot_key(key), value: None }
    }

    /// The share-partition that the record speaks of.
    pub fn key(&self) -> SharePartitionKey {
        match self {
            Self::Snapshot { key, .. } => SharePartitionKey::new(&key.group_id, key.topic_id, key.partition),
            Self::Update { key, .. } => SharePartitionKey::new(&key.group_id, key.topic_id, key.partition),
        }
    }

    /// The key and the value as they stand in the log.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            Self::Snapshot { key, value } => pair(SHARE_SNAPSHOT, key, value.as_ref()),
            Self::Update { key, value } => pair(SHARE_UPDATE, key, value.as_ref()),
        }
    }

    /// Reads a record of the log.
    pub fn decode(key: Bytes, value: Option<Bytes>) -> Result<Self, ShareStateRecordError> {
        let mut r = Reader::new(key);
        match r.i16()? {
            SHARE_SNAPSHOT => Ok(Self::Snapshot {
                key: ShareSnapshotKey::decode(&mut r, KEY_VERSION)?,
                value: read_value(SHARE_SNAPSHOT, value)?,
            }),
            SHARE_UPDATE => Ok(Self::Update {
                key: ShareUpdateKey::decode(&mut r, KEY_VERSION)?,
                value: read_value(SHARE_UPDATE, value)?,
            }),
            kind => Err(ShareStateRecordError::UnknownType(kind)),
        }
    }
}

fn snapshot_key(key: &SharePartitionKey) -> ShareSnapshotKey {
    let SharePartitionKey { group_id, topic_id, partition } = key.clone();
    ShareSnapshotKey { group_id, topic_id, partition }
}

fn pair<K: Message, V: Message>(
    kind: i16,
    key: &K,
    value: Option<&V>,
) -> Result<(Bytes, Option<Bytes>), EncodeError> {
    let value = value.map(|value| prefixed(VALUE_VERSION, VALUE_VERSION, value));
    Ok((prefixed(kind, KEY_VERSION, key)?, value.transpose()?))
}

/// Room for the keys and values of most records.
const RECORD_BYTES: usize = 96;

fn prefixed<M: Message>(prefix: i16, version: i16, message: &M) -> Result<Bytes, EncodeError> {
    let mut w = Writer::with_capacity(RECORD_BYTES);
    w.i16(prefix);
    message.encode(&mut w, version)?;
    Ok(w.into_bytes())
}

fn read_value<M: Message>(kind: i16, value: Option<Bytes>) -> Result<Option<M>, ShareStateRecordError> {
    let Some(value) = value else { return Ok(None) };
    let mut r = Reader::new(value);
    let version = r.i16()?;
    if !(M::MIN_VERSION..=M::MAX_VERSION).contains(&version) {
        return Err(ShareStateRecordError::UnknownValueVersion { kind, version });
    }
    Ok(Some(M::decode(&mut r, version)?))
}

#[cfg(test)]
mod tests {
    use ottla_common::Uuid;

    use super::super::StateBatch;
    use super::*;

    fn key() -> SharePartitionKey {
        SharePartitionKey::new(&"g".into(), Uuid::ONE, 3)
    }

    fn state(delivery_complete_count: i32) -> ShareGroupOffset {
        ShareGroupOffset {
            snapshot_epoch: 1,
            state_epoch: 2,
            leader_epoch: 4,
            start_offset: 5,
            delivery_complete_count,
            state_batches: vec![StateBatch {
                first_offset: 6,
                last_offset: 7,
                delivery_state: 2,
                delivery_count: 1,
            }],
            create_timestamp_ms: 8,
            write_timestamp_ms: 9,
        }
    }

    #[test]
    fn a_snapshot_has_kafkas_bytes() {
        let record = ShareStateRecord::snapshot(&key(), &state(-1));
        let (key, value) = record.encode().unwrap();
        assert_eq!(&key[..], b"\0\0\0\x01g\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x03");
        let value = value.unwrap();
        let expected: &[u8] = b"\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x04\0\0\0\0\0\0\0\x05\
            \0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x09\
            \x02\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\x07\x02\0\x01\0\0";
        assert_eq!(&value[..], expected, "a count that nobody knows takes no room");
        assert_eq!(ShareStateRecord::decode(key, Some(value)).unwrap(), record);
    }

    #[test]
    fn an_update_carries_the_count_as_a_tagged_field() {
        let record = ShareStateRecord::update(&key(), &state(3));
        let (key, value) = record.encode().unwrap();
        assert_eq!(&key[..2], b"\0\x01");
        let value = value.unwrap();
        let expected: &[u8] = b"\0\0\0\0\0\x01\0\0\0\x04\0\0\0\0\0\0\0\x05\
            \x02\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\x07\x02\0\x01\0\
            \x01\0\x04\0\0\0\x03";
        assert_eq!(&value[..], expected);
        assert_eq!(ShareStateRecord::decode(key, Some(value)).unwrap(), record);
    }

    #[test]
    fn a_tombstone_has_no_value() {
        let record = ShareStateRecord::tombstone(&key());
        let (key, value) = record.encode().unwrap();
        assert_eq!((&key[..2], value.clone()), (&b"\0\0"[..], None));
        assert_eq!(ShareStateRecord::decode(key, value).unwrap(), record);
    }

    #[test]
    fn unknown_kinds_and_versions_are_told_apart() {
        let unknown = ShareStateRecord::decode(Bytes::from_static(b"\0\x02rest"), None);
        assert!(matches!(unknown, Err(ShareStateRecordError::UnknownType(2))));
        let (key, _) = ShareStateRecord::tombstone(&key()).encode().unwrap();
        let newer = ShareStateRecord::decode(key.clone(), Some(Bytes::from_static(b"\0\x01")));
        assert!(matches!(newer, Err(ShareStateRecordError::UnknownValueVersion { kind: 0, version: 1 })));
        let cut = ShareStateRecord::decode(key, Some(Bytes::from_static(b"\0\0\0")));
        assert!(matches!(cut, Err(ShareStateRecordError::Malformed(_))));
        assert!(ShareStateRecord::decode(Bytes::new(), None).is_err());
    }
}
