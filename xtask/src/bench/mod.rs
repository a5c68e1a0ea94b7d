//! `cargo xtask bench`: Ottla beside Apache Kafka and the floor, in pairs, on one machine.
//!
//! A campaign runs every cell in rounds. In a round each broker serves once, in an order drawn anew, on
//! a fresh folder; ratios are formed within a round only. A round with a run that others disturbed is
//! repeated as a whole; after some tries it is kept and marked. Every run is one line of JSON.

mod broker;
mod cells;
mod cgroup;
mod gate;
mod notes;
mod options;
mod page;
mod plan;
mod profile;
mod records;
mod run;
mod statistics;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use self::broker::{Binaries, Broker};
use self::gate::Gate;
use self::options::Options;
use self::plan::{CELLS, Cell, Kind};
use self::records::Records;
use self::run::{Figures, Run};
use self::statistics::Chance;
use crate::{paths, process, setup};

/// `cargo xtask bench`.
pub fn run(args: &[String]) -> Result<bool> {
    let options = Options::parse(args)?;
    let cells: Vec<&Cell> = CELLS.iter().filter(|cell| options.wants(cell.id, cell.quick)).collect();
    if cells.is_empty() {
        bail!("no such cell; known: {}", CELLS.iter().map(|cell| cell.id).collect::<Vec<_>>().join(", "));
    }
    if options.page_only {
        return page::publish(&Records::read_all()?, true).map(|()| true);
    }
    let mut campaign = Campaign::new(options)?;
    let earlier = campaign.own()?;
    let done = |cell: &Cell, round: usize| {
        let of_round = |line: &&Value| line["cell"] == cell.id && line["round"] == round;
        earlier.iter().filter(of_round).any(|line| line["kept"] == true)
    };
    for round in 0..campaign.most_rounds(&cells) {
        for cell in &cells {
            if round < campaign.rounds(cell) && !done(cell, round) {
                campaign.round(cell, round)?;
            }
        }
    }
    if campaign.options.profile {
        for cell in &cells {
            campaign.profile(cell)?;
        }
    }
    campaign.finish(&cells)
}

/// Where figures, copies of binaries and the brokers' folders are.
pub fn folder() -> PathBuf {
    paths::interop().with_file_name("bench")
}

struct Campaign {
    options: Options,
    /// Of this campaign alone, so that two do not meet.
    root: PathBuf,
    started: u64,
    binaries: Binaries,
    records: Records,
    gate: Gate,
    chance: Chance,
    /// Facts that are the same for all runs.
    facts: Value,
    failed: bool,
}

impl Campaign {
    fn new(options: Options) -> Result<Self> {
        if options.brokers.iter().any(|broker| broker.is_java()) {
            setup::kafka()?;
        }
        let commit = build(&options)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let started = if options.resume { newest_of(&commit)? } else { now };
        let root = folder().join(format!("run-{now}"));
        let binaries = Binaries { folder: root.join("bin") };
        fs::create_dir_all(&binaries.folder)?;
        let ottla = paths::ottla();
        for (name, from) in [
            ("ottla", ottla.clone()),
            ("floor", ottla_folder(&ottla).join("floor")),
            ("kbench", ottla_folder(&ottla).join("kbench")),
            ("kgroups", ottla_folder(&ottla).join("kgroups")),
        ] {
            fs::copy(&from, binaries.path(name)).with_context(|| format!("{}", from.display()))?;
        }
        let facts = json!({
            "campaign": started,
            "commit": commit,
            "command": options.typed,
            "quick": options.quick,
            "machine": machine(),
            "warm_seconds": options.warm_seconds,
        });
        let records = Records::open(started, options.copy.clone())?;
        let chance = Chance(now | 1);
        let gate = Gate::default();
        Ok(Self { options, root, started, binaries, records, gate, chance, facts, failed: false })
    }

    fn rounds(&self, cell: &Cell) -> usize {
        self.options.rounds.unwrap_or(cell.rounds)
    }

    fn most_rounds(&self, cells: &[&Cell]) -> usize {
        cells.iter().map(|cell| self.rounds(cell)).max().unwrap_or(0)
    }

    /// One round of one cell: repeated as a whole while others disturb it.
    fn round(&mut self, cell: &Cell, round: usize) -> Result<()> {
        for attempt in 0..=self.options.tries {
            let mut brokers = self.options.brokers.clone();
            brokers.retain(|broker| cell.takes(*broker));
            self.chance.shuffle(&mut brokers);
            let mut lines = Vec::new();
            for broker in brokers {
                lines.push(self.one(cell, round, attempt, broker)?);
            }
            let noisy = lines.iter().any(|line| line["gate"]["noisy"] == true);
            let last = attempt == self.options.tries;
            for line in &mut lines {
                line["kept"] = json!(!noisy || last);
                self.records.add(line)?;
            }
            if !noisy || last {
                break;
            }
            println!("{} round {round}: others disturbed it, once more", cell.id);
        }
        Ok(())
    }

