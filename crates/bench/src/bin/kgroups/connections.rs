//! Connections that one thread serves: each has at most one request under way, for a broker answers the
//! requests of a connection one after the other.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ottla_bench::client::Client;
use ottla_bench::wire::i32_at;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// What a member is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Heartbeat,
    Commit,
}

/// A request and when it should be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) kind: Kind,
    pub(crate) member: usize,
    pub(crate) intended: Instant,
}

/// One connection, what is under way on it, and what waits for it.
struct Connection {
    stream: TcpStream,
    inbox: Vec<u8>,
    now: Option<Operation>,
    queue: VecDeque<Operation>,
}

/// All connections. Members are dealt out to them.
pub(crate) struct Connections {
    all: Vec<Connection>,
    epoll: OwnedFd,
    events: Vec<Event>,
    /// Requests under way or waiting.
    open: usize,
}

impl Connections {
    /// Connects so many times.
    pub(crate) fn new(address: &str, count: usize) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut all = Vec::with_capacity(count);
        for index in 0..count {
            // As clients do, which also keeps to the pace of the server: it has room for a few callers only.
            let mut client = Client::connect(address)?;
            client.api_versions()?;
            let stream = client.into_stream();
            epoll::add(&epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            all.push(Connection { stream, inbox: Vec::new(), now: None, queue: VecDeque::new() });
        }
        Ok(Self { all, epoll, events: Vec::with_capacity(256), open: 0 })
    }

    /// Whether every request is answered.
    pub(crate) fn idle(&self) -> bool {
        self.open == 0
    }

    /// Sends a request, or lets it wait for the one before it.
    pub(crate) fn begin(
        &mut self,
        operation: Operation,
        write: impl FnOnce(Operation) -> Vec<u8>,
    ) -> Result<()> {
        // A member keeps to its connection.
        let at = operation.member % self.all.len();
        self.open += 1;
        let connection = &mut self.all[at];
        if connection.now.is_some() {
            connection.queue.push_back(operation);
            return Ok(());
        }
        connection.send(operation, write)
    }

    /// Waits for answers, and takes those that came: their requests and their bytes.
    pub(crate) fn receive(
        &mut self,
        timeout: Duration,
        answers: &mut Vec<(Operation, Vec<u8>)>,
    ) -> Result<()> {
        // Waiting for events itself knows milliseconds only, and a request is due every hundred microseconds.
        let timeout =
            Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
        interruptible(poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&timeout)))?;
        self.events.clear();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        interruptible(epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&now)))?;
        for event in &self.events {
            let connection = &mut self.all[event.data.u64() as usize];
            if let Some(answer) = connection.read()? {
                let operation = connection.now.take().context("an answer to nothing")?;
                self.open -= 1;
                answers.push((operation, answer));
            }
        }
        Ok(())
    }

    /// Sends what waited for the answer that this member just got.
    pub(crate) fn proceed(&mut self, member: usize, write: impl FnOnce(Operation) -> Vec<u8>) -> Result<()> {
        let at = member % self.all.len();
        let connection = &mut self.all[at];
        match connection.queue.pop_front() {
            Some(operation) if connection.now.is_none() => connection.send(operation, write),
            Some(operation) => {
                connection.queue.push_front(operation);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Connection {
    fn send(&mut self, operation: Operation, write: impl FnOnce(Operation) -> Vec<u8>) -> Result<()> {
        self.stream.write_all(&write(operation))?;
        self.now = Some(operation);
        Ok(())
    }

    /// Reads what there is; the answer without length and correlation id once it is whole.
    fn read(&mut self) -> Result<Option<Vec<u8>>> {
        let mut buffer = [0; 16_384];
        let count = self.stream.read(&mut buffer)?;
        ensure!(count > 0, "the server closed the connection");
        self.inbox.extend(&buffer[..count]);
        if self.inbox.len() < 8 {
            return Ok(None);
        }
        let length = usize::try_from(i32_at(&self.inbox, 0))?;
        let Some(answer) = self.inbox.get(8..4 + length) else { return Ok(None) };
        let answer = answer.to_vec();
        self.inbox.drain(..4 + length);
        Ok(Some(answer))
    }
}

fn interruptible(waited: rustix::io::Result<usize>) -> Result<()> {
    match waited {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
