use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::group::streams::{TasksTupleWithEpochs, UserEndpoint};

fn read_back(record: &StreamsGroupRecord) -> StreamsGroupRecord {
    let (key, value) = record.encode().unwrap();
    let mut r = Reader::new(key);
    let kind = r.i16().unwrap();
    assert!(StreamsGroupRecord::is_kind(kind));
    StreamsGroupRecord::decode(kind, &mut r, value).unwrap()
}

fn member() -> StreamsGroupMember {
    let mut member = StreamsGroupMember::new("m".into());
    member.member_epoch = 7;
    member.previous_member_epoch = 6;
    member.instance_id = Some("i".into());
    member.process_id = "p".into();
    member.user_endpoint = Some(UserEndpoint { host: "h".into(), port: 65_535 });
    member.client_tags = BTreeMap::from([("zona".into(), "a".into())]);
    member.assigned_tasks = TasksTupleWithEpochs {
        active: BTreeMap::from([("0".into(), BTreeMap::from([(0, 5), (1, 7)]))]),
        standby: BTreeMap::from([("1".into(), BTreeSet::from([3]))]),
        ..Default::default()
    };
    member
}

#[test]
fn every_kind_reads_as_it_was_written() {
    let (group, member) = (ByteString::from_static("g"), member());
    let target = TasksTuple {
        active: BTreeMap::from([("0".into(), BTreeSet::from([0, 1]))]),
        warmup: BTreeMap::from([("0".into(), BTreeSet::from([2]))]),
        ..Default::default()
    };
    let metadata = StreamsGroupMetadataValue {
        epoch: 7,
        metadata_hash: -1,
        validated_topology_epoch: 2,
        last_assignment_configs: Some(record_values::assignment_configs(&BTreeMap::from([(
            "num.standby.replicas".into(),
            "1".into(),
        )]))),
        ..Default::default()
    };
    let records = [
        StreamsGroupRecord::member(&group, &member),
        StreamsGroupRecord::target_assignment(&group, &member.member_id, &target),
        StreamsGroupRecord::target_assignment_metadata(&group, 7, 1_000),
        StreamsGroupRecord::current_assignment(&group, &member),
        StreamsGroupRecord::GroupMetadata { group_id: group.clone(), value: Some(metadata) },
        StreamsGroupRecord::Topology { group_id: group.clone(), value: Some(Default::default()) },
    ];
    for record in &records {
        assert_eq!(&read_back(record), record);
        assert!(!record.is_tombstone());
        assert_eq!(record.group_id(), "g");
    }
    let mut found = StreamsGroupMember::new("m".into());
    for record in &records {
        match record {
            StreamsGroupRecord::MemberMetadata { value: Some(value), .. } => found.update_metadata(value),
            StreamsGroupRecord::CurrentMemberAssignment { value: Some(value), .. } => {
                found.update_current_assignment(value);
            }
            _ => {}
        }
    }
    assert_eq!(found, member);
}

#[test]
fn records_have_kafkas_bytes() {
    let (key, value) = StreamsGroupRecord::target_assignment_metadata(&"g".into(), 7, 5).encode().unwrap();
    assert_eq!(&key[..], b"\0\x14\0\x01g");
    // The epoch; the time is a tagged field (KIP-1263).
    assert_eq!(&value.unwrap()[..], b"\0\0\0\0\0\x07\x01\0\x08\0\0\0\0\0\0\0\x05");
    let mut member = member();
    member.assigned_tasks.active.remove(&ByteString::from_static("0"));
    let (key, value) = StreamsGroupRecord::current_assignment(&"g".into(), &member).encode().unwrap();
    assert_eq!(&key[..], b"\0\x16\0\x01g\0\x01m");
    // Epochs and the state; no active task, one standby task, and four empty lists.
    assert_eq!(
        &value.unwrap()[..],
        b"\0\0\0\0\0\x07\0\0\0\x06\x01\x01\x02\x021\x02\0\0\0\x03\0\x01\x01\x01\x01\0"
    );
}

#[test]
fn active_tasks_without_epochs_are_of_the_members_epoch() {
    let mut value = record_values::current_assignment(&member());
    for ids in &mut value.active_tasks {
        ids.assignment_epochs = None;
    }
    let mut found = StreamsGroupMember::new("m".into());
    found.update_current_assignment(&value);
    let epochs: Vec<_> = found.assigned_tasks.active.values().flat_map(BTreeMap::values).copied().collect();
    assert_eq!(epochs, [7, 7]);
}

#[test]
fn members_go_in_the_order_in_which_they_are_read() {
    let tombstones = StreamsGroupRecord::member_tombstones(&"g".into(), &"m".into());
    let kinds: Vec<_> = tombstones.iter().map(|record| record.encode().unwrap().0[1]).collect();
    assert_eq!(kinds, [22, 21, 19]);
    for record in &tombstones {
        assert!(record.is_tombstone());
        assert_eq!(&read_back(record), record);
    }
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    let decode = |kind, key: &'static [u8], value: Option<&'static [u8]>| {
        let mut r = Reader::new(Bytes::from_static(key));
        StreamsGroupRecord::decode(kind, &mut r, value.map(Bytes::from_static))
    };
    assert!(matches!(decode(18, b"\0\x01g", None), Err(RecordError::UnknownType(18))));
    assert!(!StreamsGroupRecord::is_kind(18) && !StreamsGroupRecord::is_kind(16));
    let newer = decode(17, b"\0\x01g", Some(b"\0\x01"));
    assert!(matches!(newer, Err(RecordError::UnknownValueVersion { kind: 17, version: 1 })));
    assert!(matches!(decode(19, b"\0\x01g", None), Err(RecordError::Malformed(_))));
    assert!(matches!(decode(23, b"\0\x01g", Some(b"\0")), Err(RecordError::Malformed(_))));
}
