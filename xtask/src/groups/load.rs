//! A thousand groups of ten members each and ten thousand commits a second: what heartbeats take and what
//! the server spends, Ottla's beside Apache Kafka's. Every request must be answered, without an error and
//! without a rebalance; how fast it is fails no test, for the machine has other things to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::options::Options;
use crate::process::{Running, await_true, tail};
use crate::report::Report;
use crate::server::{Node, Quorum, Server, Side};
use crate::{paths, process};

const COMMITS_PER_SECOND: f64 = 10_000.0;
/// With less than this share of the rate, the round is none to compare: the machine had other things to do.
const RATE_MIN: f64 = 0.99;
/// All members have joined and share their partitions.
const JOIN: Duration = Duration::from_secs(300);
const LOAD: Duration = Duration::from_secs(300);
/// Ticks of the kernel's CPU times in a second, on every Linux.
const TICKS: f64 = 100.0;
/// The goals: at most Kafka's CPU time, and half of the p99 of its heartbeats.
const CPU_GOAL: f64 = 1.0;
const P99_GOAL: f64 = 0.5;

/// How often, and how long in seconds: a just-in-time compiler has to see the load before it counts.
struct Plan {
    rounds: u32,
    warm: u32,
    seconds: u32,
}

/// What one server showed in one round.
struct Figures {
    text: String,
    cpu: f64,
    heartbeat_p99: f64,
    /// Whether the load came, and was served, as fast as it should.
    in_time: bool,
}

/// One after the other the same load, in rounds whose order turns.
pub fn run(report: &mut Report, options: &Options, sides: &[Side]) {
    if !report.check("the load generator of groups", build) {
        return;
    }
    let soaking = options.counts.simulation > super::FIRE;
    let plan = if soaking {
        Plan { rounds: 5, warm: 40, seconds: 30 }
    } else {
        Plan { rounds: 1, warm: 20, seconds: 10 }
    };
    let mut ratios = Vec::new();
    for round in 0..plan.rounds {
        let mut order = sides.to_vec();
        order.rotate_left(round as usize % sides.len());
        let mut seen = Vec::new();
        for side in order {
            let name = format!("{side}: 1,000 groups, 10,000 members, 10,000 commits/s, round {}", round + 1);
            report.check(&name, || {
                let figures = measure(side, &plan)?;
                println!("groups {side}: {}", figures.text);
                seen.push((side, figures));
                Ok(())
            });
        }
        let of = |side: Side| seen.iter().find(|(whose, _)| *whose == side).map(|(_, figures)| figures);
        if let (Some(ottla), Some(kafka)) = (of(Side::Ottla), of(Side::Kafka)) {
            if ottla.in_time && kafka.in_time {
                ratios.push((ottla.cpu / kafka.cpu, ottla.heartbeat_p99 / kafka.heartbeat_p99));
            } else {
                println!("groups: round {} was too slow to compare", round + 1);
            }
        }
    }
    let (cpu, p99): (Vec<f64>, Vec<f64>) = ratios.into_iter().unzip();
    tell("server CPU", cpu, CPU_GOAL);
    tell("heartbeat p99", p99, P99_GOAL);
}

/// The ratios of the rounds beside their goal.
fn tell(what: &str, mut ratios: Vec<f64>, goal: f64) {
    ratios.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (ratios.first(), ratios.last()) else { return };
    let median = ratios[ratios.len() / 2];
    let verdict = if median <= goal { "met" } else { "NOT met" };
    println!(
        "groups {what}: ottla spends {median:.2} [{least:.2}, {most:.2}] of kafka's in {} rounds; at most {goal:.2} \
         is the goal: {verdict}",
        ratios.len()
    );
}

fn build() -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--quiet", "--package", "ottla-bench", "--bin", "kgroups"]);
    ensure!(process::stream(command.current_dir(paths::root()))?, "it does not build");
    Ok(())
}

fn generator() -> PathBuf {
    paths::interop().with_file_name("release").join("kgroups")
}

