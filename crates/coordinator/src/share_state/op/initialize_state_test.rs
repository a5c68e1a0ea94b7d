use ottla_common::ErrorCode;

use crate::share_state::testing::{TOPIC, TestContext, write_batch, write_data};

#[test]
fn a_group_begins_where_its_strategy_says() {
    let mut t = TestContext::new();
    assert_eq!(t.initialize(0, 1, -1), ErrorCode::None);
    let state = t.offset(0).unwrap();
    assert_eq!((state.snapshot_epoch, state.state_epoch, state.leader_epoch), (0, 1, 0));
    assert_eq!((state.start_offset, state.delivery_complete_count), (-1, -1));
    assert_eq!((state.create_timestamp_ms, state.write_timestamp_ms), (t.now_ms, t.now_ms));
}

#[test]
fn an_offset_given_forgets_what_was_before() {
    let mut t = TestContext::new();
    t.initialize(0, 1, -1);
    t.write(0, &write_data(10, vec![write_batch(10, 19, 2, 1)]));
    assert_eq!(t.initialize(0, 2, 5), ErrorCode::None);
    let t = t.restarted();
    let state = t.offset(0).unwrap();
    assert_eq!((state.snapshot_epoch, state.state_epoch), (1, 2));
    assert_eq!((state.start_offset, state.delivery_complete_count), (5, 0), "lag counts from here");
    assert!(state.state_batches.is_empty());
}

#[test]
fn an_older_state_epoch_is_fenced() {
    let mut t = TestContext::new();
    t.initialize(0, 2, -1);
    assert_eq!(t.initialize(0, 1, -1), ErrorCode::FencedStateEpoch);
    assert_eq!(t.initialize(0, 2, -1), ErrorCode::None, "the same request may come twice");
    assert_eq!(t.log.records.len(), 2);
}

#[test]
fn negative_numbers_are_invalid() {
    let mut t = TestContext::new();
    assert_eq!(t.initialize(-1, 1, -1), ErrorCode::InvalidRequest);
    assert_eq!(t.initialize(0, -1, -1), ErrorCode::InvalidRequest);
    assert!(t.log.records.is_empty());
}

#[test]
fn a_partition_that_is_not_there_is_unknown() {
    let mut t = TestContext::new();
    assert_eq!(t.initialize(3, 1, -1), ErrorCode::UnknownTopicOrPartition);
    t.metadata.remove(TOPIC);
    assert_eq!(t.initialize(0, 1, -1), ErrorCode::UnknownTopicOrPartition);
}
