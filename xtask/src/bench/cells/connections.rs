//! N2: what many connections cost, and a storm of new ones.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::bench::run::{Figures, Run, figure, number};

/// The server's own memory and what the kernel keeps for its ends.
pub const MEMORY: &str = "memory, its own and the kernel's, KiB for each idle connection";

/// How many.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Connections that have asked once and then say nothing.
    pub idle: usize,
}

/// Opens and holds connections, produces over others, and lets a storm come.
pub fn run(run: &Run<'_>, shape: &Shape) -> Result<Figures> {
    let more = [("max.connections", "40000".to_owned()), ("connections.max.idle.ms", "3600000".to_owned())];
    let place = run.place(&more)?;
    let server = place.start(true)?;
    run.warm_up(&server, "produce --topic {topic} --partitions 4 --connections 20")?;
    let kernel = || server.group.kernel_bytes().unwrap_or(0.0) / 1024.0;
    let (before, kernel_before) = (server.status_mib("RssAnon")?, kernel());
    let cpu = server.cpu()?;
    let command = run.command(&server, &format!("idle --connections {}", shape.idle), &[]);
    let mut command = run.enter(&command);
    let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(holder.stdout.take().context("no output")?).lines();
    let line = lines.next().context("the connections could not be opened")??;
    let opened: serde_json::Value = serde_json::from_str(&line)?;
    let open_cpu = server.cpu()? - cpu;
    let held = (server.status_mib("RssAnon")? - before) * 1024.0;
    let held_by_kernel = kernel() - kernel_before;
    run.kbench(&server, "create --topic cell --partitions 4")?;
    let load =
        "produce --topic cell --partitions 4 --connections 100 --in-flight 1 --seconds 4 --bytes 400000000";
    let (produced, produce_cpu) = run.measured(&server, load)?;
    // Its input ends, it asks on each connection once more and leaves.
    holder.stdin.take().context("no input")?.write_all(b"\n")?;
    let last = lines.next();
    if !holder.wait()?.success() {
        bail!("of {} connections, not all were alive at the end: {last:?}", shape.idle);
    }
    let (storm, storm_cpu) = run.measured(&server, "storm --rate 5000 --seconds 3")?;
    let idle = shape.idle as f64;
    let figures = vec![
        figure(MEMORY, ((held + held_by_kernel) / idle).max(0.001)),
        figure("the kernel's part of it, KiB", (held_by_kernel / idle).max(0.001)),
        figure("open and ask once, CPU µs for each connection", open_cpu / idle * 1e6),
        figure("open and ask once, connections/s", number(&opened, "per_s")?),
        figure(
            "produce 16 KiB over 100 others, CPU s for each GB",
            produce_cpu / number(&produced, "bytes")? * 1e9,
        ),
        figure(
            "storm of 5,000/s: CPU µs for each connection",
            storm_cpu / number(&storm, "connections")? * 1e6,
        ),
        figure("storm of 5,000/s: p99 from the intended time, µs", number(&storm, "latency.p99_us")?),
    ];
    run.finish(server)?;
    Ok(figures)
}
