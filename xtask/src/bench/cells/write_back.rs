//! L2: a long open loop while the kernel writes back what was appended.

use anyhow::Result;

use crate::bench::run::{Figures, Run, figure, number};

/// The longest a message waited.
pub const WORST: &str = "worst acknowledgement, ms";

/// Records of 1 KiB in each batch.
const RECORDS: usize = 15;

/// The load.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// How long it lasts.
    pub seconds: f64,
    /// Bytes that it writes at least.
    pub least_bytes: u64,
}

/// An open loop of batches at the rate that writes what the shape asks for in its time. Half of Apache
/// Kafka's peak on this machine is above 40 MB/s with these batches, so every broker gets 40 MB/s.
pub fn run(run: &Run<'_>, shape: &Shape) -> Result<Figures> {
    let (_place, server) = run.warm_server(&[])?;
    let (seconds, least) =
        if run.quick { (10.0, 400_000_000.0) } else { (shape.seconds, shape.least_bytes as f64) };
    let rate = (least / seconds / 1024.0).max(40e6 / 1024.0);
    run.kbench(&server, "create --topic cell --partitions 4")?;
    let words =
        format!("latency --topic cell --partitions 4 --records {RECORDS} --in-flight 20 --rate {rate:.0}");
    run.kbench(&server, &format!("{words} --warm-seconds 0 --seconds {}", run.warm_seconds()))?;
    run.settle()?;
    server.prioritize(false)?;
    let before = server.cpu()?;
    let seen = run.prioritized(&server, &format!("{words} --seconds {seconds}"), false)?;
    let cpu = server.cpu()? - before;
    let mut figures = Figures::new();
    for (quantile, field) in [("p50", "p50_us"), ("p99", "p99_us"), ("p99.9", "p999_us")] {
        figures.push(figure(format!("acknowledged {quantile}, µs"), number(&seen, &format!("ack.{field}"))?));
    }
    figures.push(figure(WORST, number(&seen, "ack.max_us")? / 1e3));
    figures.push(figure("end to end p99.9, ms", number(&seen, "end_to_end.p999_us")? / 1e3));
    figures.push(figure("CPU s for each GB", cpu / (number(&seen, "messages")? * 1024.0 / 1e9)));
    run.finish(server)?;
    Ok(figures)
}
