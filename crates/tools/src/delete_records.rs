//! `delete-records`: forget what lies before an offset, as `kafka-delete-records.sh` does.

use std::collections::BTreeMap;

use ottla_common::TopicPartition;
use serde_json::Value;

use crate::cluster::{Cluster, refusal};
use crate::error::{Result, failed};
use crate::options::{Parser, value};
use crate::output::outln;

pub(crate) const PARSER: Parser = Parser {
    purpose: "Deletes the records of partitions that lie before an offset.",
    options: &[
        value("bootstrap-server", "server(s)", "REQUIRED: The server to connect to."),
        value(
            "offset-json-file",
            "file",
            "REQUIRED: A JSON file: {\"partitions\": [{\"topic\": \"foo\", \
            \"partition\": 1, \"offset\": 1}], \"version\": 1}",
        ),
        value("command-config", "file", "Property file with settings of the client."),
    ],
};

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    options.required("bootstrap-server")?;
    let path = options.required("offset-json-file")?;
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return failed(format!("{path}: {error}")),
    };
    let wanted: Vec<_> = parse(&text)?.into_iter().collect();
    let cluster = Cluster::from_options(&options)?;
    outln!("Executing records delete operation");
    let results = cluster.wait(cluster.admin.delete_records(&wanted))?;
    outln!("Records delete operation completed:");
    for (partition, result) in results {
        match result {
            Ok(low_watermark) => outln!("partition: {partition}\tlow_watermark: {low_watermark}"),
            Err(error) => outln!("partition: {partition}\terror: {}", refusal(error)),
        }
    }
    Ok(())
}

fn parse(text: &str) -> Result<BTreeMap<TopicPartition, i64>> {
    let Ok(json) = serde_json::from_str::<Value>(text) else {
        return failed("The input string is not a valid JSON");
    };
    match json.get("version").map_or(Some(1), Value::as_i64) {
        Some(1) => {}
        _ => return failed(format!("Not supported version field value {}", json["version"])),
    }
    let Some(partitions) = json.get("partitions").and_then(Value::as_array) else {
        return failed("Missing partitions field");
    };
    let mut wanted = BTreeMap::new();
    let mut duplicates = Vec::new();
    for entry in partitions {
        let read = || {
            let partition = i32::try_from(entry.get("partition")?.as_i64()?).ok()?;
            let partition = TopicPartition::new(entry.get("topic")?.as_str()?, partition);
            Some((partition, entry.get("offset")?.as_i64()?))
        };
        let Some((partition, offset)) = read() else {
            return failed(format!("{entry} needs a topic, a partition and an offset"));
        };
        if wanted.insert(partition.clone(), offset).is_some() {
            duplicates.push(partition.to_string());
        }
    }
    if !duplicates.is_empty() {
        return failed(format!(
            "Offset json file contains duplicate topic partitions: {}",
            duplicates.join(",")
        ));
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_mistakes_named() {
        let file = r#"{"partitions":[{"topic":"t","partition":1,"offset":7}],"version":1}"#;
        assert_eq!(parse(file).unwrap(), BTreeMap::from([(TopicPartition::new("t", 1), 7)]));
        let refuse = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(refuse("{"), "The input string is not a valid JSON");
        assert_eq!(refuse("{}"), "Missing partitions field");
        assert_eq!(refuse(r#"{"version":2,"partitions":[]}"#), "Not supported version field value 2");
        let twice = r#"{"partitions":[{"topic":"t","partition":1,"offset":7},{"topic":"t","partition":1,"offset":8}]}"#;
        assert!(refuse(twice).ends_with("partitions: t-1"));
    }
}
