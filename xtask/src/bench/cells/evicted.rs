//! C2: a reader of data that has left the page cache, beside a producer that is watched.

use std::thread;

use anyhow::{Result, anyhow};

use crate::bench::broker::MEMORY;
use crate::bench::run::{Figures, Run, figure, number};

/// What the reader does to the producer.
pub const RAISE: &str = "rise of the producer's p99 by the reader, ms";

/// MB a second that the reader takes at most, so that it is the disk that is felt and not a lack of CPU.
const PACE: u32 = 250;

/// A smaller rise cannot be told from chance.
const LEAST: f64 = 0.1;

/// The loads.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Bytes that are written before, more than the memory limit.
    pub bytes: u64,
    /// Seconds of each watch.
    pub seconds: f64,
    /// Messages of 1 KiB a second.
    pub rate: f64,
}

/// Watches a producer alone, then beside a reader of old data.
pub fn run(run: &Run<'_>, shape: &Shape) -> Result<Figures> {
    let place = run.place(&[])?;
    let server = place.start(true)?;
    run.kbench(&server, "create --topic old --partitions 4")?;
    run.kbench(&server, "create --topic cell --partitions 1")?;
    // As much more as the broker may cache more, or nothing would be evicted.
    let bytes = shape.bytes + run.broker.memory_limit() - MEMORY;
    run.kbench(
        &server,
        &format!("produce --topic old --partitions 4 --batch 65536 --connections 2 --bytes {bytes}"),
    )?;
    let warm = run.warm_seconds();
    run.kbench(&server, &format!("latency --topic cell --rate 5000 --warm-seconds 0 --seconds {warm}"))?;
    run.settle()?;
    let watch = format!("latency --topic cell --rate {} --seconds {}", shape.rate, shape.seconds);
    server.prioritize(false)?;
    let alone = run.prioritized(&server, &watch, false)?;
    let seconds = shape.seconds + 2.0;
    let read = format!(
        "consume --topic old --partitions 4 --mode discard --loops 1000 --seconds {seconds} --mb-per-s {PACE}"
    );
    let (beside, reader) = thread::scope(|scope| {
        let command = run.command(&server, &read, &[]);
        let mut command = run.enter(&command);
        let reader = scope.spawn(move || command.output());
        let beside = run.prioritized(&server, &watch, false)?;
        let output = reader.join().map_err(|_| anyhow!("the reader died"))??;
        anyhow::Ok((beside, output))
    })?;
    let reader: serde_json::Value = serde_json::from_slice(&reader.stdout)
        .map_err(|_| anyhow!("the reader failed: {}", String::from_utf8_lossy(&reader.stderr)))?;
    let before = number(&alone, "ack.p99_us")? / 1e3;
    let after = number(&beside, "ack.p99_us")? / 1e3;
    let figures = vec![
        figure("producer's p99 alone, ms", before),
        figure("producer's p99 beside the reader, ms", after),
        figure(RAISE, (after - before).max(LEAST)),
        figure("producer's worst beside the reader, ms", number(&beside, "ack.max_us")? / 1e3),
        figure("the reader, MB/s", number(&reader, "mb_per_s")?),
    ];
    run.finish(server)?;
    Ok(figures)
}
