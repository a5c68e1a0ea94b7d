//! L1: an open loop at several rates, from the intended time of sending.

use anyhow::Result;

use super::produce::ANONYMOUS;
use crate::bench::run::{Figures, Run, figure, number};

/// Seconds that count at each rate.
const SECONDS: f64 = 6.0;

/// Above this rate nobody has a real-time priority: a broker that then fills a CPU would be stopped for
/// 50 ms of each second by the kernel, and that would be measured.
const PRIORITY_MAX: f64 = 5000.0;

/// An open loop.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Bytes of a record's value.
    pub message: usize,
    /// Partitions of the topic.
    pub partitions: usize,
    /// Everything on one CPU.
    pub pinned: bool,
    /// Messages a second.
    pub rates: &'static [f64],
}

/// One server, all rates, the lowest first.
pub fn run(run: &Run<'_>, shape: &Shape) -> Result<Figures> {
    let (_place, server) = run.warm_server(&[])?;
    let Shape { message, partitions, pinned, rates } = *shape;
    let words = format!("latency --partitions {partitions} --message {message}");
    run.kbench(&server, &format!("create --topic cell --partitions {partitions}"))?;
    let warm = run.warm_seconds();
    run.kbench(&server, &format!("{words} --topic cell --rate 5000 --warm-seconds 0 --seconds {warm}"))?;
    run.settle()?;
    server.prioritize(pinned)?;
    let mut prioritized = true;
    let seconds = if run.quick { 3.0 } else { SECONDS };
    let mut figures = Figures::new();
    for rate in rates {
        let load = format!("{words} --topic cell --rate {rate} --seconds {seconds}");
        if *rate > PRIORITY_MAX && prioritized {
            server.release()?;
            prioritized = false;
        }
        let before = server.cpu()?;
        let seen =
            if prioritized { run.prioritized(&server, &load, pinned)? } else { run.kbench(&server, &load)? };
        let cpu = server.cpu()? - before;
        let mut add = |name: &str, value: f64| figures.push(figure(format!("{rate}/s: {name}"), value));
        add("CPU µs for each message", cpu / number(&seen, "messages")? * 1e6);
        for (name, path) in [("acknowledged", "ack"), ("end to end", "end_to_end")] {
            for (quantile, field) in [("p50", "p50_us"), ("p99", "p99_us"), ("p99.9", "p999_us")] {
                add(&format!("{name} {quantile}, µs"), number(&seen, &format!("{path}.{field}"))?);
            }
        }
        add("generator late p50, µs (shown)", number(&seen, "generator_late.p50_us")?);
        add("messages in each request (shown)", number(&seen, "messages")? / number(&seen, "requests")?);
    }
    run.kbench(&server, &format!("consume --topic cell --partitions {partitions} --mode verify"))?;
    figures.push(figure(ANONYMOUS, server.status_mib("RssAnon")?));
    run.finish(server)?;
    Ok(figures)
}
