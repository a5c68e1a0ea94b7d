use std::collections::BTreeMap;

use super::super::testing::tasks;
use super::*;

/// Tasks of the one subtopology, by role.
fn tuple(active: &[i32], standby: &[i32], warmup: &[i32]) -> TasksTuple {
    let of =
        |partitions: &[i32]| if partitions.is_empty() { Tasks::new() } else { tasks(&[("0", partitions)]) };
    TasksTuple { active: of(active), standby: of(standby), warmup: of(warmup) }
}

fn held(tuple: &TasksTuple, epoch: i32) -> TasksTupleWithEpochs {
    let (standby, warmup) = (tuple.standby.clone(), tuple.warmup.clone());
    TasksTupleWithEpochs { active: with_epoch(&tuple.active, epoch), standby, warmup }
}

fn member(id: &str, epoch: i32, tasks: &TasksTuple) -> StreamsGroupMember {
    let mut member = StreamsGroupMember::new(id.into());
    member.process_id = id.chars().take(1).collect::<String>().into();
    member.member_epoch = epoch;
    member.previous_member_epoch = epoch - 1;
    member.assigned_tasks = held(tasks, epoch);
    member
}

fn owners(members: &[&StreamsGroupMember]) -> TaskOwners {
    let mut owners = TaskOwners::default();
    for member in members {
        owners.add(member);
    }
    owners
}

/// A step of the first member towards epoch 10.
fn step(
    members: &[&StreamsGroupMember],
    target: &TasksTuple,
    owned: Option<&TasksTuple>,
) -> StreamsGroupMember {
    let owners = owners(members);
    NextAssignment::new(members[0], 10, target, &owners, owned).member().unwrap()
}

fn has_tasks(member: &StreamsGroupMember) -> TasksTuple {
    let assigned = &member.assigned_tasks;
    let active = crate::group::streams::tasks::without_epochs(&assigned.active);
    TasksTuple { active, standby: assigned.standby.clone(), warmup: assigned.warmup.clone() }
}

#[test]
fn a_member_at_its_target_stays() {
    let tasks = tuple(&[0], &[], &[]);
    let there = member("a1", 10, &tasks);
    assert_eq!(step(&[&there], &tasks, None), there);
}

#[test]
fn free_tasks_are_had_at_once() {
    let next = step(&[&member("a1", 5, &tuple(&[0], &[], &[]))], &tuple(&[0, 1], &[2], &[]), None);
    assert_eq!(
        (next.state, next.member_epoch, next.previous_member_epoch),
        (StreamsMemberState::Stable, 10, 5)
    );
    assert_eq!(has_tasks(&next), tuple(&[0, 1], &[2], &[]));
    let since: Vec<_> = next.assigned_tasks.active["0"].values().copied().collect();
    assert_eq!(since, [5, 10], "each since the epoch in which it came");
}

#[test]
fn what_is_not_to_be_kept_is_given_up_first() {
    let (before, target) = (tuple(&[0, 1], &[], &[]), tuple(&[1, 2], &[], &[]));
    let unsure = step(&[&member("a1", 5, &before)], &target, None);
    assert_eq!((unsure.state, unsure.member_epoch), (StreamsMemberState::UnrevokedTasks, 5));
    assert_eq!(has_tasks(&unsure), tuple(&[1], &[], &[]));
    assert_eq!(unsure.tasks_pending_revocation, held(&tuple(&[0], &[], &[]), 5));
    // Silence, or having the task still, changes nothing.
    assert_eq!(step(&[&unsure], &target, None), unsure);
    assert_eq!(step(&[&unsure], &target, Some(&before)), unsure);
    let next = step(&[&unsure], &target, Some(&tuple(&[1], &[], &[])));
    assert_eq!((next.state, next.member_epoch), (StreamsMemberState::Stable, 10));
    assert_eq!(has_tasks(&next), target);
    assert!(next.tasks_pending_revocation.is_empty());
}

#[test]
fn an_active_task_has_one_owner() {
    let other = member("b1", 5, &tuple(&[1], &[], &[]));
    let (me, target) = (member("a1", 5, &tuple(&[0], &[], &[])), tuple(&[0, 1], &[], &[]));
    let waiting = step(&[&me, &other], &target, None);
    assert_eq!((waiting.state, waiting.member_epoch), (StreamsMemberState::UnreleasedTasks, 10));
    assert_eq!(has_tasks(&waiting), tuple(&[0], &[], &[]));
    let next = step(&[&waiting], &target, None);
    assert_eq!((next.state, has_tasks(&next)), (StreamsMemberState::Stable, target));
}

#[test]
fn tasks_being_given_up_are_still_owned() {
    let mut other = member("b1", 5, &TasksTuple::default());
    other.tasks_pending_revocation = held(&tuple(&[1], &[], &[]), 5);
    let next = step(&[&member("a1", 5, &TasksTuple::default()), &other], &tuple(&[1], &[], &[]), None);
    assert_eq!(next.state, StreamsMemberState::UnreleasedTasks);
}

