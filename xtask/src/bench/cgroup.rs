//! A control group for each server: its CPU time in nanoseconds, and one limit of memory for all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// Where the kernel shows control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// How CPU time is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `cpuacct` and `memory` hierarchies.
    V1,
    /// The unified hierarchy with its `memory` controller.
    V2,
    /// No groups may be made: user and system time of the process, and no limit.
    Process,
}

/// A group that is removed when it is dropped.
#[derive(Debug)]
pub struct Group {
    kind: Kind,
    folders: Vec<PathBuf>,
}

impl Group {
    /// Makes a group below the one this process lives in.
    pub fn new(name: &str, memory_limit: Option<u64>) -> Self {
        let name = format!("ottla-bench-{}-{name}", std::process::id());
        Self::v1(&name, memory_limit)
            .or_else(|_| Self::v2(&name, memory_limit))
            .unwrap_or_else(|_| Self { kind: Kind::Process, folders: Vec::new() })
    }

    fn v1(name: &str, memory_limit: Option<u64>) -> Result<Self> {
        let mut group = Self { kind: Kind::V1, folders: Vec::new() };
        for controller in ["cpuacct", "memory"] {
            let own = own_path(controller)?;
            let folder = Path::new(ROOT).join(controller).join(own.trim_start_matches('/')).join(name);
            fs::create_dir(&folder)?;
            group.folders.push(folder);
        }
        if let Some(limit) = memory_limit {
            fs::write(group.folders[1].join("memory.limit_in_bytes"), limit.to_string())?;
        }
        Ok(group)
    }

    fn v2(name: &str, memory_limit: Option<u64>) -> Result<Self> {
        let own = own_path("")?;
        let folder = Path::new(ROOT).join(own.trim_start_matches('/')).join(name);
        fs::create_dir(&folder)?;
        let group = Self { kind: Kind::V2, folders: vec![folder.clone()] };
        if let Some(limit) = memory_limit {
            fs::write(folder.join("memory.max"), limit.to_string())?;
        }
        fs::read_to_string(folder.join("cpu.stat"))?;
        Ok(group)
    }

    /// A command that enters the group and becomes the given one, under the same process id.
    pub fn enter(&self, command: &Command) -> Command {
        let mut script = String::new();
        for folder in &self.folders {
            script.push_str(&format!("echo $$ > '{}/cgroup.procs' && ", folder.display()));
        }
        script.push_str("exec \"$@\"");
        let mut inside = Command::new("sh");
        inside.arg("-c").arg(script).arg("sh").arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        inside
    }

    /// CPU seconds so far.
    pub fn cpu_seconds(&self, process: u32) -> Result<f64> {
        match self.kind {
            Kind::V1 => {
                let text = fs::read_to_string(self.folders[0].join("cpuacct.usage"))?;
                Ok(text.trim().parse::<f64>()? / 1e9)
            }
            Kind::V2 => {
                let text = fs::read_to_string(self.folders[0].join("cpu.stat"))?;
                let line = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
                Ok(line.context("no usage_usec")?.trim().parse::<f64>()? / 1e6)
            }
            Kind::Process => {
                let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
                let rest = text.rsplit(')').next().context("no stat")?;
                let field = |at: usize| rest.split_whitespace().nth(at).and_then(|f| f.parse::<f64>().ok());
                let ticks = field(11).zip(field(12)).context("no times")?;
                Ok((ticks.0 + ticks.1) / rustix::param::clock_ticks_per_second() as f64)
            }
        }
    }

    /// Memory that the kernel holds for the group: sockets and what belongs to them. Nothing where it is not
    /// told.
    pub fn kernel_bytes(&self) -> Option<f64> {
        match self.kind {
            Kind::V1 => {
                let text = fs::read_to_string(self.folders[1].join("memory.kmem.usage_in_bytes")).ok()?;
                text.trim().parse().ok()
            }
            Kind::V2 => {
                let text = fs::read_to_string(self.folders[0].join("memory.stat")).ok()?;
                let line = text.lines().find_map(|line| line.strip_prefix("kernel "))?;
                line.trim().parse().ok()
            }
            Kind::Process => None,
        }
    }

    /// How the figures were read, for the page.
    pub fn describe(&self) -> &'static str {
        match self.kind {
            Kind::V1 => "control groups v1 (cpuacct.usage, memory.limit_in_bytes)",
            Kind::V2 => "control groups v2 (cpu.stat, memory.max)",
            Kind::Process => "/proc/PID/stat (10 ms steps), no memory limit",
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in &self.folders {
            // The kernel takes a moment to forget a process that has just ended.
            for _ in 0..50 {
                if fs::remove_dir(folder).is_ok() {
                    break;
                }
                std::thread::sleep(crate::process::POLL);
            }
        }
    }
}

/// The group of this process in one hierarchy (the empty name is the unified one).
fn own_path(controller: &str) -> Result<String> {
    let text = fs::read_to_string("/proc/self/cgroup")?;
    let own = text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let names = parts.nth(1)?;
        names.split(',').any(|name| name == controller).then(|| parts.next().map(str::to_owned))?
    });
    own.with_context(|| format!("no control group of {controller}"))
}
