//! `ottla server`: from a configuration file to a running node, until a signal stops it.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ottla_common::config::parse_properties;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::config::{KafkaConfig, Properties};
use crate::logging;
use crate::node::Node;

/// What the command line asks for.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// The configuration file; none is development mode.
    pub file: Option<String>,
    /// `--override key=value`, in order.
    pub overrides: Vec<(String, String)>,
}

/// Folder of development mode.
pub const DEV_DATA_DIR: &str = "ottla-data";

/// Configuration of development mode: one node on the loopback interface.
pub fn development_properties() -> Properties {
    let rows = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"),
        ("advertised.listeners", "PLAINTEXT://127.0.0.1:9092"),
        ("controller.listener.names", "CONTROLLER"),
        ("controller.quorum.voters", "1@127.0.0.1:9093"),
        ("log.dirs", DEV_DATA_DIR),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
    ];
    rows.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect::<BTreeMap<_, _>>()
}

/// Reads the file and the overrides.
pub fn load_config(options: &ServerOptions) -> Result<(KafkaConfig, Vec<String>), String> {
    let properties = match &options.file {
        None => development_properties(),
        Some(file) => {
            let bytes = std::fs::read(Path::new(file)).map_err(|e| format!("Cannot read {file}: {e}"))?;
            parse_properties(&bytes).map_err(|e| format!("{file}: {e}"))?
        }
    };
    let (config, warnings) =
        KafkaConfig::from_properties(&properties, &options.overrides).map_err(|e| e.to_string())?;
    Ok((config, warnings.into_iter().map(|w| w.to_string()).collect()))
}

/// Runs a node until SIGTERM or SIGINT. The error is for standard error.
pub fn run(options: &ServerOptions) -> Result<(), String> {
    let started = Instant::now();
    refuse_huge_pages();
    logging::init();
    let (config, warnings) = load_config(options)?;
    warnings.iter().for_each(|w| warn!(logger = "kafka.server.KafkaConfig", "{w}"));
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("Cannot start the runtime: {e}"))?;
    runtime.block_on(serve(Arc::new(config), started))
}

async fn serve(config: Arc<KafkaConfig>, started: Instant) -> Result<(), String> {
    let signals =
        || -> io::Result<_> { Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)) };
    let (mut terminate, mut interrupt) = signals().map_err(|e| format!("Cannot listen for signals: {e}"))?;
    let node = tokio::select! {
        node = Node::start(config.clone()) => node.map_err(|e| e.to_string())?,
        // Nothing serves yet; the next start recovers what this one began.
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    if io::stdout().is_terminal() {
        banner(&config, &node, started);
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!(logger = "kafka.server.BrokerServer", "Transition from STARTED to SHUTTING_DOWN");
    node.stop().await;
    Ok(())
}

fn banner(config: &KafkaConfig, node: &Node, started: Instant) {
    let bootstrap: Vec<String> = node.bootstrap_addresses().iter().map(ToString::to_string).collect();
    let memory = resident_kib().map_or(String::new(), |kib| format!("{:.1} MiB", kib as f64 / 1024.0));
    println!("Ottla {} — Apache Kafka 4.4 protocol", env!("CARGO_PKG_VERSION"));
    println!("  bootstrap.servers  {}", bootstrap.join(","));
    println!("  data               {}", config.log_dirs.join(","));
    println!("  started in         {} ms", started.elapsed().as_millis());
    println!("  memory             {memory}");
}

/// Memory of this process that is in RAM.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// With huge pages, 2 MiB are taken for the first byte that is used of them, and the allocator asks for such:
/// ten thousand idle partitions held twice the memory they needed. Producing costs the same CPU without,
/// fetching no more. An old kernel cannot be asked, and does as it likes.
fn refuse_huge_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// A broker holds a file per segment and a socket per client; the system's soft limit is for shells.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(e) = setrlimit(Resource::Nofile, raised) {
            warn!(
                logger = "kafka.server.KafkaRaftServer",
                "The limit of open files stays at {:?}: {e}", limit.current
            );
        }
    }
}
