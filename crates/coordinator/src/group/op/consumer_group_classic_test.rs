use super::*;
use crate::group::consumer::testing::{GROUP, TestGroup, alive, is_static, joins, owns};
use crate::group::op::consumer_group_join::tests::{join, request, upgraded};
use ottla_protocol::messages::ConsumerProtocolAssignment;
use ottla_protocol::{Message, Reader};

fn sync_request(member_id: &str, generation_id: i32) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: GROUP.into(),
        member_id: member_id.into(),
        generation_id,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        ..Default::default()
    }
}

fn sync(t: &mut TestGroup, request: &SyncGroupRequest) -> Result<SyncGroupResponse, ErrorCode> {
    let group = t.group().clone();
    match consumer_group_sync(&t.context(), &group, request) {
        Ok(result) => Ok(t.execute(result)),
        Err(error) => Err(error.code()),
    }
}

fn heartbeat_as(t: &mut TestGroup, request: &HeartbeatRequest) -> ErrorCode {
    let group = t.group().clone();
    match consumer_group_classic_heartbeat(&t.context(), &group, request) {
        Ok(result) => ErrorCode::from_code(t.execute(result).error_code),
        Err(error) => error.code(),
    }
}

fn heartbeat(t: &mut TestGroup, member_id: &str, generation_id: i32) -> ErrorCode {
    let request = HeartbeatRequest {
        group_id: GROUP.into(),
        member_id: member_id.into(),
        generation_id,
        ..Default::default()
    };
    heartbeat_as(t, &request)
}

fn leave(t: &mut TestGroup, members: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
    let identity = |(member_id, instance_id): &(&str, Option<&str>)| MemberIdentity {
        member_id: (*member_id).into(),
        group_instance_id: instance_id.map(ByteString::from),
        ..Default::default()
    };
    let members = members.iter().map(identity).collect();
    let request = LeaveGroupRequest { group_id: GROUP.into(), members, ..Default::default() };
    let group = t.group().clone();
    let result = consumer_group_leave(&t.context(), &group, &request);
    t.execute(result).members.iter().map(|member| ErrorCode::from_code(member.error_code)).collect()
}

/// The partitions of `pagos` that a SyncGroup brought.
fn synced(response: &SyncGroupResponse) -> Vec<i32> {
    let mut r = Reader::new(response.assignment.clone());
    let version = r.i16().unwrap();
    assert_eq!(version, 1, "the version of the member's own subscription");
    let assignment = ConsumerProtocolAssignment::decode(&mut r, version).unwrap();
    let topics = assignment.assigned_partitions;
    topics.into_iter().flat_map(|topic| topic.partitions).collect()
}

/// `c1` and `c2` of the classic protocol, and `m1` of the new one; everybody is in epoch 8.
fn settled() -> TestGroup {
    let mut t = upgraded();
    join(&mut t, &request("c1", &[0])).unwrap();
    join(&mut t, &request("c2", &[1])).unwrap();
    assert_eq!(t.state(), "Stable");
    t
}

#[test]
fn a_classic_member_is_told_what_it_has() {
    let mut t = settled();
    let response = sync(&mut t, &sync_request("c1", 8)).unwrap();
    assert_eq!((response.error_code, synced(&response)), (0, vec![0]));
    assert_eq!(response.protocol_name.as_deref(), Some("range"));
    assert_eq!(heartbeat(&mut t, "c1", 8), ErrorCode::None);
}

#[test]
fn a_classic_member_that_never_syncs_is_out() {
    let mut t = settled();
    for _ in 0..6 {
        t.advance(5_000);
        if t.has_member("c1") {
            heartbeat(&mut t, "c1", 8);
        }
        if t.has_member("m1") {
            let epoch = t.member("m1").member_epoch;
            t.ok(&alive("m1", epoch));
        }
    }
    assert!(!t.has_member("c1"), "30 seconds are over");
}

#[test]
fn a_change_asks_classic_members_to_join_once() {
    let mut t = settled();
    sync(&mut t, &sync_request("c1", 8)).unwrap();
    sync(&mut t, &sync_request("c2", 8)).unwrap();
    t.ok(&joins("m2", &["pagos"]));
    assert_eq!(heartbeat(&mut t, "c1", 8), ErrorCode::RebalanceInProgress);
    let refused = sync(&mut t, &sync_request("c1", 8)).unwrap();
    assert_eq!(refused.error_code, ErrorCode::RebalanceInProgress.code());
    for _ in 0..6 {
        t.advance(5_000);
        if t.has_member("c1") {
            heartbeat(&mut t, "c1", 8);
        }
    }
    assert!(!t.has_member("c1"), "heartbeats alone do not keep a member that is to join");
}

