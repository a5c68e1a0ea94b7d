use ottla_protocol::messages::offset_delete_request::OffsetDeleteRequestPartition;

use super::*;
use crate::group::GroupCoordinatorConfig;
use crate::group::testing::{Entry, GROUP, MemoryLog, TestContext, commit_request, join_request};

fn request(topic: &'static str) -> OffsetDeleteRequest {
    OffsetDeleteRequest {
        group_id: GROUP.into(),
        topics: vec![OffsetDeleteRequestTopic {
            name: ByteString::from_static(topic),
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
        }],
    }
}

fn delete(t: &mut TestContext, topic: &'static str) -> Result<ErrorCode, GroupError> {
    let result = t.shard().delete_offsets(&request(topic))?;
    let (response, _) = t.execute(result);
    assert_eq!(response.error_code, 0);
    Ok(ErrorCode::from_code(response.topics[0].partitions[0].error_code))
}

fn commit(t: &mut TestContext, generation_id: i32, member_id: &ByteString, topic: &'static str) {
    let mut request = commit_request(generation_id, member_id);
    request.topics[0].name = ByteString::from_static(topic);
    assert_eq!(t.commit_offset(9, &request), Ok(0));
}

#[test]
fn offsets_of_a_simple_group() {
    let mut t = TestContext::new();
    assert_eq!(delete(&mut t, "pagos"), Err(GroupError::GroupIdNotFound));
    commit(&mut t, -1, &ByteString::new(), "pagos");
    assert_eq!(delete(&mut t, "pagos"), Ok(ErrorCode::None));
    assert_eq!(t.committed(), -1);
    let written = t.records().len();
    assert_eq!(delete(&mut t, "pagos"), Ok(ErrorCode::None), "what is not there is deleted already");
    assert_eq!(t.records().len(), written);
    assert_eq!(t.restarted().committed(), -1);
}

#[test]
fn a_group_keeps_the_offsets_of_what_it_reads() {
    let mut t = TestContext::new();
    let ids = t.stable_group(1);
    commit(&mut t, 1, &ids[0], "pagos");
    commit(&mut t, 1, &ids[0], "antiguo");
    assert_eq!(delete(&mut t, "pagos"), Ok(ErrorCode::GroupSubscribedToTopic));
    assert_eq!(delete(&mut t, "antiguo"), Ok(ErrorCode::None));
    assert_eq!(t.committed(), 100);
    // The subscription is still known after a restart, and gone with the last member.
    let mut t = t.restarted();
    assert_eq!(delete(&mut t, "pagos"), Ok(ErrorCode::GroupSubscribedToTopic));
    t.advance(20_000);
    assert_eq!(delete(&mut t, "pagos"), Ok(ErrorCode::None));
}

#[test]
fn members_that_are_no_consumers_read_who_knows_what() {
    let mut t = TestContext::new();
    let mut join = join_request(&ByteString::new());
    join.protocol_type = "connect".into();
    let token = t.join(3, &join);
    t.settle(&[token]);
    assert_eq!(delete(&mut t, "pagos"), Err(GroupError::NonEmptyGroup));
}

#[test]
fn consumers_whose_subscription_cannot_be_read() {
    let mut t = TestContext::new();
    let mut join = join_request(&ByteString::new());
    join.protocols[0].metadata = bytes::Bytes::from_static(b"?");
    let token = t.join(3, &join);
    t.settle(&[token]);
    assert_eq!(delete(&mut t, "pagos"), Ok(ErrorCode::GroupSubscribedToTopic));
}

#[test]
fn offsets_of_transactions_under_way_go_too() {
    let entries = vec![TestContext::transactional_entry(9, 500)];
    let log = MemoryLog { high_watermark: 1, entries, ..Default::default() };
    let mut t = TestContext::on(GroupCoordinatorConfig::default(), log, 0);
    assert_eq!(delete(&mut t, "pagos"), Ok(ErrorCode::None));
    t.log.entries.push(Entry::Marker(9, crate::runtime::TransactionResult::Commit));
    assert_eq!(t.restarted().committed(), -1);
}

#[test]
fn a_deleted_topic_takes_its_offsets_along() {
    let mut t = TestContext::new();
    commit(&mut t, -1, &ByteString::new(), "pagos");
    let result = t.shard().on_topic_deleted(&"pagos".into(), Uuid::from_u128(8));
    t.execute(result);
    assert_eq!(t.committed(), 100, "another topic of the same name");
    let result = t.shard().on_topic_deleted(&"pagos".into(), Uuid::from_u128(7));
    t.execute(result);
    assert_eq!(t.committed(), -1);
}
