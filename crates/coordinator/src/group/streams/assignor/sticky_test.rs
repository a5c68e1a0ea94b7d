use std::collections::BTreeMap;

use bytestring::ByteString;
use proptest::prelude::*;

use super::*;
use crate::group::streams::Tasks;
use crate::group::streams::assignor::{MemberSpec, SubtopologySpec};
use crate::group::streams::tasks::{each, has};

fn group(
    subtopologies: &[(&'static str, i32, bool)],
    members: &[(&'static str, &'static str)],
    num_standby_replicas: usize,
) -> GroupSpec {
    let subtopology = |(id, number_of_tasks, is_stateful): &(&'static str, i32, bool)| {
        let spec = SubtopologySpec { number_of_tasks: *number_of_tasks, is_stateful: *is_stateful };
        (ByteString::from_static(id), spec)
    };
    let member = |(id, process): &(&'static str, &'static str)| {
        let process_id = ByteString::from_static(process);
        (ByteString::from_static(id), MemberSpec { process_id, ..Default::default() })
    };
    GroupSpec {
        subtopologies: subtopologies.iter().map(subtopology).collect(),
        members: members.iter().map(member).collect(),
        num_standby_replicas,
    }
}

/// The same group, whose members do what was assigned.
fn after(mut group: GroupSpec, assignment: &GroupAssignment) -> GroupSpec {
    for (id, spec) in &mut group.members {
        if let Some(tasks) = assignment.get(id) {
            (spec.active, spec.standby) = (tasks.active.clone(), tasks.standby.clone());
        }
    }
    group
}

fn assign(group: &GroupSpec) -> GroupAssignment {
    StickyTaskAssignor.assign(group).unwrap()
}

fn count(tasks: &Tasks) -> usize {
    each(tasks).count()
}

#[test]
fn tasks_are_dealt_out_evenly() {
    let group = group(&[("0", 4, false), ("1", 2, false)], &[("a", "p"), ("b", "q"), ("c", "r")], 0);
    let assignment = assign(&group);
    for tasks in assignment.values() {
        assert_eq!((count(&tasks.active), count(&tasks.standby)), (2, 0));
    }
}

#[test]
fn what_was_assigned_stays() {
    let before = group(&[("0", 6, true)], &[("a", "p"), ("b", "q")], 1);
    let first = assign(&before);
    assert_eq!(assign(&after(before, &first)), first);
}

#[test]
fn a_new_member_takes_no_more_than_its_share() {
    let two = group(&[("0", 6, false)], &[("a", "p"), ("b", "q")], 0);
    let first = assign(&two);
    let three = group(&[("0", 6, false)], &[("a", "p"), ("b", "q"), ("c", "r")], 0);
    let second = assign(&after(three, &first));
    for (id, tasks) in &second {
        assert_eq!(count(&tasks.active), 2, "{id}");
        let kept = first.get(id).map(|first| each(&tasks.active).all(|(s, p)| has(&first.active, s, p)));
        assert_ne!(kept, Some(false), "{id} keeps what it had");
    }
}

#[test]
fn a_lost_task_goes_to_its_standby() {
    let three = group(&[("0", 3, true)], &[("a", "p"), ("b", "q"), ("c", "r")], 1);
    let first = assign(&three);
    let mut two = after(three, &first);
    let lost = two.members.remove("a").unwrap().active;
    let second = assign(&two);
    for (subtopology, partition) in each(&lost) {
        let holder = first.iter().find(|(_, tasks)| has(&tasks.standby, subtopology, partition)).unwrap().0;
        assert!(has(&second[holder].active, subtopology, partition));
    }
}

#[test]
fn state_left_on_a_disk_attracts_its_task() {
    let mut group = group(&[("0", 2, true)], &[("a", "p"), ("b", "q")], 0);
    let offsets = |partition, offset| BTreeMap::from([("0".into(), BTreeMap::from([(partition, offset)]))]);
    group.members.get_mut("a").unwrap().task_offsets = offsets(1, 900);
    group.members.get_mut("b").unwrap().task_offsets = offsets(0, 900);
    let assignment = assign(&group);
    assert!(has(&assignment["a"].active, &"0".into(), 1));
    assert!(has(&assignment["b"].active, &"0".into(), 0));
}

#[test]
fn the_newest_state_is_the_best() {
    let mut group = group(&[("0", 1, true)], &[("a", "p"), ("b", "q"), ("c", "r")], 0);
    for (id, offset) in [("a", 10), ("b", 30), ("c", 20)] {
        let offsets = BTreeMap::from([("0".into(), BTreeMap::from([(0, offset)]))]);
        group.members.get_mut(id).unwrap().task_offsets = offsets;
    }
    assert!(has(&assign(&group)["b"].active, &"0".into(), 0));
}

#[test]
fn copies_go_to_other_processes_or_nowhere() {
    let one = group(&[("0", 2, true)], &[("a", "p"), ("b", "p")], 2);
    assert!(assign(&one).values().all(|tasks| tasks.standby.is_empty()));
    let two = group(&[("0", 2, true)], &[("a", "p"), ("b", "q")], 2);
    assert!(assign(&two).values().all(|tasks| count(&tasks.standby) == 1));
}

#[test]
fn stateless_tasks_have_no_copies() {
    let group = group(&[("0", 2, false)], &[("a", "p"), ("b", "q")], 1);
    assert!(assign(&group).values().all(|tasks| tasks.standby.is_empty()));
}

#[test]
fn tasks_without_members_are_an_error() {
    let group = group(&[("0", 1, false)], &[], 0);
    assert_eq!(StickyTaskAssignor.assign(&group), Err(TaskAssignorError::NoMembers));
}

const IDS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn any_group() -> impl Strategy<Value = GroupSpec> {
    let subtopologies = prop::collection::vec((1i32..9, any::<bool>()), 1..4);
    let members = prop::collection::vec(0usize..4, 1..IDS.len());
    (subtopologies, members, 0usize..3).prop_map(|(subtopologies, processes, num_standby_replicas)| {
        let subtopologies = subtopologies.into_iter().enumerate();
        let subtopologies = subtopologies.map(|(index, (number_of_tasks, is_stateful))| {
            (ByteString::from(index.to_string()), SubtopologySpec { number_of_tasks, is_stateful })
        });
        let members = IDS.iter().zip(processes).map(|(id, process)| {
            let process_id = ByteString::from(format!("p{process}"));
            (ByteString::from_static(id), MemberSpec { process_id, ..Default::default() })
        });
        GroupSpec { subtopologies: subtopologies.collect(), members: members.collect(), num_standby_replicas }
    })
}

/// Every task of the group, and whether it has state.
fn tasks_of(group: &GroupSpec) -> Vec<(ByteString, i32, bool)> {
    let subtopologies = group.subtopologies.iter();
    let tasks = subtopologies.flat_map(|(id, spec)| {
        (0..spec.number_of_tasks).map(move |partition| (id.clone(), partition, spec.is_stateful))
    });
    tasks.collect()
}

fn check(group: &GroupSpec, assignment: &GroupAssignment) {
    let ids: Vec<_> = group.members.keys().collect();
    assert_eq!(assignment.keys().collect::<Vec<_>>(), ids, "everybody is told something");
    let processes: BTreeSet<_> = group.members.values().map(|member| &member.process_id).collect();
    for (subtopology, partition, is_stateful) in tasks_of(group) {
        let holders = |standby: bool| -> Vec<&ByteString> {
            let held = assignment.iter().filter(|(_, tasks)| {
                has(if standby { &tasks.standby } else { &tasks.active }, &subtopology, partition)
            });
            held.map(|(id, _)| &group.members[id].process_id).collect()
        };
        let (active, mut all) = (holders(false), holders(true));
        assert_eq!(active.len(), 1, "STREAMS-ACTIVE-ONCE: {subtopology}_{partition}");
        let wanted = if is_stateful { group.num_standby_replicas } else { 0 };
        assert_eq!(all.len(), wanted.min(processes.len() - 1), "as many copies as there are places");
        all.extend(active);
        let num = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), num, "STREAMS-TASK-ONCE-PER-PROCESS: {subtopology}_{partition}");
    }
    let given: usize = assignment.values().map(|tasks| count(&tasks.active)).sum();
    assert_eq!(given, tasks_of(group).len(), "no task that is not there");
}

