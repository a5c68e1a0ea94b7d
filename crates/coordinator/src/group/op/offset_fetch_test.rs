use super::*;
use crate::group::GroupCoordinatorConfig;
use crate::group::testing::{Entry, GROUP, MemoryLog, TestContext, commit_request, fetch_request};
use crate::group::testing_records::{EPOCH, consumer_group, share_group, streams_group};
use crate::runtime::TransactionResult;

fn on(entries: Vec<Entry>) -> TestContext {
    let log = MemoryLog { high_watermark: entries.len() as i64, entries, ..Default::default() };
    TestContext::on(GroupCoordinatorConfig::default(), log, 0)
}

fn committed_group() -> TestContext {
    let mut t = TestContext::new();
    t.commit_offset(9, &commit_request(-1, &ByteString::new())).unwrap();
    t
}

#[test]
fn what_was_committed() {
    let t = committed_group();
    let response = t.shard().fetch_offsets(&fetch_request("pagos"), false).unwrap();
    let partition = &response.topics[0].partitions[0];
    assert_eq!((partition.committed_offset, partition.committed_leader_epoch), (100, 3));
    assert_eq!((partition.metadata.as_deref(), partition.error_code), (Some("nota"), 0));
}

#[test]
fn nothing_is_no_error() {
    let t = committed_group();
    let mut other_group = fetch_request("pagos");
    other_group.group_id = "otro".into();
    for request in [fetch_request("envíos"), other_group.clone()] {
        let response = t.shard().fetch_offsets(&request, false).unwrap();
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.committed_offset, partition.committed_leader_epoch), (-1, -1));
        assert_eq!((partition.metadata.as_deref(), partition.error_code), (Some(""), 0));
    }
    other_group.topics = None;
    let response = t.shard().fetch_offsets(&other_group, false).unwrap();
    assert_eq!((response.error_code, response.topics.len()), (0, 0));
}

#[test]
fn all_topics() {
    let mut t = committed_group();
    let mut request = commit_request(-1, &ByteString::new());
    request.topics[0].name = "envíos".into();
    request.topics[0].partitions[0].partition_index = 4;
    t.commit_offset(9, &request).unwrap();
    let mut request = fetch_request("pagos");
    request.topics = None;
    let response = t.shard().fetch_offsets(&request, false).unwrap();
    let found: Vec<_> =
        response.topics.iter().map(|t| (&t.name[..], t.partitions[0].partition_index)).collect();
    assert_eq!(found, vec![("envíos", 4), ("pagos", 0)]);
}

#[test]
fn a_topic_that_was_made_again_has_no_offsets() {
    let t = committed_group();
    let mut request = fetch_request("pagos");
    let offset = |request: &_| {
        t.shard().fetch_offsets(request, false).unwrap().topics[0].partitions[0].committed_offset
    };
    for (topic_id, expected) in [(7, 100), (0, 100), (8, -1)] {
        request.topics.as_mut().unwrap()[0].topic_id = Uuid::from_u128(topic_id);
        assert_eq!(offset(&request), expected);
    }
}

#[test]
fn what_is_not_committed_is_not_told() {
    let mut t = committed_group();
    t.log.hold = true;
    let mut request = commit_request(-1, &ByteString::new());
    request.topics[0].partitions[0].committed_offset = 200;
    t.commit_offset(9, &request).unwrap();
    assert_eq!(t.committed(), 100);
    t.commit_all();
    assert_eq!(t.committed(), 200);
}

#[test]
fn transactions_count_when_they_are_through() {
    let pending = || vec![TestContext::transactional_entry(9, 500)];
    let fetch = |t: &TestContext, require_stable| {
        let response = t.shard().fetch_offsets(&fetch_request("pagos"), require_stable).unwrap();
        let partition = response.topics[0].partitions[0].clone();
        (partition.committed_offset, ErrorCode::from_code(partition.error_code))
    };
    let open = on(pending());
    assert_eq!(fetch(&open, false), (-1, ErrorCode::None));
    assert_eq!(fetch(&open, true), (-1, ErrorCode::UnstableOffsetCommit));
    let mut entries = pending();
    entries.push(Entry::Marker(9, TransactionResult::Commit));
    assert_eq!(fetch(&on(entries), true), (500, ErrorCode::None));
    let mut entries = pending();
    entries.push(Entry::Marker(9, TransactionResult::Abort));
    assert_eq!(fetch(&on(entries), true), (-1, ErrorCode::None));
    // Somebody else's marker changes nothing.
    let mut entries = pending();
    entries.push(Entry::Marker(8, TransactionResult::Commit));
    assert_eq!(fetch(&on(entries), true), (-1, ErrorCode::UnstableOffsetCommit));
}

#[test]
fn the_later_commit_wins_over_a_transaction_that_ends_after_it() {
    let entries = vec![
        TestContext::transactional_entry(9, 500),
        TestContext::transactional_entry(-1, 600),
        Entry::Marker(9, TransactionResult::Commit),
    ];
    assert_eq!(on(entries).committed(), 600);
    let entries = vec![
        TestContext::transactional_entry(-1, 600),
        TestContext::transactional_entry(9, 500),
        TestContext::transactional_entry(10, 550),
        Entry::Marker(10, TransactionResult::Commit),
        Entry::Marker(9, TransactionResult::Commit),
    ];
    assert_eq!(on(entries).committed(), 550);
}

#[test]
fn all_topics_of_a_group_with_a_transaction_under_way() {
    let t = on(vec![TestContext::transactional_entry(-1, 600), TestContext::transactional_entry(9, 700)]);
    let mut request = fetch_request("pagos");
    request.topics = None;
    let response = t.shard().fetch_offsets(&request, true).unwrap();
    assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::UnstableOffsetCommit.code());
    let response = t.shard().fetch_offsets(&request, false).unwrap();
    assert_eq!(response.topics[0].partitions[0].committed_offset, 600);
}

#[test]
fn groups_of_newer_protocols() {
    let mut entries: Vec<_> =
        consumer_group(GROUP, &["m"]).into_iter().map(|record| Entry::Record(-1, record)).collect();
    entries.push(TestContext::transactional_entry(-1, 600));
    let consumer = on(entries);
    let mut request = fetch_request("pagos");
    let response = consumer.shard().fetch_offsets(&request, false).unwrap();
    assert_eq!(response.topics[0].partitions[0].committed_offset, 600, "administrators may look");
    (request.member_id, request.member_epoch) = (Some("m".into()), EPOCH);
    assert!(consumer.shard().fetch_offsets(&request, false).is_ok());
    request.member_epoch = EPOCH + 1;
    assert_eq!(consumer.shard().fetch_offsets(&request, false), Err(GroupError::StaleMemberEpoch));
    request.member_id = Some("x".into());
    assert_eq!(consumer.shard().fetch_offsets(&request, false), Err(GroupError::UnknownMemberId));
    let streams = TestContext::on_records(vec![streams_group(GROUP)]);
    assert_eq!(streams.shard().fetch_offsets(&request, false), Err(GroupError::UnknownMemberId));
    let share = TestContext::on_records(vec![share_group(GROUP)]);
    let response = share.shard().fetch_offsets(&request, false).unwrap();
    assert_eq!(response.topics[0].partitions[0].committed_offset, -1);
}
