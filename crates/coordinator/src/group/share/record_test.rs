use std::collections::BTreeMap;

use super::super::TopicPartitions;
use super::*;

fn decode(key: Bytes, value: Option<Bytes>) -> Result<ShareGroupRecord, RecordError> {
    let mut r = Reader::new(key);
    let kind = r.i16()?;
    ShareGroupRecord::decode(kind, &mut r, value)
}

fn member() -> ShareGroupMember {
    ShareGroupMember {
        member_epoch: 3,
        previous_member_epoch: 2,
        client_id: "c".into(),
        client_host: "/h".into(),
        subscribed_topic_names: BTreeSet::from(["u", "t"].map(ByteString::from_static)),
        assigned_partitions: MemberAssignment::from([(Uuid::ONE, BTreeSet::from([1, 0]))]),
        ..ShareGroupMember::new(&"m".into())
    }
}

fn assert_bytes(record: &ShareGroupRecord, key: &[u8], value: &[u8]) {
    let (encoded_key, encoded_value) = record.encode().unwrap();
    assert_eq!(&encoded_key[..], key);
    assert_eq!(&encoded_value.clone().unwrap()[..], value);
    assert_eq!(&decode(encoded_key, encoded_value).unwrap(), record);
}

#[test]
fn records_have_kafkas_bytes() {
    let group = ByteString::from_static("g");
    assert_bytes(
        &ShareGroupRecord::member(&group, &member()),
        b"\0\x0a\0\x01g\0\x01m",
        b"\0\0\0\x02c\x03/h\x03\x02t\x02u\0",
    );
    assert_bytes(
        &ShareGroupRecord::group(&group, 5, 7),
        b"\0\x0b\0\x01g",
        b"\0\0\0\0\0\x05\0\0\0\0\0\0\0\x07\0",
    );
    assert_bytes(
        &ShareGroupRecord::current_assignment(&group, &member()),
        b"\0\x0e\0\x01g\0\x01m",
        b"\0\0\0\0\0\x03\0\0\0\x02\0\x02\
          \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x03\0\0\0\0\0\0\0\x01\0\0",
    );
    assert_bytes(
        &ShareGroupRecord::target_assignment(&group, &"m".into(), &member().assigned_partitions),
        b"\0\x0d\0\x01g\0\x01m",
        b"\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x03\0\0\0\0\0\0\0\x01\0\0",
    );
}

#[test]
fn every_kind_is_read_again() {
    let group = ByteString::from_static("g");
    let member_id = ByteString::from_static("m");
    let topic = TopicPartitions { name: "t".into(), partitions: BTreeSet::from([0, 1]) };
    let partitions = StatePartitions {
        initializing: BTreeMap::from([(Uuid::from_u128(5), topic.clone())]),
        initialized: BTreeMap::from([(Uuid::from_u128(6), topic)]),
        deleting: BTreeMap::from([(Uuid::from_u128(7), ByteString::from_static("d"))]),
    };
    let records = [
        ShareGroupRecord::member(&group, &member()),
        ShareGroupRecord::member_tombstone(&group, &member_id),
        ShareGroupRecord::group(&group, 5, 7),
        ShareGroupRecord::group_tombstone(&group),
        ShareGroupRecord::target_assignment_metadata(&group, 5, 1_000),
        ShareGroupRecord::target_assignment_metadata_tombstone(&group),
        ShareGroupRecord::target_assignment(&group, &member_id, &member().assigned_partitions),
        ShareGroupRecord::target_assignment_tombstone(&group, &member_id),
        ShareGroupRecord::current_assignment(&group, &member()),
        ShareGroupRecord::current_assignment_tombstone(&group, &member_id),
        ShareGroupRecord::state_partition_metadata(&group, &partitions),
        ShareGroupRecord::state_partition_metadata_tombstone(&group),
    ];
    for (i, record) in records.iter().enumerate() {
        let (key, value) = record.encode().unwrap();
        assert_eq!(record.is_tombstone(), i % 2 == 1);
        assert_eq!(value.is_none(), record.is_tombstone());
        assert_eq!(&decode(key, value).unwrap(), record);
        assert_eq!(record.group_id(), &group);
    }
}

#[test]
fn the_first_form_of_an_assignments_epoch_is_read() {
    // Before it had a timestamp the value ended with the epoch; the timestamp is a tagged field.
    let (key, _) = ShareGroupRecord::target_assignment_metadata_tombstone(&"g".into()).encode().unwrap();
    let read = decode(key, Some(Bytes::from_static(b"\0\0\0\0\0\x09\0"))).unwrap();
    let ShareGroupRecord::TargetAssignmentMetadata { value: Some(value), .. } = read else { panic!() };
    assert_eq!((value.assignment_epoch, value.assignment_timestamp), (9, 0));
}

#[test]
fn unknown_kinds_and_versions_are_told_apart() {
    let kind = ShareGroupRecord::decode(9, &mut Reader::new(Bytes::new()), None);
    assert!(matches!(kind, Err(RecordError::UnknownType(9))));
    let (key, _) = ShareGroupRecord::group_tombstone(&"g".into()).encode().unwrap();
    let version = decode(key.clone(), Some(Bytes::from_static(b"\0\x01")));
    assert!(matches!(version, Err(RecordError::UnknownValueVersion { kind: 11, version: 1 })));
    let cut = decode(key, Some(Bytes::from_static(b"\0\0\0")));
    assert!(matches!(cut, Err(RecordError::Malformed(_))));
}
