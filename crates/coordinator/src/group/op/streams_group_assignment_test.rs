use ottla_common::ErrorCode;

use super::*;
use crate::group::streams::testing::{
    GROUP, World, beat_request, full_request, join_request, static_join_request, status_codes, tasks, told,
};
use crate::group::streams::{StreamsGroupTimer, StreamsMemberState, TasksTuple};

fn deadline(world: &World, timer: &StreamsGroupTimer) -> Option<i64> {
    world.timers.deadline(timer).map(|deadline_ms| deadline_ms - world.now_ms)
}

fn rebalance_of(member_id: &str) -> StreamsGroupTimer {
    StreamsGroupTimer::Rebalance { group_id: GROUP.into(), member_id: member_id.into() }
}

#[test]
fn tasks_pass_from_one_to_another() {
    let mut world = World::new();
    world.join("a1");
    let joined = world.join("b1");
    assert!(told(&joined.response).unwrap().is_empty(), "a1 has everything");
    let result = world.beat("a1");
    assert_eq!(told(&result.response).unwrap().active, tasks(&[("0", &[0, 1])]));
    assert_eq!(deadline(&world, &rebalance_of("a1")), Some(30_000));
    assert_eq!(told(&world.beat("b1").response), None, "a1 has not said that it gave them up");
    world.beat("a1");
    assert_eq!(deadline(&world, &rebalance_of("a1")), None);
    let result = world.beat("b1");
    assert_eq!(told(&result.response).unwrap().active, tasks(&[("0", &[2, 3])]));
    world.settle();
    assert_eq!(world.state(), "Stable");
}

#[test]
fn who_says_nothing_has_given_nothing_up() {
    let mut world = World::new();
    world.join("a1");
    world.join("b1");
    world.beat("a1");
    let member = world.member("a1");
    world.heartbeat(&beat_request("a1", member.member_epoch)).unwrap();
    assert_eq!(world.member("a1"), member);
    let all = TasksTuple { active: tasks(&[("0", &[0, 1, 2, 3])]), ..Default::default() };
    world.heartbeat(&full_request("a1", member.member_epoch, &all)).unwrap();
    assert_eq!(world.member("a1").state, StreamsMemberState::UnrevokedTasks);
}

#[test]
fn the_first_assignment_waits_for_more_members() {
    let mut world = World::new();
    world.config.initial_rebalance_delay_ms = 3_000;
    let result = world.join("a1");
    assert_eq!(status_codes(&result), [5]);
    assert_eq!((result.response.member_epoch, world.state()), (1, "Assigning"));
    world.advance(1_000);
    assert_eq!(status_codes(&world.join("b1")), [5]);
    world.advance(1_999);
    assert_eq!(status_codes(&world.beat("a1")), [5]);
    let written = world.log.len();
    world.advance(1);
    // Everybody's target, and its epoch.
    assert_eq!(world.kinds_from(written), [21, 21, 20]);
    let result = world.beat("a1");
    assert!(status_codes(&result).is_empty());
    // Task by task to whoever has the least.
    assert_eq!(told(&result.response).unwrap().active, tasks(&[("0", &[0, 2])]));
    let result = world.beat("b1");
    assert_eq!(told(&result.response).unwrap().active, tasks(&[("0", &[1, 3])]));
}

#[test]
fn a_new_coordinator_does_not_wait_any_more() {
    let mut world = World::new();
    world.config.initial_rebalance_delay_ms = 3_000;
    world.join("a1");
    world.restart();
    let result = world.beat("a1");
    assert_eq!((status_codes(&result), result.response.member_epoch), (vec![], 2));
}

#[test]
fn a_group_that_was_empty_waits_again() {
    let mut world = World::new();
    world.config.initial_rebalance_delay_ms = 3_000;
    world.join("a1");
    world.advance(3_000);
    world.beat("a1");
    world.heartbeat(&beat_request("a1", -1)).unwrap();
    assert_eq!(status_codes(&world.join("b1")), [5]);
    world.advance(3_000);
    assert_eq!(told(&world.beat("b1").response).unwrap().active, tasks(&[("0", &[0, 1, 2, 3])]));
}

#[test]
fn a_refused_first_member_leaves_nothing_waiting() {
    let mut world = World::new();
    world.config.initial_rebalance_delay_ms = 3_000;
    world.refuse = true;
    world.join("a1");
    world.refuse = false;
    assert!(world.group.is_none());
    world.advance(3_000);
    assert!(!world.soft.of(&GROUP.into()).is_initial_rebalance_pending());
}

#[test]
fn assignments_keep_their_interval() {
    let mut world = World::new();
    world.config.assignment_interval_ms = 1_000;
    world.join("a1");
    let joined = world.join("b1");
    assert_eq!(status_codes(&joined), [5]);
    assert_eq!((joined.response.member_epoch, world.state()), (2, "Assigning"));
    world.advance(1_000);
    assert!(status_codes(&world.beat("b1")).is_empty());
    world.settle();
    assert_eq!(world.active("b1"), tasks(&[("0", &[2, 3])]));
}

