use super::*;
use crate::group::streams::testing::{GROUP, World, beat_request, static_join_request, tasks, told};

const SESSION_MS: i64 = 45_000;

#[test]
fn silence_ends_a_session() {
    let mut world = World::new();
    world.join("a1");
    world.join("b1");
    world.advance(SESSION_MS - 1);
    world.beat("b1");
    world.advance(1);
    assert_eq!(world.member_ids(), ["b1"]);
    assert_eq!(told(&world.beat("b1").response).unwrap().active, tasks(&[("0", &[0, 1, 2, 3])]));
    world.advance(SESSION_MS);
    assert_eq!(world.state(), "Empty");
}

#[test]
fn who_does_not_give_tasks_up_is_removed() {
    let mut world = World::new();
    world.join("a1");
    world.join("b1");
    world.beat("a1");
    let epoch = world.member("a1").member_epoch;
    for _ in 0..3 {
        world.advance(9_000);
        world.heartbeat(&beat_request("a1", epoch)).unwrap();
        world.beat("b1");
    }
    assert_eq!(world.member_ids(), ["a1", "b1"]);
    world.advance(3_000);
    assert_eq!(world.member_ids(), ["b1"], "the rebalance timeout is over");
}

#[test]
fn a_static_member_has_its_session_to_come_back() {
    let mut world = World::new();
    world.heartbeat(&static_join_request("a1", "i")).unwrap();
    world.join("b1");
    world.config.session_timeout_ms = 60_000;
    let epoch = world.member("a1").member_epoch;
    let request = |epoch| ottla_protocol::messages::StreamsGroupHeartbeatRequest {
        instance_id: Some("i".into()),
        ..beat_request("a1", epoch)
    };
    world.heartbeat(&request(epoch)).unwrap();
    world.heartbeat(&request(-2)).unwrap();
    world.advance(40_000);
    world.beat("b1");
    assert_eq!(world.member_ids(), ["a1", "b1"], "no rebalance timeout for who is away");
    world.advance(20_000);
    assert_eq!(world.member_ids(), ["b1"]);
}

#[test]
fn a_new_coordinator_watches_everybody() {
    let mut world = World::new();
    world.join("a1");
    world.join("b1");
    world.beat("a1");
    world.advance(20_000);
    world.restart();
    let rebalance = StreamsGroupTimer::Rebalance { group_id: GROUP.into(), member_id: "a1".into() };
    assert_eq!(world.timers.deadline(&rebalance), Some(world.now_ms + 30_000));
    for member_id in ["a1", "b1"] {
        let session = StreamsGroupTimer::Session { group_id: GROUP.into(), member_id: member_id.into() };
        assert_eq!(world.timers.deadline(&session), Some(world.now_ms + SESSION_MS));
    }
}

#[test]
fn timers_of_what_is_gone_do_nothing() {
    let world = World::new();
    let (group_id, member_id) = (bytestring::ByteString::from(GROUP), bytestring::ByteString::from("a1"));
    let timers = [
        StreamsGroupTimer::Session { group_id: group_id.clone(), member_id: member_id.clone() },
        StreamsGroupTimer::Rebalance { group_id: group_id.clone(), member_id },
        StreamsGroupTimer::InitialRebalance { group_id },
    ];
    for timer in &timers {
        assert!(world.cx().on_timer(timer).records.is_empty());
        assert_eq!(timer.group_id(), GROUP);
    }
}
