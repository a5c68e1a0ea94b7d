//! Streams groups under whatever members, time and the log may do to them.

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use proptest::prelude::*;

use super::testing::{
    CHANGELOG, PARTITIONS, SOURCE, World, beat_request, full_request, join_request, static_join_request, told,
};
use super::{StreamsGroup, StreamsGroupConfig, Tasks, TasksTuple};

/// Two members in each of the processes `a`, `b` and `c`.
const CLIENTS: [&str; 6] = ["a1", "a2", "b1", "b2", "c1", "c2"];
/// This one has a `group.instance.id`, and comes back under other ids.
const STATIC_CLIENT: usize = 5;

#[derive(Debug, Clone)]
enum Op {
    Join(usize),
    /// Says what it has, having given up what it was told to.
    Beat(usize),
    /// Says nothing of what it has.
    ShortBeat(usize),
    Leave(usize),
    LeaveForAWhile,
    Standbys(i32),
    Topic {
        there: bool,
    },
    Advance(i64),
    Refuse(bool),
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS.len();
    prop_oneof![
        4 => client.clone().prop_map(Op::Join),
        12 => client.clone().prop_map(Op::Beat),
        3 => client.clone().prop_map(Op::ShortBeat),
        1 => client.prop_map(Op::Leave),
        1 => Just(Op::LeaveForAWhile),
        1 => (0i32..3).prop_map(Op::Standbys),
        1 => any::<bool>().prop_map(|there| Op::Topic { there }),
        4 => (0i64..20_000).prop_map(Op::Advance),
        1 => any::<bool>().prop_map(Op::Refuse),
        1 => Just(Op::Restart),
    ]
}

/// A stream thread: it does what it is told, and stops at once what it is not told any more.
#[derive(Debug, Clone, Default)]
struct Client {
    member_id: ByteString,
    epoch: i32,
    tasks: TasksTuple,
}

struct Application {
    world: World,
    clients: BTreeMap<usize, Client>,
    incarnations: u32,
    newest_epoch: i32,
}

impl Application {
    fn new() -> Self {
        let config = StreamsGroupConfig { num_standby_replicas: 1, ..StreamsGroupConfig::default() };
        let world = World::with(config);
        Self { world, clients: BTreeMap::new(), incarnations: 0, newest_epoch: 0 }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Join(client) => self.join(client),
            Op::Beat(client) => self.beat(client, true),
            Op::ShortBeat(client) => self.beat(client, false),
            Op::Leave(client) => self.leave(client, -1),
            Op::LeaveForAWhile => self.leave(STATIC_CLIENT, -2),
            Op::Standbys(number) => self.world.config.num_standby_replicas = number,
            Op::Topic { there: true } => self.world.topics.put(CHANGELOG, PARTITIONS),
            Op::Topic { there: false } => self.world.topics.remove(CHANGELOG),
            Op::Advance(ms) => self.world.advance(ms),
            Op::Refuse(refuse) => self.world.refuse = refuse,
            Op::Restart => {
                self.world.restart();
                self.newest_epoch = 0;
            }
        }
        self.check();
    }

    /// A client that starts has nothing. What it did before nobody does any more.
    fn join(&mut self, client: usize) {
        self.clients.remove(&client);
        let request = match client == STATIC_CLIENT {
            true => {
                self.incarnations += 1;
                static_join_request(&format!("c-{}", self.incarnations), "fijo")
            }
            false => join_request(CLIENTS[client]),
        };
        let joined = Client { member_id: request.member_id.clone(), ..Default::default() };
        self.ask(client, joined, &request);
    }

    fn beat(&mut self, client: usize, full: bool) {
        let Some(known) = self.clients.get(&client).cloned() else { return };
        let mut request = match full {
            true => full_request(&known.member_id, known.epoch, &known.tasks),
            false => beat_request(&known.member_id, known.epoch),
        };
        if client == STATIC_CLIENT {
            request.instance_id = Some("fijo".into());
        }
        self.ask(client, known, &request);
    }

    fn ask(
        &mut self,
        client: usize,
        mut known: Client,
        request: &ottla_protocol::messages::StreamsGroupHeartbeatRequest,
    ) {
        let refused = self.world.refuse;
        match self.world.heartbeat(request) {
            // The log refused it: the client hears an error and does not know what came of it.
            Ok(_) if refused => {}
            Ok(result) => {
                known.epoch = result.response.member_epoch;
                if let Some(tasks) = told(&result.response) {
                    known.tasks = tasks;
                }
                self.clients.insert(client, known);
            }
            // Fenced or unknown: it gives everything up.
            Err(_) => {
                self.clients.remove(&client);
            }
        }
    }

    fn leave(&mut self, client: usize, epoch: i32) {
        let Some(known) = self.clients.remove(&client) else { return };
        let mut request = beat_request(&known.member_id, epoch);
        if client == STATIC_CLIENT {
            request.instance_id = Some("fijo".into());
        }
        let _ = self.world.heartbeat(&request);
    }

    fn check(&mut self) {
        let Some(group) = &self.world.group else {
            self.clients.clear();
            return;
        };
        // Who is no member any more has noticed, and stopped.
        self.clients.retain(|_, client| group.member(&client.member_id).is_ok());
        assert!(group.group_epoch() >= self.newest_epoch, "GROUP-EPOCH-MONOTONIC");
        self.newest_epoch = group.group_epoch();
        assert!(group.assignment_epoch() <= group.group_epoch(), "STREAMS-ASSIGNMENT-NOT-AHEAD");
        check_tasks(group);
        for member in group.members() {
            assert!(member.member_epoch <= group.assignment_epoch(), "{member:?}");
        }
    }

    /// Everybody sends heartbeats: whoever is left ends up with what the target says.
    fn settle(&mut self) {
        self.world.refuse = false;
        self.world.topics.put(SOURCE, PARTITIONS);
        self.world.topics.put(CHANGELOG, PARTITIONS);
        for _ in 0..40 {
            for client in 0..CLIENTS.len() {
                self.beat(client, true);
            }
            self.world.advance(2_000);
            self.check();
        }
    }
}

