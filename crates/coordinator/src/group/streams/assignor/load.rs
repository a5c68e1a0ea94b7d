use std::cmp::Ordering;
use std::collections::BTreeSet;

/// A task: which subtopology, in the order of their ids, and which partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TaskId {
    pub(super) subtopology: usize,
    pub(super) partition: i32,
}

/// How many tasks fall on a member of a process, on average. A fraction, so that equal loads are equal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    tasks: usize,
    members: usize,
}

/// What a member gets.
#[derive(Debug)]
pub(super) struct MemberLoad {
    pub(super) process: usize,
    pub(super) active: BTreeSet<TaskId>,
    pub(super) standby: BTreeSet<TaskId>,
}

/// What the members of a process get together. No task is twice in a process: its state is in one place.
#[derive(Debug, Default)]
pub(super) struct ProcessLoad {
    pub(super) members: Vec<usize>,
    pub(super) tasks: BTreeSet<TaskId>,
    num_tasks: usize,
}

impl MemberLoad {
    pub(super) fn new(process: usize) -> Self {
        Self { process, active: BTreeSet::new(), standby: BTreeSet::new() }
    }

    pub(super) fn num_tasks(&self) -> usize {
        self.active.len() + self.standby.len()
    }
}

impl ProcessLoad {
    pub(super) fn load(&self) -> Load {
        Load { tasks: self.num_tasks, members: self.members.len() }
    }

    pub(super) fn add(&mut self, task: TaskId) {
        self.num_tasks += 1;
        self.tasks.insert(task);
    }
}

impl Ord for Load {
    fn cmp(&self, other: &Self) -> Ordering {
        let product = |tasks: usize, members: usize| tasks as u128 * members as u128;
        product(self.tasks, other.members).cmp(&product(other.tasks, self.members))
    }
}

impl PartialOrd for Load {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Load {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Load {}

/// A number of tasks that members share evenly. Whoever reaches the fair share leaves with it, so that
/// what is left is shared evenly by those who are left.
#[derive(Debug)]
pub(super) struct Quota {
    tasks: usize,
    members: usize,
    per_member: usize,
}

impl Quota {
    pub(super) fn new(tasks: usize, members: usize) -> Self {
        Self { tasks, members, per_member: share(tasks, members) }
    }

    /// Whether somebody with so many tasks may have one more.
    pub(super) fn allows_more_than(&self, num_tasks: usize) -> bool {
        num_tasks < self.per_member
    }

    /// Somebody has so many tasks now.
    pub(super) fn note(&mut self, num_tasks: usize) {
        if num_tasks == self.per_member && self.members > 0 {
            self.members -= 1;
            self.tasks = self.tasks.saturating_sub(num_tasks);
            self.per_member = share(self.tasks, self.members);
        }
    }
}

fn share(tasks: usize, members: usize) -> usize {
    if members == 0 { 0 } else { tasks.div_ceil(members) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_compare_as_fractions() {
        let load = |tasks, members| Load { tasks, members };
        assert!(load(1, 3) < load(1, 2) && load(2, 4) == load(1, 2) && load(0, 9) < load(1, 9));
    }

    #[test]
    fn a_quota_follows_those_who_leave_with_their_share() {
        let mut quota = Quota::new(5, 2);
        assert!(quota.allows_more_than(2) && !quota.allows_more_than(3));
        quota.note(3);
        assert!(quota.allows_more_than(1) && !quota.allows_more_than(2), "two are left for one");
        quota.note(2);
        assert!(!quota.allows_more_than(0));
    }
}
