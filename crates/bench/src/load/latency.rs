//! Open loop: messages have an intended time of sending, and every latency counts from it.
//!
//! One thread waits for the next message, for acknowledgements and for a long-polling consumer at
//! once, so that the generator itself causes as few wake-ups as it can. A message that is due while
//! all requests are in flight waits and goes with the next batch of its partition, as in a client.
//!
//! A thread that sleeps until the intended time is late by a wake-up of its processor, 30 to 70 µs on a
//! virtual machine, which every broker's latency would then contain. At rates that leave room for it the
//! thread wakes earlier and looks at the clock and its sockets until the time has come.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::consume::last_offset;
use super::now_ms;
use super::produce_frame::{ProduceFrame, read_answer};
use crate::batch::{Codec, Shape};
use crate::client::{Client, connect};
use crate::histogram::Histogram;
use crate::wire::{Reader, api, i32_at, request};

/// Messages that one batch may gather.
const GATHER_MAX: usize = 64;
/// So much earlier the thread wakes up before a message is due.
const EARLY: Duration = Duration::from_micros(100);
/// Messages that are less far apart leave no room for waking up early: the server needs the processors.
const EARLY_INTERVAL_MIN: Duration = Duration::from_micros(400);
/// How long the end of a run may take to bring what is still missing.
const DRAIN: Duration = Duration::from_secs(30);

/// `kbench latency`.
pub fn run(mut arguments: Arguments) -> Result<Value> {
    let address = arguments.require("bootstrap")?;
    let topic = arguments.require("topic")?;
    let partitions: usize = arguments.get("partitions", 1)?;
    let rate: f64 = arguments.get("rate", 1000.0)?;
    let seconds: f64 = arguments.get("seconds", 6.0)?;
    // Messages of this first time are not counted.
    let warm_seconds: f64 = arguments.get("warm-seconds", 1.0)?;
    let value: usize = arguments.get("message", 1024)?;
    let records: usize = arguments.get("records", 1)?;
    let in_flight: usize = arguments.get("in-flight", 5)?;
    let acks: i16 = arguments.get("acks", 1)?;
    let consume: bool = arguments.get("consume", true)?;
    arguments.finish()?;
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let mut client = Client::connect(&address)?;
    let starts = client.offsets(&topic, partitions, -1)?;
    let gather = if records == 1 { GATHER_MAX } else { 1 };
    let frames = (1..=gather)
        .map(|n| {
            let shape = Shape { records: n * records, value, codec: Codec::None };
            Ok(ProduceFrame::new(&topic, acks, 1, &shape.build(now_ms())?))
        })
        .collect::<Result<Vec<_>>>()?;
    let mut consumer = TailReader::new(&address, &topic, &starts)?;
    if consume {
        consumer.ask()?;
    }
    let interval = Duration::from_secs_f64(records as f64 / rate);
    let warm = (warm_seconds * rate / records as f64) as u64;
    let mut run = OpenLoop {
        producer: connect(&address)?,
        inbox: Vec::new(),
        frames,
        records,
        limit: in_flight,
        in_flight: VecDeque::new(),
        waiting: (0..partitions).map(|_| VecDeque::new()).collect(),
        unread: (0..partitions).map(|_| VecDeque::new()).collect(),
        ready: VecDeque::new(),
        sent: 0,
        warm,
        total: warm + (seconds * rate / records as f64) as u64,
        interval,
        begin: Instant::now() + Duration::from_millis(20),
        consume: consume.then_some(consumer),
        ack: Histogram::default(),
        end_to_end: Histogram::default(),
        late: Histogram::default(),
        requests: 0,
        first_counted: None,
    };
    run.go()?;
    // The first connection was idle as long as the load took, which may be longer than servers put up with.
    let mut client = Client::connect(&address)?;
    let grown: i64 = client.offsets(&topic, partitions, -1)?.iter().sum::<i64>() - starts.iter().sum::<i64>();
    ensure!(grown as u64 == run.total * records as u64, "{} sent, offsets grew by {grown}", run.total);
    Ok(json!({
        "rate": rate,
        "messages": run.total * records as u64,
        "requests": run.requests,
        "seconds": run.begin.elapsed().as_secs_f64(),
        "ack": run.ack.json(),
        "end_to_end": run.end_to_end.json(),
        "generator_late": run.late.json(),
    }))
}

