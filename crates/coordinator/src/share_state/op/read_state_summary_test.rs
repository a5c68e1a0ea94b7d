use ottla_common::ErrorCode;
use ottla_protocol::messages::write_share_group_state_request::PartitionData;

use crate::share_state::testing::{TOPIC, TestContext, key, write_data};

#[test]
fn a_summary_says_how_far_the_group_is() {
    let mut t = TestContext::new();
    t.initialize(0, 2, 0);
    t.read(0, 4);
    let data = PartitionData {
        leader_epoch: 4,
        state_epoch: 2,
        delivery_complete_count: 3,
        ..write_data(7, vec![])
    };
    t.write(0, &data);
    let summary = t.shard().read_state_summary(&t.metadata, &key(0));
    assert_eq!((summary.error_code, summary.start_offset, summary.delivery_complete_count), (0, 7, 3));
    assert_eq!((summary.state_epoch, summary.leader_epoch), (2, 4));
}

#[test]
fn a_group_that_did_not_begin_has_no_offset() {
    let t = TestContext::new();
    let summary = t.shard().read_state_summary(&t.metadata, &key(1));
    assert_eq!((summary.error_code, summary.start_offset, summary.delivery_complete_count), (0, -1, -1));
    assert_eq!((summary.state_epoch, summary.leader_epoch), (0, 0));
}

#[test]
fn a_negative_partition_is_invalid() {
    let t = TestContext::new();
    let summary = t.shard().read_state_summary(&t.metadata, &key(-1));
    assert_eq!(ErrorCode::from_code(summary.error_code), ErrorCode::InvalidRequest);
}

#[test]
fn a_partition_that_is_not_there_is_unknown() {
    let mut t = TestContext::new();
    let code = |t: &TestContext, partition| {
        ErrorCode::from_code(t.shard().read_state_summary(&t.metadata, &key(partition)).error_code)
    };
    assert_eq!(code(&t, 3), ErrorCode::UnknownTopicOrPartition);
    t.metadata.remove(TOPIC);
    assert_eq!(code(&t, 0), ErrorCode::UnknownTopicOrPartition);
}
