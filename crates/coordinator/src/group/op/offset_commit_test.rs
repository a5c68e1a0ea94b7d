use super::*;
use crate::group::GroupCoordinatorConfig;
use crate::group::testing::{
    GROUP, SESSION_TIMEOUT_MS, TestContext, commit_request, join_request, static_join_request,
};
use crate::group::testing_records::{EPOCH, consumer_group, share_group, streams_group};

fn nobody() -> ByteString {
    ByteString::new()
}

#[test]
fn who_is_no_member_makes_a_group_of_offsets() {
    let mut t = TestContext::new();
    assert_eq!(t.commit_offset(8, &commit_request(-1, &nobody())), Ok(0));
    assert_eq!((t.state(), t.committed()), ("Empty", 100));
    assert!(t.shard().classic_group(&GROUP.into()).unwrap().is_simple());
    let t = t.restarted();
    assert_eq!((t.state(), t.committed()), ("Empty", 100));
}

#[test]
fn the_record_is_kafkas() {
    let mut t = TestContext::new();
    t.commit_offset(8, &commit_request(-1, &nobody())).unwrap();
    let GroupRecord::OffsetCommit { key, value: Some(value) } = &t.records()[0] else {
        panic!("no offset commit")
    };
    assert_eq!((&key.group[..], &key.topic[..], key.partition), (GROUP, "pagos", 0));
    assert_eq!((value.offset, value.leader_epoch, &value.metadata[..]), (100, 3, "nota"));
    assert_eq!((value.commit_timestamp, value.expire_timestamp), (t.now_ms, -1));
    assert_eq!(value.topic_id, Uuid::from_u128(7));
}

#[test]
fn a_retention_time_makes_an_offset_expire() {
    let mut t = TestContext::new();
    let mut request = commit_request(-1, &nobody());
    request.retention_time_ms = 5_000;
    t.commit_offset(2, &request).unwrap();
    let GroupRecord::OffsetCommit { value: Some(value), .. } = &t.records()[0] else {
        panic!("no offset commit")
    };
    assert_eq!(value.expire_timestamp, t.now_ms + 5_000);
    let key = (GROUP.into(), "pagos".into());
    let offset = t.shard().offsets.committed.get(&key.0, &key.1, 0).unwrap();
    assert_eq!(offset.expire_timestamp_ms, Some(t.now_ms + 5_000));
}

#[test]
fn a_generation_of_a_group_that_is_not_there() {
    let mut t = TestContext::new();
    let request = commit_request(1, &"m".into());
    assert_eq!(t.commit_offset(8, &request), Err(ErrorCode::IllegalGeneration));
    assert_eq!(t.commit_offset(9, &request), Err(ErrorCode::GroupIdNotFound));
}

