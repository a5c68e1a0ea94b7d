//! `kgroups`: groups of the consumer protocol (KIP-848) in great number, heartbeats at the interval that
//! the server asks for and commits at a rate, both in an open loop: every latency counts from the intended
//! time. It says `joined` when the groups have settled, `warm` when the load begins to count, `counted` when it
//! is over, and in the end its figures as one line of JSON.
//!
//! Every member has a connection of its own, as clients have, and one thread serves them all.

mod connections;
mod load;
mod member;

use std::io::Write;
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use ottla_bench::client::{Client, NewTopic};
use ottla_bench::load::arguments::Arguments;
use ottla_bench::wire::Reader;
use serde_json::{Value, json};

use self::load::Load;

const HELP: &str = "kgroups --bootstrap 127.0.0.1:PORT [--groups N] [--members N] [--connections N]
  [--commits N] [--warm-seconds S] [--seconds S]";
const TOPIC: &str = "kgroups";
const FIND_COORDINATOR: (i16, i16) = (10, 1);
/// Errors that pass while a coordinator settles.
const PASSING: &[i16] = &[14, 15, 16];
const SETTLE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match Arguments::parse(&args).and_then(run) {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("kgroups: {error:#}\n{HELP}");
            ExitCode::FAILURE
        }
    }
}

/// `kgroups`.
fn run(mut arguments: Arguments) -> Result<Value> {
    let address = arguments.require("bootstrap")?;
    let groups: usize = arguments.get("groups", 1000)?;
    let members: usize = arguments.get("members", 10)?;
    let connections: usize = arguments.get("connections", groups * members)?;
    let commits: f64 = arguments.get("commits", 10_000.0)?;
    let warm_seconds: f64 = arguments.get("warm-seconds", 5.0)?;
    let seconds: f64 = arguments.get("seconds", 10.0)?;
    arguments.finish()?;
    ensure!(groups > 0 && members > 0 && connections > 0, "nothing to do");
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let mut client = Client::connect(&address)?;
    client.create_topic(&NewTopic { name: TOPIC, partitions: members, configs: &[], replicas: 1 })?;
    client.await_leaders(TOPIC, members)?;
    for group in 0..groups {
        find_coordinator(&mut client, &group_name(group))?;
    }
    let mut load = Load::new(&address, groups, members, connections)?;
    let begin = Instant::now();
    load.join()?;
    let join_seconds = begin.elapsed().as_secs_f64();
    say("joined")?;
    load.steady(commits, warm_seconds, false)?;
    say("warm")?;
    let elapsed = load.steady(commits, seconds, true)?;
    say("counted")?;
    let figures = load.figures;
    let refused: Vec<String> =
        figures.refused.iter().map(|((kind, error), n)| format!("{n} {kind:?} with {error}")).collect();
    Ok(json!({
        "groups": groups,
        "members": groups * members,
        "connections": connections,
        "join_seconds": join_seconds,
        "seconds": elapsed,
        "heartbeat": figures.heartbeat.json(),
        "commit": figures.commit.json(),
        "late": figures.late.json(),
        "heartbeats_per_s": figures.heartbeat.len() as f64 / elapsed,
        "commits_per_s": figures.commit.len() as f64 / elapsed,
        "refused": refused,
        "rebalanced": figures.rebalanced,
    }))
}

/// Tells whoever reads along how far it is.
fn say(word: &str) -> Result<()> {
    println!("{word}");
    Ok(std::io::stdout().flush()?)
}

fn group_name(group: usize) -> String {
    format!("kgroups-{group}")
}

fn find_coordinator(client: &mut Client, group: &str) -> Result<()> {
    let end = Instant::now() + SETTLE;
    loop {
        let answer = client.call(FIND_COORDINATOR, |w| {
            w.string(group).i8(0);
        })?;
        let mut answer = Reader::new(&answer);
        answer.i32()?;
        match answer.i16()? {
            0 => return Ok(()),
            error if PASSING.contains(&error) && Instant::now() < end => {
                thread::sleep(Duration::from_millis(5))
            }
            error => bail!("FindCoordinator of {group} answered {error}"),
        }
    }
}