/// Active tasks have one owner; a process has a task once, but for one that a member passes on to itself.
fn check_tasks(group: &StreamsGroup) {
    let mut active = BTreeMap::new();
    for member in group.members() {
        for tasks in [&member.assigned_tasks, &member.tasks_pending_revocation] {
            for (subtopology, partition) in super::tasks::each_with_epoch(&tasks.active) {
                let other = active.insert((subtopology.clone(), partition), member.member_id.clone());
                assert!(other.is_none(), "STREAMS-ACTIVE-ONCE: {subtopology}_{partition} {other:?}");
            }
        }
    }
    let mut replicas = BTreeSet::new();
    for member in group.members() {
        for tasks in [&member.assigned_tasks, &member.tasks_pending_revocation] {
            let all = super::tasks::each(&tasks.standby).chain(super::tasks::each(&tasks.warmup));
            for (subtopology, partition) in all {
                let task = (subtopology.clone(), partition);
                let owner = active.get(&task).filter(|owner| **owner != member.member_id);
                let owner = owner.and_then(|owner| group.member(owner).ok());
                let same = owner.is_some_and(|owner| owner.process_id == member.process_id);
                assert!(!same, "STREAMS-TASK-ONCE-PER-PROCESS: {task:?}");
                let is_new = replicas.insert((member.process_id.clone(), task.clone()));
                assert!(is_new, "STREAMS-TASK-ONCE-PER-PROCESS: {task:?}");
            }
        }
    }
}

fn tasks_of(clients: &BTreeMap<usize, Client>) -> Vec<(ByteString, i32)> {
    let active = |client: &Client| -> Tasks { client.tasks.active.clone() };
    let all = clients.values().map(active).collect::<Vec<_>>();
    all.iter().flat_map(super::tasks::each).map(|(s, p)| (s.clone(), p)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_active_task_has_two_owners(ops in prop::collection::vec(op(), 1..120)) {
        let mut application = Application::new();
        for op in ops {
            application.run(op);
            // Nor do two clients work on one, as far as they were told.
            let mut tasks = tasks_of(&application.clients);
            let num = tasks.len();
            tasks.sort_unstable();
            tasks.dedup();
            prop_assert_eq!(tasks.len(), num, "two clients work on one task");
        }
    }

    #[test]
    fn whoever_is_left_does_everything(ops in prop::collection::vec(op(), 1..60)) {
        let mut application = Application::new();
        for op in ops {
            application.run(op);
        }
        application.world.restart();
        application.newest_epoch = 0;
        // Those who were lost are gone for good.
        application.world.refuse = false;
        application.settle();
        application.world.advance(1);
        let Some(group) = application.world.group.clone() else { return Ok(()) };
        if group.is_empty() || group.num_members() != application.clients.len() {
            return Ok(());
        }
        prop_assert_eq!(group.state().name(), "Stable");
        let mut tasks = tasks_of(&application.clients);
        tasks.sort_unstable();
        let all: Vec<_> = (0..PARTITIONS).map(|partition| (ByteString::from_static("0"), partition)).collect();
        prop_assert_eq!(tasks, all, "every task is done by somebody");
        for client in application.clients.values() {
            let target = group.target_assignment(&client.member_id).unwrap();
            prop_assert_eq!(&client.tasks, &**target);
        }
    }

    #[test]
    fn what_is_written_is_what_a_new_coordinator_finds(ops in prop::collection::vec(op(), 1..60)) {
        let mut application = Application::new();
        for op in ops {
            application.run(op);
        }
        let before = application.world.group.clone();
        application.world.restart();
        let (Some(before), Some(after)) = (before, application.world.group.clone()) else { return Ok(()) };
        prop_assert_eq!(before.state(), after.state());
        prop_assert_eq!(before.group_epoch(), after.group_epoch());
        let members = |group: &StreamsGroup| group.members().cloned().collect::<Vec<_>>();
        prop_assert_eq!(members(&before), members(&after));
    }
}
