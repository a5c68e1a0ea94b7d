//! N1: what many partitions cost to make, to have and to use.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::bench::broker::Server;
use crate::bench::run::{Figures, Run, figure, number};

/// Making them.
pub const CREATE: &str = "create, µs for each partition";
/// Having them.
pub const MEMORY: &str = "memory, KiB for each idle partition";

/// A server that spends less in a second is quiet.
const QUIET_CPU_SECONDS: f64 = 0.03;
const QUIET_PATIENCE_SECONDS: usize = 60;

/// How many.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Topics.
    pub topics: usize,
    /// Partitions of each.
    pub partitions: usize,
}

/// Creates, idles, produces round robin.
pub fn run(run: &Run<'_>, shape: &Shape) -> Result<Figures> {
    let place = run.place(&[])?;
    let server = place.start(false)?;
    run.warm_up(&server, "produce --topic {topic} --partitions 4 --batch 1")?;
    let before = server.status_mib("RssAnon")?;
    let Shape { topics, partitions } = *shape;
    let all = (topics * partitions) as f64;
    let before_cpu = server.cpu()?;
    let created =
        run.kbench(&server, &format!("create --topic cell --topics {topics} --partitions {partitions}"))?;
    // A broker may answer first and make files afterwards: that is part of the price.
    await_quiet(&server)?;
    let cpu = server.cpu()?;
    let create_cpu = cpu - before_cpu;
    let memory = (server.status_mib("RssAnon")? - before) * 1024.0 / all;
    thread::sleep(Duration::from_secs(4));
    let idle = (server.cpu()? - cpu) / 4.0 * 1e3;
    let words = format!("produce --topic cell --topics {topics} --partitions {partitions} --connections 2");
    // The first batch opens what was left closed until then; twice, for the two connections overlap.
    let first = format!("{words} --batch 1 --message 100 --requests {}", 2.0 * all);
    let (_, first_cpu) = run.measured(&server, &first)?;
    let (produced, produce_cpu) = run.measured(&server, &format!("{words} --seconds 5 --bytes 600000000"))?;
    let mut figures = vec![
        figure(CREATE, number(&created, "us_per_partition")?),
        figure("create, CPU µs for each partition", create_cpu / all * 1e6),
        figure(MEMORY, memory.max(0.001)),
        figure("idle: CPU ms for each second", idle),
        figure("two first small batches for each partition, CPU µs for each", first_cpu / all / 2.0 * 1e6),
        figure(
            "produce 16 KiB round robin, CPU s for each GB",
            produce_cpu / number(&produced, "bytes")? * 1e9,
        ),
        figure("produce, MB/s", number(&produced, "mb_per_s")?),
    ];
    figures.push(figure("anonymous afterwards, MiB", server.status_mib("RssAnon")?));
    run.finish(server)?;
    Ok(figures)
}

/// Waits until a server has spent next to nothing for a second, but not for ever.
fn await_quiet(server: &Server) -> Result<()> {
    for _ in 0..QUIET_PATIENCE_SECONDS {
        let cpu = server.cpu()?;
        thread::sleep(Duration::from_secs(1));
        if server.cpu()? - cpu < QUIET_CPU_SECONDS {
            break;
        }
    }
    Ok(())
}
