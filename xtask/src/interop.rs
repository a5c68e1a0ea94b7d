//! Real clients, unmodified, against a freshly started server.

use std::time::Duration;

use anyhow::Result;

use crate::clients::{ALL, Foreign};
use crate::options::Options;
use crate::report::Report;
use crate::server::{Node, Quorum, Server, java};
use crate::setup::Parts;
use crate::{kcat, paths, process, rebalance, tools};

const SUITE: Duration = Duration::from_secs(300);

/// Runs the wanted clients, one after the other, on one server.
pub fn run(report: &mut Report, options: &Options, parts: &Parts) {
    let wanted: Vec<Foreign> = ALL.iter().copied().filter(|client| options.wants(client.part())).collect();
    if wanted.is_empty() && !options.wants_any(&["tools", "rebalance"]) {
        return;
    }
    let result = (|| -> Result<()> {
        let node = Node::new("clients", Quorum::Static, &[])?;
        let mut server = node.launch(options.against)?;
        clients(report, options, parts, &server, &wanted);
        report.check("the server has not ended and stops cleanly", || {
            server.expect_running()?;
            server.stop()
        });
        Ok(())
    })();
    if let Err(error) = result {
        report.fail("start for the clients", &format!("{error:#}"));
    }
}

fn clients(report: &mut Report, options: &Options, parts: &Parts, server: &Server, wanted: &[Foreign]) {
    let mut corpus = Vec::new();
    for &client in wanted {
        match client.obstacle(parts) {
            Some(obstacle) => report.leave_out(client.part(), &format!("{obstacle:#}")),
            None if client == Foreign::Kcat => kcat::run(report, &server.bootstrap()),
            None => {
                suite(report, client, &server.bootstrap());
                corpus.extend(client.corpus());
            }
        }
    }
    if let Some(obstacle) = Foreign::Java.obstacle(parts) {
        if options.wants("tools") {
            report.leave_out("tools", &format!("{obstacle:#}"));
        }
    } else {
        if options.wants("tools") {
            tools::run(report, &server.bootstrap());
        }
        corpus.retain(|topic| !topic.starts_with("corpus-java-"));
        if !corpus.is_empty() {
            java_reads(report, &server.bootstrap(), &corpus);
        }
    }
    if options.wants("rebalance") {
        for &client in ALL {
            if client.obstacle(parts).is_none() {
                report.check(&format!("{}: a member of a group is killed", client.part()), || {
                    rebalance::run(client, &server.bootstrap())
                });
            }
        }
    }
}

fn suite(report: &mut Report, client: Foreign, bootstrap: &str) {
    let result = client.suite(bootstrap).and_then(|mut command| {
        let log = paths::logs().join(format!("{}.log", client.part()));
        process::output(client.part(), &mut command, &log, SUITE)
    });
    match result {
        Ok((success, output)) => report.suite(client.part(), success, &output),
        Err(error) => report.fail(client.part(), &format!("{error:#}")),
    }
}

fn java_reads(report: &mut Report, bootstrap: &str, topics: &[String]) {
    let result = java("Interop", "256m").and_then(|mut command| {
        command.args(["verify", bootstrap]).args(topics);
        process::output("java verify", &mut command, &paths::logs().join("java-verify.log"), SUITE)
    });
    match result {
        Ok((success, output)) => report.suite("java", success, &output),
        Err(error) => report.fail("java verify", &format!("{error:#}")),
    }
}