#[test]
fn members_commit_in_their_generation() {
    let mut t = TestContext::new();
    let ids = t.stable_group(1);
    assert_eq!(t.commit_offset(9, &commit_request(1, &ids[0])), Ok(0));
    assert_eq!(t.commit_offset(9, &commit_request(0, &ids[0])), Err(ErrorCode::IllegalGeneration));
    assert_eq!(t.commit_offset(9, &commit_request(2, &ids[0])), Err(ErrorCode::IllegalGeneration));
    assert_eq!(t.commit_offset(9, &commit_request(-1, &ids[0])), Err(ErrorCode::IllegalGeneration));
    assert_eq!(t.commit_offset(9, &commit_request(1, &"x".into())), Err(ErrorCode::UnknownMemberId));
    assert_eq!(t.commit_offset(9, &commit_request(-1, &nobody())), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn while_joining_members_commit_and_before_the_assignment_they_do_not() {
    let mut t = TestContext::new();
    let ids = t.stable_group(2);
    t.join(9, &join_request(&ids[0]));
    assert_eq!(t.commit_offset(9, &commit_request(1, &ids[1])), Ok(0), "what was read before it is revoked");
    t.join(9, &join_request(&ids[1]));
    assert_eq!(t.state(), "CompletingRebalance");
    assert_eq!(t.commit_offset(9, &commit_request(2, &ids[1])), Err(ErrorCode::RebalanceInProgress));
}

#[test]
fn a_fenced_static_member() {
    let mut t = TestContext::new();
    let token = t.join(9, &static_join_request(&nobody(), "a"));
    t.settle(&[token]);
    let mut request = commit_request(1, &"otro".into());
    request.group_instance_id = Some("a".into());
    assert_eq!(t.commit_offset(9, &request), Err(ErrorCode::FencedInstanceId));
}

#[test]
fn an_empty_group_takes_offsets_from_outside() {
    let mut t = TestContext::new();
    t.stable_group(1);
    t.advance(20_000);
    assert_eq!(t.state(), "Empty");
    assert_eq!(t.commit_offset(9, &commit_request(-1, &nobody())), Ok(0));
    assert_eq!(t.commit_offset(9, &commit_request(2, &nobody())), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn a_commit_keeps_the_session() {
    let mut t = TestContext::new();
    let ids = t.stable_group(1);
    for _ in 0..3 {
        t.advance(i64::from(SESSION_TIMEOUT_MS) - 1);
        assert_eq!(t.commit_offset(9, &commit_request(1, &ids[0])), Ok(0));
    }
}

#[test]
fn metadata_is_limited_in_java_characters() {
    let mut t =
        TestContext::with(GroupCoordinatorConfig { offset_metadata_max_size: 4, ..Default::default() });
    let mut request = commit_request(-1, &nobody());
    for (metadata, fits) in
        [("abcd", true), ("abcde", false), ("ññññ", true), ("😀😀", true), ("😀😀a", false)]
    {
        request.topics[0].partitions[0].committed_metadata = Some(metadata.into());
        let error = if fits { ErrorCode::None } else { ErrorCode::OffsetMetadataTooLarge };
        assert_eq!(t.commit_offset(9, &request), Ok(error.code()), "{metadata}");
    }
    request.topics[0].partitions[0].committed_metadata = None;
    assert_eq!(t.commit_offset(9, &request), Ok(0));
    assert_eq!(t.records().len(), 4);
}

#[test]
fn a_refused_commit_never_was() {
    let mut t = TestContext::new();
    t.log.refuse = Some(ErrorCode::NotEnoughReplicas);
    let request = commit_request(-1, &nobody());
    let result = t.shard().commit_offset(t.now_ms, &crate::group::testing::context_of(9), &request).unwrap();
    let (_, event) = t.execute(result);
    assert_eq!(t.outcome(event), Some(Err(ErrorCode::NotEnoughReplicas)));
    assert_eq!(t.state(), "none");
}

#[test]
fn an_answer_waits_for_its_commit_and_not_for_ever() {
    let mut t = TestContext::new();
    t.log.hold = true;
    let request = commit_request(-1, &nobody());
    let context = crate::group::testing::context_of(9);
    let commit = |t: &TestContext| t.shard().commit_offset(t.now_ms, &context, &request).unwrap();
    let (_, event) = {
        let result = commit(&t);
        t.execute(result)
    };
    assert_eq!(t.outcome(event), None);
    t.commit_all();
    assert_eq!(t.outcome(event), Some(Ok(())));
    let (_, event) = {
        let result = commit(&t);
        t.execute(result)
    };
    t.advance(4_999);
    assert_eq!(t.outcome(event), None);
    t.advance(1);
    assert_eq!(t.outcome(event), Some(Err(ErrorCode::RequestTimedOut)));
}

#[test]
fn groups_of_newer_protocols() {
    let commit = |records: &[GroupRecord], version, epoch, member_id: ByteString| {
        TestContext::on_records(records.to_vec()).commit_offset(version, &commit_request(epoch, &member_id))
    };
    let consumer = consumer_group(GROUP, &["m"]);
    assert_eq!(commit(&consumer, 9, -1, nobody()), Err(ErrorCode::UnknownMemberId));
    assert_eq!(commit(&consumer, 9, EPOCH, "x".into()), Err(ErrorCode::UnknownMemberId));
    assert_eq!(commit(&consumer, 9, EPOCH, "m".into()), Ok(0));
    assert_eq!(commit(&consumer, 9, EPOCH + 1, "m".into()), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(commit(&consumer, 9, EPOCH - 1, "m".into()), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(commit(&consumer, 8, EPOCH, "m".into()), Err(ErrorCode::UnsupportedVersion));
    assert_eq!(commit(&consumer_group(GROUP, &[]), 9, -1, nobody()), Ok(0));
    let streams = [streams_group(GROUP)];
    assert_eq!(commit(&streams, 9, -1, nobody()), Ok(0));
    assert_eq!(commit(&streams, 9, EPOCH, "m".into()), Err(ErrorCode::UnknownMemberId));
    assert_eq!(commit(&[share_group(GROUP)], 9, -1, nobody()), Err(ErrorCode::GroupIdNotFound));
}
