//! Groups of the consumer protocol (KIP-848) in great number: heartbeats at the interval that the server
//! asks for, and commits at a rate, both in an open loop: every latency counts from the intended time.
//!
//! One thread serves all connections. Each connection has at most one request under way, for a broker
//! answers the requests of a connection one after the other; what is due meanwhile waits in its queue.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ottla_bench::client::{Client, NewTopic, connect};
use ottla_bench::histogram::Histogram;
use ottla_bench::load::arguments::Arguments;
use ottla_bench::wire::{Reader, Writer, i32_at};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

const TOPIC: &str = "kgroups";
const CONSUMER_GROUP_HEARTBEAT: (i16, i16) = (68, 1);
const OFFSET_COMMIT: (i16, i16) = (8, 9);
const FIND_COORDINATOR: (i16, i16) = (10, 1);
const REBALANCE_MS: i32 = 60_000;
/// Errors that pass while a coordinator settles.
const PASSING: &[i16] = &[14, 15, 16];
const SETTLE: Duration = Duration::from_secs(120);
/// Rounds of heartbeats without any change before a group counts as settled.
const QUIET_ROUNDS: u32 = 2;
/// The rest of the answers.
const DRAIN: Duration = Duration::from_secs(30);

/// `kgroups`.
pub(crate) fn run(mut arguments: Arguments) -> Result<Value> {
    let address = arguments.require("bootstrap")?;
    let groups: usize = arguments.get("groups", 1000)?;
    let members: usize = arguments.get("members", 10)?;
    let connections: usize = arguments.get("connections", 200)?;
    let commits: f64 = arguments.get("commits", 10_000.0)?;
    let seconds: f64 = arguments.get("seconds", 10.0)?;
    arguments.finish()?;
    ensure!(groups > 0 && members > 0 && connections > 0, "nothing to do");
    let mut client = Client::connect(&address)?;
    client.create_topic(&NewTopic { name: TOPIC, partitions: members, configs: &[], replicas: 1 })?;
    client.await_leaders(TOPIC, members)?;
    for group in 0..groups {
        find_coordinator(&mut client, &group_name(group))?;
    }
    let mut load = Load::new(&address, groups, members, connections)?;
    let begin = Instant::now();
    load.join()?;
    let join_seconds = begin.elapsed().as_secs_f64();
    println!("joined");
    std::io::stdout().flush()?;
    let elapsed = load.steady(commits, seconds)?;
    Ok(json!({
        "groups": groups,
        "members": groups * members,
        "join_seconds": join_seconds,
        "seconds": elapsed,
        "heartbeat": load.heartbeat.json(),
        "commit": load.commit.json(),
        "commits_per_s": load.commit.len() as f64 / elapsed,
        "refused": load.refused,
    }))
}

fn group_name(group: usize) -> String {
    format!("kgroups-{group}")
}

fn find_coordinator(client: &mut Client, group: &str) -> Result<()> {
    let end = Instant::now() + SETTLE;
    loop {
        let answer = client.call(FIND_COORDINATOR, |w| {
            w.string(group).i8(0);
        })?;
        let mut answer = Reader::new(&answer);
        answer.i32()?;
        match answer.i16()? {
            0 => return Ok(()),
            error if PASSING.contains(&error) && Instant::now() < end => thread::sleep(Duration::from_millis(5)),
            error => bail!("FindCoordinator of {group} answered {error}"),
        }
    }
}

/// What a member is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Heartbeat,
    Commit,
}

#[derive(Debug, Clone, Copy)]
struct Operation {
    kind: Kind,
    member: usize,
    intended: Instant,
}

/// A member of a group and what the server told it last.
#[derive(Debug)]
struct Member {
    group: String,
    id: String,
    epoch: i32,
    interval_ms: i32,
    owned: Vec<([u8; 16], Vec<i32>)>,
    offset: i64,
    /// Whether its last heartbeat changed anything.
    changed: bool,
}

impl Member {
    fn heartbeat(&self, w: &mut Writer) {
        compact(w, &self.group);
        compact(w, &self.id);
        w.i32(self.epoch);
        uvarint(w, 0);
        uvarint(w, 0);
        if self.epoch == 0 {
            w.i32(REBALANCE_MS);
            uvarint(w, 2);
            compact(w, TOPIC);
        } else {
            w.i32(-1);
            uvarint(w, 0);
        }
        // No pattern, no assignor.
        uvarint(w, 0);
        uvarint(w, 0);
        uvarint(w, self.owned.len() as u32 + 1);
        for (topic, partitions) in &self.owned {
            w.0.extend(topic);
            uvarint(w, partitions.len() as u32 + 1);
            for partition in partitions {
                w.i32(*partition);
            }
            uvarint(w, 0);
        }
        uvarint(w, 0);
    }

    fn commit(&self, w: &mut Writer) {
        compact(w, &self.group);
        w.i32(self.epoch);
        compact(w, &self.id);
        uvarint(w, 0);
        uvarint(w, 2);
        compact(w, TOPIC);
        uvarint(w, 2);
        w.i32(self.owned.first().and_then(|(_, partitions)| partitions.first()).copied().unwrap_or(0));
        w.i64(self.offset).i32(-1);
        compact(w, "");
        uvarint(w, 0);
        uvarint(w, 0);
        uvarint(w, 0);
    }

