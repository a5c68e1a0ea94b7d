use bytestring::ByteString;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::member::StreamsGroupMember;
use super::tasks::{Tasks, TasksTupleWithEpochs, each, each_with_epoch};

type TaskKey = (ByteString, i32);
type Processes = RedBlackTreeMapSync<TaskKey, RedBlackTreeSetSync<ByteString>>;

/// Which processes have which tasks right now, those that they were asked to give up among them.
///
/// An active task has one owner. A process has a task in one role only: its state directory is one.
#[derive(Debug, Clone)]
pub(crate) struct TaskOwners {
    active: RedBlackTreeMapSync<TaskKey, ByteString>,
    standby: Processes,
    warmup: Processes,
}

impl Default for TaskOwners {
    fn default() -> Self {
        Self {
            active: RedBlackTreeMapSync::new_sync(),
            standby: RedBlackTreeMapSync::new_sync(),
            warmup: RedBlackTreeMapSync::new_sync(),
        }
    }
}

impl TaskOwners {
    /// The process that processes this task.
    pub(crate) fn active(&self, subtopology: &ByteString, partition: i32) -> Option<&ByteString> {
        self.active.get(&(subtopology.clone(), partition))
    }

    /// Whether this process keeps a copy of this task's state.
    pub(crate) fn has_standby(&self, subtopology: &ByteString, partition: i32, process: &ByteString) -> bool {
        has_process(&self.standby, subtopology, partition, process)
    }

    /// Whether this process warms this task up.
    pub(crate) fn has_warmup(&self, subtopology: &ByteString, partition: i32, process: &ByteString) -> bool {
        has_process(&self.warmup, subtopology, partition, process)
    }

    /// A member came, or is another now.
    pub(crate) fn add(&mut self, member: &StreamsGroupMember) {
        for tasks in [&member.assigned_tasks, &member.tasks_pending_revocation] {
            self.add_tasks(tasks, &member.process_id);
        }
    }

    /// A member is gone, or about to be replaced by what it is now.
    pub(crate) fn remove(&mut self, member: &StreamsGroupMember) {
        for tasks in [&member.assigned_tasks, &member.tasks_pending_revocation] {
            self.remove_tasks(tasks, &member.process_id);
        }
    }

    fn add_tasks(&mut self, tasks: &TasksTupleWithEpochs, process: &ByteString) {
        for (subtopology, partition) in each_with_epoch(&tasks.active) {
            self.active.insert_mut((subtopology.clone(), partition), process.clone());
        }
        add_process(&mut self.standby, &tasks.standby, process);
        add_process(&mut self.warmup, &tasks.warmup, process);
    }

    fn remove_tasks(&mut self, tasks: &TasksTupleWithEpochs, process: &ByteString) {
        for (subtopology, partition) in each_with_epoch(&tasks.active) {
            let key = (subtopology.clone(), partition);
            // Somebody else may have been given the task already, when records were compacted away.
            if self.active.get(&key) == Some(process) {
                self.active.remove_mut(&key);
            }
        }
        remove_process(&mut self.standby, &tasks.standby, process);
        remove_process(&mut self.warmup, &tasks.warmup, process);
    }
}

fn has_process(
    processes: &Processes,
    subtopology: &ByteString,
    partition: i32,
    process: &ByteString,
) -> bool {
    processes.get(&(subtopology.clone(), partition)).is_some_and(|owners| owners.contains(process))
}

fn add_process(processes: &mut Processes, tasks: &Tasks, process: &ByteString) {
    for (subtopology, partition) in each(tasks) {
        let key = (subtopology.clone(), partition);
        let mut owners = processes.get(&key).cloned().unwrap_or_else(RedBlackTreeSetSync::new_sync);
        owners.insert_mut(process.clone());
        processes.insert_mut(key, owners);
    }
}

fn remove_process(processes: &mut Processes, tasks: &Tasks, process: &ByteString) {
    for (subtopology, partition) in each(tasks) {
        let key = (subtopology.clone(), partition);
        let Some(mut owners) = processes.get(&key).cloned() else { continue };
        owners.remove_mut(process);
        match owners.is_empty() {
            true => {
                processes.remove_mut(&key);
            }
            false => processes.insert_mut(key, owners),
        }
    }
}
