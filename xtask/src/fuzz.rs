//! The fuzz targets in `fuzz/`, without cargo-fuzz: stable Rust has the instrumentation they need.
//!
//! The test command builds them in moments and without AddressSanitizer, which finds little here: all
//! crates of the house deny `unsafe`, and what a decoder allocates is bounded by the targets' own
//! allocator. The long run has it, for the codecs that are C.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, bail, ensure};

use crate::options::Options;
use crate::paths;
use crate::process::{self, Running};
use crate::report::Report;

const TARGETS: &[&str] = &["decode_requests", "decode_responses", "decode_records", "record_batches"];
/// What one target may need beyond its time: the corpus of earlier runs, and to end.
const GRACE: Duration = Duration::from_secs(120);
/// From here on a target's time is worth an optimised build.
const LONG: Duration = Duration::from_secs(300);
/// Instrumentation that libFuzzer steers by.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module \
     -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
     -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares";
const SANITIZED: &str = "-Zsanitizer=address";

/// Builds the targets and runs each for its time: as many at once as there are processors, but all
/// together when that takes long.
pub fn run(report: &mut Report, options: &Options) {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    if !process::available(&compiler) {
        return report
            .leave_out("fuzz", &format!("libFuzzer needs a C++ compiler, and {compiler} is missing"));
    }
    let time = options.counts.fuzz;
    let programs = match build(time >= LONG) {
        Ok(programs) => programs,
        Err(error) => return report.fail("fuzz targets are built", &format!("{error:#}")),
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let at_once = if time >= LONG { TARGETS.len() } else { processors };
    for targets in TARGETS.chunks(at_once) {
        let started: Vec<_> = targets.iter().map(|target| Fuzzing::start(&programs, target, time)).collect();
        for (target, fuzzing) in targets.iter().zip(started) {
            match fuzzing.and_then(|fuzzing| fuzzing.finish(time)) {
                Ok(figures) => report.pass(&format!("fuzz {target}: {figures}")),
                Err(error) => report.fail(&format!("fuzz {target}"), &format!("{error:#}")),
            }
        }
    }
}

/// The folder of the built programs, with seeds beside it.
fn build(long: bool) -> Result<PathBuf> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let host = Command::new(rustc).args(["--print", "host-tuple"]).output()?.stdout;
    let host = String::from_utf8(host)?.trim().to_owned();
    ensure!(!host.is_empty(), "rustc does not know its host");
    let mut command = Command::new(env!("CARGO"));
    // A named target keeps the instrumentation away from build scripts and macros.
    command.args(["build", "--bins", "--target", &host]).current_dir(paths::root().join("fuzz"));
    command.env("CARGO_TARGET_DIR", paths::fuzz()).env_remove("CARGO_ENCODED_RUSTFLAGS");
    let mut flags = INSTRUMENTED.to_owned();
    if long {
        flags = format!("{flags} {SANITIZED}");
        command.arg("--release").env("RUSTC_BOOTSTRAP", "1");
    }
    command.env("RUSTFLAGS", flags);
    ensure!(process::stream(&mut command)?, "see above");
    let programs = paths::fuzz().join(host).join(if long { "release" } else { "debug" });
    let log = paths::logs().join("fuzz-seeds.log");
    process::succeed("seed_corpus", Command::new(programs.join("seed_corpus")).arg(seeds()), &log, GRACE)?;
    Ok(programs)
}

fn seeds() -> PathBuf {
    paths::fuzz().join("seeds")
}

/// One target at work.
struct Fuzzing {
    program: PathBuf,
    running: Running,
    log: PathBuf,
}

impl Fuzzing {
    fn start(programs: &Path, target: &str, time: Duration) -> Result<Self> {
        let program = programs.join(target);
        let corpus = paths::fuzz().join("corpus").join(target);
        let findings = paths::fuzz().join("findings").join(target);
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&findings)?;
        let log = paths::logs().join(format!("fuzz-{target}.log"));
        let _ = fs::remove_file(&log);
        let mut command = Command::new(&program);
        command
            .arg(format!("-max_total_time={}", time.as_secs()))
            .args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .args([&corpus, &seeds().join(target)]);
        let running = Running::start(target, &mut command, &log)?;
        Ok(Self { program, running, log })
    }

    /// Figures of a run without a finding.
    fn finish(mut self, time: Duration) -> Result<String> {
        let status = self.running.wait(time + GRACE);
        let text = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        let status = status.with_context(|| process::tail(&text, 15))?;
        if !status.success() {
            bail!("{}", self.finding(&text));
        }
        figures(&text).with_context(|| format!("it told no figures:\n{}", process::tail(&text, 15)))
    }

    /// What was found, and how to see it again.
    fn finding(&self, text: &str) -> String {
        let Some(input) = artifact(text) else {
            return format!("it ended without leaving an input:\n{}", process::tail(text, 30));
        };
        let why = text.lines().rfind(|line| line.starts_with("SUMMARY:")).unwrap_or_default();
        let panic = text.lines().skip_while(|line| !line.contains("panicked at")).take(2);
        let panic = panic.collect::<Vec<_>>().join(" ");
        format!(
            "{why} {panic}\n  input: {input}\n  all it wrote: {}\n  again: {} {input}",
            self.log.display(),
            self.program.display()
        )
    }
}

/// The file that libFuzzer has written.
fn artifact(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path.trim())
}

/// Inputs, coverage and memory, from the last lines.
fn figures(text: &str) -> Option<String> {
    let done = text.lines().rfind(|line| line.contains("DONE"))?;
    let after = |word: &str| done.split(word).nth(1)?.split_whitespace().next();
    let runs = done.trim_start_matches('#').split_whitespace().next()?;
    let seconds = text.lines().rfind(|line| line.starts_with("Done "))?.split_whitespace().nth_back(1)?;
    Some(format!("{runs} inputs in {seconds} s, {} edges, {} resident", after("cov: ")?, after("rss: ")?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn figures_of_a_run() {
        let text = "#94968\tDONE   cov: 23488 ft: 45943 corp: 2783/199Kb lim: 203 exec/s: 8633 rss: 50Mb\n\
                    Done 94968 runs in 11 second(s)\n";
        assert_eq!(super::figures(text).as_deref(), Some("94968 inputs in 11 s, 23488 edges, 50Mb resident"));
        assert_eq!(super::figures("nothing"), None);
    }

    #[test]
    fn input_of_a_finding() {
        let text =
            "SUMMARY: libFuzzer: deadly signal\nartifact_prefix='/a/'; Test unit written to /a/crash-1\n";
        assert_eq!(super::artifact(text), Some("/a/crash-1"));
    }
}
