//! One broker in one cell of one round: what every cell needs.

use std::cell::{Cell as Slot, RefCell};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::broker::{Binaries, Broker, Place, Server};
use super::cgroup::Group;
use super::plan::Cell;
use super::profile::Recording;
use crate::process;

/// No load runs longer.
const PATIENCE: Duration = Duration::from_secs(1800);
/// More warm-up than this brings nothing.
const WARM_REQUESTS: u64 = 200_000;
/// Nor do more bytes than this.
const WARM_BYTES: u64 = 4_000_000_000;
/// A topic that only fills the page cache, and one that warms up the path of a load.
const FILL: &str = "fill";
const WARM: &str = "warm";

/// Figures by name, in the order of the page.
pub type Figures = Vec<(String, f64)>;

/// Where and how a cell runs.
#[derive(Debug)]
pub struct Run<'a> {
    /// Who serves.
    pub broker: Broker,
    /// Shorter everything.
    pub quick: bool,
    warm_seconds: f64,
    binaries: &'a Binaries,
    folder: PathBuf,
    load: Group,
    server_cpu: Slot<f64>,
    warm_topic: Slot<bool>,
    /// The profile of each load that counts, when profiles are wanted.
    profiles: Option<RefCell<Vec<Profile>>>,
}

/// The load and the functions that the server was in.
pub type Profile = (String, Vec<String>);

impl<'a> Run<'a> {
    /// Prepares a run in a folder of its own.
    pub fn new(
        cell: &Cell,
        broker: Broker,
        binaries: &'a Binaries,
        root: &Path,
        quick: bool,
        warm: f64,
    ) -> Self {
        Self {
            broker,
            quick,
            warm_seconds: warm,
            binaries,
            folder: root.join(cell.id),
            load: Group::new("load", None),
            server_cpu: Slot::new(0.0),
            warm_topic: Slot::new(false),
            profiles: None,
        }
    }

    /// The same, looking where the server's time goes instead of how much it is.
    #[must_use]
    pub fn profiling(self) -> Self {
        Self { profiles: Some(RefCell::default()), ..self }
    }

    /// What was seen.
    pub fn into_profiles(self) -> Vec<Profile> {
        self.profiles.map(RefCell::into_inner).unwrap_or_default()
    }

    /// A fresh, formatted folder.
    pub fn place(&self, more: &[(&str, String)]) -> Result<Place> {
        self.warm_topic.set(false);
        Place::new(self.broker, &self.folder, self.binaries, more, &self.load)
    }

    /// A server in a fresh folder, its share of the page cache filled with what will be evicted first.
    pub fn warm_server(&self, more: &[(&str, String)]) -> Result<(Place, Server)> {
        let place = self.place(more)?;
        let server = place.start(true)?;
        let bytes = if self.quick { 100_000_000 } else { self.broker.memory_limit() / 100 * 105 };
        self.kbench(&server, &format!("create --topic {FILL} --partitions 4"))?;
        let load = format!("--partitions 4 --batch 1000000 --connections 2 --bytes {bytes}");
        self.kbench(&server, &format!("produce --topic {FILL} {load}"))?;
        self.settle()?;
        Ok((place, server))
    }

    /// Waits until all that was written so far is on disk: whoever forces it there, the server or the system, does so
    /// at a moment of its own, and a load that counts must not pay for what came before it.
    pub fn settle(&self) -> Result<()> {
        let folder = fs::File::open(&self.folder).with_context(|| self.folder.display().to_string())?;
        Ok(rustix::fs::syncfs(folder)?)
    }

    /// Lets a just-in-time compiler see the shape of a load before it counts; `{topic}` in the words
    /// stands for a scratch topic of four partitions.
    pub fn warm_up(&self, server: &Server, words: &str) -> Result<()> {
        // A native server, too, must have touched its buffers.
        let seconds = if self.broker.is_java() { self.warm_seconds } else { 0.3 };
        if !self.warm_topic.replace(true) {
            self.kbench(server, &format!("create --topic {WARM} --partitions 4"))?;
        }
        let words = words.replace("{topic}", WARM);
        let most = if words.starts_with("produce") {
            format!("--requests {WARM_REQUESTS} --bytes {WARM_BYTES}")
        } else {
            String::new()
        };
        self.kbench(server, &format!("{words} --seconds {seconds} {most}"))?;
        self.settle()
    }

    /// Seconds that the warm-up of this broker may take.
    pub fn warm_seconds(&self) -> f64 {
        if self.broker.is_java() { self.warm_seconds } else { 0.3 }
    }