#[test]
fn who_waits_for_others_need_not_join() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&joins("m1", &["pagos"]));
    let c1 = join(&mut t, &request("", &[])).unwrap().member_id;
    join(&mut t, &request(&c1, &[])).unwrap();
    assert_eq!(synced(&sync(&mut t, &sync_request(&c1, 3)).unwrap()), Vec::<i32>::new());
    assert_eq!(heartbeat(&mut t, &c1, 3), ErrorCode::None, "m1 has it all still");
    t.ok(&owns("m1", 2, &[(0, &[0, 1, 2, 3])]));
    let kept = kept(&t);
    t.ok(&owns("m1", 2, &[(0, &kept)]));
    assert_eq!(heartbeat(&mut t, &c1, 3), ErrorCode::RebalanceInProgress, "now there is something to get");
    join(&mut t, &request(&c1, &[])).unwrap();
    assert_eq!(synced(&sync(&mut t, &sync_request(&c1, 3)).unwrap()).len(), 2);
}

/// What `m1` is left with.
fn kept(t: &TestGroup) -> Vec<i32> {
    t.member("m1").assigned_partitions.values().flat_map(|of_topic| of_topic.keys().copied()).collect()
}

#[test]
fn sync_groups_are_refused_for_a_reason() {
    let mut t = settled();
    assert_eq!(sync(&mut t, &sync_request("nadie", 8)), Err(ErrorCode::UnknownMemberId));
    assert_eq!(sync(&mut t, &sync_request("m1", 8)), Err(ErrorCode::UnknownMemberId), "not a classic one");
    assert_eq!(sync(&mut t, &sync_request("c1", 7)), Err(ErrorCode::IllegalGeneration));
    let other_type = SyncGroupRequest { protocol_type: Some("connect".into()), ..sync_request("c1", 8) };
    assert_eq!(sync(&mut t, &other_type), Err(ErrorCode::InconsistentGroupProtocol));
    let other_name = SyncGroupRequest { protocol_name: Some("sticky".into()), ..sync_request("c1", 8) };
    assert_eq!(sync(&mut t, &other_name), Err(ErrorCode::InconsistentGroupProtocol));
    t.ok(&is_static(joins("m3", &["pagos"]), "i3"));
    let fenced = SyncGroupRequest { group_instance_id: Some("i3".into()), ..sync_request("c1", 8) };
    assert_eq!(sync(&mut t, &fenced), Err(ErrorCode::FencedInstanceId));
}

#[test]
fn heartbeats_are_refused_for_a_reason() {
    let mut t = settled();
    assert_eq!(heartbeat(&mut t, "nadie", 8), ErrorCode::UnknownMemberId);
    assert_eq!(heartbeat(&mut t, "m1", 8), ErrorCode::UnknownMemberId);
    assert_eq!(heartbeat(&mut t, "c1", 7), ErrorCode::IllegalGeneration);
    t.ok(&is_static(joins("m3", &["pagos"]), "i3"));
    let fenced = HeartbeatRequest {
        group_id: GROUP.into(),
        member_id: "c1".into(),
        group_instance_id: Some("i3".into()),
        generation_id: 8,
        ..Default::default()
    };
    assert_eq!(heartbeat_as(&mut t, &fenced), ErrorCode::FencedInstanceId);
}

#[test]
fn members_leave_together() {
    let mut t = settled();
    t.ok(&is_static(joins("m3", &["pagos"]), "i3"));
    let errors = leave(
        &mut t,
        &[("c1", None), ("nadie", None), ("", Some("i3")), ("c2", Some("i3")), ("", Some("i9"))],
    );
    let (none, unknown) = (ErrorCode::None, ErrorCode::UnknownMemberId);
    assert_eq!(errors, [none, unknown, none, ErrorCode::FencedInstanceId, unknown]);
    assert!(!t.has_member("c1") && !t.has_member("m3") && t.has_member("c2") && t.has_member("m1"));
    leave(&mut t, &[("nadie", None)]);
    assert!(t.records.is_empty(), "nobody left");
    leave(&mut t, &[("m1", None)]);
    assert_eq!(t.converted, Some("to classic"));
}
