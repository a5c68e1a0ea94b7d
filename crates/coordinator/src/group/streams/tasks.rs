use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;

/// Tasks: the id of a subtopology, and which of its partitions.
pub type Tasks = BTreeMap<ByteString, BTreeSet<i32>>;

/// Tasks, and in which assignment epoch each was given to whoever has it.
pub type TasksWithEpochs = BTreeMap<ByteString, BTreeMap<i32, i32>>;

/// What a member is to do, by role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TasksTuple {
    /// Tasks that it processes.
    pub active: Tasks,
    /// Tasks whose state it keeps a copy of.
    pub standby: Tasks,
    /// Tasks whose state it catches up with, in order to process them later.
    pub warmup: Tasks,
}

/// What a member does, by role. Of active tasks it is known since when: commits are checked by that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TasksTupleWithEpochs {
    /// Tasks that it processes.
    pub active: TasksWithEpochs,
    /// Tasks whose state it keeps a copy of.
    pub standby: Tasks,
    /// Tasks whose state it catches up with, in order to process them later.
    pub warmup: Tasks,
}

impl TasksTuple {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty() && self.standby.is_empty() && self.warmup.is_empty()
    }

    /// Whether some task of `other` is here in the same role.
    pub fn contains_any(&self, other: &TasksTupleWithEpochs) -> bool {
        let active = self.active.iter().any(|(subtopology, partitions)| {
            let others = other.active.get(subtopology);
            others.is_some_and(|others| partitions.iter().any(|partition| others.contains_key(partition)))
        });
        active || overlap(&self.standby, &other.standby) || overlap(&self.warmup, &other.warmup)
    }

    /// Whether these are the same tasks in the same roles.
    pub fn same_tasks(&self, other: &TasksTupleWithEpochs) -> bool {
        self.standby == other.standby
            && self.warmup == other.warmup
            && self.active == without_epochs(&other.active)
    }
}

impl TasksTupleWithEpochs {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty() && self.standby.is_empty() && self.warmup.is_empty()
    }

    /// These tasks and `more`, whose epochs win.
    pub fn merged_with(mut self, more: Self) -> Self {
        for (subtopology, partitions) in more.active {
            self.active.entry(subtopology).or_default().extend(partitions);
        }
        merge(&mut self.standby, more.standby);
        merge(&mut self.warmup, more.warmup);
        self
    }

    /// The tasks that run as standby tasks in a client, whatever they are called here.
    pub fn standby_and_warmup(&self) -> Tasks {
        let mut tasks = self.standby.clone();
        merge(&mut tasks, self.warmup.clone());
        tasks
    }

    /// The same tasks, as if they were given before everything else. So a static member leaves them
    /// behind: whoever takes its place has them from the start.
    pub fn with_epochs_reset(mut self) -> Self {
        for epoch in self.active.values_mut().flat_map(BTreeMap::values_mut) {
            *epoch = 0;
        }
        self
    }
}

/// The tasks alone.
pub(crate) fn without_epochs(tasks: &TasksWithEpochs) -> Tasks {
    let of = |(subtopology, partitions): (&ByteString, &BTreeMap<i32, i32>)| {
        (subtopology.clone(), partitions.keys().copied().collect())
    };
    tasks.iter().map(of).collect()
}

/// Whether this task is among them.
pub(crate) fn has(tasks: &Tasks, subtopology: &ByteString, partition: i32) -> bool {
    tasks.get(subtopology).is_some_and(|partitions| partitions.contains(&partition))
}

/// Whether this task is among them.
pub(crate) fn has_with_epoch(tasks: &TasksWithEpochs, subtopology: &ByteString, partition: i32) -> bool {
    tasks.get(subtopology).is_some_and(|partitions| partitions.contains_key(&partition))
}

/// Adds a task.
pub(crate) fn add(tasks: &mut Tasks, subtopology: &ByteString, partition: i32) {
    tasks.entry(subtopology.clone()).or_default().insert(partition);
}

/// Takes a task out, and its subtopology when nothing is left of it: equal tasks are equal maps.
pub(crate) fn take_out(tasks: &mut Tasks, subtopology: &ByteString, partition: i32) {
    if let Some(partitions) = tasks.get_mut(subtopology) {
        partitions.remove(&partition);
        if partitions.is_empty() {
            tasks.remove(subtopology);
        }
    }
}

