//! `cargo test --workspace`, its output passed on and counted.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::paths;
use crate::report::Report;

/// Runs all of cargo's tests.
pub fn run(report: &mut Report) -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    if paths::jars().is_dir() {
        // With Kafka's own classes at hand, the codecs are held against them, too.
        command.env("OTTLA_KAFKA_CLASSPATH", paths::jars().join("*"));
    }
    let mut child = command
        .args(["test", "--workspace", "--no-fail-fast"])
        .current_dir(paths::root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let out = child.stdout.take().context("no output")?;
    let mut failed = 0;
    for line in BufReader::new(out).lines() {
        let line = line?;
        if let Some((passed, bad)) = counts(&line) {
            report.add_passed(passed);
            failed += bad;
        } else if line.contains("FAILED") && line.starts_with("test ") {
            report.fail(line.trim_start_matches("test ").trim_end_matches(" ... FAILED"), "see above");
        } else if !line.starts_with("test ") && !line.is_empty() && line != "running 0 tests" {
            println!("{line}");
        }
    }
    let status = child.wait()?;
    if !status.success() && failed == 0 {
        report.fail("cargo test", "it does not compile, or a test binary died");
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
