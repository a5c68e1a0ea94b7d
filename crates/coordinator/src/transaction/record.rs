use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use ottla_protocol::records::transaction::transaction_log_value::PartitionsSchema;
use ottla_protocol::records::transaction::{TransactionLogKey, TransactionLogValue};
use ottla_protocol::{DecodeError, EncodeError, Message, Reader};
use thiserror::Error;

use super::{NO_PRODUCER_ID, TransactionMetadata, TransactionState, TransactionVersion};

const TRANSACTION_LOG: i16 = 0;
/// Keys have no versions: their version is the number of their kind.
const KEY_VERSION: i16 = 0;
/// The first version of the value with tagged fields, from `transaction.version` 1 on.
const FIRST_FLEXIBLE_VALUE: i16 = 1;

/// A record of `__transaction_state`.
#[derive(Debug, Clone, PartialEq)]
pub struct TransactionRecord {
    /// The transactional id.
    pub key: TransactionLogKey,
    /// What it is doing, in which version of the value; `None` deletes it.
    pub value: Option<(i16, TransactionLogValue)>,
}

/// Why bytes are no record of a transaction.
#[derive(Debug, Error)]
pub enum TransactionRecordError {
    /// A kind of record that this release does not know. Kafka skips such records, and so do we.
    #[error("unknown record type {0}")]
    UnknownType(i16),
    /// A value in a version that this release does not know. Kafka skips such records too.
    #[error("unknown version {0} of a transaction's state")]
    UnknownValueVersion(i16),
    /// A number that is no state's.
    #[error("unknown transaction state {0}")]
    UnknownState(i8),
    /// Bytes that cannot be read.
    #[error("malformed record: {0}")]
    Malformed(#[from] DecodeError),
}

impl TransactionRecord {
    /// The record of a transactional id, as the cluster's `transaction.version` has it.
    pub(super) fn of(metadata: &TransactionMetadata, version: TransactionVersion) -> Self {
        let value_version = version.transaction_log_value_version();
        let mut value = TransactionLogValue {
            producer_id: metadata.producer_id,
            producer_epoch: metadata.producer_epoch,
            transaction_timeout_ms: metadata.timeout_ms,
            transaction_status: metadata.state.id(),
            transaction_partitions: partitions(metadata),
            transaction_last_update_timestamp_ms: metadata.last_update_timestamp_ms,
            transaction_start_timestamp_ms: metadata.start_timestamp_ms,
            previous_producer_id: NO_PRODUCER_ID,
            next_producer_id: NO_PRODUCER_ID,
            ..Default::default()
        };
        if value_version >= FIRST_FLEXIBLE_VALUE {
            value.previous_producer_id = metadata.previous_producer_id;
            value.next_producer_id = metadata.next_producer_id;
            value.client_transaction_version = metadata.client_transaction_version.feature_level();
        }
        Self { key: key(&metadata.transactional_id), value: Some((value_version, value)) }
    }

    /// A record that says: this transactional id is no more.
    pub(super) fn tombstone(transactional_id: &ByteString) -> Self {
        Self { key: key(transactional_id), value: None }
    }

    /// The key and the value as they stand in the log.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        let value = self.value.as_ref().map(|(version, value)| prefixed(*version, *version, value));
        Ok((prefixed(TRANSACTION_LOG, KEY_VERSION, &self.key)?, value.transpose()?))
    }

    /// Reads a record of the log. A record without a key is malformed: the topic is compacted.
    pub fn decode(key: Bytes, value: Option<Bytes>) -> Result<Self, TransactionRecordError> {
        let mut r = Reader::new(key);
        let kind = r.i16()?;
        if kind != TRANSACTION_LOG {
            return Err(TransactionRecordError::UnknownType(kind));
        }
        let key = TransactionLogKey::decode(&mut r, KEY_VERSION)?;
        Ok(Self { key, value: value.map(read_value).transpose()? })
    }
}

fn key(transactional_id: &ByteString) -> TransactionLogKey {
    TransactionLogKey { transactional_id: transactional_id.clone() }
}

fn partitions(metadata: &TransactionMetadata) -> Option<Vec<PartitionsSchema>> {
    let schema = |(topic, partition_ids): (&ByteString, Vec<i32>)| PartitionsSchema {
        topic: topic.clone(),
        partition_ids,
        ..Default::default()
    };
    (metadata.state != TransactionState::Empty).then(|| metadata.partitions.topics().map(schema).collect())
}

fn prefixed<M: Message>(prefix: i16, version: i16, message: &M) -> Result<Bytes, EncodeError> {
    let body = message.to_bytes(version)?;
    let mut bytes = BytesMut::with_capacity(2 + body.len());
    bytes.extend_from_slice(&prefix.to_be_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes.freeze())
}

