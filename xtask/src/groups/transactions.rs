//! Transactional producers under every level of `transaction.version`: the folder is formatted with level
//! 0, and the running cluster is brought to 1 and 2.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::SETTINGS;
use super::hanging;
use super::program::Program;
use crate::report::Report;
use crate::server::{Node, Quorum, Side, java};
use crate::{paths, process};

const SUITE: Duration = Duration::from_secs(300);
const TOOL: Duration = Duration::from_secs(60);

/// All levels on one server.
pub fn run(report: &mut Report, side: Side) {
    let result = (|| -> Result<()> {
        let node = Node::new(&format!("transactions-{side}"), Quorum::Dynamic, SETTINGS)?;
        format_at(&node, side, 0)?;
        let mut server = node.start(side)?;
        let bootstrap = server.bootstrap();
        for level in 0..=2 {
            if level > 0 {
                report.check(&format!("{side}: features upgrade to transaction.version {level}"), || {
                    upgrade(side, &bootstrap, level)
                });
            }
            let name = format!("transactions-{level}-{side}");
            let program = Program::start(&name, &["transactions", &bootstrap, &level.to_string()])?;
            let (success, text) = program.finish(SUITE)?;
            report.suite(&format!("transactions against {side}"), success, &text);
        }
        report.check(&format!("{side}: nothing hangs"), || hanging::none(side, &bootstrap));
        server.expect_running()?;
        server.stop()
    })();
    if let Err(error) = result {
        report.fail(&format!("transactions against {side}"), &format!("{error:#}"));
    }
}

/// The side's own `storage format` with a level that is not the newest.
fn format_at(node: &Node, side: Side, level: u8) -> Result<()> {
    let mut command = match side {
        Side::Kafka => java("kafka.tools.StorageTool", "256m")?,
        Side::Ottla => {
            let mut command = Command::new(paths::ottla());
            command.arg("storage");
            command
        }
    };
    command.args(["format", "-t", "5L6g3nShT-eMCtKbXf8GpQ", "--standalone", "-c"]).arg(node.properties());
    command.args(["--feature", &format!("transaction.version={level}")]);
    let log = paths::logs().join(format!("format-{side}.log"));
    process::succeed(&format!("{side}'s storage format"), &mut command, &log, TOOL)?;
    Ok(())
}

/// `kafka-features upgrade` of the side's own.
fn upgrade(side: Side, bootstrap: &str, level: u8) -> Result<()> {
    let mut command = match side {
        Side::Kafka => java("org.apache.kafka.tools.FeatureCommand", "256m")?,
        Side::Ottla => {
            let mut command = Command::new(paths::ottla());
            command.arg("features");
            command
        }
    };
    command.args(["--bootstrap-server", bootstrap, "upgrade"]);
    command.args(["--feature", &format!("transaction.version={level}")]);
    let log = paths::logs().join(format!("features-{side}.log"));
    let text = process::succeed(&format!("{side}'s features"), &mut command, &log, TOOL)?;
    ensure!(text.contains(&format!("transaction.version was upgraded to {level}.")), "{text}");
    Ok(())
}