    /// Runs the load generator against a server.
    pub fn kbench(&self, server: &Server, words: &str) -> Result<Value> {
        self.scheduled(server, words, &[])
    }

    /// The same with a real-time priority and perhaps on one CPU, as the server has them.
    pub fn prioritized(&self, server: &Server, words: &str, pinned: bool) -> Result<Value> {
        let before: &[&str] =
            if pinned { &["taskset", "-c", "0", "chrt", "-f", "10"] } else { &["chrt", "-f", "10"] };
        self.scheduled(server, words, before)
    }

    fn scheduled(&self, server: &Server, words: &str, before: &[&str]) -> Result<Value> {
        let log = self.folder.join(format!("kbench-{}.log", words.split(' ').next().unwrap_or_default()));
        let command = self.command(server, words, before);
        let recording = self.record(server, words)?;
        let (success, text) = process::output("kbench", &mut self.load.enter(&command), &log, PATIENCE)?;
        if !success {
            bail!("kbench {words}: {}; the server wrote:\n{}", process::tail(&text, 5), server.log_tail());
        }
        if let (Some(recording), Some(profiles)) = (recording, &self.profiles) {
            profiles.borrow_mut().push((words.to_owned(), recording.finish()?));
        }
        serde_json::from_str(text.lines().last().unwrap_or_default())
            .with_context(|| format!("kbench wrote {text}"))
    }

    /// A recording, if this is a load that counts.
    fn record(&self, server: &Server, words: &str) -> Result<Option<Recording>> {
        let counts =
            words.contains("--topic cell") && !words.starts_with("create") && !words.contains("verify");
        let wanted = self.profiles.is_some() && counts;
        wanted.then(|| Recording::start(server.id(), &self.folder)).transpose()
    }

    /// The load generator as a command in no group yet.
    pub fn command(&self, server: &Server, words: &str, before: &[&str]) -> Command {
        let (kind, words) = words.split_once(' ').unwrap_or((words, ""));
        let kbench = self.binaries.path("kbench");
        let begin: Vec<&OsStr> =
            before.iter().map(OsStr::new).chain([kbench.as_os_str(), OsStr::new(kind)]).collect();
        bootstrapped(&begin, server, words)
    }

    /// The load generator of groups, in the same way.
    pub fn kgroups(&self, server: &Server, words: &str) -> Command {
        bootstrapped(&[self.binaries.path("kgroups").as_os_str()], server, words)
    }

    /// Enters the group of the load.
    pub fn enter(&self, command: &Command) -> Command {
        self.load.enter(command)
    }

    /// Runs a load and tells what the server spent on it, in CPU seconds.
    pub fn measured(&self, server: &Server, words: &str) -> Result<(Value, f64)> {
        let before = server.cpu()?;
        let figures = self.kbench(server, words)?;
        Ok((figures, server.cpu()? - before))
    }

    /// Ends a server that is not needed any more.
    pub fn finish(&self, server: Server) -> Result<()> {
        self.spend(&server)?;
        server.kill()
    }

    /// Notes the CPU time of a server that is about to end.
    pub fn spend(&self, server: &Server) -> Result<()> {
        self.server_cpu.set(self.server_cpu.get() + server.cpu()?);
        Ok(())
    }

    /// CPU seconds of the servers and the loads of this run.
    pub fn own_cpu(&self) -> f64 {
        self.server_cpu.get() + self.load.cpu_seconds(std::process::id()).unwrap_or(0.0)
    }

    /// The server's program, when it is one file.
    pub fn program(&self) -> PathBuf {
        self.binaries.path(self.broker.name())
    }

    /// How CPU time was read.
    pub fn describe(&self) -> &'static str {
        self.load.describe()
    }
}

/// A command that begins with these words and is told where the server is.
fn bootstrapped(begin: &[&OsStr], server: &Server, words: &str) -> Command {
    let mut command = Command::new(begin[0]);
    command.args(&begin[1..]).args(["--bootstrap", &server.address]).args(words.split_whitespace());
    command
}

/// A number of the load generator's answer.
pub fn number(figures: &Value, path: &str) -> Result<f64> {
    let found = path.split('.').try_fold(figures, |value, name| value.get(name));
    found.and_then(Value::as_f64).with_context(|| format!("no {path} in {figures}"))
}

/// Names a figure.
pub fn figure(name: impl Into<String>, value: f64) -> (String, f64) {
    (name.into(), value)
}
