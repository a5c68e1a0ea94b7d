//! Where a server's CPU time goes: `perf record` beside a load, as a list of functions.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::process::{self, Running};

/// Samples a second of each thread: not a divisor of any timer.
const FREQUENCY: &str = "1999";
/// Functions that are told.
const ROWS: usize = 12;
const PATIENCE: Duration = Duration::from_secs(60);

/// A recording of one process.
#[derive(Debug)]
pub struct Recording {
    running: Running,
    data: PathBuf,
}

impl Recording {
    /// Begins; the process may have any number of threads.
    pub fn start(process: u32, folder: &std::path::Path) -> Result<Self> {
        let data = folder.join("perf.data");
        let mut command = Command::new("perf");
        command.args(["record", "--quiet", "-F", FREQUENCY, "-p", &process.to_string(), "-o"]).arg(&data);
        Ok(Self { running: Running::start("perf", &mut command, &folder.join("perf.log"))?, data })
    }

    /// Ends; the functions with the largest shares, the largest first.
    pub fn finish(mut self) -> Result<Vec<String>> {
        let pid = Pid::from_raw(i32::try_from(self.running.id())?).context("no process id")?;
        kill_process(pid, Signal::INT).context("SIGINT")?;
        self.running.wait(PATIENCE)?;
        let mut command = Command::new("perf");
        command.args(["report", "--stdio", "--sort", "dso,symbol", "-i"]).arg(&self.data);
        let output = command.stderr(Stdio::null()).output()?;
        ensure!(output.status.success(), "perf report: {}", output.status);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().filter_map(row).take(ROWS).collect())
    }
}

/// Whether a recording can be made here.
pub fn available() -> bool {
    process::available("perf")
}

/// `   32.22%  [kernel.kallsyms]  [k] finish_task_switch` as `32.2 % kernel finish_task_switch`.
fn row(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let share: f64 = words.next()?.strip_suffix('%')?.parse().ok()?;
    let place = words.next()?.trim_matches(['[', ']']).replace(".kallsyms", "");
    let symbol = words.skip(1).collect::<Vec<_>>().join(" ");
    let symbol = symbol.trim_end_matches([' ', '-']);
    let symbol: String = symbol.chars().take(90).collect();
    Some(format!("{share:4.1} % {place}: {symbol}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_shares_places_and_functions() {
        let line = "    32.22%  [kernel.kallsyms]  [k] finish_task_switch.isra.0  -      -";
        assert_eq!(row(line).unwrap(), "32.2 % kernel: finish_task_switch.isra.0");
        assert_eq!(row("# Total Lost Samples: 0"), None);
        assert_eq!(row(""), None);
    }
}
