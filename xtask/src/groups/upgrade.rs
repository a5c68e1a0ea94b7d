//! A live group goes from the classic to the consumer protocol and back, with Java and librdkafka members.

use std::time::Duration;

use anyhow::{Context, Result};

use super::SETTINGS;
use super::program::Program;
use crate::paths;
use crate::report::Report;
use crate::server::{Node, Quorum, Side};
use crate::setup::Parts;

const SCENE: Duration = Duration::from_secs(400);

/// The whole scene on a server of its own.
pub fn run(report: &mut Report, side: Side, parts: &Parts) {
    let name = format!("upgrade of a live group against {side}");
    if let Err(obstacle) = &parts.python {
        return report.leave_out(&name, &format!("{obstacle:#}"));
    }
    match play(side) {
        Ok((success, text)) => {
            for line in text.lines().filter(|line| line.starts_with("upgrade: ")) {
                println!("{side}: {line}");
            }
            report.suite(&name, success, &text);
        }
        Err(error) => report.fail(&name, &format!("{error:#}")),
    }
}

fn play(side: Side) -> Result<(bool, String)> {
    let node = Node::new(&format!("upgrade-{side}"), Quorum::Dynamic, SETTINGS)?;
    let mut server = node.launch(side)?;
    let python = paths::python().join("bin/python");
    let script = paths::root().join("tests/python/confluent_member.py");
    let python = python.to_str().context("a path that is no text")?;
    let script = script.to_str().context("a path that is no text")?;
    let args = ["upgrade", &server.bootstrap(), python, "-u", script];
    let told = Program::start(&format!("upgrade-scene-{side}"), &args)?.finish(SCENE)?;
    server.expect_running()?;
    server.stop()?;
    Ok(told)
}
