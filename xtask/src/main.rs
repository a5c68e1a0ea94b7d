//! Development commands of the workspace; `cargo xtask help` lists them.
// Nothing outside can reach a binary's items; `pub` says which ones the other modules use.
#![allow(unreachable_pub)]

mod batch;
mod bench;
mod clients;
mod codegen;
mod crash;
mod dump_log;
mod figures;
mod fuzz;
mod groups;
mod guard;
mod hostile;
mod interop;
mod invariants;
mod kcat;
mod options;
mod pagos;
mod paths;
mod process;
mod rebalance;
mod report;
mod requests;
mod same_disk;
mod schemas;
mod server;
mod setup;
mod test;
mod tidy;
mod tools;
mod unit;
mod verify;
mod wire;

use std::process::ExitCode;

use anyhow::{Result, bail};

use options::{Counts, Options};

const HELP: &str = "cargo xtask COMMAND

  test      everything that must hold: house rules, unit tests, real clients, crashes
            [--against kafka|ottla] [--only PART[/SECTION],...]
  soak      the same at full counts
  bench     Ottla beside Apache Kafka and the floor [--quick] [--cell ID,...] [--rounds N]
            [--brokers ottla,floor,kafka,kafka-2-2]; docs/benchmarks.md
  guard     instructions and system calls of the hot paths beside the committed ones [--bless]
  verify    house rules only: fmt, clippy, tidy, fresh generated code
  fix       lets fmt, clippy and codegen write
  codegen   Rust from the message schemas [--check]
  schemas   refreshes the message schemas from Kafka's jars";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<bool> {
    let (command, rest) =
        args.split_first().map_or(("help", &[][..]), |(first, rest)| (first.as_str(), rest));
    match command {
        "test" => test::run(&Options::parse(rest, Counts::TEST)?),
        "soak" => test::run(&Options::parse(rest, Counts::SOAK)?),
        "verify" => verify::run(),
        "fix" => verify::fix(),
        "bench" => bench::run(rest),
        "guard" => guard::command(rest),
        "codegen" => codegen::run(rest).map(|()| true),
        "schemas" => schemas::run(rest).map(|()| true),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(true)
        }
        unknown => bail!("unknown command {unknown}; `cargo xtask help` lists them"),
    }
}
