//! Groups of every kind and transactions, through Kafka's own clients: what they are promised must hold
//! while members come and go, while clients and servers are killed, and while the server under them is
//! exchanged for another one.
//!
//! What is cheap also runs against Apache Kafka itself, so that a failure tells whose it is.

mod bad_classic;
mod bad_consumer;
mod bad_input;
mod bad_share;
mod bad_streams;
mod bad_transactions;
mod chain;
mod chance;
mod clients;
mod codes;
mod codes_table;
mod flexible;
mod foreign;
mod hanging;
mod load;
mod program;
mod setup;
mod streams;
mod take_over;
mod transactions;
mod upgrade;

use std::time::Duration;

use crate::options::Options;
use crate::report::Report;
use crate::server::Side;
use crate::setup::Parts;

/// The parts that `--only` can name.
pub const PARTS: &[&str] = &["groups", "exactly-once", "take-over", "group-load"];

/// What the servers of these tests have beside the tests' usual settings: short sessions, so that who was
/// killed is missed soon, short locks, and a cleaner that comes often.
const SETTINGS: &[(&str, &str)] = &[
    ("auto.create.topics.enable", "false"),
    ("log.cleaner.backoff.ms", "200"),
    ("log.retention.check.interval.ms", "500"),
    ("group.consumer.session.timeout.ms", "6000"),
    ("group.consumer.min.session.timeout.ms", "5000"),
    ("group.consumer.heartbeat.interval.ms", "500"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    ("group.share.session.timeout.ms", "6000"),
    ("group.share.min.session.timeout.ms", "5000"),
    ("group.share.heartbeat.interval.ms", "500"),
    ("group.share.min.heartbeat.interval.ms", "100"),
    ("group.share.min.record.lock.duration.ms", "1000"),
    ("group.streams.session.timeout.ms", "6000"),
    ("group.streams.min.session.timeout.ms", "5000"),
    ("group.streams.heartbeat.interval.ms", "500"),
    ("group.streams.min.heartbeat.interval.ms", "100"),
    ("group.streams.initial.rebalance.delay.ms", "0"),
    ("share.coordinator.state.topic.num.partitions", "5"),
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "200"),
];

/// How long a chain is under fire in the test command; `soak` has the simulation's length.
const FIRE: Duration = Duration::from_secs(30);

/// Runs the wanted parts.
pub fn run(report: &mut Report, options: &Options, parts: &Parts) {
    if !options.wants_any(PARTS) {
        return;
    }
    let java = parts.java.as_ref().map_err(|error| format!("{error:#}"));
    let java = java.and_then(|()| setup::prepare().map_err(|error| format!("{error:#}")));
    let sides: &[Side] = match (options.against, &java) {
        (Side::Ottla, Ok(())) => &[Side::Ottla, Side::Kafka],
        (Side::Ottla, Err(_)) => &[Side::Ottla],
        (Side::Kafka, _) => &[Side::Kafka],
    };
    if options.wants_section("groups/codes") {
        report.section("Error codes of the coordinators");
        report.check("every declared error code is reached by a test", || {
            println!("{}", codes::table()?);
            Ok(())
        });
    }
    if options.wants_section("groups/bad-input") {
        report.section("Bad input to coordinators");
        for side in sides {
            bad_input::run(report, *side);
        }
    }
    if options.wants("group-load") {
        report.section("A thousand groups");
        load::run(report, options, sides);
    }
    match java {
        Ok(()) => with_java(report, options, parts, sides),
        Err(obstacle) => {
            for part in ["groups", "exactly-once", "take-over"].iter().filter(|part| options.wants(part)) {
                report.leave_out(part, &obstacle);
            }
        }
    }
}

fn with_java(report: &mut Report, options: &Options, parts: &Parts, sides: &[Side]) {
    if options.wants("groups") {
        for side in sides {
            report.section(&format!("Groups and transactions against {side}"));
            if options.wants_section("groups/clients") {
                clients::run(report, *side);
            }
            if options.wants_section("groups/transactions") {
                transactions::run(report, *side);
            }
            if options.wants_section("groups/foreign") {
                foreign::run(report, *side, parts);
            }
            if options.wants_section("groups/upgrade") {
                upgrade::run(report, *side, parts);
            }
        }
    }
    if options.wants("exactly-once") {
        report.section("Exactly once under fire");
        if options.wants_section("exactly-once/streams") {
            streams::run(report, options, options.against);
        }
        if options.wants_section("exactly-once/chain") {
            chain::run(report, options, options.against);
        }
    }
    if options.wants("take-over") {
        report.section("Take-over of coordinators");
        take_over::run(report, options.against);
    }
}

/// How long something is under fire: half a minute, or as long as `soak` simulates.
fn under_fire(options: &Options) -> Duration {
    FIRE.max(options.counts.simulation)
}
