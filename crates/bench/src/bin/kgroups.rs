//! The load generator of groups: many members that send heartbeats and commit, its figures as one line.

#[path = "../groups.rs"]
mod groups;

use std::process::ExitCode;

use ottla_bench::load::arguments::Arguments;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match Arguments::parse(&args).and_then(groups::run) {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("kgroups: {error:#}");
            ExitCode::FAILURE
        }
    }
}
