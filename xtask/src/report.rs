//! What the test command tells: progress lines, and the count at the end.

use std::time::Instant;

use anyhow::Result;

/// Counts of named checks, printed as they come.
#[derive(Debug)]
pub struct Report {
    passed: usize,
    failed: Vec<String>,
    left_out: Vec<String>,
    start: Instant,
    /// In CI nothing may be left out.
    strict: bool,
}

impl Report {
    /// An empty report; `CI=true` makes it strict.
    pub fn new() -> Self {
        let strict = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
        Self { passed: 0, failed: Vec::new(), left_out: Vec::new(), start: Instant::now(), strict }
    }

    /// Announces a part.
    pub fn section(&self, title: &str) {
        println!("\n== {title} (after {} s)", self.start.elapsed().as_secs());
    }

    /// One check that passed.
    pub fn pass(&mut self, name: &str) {
        println!("ok {name}");
        self.passed += 1;
    }

    /// Checks that another runner has counted and printed.
    pub fn add_passed(&mut self, count: usize) {
        self.passed += count;
    }

    /// One check that failed.
    pub fn fail(&mut self, name: &str, why: &str) {
        println!("not ok {name}: {why}");
        self.failed.push(name.to_owned());
    }

    /// Runs a check and counts it.
    pub fn check(&mut self, name: &str, body: impl FnOnce() -> Result<()>) -> bool {
        let start = Instant::now();
        let result = body();
        match &result {
            Ok(()) => self.pass(&format!("{name} ({:.1} s)", start.elapsed().as_secs_f32())),
            Err(error) => self.fail(name, &format!("{error:#}")),
        }
        result.is_ok()
    }

    /// Counts the `ok` and `not ok` lines of a suite; a suite without any, or one that failed
    /// without saying where, has failed.
    pub fn suite(&mut self, name: &str, success: bool, output: &str) {
        let before = (self.passed, self.failed.len());
        for line in output.lines() {
            if let Some(check) = line.strip_prefix("ok ") {
                self.pass(&format!("{name}: {check}"));
            } else if let Some(check) = line.strip_prefix("not ok ") {
                let (check, why) = check.split_once(": ").unwrap_or((check, "failed"));
                self.fail(&format!("{name}: {check}"), why);
            }
        }
        if (self.passed, self.failed.len()) == before || (!success && self.failed.len() == before.1) {
            self.fail(name, &format!("the suite ended early:\n{}", crate::process::tail(output, 15)));
        }
    }

    /// A part that this machine cannot run.
    pub fn leave_out(&mut self, part: &str, why: &str) {
        if self.strict {
            self.fail(part, &format!("cannot run here, and in CI nothing is left out: {why}"));
        } else {
            println!("left out: {part}: {why}");
            self.left_out.push(part.to_owned());
        }
    }

    /// The summary; the last line is the plain count.
    pub fn finish(&self) -> bool {
        println!("\n== Summary (after {} s)", self.start.elapsed().as_secs());
        for name in &self.left_out {
            println!("left out: {name}");
        }
        for name in &self.failed {
            println!("failed: {name}");
        }
        println!("{} passed, {} failed", self.passed, self.failed.len());
        self.failed.is_empty() && self.passed > 0
    }
}
