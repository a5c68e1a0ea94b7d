//! What the hot paths cost, without noise: instructions of the kernels of `crates/guard` and system
//! calls of the server, beside the figures that are committed.

mod figures;
mod instructions;
mod syscalls;

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::options::Options;
use crate::report::Report;
use crate::server::Side;
use crate::{paths, process, setup};
use figures::{Figures, Kind};

/// `cargo xtask guard [--bless]`.
pub fn command(args: &[String]) -> Result<bool> {
    let bless = match args {
        [] => false,
        [flag] if flag == "--bless" => true,
        _ => bail!("cargo xtask guard [--bless]"),
    };
    setup::counters()?;
    let counted = count()?;
    if bless {
        let old = Figures::read().unwrap_or_default();
        print!("{}", counted.table(&old));
        counted.write()?;
        println!("{} is written anew", figures::path().display());
        return Ok(true);
    }
    let mut report = Report::new();
    compare(&mut report, &counted)?;
    Ok(report.finish())
}

/// The part of `cargo xtask test`.
pub fn run(report: &mut Report, options: &Options) {
    if options.against == Side::Kafka {
        return;
    }
    if let Err(obstacle) = setup::counters() {
        report.leave_out("guard", &format!("{obstacle:#}"));
        return;
    }
    if let Err(error) = count().and_then(|counted| compare(report, &counted)) {
        report.fail("guard", &format!("{error:#}"));
    }
}

fn count() -> Result<Figures> {
    fs::create_dir_all(paths::logs())?;
    build()?;
    let mut counted = Figures { with: with()?, ..Default::default() };
    instructions::count(&mut counted)?;
    syscalls::count(&mut counted)?;
    Ok(counted)
}

/// The harness together with the product, so that both are made of the same objects.
fn build() -> Result<()> {
    if std::env::var_os("OTTLA").is_some() {
        return Ok(());
    }
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--package", "ottla", "--package", "ottla-guard"]);
    if !process::stream(command.current_dir(paths::root()))? {
        bail!("cargo build --release --package ottla --package ottla-guard: see above");
    }
    Ok(())
}

/// What instruction counts depend on beside the sources: the compiler, and what picks the machine code
/// of `memcpy` and of checksums. Under anything else a difference says nothing about a change.
fn with() -> Result<String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let verbose = said(Command::new(rustc).arg("-Vv"))?;
    let mut lines = verbose.lines();
    let version = lines.next().context("rustc names no version")?;
    let host = lines.find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let valgrind = said(Command::new("valgrind").arg("--version"))?;
    let libc = said(Command::new("ldd").arg("--version"))?;
    let libc = libc.lines().next().and_then(|line| line.split_whitespace().last()).unwrap_or("unknown");
    Ok(format!("{version}, {host}, {}, libc {libc}", valgrind.trim()))
}

fn said(command: &mut Command) -> Result<String> {
    let output = command.current_dir(paths::root()).output().with_context(|| format!("{command:?}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn compare(report: &mut Report, counted: &Figures) -> Result<()> {
    let old = Figures::read()?;
    print!("{}", counted.table(&old));
    let comparable = old.with == counted.with;
    if !comparable {
        println!(
            "Instructions are not judged: the committed ones were counted with {},\n\
             these with {}, which makes other machine code of the same sources.",
            old.with, counted.with
        );
    }
    for kind in [Kind::Instructions, Kind::Syscalls] {
        let judged = comparable || kind == Kind::Syscalls;
        let offences = if judged { counted.offences(&old, kind) } else { Vec::new() };
        let name = format!("guard: {kind}");
        match offences.as_slice() {
            [] => report.pass(&name),
            offences => {
                let remedy = "if the growth is worth it: cargo xtask guard --bless";
                report.fail(&name, &format!("{}; {remedy}", offences.join("; ")));
            }
        }
    }
    Ok(())
}
