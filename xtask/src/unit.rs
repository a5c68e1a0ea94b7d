//! Cargo's own tests: all of them, and those that `#[ignore]` keeps for a part of their own.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::options::Options;
use crate::report::Report;
use crate::server::{Node, Quorum, Side};
use crate::setup::Parts;
use crate::{paths, process};

/// Runs all of cargo's tests.
pub fn run(report: &mut Report) -> Result<()> {
    let mut command = cargo_test(&["--no-fail-fast"]);
    if paths::jars().is_dir() && process::available("java") {
        // With Kafka's own classes at hand, the codecs are held against them, too.
        command.env("OTTLA_KAFKA_CLASSPATH", paths::jars().join("*"));
    }
    counted(report, "cargo test", &mut command)
}

/// Quorums of kernels on a simulated network and simulated disks, from fresh seeds for a while.
pub fn simulation(report: &mut Report, options: &Options) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(now);
    println!("seeds from {seed}, for {:?}", options.counts.simulation);
    let mut command = cargo_test(&["--test", "simulation", "--", "--ignored", "--nocapture"]);
    command.env("OTTLA_SIM_SEEDS", format!("{seed}..{}", u64::MAX));
    command.env("OTTLA_SIM_SECONDS", options.counts.simulation.as_secs().to_string());
    counted(report, "simulation", &mut command)
}

/// Ottla's own client against running servers: Apache Kafka and, unless only that is under test, Ottla.
pub fn clients(report: &mut Report, options: &Options, parts: &Parts) {
    for side in [Side::Kafka, Side::Ottla] {
        match &parts.java {
            Err(obstacle) if side == Side::Kafka => {
                report.leave_out("clients against kafka", &format!("{obstacle:#}"));
            }
            _ if side == Side::Kafka || options.against == Side::Ottla => {
                if let Err(error) = clients_against(report, side) {
                    report.fail(&format!("clients against {side}"), &format!("{error:#}"));
                }
            }
            _ => {}
        }
    }
}

fn clients_against(report: &mut Report, side: Side) -> Result<()> {
    let node = Node::new(&format!("own-client-{side}"), Quorum::Dynamic, &[])?;
    let mut server = node.launch(side)?;
    let mut command = cargo_test(&["--no-fail-fast", "--test", "broker_*", "--", "--ignored"]);
    command.env("OTTLA_TEST_BROKER", server.bootstrap());
    counted(report, &format!("clients against {side}"), &mut command)?;
    server.expect_running()?;
    server.stop()
}

/// Always of the whole workspace, so that the features are the same and nothing is compiled twice.
fn cargo_test(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--workspace"]).args(args).current_dir(paths::root());
    command
}

/// Runs tests, passes their output on and counts them.
fn counted(report: &mut Report, what: &str, command: &mut Command) -> Result<()> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().context("no output")?;
    let (mut all_passed, mut failed) = (0, 0);
    for line in BufReader::new(out).lines() {
        let line = line?;
        if let Some((passed, bad)) = counts(&line) {
            all_passed += passed;
            failed += bad;
        } else if line.contains("FAILED") && line.starts_with("test ") {
            let name = line.trim_start_matches("test ").trim_end_matches(" ... FAILED");
            report.fail(&format!("{what}: {name}"), "see above");
        } else if !line.starts_with("test ") && !line.is_empty() && line != "running 0 tests" {
            println!("{line}");
        }
    }
    let status = child.wait()?;
    report.add_passed(all_passed);
    println!("{what}: {all_passed} passed, {failed} failed");
    if !status.success() && failed == 0 {
        report.fail(what, "it does not compile, or a test binary died");
    } else if all_passed + failed == 0 {
        report.fail(what, "there was no test to run");
    }
    Ok(())
}

/// Passed and failed of a closing line, without the words of other counts.
fn counts(line: &str) -> Option<(usize, usize)> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |word: &str| {
        let before = rest.split(&format!(" {word}")).next()?;
        before.rsplit(' ').next()?.parse().ok()
    };
    Some((number("passed")?, number("failed")?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_of_a_closing_line() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(super::counts(line), Some((12, 3)));
        assert_eq!(super::counts("test a ... ok"), None);
    }
}
