//! The brokers that are compared, each in a fresh folder and a control group of its own.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::cgroup::Group;
use crate::paths;
use crate::process::{self, Running};
use crate::server::{SHIPPED, free_ports};
use crate::wire::Client;

/// How long a start or a stop may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Page cache that every server may use beside its declared heap.
pub const MEMORY: u64 = 1_200_000_000;
/// The declared heap of a Java virtual machine.
const HEAP: u64 = 1 << 30;

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broker {
    /// `target/release/ottla`, or the binary that `OTTLA` names.
    Ottla,
    /// The least that a broker must do.
    Floor,
    /// Apache Kafka with its defaults.
    Kafka,
    /// Apache Kafka with two network and two I/O threads, as the machine has cores.
    Kafka22,
}

impl Broker {
    /// All of them, in the order of the page's columns.
    pub const ALL: [Self; 4] = [Self::Ottla, Self::Floor, Self::Kafka, Self::Kafka22];

    /// The name on the command line and on the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ottla => "ottla",
            Self::Floor => "floor",
            Self::Kafka => "kafka",
            Self::Kafka22 => "kafka-2-2",
        }
    }

    /// Whether a just-in-time compiler has to become warm.
    pub fn is_java(self) -> bool {
        matches!(self, Self::Kafka | Self::Kafka22)
    }

    /// The limit of its control group.
    pub fn memory_limit(self) -> u64 {
        if self.is_java() { MEMORY + HEAP } else { MEMORY }
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Binaries that were copied when the campaign began, so that builds meanwhile change nothing.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// Where the copies are.
    pub folder: PathBuf,
}

impl Binaries {
    /// One of the copies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// A broker's folder and ports; outlives the processes that run on it.
#[derive(Debug)]
pub struct Place {
    broker: Broker,
    folder: PathBuf,
    ports: [u16; 2],
    binaries: Binaries,
}

impl Place {
    /// A fresh, formatted folder.
    pub fn new(
        broker: Broker,
        root: &Path,
        binaries: &Binaries,
        more: &[(&str, String)],
        load: &Group,
    ) -> Result<Self> {
        let folder = root.join(broker.name());
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let place = Self { broker, folder, ports: free_ports()?, binaries: binaries.clone() };
        if broker != Broker::Floor {
            fs::write(place.properties(), place.configuration(more))?;
            place.format(load)?;
        }
        Ok(place)
    }

    fn configuration(&self, more: &[(&str, String)]) -> String {
        let [port, controller] = self.ports;
        let logs = self.logs().display().to_string();
        let mut text = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
             log.dirs={logs}\noffsets.topic.replication.factor=1\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
        );
        if self.broker == Broker::Kafka22 {
            text.push_str("num.network.threads=2\nnum.io.threads=2\n");
        }
        for (key, value) in more {
            text.push_str(&format!("{key}={value}\n"));
        }
        text
    }

    fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    /// Where the data is.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, java_main: &str, word: &str) -> Command {
        if !self.broker.is_java() {
            let mut command = Command::new(self.binaries.path("ottla"));
            command.arg(word);
            return command;
        }
        let mut command = Command::new("java");
        command.args(SHIPPED).arg("-Dottla.tests.level=WARN");
        let logging = paths::root().join("tests/java/log4j2.properties");
        command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
        command.arg("-cp").arg(format!("{}/*", paths::jars().display())).arg(java_main);
        command
    }

    fn format(&self, load: &Group) -> Result<()> {
        let mut command = self.command("kafka.tools.StorageTool", "storage");
        command.args(["format", "-t", "5L6g3nShT-eMCtKbXf8GpQ", "--standalone", "-c"]).arg(self.properties());
        process::succeed(
            "storage format",
            &mut load.enter(&command),
            &self.folder.join("format.log"),
            PATIENCE,
        )?;
        Ok(())
    }

    /// Starts a process and waits until it answers ApiVersions.
    pub fn start(&self, limited: bool) -> Result<Server> {
        let mut command = if self.broker == Broker::Floor {
            let mut command = Command::new(self.binaries.path("floor"));
            command.arg(format!("127.0.0.1:{}", self.ports[0])).arg(self.logs());
            command
        } else {
            let mut command = self.command("kafka.Kafka", "server");
            command.arg(self.properties());
            command
        };
        command.current_dir(&self.folder);
        let group = Group::new("server", limited.then(|| self.broker.memory_limit()));
        let begin = Instant::now();
        let log = self.folder.join("server.log");
        let running = Running::start(self.broker.name(), &mut group.enter(&command), &log)?;
        let address = format!("127.0.0.1:{}", self.ports[0]);
        let mut server =
            Server { broker: self.broker, running, group, address, log, until_answer: Duration::ZERO };
        server.await_answer(begin)?;
        Ok(server)
    }
}

