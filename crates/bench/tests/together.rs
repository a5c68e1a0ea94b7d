//! The load generator against the floor, in one process.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::Result;
use ottla_bench::batch::{Codec, Shape};
use ottla_bench::client::connect;
use ottla_bench::floor::Floor;
use ottla_bench::load::arguments::Arguments;
use ottla_bench::load::produce_frame::ProduceFrame;
use ottla_bench::load::{connections, consume, latency, produce, topics};
use serde_json::Value;

struct Served {
    address: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
    _folder: tempfile::TempDir,
}

impl Served {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut floor = Floor::bind("127.0.0.1:0".parse().unwrap(), folder.path().to_path_buf()).unwrap();
        let address = format!("127.0.0.1:{}", floor.port());
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let thread = Some(std::thread::spawn(move || floor.run(&seen)));
        Self { address, stop, thread, _folder: folder }
    }

    fn load(&self, kind: fn(Arguments) -> Result<Value>, words: &str) -> Result<Value> {
        let all = format!("--bootstrap {} {words}", self.address);
        kind(Arguments::parse(&all.split_whitespace().map(str::to_owned).collect::<Vec<_>>())?)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes it up.
        let _ = std::net::TcpStream::connect(&self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

#[test]
fn what_was_produced_is_consumed() {
    let served = Served::new();
    served.load(topics::create, "--topic t --partitions 4").unwrap();
    let produced = served
        .load(produce::run, "--topic t --partitions 4 --connections 3 --slots 2 --random true --requests 200")
        .unwrap();
    assert_eq!(produced["requests"], 200);
    let verified = served.load(consume::run, "--topic t --partitions 4 --mode verify").unwrap();
    assert_eq!(verified["messages"], produced["messages"]);
    assert_eq!(verified["bytes"], produced["bytes"]);
    let words = "--topic t --partitions 4 --mode discard --connections 2 --loops 2 --max-bytes 70000";
    let discarded = served.load(consume::run, words).unwrap();
    assert_eq!(discarded["bytes"].as_u64().unwrap(), 4 * produced["bytes"].as_u64().unwrap());
}

#[test]
fn many_topics_and_large_compressed_batches() {
    let served = Served::new();
    served.load(topics::create, "--topic t --topics 5 --partitions 2").unwrap();
    let words =
        "--topic t --topics 5 --partitions 2 --batch 1000000 --message 100 --compression lz4 --requests 20";
    let produced = served.load(produce::run, words).unwrap();
    assert!(produced["bytes"].as_u64().unwrap() < produced["payload_bytes"].as_u64().unwrap());
    let verified =
        served.load(consume::run, "--topic t --topics 5 --partitions 2 --mode verify --max-bytes 1").unwrap();
    assert_eq!(verified["messages"], produced["messages"]);
    assert_eq!(verified["fetches"], 20);
}

#[test]
fn an_open_loop_sees_every_message() {
    let served = Served::new();
    served.load(topics::create, "--topic t --partitions 3").unwrap();
    let words = "--topic t --partitions 3 --rate 2000 --seconds 0.25 --warm-seconds 0.05";
    let seen = served.load(latency::run, words).unwrap();
    assert_eq!(seen["messages"], 600);
    assert_eq!(seen["ack"]["count"], 500);
    assert_eq!(seen["end_to_end"]["count"], 500);
    let batches =
        served.load(latency::run, "--topic t --partitions 3 --rate 3000 --records 15 --seconds 0.2");
    assert_eq!(batches.unwrap()["end_to_end"]["count"], 40);
}

#[test]
fn a_storm_of_connections() {
    let served = Served::new();
    let seen = served.load(connections::storm, "--rate 1000 --seconds 0.1").unwrap();
    assert_eq!(seen["connections"], 100);
}

#[test]
fn a_flipped_bit_is_not_appended() {
    let served = Served::new();
    served.load(topics::create, "--topic t").unwrap();
    let mut batch = Shape { records: 2, value: 100, codec: Codec::None }.build(0).unwrap();
    *batch.last_mut().unwrap() ^= 1;
    let mut stream = connect(&served.address).unwrap();
    stream.write_all(ProduceFrame::new("t", 1, 1, &batch).bytes()).unwrap();
    assert_eq!(stream.read(&mut [0; 64]).unwrap_or(0), 0);
    assert_eq!(served.load(consume::run, "--topic t --mode verify").unwrap()["messages"], 0);
}
