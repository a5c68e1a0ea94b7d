use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;

use super::load::{MemberLoad, ProcessLoad, Quota, TaskId};
use super::{GroupAssignment, GroupSpec, MemberSpec};
use crate::group::streams::tasks::{Tasks, TasksTuple, each, has};

/// An assignment in the making. Members, processes and subtopologies go by their place in the order of
/// their ids, so that the same group always gets the same assignment.
#[derive(Debug)]
pub(super) struct StickyState<'a> {
    group: &'a GroupSpec,
    subtopologies: Vec<&'a ByteString>,
    members: Vec<MemberLoad>,
    processes: Vec<ProcessLoad>,
    /// Who processes a task now.
    previous_active: BTreeMap<TaskId, usize>,
    /// Who has state of a task, the best first.
    previous_standby: BTreeMap<TaskId, Vec<usize>>,
    active_quota: Quota,
    total_quota: Quota,
}

/// The role in which a task is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Active,
    Standby,
}

/// Somebody who has state of a task. A standby comes before state that was left on a disk, newer state
/// before older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct StandbyCandidate {
    is_leftover: bool,
    offset: Reverse<i64>,
    member: usize,
}

impl<'a> StickyState<'a> {
    pub(super) fn new(group: &'a GroupSpec) -> Self {
        let subtopologies: Vec<_> = group.subtopologies.keys().collect();
        let tasks = |stateful_only: bool| {
            let some = group.subtopologies.values().filter(|spec| spec.is_stateful || !stateful_only);
            some.map(|spec| usize::try_from(spec.number_of_tasks).unwrap_or(0)).sum::<usize>()
        };
        let (active, copies) = (tasks(false), tasks(true).saturating_mul(group.num_standby_replicas));
        let num_members = group.members.len();
        let mut state = Self {
            group,
            subtopologies,
            members: Vec::with_capacity(num_members),
            processes: Vec::new(),
            previous_active: BTreeMap::new(),
            previous_standby: BTreeMap::new(),
            active_quota: Quota::new(active, num_members),
            total_quota: Quota::new(active.saturating_add(copies), num_members),
        };
        state.add_members();
        state
    }

    fn add_members(&mut self) {
        let group = self.group;
        let mut processes: BTreeMap<&ByteString, usize> = BTreeMap::new();
        let mut candidates: BTreeMap<TaskId, BTreeSet<StandbyCandidate>> = BTreeMap::new();
        for (member, spec) in group.members.values().enumerate() {
            let process = *processes.entry(&spec.process_id).or_insert_with(|| {
                self.processes.push(ProcessLoad::default());
                self.processes.len() - 1
            });
            self.processes[process].members.push(member);
            self.members.push(MemberLoad::new(process));
            for (subtopology, partition) in each(&spec.active) {
                if let Some(task) = self.task(subtopology, partition) {
                    self.previous_active.insert(task, member);
                }
            }
            for (task, candidate) in self.standby_candidates(member, spec) {
                candidates.entry(task).or_default().insert(candidate);
            }
        }
        let ranked = candidates.into_iter().map(|(task, candidates)| {
            (task, candidates.into_iter().map(|candidate| candidate.member).collect())
        });
        self.previous_standby = ranked.collect();
    }

    /// A member that restarted has a new id and no tasks. What it says to have on its disk makes up for that.
    fn standby_candidates(&self, member: usize, spec: &MemberSpec) -> Vec<(TaskId, StandbyCandidate)> {
        let offset_of = |subtopology: &ByteString, partition: i32| {
            spec.task_offsets.get(subtopology).and_then(|offsets| offsets.get(&partition)).copied()
        };
        let mut candidates = Vec::new();
        for (subtopology, partition) in each(&spec.standby) {
            let offset = Reverse(offset_of(subtopology, partition).unwrap_or(0));
            if let Some(task) = self.task(subtopology, partition) {
                candidates.push((task, StandbyCandidate { is_leftover: false, offset, member }));
            }
        }
        for (subtopology, offsets) in &spec.task_offsets {
            for (partition, offset) in offsets {
                let task = self.task(subtopology, *partition);
                if let Some(task) = task.filter(|_| !has(&spec.standby, subtopology, *partition)) {
                    let offset = Reverse(*offset);
                    candidates.push((task, StandbyCandidate { is_leftover: true, offset, member }));
                }
            }
        }
        candidates
    }

