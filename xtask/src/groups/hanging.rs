//! `transactions find-hanging`, of Kafka and of Ottla: there must be nothing to find.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::server::{Side, java};
use crate::{paths, process};

const TOOL: Duration = Duration::from_secs(60);

/// Asks with Kafka's own tool and, of a server of ours, also with ours.
pub fn none(side: Side, bootstrap: &str) -> Result<()> {
    let mut kafkas = java("org.apache.kafka.tools.TransactionsCommand", "256m")?;
    ask("Kafka's", &mut kafkas, bootstrap)?;
    if side == Side::Ottla {
        let mut own = Command::new(paths::ottla());
        own.arg("transactions");
        ask("our", &mut own, bootstrap)?;
    }
    Ok(())
}

fn ask(whose: &str, command: &mut Command, bootstrap: &str) -> Result<()> {
    command.args(["--bootstrap-server", bootstrap, "find-hanging", "--broker-id", "1"]);
    command.args(["--max-transaction-timeout", "0"]);
    let log = paths::logs().join("find-hanging.log");
    let text = process::succeed(&format!("{whose} find-hanging"), command, &log, TOOL)?;
    ensure!(
        text.lines().any(|line| line.starts_with("Topic")),
        "{whose} find-hanging has no columns: {text}"
    );
    let found: Vec<&str> = text.lines().filter(|line| is_row(line)).collect();
    ensure!(found.is_empty(), "{whose} find-hanging found:\n{}", found.join("\n"));
    Ok(())
}

/// Neither the columns' names nor a line of a logger.
fn is_row(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with("Topic") && !line.starts_with('[')
}
