use ottla_common::ErrorCode;

use crate::share_state::testing::{TOPIC, TestContext, write_batch, write_data};
use crate::share_state::{ShareCoordinatorConfig, ShareStateRecord};

#[test]
fn a_leader_learns_everything_and_is_known_from_then_on() {
    let mut t = TestContext::new();
    t.initialize(0, 1, 0);
    t.write(0, &write_data(3, vec![write_batch(3, 9, 2, 1)]));
    let result = t.read(0, 4);
    assert_eq!((result.error_code, result.state_epoch, result.start_offset), (0, 1, 3));
    let batch = &result.state_batches[0];
    assert_eq!((batch.first_offset, batch.last_offset), (3, 9));
    assert_eq!((batch.delivery_state, batch.delivery_count), (2, 1));
    let ShareStateRecord::Update { value: Some(value), .. } = t.last_record() else { panic!("an update") };
    assert_eq!((value.leader_epoch, value.start_offset), (4, 3));
    assert!(value.state_batches.is_empty());
    let written = t.log.records.len();
    assert_eq!(t.read(0, 4), result, "the same leader may ask again");
    assert_eq!(t.log.records.len(), written);
    assert_eq!(t.offset(0).unwrap().state_batches.len(), 1);
}

#[test]
fn a_read_that_is_due_for_a_snapshot_keeps_the_batches() {
    let config = ShareCoordinatorConfig { snapshot_update_records_per_snapshot: 1, ..Default::default() };
    let mut t = TestContext::with(config);
    t.initialize(0, 1, 0);
    t.write(0, &write_data(0, vec![write_batch(0, 9, 2, 1)]));
    t.read(0, 1);
    let ShareStateRecord::Snapshot { value: Some(value), .. } = t.last_record() else { panic!("a snapshot") };
    assert_eq!((value.leader_epoch, value.state_batches.len()), (1, 1));
}

#[test]
fn an_older_leader_is_fenced() {
    let mut t = TestContext::new();
    t.initialize(0, 1, 0);
    t.read(0, 4);
    assert_eq!(ErrorCode::from_code(t.read(0, 3).error_code), ErrorCode::FencedLeaderEpoch);
    let mut t = t.restarted();
    assert_eq!(ErrorCode::from_code(t.read(0, 3).error_code), ErrorCode::FencedLeaderEpoch);
}

#[test]
fn requests_that_cannot_be_are_invalid() {
    let mut t = TestContext::new();
    assert_eq!(ErrorCode::from_code(t.read(0, 0).error_code), ErrorCode::InvalidRequest, "not initialized");
    t.initialize(0, 1, 0);
    assert_eq!(ErrorCode::from_code(t.read(0, -1).error_code), ErrorCode::InvalidRequest);
    assert_eq!(ErrorCode::from_code(t.read(-1, 0).error_code), ErrorCode::InvalidRequest);
    assert_eq!(ErrorCode::from_code(t.read(0, 0).error_code), ErrorCode::None);
}

#[test]
fn a_partition_that_is_gone_is_unknown() {
    let mut t = TestContext::new();
    t.initialize(0, 1, 0);
    t.metadata.remove(TOPIC);
    let result = t.read(0, 0);
    assert_eq!(ErrorCode::from_code(result.error_code), ErrorCode::UnknownTopicOrPartition);
    assert!(result.error_message.is_some());
}
