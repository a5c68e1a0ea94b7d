use bytestring::ByteString;

use super::error::StreamsGroupError;
use super::member::{StreamsGroupMember, StreamsMemberState};
use super::task_owners::TaskOwners;
use super::tasks::{
    Tasks, TasksTuple, TasksTupleWithEpochs, TasksWithEpochs, add, each, each_with_epoch, has,
    has_with_epoch, take_out,
};

/// One member's next step towards its target assignment.
///
/// A member first gives up what is not to be its own, says that it did, and only then gets what is new;
/// of that, active tasks only once nobody has them any more, and no task while another member of the same
/// process has it in whatever role. Changing roles within a member needs no detour: the client recycles
/// the task's state (KAFKA-9501).
#[derive(Debug)]
pub struct NextAssignment<'a> {
    member: &'a StreamsGroupMember,
    target_epoch: i32,
    target: &'a TasksTuple,
    owners: &'a TaskOwners,
    /// What the member says to have; `None` when it says nothing, so that nothing is known to be given up.
    owned: Option<&'a TasksTuple>,
}

/// What comes of one role's tasks.
#[derive(Debug, Default)]
struct Difference {
    /// Had before, and to be kept.
    assigned: Tasks,
    /// Had before, and not to be kept.
    revoked: Tasks,
    /// To be had, and free.
    granted: Tasks,
    /// Whether something is to be had and not free.
    has_unreleased: bool,
}

impl<'a> NextAssignment<'a> {
    pub(crate) fn new(
        member: &'a StreamsGroupMember,
        target_epoch: i32,
        target: &'a TasksTuple,
        owners: &'a TaskOwners,
        owned: Option<&'a TasksTuple>,
    ) -> Self {
        Self { member, target_epoch, target, owners, owned }
    }

    /// The member after the step, or as it is when no step can be taken.
    pub(crate) fn member(&self) -> Result<StreamsGroupMember, StreamsGroupError> {
        let member = self.member;
        match member.state {
            StreamsMemberState::Stable if member.member_epoch == self.target_epoch => Ok(member.clone()),
            StreamsMemberState::Stable | StreamsMemberState::UnreleasedTasks => {
                Ok(self.step(member.member_epoch))
            }
            StreamsMemberState::UnrevokedTasks if self.still_has(&member.tasks_pending_revocation) => {
                Ok(member.clone())
            }
            StreamsMemberState::UnrevokedTasks => Ok(self.step(member.member_epoch.saturating_add(1))),
            // Written by a newer release: only a member without anything can be led on.
            StreamsMemberState::Unknown if self.owned.is_none_or(|owned| !owned.is_empty()) => {
                Err(StreamsGroupError::UnknownMemberState)
            }
            StreamsMemberState::Unknown => Ok(self.step(self.target_epoch)),
        }
    }

    fn step(&self, member_epoch: i32) -> StreamsGroupMember {
        let held = &self.member.assigned_tasks;
        let active_now = super::tasks::without_epochs(&held.active);
        let active = difference(&active_now, &self.target.active, |s, p| self.is_active_taken(s, p));
        let mut standby = difference(&held.standby, &self.target.standby, |s, p| self.is_standby_taken(s, p));
        let mut warmup = difference(&held.warmup, &self.target.warmup, |s, p| self.is_warmup_taken(s, p));
        let has_unreleased = active.has_unreleased || standby.has_unreleased || warmup.has_unreleased;

        // The release of an active task must be seen by everybody; its copy is this member's at once.
        for (subtopology, partition) in each(&active_now) {
            grant_now(&mut standby, subtopology, partition);
        }
        convert(&held.standby, &mut standby, &mut warmup);
        convert(&held.warmup, &mut warmup, &mut standby);

        // What is to become active is not given up in between.
        for (tasks, replica) in [(&held.standby, &mut standby), (&held.warmup, &mut warmup)] {
            for (subtopology, partition) in self.promoted(tasks) {
                take_out(&mut replica.revoked, subtopology, partition);
            }
        }
        let revoked = TasksTupleWithEpochs {
            active: with_epochs_of(&active.revoked, &held.active),
            standby: std::mem::take(&mut standby.revoked),
            warmup: std::mem::take(&mut warmup.revoked),
        };
        let must_revoke = !revoked.is_empty() && self.still_has(&revoked);
        for (tasks, replica) in [(&held.standby, &mut standby), (&held.warmup, &mut warmup)] {
            for (subtopology, partition) in self.promoted(tasks) {
                if must_revoke || !has(&active.granted, subtopology, partition) {
                    add(&mut replica.assigned, subtopology, partition);
                }
            }
        }
        let assigned = TasksTupleWithEpochs {
            active: with_epochs_of(&active.assigned, &held.active),
            standby: standby.assigned,
            warmup: warmup.assigned,
        };
        let granted = TasksTupleWithEpochs {
            active: with_epoch(&active.granted, self.target_epoch),
            standby: standby.granted,
            warmup: warmup.granted,
        };
        let mut next = self.member.clone();
        if must_revoke {
            next.state = StreamsMemberState::UnrevokedTasks;
            next.update_member_epoch(member_epoch);
            next.assigned_tasks = assigned;
            next.tasks_pending_revocation = revoked;
        } else {
            next.state = match has_unreleased {
                true => StreamsMemberState::UnreleasedTasks,
                false => StreamsMemberState::Stable,
            };
            next.update_member_epoch(self.target_epoch);
            next.assigned_tasks = assigned.merged_with(granted);
            next.tasks_pending_revocation = TasksTupleWithEpochs::default();
        }
        next
    }

