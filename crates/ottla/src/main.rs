//! The one binary.

use std::process::ExitCode;

use ottla_server::command::{ServerOptions, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let mut options = ServerOptions::default();
    if args.next().as_deref() != Some("server") {
        return ExitCode::FAILURE;
    }
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--override" => {
                if let Some((k, v)) = args.next().as_deref().and_then(|kv| kv.split_once('=')) {
                    options.overrides.push((k.to_owned(), v.to_owned()));
                }
            }
            file => options.file = Some(file.to_owned()),
        }
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