fn read_value(value: Bytes) -> Result<(i16, TransactionLogValue), TransactionRecordError> {
    let mut r = Reader::new(value);
    let version = r.i16()?;
    if !(TransactionLogValue::MIN_VERSION..=TransactionLogValue::MAX_VERSION).contains(&version) {
        return Err(TransactionRecordError::UnknownValueVersion(version));
    }
    let value = TransactionLogValue::decode(&mut r, version)?;
    match TransactionState::from_id(value.transaction_status) {
        Some(_) => Ok((version, value)),
        None => Err(TransactionRecordError::UnknownState(value.transaction_status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> TransactionMetadata {
        let mut metadata = TransactionMetadata::new("tx".into(), 7, 60_000, 2);
        metadata.producer_epoch = 3;
        metadata.state = TransactionState::Ongoing;
        metadata.partitions = [("p".into(), 4), ("p".into(), 1)].into_iter().collect();
        metadata.start_timestamp_ms = 1;
        metadata
    }

    #[test]
    fn a_record_of_level_0_has_kafkas_bytes() {
        let record = TransactionRecord::of(&metadata(), TransactionVersion::V0);
        let (key, value) = record.encode().unwrap();
        assert_eq!(&key[..], b"\0\0\0\x02tx");
        let value = value.unwrap();
        let expected = [
            &b"\0\0"[..],
            &7i64.to_be_bytes(),
            &3i16.to_be_bytes(),
            &60_000i32.to_be_bytes(),
            b"\x01",
            b"\0\0\0\x01\0\x01p\0\0\0\x02\0\0\0\x01\0\0\0\x04",
            &2i64.to_be_bytes(),
            &1i64.to_be_bytes(),
        ];
        assert_eq!(value[..], expected.concat()[..]);
        assert_eq!(TransactionRecord::decode(key, Some(value)).unwrap(), record);
    }

    #[test]
    fn from_level_1_on_ids_before_and_after_are_kept() {
        let mut metadata = metadata();
        metadata.previous_producer_id = 6;
        metadata.next_producer_id = 8;
        metadata.client_transaction_version = TransactionVersion::V2;
        for version in [TransactionVersion::V1, TransactionVersion::V2] {
            let (key, value) = TransactionRecord::of(&metadata, version).encode().unwrap();
            let read = TransactionRecord::decode(key, value).unwrap();
            let (1, value) = read.value.unwrap() else { panic!("not version 1") };
            assert_eq!(TransactionMetadata::from_record("tx".into(), &value), Some(metadata.clone()));
        }
        let record = TransactionRecord::of(&metadata, TransactionVersion::V0);
        assert!(record.encode().is_ok(), "what the old version cannot hold is left out");
    }

    #[test]
    fn an_empty_transaction_has_no_list_of_partitions() {
        let mut metadata = metadata();
        metadata.state = TransactionState::Empty;
        let (_, value) = TransactionRecord::of(&metadata, TransactionVersion::V2).value.unwrap();
        assert_eq!(value.transaction_partitions, None);
        metadata.state = TransactionState::CompleteCommit;
        metadata.partitions = Default::default();
        let (_, value) = TransactionRecord::of(&metadata, TransactionVersion::V2).value.unwrap();
        assert_eq!(value.transaction_partitions, Some(Vec::new()));
    }

    #[test]
    fn tombstones_have_no_value() {
        let record = TransactionRecord::tombstone(&"tx".into());
        let (key, value) = record.encode().unwrap();
        assert_eq!(value, None);
        assert_eq!(TransactionRecord::decode(key, None).unwrap(), record);
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        let unknown = TransactionRecord::decode(Bytes::from_static(b"\0\x01\0\x02tx"), None);
        assert!(matches!(unknown, Err(TransactionRecordError::UnknownType(1))));
        let key = Bytes::from_static(b"\0\0\0\x02tx");
        let newer = TransactionRecord::decode(key.clone(), Some(Bytes::from_static(b"\0\x02")));
        assert!(matches!(newer, Err(TransactionRecordError::UnknownValueVersion(2))));
        let cut = TransactionRecord::decode(key, Some(Bytes::from_static(b"\0\0\0")));
        assert!(matches!(cut, Err(TransactionRecordError::Malformed(_))));
        assert!(matches!(
            TransactionRecord::decode(Bytes::new(), None),
            Err(TransactionRecordError::Malformed(_))
        ));
        let mut record = TransactionRecord::of(&metadata(), TransactionVersion::V0);
        record.value.as_mut().unwrap().1.transaction_status = 9;
        let (key, value) = record.encode().unwrap();
        let state = TransactionRecord::decode(key, value);
        assert!(matches!(state, Err(TransactionRecordError::UnknownState(9))));
    }
}
