//! One server writes a folder, another starts on it with the same `server.properties`.

use std::collections::BTreeMap;
use std::time::Duration;
use std::{fmt, fs};

use anyhow::{Context, Result, ensure};

use crate::batch::{Sequence, build};
use crate::dump_log::{self, Complaints};
use crate::options::Options;
use crate::process;
use crate::report::Report;
use crate::server::{Node, Quorum, Server, Side, java};
use crate::setup::Parts;
use crate::wire::Client;

const CODECS: &[&str] = &["none", "gzip", "snappy", "lz4", "zstd"];
const SEGMENTED: &str = "segmented";
const INDEXED: &str = "indexed";
const SEQUENCED: &str = "sequenced";
const GROUPS: &[&str] = &["billing", "shipping"];
const WRITE: Duration = Duration::from_secs(90);
/// Metadata snapshots come after this many bytes of records, so that there are some.
const SNAPSHOTS: &str = "1000";
/// `segment.bytes` has this lower bound since Kafka 4.0 (KIP-1030).
const SEGMENT_BYTES: &str = "1048576";

/// How the first server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Clean,
    Kill,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Clean { "a clean stop" } else { "kill -9" })
    }
}

/// Forward (Kafka, then the server under test) and back, each after both ends.
pub fn run(report: &mut Report, options: &Options, parts: &Parts) {
    if let Err(obstacle) = &parts.java {
        return report.leave_out("same-disk", &format!("{obstacle:#}"));
    }
    let other = options.against;
    let mut own = KafkasOwn::default();
    for (first, second, quorum) in [
        (End::Clean, End::Clean, Quorum::Static),
        (End::Clean, End::Kill, Quorum::Dynamic),
        (End::Kill, End::Clean, Quorum::Dynamic),
        (End::Kill, End::Kill, Quorum::Static),
    ] {
        let mut story = None;
        report.check(&format!("{other} takes over Kafka's folder after {first}"), || {
            story = Some(forward(other, first, second, quorum, &mut own)?);
            Ok(())
        });
        if let Some(mut story) = story {
            report.check(&format!("Kafka takes that folder back after {second}"), || {
                // Killed, Kafka leaves indexes with the zeros it reserved, and its tool takes them for
                // entries. No such excuse for anybody else.
                if other != Side::Kafka || second == End::Clean {
                    dump_log::run(&story.node, &own.complaints)?;
                }
                story.go_on(Side::Kafka, "back", End::Clean).context("Kafka on the folder")
            });
        }
    }
    for quorum in [Quorum::Static, Quorum::Dynamic] {
        report.check(&format!("Kafka takes over a folder that {other} formatted ({quorum:?})"), || {
            let mut story = Story::new("born", quorum)?;
            story.format_and_write(other, &own)?;
            story.go_on(Side::Kafka, "kafka", End::Clean)
        });
    }
}

/// What Kafka leaves after a clean stop, and what its own tool says about that.
#[derive(Default)]
struct KafkasOwn {
    files: BTreeMap<String, Vec<u8>>,
    complaints: Complaints,
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

fn forward(other: Side, first: End, second: End, quorum: Quorum, own: &mut KafkasOwn) -> Result<Story> {
    let mut story = Story::new(&format!("disk-{first:?}-{second:?}").to_lowercase(), quorum)?;
    story.node.format(Side::Kafka)?;
    let server = story.node.start(Side::Kafka)?;
    story.write_all(&server, "kafka")?;
    finish(server, first)?;
    if first == End::Clean {
        own.files = same_files(&story.node)?;
        own.complaints = dump_log::complaints(&story.node).context("on Kafka's own files")?;
        let segments = own.files.keys().filter(|name| name.ends_with(".log")).count();
        ensure!(segments >= 10, "only {segments} segments");
    }
    story.go_on(other, "other", second).with_context(|| format!("{other} on Kafka's folder"))?;
    Ok(story)
}

impl Story {
    fn new(name: &str, quorum: Quorum) -> Result<Self> {
        let node =
            Node::new(name, quorum, &[("metadata.log.max.record.bytes.between.snapshots", SNAPSHOTS)])?;
        Ok(Self { node, producer: (0, 0), next_sequence: 0, parts: Vec::new() })
    }

    fn format_and_write(&mut self, side: Side, own: &KafkasOwn) -> Result<()> {
        self.node.format(side)?;
        let server = self.node.start(side)?;
        self.write_all(&server, "born")?;
        server.stop()?;
        ensure!(metadata_snapshots(&self.node)? > 0, "{side} took no snapshot of the metadata");
        let files = same_files(&self.node)?;
        let names = || files.keys().chain(own.files.keys());
        let other = names().find(|name| files.get(*name) != own.files.get(*name));
        ensure!(other.is_none(), "{} is not as Kafka writes it", other.map_or("", String::as_str));
        dump_log::run(&self.node, &own.complaints)
    }

    /// All codecs, 10+ segments, some with indexes, committed offsets and three batches of an idempotent
    /// producer.
    fn write_all(&mut self, server: &Server, word: &str) -> Result<()> {
        let mut client = Client::connect(&server.bootstrap())?;
        let mut topics = write_codecs(server, &format!("{word}-"))?;
        write_noise(&mut client, SEGMENTED, 14, 900_000)?;
        write_noise(&mut client, INDEXED, 70, 40_000)?;
        client.create_topic(SEQUENCED, 1, &[])?;
        self.producer = client.init_producer_id()?;
        for _ in 0..3 {
            produce_sequence(&mut client, self.producer, &mut self.next_sequence)?;
        }
        for (number, group) in GROUPS.iter().enumerate() {
            client.find_coordinator(group)?;
            client.commit_offset(group, SEQUENCED, 0, number as i64 + 1, &format!("note of {group}"))?;
        }
        topics.extend([SEGMENTED, INDEXED, SEQUENCED].map(str::to_owned));
        self.parts = snapshot(&mut client, &topics)?;
        Ok(())
    }

    fn topics(&self) -> Vec<String> {
        self.parts.iter().map(|part| part.topic.clone()).collect()
    }

    /// The given side starts on the folder: everything is there, and more can be written.
    fn go_on(&mut self, side: Side, word: &str, end: End) -> Result<()> {
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
        finish(server, end)
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

/// Files that must be equal whoever writes them: nothing in them depends on the clock or on chance. Each
/// topic's own id is in one that is left out.
fn same_files(node: &Node) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for topic in [SEGMENTED, INDEXED] {
        let folder = node.logs().join(format!("{topic}-0"));
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "partition.metadata" {
                files.insert(format!("{topic}-0/{name}"), fs::read(folder.join(name))?);
            }
        }
    }
    Ok(files)
}

/// Besides the one with which a folder begins.
fn metadata_snapshots(node: &Node) -> Result<usize> {
    let entries = fs::read_dir(node.logs().join("__cluster_metadata-0"))?;
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter(|name| name.ends_with(".checkpoint") && !name.starts_with(&"0".repeat(20))).count())
}

/// Batches of one record each whose timestamps run back and forth.
fn write_noise(client: &mut Client, topic: &str, batches: u64, size: usize) -> Result<()> {
    client.create_topic(topic, 1, &[("segment.bytes", SEGMENT_BYTES), ("max.message.bytes", "2000000")])?;
    for number in 0..batches {
        let timestamp = 1_700_000_000_000 + (number * 7 % 10 + number) as i64;
        let batch = build(&[noise(size, number)], timestamp, crate::batch::NO_SEQUENCE);
        let produced = client.produce(topic, 0, &batch)?;
        ensure!(produced.error == 0, "Produce for {topic} answered {}", produced.error);
    }
    Ok(())
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
