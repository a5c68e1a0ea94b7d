use super::super::testing::{PARTITIONS, SOURCE, World, full_request, tasks};
use super::*;
use crate::group::streams::{StreamsGroup, TasksTuple};
use ottla_common::ErrorCode;

fn group(world: &World) -> &StreamsGroup {
    world.group.as_ref().unwrap()
}

fn commit(world: &World, member_id: &str, epoch: i32, version: i16) -> Result<(), ErrorCode> {
    let validator = group(world).validate_offset_commit(&member_id.into(), None, epoch, false, version);
    let validator = validator.map_err(|error| error.code())?;
    (0..PARTITIONS).try_for_each(|partition| {
        let owned = world.active("a1").get("0").is_some_and(|partitions| partitions.contains(&partition));
        if owned { validator.validate(SOURCE, partition).map_err(|error| error.code()) } else { Ok(()) }
    })
}

/// A group in which `a1` had everything and gave half of it to `b1`.
fn two_members() -> World {
    let mut world = World::new();
    world.join("a1");
    world.join("b1");
    world.settle();
    world
}

#[test]
fn members_commit_in_their_epoch() {
    let world = two_members();
    let epoch = world.member("a1").member_epoch;
    assert_eq!(commit(&world, "a1", epoch, 9), Ok(()));
    assert_eq!(commit(&world, "a1", epoch + 1, 9), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(commit(&world, "a1", epoch, 8), Err(ErrorCode::UnsupportedVersion));
    assert_eq!(commit(&world, "nadie", epoch, 9), Err(ErrorCode::UnknownMemberId));
    assert_eq!(commit(&world, "", -1, 9), Err(ErrorCode::UnknownMemberId), "the group is at work");
}

#[test]
fn what_was_ones_own_already_may_be_committed_in_an_older_epoch() {
    let world = two_members();
    let member = world.member("a1");
    assert!(member.previous_member_epoch < member.member_epoch);
    assert_eq!(commit(&world, "a1", 2, 9), Ok(()), "a1 has its tasks since epoch 2");
    assert_eq!(commit(&world, "a1", 1, 9), Err(ErrorCode::StaleMemberEpoch));
    let b = world.member("b1");
    let validator = group(&world).validate_offset_commit(&"b1".into(), None, b.member_epoch - 1, false, 9);
    let validator = validator.unwrap();
    let own = *world.active("b1")["0"].first().unwrap();
    let of_a = *world.active("a1")["0"].first().unwrap();
    for (topic, partition) in [(SOURCE, own), (SOURCE, of_a), ("otro", own)] {
        let error = validator.validate(topic, partition).unwrap_err();
        assert_eq!(error.code(), ErrorCode::StaleMemberEpoch, "{topic} {partition}");
    }
}

#[test]
fn tasks_that_are_being_given_up_can_still_be_committed() {
    let mut world = World::new();
    world.join("a1");
    let epoch = world.member("a1").member_epoch;
    world.join("b1");
    let all = TasksTuple { active: tasks(&[("0", &[0, 1, 2, 3])]), ..Default::default() };
    world.heartbeat(&full_request("a1", epoch, &all)).unwrap();
    let member = world.member("a1");
    assert!(!member.tasks_pending_revocation.is_empty());
    let validator = group(&world).validate_offset_commit(&"a1".into(), None, epoch, false, 9).unwrap();
    assert!((0..PARTITIONS).all(|partition| validator.validate(SOURCE, partition).is_ok()));
}

#[test]
fn transactions_need_not_say_whose_they_are() {
    let world = two_members();
    let validate =
        |epoch, version| group(&world).validate_offset_commit(&"".into(), None, epoch, true, version);
    assert!(validate(-1, 3).is_ok());
    assert_eq!(validate(4, 3).unwrap_err().code(), ErrorCode::UnknownMemberId);
    let epoch = world.member("b1").member_epoch;
    assert!(group(&world).validate_offset_commit(&"b1".into(), None, epoch, true, 3).is_ok());
}

#[test]
fn offsets_are_told_to_members_and_to_those_outside() {
    let world = two_members();
    let epoch = world.member("a1").member_epoch;
    let fetch = |member_id: Option<&str>, epoch| {
        let member_id = member_id.map(ByteString::from);
        group(&world).validate_offset_fetch(member_id.as_ref(), epoch).map_err(|error| error.code())
    };
    assert_eq!(fetch(None, -1), Ok(()));
    assert_eq!(fetch(Some("a1"), epoch), Ok(()));
    assert_eq!(fetch(Some("a1"), epoch - 1), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(fetch(Some("nadie"), epoch), Err(ErrorCode::UnknownMemberId));
    assert_eq!(fetch(None, 3), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn an_empty_group_takes_offsets_from_outside_and_ends_when_nothing_is_left() {
    let mut world = World::new();
    world.join("a1");
    assert!(!group(&world).should_expire(false));
    world.heartbeat(&super::super::testing::beat_request("a1", -1)).unwrap();
    assert!(group(&world).validate_offset_commit(&"".into(), None, -1, false, 2).is_ok());
    assert!(group(&world).should_expire(false) && group(&world).should_expire(true));
}