/// Every task one by one.
pub(crate) fn each(tasks: &Tasks) -> impl Iterator<Item = (&ByteString, i32)> {
    tasks.iter().flat_map(|(subtopology, partitions)| partitions.iter().map(move |p| (subtopology, *p)))
}

/// Every task one by one.
pub(crate) fn each_with_epoch(tasks: &TasksWithEpochs) -> impl Iterator<Item = (&ByteString, i32)> {
    tasks.iter().flat_map(|(subtopology, partitions)| partitions.keys().map(move |p| (subtopology, *p)))
}

/// Reads tasks from pairs of a subtopology and its partitions. Text comes out owned.
pub(crate) fn collect<'a>(pairs: impl IntoIterator<Item = (&'a ByteString, &'a [i32])>) -> Tasks {
    let mut tasks = Tasks::new();
    for (subtopology, partitions) in pairs {
        if !partitions.is_empty() {
            let of_subtopology = tasks.entry(crate::group::owned(subtopology)).or_default();
            of_subtopology.extend(partitions.iter().copied());
        }
    }
    tasks
}

/// Writes tasks as a list of whatever `task_ids` makes of a subtopology and its partitions.
pub(crate) fn list<T>(tasks: &Tasks, task_ids: impl Fn(ByteString, Vec<i32>) -> T) -> Vec<T> {
    let one = |(subtopology, partitions): (&ByteString, &BTreeSet<i32>)| {
        task_ids(subtopology.clone(), partitions.iter().copied().collect())
    };
    tasks.iter().map(one).collect()
}

fn merge(tasks: &mut Tasks, more: Tasks) {
    for (subtopology, partitions) in more {
        tasks.entry(subtopology).or_default().extend(partitions);
    }
}

fn overlap(tasks: &Tasks, others: &Tasks) -> bool {
    tasks.iter().any(|(subtopology, partitions)| {
        others.get(subtopology).is_some_and(|others| !partitions.is_disjoint(others))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(of: &[(&'static str, &[i32])]) -> Tasks {
        let one = |(subtopology, partitions): &(&'static str, &[i32])| {
            (ByteString::from_static(subtopology), partitions.iter().copied().collect())
        };
        of.iter().map(one).collect()
    }

    #[test]
    fn the_last_task_takes_its_subtopology_along() {
        let mut some = tasks(&[("a", &[1, 2]), ("b", &[0])]);
        take_out(&mut some, &"b".into(), 0);
        take_out(&mut some, &"a".into(), 1);
        take_out(&mut some, &"c".into(), 1);
        assert_eq!(some, tasks(&[("a", &[2])]));
    }

    #[test]
    fn roles_are_compared_each_for_itself() {
        let owned = TasksTuple { active: tasks(&[("a", &[1])]), ..Default::default() };
        let standby = TasksTupleWithEpochs { standby: tasks(&[("a", &[1])]), ..Default::default() };
        assert!(!owned.contains_any(&standby));
        let active = TasksTupleWithEpochs {
            active: BTreeMap::from([("a".into(), BTreeMap::from([(1, 7)]))]),
            ..Default::default()
        };
        assert!(owned.contains_any(&active));
        assert!(owned.same_tasks(&active) && !owned.same_tasks(&standby));
    }

    #[test]
    fn merging_keeps_the_newer_epoch() {
        let of = |epoch| TasksTupleWithEpochs {
            active: BTreeMap::from([("a".into(), BTreeMap::from([(1, epoch)]))]),
            ..Default::default()
        };
        assert_eq!(of(3).merged_with(of(5)), of(5));
        assert_eq!(of(3).with_epochs_reset(), of(0));
    }

    #[test]
    fn empty_lists_of_partitions_are_no_tasks() {
        let (a, b) = (ByteString::from_static("a"), ByteString::from_static("b"));
        let none: &[i32] = &[];
        assert_eq!(collect([(&a, &[1, 1][..]), (&b, none)]), tasks(&[("a", &[1])]));
    }
}
