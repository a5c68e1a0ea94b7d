use super::*;
use crate::group::classic::ClassicGroup;
use crate::group::testing::{GROUP, TestContext, join_request, static_join_request};

fn identity(member_id: &str, instance_id: Option<&'static str>) -> MemberIdentity {
    MemberIdentity {
        member_id: member_id.into(),
        group_instance_id: instance_id.map(ByteString::from_static),
        reason: Some("adiós".into()),
        ..Default::default()
    }
}

fn leave(t: &mut TestContext, members: Vec<MemberIdentity>) -> Vec<ErrorCode> {
    let request = LeaveGroupRequest { group_id: GROUP.into(), members, ..Default::default() };
    let result = t.shard().classic_group_leave(t.now_ms, &request);
    let (response, _) = t.execute(result);
    assert_eq!(response.error_code, 0);
    assert_eq!(response.members.len(), request.members.len());
    response.members.iter().map(|member| ErrorCode::from_code(member.error_code)).collect()
}

#[test]
fn the_last_one_out_leaves_an_empty_group() {
    let mut t = TestContext::new();
    let ids = t.stable_group(1);
    assert_eq!(leave(&mut t, vec![identity(&ids[0], None)]), vec![ErrorCode::None]);
    assert_eq!(t.state(), "Empty");
    let t = t.restarted();
    let group = t.shard().classic_group(&GROUP.into()).unwrap();
    assert_eq!((group.state().name(), group.generation_id(), group.num_members()), ("Empty", 2, 0));
    assert!(!group.is_simple(), "it is remembered as a group of consumers");
}

#[test]
fn the_others_rebalance() {
    let mut t = TestContext::new();
    let ids = t.stable_group(3);
    leave(&mut t, vec![identity(&ids[0], None)]);
    assert_eq!(t.state(), "PreparingRebalance");
    assert_eq!(t.heartbeat(&ids[1], 1), ErrorCode::RebalanceInProgress);
    let tokens = [1, 2].map(|i| t.join(9, &join_request(&ids[i])));
    let responses = tokens.map(|token| t.joined(token).unwrap());
    assert!(responses.iter().all(|r| r.generation_id == 2 && r.leader != ids[0]));
}

#[test]
fn the_last_one_that_is_waited_for_may_leave() {
    let mut t = TestContext::new();
    let ids = t.stable_group(2);
    let waiting = t.join(9, &join_request(&ids[0]));
    leave(&mut t, vec![identity(&ids[1], None)]);
    assert_eq!(t.joined(waiting).unwrap().generation_id, 2);
}

#[test]
fn leaving_while_joining_is_answered() {
    let mut t = TestContext::new();
    let ids = t.stable_group(2);
    let waiting = t.join(9, &join_request(&ids[0]));
    leave(&mut t, vec![identity(&ids[0], None)]);
    let response = t.joined(waiting).unwrap();
    assert_eq!(ErrorCode::from_code(response.error_code), ErrorCode::UnknownMemberId);
}

#[test]
fn leaving_while_waiting_for_the_assignment_is_answered() {
    let mut t = TestContext::new();
    let ids = [t.new_member_id(), t.new_member_id()];
    let tokens = ids.clone().map(|id| t.join(9, &join_request(&id)));
    t.advance(6_000);
    let leader = t.joined(tokens[0]).unwrap().leader;
    let follower = ids.iter().find(|id| **id != leader).unwrap().clone();
    let request = t.sync_request(&follower);
    let waiting = t.sync(&request);
    leave(&mut t, vec![identity(&follower, None)]);
    assert_eq!(t.synced(waiting).unwrap().error_code, ErrorCode::UnknownMemberId.code());
    assert_eq!(t.state(), "PreparingRebalance");
}

#[test]
fn a_pending_member_may_leave() {
    let mut t = TestContext::new();
    t.stable_group(1);
    let pending = t.new_member_id();
    assert_eq!(leave(&mut t, vec![identity(&pending, None)]), vec![ErrorCode::None]);
    assert_eq!(t.shard().classic_group(&GROUP.into()).map(ClassicGroup::num_members), Some(1));
    assert_eq!(leave(&mut t, vec![identity(&pending, None)]), vec![ErrorCode::UnknownMemberId]);
}

#[test]
fn static_members_are_shown_the_door_by_name() {
    let mut t = TestContext::new();
    let tokens = ["a", "b"].map(|i| t.join(9, &static_join_request(&ByteString::new(), i)));
    let ids = t.settle(&tokens);
    let outcomes = leave(
        &mut t,
        vec![
            identity("", Some("a")),
            identity("", Some("nadie")),
            identity("", None),
            identity("otro", Some("b")),
            identity("forastero", None),
        ],
    );
    use ErrorCode::{FencedInstanceId, UnknownMemberId};
    assert_eq!(
        outcomes,
        vec![ErrorCode::None, UnknownMemberId, UnknownMemberId, FencedInstanceId, UnknownMemberId]
    );
    assert_eq!(t.state(), "PreparingRebalance");
    let left = ids.iter().find(|id| id.starts_with("a-")).unwrap().clone();
    assert_eq!(t.heartbeat(&left, 1), UnknownMemberId);
}

#[test]
fn a_batch_rebalances_once() {
    let mut t = TestContext::new();
    let ids = t.stable_group(3);
    let all = ids.iter().map(|id| identity(id, None)).collect();
    assert_eq!(leave(&mut t, all), vec![ErrorCode::None; 3]);
    let group = t.shard().classic_group(&GROUP.into()).unwrap();
    assert_eq!((group.state().name(), group.generation_id()), ("Empty", 2));
}

#[test]
fn nobody_leaves_a_group_that_is_not_there() {
    let mut t = TestContext::new();
    assert_eq!(leave(&mut t, vec![identity("m", None)]), vec![ErrorCode::UnknownMemberId]);
    t.stable_group(1);
    assert_eq!(leave(&mut t, vec![identity("m", None)]), vec![ErrorCode::UnknownMemberId]);
    assert_eq!(t.state(), "Stable", "nothing happened");
}
