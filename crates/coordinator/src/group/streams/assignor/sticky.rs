use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::load::{Load, TaskId};
use super::sticky_state::{Role, StickyState};
use super::{GroupAssignment, GroupSpec, TaskAssignor, TaskAssignorError};

/// Kafka's assignor of streams groups: tasks stay where they are, else go where their state is, else
/// where there is the least to do; every member gets about as much as every other.
#[derive(Debug, Clone, Copy, Default)]
pub struct StickyTaskAssignor;

impl TaskAssignor for StickyTaskAssignor {
    fn name(&self) -> &'static str {
        "sticky"
    }

    fn assign(&self, group: &GroupSpec) -> Result<GroupAssignment, TaskAssignorError> {
        let mut state = StickyState::new(group);
        assign_active(&mut state)?;
        if group.num_standby_replicas > 0 {
            assign_standby(&mut state, group.num_standby_replicas);
        }
        Ok(state.into_assignment())
    }
}

fn assign_active(state: &mut StickyState<'_>) -> Result<(), TaskAssignorError> {
    let mut tasks = state.tasks(Role::Active);
    // Partition by partition: so tasks of one number, which often belong together, fare alike.
    tasks.sort_unstable_by_key(|task| (task.partition, task.subtopology));
    tasks.retain(|task| {
        let member = state.previous_active(*task);
        !give_back(state, *task, member)
    });
    tasks.retain(|task| {
        let member = state.previous_standby(*task, Role::Active);
        !give_back(state, *task, member)
    });
    // What is left is dealt out in ranges.
    tasks.sort_unstable();
    let mut by_load = processes_by_load(state);
    for task in tasks {
        let (_, process) = by_load.pop_first().ok_or(TaskAssignorError::NoMembers)?;
        let member = state.least_loaded_member(process).ok_or(TaskAssignorError::NoMembers)?;
        state.give(member, task, Role::Active);
        by_load.insert((state.process(process).load(), process));
    }
    Ok(())
}

/// Gives an active task to somebody who has had to do with it, unless that one has enough to do.
fn give_back(state: &mut StickyState<'_>, task: TaskId, member: Option<usize>) -> bool {
    match member.filter(|member| state.has_room(*member, Role::Active)) {
        Some(member) => {
            state.give(member, task, Role::Active);
            true
        }
        None => false,
    }
}

fn assign_standby(state: &mut StickyState<'_>, num_replicas: usize) {
    let mut tasks = state.tasks(Role::Standby);
    tasks.sort_unstable_by_key(|task| Reverse((task.partition, task.subtopology)));
    let mut left = Vec::new();
    for task in tasks {
        for replica in 0..num_replicas {
            match sticky_standby(state, task) {
                Some(member) => state.give(member, task, Role::Standby),
                None => {
                    left.push((task, num_replicas - replica));
                    break;
                }
            }
        }
    }
    left.sort_unstable_by_key(|(task, _)| Reverse(*task));
    let mut by_load = processes_by_load(state);
    for (task, num_replicas) in left {
        for _ in 0..num_replicas {
            if !give_to_least_loaded(state, &mut by_load, task) {
                // Every process has the task: there are not enough of them for more copies.
                break;
            }
        }
    }
}

/// Who has state of this task, a place for it and less than its share.
fn sticky_standby(state: &StickyState<'_>, task: TaskId) -> Option<usize> {
    let has_room = |member: &usize| state.has_room(*member, Role::Standby);
    let active = state.previous_active(task).filter(|member| !state.process_has(*member, task));
    active.filter(has_room).or_else(|| state.previous_standby(task, Role::Standby).filter(has_room))
}

fn give_to_least_loaded(
    state: &mut StickyState<'_>,
    by_load: &mut BTreeSet<(Load, usize)>,
    task: TaskId,
) -> bool {
    let free = by_load.iter().find(|(_, process)| !state.process(*process).tasks.contains(&task)).copied();
    let Some((load, process)) = free else { return false };
    let Some(member) = state.least_loaded_member(process) else { return false };
    by_load.remove(&(load, process));
    state.give(member, task, Role::Standby);
    by_load.insert((state.process(process).load(), process));
    true
}

fn processes_by_load(state: &StickyState<'_>) -> BTreeSet<(Load, usize)> {
    (0..state.num_processes()).map(|process| (state.process(process).load(), process)).collect()
}

#[cfg(test)]
#[path = "sticky_test.rs"]
mod tests;