fn measure(side: Side, plan: &Plan) -> Result<Figures> {
    // The defaults of sessions, heartbeats and of the offsets topic, for those are what is measured.
    let settings = [("max.connections", "40000"), ("offsets.topic.num.partitions", "50")];
    let node = Node::new(&format!("group-load-{side}"), Quorum::Dynamic, &settings)?.shipped();
    let mut server = node.launch(side)?;
    let log = paths::logs().join(format!("kgroups-{side}.log"));
    let _ = fs::remove_file(&log);
    let mut command = Command::new(generator());
    command.args(["--bootstrap", &server.bootstrap(), "--groups", "1000", "--members", "10"]);
    command.args(["--commits", &COMMITS_PER_SECOND.to_string()]);
    command.args(["--warm-seconds", &plan.warm.to_string(), "--seconds", &plan.seconds.to_string()]);
    let mut load = Running::start("kgroups", &mut command, &log)?;
    await_word("warm", &mut load, &log)?;
    let before = cpu_seconds(&server)?;
    await_word("counted", &mut load, &log)?;
    let spent = cpu_seconds(&server)? - before;
    let status = load.wait(LOAD)?;
    let told = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    ensure!(status.success(), "kgroups failed: {}", tail(&told, 10));
    let figures: Value = serde_json::from_str(told.lines().last().unwrap_or_default())
        .with_context(|| format!("kgroups told {told}"))?;
    server.expect_running()?;
    let resident = server.resident_bytes()? >> 20;
    server.stop()?;
    expect_all(&figures, plan)?;
    Ok(Figures::of(&figures, spent, resident))
}

/// Waits until the generator has come so far.
fn await_word(word: &str, load: &mut Running, log: &Path) -> Result<()> {
    let text = || Ok::<_, anyhow::Error>(String::from_utf8_lossy(&fs::read(log)?).into_owned());
    await_true(&format!("kgroups to say {word}"), JOIN, || {
        if text()?.lines().any(|line| line == word) {
            return Ok(true);
        }
        if let Some(status) = load.ended()? {
            anyhow::bail!("kgroups ended ({status}); it told:\n{}", tail(&text()?, 10));
        }
        Ok(false)
    })
}

/// The whole load was served: nothing refused, nothing forgotten, nobody moved.
fn expect_all(figures: &Value, plan: &Plan) -> Result<()> {
    let refused = figures["refused"].as_array().context("nothing told of errors")?;
    ensure!(refused.is_empty(), "errors: {refused:?}");
    ensure!(figures["rebalanced"] == 0, "{} heartbeats told of a rebalance", figures["rebalanced"]);
    let (commits, all) = (number(figures, "/commit/count"), COMMITS_PER_SECOND * f64::from(plan.seconds));
    ensure!(commits >= all, "{commits} of {all} commits");
    Ok(())
}

impl Figures {
    fn of(figures: &Value, spent: f64, resident: u64) -> Self {
        let cpu = spent / number(figures, "/seconds") * 100.0;
        let millis = |path: &str| number(figures, path) / 1e3;
        let text = format!(
            "heartbeat p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms at {:.0}/s; commit p50 {:.2} ms, p99 {:.2} ms at \
             {:.0}/s; server CPU {cpu:.1} % of a core, {resident} MiB resident; joined in {:.1} s; generator late by \
             p99 {:.2} ms",
            millis("/heartbeat/p50_us"),
            millis("/heartbeat/p99_us"),
            millis("/heartbeat/p999_us"),
            number(figures, "/heartbeats_per_s"),
            millis("/commit/p50_us"),
            millis("/commit/p99_us"),
            number(figures, "/commits_per_s"),
            number(figures, "/join_seconds"),
            millis("/late/p99_us"),
        );
        let in_time = number(figures, "/commits_per_s") >= COMMITS_PER_SECOND * RATE_MIN;
        Self { text, cpu, heartbeat_p99: number(figures, "/heartbeat/p99_us"), in_time }
    }
}

fn number(figures: &Value, path: &str) -> f64 {
    figures.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// What the process has spent so far, of all its threads.
fn cpu_seconds(server: &Server) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.id()))?;
    // The name of the program may have blanks; it ends with the last bracket.
    let (_, rest) = stat.rsplit_once(')').context("no name in stat")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("no CPU time");
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}