    /// The error of a heartbeat.
    fn beaten(&mut self, answer: &[u8]) -> Result<i16> {
        let mut r = Reader::new(answer);
        skip_tags(&mut r)?;
        r.i32()?;
        let error = r.i16()?;
        skip_compact(&mut r)?;
        skip_compact(&mut r)?;
        if error != 0 {
            return Ok(error);
        }
        let epoch = r.i32()?;
        self.interval_ms = r.i32()?;
        self.changed = epoch != self.epoch;
        self.epoch = epoch;
        // A struct that may be missing begins with 1 or -1.
        if r.i8()? == 1 {
            let mut owned = Vec::new();
            for _ in 1..read_uvarint(&mut r)?.max(1) {
                let topic: [u8; 16] = r.take(16)?.try_into()?;
                let mut partitions = Vec::new();
                for _ in 1..read_uvarint(&mut r)?.max(1) {
                    partitions.push(r.i32()?);
                }
                skip_tags(&mut r)?;
                owned.push((topic, partitions));
            }
            self.changed |= owned != self.owned;
            self.owned = owned;
        }
        Ok(0)
    }
}

/// The error of the one partition of a commit.
fn committed(answer: &[u8]) -> Result<i16> {
    let mut r = Reader::new(answer);
    skip_tags(&mut r)?;
    r.i32()?;
    ensure!(read_uvarint(&mut r)? == 2, "OffsetCommit answered other than one topic");
    skip_compact(&mut r)?;
    ensure!(read_uvarint(&mut r)? == 2, "OffsetCommit answered other than one partition");
    r.i32()?;
    r.i16()
}

fn uvarint(w: &mut Writer, value: u32) {
    let mut left = value;
    while left >= 0x80 {
        w.0.push(left as u8 | 0x80);
        left >>= 7;
    }
    w.0.push(left as u8);
}

fn compact(w: &mut Writer, value: &str) {
    uvarint(w, value.len() as u32 + 1);
    w.0.extend(value.as_bytes());
}

