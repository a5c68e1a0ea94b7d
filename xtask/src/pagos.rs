//! The stories of `examples/pagos` as their READMEs tell them, with the packages that the tests of Node and
//! Python have already.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Error, Result, anyhow};

use crate::options::Options;
use crate::report::Report;
use crate::server::{Node, Quorum, Side};
use crate::setup::Parts;
use crate::{paths, process};

const STORY: Duration = Duration::from_secs(180);

/// Plays both stories; each starts its own server, unless that would not be the one under test.
pub fn run(report: &mut Report, options: &Options, parts: &Parts) {
    let kafkajs = parts.kafkajs.as_ref().err();
    story(report, options.against, "pagos", "run.js", kafkajs);
    // Groups are configured by our own tool, on either side.
    let no_tool = anyhow!("{} is not built", paths::ottla().display());
    let no_tool = (!paths::ottla().exists()).then_some(&no_tool);
    let obstacle = kafkajs.or(parts.python.as_ref().err()).or(no_tool);
    story(report, options.against, "envios", "envios.js", obstacle);
}

fn story(report: &mut Report, against: Side, name: &str, script: &str, obstacle: Option<&Error>) {
    if let Some(obstacle) = obstacle {
        return report.leave_out(name, &format!("{obstacle:#}"));
    }
    match play(against, name, script) {
        Ok((success, output)) => report.suite(name, success, &output),
        Err(error) => report.fail(name, &format!("{error:#}")),
    }
}

fn play(against: Side, name: &str, script: &str) -> Result<(bool, String)> {
    let mut command = Command::new("node");
    command.arg(script).current_dir(stage()?).env("KAFKAJS_NO_PARTITIONER_WARNING", "1");
    command.env("OTTLA", paths::ottla()).env("PYTHON", paths::python().join("bin/python"));
    command.env_remove("BOOTSTRAP");
    let log = paths::logs().join(format!("{name}.log"));
    if against == Side::Ottla {
        return process::output(name, &mut command, &log, STORY);
    }
    let node = Node::new(name, Quorum::Static, &[])?;
    let server = node.launch(against)?;
    command.env("BOOTSTRAP", server.bootstrap());
    let result = process::output(name, &mut command, &log, STORY)?;
    server.stop()?;
    Ok(result)
}

/// The example's programs beside the packages of the Node tests.
fn stage() -> Result<PathBuf> {
    let folder = paths::node().join("pagos");
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(paths::root().join("examples/pagos"))? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "js" || extension == "py") {
            fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    Ok(folder)
}
