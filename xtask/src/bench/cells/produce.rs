//! P1, P3, P4 and C1: what a broker spends on each GB in and out.

use anyhow::{Result, ensure};

use crate::bench::run::{Figures, Run, figure, number};

/// The figure most goals speak of.
pub const PRODUCE: &str = "produce, CPU s for each GB";
/// What consuming costs.
pub const CONSUME: &str = "consume, CPU s for each GB";
/// Memory that is the server's own.
pub const ANONYMOUS: &str = "anonymous memory, MiB";

/// Seconds and bytes after which a load ends, whichever is first.
const SECONDS: f64 = 4.0;
const BYTES: u64 = 600_000_000;

/// A produce load.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Most bytes of a batch before compression.
    pub batch: usize,
    /// Bytes of a record's value.
    pub message: usize,
    /// What the producer does.
    pub compression: &'static str,
    /// Configurations of the topic.
    pub configs: &'static str,
    /// Partitions of the topic.
    pub partitions: usize,
    /// Producers.
    pub connections: usize,
    /// Partitions in each request.
    pub slots: usize,
    /// Whether partitions are drawn at random.
    pub random: bool,
    /// Whether stored batches are those that were sent.
    pub alike: bool,
}

impl Shape {
    /// Two connections, four partitions, five requests in flight.
    pub const PLAIN: Self = Self {
        batch: 16_384,
        message: 1024,
        compression: "none",
        configs: "",
        partitions: 4,
        connections: 2,
        slots: 1,
        random: false,
        alike: true,
    };

    fn words(&self, topic: &str, partitions: usize) -> String {
        let Self { batch, message, compression, connections, slots, random, .. } = self;
        let slots = partitions.min(*slots);
        format!(
            "produce --topic {topic} --partitions {partitions} --batch {batch} --message {message} \
             --compression {compression} --connections {connections} --slots {slots} --random {random}"
        )
    }
}

/// A consume load.
#[derive(Debug, Clone, Copy)]
pub struct Fetching {
    /// Most bytes of an answer.
    pub max_bytes: usize,
    /// Consumers that each read everything.
    pub consumers: usize,
}

/// Produces, consumes, checks everything once.
pub fn run(run: &Run<'_>, shape: &Shape) -> Result<Figures> {
    let (_place, server) = run.warm_server(&[])?;
    run.warm_up(&server, &shape.words("{topic}", 4))?;
    let Shape { partitions, configs, .. } = shape;
    let configs = if configs.is_empty() { String::new() } else { format!("--configs {configs}") };
    run.kbench(&server, &format!("create --topic cell --partitions {partitions} {configs}"))?;
    let seconds = if run.quick { 2.5 } else { SECONDS };
    let load = format!("{} --seconds {seconds} --bytes {BYTES}", shape.words("cell", *partitions));
    let (produced, produce_cpu) = run.measured(&server, &load)?;
    let mode = if shape.alike { "discard" } else { "copy" };
    // A reader's path has to become warm, too; it reads what the writer's warm-up left.
    run.warm_up(&server, &format!("consume --topic {{topic}} --partitions 4 --mode {mode} --loops 1000000"))?;
    let consume = format!("consume --topic cell --partitions {partitions} --loops 3 --mode {mode}");
    let (consumed, consume_cpu) = run.measured(&server, &consume)?;
    let verify = format!("consume --topic cell --partitions {partitions} --mode verify");
    let verified = run.kbench(&server, &verify)?;
    let sent = number(&produced, "messages")?;
    let read = number(&verified, "messages")?;
    ensure!(sent == read, "{sent} messages were acknowledged and {read} read");
    let bytes = number(&produced, "bytes")? / 1e9;
    let requests = number(&produced, "requests")?;
    let figures = vec![
        figure(PRODUCE, produce_cpu / bytes),
        figure("produce, CPU µs for each request", produce_cpu / requests * 1e6),
        figure("produce, MB/s", number(&produced, "mb_per_s")?),
        figure(
            "produce, p99 of a request at full speed, µs (shown)",
            number(&produced, "request_latency.p99_us")?,
        ),
        figure(CONSUME, consume_cpu / (number(&consumed, "bytes")? / 1e9)),
        figure("consume, MB/s", number(&consumed, "mb_per_s")?),
        figure(ANONYMOUS, server.status_mib("RssAnon")?),
    ];
    run.finish(server)?;
    Ok(figures)
}

/// Consumes what 64 KiB batches left in the page cache.
pub fn consume(run: &Run<'_>, shape: &Fetching) -> Result<Figures> {
    let (_place, server) = run.warm_server(&[])?;
    run.kbench(&server, "create --topic cell --partitions 4")?;
    run.kbench(
        &server,
        &format!("produce --topic cell --partitions 4 --batch 65536 --connections 2 --bytes {BYTES}"),
    )?;
    let Fetching { max_bytes, consumers } = shape;
    let words =
        format!("consume --topic cell --partitions 4 --max-bytes {max_bytes} --connections {consumers}");
    run.warm_up(&server, &format!("{words} --loops 1000000"))?;
    let loops = if *consumers == 1 { 4 } else { 1 };
    let (consumed, cpu) = run.measured(&server, &format!("{words} --loops {loops}"))?;
    run.kbench(&server, "consume --topic cell --partitions 4 --mode verify")?;
    let figures = vec![
        figure(CONSUME, cpu / (number(&consumed, "bytes")? / 1e9)),
        figure("consume, CPU µs for each fetch", cpu / number(&consumed, "fetches")? * 1e6),
        figure("consume, MB/s", number(&consumed, "mb_per_s")?),
        figure(ANONYMOUS, server.status_mib("RssAnon")?),
    ];
    run.finish(server)?;
    Ok(figures)
}
