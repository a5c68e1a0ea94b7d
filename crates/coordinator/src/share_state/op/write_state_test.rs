use ottla_common::ErrorCode;
use ottla_protocol::messages::write_share_group_state_request::PartitionData;

use crate::share_state::testing::{TOPIC, TestContext, write_batch, write_data};
use crate::share_state::{ShareCoordinatorConfig, ShareStateRecord, StateBatch};

fn initialized() -> TestContext {
    let mut t = TestContext::new();
    t.initialize(0, 1, 0);
    t
}

fn code(t: &mut TestContext, partition: i32, data: &PartitionData) -> ErrorCode {
    ErrorCode::from_code(t.write(partition, data).error_code)
}

#[test]
fn a_write_is_an_update_with_what_is_new() {
    let mut t = initialized();
    t.write(0, &write_data(0, vec![write_batch(0, 9, 2, 1)]));
    let data = PartitionData {
        delivery_complete_count: 5,
        ..write_data(5, vec![write_batch(10, 14, 0, 1), write_batch(3, 9, 2, 1)])
    };
    assert_eq!(code(&mut t, 0, &data), ErrorCode::None);
    let ShareStateRecord::Update { value: Some(value), .. } = t.last_record() else { panic!("an update") };
    assert_eq!((value.snapshot_epoch, value.leader_epoch, value.start_offset), (0, 0, 5));
    assert_eq!(value.delivery_complete_count, 5);
    let ranges: Vec<_> = value.state_batches.iter().map(|b| (b.first_offset, b.last_offset)).collect();
    assert_eq!(ranges, vec![(5, 9), (10, 14)]);
    let t = t.restarted();
    let state = t.offset(0).unwrap();
    assert_eq!((state.start_offset, state.delivery_complete_count), (5, 5));
    assert_eq!(state.state_batches.len(), 2);
}

#[test]
fn enough_updates_make_a_snapshot() {
    let config = ShareCoordinatorConfig { snapshot_update_records_per_snapshot: 2, ..Default::default() };
    let mut t = TestContext::with(config);
    t.initialize(0, 1, 0);
    let mut kinds = Vec::new();
    for i in 0..6 {
        t.write(0, &write_data(0, vec![write_batch(i * 10, i * 10 + 4, 0, 1)]));
        kinds.push(matches!(t.last_record(), ShareStateRecord::Snapshot { .. }));
    }
    assert_eq!(kinds, vec![false, false, true, false, false, true]);
    let state = t.offset(0).unwrap().clone();
    assert_eq!((state.snapshot_epoch, state.state_epoch, state.state_batches.len()), (2, 1, 6));
    assert_eq!(t.restarted().offset(0), Some(&state));
}

#[test]
fn the_start_offset_never_goes_back() {
    let mut t = initialized();
    t.write(0, &PartitionData { delivery_complete_count: 3, ..write_data(20, vec![]) });
    let batches = vec![write_batch(15, 24, 2, 1)];
    let late = PartitionData { delivery_complete_count: 9, ..write_data(10, batches) };
    assert_eq!(code(&mut t, 0, &late), ErrorCode::None);
    let state = t.offset(0).unwrap();
    assert_eq!((state.start_offset, state.delivery_complete_count), (20, 3));
    let batch = StateBatch { first_offset: 20, last_offset: 24, delivery_state: 2, delivery_count: 1 };
    assert_eq!(state.state_batches, vec![batch]);
    t.write(0, &PartitionData { delivery_complete_count: 2, ..write_data(20, vec![]) });
    assert_eq!(t.offset(0).unwrap().delivery_complete_count, 3, "of two for one offset the larger");
    t.write(0, &PartitionData { delivery_complete_count: 1, ..write_data(25, vec![]) });
    assert_eq!(t.offset(0).unwrap().delivery_complete_count, 1);
}

#[test]
fn an_older_leader_is_fenced() {
    let mut t = initialized();
    t.read(0, 3);
    let of = |leader_epoch| PartitionData { leader_epoch, ..write_data(1, vec![]) };
    assert_eq!(code(&mut t, 0, &of(2)), ErrorCode::FencedLeaderEpoch);
    assert_eq!(code(&mut t, 0, &of(3)), ErrorCode::None);
    assert_eq!(code(&mut t, 0, &of(4)), ErrorCode::None);
    let mut t = t.restarted();
    assert_eq!(t.offset(0).unwrap().leader_epoch, 3, "only a read makes a leader known");
    assert_eq!(code(&mut t, 0, &of(2)), ErrorCode::FencedLeaderEpoch);
}

#[test]
fn an_older_state_epoch_is_fenced() {
    let mut t = initialized();
    t.initialize(0, 5, 0);
    let of = |state_epoch| PartitionData { state_epoch, ..write_data(1, vec![]) };
    assert_eq!(code(&mut t, 0, &of(4)), ErrorCode::FencedStateEpoch);
    assert_eq!(code(&mut t, 0, &of(5)), ErrorCode::None);
}

#[test]
fn nothing_is_written_before_it_is_initialized() {
    let mut t = initialized();
    let result = t.write(1, &write_data(0, vec![]));
    assert_eq!(ErrorCode::from_code(result.error_code), ErrorCode::InvalidRequest);
    assert!(result.error_message.is_some());
    assert_eq!(t.log.records.len(), 1);
}

#[test]
fn negative_numbers_are_invalid() {
    let mut t = initialized();
    for data in [
        PartitionData { leader_epoch: -1, ..write_data(1, vec![]) },
        PartitionData { state_epoch: -1, ..write_data(1, vec![]) },
    ] {
        assert_eq!(code(&mut t, 0, &data), ErrorCode::InvalidRequest);
    }
    assert_eq!(code(&mut t, -1, &write_data(1, vec![])), ErrorCode::InvalidRequest);
}

#[test]
fn a_partition_that_is_gone_is_unknown() {
    let mut t = initialized();
    t.metadata.remove(TOPIC);
    assert_eq!(code(&mut t, 0, &write_data(1, vec![])), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn batches_that_cannot_be_change_nothing() {
    let mut t = initialized();
    let wrong = vec![write_batch(9, 3, 2, 1), write_batch(0, i64::MAX, 2, 1)];
    assert_eq!(code(&mut t, 0, &write_data(0, wrong)), ErrorCode::None);
    assert!(t.offset(0).unwrap().state_batches.is_empty());
}