    /// Giving up is known only from a heartbeat that says what the member has.
    fn still_has(&self, tasks: &TasksTupleWithEpochs) -> bool {
        self.owned.is_none_or(|owned| owned.contains_any(tasks))
    }

    /// Those of a member's replicas that are to become active.
    fn promoted<'t>(&self, tasks: &'t Tasks) -> impl Iterator<Item = (&'t ByteString, i32)> {
        each(tasks).filter(|(subtopology, partition)| has(&self.target.active, subtopology, *partition))
    }

    /// An active task has one owner in the whole group, and is nothing else in the owner's process, unless
    /// it is this member that has it so.
    fn is_active_taken(&self, subtopology: &ByteString, partition: i32) -> bool {
        let (mine, process) = (&self.member.assigned_tasks, &self.member.process_id);
        self.owners.active(subtopology, partition).is_some()
            || (self.owners.has_standby(subtopology, partition, process)
                && !has(&mine.standby, subtopology, partition))
            || (self.owners.has_warmup(subtopology, partition, process)
                && !has(&mine.warmup, subtopology, partition))
    }

    /// Other processes may have copies; in this one, only this member may have the task in another role.
    fn is_standby_taken(&self, subtopology: &ByteString, partition: i32) -> bool {
        let (mine, process) = (&self.member.assigned_tasks, &self.member.process_id);
        (self.owners.active(subtopology, partition) == Some(process)
            && !has_with_epoch(&mine.active, subtopology, partition))
            || self.owners.has_standby(subtopology, partition, process)
            || (self.owners.has_warmup(subtopology, partition, process)
                && !has(&mine.warmup, subtopology, partition))
    }

    fn is_warmup_taken(&self, subtopology: &ByteString, partition: i32) -> bool {
        let (mine, process) = (&self.member.assigned_tasks, &self.member.process_id);
        self.owners.active(subtopology, partition) == Some(process)
            || (self.owners.has_standby(subtopology, partition, process)
                && !has(&mine.standby, subtopology, partition))
            || self.owners.has_warmup(subtopology, partition, process)
    }
}

fn difference(current: &Tasks, target: &Tasks, is_taken: impl Fn(&ByteString, i32) -> bool) -> Difference {
    let mut difference = Difference::default();
    for (subtopology, partition) in each(current) {
        let side = match has(target, subtopology, partition) {
            true => &mut difference.assigned,
            false => &mut difference.revoked,
        };
        add(side, subtopology, partition);
    }
    for (subtopology, partition) in each(target) {
        if has(current, subtopology, partition) {
            continue;
        }
        match is_taken(subtopology, partition) {
            true => difference.has_unreleased = true,
            false => add(&mut difference.granted, subtopology, partition),
        }
    }
    difference
}

/// What is granted anyway need not wait for anything to be given up.
fn grant_now(role: &mut Difference, subtopology: &ByteString, partition: i32) -> bool {
    let granted = has(&role.granted, subtopology, partition);
    if granted {
        take_out(&mut role.granted, subtopology, partition);
        add(&mut role.assigned, subtopology, partition);
    }
    granted
}

/// Standby and warm-up tasks are the same thing to a client: nothing need be given up to change.
fn convert(current: &Tasks, from: &mut Difference, to: &mut Difference) {
    for (subtopology, partition) in each(current) {
        if grant_now(to, subtopology, partition) {
            take_out(&mut from.revoked, subtopology, partition);
        }
    }
}

fn with_epochs_of(tasks: &Tasks, epochs: &TasksWithEpochs) -> TasksWithEpochs {
    let mut with_epochs = TasksWithEpochs::new();
    for (subtopology, partition) in each_with_epoch(epochs) {
        if has(tasks, subtopology, partition)
            && let Some(epoch) = epochs.get(subtopology).and_then(|partitions| partitions.get(&partition))
        {
            with_epochs.entry(subtopology.clone()).or_default().insert(partition, *epoch);
        }
    }
    with_epochs
}

fn with_epoch(tasks: &Tasks, epoch: i32) -> TasksWithEpochs {
    let mut with_epochs = TasksWithEpochs::new();
    for (subtopology, partition) in each(tasks) {
        with_epochs.entry(subtopology.clone()).or_default().insert(partition, epoch);
    }
    with_epochs
}

#[cfg(test)]
#[path = "next_assignment_test.rs"]
mod tests;
