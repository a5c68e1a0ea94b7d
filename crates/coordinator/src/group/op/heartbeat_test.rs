use bytestring::ByteString;

use super::*;
use crate::group::testing::{GROUP, SESSION_TIMEOUT_MS, TestContext, join_request, static_join_request};

#[test]
fn a_heartbeat_keeps_the_member() {
    let mut t = TestContext::new();
    let ids = t.stable_group(1);
    for _ in 0..5 {
        t.advance(i64::from(SESSION_TIMEOUT_MS) - 1);
        assert_eq!(t.heartbeat(&ids[0], 1), ErrorCode::None);
    }
    t.advance(i64::from(SESSION_TIMEOUT_MS));
    assert_eq!(t.heartbeat(&ids[0], 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_new_coordinator_gives_every_member_another_session() {
    let mut t = TestContext::new();
    let ids = t.stable_group(1);
    t.advance(i64::from(SESSION_TIMEOUT_MS) - 1);
    let mut t = t.restarted();
    t.advance(i64::from(SESSION_TIMEOUT_MS) - 1);
    assert_eq!(t.heartbeat(&ids[0], 1), ErrorCode::None);
}

#[test]
fn a_heartbeat_before_the_assignment_counts() {
    let mut t = TestContext::new();
    let id = t.new_member_id();
    let token = t.join(9, &join_request(&id));
    t.advance(3_000);
    t.joined(token).unwrap();
    assert_eq!((t.state(), t.heartbeat(&id, 1)), ("CompletingRebalance", ErrorCode::None));
}

#[test]
fn a_rebalance_is_told_by_heartbeats() {
    let mut t = TestContext::new();
    let ids = t.stable_group(2);
    t.join(9, &join_request(&ids[0]));
    assert_eq!(t.heartbeat(&ids[1], 1), ErrorCode::RebalanceInProgress);
}

#[test]
fn strangers_and_the_past_are_refused() {
    let mut t = TestContext::new();
    assert_eq!(t.heartbeat(&"m".into(), 1), ErrorCode::UnknownMemberId, "no group");
    let ids = t.stable_group(1);
    assert_eq!(t.heartbeat(&"forastero".into(), 1), ErrorCode::UnknownMemberId);
    assert_eq!(t.heartbeat(&ids[0], 0), ErrorCode::IllegalGeneration);
    assert_eq!(t.heartbeat(&ids[0], 2), ErrorCode::IllegalGeneration);
}

#[test]
fn a_fenced_static_member() {
    let mut t = TestContext::new();
    let token = t.join(9, &static_join_request(&ByteString::new(), "a"));
    let ids = t.settle(&[token]);
    let heartbeat = |t: &TestContext, member_id: &str, instance_id: &str| {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id: 1,
            member_id: member_id.into(),
            group_instance_id: Some(instance_id.into()),
            ..Default::default()
        };
        t.shard().classic_group_heartbeat(t.now_ms, &request).map(|_| ())
    };
    assert_eq!(heartbeat(&t, &ids[0], "a"), Ok(()));
    assert_eq!(heartbeat(&t, "otro", "a"), Err(GroupError::FencedInstanceId));
    assert_eq!(heartbeat(&t, &ids[0], "z"), Err(GroupError::UnknownMemberId));
}
