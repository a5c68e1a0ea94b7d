//! `cargo xtask verify` and `fix`: the house rules.

use std::process::Command;

use anyhow::Result;

use crate::report::Report;
use crate::{codegen, paths, process, tidy};

/// `cargo xtask verify`.
pub fn run() -> Result<bool> {
    let mut report = Report::new();
    house(&mut report);
    Ok(report.finish())
}

/// `cargo xtask fix`: writes what can be written.
pub fn fix() -> Result<bool> {
    codegen::run(&[])?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"];
    Ok(cargo(&clippy)? && cargo(&["fmt", "--all"])?)
}

/// Counts each rule as a check.
pub fn house(report: &mut Report) {
    let mut step = |name: &str, args: &[&str]| match cargo(args) {
        Ok(true) => report.pass(name),
        Ok(false) => report.fail(name, "see above"),
        Err(error) => report.fail(name, &format!("{error:#}")),
    };
    step("cargo fmt --check", &["fmt", "--all", "--check"]);
    step("cargo clippy", &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    report.check("generated code is fresh", || codegen::run(&["--check".to_owned()]));
    report.check("tidy", || tidy::run(&paths::root()));
}

fn cargo(args: &[&str]) -> Result<bool> {
    process::stream(Command::new(env!("CARGO")).args(args).current_dir(paths::root()))
}
