use ottla_common::Uuid;

use super::super::partition_epochs::PartitionEpochs;
use super::super::{ConsumerGroupMember, record_of};
use super::*;

fn decode(key: Bytes, value: Option<Bytes>) -> Result<ConsumerGroupRecord, RecordError> {
    let mut r = Reader::new(key);
    let kind = r.i16()?;
    ConsumerGroupRecord::decode(kind, &mut r, value)
}

#[test]
fn an_epoch_has_kafkas_bytes() {
    let record = record_of::epoch(&"g".into(), 5, 0x0102);
    let (key, value) = record.encode().unwrap();
    assert_eq!(&key[..], b"\0\x03\0\x01g");
    let value = value.unwrap();
    assert_eq!(&value[..6], b"\0\0\0\0\0\x05", "version 0, then the epoch");
    assert_eq!(&value[6..], b"\x01\0\x08\0\0\0\0\0\0\x01\x02", "the hash is a tagged field");
    assert_eq!(decode(key, Some(value)).unwrap(), record);
}

#[test]
fn an_assignment_has_kafkas_bytes() {
    let id = Uuid::from_u128(7);
    let member = ConsumerGroupMember {
        member_epoch: 3,
        previous_member_epoch: 2,
        assigned_partitions: PartitionEpochs::from([(id, [(4, 3)].into())]).into(),
        ..ConsumerGroupMember::new("m".into())
    };
    let (key, value) = record_of::current(&"g".into(), &member).encode().unwrap();
    assert_eq!(&key[..], b"\0\x08\0\x01g\0\x01m");
    let mut expected = vec![0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 2];
    expected.extend_from_slice(&id.0);
    // One partition, and as a tagged field the epoch in which it was assigned; nothing to revoke.
    expected.extend_from_slice(&[2, 0, 0, 0, 4, 1, 0, 5, 2, 0, 0, 0, 3, 1, 0]);
    assert_eq!(&value.unwrap()[..], &expected[..]);
}

#[test]
fn tombstones_have_no_value() {
    let group: ByteString = "g".into();
    let member: ByteString = "m".into();
    for (record, kind) in [
        (record_of::epoch_tombstone(&group), 3),
        (record_of::subscription_metadata_tombstone(&group), 4),
        (record_of::member_tombstone(&group, &member), 5),
        (record_of::target_metadata_tombstone(&group), 6),
        (record_of::target_tombstone(&group, &member), 7),
        (record_of::current_tombstone(&group, &member), 8),
        (record_of::regular_expression_tombstone(&group, &"a.*".into()), 16),
    ] {
        let (key, value) = record.encode().unwrap();
        assert_eq!(key[..2], [0, kind]);
        assert!(value.is_none() && record.is_tombstone());
        assert_eq!(record.group_id(), &group);
        assert!(ConsumerGroupRecord::is_kind(kind.into()));
        assert_eq!(decode(key, None).unwrap(), record);
    }
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    let other = decode(Bytes::from_static(b"\0\x0b\0\x01g"), None);
    assert!(matches!(other, Err(RecordError::UnknownType(11))));
    assert!(!ConsumerGroupRecord::is_kind(9) && !ConsumerGroupRecord::is_kind(15));
    let newer = decode(Bytes::from_static(b"\0\x03\0\x01g"), Some(Bytes::from_static(b"\0\x01")));
    assert!(matches!(newer, Err(RecordError::UnknownValueVersion { kind: 3, version: 1 })));
    let cut = decode(Bytes::from_static(b"\0\x05\0\x01g\0\x09m"), None);
    assert!(matches!(cut, Err(RecordError::Malformed(_))));
}
