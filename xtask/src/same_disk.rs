//! One server writes a folder, another starts on it with the same `server.properties`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::batch::{Sequence, build};
use crate::dump_log;
use crate::options::Options;
use crate::process;
use crate::report::Report;
use crate::server::{Node, Quorum, Server, Side, java};
use crate::setup::Parts;
use crate::wire::Client;

const CODECS: &[&str] = &["none", "gzip", "snappy", "lz4", "zstd"];
const SEGMENTED: &str = "segmented";
const SEQUENCED: &str = "sequenced";
const GROUPS: &[&str] = &["billing", "shipping"];
const WRITE: Duration = Duration::from_secs(90);
/// `segment.bytes` has this lower bound since Kafka 4.0 (KIP-1030).
const SEGMENT_BYTES: &str = "1048576";

/// How the first server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Clean,
    Kill,
}

/// Forward (Kafka, then the server under test) and back, each after both ends.
pub fn run(report: &mut Report, options: &Options, parts: &Parts) {
    if let Err(obstacle) = &parts.java {
        return report.leave_out("same-disk", &format!("{obstacle:#}"));
    }
    let other = options.against;
    for (end, quorum) in [(End::Clean, Quorum::Static), (End::Kill, Quorum::Dynamic)] {
        let how = if end == End::Clean { "a clean stop" } else { "kill -9" };
        let mut story = None;
        report.check(&format!("{other} takes over Kafka's folder after {how}"), || {
            story = Some(forward(other, end, quorum)?);
            Ok(())
        });
        if let Some(story) = story {
            report
                .check(&format!("Kafka takes {other}'s folder back after {how}"), || back(story, other, end));
        }
    }
    for quorum in [Quorum::Static, Quorum::Dynamic] {
        report.check(&format!("Kafka takes over a folder that {other} formatted ({quorum:?})"), || {
            let node = Node::new("born", quorum, &[])?;
            let mut story = Story { node, producer: (0, 0), next_sequence: 0, parts: Vec::new() };
            story.format_and_write(other)?;
            story.go_on(Side::Kafka, "kafka")
        });
    }
}

/// A folder and what was last seen in it.
struct Story {
    node: Node,
    producer: (i64, i16),
    next_sequence: i32,
    parts: Vec<Partition>,
}

/// Every byte of a partition.
#[derive(PartialEq, Eq)]
struct Partition {
    topic: String,
    bytes: Vec<u8>,
    end: i64,
}

fn forward(other: Side, end: End, quorum: Quorum) -> Result<Story> {
    let name = format!("disk-{end:?}").to_lowercase();
    let node = Node::new(&name, quorum, &[])?;
    let mut story = Story { node, producer: (0, 0), next_sequence: 0, parts: Vec::new() };
    story.node.format(Side::Kafka)?;
    let server = story.node.start(Side::Kafka)?;
    let (parts, producer) = write_all(&server, "kafka")?;
    finish(server, end)?;
    (story.parts, story.producer, story.next_sequence) = (parts, producer, 3);
    ensure!(segments(&story.node)? >= 10, "only {} segments", segments(&story.node)?);
    story.go_on(other, "other").with_context(|| format!("{other} on Kafka's folder"))?;
    Ok(story)
}

fn back(mut story: Story, other: Side, end: End) -> Result<()> {
    if end == End::Kill {
        let server = story.node.start(other)?;
        let mut client = Client::connect(&server.bootstrap())?;
        produce_sequence(&mut client, story.producer, &mut story.next_sequence)?;
        story.parts = snapshot(&mut client, &story.topics())?;
        server.kill()?;
    }
    dump_log::run(&story.node).context("kafka-dump-log")?;
    story.go_on(Side::Kafka, "back").context("Kafka on the folder")
}

impl Story {
    fn format_and_write(&mut self, side: Side) -> Result<()> {
        self.node.format(side)?;
        let server = self.node.start(side)?;
        let (parts, producer) = write_all(&server, "born")?;
        server.stop()?;
        (self.parts, self.producer, self.next_sequence) = (parts, producer, 3);
        dump_log::run(&self.node).context("kafka-dump-log")
    }

    fn topics(&self) -> Vec<String> {
        self.parts.iter().map(|part| part.topic.clone()).collect()
    }

    /// The given side starts on the folder: everything is there, and more can be written.
    fn go_on(&mut self, side: Side, word: &str) -> Result<()> {
        let server = self.node.start(side)?;
        let mut client = Client::connect(&server.bootstrap())?;
        let now = snapshot(&mut client, &self.topics())?;
        for (before, now) in self.parts.iter().zip(&now) {
            ensure!(before.end == now.end, "{} ended at {} and now at {}", before.topic, before.end, now.end);
            ensure!(before.bytes == now.bytes, "the bytes of {} are others", before.topic);
        }
        for (number, group) in GROUPS.iter().enumerate() {
            let committed = client.committed_offset(group, SEQUENCED, 0)?;
            let expected = (number as i64 + 1, format!("note of {group}"));
            ensure!(committed == expected, "{group} had committed {expected:?} and now {committed:?}");
        }
        self.sequence_goes_on(&mut client)?;
        let topics = write_codecs(&server, &format!("{word}-"))?;
        let mut all = self.topics();
        all.extend(topics);
        all.dedup();
        self.parts = snapshot(&mut client, &all)?;
        server.stop()
    }

