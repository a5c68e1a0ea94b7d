//! Instructions of the kernels under callgrind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::figures::{Figure, Figures, Kind};
use crate::paths;
use crate::process::{self, Running};

const KERNEL: Duration = Duration::from_secs(180);

/// Counts every kernel that the harness names.
pub(super) fn count(counted: &mut Figures) -> Result<()> {
    let folder = paths::interop().join("guard");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let list = process::succeed(
        "guard list",
        Command::new(paths::guard()).arg("list"),
        &paths::logs().join("guard-list.log"),
        KERNEL,
    )?;
    for line in list.lines() {
        let (name, turns) = line.split_once(' ').context("guard list says no turns")?;
        let value = kernel(&folder, name, turns.parse()?).with_context(|| format!("kernel {name}"))?;
        counted.rows.insert((Kind::Instructions, name.to_owned()), Figure { value, parts: String::new() });
    }
    Ok(())
}

/// A run of twice the turns has them once more than the other, and nothing else.
fn kernel(folder: &Path, name: &str, turns: u32) -> Result<f64> {
    let once = Counting::start(folder, name, turns)?;
    let twice = Counting::start(folder, name, 2 * turns)?;
    let (once, twice) = (once.finish()?, twice.finish()?);
    ensure!(twice > once, "{twice} instructions of {} turns, {once} of {turns}", 2 * turns);
    Ok(((twice - once) as f64 / f64::from(turns)).round())
}

/// A kernel under callgrind. Its profile stays in `target/interop/guard`, for `callgrind_annotate`.
struct Counting {
    running: Running,
    log: PathBuf,
    data: PathBuf,
}

impl Counting {
    fn start(folder: &Path, name: &str, turns: u32) -> Result<Self> {
        let place = |what: &str| folder.join(format!("{name}-{turns}.{what}"));
        let (log, data) = (place("log"), place("data"));
        let mut command = Command::new("valgrind");
        command.arg("--tool=callgrind");
        command.arg(format!("--callgrind-out-file={}", place("callgrind").display()));
        command.arg(paths::guard()).args([name, &turns.to_string()]).arg(&data);
        Ok(Self { running: Running::start(name, &mut command, &log)?, log, data })
    }

    fn finish(mut self) -> Result<u64> {
        let status = self.running.wait(KERNEL)?;
        let text = fs::read_to_string(&self.log)?;
        ensure!(status.success(), "{status}; it wrote:\n{}", process::tail(&text, 15));
        let _ = fs::remove_dir_all(&self.data);
        let total = text.lines().find_map(|line| line.split_once("Collected :")).context("no total")?.1;
        Ok(total.trim().parse()?)
    }
}
