//! The load generator: one kind of load for each run, its figures as one line of JSON.

use std::process::ExitCode;

use anyhow::{Result, bail};
use ottla_bench::load::arguments::Arguments;
use ottla_bench::load::{connections, consume, latency, produce, topics};
use serde_json::Value;

const HELP: &str = "kbench KIND --bootstrap 127.0.0.1:PORT [--option value ...]

  create   --topic T [--topics N] [--partitions N] [--configs k=v,...]
  produce  --topic T [--topics N] [--partitions N] [--slots N] [--random true] [--batch BYTES]
           [--message BYTES] [--records N] [--compression none|lz4|zstd] [--connections N]
           [--in-flight N] [--acks N] [--seconds S] [--bytes N] [--requests N]
  consume  --topic T [--topics N] [--partitions N] [--connections N] [--max-bytes N]
           [--mode discard|copy|verify] [--seconds S] [--loops N] [--mb-per-s N]
  latency  --topic T [--partitions N] [--rate N] [--seconds S] [--warm-seconds S] [--message BYTES]
           [--records N] [--in-flight N] [--acks N] [--consume true|false]
  idle     [--connections N]           holds them until its input ends
  storm    [--rate N] [--seconds S]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("kbench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<Value> {
    let Some((kind, rest)) = args.split_first() else { bail!("{HELP}") };
    let arguments = Arguments::parse(rest)?;
    match kind.as_str() {
        "create" => topics::create(arguments),
        "produce" => produce::run(arguments),
        "consume" => consume::run(arguments),
        "latency" => latency::run(arguments),
        "idle" => connections::idle(arguments),
        "storm" => connections::storm(arguments),
        _ => bail!("{HELP}"),
    }
}
