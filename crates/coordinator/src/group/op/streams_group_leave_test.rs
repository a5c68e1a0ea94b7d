use ottla_common::ErrorCode;

use super::*;
use crate::group::streams::testing::{GROUP, World, beat_request, static_join_request, tasks, told};

fn static_beat(member_id: &str, epoch: i32) -> StreamsGroupHeartbeatRequest {
    StreamsGroupHeartbeatRequest { instance_id: Some("i".into()), ..beat_request(member_id, epoch) }
}

#[test]
fn who_leaves_is_forgotten() {
    let mut world = World::new();
    world.join("a1");
    world.join("b1");
    let written = world.log.len();
    let result = world.heartbeat(&beat_request("a1", -1)).unwrap();
    assert_eq!((result.response.member_id.clone(), result.response.member_epoch), ("a1".into(), -1));
    assert_eq!(world.kinds_from(written), [22, 21, 19, 17]);
    let session = StreamsGroupTimer::Session { group_id: GROUP.into(), member_id: "a1".into() };
    assert_eq!(world.timers.deadline(&session), None);
    let result = world.beat("b1");
    assert_eq!(told(&result.response).unwrap().active, tasks(&[("0", &[0, 1, 2, 3])]));
}

#[test]
fn the_last_who_leaves_clears_the_assignment() {
    let mut world = World::new();
    world.join("a1");
    let written = world.log.len();
    world.heartbeat(&beat_request("a1", -1)).unwrap();
    assert_eq!(world.kinds_from(written), [22, 21, 19, 17, 20]);
    let group = world.group.as_ref().unwrap();
    assert_eq!((group.assignment_epoch(), group.assignment_timestamp_ms()), (group.group_epoch(), 0));
    assert_eq!(group.topology_epoch(), 1, "the topology stays");
}

#[test]
fn a_static_member_leaves_for_a_while_or_for_good() {
    let mut world = World::new();
    world.heartbeat(&static_join_request("a1", "i")).unwrap();
    let written = world.log.len();
    let result = world.heartbeat(&static_beat("a1", -2)).unwrap();
    assert_eq!((result.response.member_epoch, world.kinds_from(written)), (-2, vec![22]));
    assert_eq!(world.group.as_ref().unwrap().num_members(), 1);
    world.heartbeat(&static_beat("a1", -1)).unwrap();
    assert_eq!(world.state(), "Empty");
}

#[test]
fn who_asks_for_a_shutdown_and_leaves_is_heard() {
    let mut world = World::new();
    world.join("a1");
    world.join("b1");
    let leave = StreamsGroupHeartbeatRequest { shutdown_application: true, ..beat_request("a1", -1) };
    world.heartbeat(&leave).unwrap();
    assert_eq!(crate::group::streams::testing::status_codes(&world.beat("b1")), [4]);
    world.heartbeat(&beat_request("b1", -1)).unwrap();
    let result = world.join("c1");
    assert!(crate::group::streams::testing::status_codes(&result).is_empty(), "another life");
}

#[test]
fn strangers_cannot_leave() {
    let mut world = World::new();
    let code =
        |world: &World, request: &StreamsGroupHeartbeatRequest| world.decide(request).unwrap_err().code();
    assert_eq!(code(&world, &beat_request("a1", -1)), ErrorCode::GroupIdNotFound);
    world.heartbeat(&static_join_request("a1", "i")).unwrap();
    assert_eq!(code(&world, &beat_request("b1", -1)), ErrorCode::UnknownMemberId);
    assert_eq!(code(&world, &static_beat("b1", -2)), ErrorCode::FencedInstanceId);
    let other = StreamsGroupHeartbeatRequest { instance_id: Some("j".into()), ..beat_request("a1", -2) };
    assert_eq!(code(&world, &other), ErrorCode::UnknownMemberId);
}