    fn one(&mut self, cell: &Cell, round: usize, attempt: usize, broker: Broker) -> Result<Value> {
        let begin = Instant::now();
        let warm = self.options.warm_seconds;
        let run = Run::new(cell, broker, &self.binaries, &self.root, self.options.quick, warm);
        let before = self.gate.before()?;
        let outcome = perform(&run, cell.kind);
        let gate = self.gate.after(&before, run.own_cpu())?;
        let mut line = self.facts.clone();
        line["cell"] = json!(cell.id);
        line["broker"] = json!(broker.name());
        line["round"] = json!(round);
        line["try"] = json!(attempt);
        line["measured_by"] = json!(run.describe());
        let mark = if gate["noisy"] == true { " noisy" } else { "" };
        line["gate"] = gate;
        match outcome {
            Ok(figures) => line["figures"] = json!(figures),
            Err(error) => {
                // A peer that cannot do it is a result; anybody else must be mended.
                self.failed |= !broker.is_java();
                println!("{} {broker}: {error:#}", cell.id);
                line["failed"] = json!(format!("{error:#}").lines().next().unwrap_or_default());
                line["figures"] = json!([]);
            }
        }
        let _ = fs::remove_dir_all(self.root.join(cell.id));
        let first = line["figures"][0].clone();
        println!(
            "{:<16} round {round} {broker:<10} {:>5.1} s{mark}  {} {:.3}",
            cell.id,
            begin.elapsed().as_secs_f64(),
            first[0].as_str().unwrap_or("failed"),
            first[1].as_f64().unwrap_or(f64::NAN),
        );
        Ok(line)
    }

    /// One more run of ours and of the floor, which counts for nothing: where the time goes.
    fn profile(&mut self, cell: &Cell) -> Result<()> {
        if !profile::available() {
            bail!("--profile needs perf");
        }
        for broker in [Broker::Ottla, Broker::Floor].into_iter().filter(|broker| cell.takes(*broker)) {
            let warm = self.options.warm_seconds;
            let run =
                Run::new(cell, broker, &self.binaries, &self.root, self.options.quick, warm).profiling();
            if let Err(error) = perform(&run, cell.kind) {
                println!("{} {broker} under perf: {error:#}", cell.id);
            }
            let mut line = self.facts.clone();
            line["cell"] = json!(cell.id);
            line["broker"] = json!(broker.name());
            line["kept"] = json!(false);
            line["profiles"] = json!(run.into_profiles());
            self.records.add(&line)?;
        }
        Ok(())
    }

    /// The runs of this campaign, also those of a part that ran before.
    fn own(&self) -> Result<Vec<Value>> {
        let mut lines = Records::read_all()?;
        lines.retain(|line| line["campaign"] == self.started);
        Ok(lines)
    }

    fn finish(self, cells: &[&Cell]) -> Result<bool> {
        let own = self.own()?;
        println!("\n{}", page::text(&own, cells)?);
        let everything = !self.options.quick && self.options.cells.is_empty();
        if everything || self.options.publish {
            page::publish(&Records::read_all()?, true)?;
        }
        let _ = fs::remove_dir_all(&self.root);
        println!("raw figures: {}", self.records.path().display());
        Ok(!self.failed)
    }
}

fn perform(run: &Run<'_>, kind: Kind) -> Result<Figures> {
    match kind {
        Kind::Produce(shape) => cells::produce::run(run, &shape),
        Kind::Consume(shape) => cells::produce::consume(run, &shape),
        Kind::Latency(shape) => cells::latency::run(run, &shape),
        Kind::Trickle => cells::trickle::run(run),
        Kind::WriteBack(shape) => cells::write_back::run(run, &shape),
        Kind::CatchUp(shape) => cells::evicted::run(run, &shape),
        Kind::Partitions(shape) => cells::partitions::run(run, &shape),
        Kind::Connections(shape) => cells::connections::run(run, &shape),
        Kind::Groups(shape) => cells::groups::run(run, &shape),
        Kind::Start(shape) => cells::start::run(run, &shape),
        Kind::Footprint => cells::footprint::run(run),
    }
}

/// The newest campaign that measured this commit in earnest.
fn newest_of(commit: &str) -> Result<u64> {
    let lines = Records::read_all()?;
    let same = lines.iter().filter(|line| line["commit"] == commit && line["quick"] == false);
    same.filter_map(|line| line["campaign"].as_u64())
        .max()
        .with_context(|| format!("no campaign of {commit} to resume"))
}

/// Builds what is measured and names its commit; a binary named by `OTTLA` is taken as it is.
fn build(options: &Options) -> Result<String> {
    let given = std::env::var_os("OTTLA").is_some();
    let mut packages = vec!["ottla-bench"];
    if !given && options.brokers.contains(&Broker::Ottla) {
        packages.push("ottla");
    }
    if options.no_build {
        packages.clear();
    }
    for package in packages {
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--release", "--quiet", "-p", package]).current_dir(paths::root());
        if !process::stream(&mut command)? {
            bail!("{package} does not build");
        }
    }
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "crates"])
        .is_some_and(|text| !text.is_empty());
    Ok(match (given, changed) {
        (true, _) => {
            std::env::var("OTTLA_COMMIT").unwrap_or_else(|_| format!("a given binary, about {commit}"))
        }
        (false, true) => format!("{commit} with changes"),
        (false, false) => commit,
    })
}

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).current_dir(paths::root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The folder of cargo's release binaries, also when another binary was named.
fn ottla_folder(ottla: &std::path::Path) -> PathBuf {
    let default = paths::interop().with_file_name("release");
    if default.is_dir() { default } else { ottla.parent().map(PathBuf::from).unwrap_or_default() }
}

fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0);
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let java = Command::new("java").arg("-version").output().map(|output| output.stderr).unwrap_or_default();
    let java = String::from_utf8_lossy(&java).lines().next().unwrap_or("no Java").replace('"', "");
    let release = kernel.trim().split('-').next().unwrap_or_default();
    format!(
        "{cpus} CPUs ({}), {:.0} GiB of memory, Linux {release}, {java}",
        model.unwrap_or("unknown"),
        kib / 1024.0 / 1024.0
    )
}