#[test]
fn standbys_are_in_other_processes() {
    let mut world = World::new();
    world.config.num_standby_replicas = 1;
    for member_id in ["a1", "a2", "b1"] {
        world.join(member_id);
    }
    world.settle();
    for partition in 0..4 {
        let has = |of: &crate::group::streams::Tasks| {
            of.get("0").is_some_and(|partitions| partitions.contains(&partition))
        };
        let (active, standby): (Vec<_>, Vec<_>) = ["a1", "a2", "b1"]
            .map(|id| (has(&world.active(id)), has(&world.member(id).assigned_tasks.standby)))
            .into_iter()
            .unzip();
        let process = |roles: Vec<bool>| roles.iter().position(|has| *has).map(|index| index == 2);
        assert_ne!(process(active).unwrap(), process(standby).unwrap(), "task {partition}");
    }
}

#[test]
fn a_standby_takes_over_when_its_active_is_lost() {
    let mut world = World::new();
    world.config.num_standby_replicas = 1;
    world.join("a1");
    world.join("b1");
    world.settle();
    let lost = world.active("a1");
    assert_eq!(world.member("b1").assigned_tasks.standby, lost);
    world.heartbeat(&beat_request("a1", -1)).unwrap();
    let result = world.beat("b1");
    let told = told(&result.response).unwrap();
    assert_eq!((told.active, told.standby.len()), (tasks(&[("0", &[0, 1, 2, 3])]), 0));
}

#[test]
fn who_joins_again_is_told_everything() {
    let mut world = World::new();
    world.join("a1");
    let epoch = world.group.as_ref().unwrap().group_epoch();
    let again = world.join("a1");
    assert_eq!(told(&again.response).unwrap().active, tasks(&[("0", &[0, 1, 2, 3])]));
    assert_eq!((again.response.member_epoch, world.group.as_ref().unwrap().group_epoch()), (epoch, epoch));
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut world = World::new();
    world.heartbeat(&static_join_request("a1", "i")).unwrap();
    world.join("b1");
    let leave = |member_id: &str| StreamsGroupHeartbeatRequest {
        instance_id: Some("i".into()),
        ..beat_request(member_id, -2)
    };
    // As its heartbeats would say it.
    let beat = |world: &mut World| {
        let member = world.member("a1");
        let active = world.active("a1");
        let owned = TasksTuple { active, ..Default::default() };
        let request = StreamsGroupHeartbeatRequest {
            instance_id: Some("i".into()),
            ..full_request("a1", member.member_epoch, &owned)
        };
        world.heartbeat(&request).unwrap();
    };
    for _ in 0..3 {
        beat(&mut world);
        world.beat("b1");
    }
    assert_eq!(world.state(), "Stable");
    let (had, epoch) = (world.active("a1"), world.group.as_ref().unwrap().group_epoch());
    world.heartbeat(&leave("a1")).unwrap();
    assert_eq!(world.member("a1").member_epoch, -2);
    assert_eq!(world.active("a1"), had, "nobody else gets it");
    let written = world.log.len();
    let back = world.heartbeat(&static_join_request("a9", "i")).unwrap();
    assert_eq!(told(&back.response).unwrap().active, had);
    assert_eq!(world.group.as_ref().unwrap().group_epoch(), epoch, "nobody else is disturbed");
    // The old member goes, the new one comes with all that was the old one's; then it steps.
    assert_eq!(world.kinds_from(written), [22, 21, 19, 19, 21, 22, 22]);
    assert!(world.group.as_ref().unwrap().member(&"a1".into()).is_err());
    let epochs: Vec<_> = world.member("a9").assigned_tasks.active["0"].values().copied().collect();
    assert_eq!(epochs, [0, 0]);
}

#[test]
fn a_static_members_place_is_its_own() {
    let mut world = World::new();
    world.heartbeat(&static_join_request("a1", "i")).unwrap();
    let code = |request: &StreamsGroupHeartbeatRequest| world.decide(request).unwrap_err().code();
    assert_eq!(code(&static_join_request("a2", "i")), ErrorCode::UnreleasedInstanceId);
    assert_eq!(code(&static_join_request("a1", "i")), ErrorCode::UnreleasedInstanceId, "it must leave first");
    let other = StreamsGroupHeartbeatRequest { instance_id: Some("i".into()), ..beat_request("a2", 2) };
    assert_eq!(code(&other), ErrorCode::FencedInstanceId);
}

#[test]
fn a_static_member_that_comes_back_as_another_is_assigned_for() {
    let mut world = World::new();
    world.heartbeat(&static_join_request("a1", "i")).unwrap();
    let leave = StreamsGroupHeartbeatRequest { instance_id: Some("i".into()), ..beat_request("a1", -2) };
    world.heartbeat(&leave).unwrap();
    let epoch = world.group.as_ref().unwrap().group_epoch();
    let moved =
        StreamsGroupHeartbeatRequest { rack_id: Some("otro".into()), ..static_join_request("a2", "i") };
    world.heartbeat(&moved).unwrap();
    assert_eq!(world.group.as_ref().unwrap().group_epoch(), epoch + 1);
}

#[test]
fn a_group_that_is_not_ready_assigns_nothing() {
    let mut world = World::new();
    world.topics.remove(crate::group::streams::testing::SOURCE);
    let result = world.join("a1");
    assert_eq!((status_codes(&result), world.state()), (vec![1], "NotReady"));
    assert!(told(&result.response).unwrap().is_empty());
    assert!(world.decide(&join_request("b1")).is_ok());
}
