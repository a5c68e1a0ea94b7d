//! The server under test: Apache Kafka itself or Ottla, on a folder and a `server.properties`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use anyhow::{Context, Result, bail};

use crate::paths;
use crate::process::{self, Running};
use crate::wire::Client;

/// How long a server may take until it answers ApiVersions.
const START: Duration = Duration::from_secs(90);
/// How long a clean stop may take.
const STOP: Duration = Duration::from_secs(60);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Apache Kafka on the Java virtual machine.
    Kafka,
    /// `target/release/ottla`.
    Ottla,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kafka => "kafka",
            Self::Ottla => "ottla",
        })
    }
}

/// How the quorum of one is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quorum {
    /// `controller.quorum.voters` (kraft.version 0).
    Static,
    /// `controller.quorum.bootstrap.servers` and `format --standalone` (kraft.version 1).
    Dynamic,
}

/// A node's folder, ports and configuration; outlives the processes that run on it.
#[derive(Debug)]
pub struct Node {
    folder: PathBuf,
    port: u16,
    quorum: Quorum,
    /// Whether Kafka runs as its own scripts run it.
    shipped: bool,
    starts: std::cell::Cell<u32>,
}

impl Node {
    /// Writes a fresh `server.properties` and nothing else.
    pub fn new(name: &str, quorum: Quorum, more: &[(&str, &str)]) -> Result<Self> {
        let folder = paths::interop().join("nodes").join(format!("{name}-{}", std::process::id()));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let [port, controller] = free_ports()?;
        let node = Self { folder, port, quorum, shipped: false, starts: 0.into() };
        fs::write(node.properties(), node.configuration(controller, more))?;
        Ok(node)
    }

    /// Has Kafka run as its own scripts run it: its figures are to be compared.
    pub fn shipped(mut self) -> Self {
        self.shipped = true;
        self
    }

