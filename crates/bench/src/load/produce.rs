//! Produce at full speed: pre-encoded frames, a bounded number of requests in flight.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::produce_frame::{ProduceFrame, read_answer};
use super::{now_ms, topics};
use crate::batch::{Codec, Shape, Words};
use crate::client::{Client, connect};
use crate::histogram::Histogram;
use crate::wire::i32_at;

/// What to produce.
#[derive(Debug)]
struct Plan {
    address: String,
    prefix: String,
    topics: usize,
    partitions: usize,
    /// Partitions in each request.
    slots: usize,
    random: bool,
    acks: i16,
    connections: usize,
    in_flight: usize,
    duration: Duration,
    requests: u64,
    shape: Shape,
    batch: Vec<u8>,
}

/// What one connection has done.
#[derive(Debug, Default)]
struct Done {
    requests: u64,
    latency: Histogram,
}

/// `kbench produce`.
pub fn run(mut arguments: Arguments) -> Result<Value> {
    let bytes: u64 = arguments.get("bytes", u64::MAX)?;
    let requests: u64 = arguments.get("requests", u64::MAX)?;
    let batch_limit: usize = arguments.get("batch", 16_384)?;
    let value: usize = arguments.get("message", 1024)?;
    let codec = Codec::parse(&arguments.get("compression", "none".to_owned())?)?;
    let shape = match arguments.get("records", 0)? {
        0 => Shape::fitting(batch_limit, value, codec),
        records => Shape { records, value, codec },
    };
    let batch = shape.build(now_ms())?;
    let slots: usize = arguments.get("slots", 1)?;
    let plan = Plan {
        address: arguments.require("bootstrap")?,
        prefix: arguments.require("topic")?,
        topics: arguments.get("topics", 1)?,
        partitions: arguments.get("partitions", 1)?,
        slots,
        random: arguments.get("random", false)?,
        acks: arguments.get("acks", 1)?,
        connections: arguments.get("connections", 1)?,
        in_flight: arguments.get("in-flight", 5)?,
        duration: Duration::from_secs_f64(arguments.get("seconds", 3600.0)?),
        requests: requests.min((bytes / (batch.len() * slots) as u64).max(1)),
        shape,
        batch,
    };
    arguments.finish()?;
    ensure!(plan.slots <= plan.partitions, "more slots than partitions");
    plan.run()
}

impl Plan {
    fn run(&self) -> Result<Value> {
        let before = self.end_offsets()?;
        let left = AtomicU64::new(self.requests);
        let begin = Instant::now();
        let done: Vec<Done> = thread::scope(|scope| {
            let start = |number| {
                let left = &left;
                scope.spawn(move || Sender::new(self, number)?.run(begin + self.duration, left))
            };
            let threads: Vec<_> = (0..self.connections).map(start).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| anyhow!("a sender died"))?)
                .collect::<Result<_>>()
        })?;
        let seconds = begin.elapsed().as_secs_f64();
        let requests: u64 = done.iter().map(|done| done.requests).sum();
        let messages = requests * (self.slots * self.shape.records) as u64;
        let bytes = requests * (self.slots * self.batch.len()) as u64;
        if let (Some(before), Some(after)) = (before, self.end_offsets()?) {
            let grown: i64 = after.iter().sum::<i64>() - before.iter().sum::<i64>();
            ensure!(grown == messages as i64, "{messages} messages acknowledged, offsets grew by {grown}");
        }
        let mut latency = Histogram::default();
        done.iter().for_each(|done| latency.merge(&done.latency));
        Ok(json!({
            "seconds": seconds,
            "requests": requests,
            "messages": messages,
            "bytes": bytes,
            "payload_bytes": messages * self.shape.value as u64,
            "batch_bytes": self.batch.len(),
            "batch_messages": self.shape.records,
            "mb_per_s": bytes as f64 / 1e6 / seconds,
            "messages_per_s": messages as f64 / seconds,
            "request_latency": latency.json(),
        }))
    }

    /// End offsets of all partitions; left out when there are very many topics, and without answers.
    fn end_offsets(&self) -> Result<Option<Vec<i64>>> {
        if self.topics > 100 || self.acks == 0 {
            return Ok(None);
        }
        let mut client = Client::connect(&self.address)?;
        let mut all = Vec::new();
        for index in 0..self.topics {
            all.extend(client.offsets(
                &topics::name(&self.prefix, self.topics, index),
                self.partitions,
                -1,
            )?);
        }
        Ok(Some(all))
    }
}