fn read_uvarint(r: &mut Reader<'_>) -> Result<u32> {
    let mut value = 0;
    for step in 0..5 {
        let byte = u32::from(r.i8()? as u8);
        value |= (byte & 0x7f) << (7 * step);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("a number of more than five bytes")
}

fn skip_compact(r: &mut Reader<'_>) -> Result<()> {
    let length = read_uvarint(r)?.saturating_sub(1);
    r.take(length as usize).map(drop)
}

fn skip_tags(r: &mut Reader<'_>) -> Result<()> {
    for _ in 0..read_uvarint(r)? {
        read_uvarint(r)?;
        let length = read_uvarint(r)?;
        r.take(length as usize)?;
    }
    Ok(())
}

/// A frame with a version 2 header.
fn frame(api: (i16, i16), body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut frame = Writer::default();
    frame.i32(0).i16(api.0).i16(api.1).i32(1).string("kgroups");
    uvarint(&mut frame, 0);
    body(&mut frame);
    let length = i32::try_from(frame.0.len() - 4).unwrap_or(i32::MAX);
    frame.0[..4].copy_from_slice(&length.to_be_bytes());
    frame.0
}

/// One connection, what it does, and what waits for it.
struct Connection {
    stream: TcpStream,
    inbox: Vec<u8>,
    now: Option<Operation>,
    queue: VecDeque<Operation>,
}

struct Load {
    members: Vec<Member>,
    connections: Vec<Connection>,
    heartbeat: Histogram,
    commit: Histogram,
    refused: u64,
    counting: bool,
}

impl Load {
    fn new(address: &str, groups: usize, members: usize, connections: usize) -> Result<Self> {
        let member = |number: usize| Member {
            group: group_name(number / members),
            id: format!("member-{number}"),
            epoch: 0,
            interval_ms: 5000,
            owned: Vec::new(),
            offset: 0,
            changed: true,
        };
        let members = (0..groups * members).map(member).collect();
        let connection = |_| {
            let stream = connect(address)?;
            Ok(Connection { stream, inbox: Vec::new(), now: None, queue: VecDeque::new() })
        };
        let connections = (0..connections).map(connection).collect::<Result<Vec<_>>>()?;
        let (heartbeat, commit) = (Histogram::default(), Histogram::default());
        Ok(Self { members, connections, heartbeat, commit, refused: 0, counting: false })
    }

    /// All members join, and send heartbeats until nothing changes any more.
    fn join(&mut self) -> Result<()> {
        let end = Instant::now() + SETTLE;
        let mut quiet = 0;
        while quiet < QUIET_ROUNDS {
            ensure!(Instant::now() < end, "the groups do not settle within {SETTLE:?}");
            self.members.iter_mut().for_each(|member| member.changed = false);
            for member in 0..self.members.len() {
                self.queue(Operation { kind: Kind::Heartbeat, member, intended: Instant::now() });
            }
            while !self.idle() {
                self.send()?;
                self.receive(Duration::from_millis(100))?;
            }
            let settled = self.members.iter().all(|m| !m.changed && m.epoch > 0 && !m.owned.is_empty());
            quiet = if settled { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    /// Heartbeats and commits at their times; gives the seconds that it took.
    fn steady(&mut self, commits: f64, seconds: f64) -> Result<f64> {
        self.counting = true;
        let interval = self.members.first().map_or(5000, |member| member.interval_ms.max(1));
        let beats = self.members.len() as f64 * 1000.0 / f64::from(interval);
        let begin = Instant::now();
        let at = |number: u64, rate: f64| begin + Duration::from_secs_f64(number as f64 / rate);
        let (mut beat, mut commit) = (0_u64, 0_u64);
        let (all_beats, all_commits) = ((beats * seconds) as u64, (commits * seconds) as u64);
        let last = begin + Duration::from_secs_f64(seconds) + DRAIN;
        loop {
            let now = Instant::now();
            while beat < all_beats && at(beat, beats) <= now {
                let member = beat as usize % self.members.len();
                self.queue(Operation { kind: Kind::Heartbeat, member, intended: at(beat, beats) });
                beat += 1;
            }
            while commit < all_commits && at(commit, commits) <= now {
                let member = commit as usize % self.members.len();
                self.queue(Operation { kind: Kind::Commit, member, intended: at(commit, commits) });
                commit += 1;
            }
            self.send()?;
            if beat == all_beats && commit == all_commits && self.idle() {
                return Ok(begin.elapsed().as_secs_f64());
            }
            ensure!(now < last, "answers are still missing {DRAIN:?} after the end");
            let mut next = last;
            if beat < all_beats {
                next = next.min(at(beat, beats));
            }
            if commit < all_commits {
                next = next.min(at(commit, commits));
            }
            self.receive(next.saturating_duration_since(Instant::now()))?;
        }
    }

    fn queue(&mut self, operation: Operation) {
        // A member keeps to its connection.
        let connection = operation.member % self.connections.len();
        self.connections[connection].queue.push_back(operation);
    }

    fn idle(&self) -> bool {
        self.connections.iter().all(|connection| connection.now.is_none() && connection.queue.is_empty())
    }

    /// Whatever has nothing under way sends what waits longest.
    fn send(&mut self) -> Result<()> {
        for connection in &mut self.connections {
            if connection.now.is_some() {
                continue;
            }
            let Some(operation) = connection.queue.pop_front() else { continue };
            let member = &mut self.members[operation.member];
            let bytes = match operation.kind {
                Kind::Heartbeat => frame(CONSUMER_GROUP_HEARTBEAT, |w| member.heartbeat(w)),
                Kind::Commit => {
                    member.offset += 1;
                    frame(OFFSET_COMMIT, |w| member.commit(w))
                }
            };
            connection.stream.write_all(&bytes)?;
            connection.now = Some(operation);
        }
        Ok(())
    }

    /// Waits for answers and takes all that are there.
    fn receive(&mut self, timeout: Duration) -> Result<()> {
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
        let ready: Vec<usize> = {
            let mut fds: Vec<PollFd<'_>> = self
                .connections
                .iter()
                .map(|connection| PollFd::new(&connection.stream, PollFlags::IN))
                .collect();
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            fds.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty()).map(|(index, _)| index).collect()
        };
        for index in ready {
            let connection = &mut self.connections[index];
            let Some(answer) = read(connection)? else { continue };
            let operation = connection.now.take().context("an answer to nothing")?;
            self.take(operation, &answer)?;
        }
        Ok(())
    }

    fn take(&mut self, operation: Operation, answer: &[u8]) -> Result<()> {
        let late = operation.intended.elapsed().as_nanos() as u64;
        let (error, histogram) = match operation.kind {
            Kind::Heartbeat => (self.members[operation.member].beaten(answer)?, &mut self.heartbeat),
            Kind::Commit => (committed(answer)?, &mut self.commit),
        };
        if error == 0 && self.counting {
            histogram.record(late);
        } else if error != 0 && self.counting {
            self.refused += 1;
        } else if PASSING.contains(&error) {
            self.queue(operation);
        } else if error != 0 {
            bail!("{:?} of {} answered {error}", operation.kind, self.members[operation.member].id);
        }
        Ok(())
    }
}

/// Reads what there is; the answer without length and correlation id once it is whole.
fn read(connection: &mut Connection) -> Result<Option<Vec<u8>>> {
    let mut buffer = [0; 16_384];
    let count = connection.stream.read(&mut buffer)?;
    ensure!(count > 0, "the server closed the connection");
    connection.inbox.extend(&buffer[..count]);
    if connection.inbox.len() < 8 {
        return Ok(None);
    }
    let length = usize::try_from(i32_at(&connection.inbox, 0))?;
    let Some(answer) = connection.inbox.get(8..4 + length) else { return Ok(None) };
    let answer = answer.to_vec();
    connection.inbox.drain(..4 + length);
    Ok(Some(answer))
}
