//! The hot paths without sockets, for `cargo xtask guard` to count their instructions.
//!
//! `guard list` names the kernels, each with a number of turns that is worth counting;
//! `guard KERNEL TURNS FOLDER` runs one. What a turn costs is the difference between a run and one of
//! twice its turns: the start, the set-up and what only the first turns do fall out.
//!
//! It stands outside the house: nothing of the product depends on it.

mod broker;
mod kernels;
mod nobody;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use kernels::KERNELS;

// As in the product: what the allocator does is part of what a request costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guard: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    match args {
        [list] if list == "list" => {
            KERNELS.iter().for_each(|kernel| println!("{} {}", kernel.name, kernel.turns));
            Ok(())
        }
        [name, turns, folder] => {
            let kernel = KERNELS.iter().find(|k| k.name == name).ok_or("no kernel has this name")?;
            // One thread, so that nothing is counted but what was asked for.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            runtime.block_on((kernel.run)(Path::new(folder), turns.parse()?))
        }
        _ => Err("guard list, or guard KERNEL TURNS FOLDER".into()),
    }
}