    /// The duplicate is answered with its first offset, a gap is refused, the next one is taken.
    fn sequence_goes_on(&mut self, client: &mut Client) -> Result<()> {
        let (producer, epoch) = self.producer;
        let last = self.next_sequence - 1;
        let duplicate = client.produce(SEQUENCED, 0, &sequenced(producer, epoch, last))?;
        ensure!(duplicate.error == 0, "the duplicate was answered with error {}", duplicate.error);
        ensure!(
            duplicate.base_offset == i64::from(last),
            "the duplicate's offset is {}",
            duplicate.base_offset
        );
        let gap = client.produce(SEQUENCED, 0, &sequenced(producer, epoch, last + 5))?;
        ensure!(gap.error == 45, "a gap in the sequence was answered with {} instead of 45", gap.error);
        produce_sequence(client, self.producer, &mut self.next_sequence)
    }
}

fn finish(server: Server, end: End) -> Result<()> {
    match end {
        End::Clean => server.stop(),
        End::Kill => server.kill(),
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(0))
}

fn sequenced(producer: i64, epoch: i16, first: i32) -> Vec<u8> {
    let values = [format!("sequence {first}").into_bytes()];
    // The state of a producer that has been idle for a day is forgotten, so the time must be now's.
    build(&values, now_ms(), Sequence { producer, epoch, first })
}

fn produce_sequence(client: &mut Client, (producer, epoch): (i64, i16), next: &mut i32) -> Result<()> {
    let produced = client.produce(SEQUENCED, 0, &sequenced(producer, epoch, *next))?;
    ensure!(produced.error == 0, "sequence {next} was answered with error {}", produced.error);
    ensure!(
        produced.base_offset == i64::from(*next),
        "sequence {next} went to offset {}",
        produced.base_offset
    );
    *next += 1;
    Ok(())
}

type Written = (Vec<Partition>, (i64, i16));

/// All codecs, 10+ segments, committed offsets and three batches of an idempotent producer.
fn write_all(server: &Server, word: &str) -> Result<Written> {
    let mut client = Client::connect(&server.bootstrap())?;
    let mut topics = write_codecs(server, &format!("{word}-"))?;
    client.create_topic(
        SEGMENTED,
        1,
        &[("segment.bytes", SEGMENT_BYTES), ("max.message.bytes", "2000000")],
    )?;
    for number in 0..14_u64 {
        let value = noise(900_000, number);
        let batch = build(&[value], 1_700_000_000_000 + number as i64, crate::batch::NO_SEQUENCE);
        let produced = client.produce(SEGMENTED, 0, &batch)?;
        ensure!(produced.error == 0, "Produce for {SEGMENTED} answered {}", produced.error);
    }
    client.create_topic(SEQUENCED, 1, &[])?;
    let producer = client.init_producer_id()?;
    let mut next = 0;
    for _ in 0..3 {
        produce_sequence(&mut client, producer, &mut next)?;
    }
    for (number, group) in GROUPS.iter().enumerate() {
        client.find_coordinator(group)?;
        client.commit_offset(group, SEQUENCED, 0, number as i64 + 1, &format!("note of {group}"))?;
    }
    topics.push(SEGMENTED.to_owned());
    topics.push(SEQUENCED.to_owned());
    Ok((snapshot(&mut client, &topics)?, producer))
}

/// The corpus in every codec, written by the Java producer.
fn write_codecs(server: &Server, prefix: &str) -> Result<Vec<String>> {
    let mut command = java("Interop", "256m")?;
    command.args(["write", &server.bootstrap(), prefix]);
    process::succeed("java write", &mut command, &crate::paths::logs().join("java-write.log"), WRITE)?;
    Ok(CODECS.iter().map(|codec| format!("{prefix}{codec}")).collect())
}

fn snapshot(client: &mut Client, topics: &[String]) -> Result<Vec<Partition>> {
    let mut parts = Vec::new();
    for topic in topics {
        let (bytes, end) = client.read_partition(topic, 0)?;
        parts.push(Partition { topic: topic.clone(), bytes, end });
    }
    Ok(parts)
}

fn segments(node: &Node) -> Result<usize> {
    let folder = node.logs().join(format!("{SEGMENTED}-0"));
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    Ok(entries.filter_map(Result::ok).filter(|e| e.path().extension().is_some_and(|x| x == "log")).count())
}

/// Bytes that no codec can shrink.
fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..count / 8).flat_map(|_| next()).collect()
}
