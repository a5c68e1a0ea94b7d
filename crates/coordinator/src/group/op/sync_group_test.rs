use ottla_common::ErrorCode;
use ottla_protocol::messages::SyncGroupResponse;

use super::*;
use crate::group::testing::{REBALANCE_TIMEOUT_MS, TestContext, join_request, static_join_request};

fn error(response: &SyncGroupResponse) -> ErrorCode {
    ErrorCode::from_code(response.error_code)
}

fn sync_now(t: &mut TestContext, request: &SyncGroupRequest) -> SyncGroupResponse {
    let token = t.sync(request);
    t.synced(token).expect("an answer at once")
}

/// Two members that joined and were not assigned to yet; the leader first.
fn completing(t: &mut TestContext) -> [ByteString; 2] {
    let ids = [t.new_member_id(), t.new_member_id()];
    let tokens = ids.clone().map(|id| t.join(9, &join_request(&id)));
    t.advance(6_000);
    let responses = tokens.map(|token| t.joined(token).unwrap());
    let leader = responses[0].leader.clone();
    let follower = ids.iter().find(|id| **id != leader).unwrap().clone();
    [leader, follower]
}

#[test]
fn everybody_gets_what_the_leader_assigned() {
    let mut t = TestContext::new();
    let [leader, follower] = completing(&mut t);
    let request = t.sync_request(&follower);
    let waiting = t.sync(&request);
    assert_eq!(t.synced(waiting), None, "nothing is assigned yet");
    let request = t.leader_sync_request(&leader, std::slice::from_ref(&follower));
    let response = sync_now(&mut t, &request);
    assert_eq!((error(&response), response.assignment.len()), (ErrorCode::None, 0), "nothing for itself");
    assert_eq!(response.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(response.protocol_name.as_deref(), Some("range"));
    let response = t.synced(waiting).unwrap();
    assert_eq!(response.assignment, follower.clone().into_bytes());
    assert_eq!(t.state(), "Stable");
    // Who lost the answer asks again, and so does a member of a new coordinator.
    let mut t = t.restarted();
    let request = t.sync_request(&follower);
    assert_eq!(sync_now(&mut t, &request).assignment, follower.into_bytes());
}

#[test]
fn nobody_hears_of_an_assignment_before_it_is_committed() {
    let mut t = TestContext::new();
    let [leader, follower] = completing(&mut t);
    t.log.hold = true;
    let request = t.leader_sync_request(&leader, &[leader.clone(), follower]);
    let waiting = t.sync(&request);
    assert_eq!((t.synced(waiting), t.state()), (None, "CompletingRebalance"));
    t.commit_all();
    assert_eq!(t.synced(waiting).unwrap().assignment, leader.into_bytes());
    assert_eq!(t.state(), "Stable");
}

#[test]
fn an_assignment_that_is_overtaken_is_void() {
    let mut t = TestContext::new();
    let [leader, follower] = completing(&mut t);
    t.log.hold = true;
    let request = t.leader_sync_request(&leader, &[leader.clone(), follower]);
    let waiting = t.sync(&request);
    t.join(3, &join_request(&ByteString::new()));
    assert_eq!(error(&t.synced(waiting).unwrap()), ErrorCode::RebalanceInProgress);
    t.commit_all();
    assert_eq!(t.state(), "PreparingRebalance");
}

#[test]
fn an_assignment_that_cannot_be_written_begins_another_rebalance() {
    let mut t = TestContext::new();
    let [leader, follower] = completing(&mut t);
    let request = t.sync_request(&follower);
    let waiting = t.sync(&request);
    t.log.refuse = Some(ErrorCode::NotEnoughReplicas);
    let request = t.leader_sync_request(&leader, &[leader.clone(), follower]);
    assert_eq!(error(&sync_now(&mut t, &request)), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(error(&t.synced(waiting).unwrap()), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(t.state(), "PreparingRebalance");
}

#[test]
fn strangers_and_the_past_are_refused() {
    let mut t = TestContext::new();
    let unknown_group = t.sync_request(&"m".into());
    assert_eq!(error(&sync_now(&mut t, &unknown_group)), ErrorCode::UnknownMemberId);
    let [leader, _] = completing(&mut t);
    let stranger = t.sync_request(&"forastero".into());
    assert_eq!(error(&sync_now(&mut t, &stranger)), ErrorCode::UnknownMemberId);
    let mut old = t.sync_request(&leader);
    old.generation_id -= 1;
    assert_eq!(error(&sync_now(&mut t, &old)), ErrorCode::IllegalGeneration);
    let mut other = t.sync_request(&leader);
    other.protocol_type = Some("connect".into());
    assert_eq!(error(&sync_now(&mut t, &other)), ErrorCode::InconsistentGroupProtocol);
    other.protocol_type = Some("consumer".into());
    other.protocol_name = Some("sticky".into());
    assert_eq!(error(&sync_now(&mut t, &other)), ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn an_empty_group_has_no_members_to_sync() {
    let mut t = TestContext::new();
    let ids = t.stable_group(1);
    t.advance(20_000);
    assert_eq!(t.state(), "Empty");
    let request = t.sync_request(&ids[0]);
    assert_eq!(error(&sync_now(&mut t, &request)), ErrorCode::UnknownMemberId);
}

#[test]
fn a_fenced_static_member() {
    let mut t = TestContext::new();
    let token = t.join(9, &static_join_request(&ByteString::new(), "a"));
    t.settle(&[token]);
    let mut request = t.sync_request(&"otro".into());
    request.group_instance_id = Some("a".into());
    assert_eq!(error(&sync_now(&mut t, &request)), ErrorCode::FencedInstanceId);
}

#[test]
fn who_is_joining_cannot_sync() {
    let mut t = TestContext::new();
    let ids = t.stable_group(2);
    t.join(9, &join_request(&ids[0]));
    let request = t.sync_request(&ids[1]);
    assert_eq!(error(&sync_now(&mut t, &request)), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_request_that_was_sent_twice_is_answered_twice() {
    let mut t = TestContext::new();
    let [_, follower] = completing(&mut t);
    let request = t.sync_request(&follower);
    let first = t.sync(&request);
    let second = t.sync(&request);
    assert_eq!(error(&t.synced(first).unwrap()), ErrorCode::RebalanceInProgress);
    assert_eq!(t.synced(second), None);
}

#[test]
fn who_does_not_sync_in_time_is_out() {
    let mut t = TestContext::new();
    let [leader, follower] = completing(&mut t);
    let request = t.leader_sync_request(&leader, &[leader.clone(), follower.clone()]);
    sync_now(&mut t, &request);
    for _ in 0..REBALANCE_TIMEOUT_MS / 5_000 {
        t.advance(5_000);
        t.heartbeat(&leader, 1);
        t.heartbeat(&follower, 1);
    }
    assert_eq!(t.state(), "PreparingRebalance");
    assert_eq!(t.heartbeat(&follower, 1), ErrorCode::UnknownMemberId);
    assert_eq!(t.heartbeat(&leader, 1), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_leader_that_does_not_sync_in_time_is_out() {
    let mut t = TestContext::new();
    let [leader, follower] = completing(&mut t);
    let request = t.sync_request(&follower);
    let waiting = t.sync(&request);
    for _ in 0..REBALANCE_TIMEOUT_MS / 5_000 {
        t.advance(5_000);
        t.heartbeat(&leader, 1);
    }
    assert_eq!(error(&t.synced(waiting).unwrap()), ErrorCode::RebalanceInProgress);
    assert_eq!(t.heartbeat(&leader, 1), ErrorCode::UnknownMemberId);
    assert_eq!(t.heartbeat(&follower, 1), ErrorCode::RebalanceInProgress);
}
