use std::collections::BTreeSet;

use super::*;
use crate::group::modern::testing::{TestMetadata, topic_id};

const SUBSCRIPTION: &[u8] =
    b"\0\x01\0\0\0\x01\0\x05pagos\xff\xff\xff\xff\0\0\0\x01\0\x05pagos\0\0\0\x01\0\0\0\x02";

#[test]
fn a_subscription_is_read_in_its_version() {
    let metadata = TestMetadata::of(&[("pagos", 3)]);
    let bytes = Bytes::from_static(SUBSCRIPTION);
    assert_eq!(subscription_version(&bytes).unwrap(), 1);
    let subscription = decode_subscription(&bytes).unwrap();
    assert_eq!(subscription.topics, ["pagos"]);
    let owned = owned_partitions(&subscription, &metadata);
    assert_eq!((owned[0].topic_id, &owned[0].partitions[..]), (topic_id(0), &[2][..]));
    assert_eq!(rack_of(&subscription), None);
    assert!(owned_partitions(&subscription, &TestMetadata::of(&[])).is_empty());
}

#[test]
fn later_versions_are_read_as_the_newest() {
    let mut bytes = BytesMut::from(&b"\0\x09"[..]);
    let newest = ConsumerProtocolSubscription { topics: vec!["pagos".into()], ..Default::default() };
    bytes.extend_from_slice(&newest.to_bytes(ConsumerProtocolSubscription::MAX_VERSION).unwrap());
    let bytes = bytes.freeze();
    assert_eq!(subscription_version(&bytes).unwrap(), ConsumerProtocolSubscription::MAX_VERSION);
    assert_eq!(decode_subscription(&bytes).unwrap().topics, ["pagos"]);
}

#[test]
fn what_is_none_is_refused() {
    for bytes in [&b""[..], b"\0", b"\xff\xff\0\0\0\0", b"\0\0\x7f\xff\xff\xff"] {
        assert!(decode_subscription(&Bytes::from_static(bytes)).is_err(), "{bytes:?}");
    }
}

#[test]
fn assignments_go_there_and_back() {
    let metadata = TestMetadata::of(&[("pagos", 3), ("envios", 3)]);
    let of = |partitions: &[i32]| -> BTreeSet<i32> { partitions.iter().copied().collect() };
    let topics = [(topic_id(0), of(&[0, 2])), (topic_id(1), of(&[1])), (topic_id(9), of(&[0]))];
    let assignment = MemberAssignment::from(topics);
    let bytes = encode_assignment(assignment.iter(), 1, &metadata).unwrap();
    assert_eq!(bytes[..2], [0, 1]);
    let read = decode_assignment(&bytes).unwrap();
    assert_eq!(read.user_data, None);
    let read = to_member_assignment(&read, &metadata);
    let known: MemberAssignment = assignment.into_iter().filter(|(id, _)| *id != topic_id(9)).collect();
    assert_eq!(read, known, "topics that are gone are left out");
}
