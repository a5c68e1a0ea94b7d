//! Consume from the first to the last offset: discarding in the kernel, copying, or checking everything.

use std::net::TcpStream;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, recv};
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::topics;
use crate::batch::{Header, checksum_holds};
use crate::client::{Client, connect};
use crate::wire::{Reader, api, i32_at, i64_at, request};

/// Bytes of a partition in an answer before its records, when no transaction was aborted.
const PARTITION_HEADER: usize = 30;

/// Empty answers in a row before the end of a partition that are an error.
const EMPTY_MAX: usize = 60;

/// What becomes of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// They never leave the kernel; batches must all have the shape of the first.
    Discard,
    /// They are copied, and the headers of batches walked.
    Copy,
    /// Checksums and the continuity of offsets are checked, too.
    Verify,
}

impl FromStr for Mode {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "discard" => Ok(Self::Discard),
            "copy" => Ok(Self::Copy),
            "verify" => Ok(Self::Verify),
            other => bail!("unknown mode {other}; known: discard, copy, verify"),
        }
    }
}

#[derive(Debug)]
struct Plan {
    address: String,
    topic: String,
    max_bytes: usize,
    mode: Mode,
    /// Where each partition starts and ends.
    ranges: Vec<(i64, i64)>,
    duration: Duration,
    loops: usize,
    /// Bytes a second of each consumer at most.
    pace: f64,
}

#[derive(Debug, Default)]
struct Done {
    fetches: u64,
    bytes: u64,
    messages: u64,
}