struct OpenLoop {
    producer: TcpStream,
    inbox: Vec<u8>,
    /// Frames of 1, 2, ... messages.
    frames: Vec<ProduceFrame>,
    records: usize,
    limit: usize,
    /// Partition and the messages in each request.
    in_flight: VecDeque<Vec<u64>>,
    /// Messages that are due and not sent, by partition.
    waiting: Vec<VecDeque<u64>>,
    /// Messages that the consumer has not seen, by partition.
    unread: Vec<VecDeque<u64>>,
    /// Partitions with waiting messages, the longest waiting first.
    ready: VecDeque<usize>,
    sent: u64,
    warm: u64,
    total: u64,
    interval: Duration,
    begin: Instant,
    consume: Option<TailReader>,
    ack: Histogram,
    end_to_end: Histogram,
    late: Histogram,
    requests: u64,
    first_counted: Option<Instant>,
}

impl OpenLoop {
    fn intended(&self, message: u64) -> Instant {
        self.begin + Duration::from_nanos((self.interval.as_nanos() * u128::from(message)) as u64)
    }

    fn go(&mut self) -> Result<()> {
        let last = self.intended(self.total) + DRAIN;
        loop {
            self.due()?;
            self.send()?;
            let unread = self.consume.is_some() && self.unread.iter().any(|unread| !unread.is_empty());
            if self.sent == self.total && self.in_flight.is_empty() && self.ready.is_empty() && !unread {
                return Ok(());
            }
            let now = Instant::now();
            ensure!(now < last, "answers are still missing {DRAIN:?} after the end");
            let next = if self.sent < self.total { self.intended(self.sent) } else { last };
            let early = if self.interval < EARLY_INTERVAL_MIN { Duration::ZERO } else { EARLY };
            self.wait(next.saturating_duration_since(now).saturating_sub(early))?;
        }
    }

