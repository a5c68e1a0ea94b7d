//! G1: many groups of the consumer protocol that only send heartbeats and commit, in an open loop.

use std::io::{BufRead, BufReader, Lines};
use std::process::{ChildStdout, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::produce::ANONYMOUS;
use crate::bench::run::{Figures, Run, figure, number};

/// What the server spends.
pub const CPU: &str = "CPU µs for each heartbeat or commit";
/// What sessions hang on.
pub const HEARTBEAT_P99: &str = "heartbeat p99, µs";

/// Seconds that count.
const SECONDS: f64 = 15.0;
/// Less than this share of the rate is not the load that was asked for.
const RATE_MIN: f64 = 0.99;

/// How many.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Groups.
    pub groups: usize,
    /// Members of each, and partitions that they share.
    pub members: usize,
    /// OffsetCommits a second, all groups together.
    pub commits: f64,
}

/// All members join, warm the server up, and go on for a while that counts.
pub fn run(run: &Run<'_>, shape: &Shape) -> Result<Figures> {
    let place = run.place(&[("max.connections", "40000".to_owned())])?;
    let server = place.start(true)?;
    let Shape { groups, members, commits } = *shape;
    let (warm, seconds) = (run.warm_seconds().max(3.0), if run.quick { 3.0 } else { SECONDS });
    let words = format!(
        "--groups {groups} --members {members} --commits {commits} --warm-seconds {warm} --seconds {seconds}"
    );
    let command = run.kgroups(&server, &words);
    let mut load = run.enter(&command).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(load.stdout.take().context("no output")?).lines();
    skip_to(&mut lines, "warm")?;
    let before = server.cpu()?;
    skip_to(&mut lines, "counted")?;
    let cpu = server.cpu()? - before;
    let told = lines.next().context("kgroups told no figures")??;
    ensure!(load.wait()?.success(), "kgroups failed");
    let seen: Value = serde_json::from_str(&told)?;
    ensure!(seen["refused"] == Value::Array(Vec::new()), "errors: {}", seen["refused"]);
    ensure!(seen["rebalanced"] == 0, "{} heartbeats told of a rebalance", seen["rebalanced"]);
    let rate = number(&seen, "commits_per_s")?;
    ensure!(rate >= commits * RATE_MIN, "only {rate:.0} commits/s");
    let requests = number(&seen, "heartbeat.count")? + number(&seen, "commit.count")?;
    let mut figures = vec![figure(CPU, cpu / requests * 1e6)];
    for name in ["heartbeat", "commit"] {
        for (quantile, field) in [("p50", "p50_us"), ("p99", "p99_us"), ("p99.9", "p999_us")] {
            figures
                .push(figure(format!("{name} {quantile}, µs"), number(&seen, &format!("{name}.{field}"))?));
        }
    }
    figures.push(figure("generator late p99, µs (shown)", number(&seen, "late.p99_us")?));
    figures.push(figure(ANONYMOUS, server.status_mib("RssAnon")?));
    run.finish(server)?;
    Ok(figures)
}

fn skip_to(lines: &mut Lines<BufReader<ChildStdout>>, word: &str) -> Result<()> {
    for line in lines.by_ref() {
        if line? == word {
            return Ok(());
        }
    }
    bail!("kgroups ended before it said {word}")
}
