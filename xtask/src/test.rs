//! `cargo xtask test`: everything that must hold before a change lands.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::options::Options;
use crate::report::Report;
use crate::server::Side;
use crate::setup::{self, Parts};
use crate::{crash, figures, fuzz, groups, guard, hostile, interop, pagos, paths, same_disk, unit, verify};

/// Parts that need a running server.
const SERVERS: &[&str] = &[
    "figures",
    "guard",
    "clients",
    "java",
    "tools",
    "kafkajs",
    "confluent-javascript",
    "confluent-kafka",
    "kafka-python",
    "aiokafka",
    "kcat",
    "rebalance",
    "same-disk",
    "crash",
    "hostile",
    "pagos",
    "groups",
    "exactly-once",
    "take-over",
    "group-load",
];

/// Runs the wanted parts; true when nothing failed.
pub fn run(options: &Options) -> Result<bool> {
    fs::create_dir_all(paths::logs())?;
    let mut report = Report::new();
    let foreign =
        SERVERS.iter().filter(|part| !["crash", "guard", "hostile"].contains(part)).chain(&["unit"]);
    let needed = options.against == Side::Kafka || foreign.copied().any(|part| options.wants(part));
    let pending = setup::begin(needed);
    if options.wants("house") {
        report.section("House rules");
        verify::house(&mut report);
    }
    report.section("Foreign clients");
    let parts = pending.finish()?;
    if options.wants("unit") {
        report.section("cargo test");
        unit::run(&mut report)?;
    }
    if options.wants("simulation") {
        report.section("Simulated quorums");
        unit::simulation(&mut report, options)?;
    }
    if options.wants("fuzz") {
        report.section("Fuzzing");
        fuzz::run(&mut report, options);
    }
    if options.wants_any(SERVERS) && build(&mut report, options)? {
        servers(&mut report, options, &parts);
    }
    Ok(report.finish())
}

fn build(report: &mut Report, options: &Options) -> Result<bool> {
    if options.against == Side::Kafka || std::env::var_os("OTTLA").is_some() {
        return Ok(true);
    }
    report.section("Release binary");
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--package", "ottla"]).current_dir(paths::root());
    let built = crate::process::stream(&mut command)?;
    if built {
        report.pass("cargo build --release");
    } else {
        report.fail("cargo build --release", "see above");
    }
    Ok(built)
}

fn servers(report: &mut Report, options: &Options, parts: &Parts) {
    if options.wants("figures") {
        report.section("Start, memory, size");
        figures::run(report, options, parts);
    }
    if options.wants("guard") {
        report.section("Instructions and system calls");
        guard::run(report, options);
    }
    if options.wants("clients") {
        report.section("Own client");
        unit::clients(report, options, parts);
    }
    report.section(&format!("Clients against {}", options.against));
    interop::run(report, options, parts);
    if options.wants("same-disk") {
        report.section("Same disk");
        same_disk::run(report, options, parts);
    }
    if options.wants("crash") {
        report.section("kill -9 under load");
        crash::run(report, options);
    }
    if options.wants("hostile") {
        report.section("Bad input");
        hostile::run(report, options);
    }
    if options.wants("pagos") {
        report.section("examples/pagos");
        pagos::run(report, options, parts);
    }
    groups::run(report, options, parts);
}
