//! All members on their connections: who is due, who waits, and how long each answer took.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ottla_bench::client::connect;
use ottla_bench::histogram::Histogram;
use ottla_bench::wire::i32_at;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::member::{Member, committed, frame};
use crate::{PASSING, SETTLE, group_name};

const CONSUMER_GROUP_HEARTBEAT: (i16, i16) = (68, 1);
const OFFSET_COMMIT: (i16, i16) = (8, 9);
/// Rounds of heartbeats without any change before the groups count as settled.
const QUIET_ROUNDS: u32 = 2;
/// The rest of the answers.
const DRAIN: Duration = Duration::from_secs(30);

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

/// One connection, what it does, and what waits for it.
struct Connection {
    stream: TcpStream,
    inbox: Vec<u8>,
    now: Option<Operation>,
    queue: VecDeque<Operation>,
}

/// The whole load and its figures.
pub(crate) struct Load {
    members: Vec<Member>,
    connections: Vec<Connection>,
    pub(crate) heartbeat: Histogram,
    pub(crate) commit: Histogram,
    /// Answers with an error while it counts.
    pub(crate) refused: u64,
    counting: bool,
}

impl Load {
    /// Members that have not joined, and their connections.
    pub(crate) fn new(address: &str, groups: usize, members: usize, connections: usize) -> Result<Self> {
        let member = |number: usize| Member::new(group_name(number / members), format!("member-{number}"));
        let members = (0..groups * members).map(member).collect();
        let connection = |_| -> Result<Connection> {
            let stream = connect(address)?;
            Ok(Connection { stream, inbox: Vec::new(), now: None, queue: VecDeque::new() })
        };
        let connections = (0..connections).map(connection).collect::<Result<Vec<_>>>()?;
        let (heartbeat, commit) = (Histogram::default(), Histogram::default());
        Ok(Self { members, connections, heartbeat, commit, refused: 0, counting: false })
    }

    /// All members join, and send heartbeats until nothing changes any more.
    pub(crate) fn join(&mut self) -> Result<()> {
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
    pub(crate) fn steady(&mut self, commits: f64, seconds: f64) -> Result<f64> {
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
                Kind::Commit => frame(OFFSET_COMMIT, |w| member.commit(w)),
            };
            connection.stream.write_all(&bytes)?;
            connection.now = Some(operation);
        }
        Ok(())
    }

    /// Waits for answers and takes all that are there.
    fn receive(&mut self, timeout: Duration) -> Result<()> {
        let timeout =
            Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
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
            fds.iter()
                .enumerate()
                .filter(|(_, fd)| !fd.revents().is_empty())
                .map(|(index, _)| index)
                .collect()
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
