//! Transactions with the libraries that are not Java's, as far as each has them.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::SETTINGS;
use crate::clients::Foreign;
use crate::report::Report;
use crate::server::{Node, Quorum, Side};
use crate::setup::Parts;
use crate::wire::Client;
use crate::{paths, process};

const SUITE: Duration = Duration::from_secs(300);

/// Those that have transactions.
const LIBRARIES: &[Foreign] = &[
    Foreign::Kafkajs,
    Foreign::ConfluentJavascript,
    Foreign::ConfluentKafka,
    Foreign::KafkaPython,
    Foreign::Aiokafka,
];

/// All of them on one server.
pub fn run(report: &mut Report, side: Side, parts: &Parts) {
    let result = (|| -> Result<()> {
        let node = Node::new(&format!("foreign-{side}"), Quorum::Dynamic, SETTINGS)?;
        let mut server = node.launch(side)?;
        for library in LIBRARIES {
            let name = format!("transactions of {} against {side}", library.part());
            if let Some(obstacle) = library.obstacle(parts) {
                report.leave_out(&name, &format!("{obstacle:#}"));
                continue;
            }
            match suite(*library, side, &server.bootstrap()).with_context(|| library.part()) {
                Ok((success, text)) => report.suite(&name, success, &text),
                Err(error) => report.fail(&name, &format!("{error:#}")),
            }
        }
        server.expect_running()?;
        server.stop()
    })();
    if let Err(error) = result {
        report.fail(&format!("transactions of other libraries against {side}"), &format!("{error:#}"));
    }
}

fn suite(library: Foreign, side: Side, bootstrap: &str) -> Result<(bool, String)> {
    let part = library.part();
    let mut client = Client::connect(bootstrap)?;
    for topic in [format!("txn-{part}-in"), format!("txn-{part}-out")] {
        client.create_topic(&topic, 1, &[])?;
    }
    let mut command = match library {
        Foreign::Kafkajs | Foreign::ConfluentJavascript => {
            let mut command = Command::new("node");
            command.arg("transactions.js").current_dir(paths::node());
            command.env("KAFKAJS_NO_PARTITIONER_WARNING", "1");
            command
        }
        _ => {
            let mut command = Command::new(paths::python().join("bin/python"));
            command.arg("-u").arg(paths::root().join("tests/python/transactions.py"));
            command
        }
    };
    command.args([part, bootstrap]);
    let log = paths::logs().join(format!("transactions-{part}-{side}.log"));
    process::output(part, &mut command, &log, SUITE)
}
