use ottla_common::ErrorCode;

use crate::group::streams::testing::{GROUP, World, beat_request};

#[test]
fn an_empty_group_is_deleted_without_a_trace() {
    let mut world = World::new();
    world.join("a1");
    world.heartbeat(&beat_request("a1", -1)).unwrap();
    let written = world.log.len();
    let deletion = world.cx().streams_group_delete(&GROUP.into()).unwrap();
    world.carry_out(deletion);
    assert_eq!(world.kinds_from(written), [20, 17, 23]);
    assert!(world.group.is_none());
    world.restart();
    assert!(world.group.is_none());
}

#[test]
fn groups_that_are_in_use_or_not_there_are_not_deleted() {
    let mut world = World::new();
    let delete = |world: &World| world.cx().streams_group_delete(&GROUP.into()).map(|_| ());
    assert_eq!(delete(&world).unwrap_err().code(), ErrorCode::GroupIdNotFound);
    world.join("a1");
    assert_eq!(delete(&world).unwrap_err().code(), ErrorCode::NonEmptyGroup);
}

#[test]
fn members_go_before_the_group_in_its_tombstones() {
    let mut world = World::new();
    world.join("a1");
    world.join("b1");
    let tombstones = world.group.as_ref().unwrap().tombstones();
    let kinds: Vec<_> = tombstones.iter().map(|record| record.encode().unwrap().0[1]).collect();
    assert_eq!(kinds, [22, 22, 21, 21, 20, 19, 19, 17, 23]);
}
