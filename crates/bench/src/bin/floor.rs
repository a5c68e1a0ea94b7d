//! `floor 127.0.0.1:PORT FOLDER`: the denominator of the benchmarks.

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};
use ottla_bench::floor::Floor;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    let [address, folder] = args else { bail!("floor ADDRESS FOLDER") };
    Floor::bind(address.parse()?, folder.into())?.run(&AtomicBool::new(false))
}