proptest! {
    #[test]
    fn every_task_has_one_owner_and_its_copies_are_elsewhere(group in any_group()) {
        check(&group, &assign(&group));
    }

    #[test]
    fn an_assignment_is_its_own_successor(group in any_group()) {
        let first = assign(&group);
        let group = after(group, &first);
        let second = assign(&group);
        check(&group, &second);
        for (id, tasks) in &second {
            prop_assert_eq!(&tasks.active, &first[id].active, "active tasks stay where they are");
        }
    }

    #[test]
    fn members_that_come_and_go_move_no_more_than_needed(group in any_group(), gone in 0usize..8) {
        let first = assign(&group);
        let mut fewer = after(group, &first);
        let id = fewer.members.keys().nth(gone % fewer.members.len()).cloned().unwrap();
        let lost = fewer.members.remove(&id).map(|member| count(&member.active)).unwrap_or(0);
        if fewer.members.is_empty() {
            return Ok(());
        }
        let second = assign(&fewer);
        check(&fewer, &second);
        let kept: usize = fewer.members.iter().map(|(id, member)| {
            each(&member.active).filter(|(s, p)| has(&second[id].active, s, *p)).count()
        }).sum();
        let had: usize = fewer.members.values().map(|member| count(&member.active)).sum();
        // Those who stay have no more than their share of what there is now, so that all of it stays.
        prop_assert_eq!(kept, had, "{} tasks of {} were lost", lost, id);
    }

    #[test]
    fn members_get_about_as_much_each(group in any_group()) {
        let single = {
            let mut group = group;
            // One member for each process: then processes are as wide as each other.
            for (id, member) in &mut group.members {
                member.process_id = id.clone();
            }
            group
        };
        let assignment = assign(&single);
        let counts: Vec<_> = assignment.values().map(|tasks| count(&tasks.active)).collect();
        let (most, least) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
        prop_assert!(most - least <= 1, "{counts:?}");
    }
}
