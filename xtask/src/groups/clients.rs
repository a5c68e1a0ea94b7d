//! `Groups suite`: consumer groups of both protocols and share groups, on one server.

use std::time::Duration;

use anyhow::Result;

use super::SETTINGS;
use super::program::Program;
use crate::report::Report;
use crate::server::{Node, Quorum, Side};

const SUITE: Duration = Duration::from_secs(900);

/// All checks of the suite.
pub fn run(report: &mut Report, side: Side) {
    let name = format!("groups against {side}");
    let result = (|| -> Result<(bool, String)> {
        let node = Node::new(&format!("groups-{side}"), Quorum::Dynamic, SETTINGS)?;
        let mut server = node.launch(side)?;
        let suite = Program::start(&format!("groups-suite-{side}"), &["suite", &server.bootstrap()])?;
        let told = suite.finish(SUITE)?;
        server.expect_running()?;
        server.stop()?;
        Ok(told)
    })();
    match result {
        Ok((success, text)) => report.suite(&name, success, &text),
        Err(error) => report.fail(&name, &format!("{error:#}")),
    }
}
