//! `examples/pagos` as its README tells it, with the packages that the Node tests have already.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::options::Options;
use crate::report::Report;
use crate::server::{Node, Quorum, Side};
use crate::setup::Parts;
use crate::{paths, process};

const STORY: Duration = Duration::from_secs(180);

/// Plays the story; it starts its own server, unless that would not be the one under test.
pub fn run(report: &mut Report, options: &Options, parts: &Parts) {
    if let Err(obstacle) = &parts.kafkajs {
        return report.leave_out("pagos", &format!("{obstacle:#}"));
    }
    match play(options.against) {
        Ok((success, output)) => report.suite("pagos", success, &output),
        Err(error) => report.fail("pagos", &format!("{error:#}")),
    }
}

fn play(against: Side) -> Result<(bool, String)> {
    let folder = paths::node().join("pagos");
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(paths::root().join("examples/pagos"))? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "js") {
            fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    let mut command = Command::new("node");
    command.arg("run.js").current_dir(&folder).env("KAFKAJS_NO_PARTITIONER_WARNING", "1");
    command.env("OTTLA", paths::ottla()).env_remove("BOOTSTRAP");
    let log = paths::logs().join("pagos.log");
    if against == Side::Ottla {
        return process::output("pagos", &mut command, &log, STORY);
    }
    let node = Node::new("pagos", Quorum::Static, &[])?;
    let server = node.launch(against)?;
    command.env("BOOTSTRAP", server.bootstrap());
    let result = process::output("pagos", &mut command, &log, STORY)?;
    server.stop()?;
    Ok(result)
}
