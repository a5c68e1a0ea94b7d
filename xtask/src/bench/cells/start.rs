//! S1 and S2: from the start of the process to its first answers, and what it needs at rest.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::bench::broker::Server;
use crate::bench::run::{Figures, Run, figure};

/// From the start of the process to the first answered ApiVersions.
pub const ANSWER: &str = "start to ApiVersions, ms";
/// From SIGTERM to the end of the process.
pub const STOP: &str = "SIGTERM to the end, ms";
/// Memory after a while of doing nothing.
pub const RESIDENT: &str = "resident at idle, MiB";

/// What is there before the start.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Partitions, in topics of at most a thousand.
    pub partitions: usize,
    /// Bytes of log.
    pub bytes: u64,
    /// kill -9 instead of a clean stop.
    pub killed: bool,
}

/// Fills, stops, starts, looks, stops.
pub fn run(run: &Run<'_>, shape: &Shape) -> Result<Figures> {
    let place = run.place(&[])?;
    let mut figures = Figures::new();
    let first = place.start(false)?;
    if shape.partitions == 1 && shape.bytes == 0 {
        figures.push(figure("first start to ApiVersions, ms", milliseconds(first.until_answer)));
    }
    let topics = shape.partitions.div_ceil(1000);
    let each = shape.partitions / topics;
    run.kbench(&first, &format!("create --topic cell --topics {topics} --partitions {each}"))?;
    let bytes = if run.quick { shape.bytes.min(1_000_000_000) } else { shape.bytes };
    let load = if bytes > 0 {
        format!("--batch 1000000 --connections 2 --bytes {bytes}")
    } else {
        // One small batch for each partition, so that every log has something.
        format!("--batch 1 --message 100 --requests {}", shape.partitions)
    };
    run.kbench(&first, &format!("produce --topic cell --topics {topics} --partitions {each} {load}"))?;
    run.spend(&first)?;
    if shape.killed {
        first.kill()?
    } else {
        first.stop().map(drop)?
    }
    if run.broker == crate::bench::broker::Broker::Floor {
        // It forgets everything, so that only its start can be told.
        let server = place.start(false)?;
        figures.push(figure(ANSWER, milliseconds(server.until_answer)));
        run.finish(server)?;
        return Ok(figures);
    }
    let begin = Instant::now();
    let server = place.start(false)?;
    figures.push(figure(ANSWER, milliseconds(server.until_answer)));
    figures.push(figure(
        "start to the first acknowledgement, ms",
        first_use(run, &server, begin, topics, "produce --batch 1 --requests 1")?,
    ));
    figures.push(figure(
        "start to the first fetch, ms",
        first_use(run, &server, begin, topics, "consume --seconds 0.001 --mode copy")?,
    ));
    figures.push(figure("start, CPU s", server.cpu()?));
    std::thread::sleep(Duration::from_secs(if run.quick { 2 } else { 5 }));
    figures.push(figure(RESIDENT, server.status_mib("VmRSS")?));
    figures.push(figure("anonymous at idle, MiB", server.status_mib("RssAnon")?));
    figures.push(figure("most resident since the start, MiB", server.status_mib("VmHWM")?));
    run.spend(&server)?;
    figures.push(figure(STOP, server.stop()?));
    Ok(figures)
}

/// Awaits that a first request succeeds, on partition 0 of the first topic.
fn first_use(run: &Run<'_>, server: &Server, begin: Instant, topics: usize, words: &str) -> Result<f64> {
    let topic = if topics == 1 { "cell" } else { "cell-000000" };
    let (kind, rest) = words.split_once(' ').unwrap_or((words, ""));
    loop {
        match run.kbench(server, &format!("{kind} --topic {topic} {rest}")) {
            Ok(_) => return Ok(milliseconds(begin.elapsed())),
            Err(error) if begin.elapsed() > Duration::from_secs(300) => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
