//! Input that no client would send: the server stays up, and its other clients notice nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::batch::{NO_SEQUENCE, build};
use crate::options::Options;
use crate::process::await_true;
use crate::report::Report;
use crate::server::{Node, Quorum, Server, Side};
use crate::wire::{Body, Client};

const TOPIC: &str = "bystander";
/// What a peaceful request may take while others misbehave.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much more memory a native server may hold after all of it.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
const LENGTHS: &[i32] = &[-1, i32::MIN, i32::MAX, 0, 1, 3, 0x4745_5420, 200 << 20];

/// All of it against one server with one peaceful client beside.
pub fn run(report: &mut Report, options: &Options) {
    let result = (|| -> Result<()> {
        // For our own end of the connections, and for the server, which inherits it.
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
        let node = Node::new("hostile", Quorum::Dynamic, &[])?;
        let mut server = node.launch(options.against)?;
        Client::connect(&server.bootstrap())?.create_topic(TOPIC, 1, &[])?;
        let stop = AtomicBool::new(false);
        let rounds = AtomicU64::new(0);
        let address = server.bootstrap();
        thread::scope(|scope| {
            let bystander = scope.spawn(|| bystander(&address, &stop, &rounds));
            attacks(report, options, &mut server);
            stop.store(true, Ordering::Relaxed);
            let peaceful = bystander.join();
            report.check("the peaceful client noticed nothing", || {
                peaceful.map_err(|_| anyhow!("it died"))??;
                let rounds = rounds.load(Ordering::Relaxed);
                ensure!(rounds > 10, "only {rounds} rounds");
                Ok(())
            });
        });
        report.check("the server says nothing of a panic and stops cleanly", || {
            let log = server.log_text();
            ensure!(!log.contains("panicked"), "{}", server.log_tail());
            server.stop()
        });
        Ok(())
    })();
    if let Err(error) = result {
        report.fail("bad input", &format!("{error:#}"));
    }
}

fn attacks(report: &mut Report, options: &Options, server: &mut Server) {
    let address = server.bootstrap();
    let counts = options.counts;
    report.check("random bytes", || random_bytes(&address, counts.frames_per_version * 20));
    let before = server.resident_bytes().unwrap_or(0);
    report.check("wrong lengths", || wrong_lengths(&address));
    report.check("truncated frames", || truncated(&address));
    report.check("unknown API keys and versions", || unknown_apis(&address));
    report.check("absurd array lengths in every version of every API", || {
        absurd_lengths(&address, counts.frames_per_version)
    });
    report.check("corrupt batches and wrong checksums", || corrupt_batches(&address));
    report.check(&format!("{} half-open connections", counts.half_open), || {
        half_open(&address, counts.half_open)
    });
    report.check("still up, and memory is flat", || {
        server.expect_running()?;
        await_true("the server to be alive", PATIENCE, || {
            Ok(Client::connect(&address)?.api_versions().is_ok())
        })?;
        let after = server.resident_bytes()?;
        println!("resident before {} MiB, after {} MiB", before >> 20, after >> 20);
        let flat = after < before + GROWTH_BYTES_MAX || options.against == Side::Kafka;
        ensure!(flat, "resident memory went from {before} to {after} bytes");
        Ok(())
    });
}

