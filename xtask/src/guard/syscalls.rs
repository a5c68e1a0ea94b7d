//! System calls of a released server for each request, seen by strace: one connection, one request at a
//! time, the next one only when the whole server sleeps again, so that neither speed nor load matters.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use super::figures::{Figure, Figures, Kind};
use crate::batch::{NO_SEQUENCE, build};
use crate::paths;
use crate::process::{await_some, await_true};
use crate::server::{Node, Quorum, Side};
use crate::wire::{Body, Client};

/// Requests of a kind: many, so that what happens now and then is not seen.
const REQUESTS: u32 = 150;
/// How long the server is watched while nobody asks for anything.
const IDLE: Duration = Duration::from_secs(2);
const SETTLE: Duration = Duration::from_secs(30);
const TOPIC: &str = "guarded";
const READ: &str = "guarded-read";
const GROUP: &str = "guarded-group";
/// Seconds since the epoch.
type Moment = f64;

/// Counts each kind of request.
pub(super) fn count(counted: &mut Figures) -> Result<()> {
    let node = Node::new("guard", Quorum::Dynamic, &[])?;
    node.format(Side::Ottla)?;
    let trace = paths::interop().join("guard/strace.txt");
    let _ = fs::remove_file(&trace);
    // The tracer beside the server, so that the server is the child.
    let file = trace.display().to_string();
    let tracer = ["strace", "-D", "-f", "-qq", "-ttt", "-s", "0", "-e", "signal=none", "-o", &file];
    let server = node.start_under(Side::Ottla, &tracer)?;
    let windows = Requests { process: server.id(), client: Client::connect(&server.bootstrap())? }.all()?;
    server.stop()?;
    let calls = read(&trace)?;
    let idle = windows.get("idle").context("no idle time")?;
    let background = count_in(&calls, idle);
    for (name, window) in windows.iter().filter(|(name, _)| **name != "idle") {
        let share = (window.end - window.start) / (idle.end - idle.start);
        let figure = figure(&count_in(&calls, window), &background, share);
        counted.rows.insert((Kind::Syscalls, (*name).to_owned()), figure);
    }
    Ok(())
}

struct Requests {
    process: u32,
    client: Client,
}

impl Requests {
    fn all(mut self) -> Result<BTreeMap<&'static str, Range<Moment>>> {
        self.client.create_topic(TOPIC, 1, &[])?;
        self.client.create_topic(READ, 1, &[])?;
        let small = build(&values(1, 1_000), 0, NO_SEQUENCE);
        let large = build(&values(15, 1_024), 0, NO_SEQUENCE);
        self.client.produce(READ, 0, &large)?;
        let member = self.member()?;
        let mut windows = BTreeMap::new();
        windows.insert("idle", self.idle()?);
        windows.insert("produce-1k", self.each(|client| produce(client, &small))?);
        windows.insert("produce-16k", self.each(|client| produce(client, &large))?);
        windows.insert("fetch-16k", self.each(fetch)?);
        windows.insert("group-heartbeat", self.each(|client| heartbeat(client, &member))?);
        windows.insert("metadata", self.each(metadata)?);
        windows.insert("api-versions", self.each(|client| client.api_versions().map(drop))?);
        Ok(windows)
    }

    /// The one sleep here: idling is what is watched.
    fn idle(&self) -> Result<Range<Moment>> {
        self.until_asleep()?;
        let start = now()?;
        std::thread::sleep(IDLE);
        Ok(start..now()?)
    }

    fn each(&mut self, mut request: impl FnMut(&mut Client) -> Result<()>) -> Result<Range<Moment>> {
        // The first of a kind may open, grow or make things.
        for _ in 0..3 {
            request(&mut self.client)?;
            self.until_asleep()?;
        }
        let start = now()?;
        for _ in 0..REQUESTS {
            request(&mut self.client)?;
            self.until_asleep()?;
        }
        Ok(start..now()?)
    }

    /// A request is over when every thread waits in the kernel again; one that strace holds does not.
    fn until_asleep(&self) -> Result<()> {
        let tasks = format!("/proc/{}/task", self.process);
        let end = std::time::Instant::now() + SETTLE;
        loop {
            let mut asleep = true;
            for task in fs::read_dir(&tasks)? {
                // A thread may end meanwhile.
                let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else { continue };
                let state = stat.rsplit_once(')').map_or("", |(_, rest)| rest.trim_start());
                asleep &= state.starts_with('S');
            }
            if asleep {
                return Ok(());
            }
            ensure!(std::time::Instant::now() < end, "the server does not come to rest");
            std::thread::yield_now();
        }
    }

    /// A group of one, up to its assignment.
    fn member(&mut self) -> Result<Member> {
        self.client.find_coordinator(GROUP)?;
        let member = await_some("a member", SETTLE, || {
            let body = Body::default().string(GROUP).i32(45_000).i32(60_000).string("").string("consumer");
            let mut answer = self.client.call(11, 2, body.i32(1).string("range").bytes(b"uno"))?;
            answer.i32()?;
            let error = answer.i16()?;
            let generation = answer.i32()?;
            answer.string()?;
            answer.string()?;
            Ok((error == 0).then_some(Member { generation, id: answer.string()? }))
        })?;
        let body = Body::default().string(GROUP).i32(member.generation).string(&member.id);
        let mut answer = self.client.call(14, 1, body.i32(1).string(&member.id).bytes(b"todo"))?;
        answer.i32()?;
        let error = answer.i16()?;
        ensure!(error == 0, "SyncGroup answered {error}");
        await_true("the first heartbeat", SETTLE, || Ok(heartbeat(&mut self.client, &member).is_ok()))?;
        Ok(member)
    }
}

