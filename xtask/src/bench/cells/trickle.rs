//! U1: CPU time with next to nothing to do.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::bench::run::{Figures, Run, figure, number};

/// Idles, then serves 10 and 1,000 messages of 1 KiB a second with one long-polling consumer.
pub fn run(run: &Run<'_>) -> Result<Figures> {
    let place = run.place(&[])?;
    let server = place.start(true)?;
    run.kbench(&server, "create --topic cell --partitions 1")?;
    let warm = run.warm_seconds();
    run.kbench(&server, &format!("latency --topic cell --rate 3000 --warm-seconds 0 --seconds {warm}"))?;
    // What a warm-up leaves to do must be over.
    run.settle()?;
    thread::sleep(Duration::from_secs(2));
    let mut figures = Figures::new();
    let idle = if run.quick { 3.0 } else { 8.0 };
    let (cpu, wake_ups) = (server.cpu()?, server.wake_ups()?);
    thread::sleep(Duration::from_secs_f64(idle));
    figures.push(figure("idle: CPU ms for each second", (server.cpu()? - cpu) / idle * 1e3));
    figures.push(figure("idle: wake-ups for each second", (server.wake_ups()? - wake_ups) / idle));
    for (rate, seconds) in [(10, if run.quick { 4 } else { 10 }), (1000, if run.quick { 3 } else { 6 })] {
        let (cpu, wake_ups) = (server.cpu()?, server.wake_ups()?);
        let load = format!("latency --topic cell --rate {rate} --warm-seconds 0 --seconds {seconds}");
        let seen = run.kbench(&server, &load)?;
        let messages = number(&seen, "messages")?;
        let mut add = |name: &str, value: f64| figures.push(figure(format!("{rate}/s: {name}"), value));
        add("CPU µs for each message", (server.cpu()? - cpu) / messages * 1e6);
        add("wake-ups for each message", (server.wake_ups()? - wake_ups) / messages);
    }
    run.finish(server)?;
    Ok(figures)
}
