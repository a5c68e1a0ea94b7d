use super::*;
use crate::group::GroupCoordinatorConfig;
use crate::group::testing::{
    GROUP, REBALANCE_TIMEOUT_MS, SESSION_TIMEOUT_MS, TestContext, join_request, protocols,
    static_join_request,
};
use crate::group::testing_records::{consumer_group, share_group, streams_group};

fn error(response: &JoinGroupResponse) -> ErrorCode {
    ErrorCode::from_code(response.error_code)
}

fn nobody() -> ByteString {
    ByteString::new()
}

#[test]
fn a_new_member_must_come_back_with_its_id() {
    let mut t = TestContext::new();
    let response = t.join_now(4, &join_request(&nobody()));
    assert_eq!(error(&response), ErrorCode::MemberIdRequired);
    assert_eq!(&response.member_id[..], "cliente-00000000-0000-0000-0000-000000000001");
    assert_eq!(t.records().len(), 1, "the group is in the log before it has members");

    let token = t.join(4, &join_request(&response.member_id));
    assert_eq!(t.joined(token), None, "the first rebalance is delayed");
    t.advance(2_999);
    assert_eq!(t.joined(token), None);
    t.advance(1);
    let joined = t.joined(token).unwrap();
    assert_eq!(error(&joined), ErrorCode::None);
    assert_eq!(joined.generation_id, 1);
    assert_eq!(joined.leader, response.member_id);
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(joined.protocol_type.as_deref(), Some("consumer"));
    assert!(!joined.members[0].metadata.is_empty());
}

#[test]
fn old_clients_join_in_one_step() {
    let mut t = TestContext::new();
    let token = t.join(3, &join_request(&nobody()));
    t.advance(3_000);
    assert_eq!(error(&t.joined(token).unwrap()), ErrorCode::None);
}

#[test]
fn a_pending_member_that_does_not_come_back_is_forgotten() {
    let mut t = TestContext::new();
    let member_id = t.new_member_id();
    t.advance(i64::from(SESSION_TIMEOUT_MS));
    let response = t.join_now(9, &join_request(&member_id));
    assert_eq!(error(&response), ErrorCode::UnknownMemberId);
}

#[test]
fn each_newcomer_extends_the_first_delay_up_to_the_rebalance_timeout() {
    let mut t = TestContext::new();
    let mut request = join_request(&nobody());
    request.rebalance_timeout_ms = 7_000;
    let mut tokens = vec![t.join(3, &request)];
    for _ in 0..2 {
        t.advance(2_500);
        tokens.push(t.join(3, &request));
        t.advance(500);
        assert_eq!(t.state(), "PreparingRebalance");
    }
    // 6 s have passed; a third newcomer gets no more than what remains of the 7 s.
    t.advance(1_000);
    assert_eq!(t.state(), "CompletingRebalance");
    let responses: Vec<_> = tokens.iter().map(|token| t.joined(*token).unwrap()).collect();
    assert!(responses.iter().all(|r| r.generation_id == 1));
    assert_eq!(responses.iter().filter(|r| !r.members.is_empty()).count(), 1, "one leader");
    assert_eq!(responses[0].members.len(), 3);
}

#[test]
fn without_a_delay_the_group_is_made_at_once() {
    let config = GroupCoordinatorConfig { classic_group_initial_rebalance_delay_ms: 0, ..Default::default() };
    let mut t = TestContext::with(config);
    let token = t.join(3, &join_request(&nobody()));
    t.advance(0);
    assert_eq!(t.joined(token).unwrap().generation_id, 1);
}

#[test]
fn an_unknown_member_of_an_unknown_group() {
    let mut t = TestContext::new();
    let response = t.join_now(9, &join_request(&"forastero".into()));
    assert_eq!(error(&response), ErrorCode::UnknownMemberId);
    assert_eq!(&response.member_id[..], "forastero");
    assert!(t.records().is_empty());
}

#[test]
fn an_unknown_member_of_a_known_group() {
    let mut t = TestContext::new();
    t.stable_group(1);
    let response = t.join_now(9, &join_request(&"forastero".into()));
    assert_eq!(error(&response), ErrorCode::UnknownMemberId);
}

#[test]
fn a_known_id_in_an_empty_group() {
    let mut t = TestContext::new();
    t.new_member_id();
    let response = t.join_now(9, &join_request(&"forastero".into()));
    assert_eq!(error(&response), ErrorCode::UnknownMemberId);
}

