//! `log-dirs`: what lies in the brokers' log directories, as `kafka-log-dirs.sh` does.

use std::collections::BTreeSet;

use ottla_clients::admin::LogDirDescription;
use ottla_common::ErrorCode;

use crate::cluster::Cluster;
use crate::error::{Result, failed};
use crate::options::{Parser, flag, value, value_or};
use crate::output::outln;

pub(crate) const PARSER: Parser = Parser {
    purpose: "Shows how much lies in the log directories of brokers.",
    options: &[
        value("bootstrap-server", "server(s)", "REQUIRED: The server(s) to connect to."),
        value("command-config", "file", "Property file with settings of the client."),
        flag("describe", "Describe the log directories of the brokers."),
        value_or("topic-list", "topics", "", "Topics between commas; by default all."),
        value_or("broker-list", "brokers", "", "Brokers between commas; by default all."),
    ],
};

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    options.required("bootstrap-server")?;
    if !options.has("describe") {
        return crate::error::usage("Missing required argument \"[describe]\"");
    }
    let list = |name: &str| -> Result<Vec<String>> {
        let text = options.one(name)?.unwrap_or_default();
        Ok(text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect())
    };
    let topics = list("topic-list")?;
    let mut wanted = BTreeSet::new();
    for id in list("broker-list")? {
        match id.trim().parse::<i32>() {
            Ok(id) => drop(wanted.insert(id)),
            Err(_) => return failed(format!("For input string: \"{id}\"")),
        }
    }
    let cluster = Cluster::from_options(&options)?;
    let present: BTreeSet<i32> = cluster.nodes().iter().map(|node| node.id).collect();
    let missing: BTreeSet<i32> = wanted.difference(&present).copied().collect();
    if !missing.is_empty() {
        return failed(format!(
            "ERROR: The given brokers do not exist from --broker-list: {}. Current existent brokers: {}",
            join(&missing),
            join(&present)
        ));
    }
    let brokers = if wanted.is_empty() { present } else { wanted };
    outln!("Querying brokers for log directories information");
    let ids: Vec<i32> = brokers.iter().copied().collect();
    let mut parts = Vec::new();
    for (id, dirs) in cluster.wait_all(cluster.admin.describe_log_dirs(&ids, None))? {
        let dirs: Vec<_> = dirs.iter().map(|dir| dir_json(dir, &topics)).collect();
        parts.push(format!("{{\"broker\":{id},\"logDirs\":[{}]}}", dirs.join(",")));
    }
    outln!("Received log directory information from brokers {}", join(&brokers));
    outln!("{{\"brokers\":[{}],\"version\":1}}", parts.join(","));
    Ok(())
}

fn join(ids: &BTreeSet<i32>) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Keys stand in the order in which Kafka's own tool happens to write them.
fn dir_json(dir: &LogDirDescription, topics: &[String]) -> String {
    let wanted = |topic: &str| topics.is_empty() || topics.iter().any(|name| name == topic);
    let replicas = dir.replicas.iter().filter(|(partition, _)| wanted(&partition.topic));
    let entries = replicas.map(|(partition, replica)| {
        format!(
            "{{\"partition\":{},\"size\":{},\"offsetLag\":{},\"isFuture\":{}}}",
            json_text(&partition.to_string()),
            replica.size,
            replica.offset_lag,
            replica.is_future
        )
    });
    let error = match dir.error {
        None => "null".to_owned(),
        Some(ErrorCode::KafkaStorageError) => {
            json_text("org.apache.kafka.common.errors.KafkaStorageException")
        }
        Some(code) => json_text(code.name()),
    };
    format!(
        "{{\"partitions\":[{}],\"error\":{error},\"logDir\":{}}}",
        entries.collect::<Vec<_>>().join(","),
        json_text(&dir.path)
    )
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