/// `kbench consume`: each connection reads all partitions, as each group would.
pub fn run(mut arguments: Arguments) -> Result<Value> {
    let address = arguments.require("bootstrap")?;
    let prefix = arguments.require("topic")?;
    let count: usize = arguments.get("topics", 1)?;
    let partitions: usize = arguments.get("partitions", 1)?;
    let connections: usize = arguments.get("connections", 1)?;
    let max_bytes: usize = arguments.get("max-bytes", 1 << 20)?;
    let mode: Mode = arguments.get("mode", Mode::Discard)?;
    let duration = Duration::from_secs_f64(arguments.get("seconds", 3600.0)?);
    let loops: usize = arguments.get("loops", 1)?;
    let pace = arguments.get("mb-per-s", f64::INFINITY)? * 1e6;
    arguments.finish()?;
    let begin = Instant::now();
    let mut all = Done::default();
    for index in 0..count {
        let topic = topics::name(&prefix, count, index);
        let mut client = Client::connect(&address)?;
        let first = client.offsets(&topic, partitions, -2)?;
        let last = client.offsets(&topic, partitions, -1)?;
        let ranges = first.into_iter().zip(last).collect();
        let plan = Plan { address: address.clone(), topic, max_bytes, mode, ranges, duration, loops, pace };
        for done in plan.run(connections)? {
            all.fetches += done.fetches;
            all.bytes += done.bytes;
            all.messages += done.messages;
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    Ok(json!({
        "seconds": seconds,
        "fetches": all.fetches,
        "bytes": all.bytes,
        "messages": all.messages,
        "mb_per_s": all.bytes as f64 / 1e6 / seconds,
        "verified": mode == Mode::Verify,
    }))
}

impl Plan {
    fn run(&self, connections: usize) -> Result<Vec<Done>> {
        thread::scope(|scope| {
            let start = |_| scope.spawn(|| Consumer::new(self)?.run());
            let threads: Vec<_> = (0..connections).map(start).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a consumer died"))?).collect()
        })
    }
}

struct Consumer<'a> {
    plan: &'a Plan,
    stream: TcpStream,
    /// Partition and next offset, of those that are not at their end.
    left: Vec<(usize, i64)>,
    /// Bytes and records of every batch, when they are all alike.
    alike: Option<(usize, i64)>,
    buffer: Vec<u8>,
    /// Gives the kernel a length to throw away; it never writes to it.
    nowhere: Vec<u8>,
    done: Done,
}

impl<'a> Consumer<'a> {
    fn new(plan: &'a Plan) -> Result<Self> {
        Ok(Self {
            plan,
            stream: connect(&plan.address)?,
            left: Vec::new(),
            alike: None,
            buffer: Vec::new(),
            nowhere: vec![0; 1 << 20],
            done: Done::default(),
        })
    }

    fn run(mut self) -> Result<Done> {
        let begin = Instant::now();
        let end = begin + self.plan.duration;
        let mut empty = 0;
        for _ in 0..self.plan.loops {
            let ranges = self.plan.ranges.iter().enumerate();
            self.left =
                ranges.filter(|(_, (first, last))| first < last).map(|(p, (first, _))| (p, *first)).collect();
            while !self.left.is_empty() && Instant::now() < end {
                let due = Duration::from_secs_f64(self.done.bytes as f64 / self.plan.pace);
                thread::sleep(due.saturating_sub(begin.elapsed()));
                let before = self.done.messages;
                self.fetch()?;
                // A loaded server may answer late with nothing, but not for ever.
                empty = if self.done.messages > before { 0 } else { empty + 1 };
                ensure!(empty < EMPTY_MAX, "fetches at {:?} bring nothing", self.left.first());
                let ends = &self.plan.ranges;
                self.left.retain(|(partition, next)| *next < ends[*partition].1);
                // Whoever was first in this request is last in the next, as in Kafka's consumer.
                if !self.left.is_empty() {
                    self.left.rotate_left(1);
                }
            }
        }
        Ok(self.done)
    }

    fn fetch(&mut self) -> Result<()> {
        let max = i32::try_from(self.plan.max_bytes)?;
        let frame = request(api::FETCH, 1, |w| {
            w.i32(-1).i32(500).i32(1).i32(max).i8(0).i32(1).string(&self.plan.topic).count(self.left.len());
            for (partition, offset) in &self.left {
                w.i32(*partition as i32).i64(*offset).i32(max);
            }
        });
        std::io::Write::write_all(&mut self.stream, &frame)?;
        self.done.fetches += 1;
        let discard = self.plan.mode == Mode::Discard && self.alike.is_some();
        if discard { self.discard_answer() } else { self.read_answer() }
    }

    /// Reads only headers; records are thrown away in the kernel.
    fn discard_answer(&mut self) -> Result<()> {
        let (size, records) = self.alike.unwrap_or((1, 0));
        let prefix = 16 + 2 + self.plan.topic.len() + 4;
        self.exact(prefix + PARTITION_HEADER)?;
        let partitions = i32_at(&self.buffer, prefix - 4);
        for number in 0..partitions {
            let at = if number == 0 {
                prefix
            } else {
                self.exact(PARTITION_HEADER)?;
                0
            };
            let header = &self.buffer[at..];
            let (partition, error) = (i32_at(header, 0), i32_at(header, 2) as i16);
            let length = usize::try_from(i32_at(header, 26)).unwrap_or(0);
            ensure!(error == 0, "Fetch of partition {partition} answered {error}");
            ensure!(i32_at(header, 22) <= 0, "aborted transactions where none are");
            self.throw_away(length)?;
            let whole = length / size;
            self.advance(partition, whole as i64 * records, whole * size)?;
        }
        Ok(())
    }

    fn read_answer(&mut self) -> Result<()> {
        self.exact(4)?;
        let length = usize::try_from(i32_at(&self.buffer, 0))?;
        ensure!(length < 1 << 28, "an answer of {length} bytes");
        self.exact(length)?;
        let answer = std::mem::take(&mut self.buffer);
        let mut reader = Reader::new(&answer);
        reader.take(8)?;
        reader.list(|a| {
            a.string()?;
            a.list(|a| {
                let (partition, error) = (a.i32()?, a.i16()?);
                ensure!(error == 0, "Fetch of partition {partition} answered {error}");
                a.take(16)?;
                a.list(|a| a.take(16))?;
                self.walk(partition, a.bytes()?)
            })?;
            Ok(())
        })?;
        self.buffer = answer;
        Ok(())
    }

    fn walk(&mut self, partition: i32, mut records: &[u8]) -> Result<()> {
        while let Some(header) = Header::read(records)? {
            let Some(batch) = records.get(..header.size) else { break };
            let next = self.next(partition)?;
            if self.plan.mode == Mode::Verify {
                follows(&header, batch, next).with_context(|| format!("partition {partition}"))?;
            }
            self.alike = Some((header.size, header.next_offset - header.base_offset));
            self.advance(partition, header.next_offset - next, header.size)?;
            records = &records[header.size..];
        }
        Ok(())
    }

    fn next(&self, partition: i32) -> Result<i64> {
        let own = self.left.iter().find(|(own, _)| *own as i32 == partition);
        own.map(|(_, next)| *next).ok_or_else(|| anyhow!("nobody asked for partition {partition}"))
    }

    fn advance(&mut self, partition: i32, messages: i64, bytes: usize) -> Result<()> {
        let own = self.left.iter_mut().find(|(own, _)| *own as i32 == partition);
        let (_, next) = own.ok_or_else(|| anyhow!("nobody asked for partition {partition}"))?;
        *next += messages;
        self.done.messages += u64::try_from(messages)?;
        self.done.bytes += bytes as u64;
        Ok(())
    }

    /// Fills the buffer with exactly this many bytes.
    fn exact(&mut self, count: usize) -> Result<()> {
        self.buffer.resize(count, 0);
        std::io::Read::read_exact(&mut self.stream, &mut self.buffer)?;
        Ok(())
    }

    fn throw_away(&mut self, mut count: usize) -> Result<()> {
        while count > 0 {
            let piece = count.min(self.nowhere.len());
            let flags = RecvFlags::TRUNC | RecvFlags::WAITALL;
            let (_, thrown) = retry_on_intr(|| recv(&self.stream, &mut self.nowhere[..piece], flags))?;
            ensure!(thrown > 0, "the server closed the connection");
            count -= thrown;
        }
        Ok(())
    }
}

/// Nothing may be lost, come twice or in another order, and no bit be wrong.
fn follows(header: &Header, batch: &[u8], next: i64) -> Result<()> {
    ensure!(checksum_holds(batch), "wrong checksum at {}", header.base_offset);
    ensure!(header.base_offset == next, "the batch at {} stands where {next} should", header.base_offset);
    Ok(())
}

/// Offset after the last record of the last whole batch, for readers that need only that.
pub fn last_offset(mut records: &[u8]) -> Result<Option<i64>> {
    let mut last = None;
    while let Some(header) = Header::read(records)? {
        let Some(rest) = records.get(header.size..) else { break };
        debug_assert_eq!(header.base_offset, i64_at(records, 0));
        last = Some(header.next_offset);
        records = rest;
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Codec, Shape};

    #[test]
    fn gaps_repeats_and_wrong_bits_are_found() {
        let mut batch = Shape { records: 3, value: 10, codec: Codec::None }.build(0).unwrap();
        batch[..8].copy_from_slice(&7_i64.to_be_bytes());
        let header = Header::read(&batch).unwrap().unwrap();
        assert!(follows(&header, &batch, 7).is_ok());
        assert!(follows(&header, &batch, 6).is_err() && follows(&header, &batch, 10).is_err());
        assert_eq!(last_offset(&batch).unwrap(), Some(10));
        assert_eq!(last_offset(&batch[..batch.len() - 1]).unwrap(), None);
        batch[65] ^= 4;
        assert!(follows(&header, &batch, 7).is_err());
    }
}
