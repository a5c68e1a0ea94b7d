use ottla_common::Uuid;

use super::*;
use crate::group::GroupCoordinatorConfig;
use crate::group::testing::{
    Entry, GROUP, MemoryLog, TestContext, context_of, fetch_request, join_request, static_join_request,
};
use crate::group::testing_records::{EPOCH, consumer_group, share_group};
use crate::runtime::TransactionResult;

const PRODUCER: i64 = 77;

fn request(generation_id: i32, member_id: &ByteString) -> TxnOffsetCommitRequest {
    TxnOffsetCommitRequest {
        transactional_id: "pagos-tx".into(),
        group_id: GROUP.into(),
        producer_id: PRODUCER,
        producer_epoch: 0,
        generation_id_or_member_epoch: generation_id,
        member_id: member_id.clone(),
        topics: vec![TxnOffsetCommitRequestTopic {
            name: "pagos".into(),
            topic_id: Uuid::from_u128(7),
            partitions: vec![TxnOffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: 100,
                committed_leader_epoch: 3,
                committed_metadata: Some("nota".into()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn commit(t: &TestContext, version: i16, request: &TxnOffsetCommitRequest) -> Result<ErrorCode, ErrorCode> {
    match t.shard().commit_transactional_offset(t.now_ms, &context_of(version), request) {
        Ok(result) => Ok(ErrorCode::from_code(result.response.topics[0].partitions[0].error_code)),
        Err(error) => Err(error.code()),
    }
}

/// A coordinator that finds the records of these commits in the log, as the producer's, and what follows.
fn after(requests: &[TxnOffsetCommitRequest], rest: &[Entry]) -> TestContext {
    let empty = TestContext::new();
    let mut entries = Vec::new();
    for request in requests {
        let result =
            empty.shard().commit_transactional_offset(empty.now_ms, &context_of(5), request).unwrap();
        entries.extend(result.records.into_iter().map(|record| Entry::Record(PRODUCER, record)));
    }
    entries.extend(rest.iter().cloned());
    let log = MemoryLog { high_watermark: entries.len() as i64, entries, ..Default::default() };
    TestContext::on(GroupCoordinatorConfig::default(), log, empty.now_ms)
}

fn nobody() -> ByteString {
    ByteString::new()
}

#[test]
fn the_record_is_that_of_an_offset_commit() {
    let t = TestContext::new();
    let result = t.shard().commit_transactional_offset(t.now_ms, &context_of(5), &request(-1, &nobody()));
    let records = result.unwrap().records;
    assert_eq!(records.len(), 1);
    let GroupRecord::OffsetCommit { key, value: Some(value) } = &records[0] else {
        panic!("no offset commit")
    };
    assert_eq!((&key.group[..], &key.topic[..], key.partition), (GROUP, "pagos", 0));
    assert_eq!((value.offset, value.leader_epoch, &value.metadata[..]), (100, 3, "nota"));
    assert_eq!((value.commit_timestamp, value.expire_timestamp), (t.now_ms, -1));
    assert_eq!(value.topic_id, Uuid::from_u128(7));
}

#[test]
fn offsets_are_pending_until_the_transaction_ends() {
    let pending = after(&[request(-1, &nobody())], &[]);
    assert_eq!((pending.state(), pending.committed()), ("Empty", -1));
    let stable = pending.shard().fetch_offsets(&fetch_request("pagos"), true).unwrap();
    let code = ErrorCode::from_code(stable.topics[0].partitions[0].error_code);
    assert_eq!(code, ErrorCode::UnstableOffsetCommit);
    let marker = |result| [Entry::Marker(PRODUCER, result)];
    let committed = after(&[request(-1, &nobody())], &marker(TransactionResult::Commit));
    assert_eq!(committed.committed(), 100);
    let aborted = after(&[request(-1, &nobody())], &marker(TransactionResult::Abort));
    assert_eq!(aborted.committed(), -1);
    assert!(!aborted.shard().offsets.group_has_pending(&GROUP.into()));
    let others = after(&[request(-1, &nobody())], &[Entry::Marker(5, TransactionResult::Commit)]);
    assert_eq!(others.committed(), -1);
}

#[test]
fn a_later_commit_outside_of_the_transaction_stays() {
    let mut later = request(-1, &nobody());
    later.topics[0].partitions[0].committed_offset = 50;
    let empty = TestContext::new();
    let outside = empty.shard().commit_transactional_offset(0, &context_of(5), &later).unwrap().records;
    let rest = [Entry::Record(-1, outside[0].clone()), Entry::Marker(PRODUCER, TransactionResult::Commit)];
    assert_eq!(after(&[request(-1, &nobody())], &rest).committed(), 50);
}

#[test]
fn a_generation_of_a_group_that_is_not_there() {
    let t = TestContext::new();
    let request = request(1, &"m".into());
    assert_eq!(commit(&t, 5, &request), Err(ErrorCode::IllegalGeneration));
    assert_eq!(commit(&t, 6, &request), Err(ErrorCode::GroupIdNotFound));
}

#[test]
fn members_commit_in_their_generation_whatever_the_state() {
    let mut t = TestContext::new();
    let ids = t.stable_group(2);
    assert_eq!(commit(&t, 5, &request(1, &ids[0])), Ok(ErrorCode::None));
    assert_eq!(commit(&t, 5, &request(2, &ids[0])), Err(ErrorCode::IllegalGeneration));
    assert_eq!(commit(&t, 5, &request(-1, &ids[0])), Err(ErrorCode::IllegalGeneration));
    assert_eq!(commit(&t, 5, &request(1, &"x".into())), Err(ErrorCode::UnknownMemberId));
    assert_eq!(commit(&t, 2, &request(-1, &nobody())), Ok(ErrorCode::None), "older than KIP-447");
    t.join(9, &join_request(&ids[0]));
    t.join(9, &join_request(&ids[1]));
    assert_eq!(t.state(), "CompletingRebalance");
    assert_eq!(commit(&t, 5, &request(2, &ids[1])), Ok(ErrorCode::None));
}

#[test]
fn a_fenced_static_member() {
    let mut t = TestContext::new();
    let token = t.join(9, &static_join_request(&nobody(), "a"));
    t.settle(&[token]);
    let mut request = request(1, &"otro".into());
    request.group_instance_id = Some("a".into());
    assert_eq!(commit(&t, 5, &request), Err(ErrorCode::FencedInstanceId));
}

#[test]
fn members_of_newer_protocols() {
    let t = TestContext::on_records(consumer_group(GROUP, &["m"]));
    assert_eq!(commit(&t, 6, &request(EPOCH, &"m".into())), Ok(ErrorCode::None));
    assert_eq!(
        commit(&t, 6, &request(-1, &nobody())),
        Ok(ErrorCode::None),
        "producers need not say who they are"
    );
    assert_eq!(commit(&t, 6, &request(EPOCH, &"x".into())), Err(ErrorCode::UnknownMemberId));
    for stale in [EPOCH - 1, EPOCH + 1] {
        assert_eq!(commit(&t, 6, &request(stale, &"m".into())), Err(ErrorCode::StaleMemberEpoch));
        assert_eq!(commit(&t, 5, &request(stale, &"m".into())), Err(ErrorCode::IllegalGeneration));
    }
    let t = TestContext::on_records(vec![share_group(GROUP)]);
    assert_eq!(commit(&t, 6, &request(-1, &nobody())), Err(ErrorCode::GroupIdNotFound));
}

#[test]
fn metadata_is_limited_for_each_partition() {
    let config = GroupCoordinatorConfig { offset_metadata_max_size: 3, ..Default::default() };
    let t = TestContext::with(config);
    let long = request(-1, &nobody());
    assert_eq!(commit(&t, 5, &long), Ok(ErrorCode::OffsetMetadataTooLarge));
    let result = t.shard().commit_transactional_offset(t.now_ms, &context_of(5), &long).unwrap();
    assert!(result.records.is_empty());
}

#[test]
fn errors_of_the_append_and_of_the_verification() {
    for (error, told) in [
        (ErrorCode::NetworkException, ErrorCode::CoordinatorLoadInProgress),
        (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
        (ErrorCode::InvalidProducerEpoch, ErrorCode::InvalidProducerEpoch),
        (ErrorCode::InvalidTxnState, ErrorCode::InvalidTxnState),
        (ErrorCode::TransactionAbortable, ErrorCode::TransactionAbortable),
    ] {
        assert_eq!(txn_offset_commit_error(error), told);
    }
    let response = txn_offset_commit_error_response(&request(-1, &nobody()), ErrorCode::InvalidGroupId);
    let partition = &response.topics[0].partitions[0];
    assert_eq!(ErrorCode::from_code(partition.error_code), ErrorCode::InvalidGroupId);
    assert_eq!(response.topics[0].topic_id, Uuid::from_u128(7));
}
