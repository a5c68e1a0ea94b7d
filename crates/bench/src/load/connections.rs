//! Many idle connections, and a storm of new ones.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use serde_json::{Value, json};

use super::arguments::Arguments;
use crate::histogram::Histogram;
use crate::wire::{api, request};

/// Connections from one source address, well below the number of its ports.
const PER_SOURCE: usize = 8000;

/// Opens a connection from an address of 127.0.0.0/8 that no other process and no other
/// [`PER_SOURCE`] connections use, for ports rest for a minute after each.
fn open(server: SocketAddrV4, number: usize) -> Result<TcpStream> {
    let family = AddressFamily::INET;
    let [.., high, low] = std::process::id().to_be_bytes();
    let group = u8::try_from(number / PER_SOURCE % 100)?;
    let fd = socket(family, SocketType::STREAM, None)?;
    let source = Ipv4Addr::new(127, 100 + group, high, low.max(1));
    bind(&fd, &SocketAddrV4::new(source, 0)).context("bind")?;
    connect(&fd, &server).with_context(|| format!("connection {number}"))?;
    let stream = TcpStream::from(fd);
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream, frame: &[u8]) -> Result<()> {
    stream.write_all(frame)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length))?;
    ensure!(length < 1 << 20, "an answer of {length} bytes");
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(())
}

/// `kbench idle`: opens connections, uses each once, prints a line, and holds them until stdin ends.
pub fn idle(mut arguments: Arguments) -> Result<Value> {
    let server: SocketAddrV4 = arguments.require("bootstrap")?.parse()?;
    let count: usize = arguments.get("connections", 1000)?;
    arguments.finish()?;
    let frame = request(api::API_VERSIONS, 1, |_| {});
    let begin = Instant::now();
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = open(server, number)?;
        ask(&mut stream, &frame).with_context(|| format!("connection {number}"))?;
        held.push(stream);
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("{}", json!({ "open": held.len(), "seconds": seconds, "per_s": count as f64 / seconds }));
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    // Each must still be alive.
    for stream in &mut held {
        ask(stream, &frame)?;
    }
    Ok(json!({ "still_open": held.len() }))
}

/// `kbench storm`: connections that ask once and leave, at a rate, from their intended time.
pub fn storm(mut arguments: Arguments) -> Result<Value> {
    let server: SocketAddrV4 = arguments.require("bootstrap")?.parse()?;
    let rate: f64 = arguments.get("rate", 5000.0)?;
    let seconds: f64 = arguments.get("seconds", 4.0)?;
    arguments.finish()?;
    let frame = request(api::API_VERSIONS, 1, |_| {});
    let begin = Instant::now();
    let total = (rate * seconds) as usize;
    let mut latency = Histogram::default();
    for number in 0..total {
        let intended = begin + Duration::from_secs_f64(number as f64 / rate);
        thread::sleep(intended.saturating_duration_since(Instant::now()));
        let mut stream = open(server, number)?;
        ask(&mut stream, &frame).with_context(|| format!("connection {number}"))?;
        latency.record(intended.elapsed().as_nanos() as u64);
    }
    let seconds = begin.elapsed().as_secs_f64();
    Ok(json!({
        "connections": total,
        "seconds": seconds,
        "per_s": total as f64 / seconds,
        "latency": latency.json(),
    }))
}