#[test]
fn protocols_must_meet() {
    let mut t = TestContext::new();
    let mut request = join_request(&nobody());
    request.protocols = Vec::new();
    assert_eq!(error(&t.join_now(9, &request)), ErrorCode::InconsistentGroupProtocol);
    request.protocols = protocols(&["range"]);
    request.protocol_type = nobody();
    assert_eq!(error(&t.join_now(9, &request)), ErrorCode::InconsistentGroupProtocol);

    t.stable_group(1);
    let mut request = join_request(&nobody());
    request.protocols = protocols(&["sticky"]);
    assert_eq!(error(&t.join_now(9, &request)), ErrorCode::InconsistentGroupProtocol);
    let mut request = join_request(&nobody());
    request.protocol_type = "connect".into();
    assert_eq!(error(&t.join_now(9, &request)), ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn the_protocol_that_all_can_speak_and_most_want() {
    let mut t = TestContext::new();
    let wanted = [vec!["range", "sticky"], vec!["sticky", "range"], vec!["sticky", "range", "x"]];
    let join = |t: &mut TestContext, names: &[&'static str]| {
        let mut request = join_request(&nobody());
        request.protocols = protocols(names);
        t.join(3, &request)
    };
    let tokens: Vec<_> = wanted.iter().map(|names| join(&mut t, names)).collect();
    t.advance(10_000);
    assert_eq!(t.joined(tokens[0]).unwrap().protocol_name.as_deref(), Some("sticky"));
}

#[test]
fn the_group_may_be_full() {
    let config = GroupCoordinatorConfig { classic_group_max_size: 2, ..Default::default() };
    let mut t = TestContext::with(config);
    let ids = t.stable_group(2);
    let response = t.join_now(9, &join_request(&nobody()));
    assert_eq!(error(&response), ErrorCode::GroupMaxSizeReached);
    assert_eq!(response.member_id, nobody());
    // Who is in may join again.
    let token = t.join(9, &join_request(&ids[0]));
    assert_eq!(t.state(), "PreparingRebalance");
    assert_eq!(t.joined(token), None);
}

#[test]
fn a_lowered_maximum_pushes_the_last_ones_out() {
    let mut t = TestContext::new();
    let ids = t.stable_group(3);
    let log = std::mem::take(&mut t.log);
    let config = GroupCoordinatorConfig { classic_group_max_size: 1, ..Default::default() };
    let mut t = TestContext::on(config, log, t.now_ms);
    assert_eq!(t.state(), "PreparingRebalance", "the members are asked to join again");
    let first = t.join(9, &join_request(&ids[0]));
    let response = t.join_now(9, &join_request(&ids[1]));
    assert_eq!(error(&response), ErrorCode::GroupMaxSizeReached);
    t.advance(i64::from(SESSION_TIMEOUT_MS));
    assert_eq!(t.joined(first).unwrap().members.len(), 1);
}

#[test]
fn a_leader_that_joins_again_rebalances_the_group() {
    let mut t = TestContext::new();
    let ids = t.stable_group(2);
    let leader = t.join(9, &join_request(&ids[0]));
    assert_eq!(t.state(), "PreparingRebalance");
    assert_eq!(t.heartbeat(&ids[1], 1), ErrorCode::RebalanceInProgress);
    let follower = t.join(9, &join_request(&ids[1]));
    let response = t.joined(leader).unwrap();
    assert_eq!((response.generation_id, response.members.len()), (2, 2));
    assert_eq!(t.joined(follower).unwrap().generation_id, 2);
}

#[test]
fn a_follower_that_says_nothing_new_gets_the_generation_again() {
    let mut t = TestContext::new();
    let ids = t.stable_group(2);
    let response = t.join_now(9, &join_request(&ids[1]));
    assert_eq!((response.generation_id, response.leader.clone()), (1, ids[0].clone()));
    assert!(response.members.is_empty());
    assert_eq!(t.state(), "Stable");

    let mut changed = join_request(&ids[1]);
    changed.protocols = protocols(&["range", "sticky"]);
    t.join(9, &changed);
    assert_eq!(t.state(), "PreparingRebalance");
}

#[test]
fn a_member_that_missed_the_answer_gets_it_again() {
    let mut t = TestContext::new();
    let id = t.new_member_id();
    let token = t.join(9, &join_request(&id));
    t.advance(3_000);
    let first = t.joined(token).unwrap();
    assert_eq!(t.state(), "CompletingRebalance");
    assert_eq!(t.join_now(9, &join_request(&id)), first);
    let mut changed = join_request(&id);
    changed.protocols = protocols(&["range", "sticky"]);
    let response = t.join_now(9, &changed);
    assert_eq!(response.generation_id, 2, "another subscription is another generation");
}

#[test]
fn a_request_that_was_sent_twice_is_answered_twice() {
    let mut t = TestContext::new();
    let id = t.new_member_id();
    let first = t.join(9, &join_request(&id));
    let second = t.join(9, &join_request(&id));
    assert_eq!(error(&t.joined(first).unwrap()), ErrorCode::RebalanceInProgress);
    t.advance(6_000);
    assert_eq!(error(&t.joined(second).unwrap()), ErrorCode::None);
}

#[test]
fn who_does_not_join_again_is_out_and_a_lost_leader_is_followed() {
    let mut t = TestContext::new();
    let ids = t.stable_group(2);
    let mut changed = join_request(&ids[1]);
    changed.protocols = protocols(&["range", "sticky"]);
    let token = t.join(9, &changed);
    // The leader keeps its session, but does not join.
    for _ in 0..5 {
        t.advance(5_900);
        assert_eq!(t.heartbeat(&ids[0], 1), ErrorCode::RebalanceInProgress);
    }
    t.advance(500);
    let response = t.joined(token).unwrap();
    assert_eq!((response.generation_id, response.members.len()), (2, 1));
    assert_eq!(response.leader, ids[1]);
    assert_eq!(t.heartbeat(&ids[0], 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_new_member_that_is_never_answered_loses_its_place() {
    let mut t = TestContext::new();
    let ids = t.stable_group(1);
    let mut request = join_request(&nobody());
    request.rebalance_timeout_ms = i32::MAX;
    let token = t.join(3, &request);
    assert_eq!(t.state(), "PreparingRebalance");
    for _ in 0..60 {
        t.advance(5_000);
        t.heartbeat(&ids[0], 1);
    }
    let response = t.joined(token).unwrap();
    assert_eq!(error(&response), ErrorCode::UnknownMemberId);
    assert_eq!(t.shard().classic_group(&GROUP.into()).unwrap().num_members(), 1);
}

#[test]
fn sessions_end_and_the_group_is_empty() {
    let mut t = TestContext::new();
    t.stable_group(2);
    t.advance(i64::from(SESSION_TIMEOUT_MS));
    assert_eq!(t.state(), "Empty");
    let t = t.restarted();
    assert_eq!(t.state(), "Empty");
    assert_eq!(t.shard().classic_group(&GROUP.into()).unwrap().generation_id(), 2);
}

#[test]
fn a_refused_first_record_leaves_no_group() {
    let mut t = TestContext::new();
    t.log.refuse = Some(ErrorCode::NotEnoughReplicas);
    let response = t.join(3, &join_request(&nobody()));
    assert_eq!(error(&t.joined(response).unwrap()), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(t.state(), "none");
    for (refusal, told) in [
        (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
        (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
        (ErrorCode::RequestTimedOut, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::MessageTooLarge, ErrorCode::UnknownServerError),
    ] {
        assert_eq!(append_error(refusal), told);
    }
}

mod static_members {
    use super::*;

    fn stable(t: &mut TestContext, instances: &[&str]) -> Vec<ByteString> {
        let join = |t: &mut TestContext, i: &str| t.join(9, &static_join_request(&nobody(), i));
        let tokens: Vec<_> = instances.iter().map(|i| join(t, i)).collect();
        t.settle(&tokens)
    }

    #[test]
    fn they_need_no_second_step() {
        let mut t = TestContext::new();
        let token = t.join(9, &static_join_request(&nobody(), "caja-1"));
        t.advance(3_000);
        let response = t.joined(token).unwrap();
        assert!(response.member_id.starts_with("caja-1-"));
        assert_eq!(response.members[0].group_instance_id.as_deref(), Some("caja-1"));
    }

    #[test]
    fn a_restarted_member_takes_its_place_without_a_rebalance() {
        let mut t = TestContext::new();
        let ids = stable(&mut t, &["a", "b"]);
        let follower = if ids[1].starts_with("a-") { "a" } else { "b" };
        let response = t.join_now(9, &static_join_request(&nobody(), follower));
        assert_eq!(error(&response), ErrorCode::None);
        assert_eq!(response.generation_id, 1);
        assert_ne!(response.member_id, ids[1]);
        assert_eq!((response.leader.clone(), response.skip_assignment), (ids[0].clone(), false));
        assert_eq!(t.state(), "Stable");
        // The assignment is still there, and after a restart of the coordinator too.
        let mut t = t.restarted();
        let request = t.sync_request(&response.member_id);
        let token = t.sync(&request);
        assert_eq!(t.synced(token).unwrap().assignment, ids[1].clone().into_bytes());
        assert_eq!(t.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId);
    }

    #[test]
    fn a_restarted_leader_is_told_to_leave_the_assignment_alone() {
        let mut t = TestContext::new();
        let ids = stable(&mut t, &["a"]);
        let response = t.join_now(9, &static_join_request(&nobody(), "a"));
        assert!(response.skip_assignment);
        assert_eq!((response.leader.clone(), response.members.len()), (response.member_id.clone(), 1));
        // Before version 9 it is told of the leader that was, so that it does not assign.
        let leader = response.member_id;
        let response = t.join_now(8, &static_join_request(&nobody(), "a"));
        assert_eq!((response.leader.clone(), response.members.len()), (leader, 0));
        assert_ne!(response.member_id, ids[0]);
    }

    #[test]
    fn the_old_id_is_fenced() {
        let mut t = TestContext::new();
        let ids = stable(&mut t, &["a"]);
        t.join_now(9, &static_join_request(&nobody(), "a"));
        let response = t.join_now(9, &static_join_request(&ids[0], "a"));
        assert_eq!(error(&response), ErrorCode::FencedInstanceId);
        assert_eq!(response.protocol_name, None);
        let response = t.join_now(9, &static_join_request(&ids[0], "z"));
        assert_eq!(error(&response), ErrorCode::UnknownMemberId);
    }

    #[test]
    fn a_parked_request_of_the_old_id_is_fenced() {
        let mut t = TestContext::new();
        let first = t.join(9, &static_join_request(&nobody(), "a"));
        let second = t.join(9, &static_join_request(&nobody(), "a"));
        assert_eq!(error(&t.joined(first).unwrap()), ErrorCode::FencedInstanceId);
        t.advance(6_000);
        assert_eq!(t.joined(second).unwrap().members.len(), 1);
    }

    #[test]
    fn another_protocol_needs_a_rebalance() {
        let mut t = TestContext::new();
        let mut request = static_join_request(&nobody(), "a");
        request.protocols = protocols(&["range", "sticky"]);
        let token = t.join(9, &request);
        let ids = t.settle(&[token]);
        request.protocols = protocols(&["sticky", "range"]);
        let response = t.join_now(9, &request);
        assert_eq!((response.generation_id, response.protocol_name.as_deref()), (2, Some("sticky")));
        assert_ne!(response.member_id, ids[0]);
    }

    #[test]
    fn while_the_leader_assigns_the_group_begins_anew() {
        let mut t = TestContext::new();
        let tokens = ["a", "b"].map(|i| t.join(9, &static_join_request(&nobody(), i)));
        t.advance(6_000);
        let ids = tokens.map(|token| t.joined(token).unwrap().member_id);
        let waiting = {
            let request = t.sync_request(&ids[1]);
            t.sync(&request)
        };
        t.join(9, &static_join_request(&nobody(), "a"));
        assert_eq!(t.state(), "PreparingRebalance");
        assert_eq!(t.synced(waiting).unwrap().error_code, ErrorCode::RebalanceInProgress.code());
    }

    #[test]
    fn they_stay_in_when_they_do_not_join_again() {
        let mut t = TestContext::new();
        let ids = stable(&mut t, &["a", "b"]);
        let leader = if ids[0].starts_with("a-") { "a" } else { "b" };
        let token = t.join(9, &static_join_request(&ids[0], leader));
        t.advance(9_000);
        t.heartbeat(&ids[1], 1);
        t.advance(9_000);
        t.heartbeat(&ids[1], 1);
        t.advance(9_000);
        t.heartbeat(&ids[1], 1);
        t.advance(i64::from(REBALANCE_TIMEOUT_MS) - 27_000);
        let response = t.joined(token).unwrap();
        assert_eq!(response.members.len(), 2, "the absent static member keeps its place");
    }

    #[test]
    fn a_refused_record_brings_the_old_id_back() {
        let mut t = TestContext::new();
        let ids = stable(&mut t, &["a"]);
        t.log.refuse = Some(ErrorCode::NotLeaderOrFollower);
        let response = t.join_now(9, &static_join_request(&nobody(), "a"));
        assert_eq!(error(&response), ErrorCode::NotCoordinator);
        assert_eq!(response.member_id, nobody());
        assert_eq!(t.heartbeat(&ids[0], 1), ErrorCode::None);
        assert_eq!(t.state(), "Stable");
    }
}

#[test]
fn a_pending_member_is_no_static_one() {
    let mut t = TestContext::new();
    let member_id = t.new_member_id();
    let response = t.join_now(9, &static_join_request(&member_id, "a"));
    assert_eq!(error(&response), ErrorCode::UnknownServerError);
}

#[test]
fn a_member_that_wants_no_rebalance_timeout_harms_nobody() {
    for timeout in [0, -1, i32::MIN] {
        let mut t = TestContext::new();
        let tokens = [t.join(9, &static_join_request(&nobody(), "a")), t.join(3, &join_request(&nobody()))];
        let ids = t.settle(&tokens);
        let dynamic = ids.iter().find(|id| id.starts_with("cliente-")).unwrap();
        let mut request = static_join_request(&nobody(), "a");
        request.rebalance_timeout_ms = timeout;
        let replaced = t.join_now(9, &request).member_id;
        // The other one goes. The group asks the static member again and again, but with pauses.
        let heartbeats = i64::from(SESSION_TIMEOUT_MS) * 9 / 10;
        t.advance(heartbeats);
        assert_eq!(t.heartbeat(&replaced, 1), ErrorCode::None);
        t.advance(heartbeats);
        assert_eq!(t.heartbeat(dynamic, 1), ErrorCode::UnknownMemberId);
        assert_eq!(t.heartbeat(&replaced, 1), ErrorCode::RebalanceInProgress);
        t.advance(i64::from(SESSION_TIMEOUT_MS) + 100);
        assert_eq!(t.state(), "Empty");
    }
}

#[test]
fn groups_of_newer_protocols() {
    // With members: not for a member of another protocol.
    let mut t = TestContext::on_records(consumer_group(GROUP, &["m"]));
    let mut connect = join_request(&nobody());
    connect.protocol_type = "connect".into();
    assert_eq!(error(&t.join_now(9, &connect)), ErrorCode::InconsistentGroupProtocol);
    // Its members were not heard of for a session's time: gone.
    t.advance(45_000);
    assert_eq!(error(&t.join_now(9, &connect)), ErrorCode::MemberIdRequired);
    // An empty streams group makes way as well; share groups never do.
    let others = [
        (streams_group(GROUP), ErrorCode::MemberIdRequired),
        (share_group(GROUP), ErrorCode::InconsistentGroupProtocol),
    ];
    for (other, expected) in others {
        let mut t = TestContext::on_records(vec![other]);
        assert_eq!(error(&t.join_now(9, &join_request(&nobody()))), expected);
    }
}

#[test]
fn an_empty_consumer_group_becomes_a_classic_one() {
    let mut t = TestContext::on_records(consumer_group(GROUP, &[]));
    assert_eq!(error(&t.join_now(9, &join_request(&nobody()))), ErrorCode::MemberIdRequired);
    let records = t.records();
    let kinds: Vec<u8> = records[1..].iter().map(|record| record.encode().unwrap().0[1]).collect();
    assert_eq!(kinds, [6, 4, 3, 2], "its old records are deleted");
    assert!(matches!(&records[4], crate::group::GroupRecord::GroupMetadata { value: Some(_), .. }));
    assert_eq!(t.restarted().state(), "Empty");
}

#[test]
fn losing_the_partition_releases_whoever_waits() {
    let mut t = TestContext::new();
    let joining = t.join(3, &join_request(&nobody()));
    let replies = t.unloaded();
    assert_eq!(replies.len(), 1);
    let (token, GroupReply::Join(response)) = &replies[0] else { panic!("a JoinGroup waits") };
    assert_eq!((*token, error(response)), (joining, ErrorCode::NotCoordinator));
}