    /// Queues every message whose time has come.
    fn due(&mut self) -> Result<()> {
        let now = Instant::now();
        while self.sent < self.total && self.intended(self.sent) <= now {
            let message = self.sent;
            let partition = (message % self.waiting.len() as u64) as usize;
            if message >= self.warm {
                self.first_counted.get_or_insert(now);
                self.late.record((now - self.intended(message)).as_nanos() as u64);
            }
            if self.waiting[partition].is_empty() {
                self.ready.push_back(partition);
            }
            self.waiting[partition].push_back(message);
            self.sent += 1;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        while self.in_flight.len() < self.limit {
            let Some(partition) = self.ready.pop_front() else { return Ok(()) };
            let waiting = &mut self.waiting[partition];
            let count = waiting.len().min(self.frames.len());
            let messages: Vec<u64> = waiting.drain(..count).collect();
            if !waiting.is_empty() {
                self.ready.push_back(partition);
            }
            let frame = &mut self.frames[count - 1];
            frame.set_partition(0, partition);
            self.producer.write_all(frame.bytes())?;
            self.requests += 1;
            self.unread[partition].extend(&messages);
            self.in_flight.push_back(messages);
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Duration) -> Result<()> {
        let timeout =
            Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
        let (acknowledged, arrived) = {
            let mut fds = vec![PollFd::new(&self.producer, PollFlags::IN)];
            if let Some(consumer) = &self.consume {
                fds.push(PollFd::new(&consumer.stream, PollFlags::IN));
            }
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            (!fds[0].revents().is_empty(), fds.get(1).is_some_and(|fd| !fd.revents().is_empty()))
        };
        if acknowledged {
            self.acknowledge()?;
        }
        if arrived {
            self.read_records()?;
        }
        Ok(())
    }

    fn acknowledge(&mut self) -> Result<()> {
        let answers = read_some(&mut self.producer, &mut self.inbox)?;
        let now = Instant::now();
        for answer in answers {
            read_answer(&answer, |_, _| Ok(()))?;
            let messages = self.in_flight.pop_front().context("an answer to nothing")?;
            for message in messages.into_iter().filter(|message| *message >= self.warm) {
                let latency = now.saturating_duration_since(self.intended(message));
                self.ack.record(latency.as_nanos() as u64);
            }
        }
        Ok(())
    }

    fn read_records(&mut self) -> Result<()> {
        let Some(consumer) = &mut self.consume else { return Ok(()) };
        let answers = read_some(&mut consumer.stream, &mut consumer.inbox)?;
        let now = Instant::now();
        let mut seen = Vec::new();
        for answer in &answers {
            consumer.take(answer, |partition, count| seen.push((partition, count)))?;
            consumer.ask()?;
        }
        for (partition, count) in seen {
            for _ in 0..count / self.records as i64 {
                let message = self.unread[partition].pop_front().context("a message that nobody sent")?;
                if message >= self.warm {
                    let latency = now.saturating_duration_since(self.intended(message));
                    self.end_to_end.record(latency.as_nanos() as u64);
                }
            }
        }
        Ok(())
    }
}

/// A consumer that always waits at the end of every partition.
struct TailReader {
    stream: TcpStream,
    topic: String,
    next: Vec<i64>,
    inbox: Vec<u8>,
}

impl TailReader {
    fn new(address: &str, topic: &str, starts: &[i64]) -> Result<Self> {
        let stream = connect(address)?;
        Ok(Self { stream, topic: topic.to_owned(), next: starts.to_vec(), inbox: Vec::new() })
    }

    fn ask(&mut self) -> Result<()> {
        let frame = request(api::FETCH, 1, |w| {
            w.i32(-1).i32(500).i32(1).i32(16 << 20).i8(0).i32(1).string(&self.topic).count(self.next.len());
            for (partition, offset) in self.next.iter().enumerate() {
                w.i32(partition as i32).i64(*offset).i32(1 << 20);
            }
        });
        self.stream.write_all(&frame)?;
        Ok(())
    }

    fn take(&mut self, answer: &[u8], mut each: impl FnMut(usize, i64)) -> Result<()> {
        let mut reader = Reader::new(answer);
        reader.i32()?;
        reader.list(|a| {
            a.string()?;
            a.list(|a| {
                let (partition, error) = (usize::try_from(a.i32()?)?, a.i16()?);
                ensure!(error == 0, "Fetch of partition {partition} answered {error}");
                a.take(16)?;
                a.list(|a| a.take(16))?;
                let next = self.next.get_mut(partition).context("nobody asked for this partition")?;
                if let Some(after) = last_offset(a.bytes()?)? {
                    ensure!(after > *next, "partition {partition}: {after} after {next}");
                    each(partition, after - *next);
                    *next = after;
                }
                Ok(())
            })?;
            Ok(())
        })?;
        Ok(())
    }
}

/// Reads what there is and returns the whole answers without their correlation ids.
fn read_some(stream: &mut TcpStream, inbox: &mut Vec<u8>) -> Result<Vec<Vec<u8>>> {
    let filled = inbox.len();
    inbox.resize(filled + 65_536, 0);
    let read = stream.read(&mut inbox[filled..])?;
    ensure!(read > 0, "the server closed the connection");
    inbox.truncate(filled + read);
    let mut answers = Vec::new();
    let mut at = 0;
    while inbox.len() - at >= 8 {
        let length = usize::try_from(i32_at(inbox, at))?;
        let Some(answer) = inbox.get(at + 8..at + 4 + length) else { break };
        answers.push(answer.to_vec());
        at += 4 + length;
    }
    inbox.drain(..at);
    Ok(answers)
}
