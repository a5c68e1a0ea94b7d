//! A thousand groups of ten members each and ten thousand commits a second: what heartbeats take and what
//! the server spends, Ottla's beside Apache Kafka's. Figures only: how fast it is fails no test.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::options::Options;
use crate::process::{Running, await_true, tail};
use crate::report::Report;
use crate::server::{Node, Quorum, Server, Side};
use crate::{paths, process};

/// All members have joined and share their partitions.
const JOIN: Duration = Duration::from_secs(300);
const LOAD: Duration = Duration::from_secs(300);
/// Ticks of the kernel's CPU times in a second, on every Linux.
const TICKS: f64 = 100.0;

/// One after the other, the same load.
pub fn run(report: &mut Report, options: &Options, sides: &[Side]) {
    let built = report.check("the load generator of groups", build);
    if !built {
        return;
    }
    let seconds = if options.counts.simulation > super::FIRE { 60 } else { 10 };
    for side in sides {
        report.check(&format!("{side}: 1,000 groups, 10,000 members, 10,000 commits/s"), || {
            let figures = measure(*side, seconds)?;
            println!("groups {side}: {figures}");
            Ok(())
        });
    }
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

fn measure(side: Side, seconds: u32) -> Result<String> {
    // The defaults of sessions and heartbeats, for that is what is measured.
    let node = Node::new(&format!("group-load-{side}"), Quorum::Dynamic, &[("max.connections", "40000")])?;
    let mut server = node.launch(side)?;
    let log = paths::logs().join(format!("kgroups-{side}.log"));
    let _ = fs::remove_file(&log);
    let mut command = Command::new(generator());
    command.args(["--bootstrap", &server.bootstrap(), "--groups", "1000", "--members", "10"]);
    command.args(["--commits", "10000", "--seconds", &seconds.to_string()]);
    let mut load = Running::start("kgroups", &mut command, &log)?;
    let text = || Ok::<_, anyhow::Error>(String::from_utf8_lossy(&fs::read(&log)?).into_owned());
    await_true("all members to share their partitions", JOIN, || {
        if let Some(status) = load.ended()? {
            anyhow::bail!("kgroups ended ({status}); it told:\n{}", tail(&text()?, 10));
        }
        Ok(text()?.lines().any(|line| line == "joined"))
    })?;
    let before = cpu_seconds(&server)?;
    let status = load.wait(LOAD)?;
    let spent = cpu_seconds(&server)? - before;
    let told = text()?;
    ensure!(status.success(), "kgroups failed: {}", tail(&told, 10));
    let figures: Value = serde_json::from_str(told.lines().last().unwrap_or_default())
        .with_context(|| format!("kgroups told {told}"))?;
    server.expect_running()?;
    let resident = server.resident_bytes()? >> 20;
    server.stop()?;
    let number = |path: &str| figures.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
    Ok(format!(
        "heartbeat p50 {:.2} ms, p99 {:.2} ms of {}; commit p50 {:.2} ms, p99 {:.2} ms, {:.0} of 10,000/s; \
         server CPU {:.0} %, {resident} MiB resident; joined in {:.1} s",
        number("/heartbeat/p50_us") / 1e3,
        number("/heartbeat/p99_us") / 1e3,
        number("/heartbeat/count"),
        number("/commit/p50_us") / 1e3,
        number("/commit/p99_us") / 1e3,
        number("/commits_per_s"),
        spent / number("/seconds") * 100.0,
        number("/join_seconds"),
    ))
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