struct Member {
    generation: i32,
    id: String,
}

fn values(count: usize, size: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| (0..size).map(|at| b'a' + ((at + number) % 23) as u8).collect()).collect()
}

fn produce(client: &mut Client, batch: &[u8]) -> Result<()> {
    let correlation = client.send_produce(TOPIC, 0, batch)?;
    let error = client.receive_produce(correlation)?.error;
    ensure!(error == 0, "Produce answered {error}");
    Ok(())
}

fn fetch(client: &mut Client) -> Result<()> {
    let fetched = client.fetch(READ, 0, 0)?;
    ensure!(fetched.error == 0 && fetched.records.len() > 15_000, "Fetch answered {fetched:?}");
    Ok(())
}

fn heartbeat(client: &mut Client, member: &Member) -> Result<()> {
    let body = Body::default().string(GROUP).i32(member.generation).string(&member.id);
    let mut answer = client.call(12, 1, body)?;
    answer.i32()?;
    let error = answer.i16()?;
    ensure!(error == 0, "Heartbeat answered {error}");
    Ok(())
}

fn metadata(client: &mut Client) -> Result<()> {
    client.call(3, 4, Body::default().i32(1).string(TOPIC).i8(0)).map(drop)
}

fn now() -> Result<Moment> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}

/// When each call began, and its name.
fn read(trace: &Path) -> Result<Vec<(Moment, String)>> {
    let text = fs::read_to_string(trace).with_context(|| trace.display().to_string())?;
    Ok(text.lines().filter_map(call).collect())
}

/// `PID MOMENT NAME(...`; lines of ends, signals and the second halves of calls look different.
fn call(line: &str) -> Option<(Moment, String)> {
    let mut words = line.split_whitespace();
    let (moment, rest) = (words.nth(1)?, words.next()?);
    let (name, _) = rest.split_once('(')?;
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase());
    plain.then_some((moment.parse().ok()?, name.to_owned()))
}

fn count_in<'a>(calls: &'a [(Moment, String)], window: &Range<Moment>) -> BTreeMap<&'a str, u32> {
    calls.iter().filter(|(moment, _)| window.contains(moment)).fold(
        BTreeMap::new(),
        |mut counts, (_, name)| {
            *counts.entry(name.as_str()).or_default() += 1;
            counts
        },
    )
}

fn figure(counts: &BTreeMap<&str, u32>, background: &BTreeMap<&str, u32>, share: f64) -> Figure {
    let mut parts = Vec::new();
    for (name, count) in counts {
        let idle = f64::from(background.get(name).copied().unwrap_or(0)) * share;
        let mean = tenths((f64::from(*count) - idle) / f64::from(REQUESTS));
        if mean > 0.0 {
            parts.push((mean, name));
        }
    }
    let text: Vec<String> = parts.iter().map(|(mean, name)| format!("{name} {mean:.1}")).collect();
    let sum: f64 = parts.iter().map(|(mean, _)| *mean).sum();
    Figure { value: tenths(sum), parts: text.join(" + ") }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_their_ends_and_from_other_lines() {
        let name = |line| call(line).map(|(_, name)| name);
        assert_eq!(name("12 1732176123.25 recvfrom(9, \"\"..., 4) = 4").as_deref(), Some("recvfrom"));
        assert_eq!(
            name("12   1732176123.25 futex(0x7, FUTEX_WAIT <unfinished ...>").as_deref(),
            Some("futex")
        );
        assert_eq!(name("12 1732176123.25 <... futex resumed>) = 0"), None);
        assert_eq!(name("12 1732176123.25 +++ exited with 0 +++"), None);
        assert_eq!(name("12 1732176123.25 --- SIGTERM {} ---"), None);
    }

    #[test]
    fn idling_is_not_put_on_the_requests() {
        let counts = [("recvfrom", 2 * REQUESTS), ("futex", 30)].into();
        let idle = [("futex", 60)].into();
        let figure = figure(&counts, &idle, 0.5);
        assert_eq!((figure.value, figure.parts.as_str()), (2.0, "recvfrom 2.0"));
    }
}