    fn configuration(&self, controller: u16, more: &[(&str, &str)]) -> String {
        let port = self.port;
        let logs = self.logs().display().to_string();
        let mut keys: BTreeMap<&str, String> = BTreeMap::new();
        let mut put = |key, value: &str| keys.insert(key, value.to_owned());
        put("process.roles", "broker,controller");
        put("node.id", "1");
        put("listeners", &format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"));
        put("advertised.listeners", &format!("PLAINTEXT://127.0.0.1:{port}"));
        put("controller.listener.names", "CONTROLLER");
        put("inter.broker.listener.name", "PLAINTEXT");
        put("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT");
        put("log.dirs", &logs);
        put("offsets.topic.num.partitions", "5");
        put("offsets.topic.replication.factor", "1");
        put("transaction.state.log.num.partitions", "5");
        put("transaction.state.log.replication.factor", "1");
        put("transaction.state.log.min.isr", "1");
        put("share.coordinator.state.topic.replication.factor", "1");
        put("share.coordinator.state.topic.min.isr", "1");
        // The tests' records carry old time stamps on purpose.
        put("log.retention.ms", "-1");
        put("group.initial.rebalance.delay.ms", "0");
        match self.quorum {
            Quorum::Static => put("controller.quorum.voters", &format!("1@127.0.0.1:{controller}")),
            Quorum::Dynamic => put("controller.quorum.bootstrap.servers", &format!("127.0.0.1:{controller}")),
        };
        for (key, value) in more {
            put(key, value);
        }
        keys.iter().fold(String::new(), |mut text, (key, value)| {
            let _ = writeln!(text, "{key}={value}");
            text
        })
    }

    /// The configuration file.
    pub fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    /// The only entry of `log.dirs`.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// `host:port` of the client listener.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Formats the storage with the given side's own tool.
    pub fn format(&self, side: Side) -> Result<()> {
        let mut command = match side {
            Side::Kafka => java("kafka.tools.StorageTool", "256m")?,
            Side::Ottla => {
                let mut command = Command::new(paths::ottla());
                command.arg("storage");
                command
            }
        };
        command.args(["format", "-t", "5L6g3nShT-eMCtKbXf8GpQ", "-c"]).arg(self.properties());
        if self.quorum == Quorum::Dynamic {
            command.arg("--standalone");
        }
        let log = self.folder.join("format.log");
        process::succeed(&format!("{side}'s storage format"), &mut command, &log, START)?;
        Ok(())
    }

    /// Starts the given side on this folder and waits until it answers.
    pub fn start(&self, side: Side) -> Result<Server> {
        self.start_under(side, &[])
    }

    /// As [`Self::start`], by a command before the server's own.
    pub fn start_under(&self, side: Side, before: &[&str]) -> Result<Server> {
        let number = self.starts.get() + 1;
        self.starts.set(number);
        let log = self.folder.join(format!("{side}-{number}.log"));
        let mut command = match side {
            Side::Kafka => {
                let mut command =
                    if self.shipped { java_as_shipped()? } else { java("kafka.Kafka", "512m")? };
                command.arg(self.properties());
                command
            }
            Side::Ottla => {
                let mut command = Command::new(paths::ottla());
                command.arg("server").arg(self.properties());
                command
            }
        };
        if let [program, args @ ..] = before {
            let mut outer = Command::new(program);
            outer.args(args).arg(command.get_program()).args(command.get_args());
            command = outer;
        }
        command.current_dir(&self.folder);
        let begin = Instant::now();
        let running = Running::start(&format!("{side} server"), &mut command, &log)?;
        let mut server = Server { bootstrap: self.bootstrap(), running, log, until_answer: Duration::ZERO };
        server.await_answer(begin)?;
        Ok(server)
    }

    /// Formats and starts in one.
    pub fn launch(&self, side: Side) -> Result<Server> {
        self.format(side)?;
        self.start(side)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !std::thread::panicking() && std::env::var_os("KEEP_NODES").is_none() {
            let _ = fs::remove_dir_all(self.logs());
        }
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    bootstrap: String,
    running: Running,
    log: PathBuf,
    until_answer: Duration,
}

impl Server {
    fn await_answer(&mut self, begin: Instant) -> Result<()> {
        let address = self.bootstrap.clone();
        loop {
            let answered = Client::connect(&address).and_then(|mut client| client.api_versions());
            if answered.is_ok_and(|versions| !versions.is_empty()) {
                self.until_answer = begin.elapsed();
                return Ok(());
            }
            if let Some(status) = self.running.ended()? {
                bail!("the server ended at once ({status}); it wrote:\n{}", self.log_tail());
            }
            if begin.elapsed() > START {
                bail!("no answer to ApiVersions within {START:?}; the server wrote:\n{}", self.log_tail());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// `host:port` of the client listener.
    pub fn bootstrap(&self) -> String {
        self.bootstrap.clone()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// From the start of the process to the first answered ApiVersions.
    pub fn until_answer(&self) -> Duration {
        self.until_answer
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.running.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.split_whitespace().nth(1).context("VmRSS has no number")?.parse()?;
        Ok(kib * 1024)
    }

    /// Fails when the process has ended.
    pub fn expect_running(&mut self) -> Result<()> {
        match self.running.ended()? {
            Some(status) => bail!("the server ended ({status}); it wrote:\n{}", self.log_tail()),
            None => Ok(()),
        }
    }

    /// Everything this process has written.
    pub fn log_text(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last lines of what the server wrote.
    pub fn log_tail(&self) -> String {
        process::tail(&self.log_text(), 20)
    }

    /// Stops with SIGTERM, which must be a clean stop.
    pub fn stop(self) -> Result<()> {
        let log = self.log.clone();
        let status = self.running.terminate(STOP)?;
        // A Java virtual machine that SIGTERM has stopped answers 143, supervisors know that.
        if status.code() == Some(0) || status.code() == Some(143) {
            return Ok(());
        }
        let text = fs::read(&log)?;
        bail!("SIGTERM ended in {status}; it wrote:\n{}", process::tail(&String::from_utf8_lossy(&text), 20))
    }

    /// kill -9.
    pub fn kill(self) -> Result<()> {
        self.running.kill()
    }
}

/// What `kafka-run-class.sh` and `kafka-server-start.sh` give the virtual machine.
pub const SHIPPED: &[&str] = &[
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:MaxInlineLevel=15",
    "-Djava.awt.headless=true",
];

/// Kafka's server with those.
fn java_as_shipped() -> Result<Command> {
    let mut command = Command::new("java");
    command.args(SHIPPED).args(logging("INFO")).args(class_path(&paths::jars())?).arg("kafka.Kafka");
    Ok(command)
}

/// A command that runs one main class of Kafka's jars, for a short life.
pub fn java(main: &str, heap: &str) -> Result<Command> {
    let tool = main.starts_with("org.apache.kafka.tools.") || main.starts_with("kafka.admin.");
    let jars = if tool { paths::tool_jars() } else { paths::jars() };
    let level = if main == "kafka.Kafka" { "INFO" } else { "WARN" };
    let mut command = Command::new("java");
    command
        .arg(format!("-Xmx{heap}"))
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"])
        .args(logging(level))
        .args(class_path(&jars)?)
        .arg(main);
    Ok(command)
}

fn logging(level: &str) -> [String; 2] {
    let configuration = paths::root().join("tests/java/log4j2.properties");
    [
        format!("-Dottla.tests.level={level}"),
        format!("-Dlog4j2.configurationFile={}", configuration.display()),
    ]
}

fn class_path(jars: &Path) -> Result<[String; 2]> {
    if !jars.is_dir() {
        bail!("{} is missing: run `cargo xtask test` once", jars.display());
    }
    let path = format!("{}:{}/*", paths::java_classes().display(), jars.display());
    Ok(["-cp".to_owned(), path])
}

/// Ports that nobody uses right now.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