    /// The task of this name, if the topology has it: members may speak of tasks that are no more.
    fn task(&self, subtopology: &ByteString, partition: i32) -> Option<TaskId> {
        let index = self.subtopologies.binary_search(&subtopology).ok()?;
        let spec = self.group.subtopologies.get(subtopology)?;
        (0..spec.number_of_tasks).contains(&partition).then_some(TaskId { subtopology: index, partition })
    }

    /// Every task, by subtopology.
    pub(super) fn tasks(&self, role: Role) -> Vec<TaskId> {
        let subtopologies = self.group.subtopologies.values().enumerate();
        let taken = subtopologies.filter(|(_, spec)| role == Role::Active || spec.is_stateful);
        let tasks = taken.flat_map(|(subtopology, spec)| {
            (0..spec.number_of_tasks).map(move |partition| TaskId { subtopology, partition })
        });
        tasks.collect()
    }

    pub(super) fn num_processes(&self) -> usize {
        self.processes.len()
    }

    pub(super) fn process(&self, process: usize) -> &ProcessLoad {
        &self.processes[process]
    }

    pub(super) fn previous_active(&self, task: TaskId) -> Option<usize> {
        self.previous_active.get(&task).copied()
    }

    /// Whether the member's process has this task already, in whatever role.
    pub(super) fn process_has(&self, member: usize, task: TaskId) -> bool {
        self.processes[self.members[member].process].tasks.contains(&task)
    }

    /// Whether the member has less than its share of what is given in this role.
    pub(super) fn has_room(&self, member: usize, role: Role) -> bool {
        let num_tasks = self.members[member].num_tasks();
        match role {
            Role::Active => self.active_quota.allows_more_than(num_tasks),
            Role::Standby => self.total_quota.allows_more_than(num_tasks),
        }
    }

    /// Who has state of this task and the least to do; better state wins unless both the process and the
    /// member have less to do. For a standby task, processes that have the task are out of question.
    pub(super) fn previous_standby(&self, task: TaskId, role: Role) -> Option<usize> {
        let mut best: Option<usize> = None;
        for member in self.previous_standby.get(&task)?.iter().copied() {
            if role == Role::Standby && self.process_has(member, task) {
                continue;
            }
            let less = |best: usize| {
                let (process, best_process) = (self.members[member].process, self.members[best].process);
                self.processes[process].load() < self.processes[best_process].load()
                    && self.members[member].num_tasks() < self.members[best].num_tasks()
            };
            if best.is_none_or(less) {
                best = Some(member);
            }
        }
        best
    }

    /// Gives a task to a member.
    pub(super) fn give(&mut self, member: usize, task: TaskId, role: Role) {
        let process = self.members[member].process;
        assert!(
            !self.processes[process].tasks.contains(&task),
            "STREAMS-TASK-ONCE-PER-PROCESS: {task:?} is given twice"
        );
        self.processes[process].add(task);
        let load = &mut self.members[member];
        match role {
            Role::Active => load.active.insert(task),
            Role::Standby => load.standby.insert(task),
        };
        let num_tasks = load.num_tasks();
        if role == Role::Active {
            self.active_quota.note(num_tasks);
        }
        self.total_quota.note(num_tasks);
    }

    /// The member of a process that has the least to do.
    pub(super) fn least_loaded_member(&self, process: usize) -> Option<usize> {
        let members = self.processes[process].members.iter().copied();
        members.min_by_key(|member| self.members[*member].num_tasks())
    }

    /// What everybody got.
    pub(super) fn into_assignment(self) -> GroupAssignment {
        let tasks = |tasks: &BTreeSet<TaskId>| {
            let mut of = Tasks::new();
            for task in tasks {
                let id = self.subtopologies[task.subtopology].clone();
                of.entry(id).or_default().insert(task.partition);
            }
            of
        };
        let of = |(member_id, load): (&ByteString, &MemberLoad)| {
            let (active, standby) = (tasks(&load.active), tasks(&load.standby));
            (member_id.clone(), TasksTuple { active, standby, warmup: Tasks::new() })
        };
        self.group.members.keys().zip(&self.members).map(of).collect()
    }
}
