//! Nodes, network, time, and what must always hold.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ottla_common::Uuid;
use ottla_raft::{
    BatchAccumulator, CompletedBatch, Endpoints, KafkaRaftClient, KernelConfig, LeaderAndEpoch,
    OffsetAndEpoch, QuorumConfig, RaftAction, RaftInput, RaftRequest, RaftResponse, ReplicaKey, VoterSet,
};

use super::disk::Disk;

const LISTENER: &str = "CONTROLLER";

/// What may go wrong, each with its chance in a thousand per step or message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trouble {
    lost_message: u64,
    crash: u64,
    partition: u64,
    snapshot: u64,
}

impl Trouble {
    pub(crate) fn all() -> Self {
        Self { lost_message: 50, crash: 4, partition: 6, snapshot: 6 }
    }

    pub(crate) fn none() -> Self {
        Self { lost_message: 0, crash: 0, partition: 0, snapshot: 0 }
    }
}

#[derive(Debug, Clone)]
enum Event {
    Request { from: i32, to: i32, correlation_id: u64, request: RaftRequest },
    Response { to: i32, incarnation: u64, correlation_id: u64, response: Option<RaftResponse> },
    Flushed { node: i32, incarnation: u64, end_offset: i64 },
    Tick { node: i32, incarnation: u64 },
    Restart { node: i32 },
    Append,
}

#[derive(Debug)]
struct Node {
    kernel: Option<KafkaRaftClient>,
    disk: Disk,
    accumulator: Option<BatchAccumulator>,
    incarnation: u64,
    high_watermark: i64,
    /// Who asked what is being answered.
    asked: BTreeMap<u64, (i32, u64, u64)>,
    next_request: u64,
    /// When it wants to be woken; other ticks on their way are stale.
    tick_at: Option<i64>,
}

#[derive(Debug)]
pub(crate) struct Cluster {
    random: u64,
    now_ms: i64,
    sequence: u64,
    events: BTreeMap<(i64, u64), Event>,
    nodes: BTreeMap<i32, Node>,
    voters: VoterSet,
    cut_off: BTreeSet<i32>,
    trouble: Trouble,
    /// Epoch and bytes of every committed batch by its base offset, as the first node saw it.
    committed: BTreeMap<i64, (i32, Bytes)>,
    leaders: BTreeMap<i32, i32>,
    history: Vec<String>,
}

impl Cluster {
    pub(crate) fn new(seed: u64, nodes: i32) -> Self {
        let voters = (1..=nodes).map(|id| (id, format!("n{id}"), id.unsigned_abs() as u16));
        let mut cluster = Self {
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            now_ms: 1_000_000,
            sequence: 0,
            events: BTreeMap::new(),
            nodes: BTreeMap::new(),
            voters: VoterSet::from_static(LISTENER, voters),
            cut_off: BTreeSet::new(),
            trouble: Trouble::none(),
            committed: BTreeMap::new(),
            leaders: BTreeMap::new(),
            history: Vec::new(),
        };
        for id in 1..=nodes {
            let node = Node {
                kernel: None,
                disk: Disk::default(),
                accumulator: None,
                incarnation: 0,
                high_watermark: 0,
                asked: BTreeMap::new(),
                next_request: 0,
                tick_at: None,
            };
            cluster.nodes.insert(id, node);
            cluster.start(id);
        }
        cluster.schedule(10, Event::Append);
        cluster
    }

    pub(crate) fn history(&self) -> &[String] {
        &self.history
    }

    pub(crate) fn leaders(&self) -> &BTreeMap<i32, i32> {
        &self.leaders
    }

    pub(crate) fn run(&mut self, steps: usize, trouble: Trouble) {
        self.trouble = trouble;
        for _ in 0..steps {
            self.cause_trouble();
            self.step();
        }
    }

    /// All messages arrive and all nodes run.
    pub(crate) fn heal(&mut self) {
        self.trouble = Trouble::none();
        self.cut_off.clear();
        let down: Vec<i32> =
            self.nodes.iter().filter(|(_, node)| node.kernel.is_none()).map(|(id, _)| *id).collect();
        down.into_iter().for_each(|id| self.start(id));
    }