/// Produces and fetches one record again and again; every answer must be right and in time.
fn bystander(address: &str, stop: &AtomicBool, rounds: &AtomicU64) -> Result<()> {
    let mut client = Client::connect(address)?;
    let mut expected = 0;
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let batch = build(&[format!("peace {expected}").into_bytes()], 1, NO_SEQUENCE);
        let produced = client.produce(TOPIC, 0, &batch)?;
        ensure!(
            produced.error == 0 && produced.base_offset == expected,
            "{produced:?} instead of {expected}"
        );
        let fetched = client.fetch(TOPIC, 0, expected)?;
        ensure!(fetched.records.len() == batch.len(), "{} bytes fetched", fetched.records.len());
        ensure!(fetched.high_watermark == expected + 1, "high watermark {}", fetched.high_watermark);
        ensure!(begin.elapsed() < PATIENCE, "a round took {:?}", begin.elapsed());
        expected += 1;
        rounds.store(expected as u64, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Sends bytes and reads until the server closes, answers or is silent for a moment.
fn poke(address: &str, bytes: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&address.parse()?, PATIENCE)?;
    stream.set_read_timeout(Some(Duration::from_millis(30)))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // The server may have closed before everything was written, and that is right.
    if stream.write_all(bytes).is_ok() {
        let _ = stream.read(&mut [0; 4096]);
    }
    Ok(())
}

fn random_bytes(address: &str, count: u32) -> Result<()> {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for number in 0..count {
        let size = 1 + (noise.next() % 2000) as usize;
        let mut bytes = noise.bytes(size);
        if number % 2 == 0 && size > 4 {
            // Half of them with a fitting length, so that the frame itself is looked at.
            bytes[..4].copy_from_slice(&((size - 4) as i32).to_be_bytes());
        }
        poke(address, &bytes)?;
    }
    poke(address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn wrong_lengths(address: &str) -> Result<()> {
    for length in LENGTHS {
        poke(address, &length.to_be_bytes())?;
        poke(address, &[&length.to_be_bytes()[..], &[0; 600]].concat())?;
    }
    Ok(())
}

fn frame(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let header = Body::default().i16(key).i16(version).i32(7).string("hostile").0;
    let length = (header.len() + body.len()) as i32;
    [&length.to_be_bytes()[..], &header, body].concat()
}

fn truncated(address: &str) -> Result<()> {
    let whole = frame(3, 4, &Body::default().i32(1).string(TOPIC).i8(0).0);
    for size in 1..whole.len() {
        poke(address, &whole[..size])?;
        // The same with a length that fits what is there: the message ends too early.
        let mut short = whole[..size.max(4)].to_vec();
        let length = (short.len() - 4) as i32;
        short[..4].copy_from_slice(&length.to_be_bytes());
        poke(address, &short)?;
    }
    Ok(())
}

fn unknown_apis(address: &str) -> Result<()> {
    for key in [-1, i16::MIN, i16::MAX, 93, 200, 1000] {
        for version in [-1, 0, 1, i16::MAX, i16::MIN] {
            poke(address, &frame(key, version, &[0; 32]))?;
        }
    }
    for (key, _, newest) in Client::connect(address)?.api_versions()? {
        if key == 18 {
            // ApiVersions is the exception: too new a version is answered with what there is.
            let mut answer = Client::connect(address)?.call(18, newest + 10, Body::default().i8(0))?;
            ensure!(
                answer.i16()? == 35,
                "ApiVersions of an unknown version is answered with UNSUPPORTED_VERSION"
            );
        } else {
            poke(address, &frame(key, newest + 1, &[0; 32]))?;
        }
        poke(address, &frame(key, -1, &[0; 32]))?;
    }
    Ok(())
}

/// Old versions count arrays in four bytes, flexible ones in a varint; both at every small offset.
fn absurd_lengths(address: &str, each: u32) -> Result<()> {
    let mut noise = Noise(0x0123_4567_89ab_cdef);
    let absurd: [&[u8]; 5] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xfe],
        &[0xff, 0xff, 0xff, 0xff, 0x07],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0x10, 0, 0, 0],
    ];
    for (key, oldest, newest) in Client::connect(address)?.api_versions()? {
        for version in oldest..=newest {
            let mut frames = Vec::new();
            for _ in 0..each {
                let mut body = vec![0; (noise.next() % 24) as usize];
                body.extend(absurd[(noise.next() % 5) as usize]);
                let rest = (noise.next() % 64) as usize;
                body.extend(noise.bytes(rest));
                frames.push(frame(key, version, &body));
            }
            many(address, &frames)?;
        }
    }
    Ok(())
}

/// Each frame on its own connection, all open at once, so that waiting costs little.
fn many(address: &str, frames: &[Vec<u8>]) -> Result<()> {
    let mut streams = Vec::new();
    for bytes in frames {
        let mut stream = TcpStream::connect_timeout(&address.parse()?, PATIENCE)?;
        stream.set_read_timeout(Some(Duration::from_millis(5)))?;
        let _ = stream.write_all(bytes);
        streams.push(stream);
    }
    for mut stream in streams {
        let _ = stream.read(&mut [0; 512]);
    }
    Ok(())
}

fn corrupt_batches(address: &str) -> Result<()> {
    let mut client = Client::connect(address)?;
    client.create_topic("corrupt", 1, &[])?;
    let whole = build(&[b"one".to_vec(), b"two".to_vec()], 1, NO_SEQUENCE);
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 0x55;
        // A server may answer with an error or close; it must not take what the checksum covers.
        let mut client = Client::connect(address)?;
        let correlation = client.send_produce("corrupt", 0, &bad)?;
        if let Ok(produced) = client.receive_produce(correlation) {
            let uncovered = at < 8 || (12..16).contains(&at);
            ensure!(produced.error != 0 || uncovered, "a flipped byte at {at} was taken");
        }
    }
    for size in [1, 11, 12, 60, 61, whole.len() - 1] {
        let mut client = Client::connect(address)?;
        let correlation = client.send_produce("corrupt", 0, &whole[..size])?;
        if let Ok(produced) = client.receive_produce(correlation) {
            ensure!(produced.error != 0, "a batch cut at {size} was taken");
        }
    }
    let mut bad = whole.clone();
    bad[20] ^= 1;
    let produced = client.produce("corrupt", 0, &bad)?;
    ensure!(produced.error == 2, "a wrong checksum was answered with {} instead of 2", produced.error);
    ensure!(client.produce("corrupt", 0, &whole)?.error == 0, "a good batch was refused");
    Ok(())
}

/// Connections that send half a length and then nothing.
fn half_open(address: &str, count: usize) -> Result<()> {
    let mut streams = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = TcpStream::connect_timeout(&address.parse()?, PATIENCE)
            .with_context(|| format!("connection {number} of {count}"))?;
        let _ = stream.write_all(&[0, 0][..number % 3]);
        streams.push(stream);
    }
    let begin = Instant::now();
    Client::connect(address)?.api_versions().context("a new client beside the half-open ones")?;
    ensure!(begin.elapsed() < PATIENCE, "a new client waited {:?}", begin.elapsed());
    Ok(())
}

/// Random bytes, the same ones in each run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}
