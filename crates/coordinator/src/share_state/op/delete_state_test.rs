use std::collections::BTreeSet;

use ottla_common::ErrorCode;

use crate::group::modern::testing::topic_id;
use crate::share_state::ShareStateRecord;
use crate::share_state::testing::{TOPIC, TestContext, write_batch, write_data};

#[test]
fn a_state_that_is_deleted_leaves_no_trace() {
    let mut t = TestContext::new();
    t.initialize(0, 4, 0);
    t.read(0, 9);
    assert_eq!(t.delete(0), ErrorCode::None);
    assert!(matches!(t.last_record(), ShareStateRecord::Snapshot { value: None, .. }));
    assert_eq!(t.offset(0), None);
    let mut t = t.restarted();
    assert_eq!(t.offset(0), None);
    assert_eq!(t.initialize(0, 1, 0), ErrorCode::None, "no epoch fences a new beginning");
    assert_eq!(t.offset(0).unwrap().snapshot_epoch, 0);
}

#[test]
fn to_delete_nothing_is_no_error() {
    let mut t = TestContext::new();
    assert_eq!(t.delete(0), ErrorCode::None);
    assert!(t.log.records.is_empty());
}

#[test]
fn a_negative_partition_is_invalid() {
    let mut t = TestContext::new();
    assert_eq!(t.delete(-1), ErrorCode::InvalidRequest);
}

#[test]
fn a_partition_that_is_not_there_is_unknown() {
    let mut t = TestContext::new();
    t.initialize(0, 1, 0);
    assert_eq!(t.delete(3), ErrorCode::UnknownTopicOrPartition);
    t.metadata.remove(TOPIC);
    assert_eq!(t.delete(0), ErrorCode::UnknownTopicOrPartition);
    assert!(t.offset(0).is_some(), "the topic's own deletion takes the state away");
}

#[test]
fn a_deleted_topic_takes_its_states_with_it() {
    let mut t = TestContext::new();
    t.initialize(0, 1, 0);
    t.initialize(2, 1, 0);
    t.write(2, &write_data(0, vec![write_batch(0, 9, 2, 1)]));
    let other = t.shard().cleanup_deleted_topics(&BTreeSet::from([topic_id(99)]));
    assert!(other.records.is_empty());
    let result = t.shard().cleanup_deleted_topics(&BTreeSet::from([topic_id(0)]));
    t.execute(result);
    assert!(t.states().is_empty());
    assert!(t.restarted().states().is_empty());
}