/// One connection.
struct Sender<'a> {
    plan: &'a Plan,
    stream: TcpStream,
    frame: ProduceFrame,
    chance: Words,
    turn: usize,
    in_flight: VecDeque<Instant>,
    inbox: Vec<u8>,
    /// Base offsets must grow, partition by partition; (topics x partitions) when it is watched.
    last: Vec<i64>,
    done: Done,
}

impl<'a> Sender<'a> {
    fn new(plan: &'a Plan, number: usize) -> Result<Self> {
        let topic = topics::name(&plan.prefix, plan.topics, 0);
        Ok(Self {
            stream: connect(&plan.address)?,
            frame: ProduceFrame::new(&topic, plan.acks, plan.slots, &plan.batch),
            chance: Words(0x5DEE_CE66_D1CE_4E5B ^ ((number as u64 + 1) << 20)),
            turn: number * plan.topics * plan.partitions / plan.connections,
            in_flight: VecDeque::new(),
            inbox: Vec::new(),
            last: if plan.topics == 1 { vec![-1; plan.partitions] } else { Vec::new() },
            done: Done::default(),
            plan,
        })
    }

    fn run(mut self, end: Instant, left: &AtomicU64) -> Result<Done> {
        let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
        let mut more = true;
        while more || !self.in_flight.is_empty() {
            while more && self.in_flight.len() < self.plan.in_flight {
                more = Instant::now() < end && take();
                if more {
                    self.send()?;
                }
            }
            if !self.in_flight.is_empty() {
                self.receive()?;
            }
        }
        Ok(self.done)
    }

    fn send(&mut self) -> Result<()> {
        let Plan { topics: count, partitions, slots, .. } = *self.plan;
        if count > 1 {
            let topic =
                if self.plan.random { self.chance.below(count) } else { self.turn / partitions % count };
            self.frame.set_topic(&topics::name(&self.plan.prefix, count, topic));
        }
        let first = if self.plan.random { self.chance.below(partitions) } else { self.turn % partitions };
        // A stride keeps the partitions of one request apart from each other.
        let stride = (partitions / slots).max(1);
        for slot in 0..slots {
            self.frame.set_partition(slot, (first + slot * stride) % partitions);
        }
        self.turn += slots;
        self.in_flight.push_back(Instant::now());
        self.stream.write_all(self.frame.bytes())?;
        if self.plan.acks == 0 {
            self.in_flight.pop_front();
            self.done.requests += 1;
        }
        Ok(())
    }

    /// Reads what there is, one whole answer at least.
    fn receive(&mut self) -> Result<()> {
        let mut answered = false;
        while !answered {
            let filled = self.inbox.len();
            self.inbox.resize(filled + 16_384, 0);
            let read = self.stream.read(&mut self.inbox[filled..])?;
            ensure!(read > 0, "the server closed the connection");
            self.inbox.truncate(filled + read);
            let mut at = 0;
            while self.inbox.len() - at >= 8 {
                let length = usize::try_from(i32_at(&self.inbox, at))?;
                let Some(answer) = self.inbox.get(at + 8..at + 4 + length) else { break };
                let last = &mut self.last;
                read_answer(answer, |partition, base| {
                    if let Some(last) = last.get_mut(partition) {
                        ensure!(base > *last, "partition {partition}: offset {base} after {last}");
                        *last = base;
                    }
                    Ok(())
                })?;
                let sent = self.in_flight.pop_front().context("an answer to nothing")?;
                self.done.latency.record(sent.elapsed().as_nanos() as u64);
                self.done.requests += 1;
                answered = true;
                at += 4 + length;
            }
            self.inbox.drain(..at);
        }
        Ok(())
    }
}