    /// Runs until every node has committed more than anybody had.
    pub(crate) fn run_until_settled(&mut self) {
        let goal = self.nodes.values().map(|node| node.disk.end_offset()).max().unwrap_or(0) + 5;
        for _ in 0..200_000 {
            if self.nodes.values().all(|node| node.high_watermark >= goal) {
                return;
            }
            self.step();
        }
        let ends: Vec<_> = self.nodes.values().map(|n| (n.high_watermark, n.disk.end_offset())).collect();
        let states: Vec<_> = self.nodes.values().map(|n| n.kernel.as_ref().map(|k| k.state())).collect();
        panic!("no progress to {goal}: {ends:?}\n{states:#?}\n{}", self.history.join("\n"));
    }

    fn next_random(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    fn happens(&mut self, in_a_thousand: u64) -> bool {
        self.next_random(1_000) < in_a_thousand
    }

    fn schedule(&mut self, delay_ms: i64, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now_ms + delay_ms, self.sequence), event);
    }

    fn step(&mut self) {
        let Some(((at, _), event)) = self.events.pop_first() else { return };
        self.now_ms = self.now_ms.max(at);
        match event {
            Event::Request { from, to, correlation_id, request } => {
                self.deliver_request(from, to, correlation_id, request);
            }
            Event::Response { to, incarnation, correlation_id, response } => {
                if self.nodes[&to].incarnation == incarnation {
                    self.feed(to, RaftInput::Response { correlation_id, response });
                }
            }
            Event::Flushed { node, incarnation, end_offset } => self.flushed(node, incarnation, end_offset),
            Event::Tick { node, incarnation } => {
                let target = self.nodes.get_mut(&node).expect("it exists");
                if target.incarnation == incarnation && target.tick_at.is_some_and(|tick| tick <= at) {
                    target.tick_at = None;
                    self.feed(node, RaftInput::Tick);
                }
            }
            Event::Restart { node } => {
                if self.nodes[&node].kernel.is_none() {
                    self.start(node);
                }
            }
            Event::Append => {
                self.append_on_leaders();
                let delay = 5 + self.next_random(30) as i64;
                self.schedule(delay, Event::Append);
            }
        }
    }

    fn cause_trouble(&mut self) {
        let id = 1 + self.next_random(self.nodes.len() as u64) as i32;
        if self.happens(self.trouble.crash) {
            self.crash(id);
        }
        if self.happens(self.trouble.partition) && !self.cut_off.remove(&id) {
            self.cut_off.insert(id);
            self.note(format!("{id} is cut off"));
        }
        if self.happens(self.trouble.snapshot) {
            self.snapshot(id);
        }
    }

    fn note(&mut self, what: String) {
        self.history.push(format!("{} {what}", self.now_ms));
    }

    fn config(&self, id: i32) -> KernelConfig {
        let others = self.voters.ids().filter(|other| *other != id);
        KernelConfig {
            quorum: QuorumConfig {
                local: ReplicaKey::new(id, Uuid::from_u128(id.unsigned_abs().into())),
                local_listeners: Endpoints::EMPTY.with(LISTENER, format!("n{id}"), id.unsigned_abs() as u16),
                election_timeout_ms: 1_000,
                fetch_timeout_ms: 2_000,
            },
            cluster_id: "simulated".to_owned(),
            listener: LISTENER.to_owned(),
            bootstrap_servers: others.map(|id| (format!("n{id}"), id.unsigned_abs() as u16)).collect(),
            request_timeout_ms: 2_000,
            retry_backoff_ms: 20,
            election_backoff_max_ms: 1_000,
            fetch_max_bytes: 3_000,
        }
    }

    fn start(&mut self, id: i32) {
        let (config, voters, now) = (self.config(id), self.voters.clone(), self.now_ms);
        let seed = self.next_random(u64::MAX);
        let node = self.nodes.get_mut(&id).expect("it exists");
        node.incarnation += 1;
        node.high_watermark = 0;
        node.asked.clear();
        node.tick_at = None;
        // Recovery flushes what it finds.
        node.disk.flushed_end_offset = node.disk.end_offset();
        let disk = &node.disk;
        let mut kernel = KafkaRaftClient::new(
            config,
            seed,
            disk.election.clone(),
            disk.partition(&voters),
            disk.view(),
            now,
        )
        .expect("a disk that makes sense");
        let actions = kernel.take_actions();
        node.kernel = Some(kernel);
        self.note(format!("{id} starts"));
        self.perform(id, actions);
    }

    fn crash(&mut self, id: i32) {
        let kept = self.next_random(3) as usize;
        let delay = 100 + self.next_random(3_000) as i64;
        let node = self.nodes.get_mut(&id).expect("it exists");
        if node.kernel.take().is_none() {
            return;
        }
        node.incarnation += 1;
        node.accumulator = None;
        node.disk.crash(kept);
        self.note(format!("{id} crashes"));
        self.schedule(delay, Event::Restart { node: id });
    }

    fn snapshot(&mut self, id: i32) {
        let node = self.nodes.get_mut(&id).expect("it exists");
        if node.kernel.is_none() {
            return;
        }
        let committed = node.disk.batches.iter().rfind(|batch| batch.next_offset <= node.high_watermark);
        let Some(last) = committed else { return };
        let snapshot = OffsetAndEpoch::new(last.next_offset, last.epoch);
        // Its content matters to nobody here, its size makes several pieces.
        let content = format!("{snapshot};").repeat(200);
        node.disk.snapshots.insert(snapshot, content.into());
        node.disk.clean(snapshot);
        self.feed(id, RaftInput::SnapshotFrozen(snapshot));
        self.feed(id, RaftInput::LogCleaned(snapshot));
    }

    fn append_on_leaders(&mut self) {
        let (now, count) = (self.now_ms, 1 + self.next_random(3));
        let mut drained: Vec<(i32, Vec<CompletedBatch>)> = Vec::new();
        for (id, node) in &mut self.nodes {
            let Some(accumulator) = node.accumulator.as_mut() else { continue };
            let epoch = accumulator.epoch();
            for n in 0..count {
                let value = Bytes::from(format!("{id} {epoch} {now} {n}"));
                accumulator.append(epoch, now, &[value]).expect("room");
            }
            drained.push((*id, accumulator.drain()));
        }
        for (id, batches) in drained {
            self.feed(id, RaftInput::Append(batches));
        }
    }

    fn deliver_request(&mut self, from: i32, to: i32, correlation_id: u64, request: RaftRequest) {
        let incarnation = self.nodes[&from].incarnation;
        let node = self.nodes.get_mut(&to).expect("it exists");
        if node.kernel.is_none() || self.cut_off.contains(&to) || self.cut_off.contains(&from) {
            let delay = 1 + self.next_random(50) as i64;
            let refused = Event::Response { to: from, incarnation, correlation_id, response: None };
            return self.schedule(delay, refused);
        }
        let id = node.next_request;
        node.next_request += 1;
        node.asked.insert(id, (from, incarnation, correlation_id));
        self.feed(to, RaftInput::Request { id, request });
    }

    fn flushed(&mut self, id: i32, incarnation: u64, end_offset: i64) {
        let node = self.nodes.get_mut(&id).expect("it exists");
        if node.incarnation != incarnation || node.kernel.is_none() {
            return;
        }
        let end_offset = end_offset.min(node.disk.end_offset());
        node.disk.flushed_end_offset = node.disk.flushed_end_offset.max(end_offset);
        let flushed = node.disk.flushed_end_offset;
        self.feed(id, RaftInput::LogFlushed(flushed));
    }

    fn feed(&mut self, id: i32, input: RaftInput) {
        let now = self.now_ms;
        let node = self.nodes.get_mut(&id).expect("it exists");
        let Some(kernel) = node.kernel.as_mut() else { return };
        let actions = kernel.handle(now, input);
        self.perform(id, actions);
    }

    fn perform(&mut self, id: i32, actions: Vec<RaftAction>) {
        let mut appended = false;
        for action in actions {
            appended |= matches!(action, RaftAction::Append { .. });
            self.perform_one(id, action);
        }
        let incarnation = self.nodes[&id].incarnation;
        if appended {
            let delay = self.next_random(20) as i64;
            let end_offset = self.nodes[&id].disk.end_offset();
            self.schedule(delay, Event::Flushed { node: id, incarnation, end_offset });
        }
        let now = self.now_ms;
        let node = self.nodes.get_mut(&id).expect("it exists");
        let Some(kernel) = &node.kernel else { return };
        let at = kernel.poll_timeout(now).max(now + 1);
        if node.tick_at.is_none_or(|tick| at < tick) {
            node.tick_at = Some(at);
            self.schedule(at - now, Event::Tick { node: id, incarnation });
        }
    }

    fn perform_one(&mut self, id: i32, action: RaftAction) {
        let node = self.nodes.get_mut(&id).expect("it exists");
        match action {
            RaftAction::PersistElectionState { state, .. } => node.disk.election = Some(state),
            RaftAction::Append { records, .. } => node.disk.append(&records),
            RaftAction::TruncateTo(offset) => {
                assert!(offset >= node.high_watermark, "COMMITTED-NEVER-LOST");
                node.disk.truncate_to(offset);
            }
            RaftAction::TruncateToSnapshot(snapshot) => node.disk.truncate_to_snapshot(snapshot),
            RaftAction::AdvanceHighWatermark(offset) => self.advance_high_watermark(id, offset),
            RaftAction::LeaderChanged { leader, .. } => self.leader_changed(id, leader),
            RaftAction::OpenAccumulator { epoch, base_offset } => {
                node.accumulator = Some(BatchAccumulator::new(epoch, base_offset));
            }
            RaftAction::CloseAccumulator => node.accumulator = None,
            RaftAction::Respond { id: request, response } => self.respond(id, request, response),
            RaftAction::RespondWithRecords { id: request, mut response, offset, max_bytes } => {
                let records = node.disk.read(offset, max_bytes.unsigned_abs() as usize);
                response.responses[0].partitions[0].records = Some(records.into());
                self.respond(id, request, RaftResponse::Fetch(response));
            }
            RaftAction::RespondWithSnapshot { id: request, mut response, snapshot, position, max_bytes } => {
                let content = &node.disk.snapshots[&snapshot];
                let from = position as usize;
                let to = content.len().min(from + max_bytes as usize);
                let partition = &mut response.topics[0].partitions[0];
                partition.size = content.len() as i64;
                partition.position = position;
                partition.unaligned_records = content.slice(from..to).into();
                self.respond(id, request, RaftResponse::FetchSnapshot(response));
            }
            RaftAction::Send { correlation_id, to, request } => {
                let (lost, delay) = (self.happens(self.trouble.lost_message), self.next_random(60) as i64);
                if !lost {
                    let to = i32::from(to.port);
                    self.schedule(1 + delay, Event::Request { from: id, to, correlation_id, request });
                }
            }
            RaftAction::WriteSnapshotChunk { id: snapshot, position, bytes, last } => {
                if position == 0 {
                    node.disk.partial.clear();
                }
                assert_eq!(node.disk.partial.len() as i64, position, "pieces come in order");
                node.disk.partial.extend_from_slice(&bytes);
                if last {
                    let content = Bytes::from(std::mem::take(&mut node.disk.partial));
                    assert!(content.starts_with(snapshot.to_string().as_bytes()), "the snapshot asked for");
                    node.disk.snapshots.insert(snapshot, content);
                    self.feed(id, RaftInput::SnapshotFetched(snapshot, Vec::new()));
                }
            }
            RaftAction::ShutdownComplete => {}
        }
    }

    fn respond(&mut self, id: i32, request: u64, response: RaftResponse) {
        let node = self.nodes.get_mut(&id).expect("it exists");
        let Some((to, incarnation, correlation_id)) = node.asked.remove(&request) else { return };
        let (lost, delay) = (self.happens(self.trouble.lost_message), self.next_random(60) as i64);
        if !lost && !self.cut_off.contains(&id) && !self.cut_off.contains(&to) {
            let response = Some(response);
            self.schedule(1 + delay, Event::Response { to, incarnation, correlation_id, response });
        }
    }

    fn leader_changed(&mut self, id: i32, leader: LeaderAndEpoch) {
        self.note(format!("{id} sees leader {:?} in epoch {}", leader.leader_id, leader.epoch));
        if let Some(leader_id) = leader.leader_id {
            let known = *self.leaders.entry(leader.epoch).or_insert(leader_id);
            assert_eq!(known, leader_id, "ONE-LEADER-PER-EPOCH: {}", leader.epoch);
        }
    }

    fn advance_high_watermark(&mut self, id: i32, offset: i64) {
        let node = self.nodes.get_mut(&id).expect("it exists");
        assert!(offset >= node.high_watermark, "HW-MONOTONIC: {id}");
        assert!(offset <= node.disk.end_offset(), "HW-LE-LEO: {id}");
        let before = std::mem::replace(&mut node.high_watermark, offset);
        for batch in &node.disk.batches {
            if batch.next_offset <= before || batch.next_offset > offset {
                continue;
            }
            let seen = (batch.epoch, batch.bytes.clone());
            let known = self.committed.entry(batch.base_offset).or_insert_with(|| seen.clone());
            assert_eq!(*known, seen, "COMMITTED-NEVER-LOST: node {id} at {}", batch.base_offset);
        }
    }
}
