use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic};
use ottla_protocol::messages::*;

use super::service_testing::*;
use crate::coordinator::runtime::testing::until;
use crate::coordinator::{GroupCoordinatorConfig, partition_for};

#[tokio::test]
async fn nothing_works_before_the_start() {
    let f = Fixture::stopped(config());
    let unavailable = ErrorCode::CoordinatorNotAvailable;
    let code = unavailable.code();
    let joined = f.service.join_group(context(9), join_request("yo")).await;
    assert_eq!((joined.error_code, &joined.member_id[..]), (code, "yo"));
    assert_eq!(f.service.sync_group(context(5), sync_request(&"m".into(), 1)).await.error_code, code);
    assert_eq!(f.heartbeat(&"m".into(), 1).await, unavailable);
    let leave = LeaveGroupRequest { group_id: GROUP.into(), ..Default::default() };
    assert_eq!(f.service.leave_group(context(5), leave).await.error_code, code);
    assert_eq!(f.commit(1).await, unavailable);
    assert_eq!(f.committed().await, Err(unavailable));
    assert_eq!(f.service.list_groups(ListGroupsRequest::default()).await.error_code, code);
    assert_eq!(f.service.runtime().partition_for(GROUP), None);
}

#[tokio::test]
async fn who_does_not_lead_says_so() {
    let f = Fixture::stopped(config());
    f.service.runtime().startup(PARTITIONS);
    assert_eq!(f.service.runtime().partition_for(GROUP), Some(partition_for(GROUP, PARTITIONS)));
    assert_eq!(f.commit(1).await, ErrorCode::NotCoordinator);
    assert_eq!(f.heartbeat(&"m".into(), 1).await, ErrorCode::NotCoordinator);
    let describe = DescribeGroupsRequest { groups: vec![GROUP.into()], ..Default::default() };
    let described = f.service.describe_groups(context(6), describe).await;
    assert_eq!(described.groups[0].error_code, ErrorCode::NotCoordinator.code());
    let delete = DeleteGroupsRequest { groups_names: vec![GROUP.into()], ..Default::default() };
    let deleted = f.service.delete_groups(delete).await;
    assert_eq!(deleted.results[0].error_code, ErrorCode::NotCoordinator.code());
    let listed = f.service.list_groups(ListGroupsRequest::default()).await;
    assert_eq!((listed.error_code, listed.groups.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_loads_it_says_so() {
    let f = Fixture::stopped(config());
    f.service.runtime().startup(PARTITIONS);
    f.log.set(|state| state.hold_reads = true);
    f.service.runtime().on_election(partition_for(GROUP, PARTITIONS), 1);
    assert_eq!(f.commit(1).await, ErrorCode::CoordinatorLoadInProgress);
    assert_eq!(f.heartbeat(&"m".into(), 1).await, ErrorCode::None, "heartbeats are believed");
    let listed = f.service.list_groups(ListGroupsRequest::default()).await;
    assert_eq!(listed.error_code, ErrorCode::CoordinatorLoadInProgress.code());
    f.log.set(|state| state.hold_reads = false);
    until("loaded", async || f.commit(1).await == ErrorCode::None).await;
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_no_coordinators() {
    let f = Fixture::stopped(config());
    f.service.runtime().startup(PARTITIONS);
    f.log.set(|state| state.refuse_read = Some(ErrorCode::KafkaStorageError));
    f.service.runtime().on_election(partition_for(GROUP, PARTITIONS), 1);
    until("given up", async || f.commit(1).await == ErrorCode::NotCoordinator).await;
    // Another election is another chance.
    f.log.set(|state| state.refuse_read = None);
    f.service.runtime().on_election(partition_for(GROUP, PARTITIONS), 2);
    until("loaded", async || f.commit(1).await == ErrorCode::None).await;
}

#[tokio::test]
async fn a_group_lives_and_another_coordinator_takes_over() {
    let f = Fixture::started().await;
    let (member_id, generation_id) = f.stable().await;
    assert_eq!(f.heartbeat(&member_id, generation_id).await, ErrorCode::None);
    let mut commit = commit_request(42);
    (commit.member_id, commit.generation_id_or_member_epoch) = (member_id.clone(), generation_id);
    let committed = f.service.offset_commit(context(9), commit).await;
    assert_eq!(committed.topics[0].partitions[0].error_code, 0);

    for partition in 0..PARTITIONS {
        f.service.runtime().on_resignation(partition, Some(2));
    }
    assert_eq!(f.committed().await, Err(ErrorCode::NotCoordinator));
    f.elect(2).await;
    assert_eq!(f.committed().await, Ok(42));
    assert_eq!(f.heartbeat(&member_id, generation_id).await, ErrorCode::None);
    let listed = f.service.list_groups(ListGroupsRequest::default()).await;
    assert_eq!((listed.groups.len(), &listed.groups[0].group_state[..]), (1, "Stable"));
    let describe = DescribeGroupsRequest { groups: vec![GROUP.into()], ..Default::default() };
    let described = f.service.describe_groups(context(6), describe).await;
    assert_eq!(&described.groups[0].members[0].client_host[..], "/127.0.0.1");
    assert_eq!(&described.groups[0].members[0].member_assignment[..], b"todo");
}

#[tokio::test]
async fn old_news_of_elections_changes_nothing() {
    let f = Fixture::started().await;
    assert_eq!(f.commit(1).await, ErrorCode::None);
    let partition = partition_for(GROUP, PARTITIONS);
    f.service.runtime().on_election(partition, 1);
    f.service.runtime().on_resignation(partition, Some(1));
    assert_eq!(f.committed().await, Ok(1), "neither reloaded nor gone");
    f.service.runtime().on_resignation(partition, None);
    assert_eq!(f.committed().await, Err(ErrorCode::NotCoordinator));
}

#[tokio::test]
async fn answers_wait_until_they_are_committed() {
    let f = Fixture::started().await;
    assert_eq!(f.commit(1).await, ErrorCode::None);
    f.log.set(|state| state.hold = true);
    let partition = partition_for(GROUP, PARTITIONS);
    let end = f.log.end_offset(partition);
    let service = Arc::clone(&f.service);
    let waiting = tokio::spawn(async move { service.offset_commit(context(9), commit_request(2)).await });
    until("written", async || f.log.end_offset(partition) == end + 1).await;
    assert_eq!(f.committed().await, Ok(1), "readers see committed offsets only");
    assert!(!waiting.is_finished());
    f.log.set(|state| state.high_watermarks.insert(partition, end + 1));
    f.service.runtime().on_high_watermark(partition);
    assert_eq!(waiting.await.unwrap().topics[0].partitions[0].error_code, 0);
    assert_eq!(f.committed().await, Ok(2));
}

#[tokio::test]
async fn patience_with_a_commit_ends() {
    let f = Fixture::stopped(GroupCoordinatorConfig { offset_commit_timeout_ms: 20, ..config() });
    f.service.runtime().startup(PARTITIONS);
    f.elect(1).await;
    f.log.set(|state| state.hold = true);
    assert_eq!(f.commit(1).await, ErrorCode::CoordinatorNotAvailable);
    // A stable read waits for it too, and older consumers need another word for it.
    let fetched = f.service.fetch_offsets(&context(9), fetch_group(), true).await;
    assert_eq!(fetched.error_code, ErrorCode::NotCoordinator.code());
}

#[tokio::test]
async fn appends_that_are_refused() {
    let f = Fixture::started().await;
    for (refusal, told) in [
        (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
        (ErrorCode::MessageTooLarge, ErrorCode::UnknownServerError),
    ] {
        f.log.set(|state| state.refuse_append = Some(refusal));
        assert_eq!(f.commit(1).await, told);
    }
    f.log.set(|state| state.refuse_append = None);
    assert_eq!(f.committed().await, Ok(-1));
}

#[tokio::test]
async fn resigning_lets_go_of_whoever_waits() {
    let f = Fixture::started().await;
    let joined = f.join_in_two_steps().await;
    // The leader never assigns; somebody else waits to join.
    let service = Arc::clone(&f.service);
    let waiting = tokio::spawn(async move { service.join_group(context(3), join_request("")).await });
    let rebalancing = ErrorCode::RebalanceInProgress;
    until("joining", async || f.heartbeat(&joined.member_id, 1).await == rebalancing).await;
    f.service.runtime().on_resignation(partition_for(GROUP, PARTITIONS), None);
    assert_eq!(waiting.await.unwrap().error_code, ErrorCode::NotCoordinator.code());
    f.service.runtime().shutdown();
    assert_eq!(f.commit(1).await, ErrorCode::CoordinatorNotAvailable);
}

#[tokio::test]
async fn a_session_ends_by_the_clock() {
    let f = Fixture::started().await;
    let request = JoinGroupRequest { session_timeout_ms: 100, ..join_request("") };
    let joined = f.service.join_group(context(3), request).await;
    assert_eq!((joined.error_code, joined.protocol_name.as_deref()), (0, Some("range")));
    let state = async || {
        let listed = f.service.list_groups(ListGroupsRequest::default()).await;
        listed.groups[0].group_state.clone()
    };
    until("empty", async || &state().await[..] == "Empty").await;
}

#[tokio::test]
async fn requests_that_are_wrong() {
    let f = Fixture::started().await;
    let code = |error: ErrorCode| error.code();
    let nameless = JoinGroupRequest { group_id: "".into(), ..join_request("") };
    let response = f.service.join_group(context(9), nameless).await;
    assert_eq!((response.error_code, response.protocol_name), (code(ErrorCode::InvalidGroupId), None));
    for session_timeout_ms in [99, 1_800_001, -1] {
        let request = JoinGroupRequest { session_timeout_ms, ..join_request("") };
        let response = f.service.join_group(context(5), request).await;
        assert_eq!(response.error_code, code(ErrorCode::InvalidSessionTimeout));
        assert_eq!(response.protocol_name.as_deref(), Some(""), "before version 7 there is no null");
    }
    let sync = SyncGroupRequest { protocol_name: None, ..sync_request(&"m".into(), 1) };
    let response = f.service.sync_group(context(5), sync.clone()).await;
    assert_eq!(response.error_code, code(ErrorCode::InconsistentGroupProtocol));
    let response = f.service.sync_group(context(4), sync.clone()).await;
    assert_eq!(response.error_code, code(ErrorCode::UnknownMemberId));
    let nameless = SyncGroupRequest { group_id: "".into(), ..sync };
    assert_eq!(f.service.sync_group(context(4), nameless).await.error_code, code(ErrorCode::InvalidGroupId));
    let heartbeat = f.service.heartbeat(HeartbeatRequest::default()).await;
    assert_eq!(heartbeat.error_code, code(ErrorCode::InvalidGroupId));
    let leave = f.service.leave_group(context(5), LeaveGroupRequest::default()).await;
    assert_eq!(leave.error_code, code(ErrorCode::InvalidGroupId));
    let delete = f.service.offset_delete(OffsetDeleteRequest::default()).await;
    assert_eq!(delete.error_code, code(ErrorCode::InvalidGroupId));
}

#[tokio::test]
async fn leaving_in_every_version() {
    let f = Fixture::started().await;
    let leave = |member_id: &ByteString| LeaveGroupRequest {
        group_id: GROUP.into(),
        member_id: member_id.clone(),
        members: vec![MemberIdentity { member_id: member_id.clone(), ..Default::default() }],
        ..Default::default()
    };
    let unknown = ErrorCode::UnknownMemberId.code();
    let response = f.service.leave_group(context(2), leave(&"m".into())).await;
    assert_eq!((response.error_code, response.members.len()), (unknown, 0));
    let response = f.service.leave_group(context(3), leave(&"m".into())).await;
    assert_eq!((response.error_code, response.members[0].error_code), (0, unknown));
    let (member_id, _) = f.stable().await;
    let response = f.service.leave_group(context(2), leave(&member_id)).await;
    assert_eq!((response.error_code, response.members.len()), (0, 0));
}

#[tokio::test]
async fn fetching_offsets_in_every_version() {
    let f = Fixture::started().await;
    assert_eq!(f.commit(7).await, ErrorCode::None);
    let topics = vec![OffsetFetchRequestTopic {
        name: "pagos".into(),
        partition_indexes: vec![0, 1],
        ..Default::default()
    }];
    let old =
        OffsetFetchRequest { group_id: GROUP.into(), topics: Some(topics), ..OffsetFetchRequest::default() };
    for version in 1..8 {
        let response = f.service.offset_fetch(context(version), old.clone()).await;
        let offsets: Vec<_> = response.topics[0].partitions.iter().map(|p| p.committed_offset).collect();
        assert_eq!((response.error_code, offsets), (0, vec![7, -1]));
        assert!(response.groups.is_empty());
        response_encodes(&response, version);
    }
    let all = OffsetFetchRequest { topics: None, ..old.clone() };
    let response = f.service.offset_fetch(context(2), all).await;
    assert_eq!(response.topics[0].partitions.len(), 1);

    let nobody = OffsetFetchRequestGroup { group_id: "nadie".into(), ..fetch_group() };
    let batch = OffsetFetchRequest { groups: vec![fetch_group(), nobody], ..Default::default() };
    let response = f.service.offset_fetch(context(8), batch).await;
    let offsets: Vec<_> =
        response.groups.iter().map(|g| g.topics[0].partitions[0].committed_offset).collect();
    assert_eq!(offsets, vec![7, -1]);

    f.service.runtime().shutdown();
    let unavailable = ErrorCode::CoordinatorNotAvailable.code();
    let response = f.service.offset_fetch(context(1), old.clone()).await;
    assert_eq!((response.error_code, response.topics[0].partitions[1].error_code), (0, unavailable));
    assert_eq!(f.service.offset_fetch(context(2), old).await.error_code, unavailable);
}

fn response_encodes(response: &OffsetFetchResponse, version: i16) {
    use ottla_protocol::Message;
    response.to_bytes(version).unwrap();
}

#[tokio::test]
async fn offsets_and_groups_are_deleted() {
    let f = Fixture::started().await;
    assert_eq!(f.commit(7).await, ErrorCode::None);
    let request = OffsetDeleteRequest {
        group_id: GROUP.into(),
        topics: vec![OffsetDeleteRequestTopic {
            name: "pagos".into(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
        }],
    };
    assert_eq!(f.service.offset_delete(request).await.error_code, 0);
    assert_eq!(f.committed().await, Ok(-1));
    assert_eq!(f.commit(8).await, ErrorCode::None);
    f.service.on_topics_deleted(&[("pagos".into(), Uuid::from_u128(5))]).await;
    // Nobody waits for it, and its records wait for others to share their batch with.
    until("forgotten", async || f.committed().await == Ok(-1)).await;
    let request =
        DeleteGroupsRequest { groups_names: vec![GROUP.into(), GROUP.into()], ..Default::default() };
    let response = f.service.delete_groups(request.clone()).await;
    assert_eq!((response.results.len(), response.results[0].error_code), (1, 0));
    let response = f.service.delete_groups(request).await;
    assert_eq!(response.results[0].error_code, ErrorCode::GroupIdNotFound.code());
}

#[tokio::test]
async fn committing_to_a_group_that_is_not_there() {
    let f = Fixture::started().await;
    let mut request = commit_request(1);
    request.generation_id_or_member_epoch = 3;
    let response = f.service.offset_commit(context(9), request.clone()).await;
    assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::GroupIdNotFound.code());
    let response = f.service.offset_commit(context(8), request).await;
    assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::IllegalGeneration.code());
}

/// Whatever the service answers, the client's version has words for it.
#[tokio::test]
async fn every_answer_can_be_written_in_every_version() {
    use ottla_protocol::Message;
    fn check<M: Message>(response: &M, version: i16) {
        let bytes = response.to_bytes(version).unwrap_or_else(|e| panic!("{} v{version}: {e}", M::NAME));
        M::from_bytes(bytes, version).unwrap();
    }
    let f = Fixture::started().await;
    let (member_id, generation_id) = f.stable().await;
    for version in 0..=9 {
        let mut request = join_request(&member_id);
        check(&f.service.join_group(context(version), request.clone()).await, version);
        f.service
            .sync_group(context(5), sync_request(&member_id, generation_id + i32::from(version) + 1))
            .await;
        request.session_timeout_ms = 1;
        check(&f.service.join_group(context(version), request).await, version);
    }
    for version in 0..=5 {
        let sync = sync_request(&member_id, generation_id + 10);
        check(&f.service.sync_group(context(version), sync).await, version);
        let leave = LeaveGroupRequest { group_id: GROUP.into(), ..Default::default() };
        check(&f.service.leave_group(context(version), leave).await, version);
        check(&f.service.list_groups(ListGroupsRequest::default()).await, version);
    }
    for version in 0..=6 {
        let groups = vec![GROUP.into(), "nadie".into()];
        let describe = DescribeGroupsRequest { groups, ..Default::default() };
        check(&f.service.describe_groups(context(version), describe).await, version);
    }
    for version in 2..=10 {
        let mut commit = commit_request(1);
        commit.group_id = "otro".into();
        commit.topics[0].topic_id = Uuid::from_u128(3);
        check(&f.service.offset_commit(context(version), commit).await, version);
    }
    for version in 8..=10 {
        let mut group = fetch_group();
        group.group_id = "otro".into();
        let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        check(&f.service.offset_fetch(context(version), request).await, version);
    }
}