#[test]
fn a_process_has_a_task_in_one_role() {
    let target_active = tuple(&[1], &[], &[]);
    let neighbour = member("a2", 5, &tuple(&[], &[1], &[]));
    let stranger = member("b1", 5, &tuple(&[], &[1], &[]));
    let me = member("a1", 5, &TasksTuple::default());
    assert_eq!(step(&[&me, &neighbour], &target_active, None).state, StreamsMemberState::UnreleasedTasks);
    assert_eq!(step(&[&me, &stranger], &target_active, None).state, StreamsMemberState::Stable);
    for (theirs, mine) in [
        (tuple(&[1], &[], &[]), tuple(&[], &[1], &[])),
        (tuple(&[], &[1], &[]), tuple(&[], &[1], &[])),
        (tuple(&[], &[], &[1]), tuple(&[], &[1], &[])),
        (tuple(&[1], &[], &[]), tuple(&[], &[], &[1])),
        (tuple(&[], &[1], &[]), tuple(&[], &[], &[1])),
        (tuple(&[], &[], &[1]), tuple(&[], &[], &[1])),
    ] {
        let neighbour = member("a2", 5, &theirs);
        let next = step(&[&me, &neighbour], &mine, None);
        assert_eq!(next.state, StreamsMemberState::UnreleasedTasks, "{theirs:?} {mine:?}");
        assert!(next.assigned_tasks.is_empty());
    }
}

#[test]
fn a_standby_becomes_active_without_a_detour() {
    let (before, target) = (tuple(&[], &[1], &[]), tuple(&[1], &[], &[]));
    let next = step(&[&member("a1", 5, &before)], &target, None);
    assert_eq!((next.state, has_tasks(&next)), (StreamsMemberState::Stable, target.clone()));
    // As long as somebody else has it, the copy is kept.
    let other = member("b1", 5, &target);
    let me = member("a1", 5, &before);
    let waiting = step(&[&me, &other], &target, None);
    assert_eq!((waiting.state, has_tasks(&waiting)), (StreamsMemberState::UnreleasedTasks, before));
    assert_eq!(has_tasks(&step(&[&waiting], &target, None)), target);
}

#[test]
fn a_copy_is_kept_while_other_things_are_given_up() {
    let before = tuple(&[0], &[1], &[2]);
    let target = tuple(&[1, 2], &[], &[]);
    let unsure = step(&[&member("a1", 5, &before)], &target, None);
    assert_eq!(unsure.state, StreamsMemberState::UnrevokedTasks);
    assert_eq!(has_tasks(&unsure), tuple(&[], &[1], &[2]));
    assert_eq!(unsure.tasks_pending_revocation, held(&tuple(&[0], &[], &[]), 5));
    let next = step(&[&unsure], &target, Some(&has_tasks(&unsure)));
    assert_eq!((next.state, has_tasks(&next)), (StreamsMemberState::Stable, target));
}

#[test]
fn an_active_task_becomes_a_standby_and_must_be_given_up_all_the_same() {
    let (before, target) = (tuple(&[0], &[], &[]), tuple(&[], &[0], &[]));
    let unsure = step(&[&member("a1", 5, &before)], &target, Some(&before));
    assert_eq!(unsure.state, StreamsMemberState::UnrevokedTasks);
    assert_eq!(has_tasks(&unsure), target, "the copy is had at once");
    assert_eq!(unsure.tasks_pending_revocation, held(&before, 5));
    let next = step(&[&unsure], &target, Some(&target));
    assert_eq!((next.state, has_tasks(&next)), (StreamsMemberState::Stable, target));
}

#[test]
fn copies_change_between_standby_and_warm_up_freely() {
    for (before, target) in
        [(tuple(&[], &[0], &[]), tuple(&[], &[], &[0])), (tuple(&[], &[], &[0]), tuple(&[], &[0], &[]))]
    {
        let next = step(&[&member("a1", 5, &before)], &target, None);
        assert_eq!((next.state, has_tasks(&next)), (StreamsMemberState::Stable, target));
    }
}

#[test]
fn a_member_of_an_unknown_state_starts_over() {
    let mut strange = member("a1", 5, &tuple(&[0], &[], &[]));
    strange.state = StreamsMemberState::Unknown;
    let (owners, target) = (owners(&[]), tuple(&[1], &[], &[]));
    let some = tuple(&[0], &[], &[]);
    for owned in [None, Some(&some)] {
        let error = NextAssignment::new(&strange, 10, &target, &owners, owned).member().unwrap_err();
        assert_eq!(error.code(), ottla_common::ErrorCode::FencedMemberEpoch);
    }
    let nothing = TasksTuple::default();
    let next = NextAssignment::new(&strange, 10, &target, &owners, Some(&nothing)).member().unwrap();
    assert_eq!((next.state, has_tasks(&next)), (StreamsMemberState::Stable, target));
    assert_eq!(next.assigned_tasks.active, BTreeMap::from([("0".into(), BTreeMap::from([(1, 10)]))]));
}