impl Drop for Place {
    /// Removes the folder; one of very many files only when the campaign is over. The file system passes by inodes that
    /// were removed within the last seconds, and looks at each of them for every file that the next broker makes.
    fn drop(&mut self) {
        let aside = self.binaries.folder.with_file_name("set-aside");
        let many = fs::read_dir(self.logs()).is_ok_and(|entries| entries.count() > MANY_FOLDERS);
        let name = format!("{}-{}", self.ports[0], std::process::id());
        let moved = many && fs::create_dir_all(&aside).is_ok() && {
            let to = (0..).map(|n| aside.join(format!("{name}-{n}"))).find(|to| !to.exists());
            to.is_some_and(|to| fs::rename(&self.folder, to).is_ok())
        };
        if !moved {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// So many folders of partitions are removed only at the end.
const MANY_FOLDERS: usize = 500;

/// A running broker; killed when dropped.
#[derive(Debug)]
pub struct Server {
    /// Who it is.
    pub broker: Broker,
    /// `host:port` of the client listener.
    pub address: String,
    /// From the start of the process to the first answered ApiVersions.
    pub until_answer: Duration,
    running: Running,
    /// Its control group.
    pub group: Group,
    log: PathBuf,
}

impl Server {
    fn await_answer(&mut self, begin: Instant) -> Result<()> {
        loop {
            let answer = Client::connect(&self.address).and_then(|mut client| client.api_versions());
            if answer.is_ok_and(|versions| !versions.is_empty()) {
                self.until_answer = begin.elapsed();
                return Ok(());
            }
            let ended = self.running.ended()?;
            if ended.is_some() || begin.elapsed() > PATIENCE {
                bail!("{} does not answer ({ended:?}); it wrote:\n{}", self.broker, self.log_tail());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The last lines of what it wrote.
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        process::tail(&String::from_utf8_lossy(&text), 15)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// CPU seconds so far.
    pub fn cpu(&self) -> Result<f64> {
        self.group.cpu_seconds(self.id())
    }

    /// A figure of `/proc/PID/status` in MiB.
    pub fn status_mib(&self, name: &str) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.split_whitespace().next()).context("no such figure")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    }

    /// Bytes that it caused to be written to a disk.
    pub fn written_bytes(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/io", self.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        Ok(line.context("no write_bytes")?.trim().parse()?)
    }

    /// Voluntary context switches of all its threads: how often one of them went to sleep.
    pub fn wake_ups(&self) -> Result<f64> {
        let mut sum = 0.0;
        for task in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let Ok(text) = fs::read_to_string(task?.path().join("status")) else { continue };
            let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            sum += line.and_then(|line| line.trim().parse::<f64>().ok()).unwrap_or(0.0);
        }
        Ok(sum)
    }

    /// Real-time priority for all its threads, and one CPU for them if wished.
    pub fn prioritize(&self, pinned: bool) -> Result<()> {
        let id = self.id().to_string();
        let log = self.log.with_file_name("schedule.log");
        process::succeed("chrt", Command::new("chrt").args(["-a", "-f", "-p", "10", &id]), &log, PATIENCE)?;
        if pinned {
            process::succeed(
                "taskset",
                Command::new("taskset").args(["-a", "-c", "-p", "0", &id]),
                &log,
                PATIENCE,
            )?;
        }
        Ok(())
    }

    /// Takes the real-time priority away again.
    pub fn release(&self) -> Result<()> {
        let id = self.id().to_string();
        let log = self.log.with_file_name("schedule.log");
        process::succeed("chrt", Command::new("chrt").args(["-a", "-o", "-p", "0", &id]), &log, PATIENCE)?;
        Ok(())
    }

    /// SIGTERM until the process is gone, in milliseconds.
    pub fn stop(self) -> Result<f64> {
        let begin = Instant::now();
        let floor = self.broker == Broker::Floor;
        let status = self.running.terminate(PATIENCE)?;
        let took = begin.elapsed().as_secs_f64() * 1e3;
        if !floor && status.code() != Some(0) && status.code() != Some(143) {
            bail!("SIGTERM ended in {status}");
        }
        Ok(took)
    }

    /// kill -9.
    pub fn kill(self) -> Result<()> {
        self.running.kill()
    }
}
