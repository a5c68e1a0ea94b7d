//! `delete-records`: forget what lies before an offset, as `kafka-delete-records.sh` does.

use std::collections::BTreeMap;

use ottla_common::ErrorCode;
use ottla_protocol::messages::DeleteRecordsRequest;
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use serde_json::Value;

use crate::cluster::{Cluster, default_message};
use crate::error::{Result, failed};
use crate::offsets::{TopicPartition, name_of, partitions_of};
use crate::options::{Parser, value};
use crate::output::outln;

const REQUEST_TIMEOUT_MS: i32 = 30_000;

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
    let wanted = parse(&text)?;
    let mut cluster = Cluster::from_options(&options)?;
    outln!("Executing records delete operation");
    let results = delete(&mut cluster, &wanted)?;
    outln!("Records delete operation completed:");
    for (partition, result) in results {
        match result {
            Ok(low_watermark) => outln!("partition: {}\tlow_watermark: {low_watermark}", name_of(&partition)),
            Err(code) => outln!("partition: {}\terror: {}", name_of(&partition), default_message(code)),
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
            Some(((entry.get("topic")?.as_str()?.to_owned(), partition), entry.get("offset")?.as_i64()?))
        };
        let Some((partition, offset)) = read() else {
            return failed(format!("{entry} needs a topic, a partition and an offset"));
        };
        if wanted.insert(partition.clone(), offset).is_some() {
            duplicates.push(name_of(&partition));
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

type Results = BTreeMap<TopicPartition, std::result::Result<i64, ErrorCode>>;

fn delete(cluster: &mut Cluster, wanted: &BTreeMap<TopicPartition, i64>) -> Result<Results> {
    let mut topics: Vec<String> = wanted.keys().map(|(topic, _)| topic.clone()).collect();
    topics.dedup();
    let known = partitions_of(cluster, Some(&topics))?;
    let mut results = Results::new();
    let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<DeleteRecordsPartition>>> = BTreeMap::new();
    for (partition, offset) in wanted {
        match known.get(partition) {
            None => drop(results.insert(partition.clone(), Err(ErrorCode::UnknownTopicOrPartition))),
            Some(info) if info.leader < 0 => {
                results.insert(partition.clone(), Err(ErrorCode::LeaderNotAvailable));
            }
            Some(info) => {
                let entry = DeleteRecordsPartition {
                    partition_index: partition.1,
                    offset: *offset,
                    ..DeleteRecordsPartition::default()
                };
                by_leader.entry(info.leader).or_default().entry(&partition.0).or_default().push(entry);
            }
        }
    }
    for (leader, topics) in by_leader {
        let topic = |(name, partitions): (&str, Vec<_>)| DeleteRecordsTopic {
            name: name.into(),
            partitions,
            ..DeleteRecordsTopic::default()
        };
        let request = DeleteRecordsRequest {
            topics: topics.into_iter().map(topic).collect(),
            timeout_ms: REQUEST_TIMEOUT_MS,
            ..DeleteRecordsRequest::default()
        };
        for topic in cluster.node(leader, &request)?.topics {
            for partition in topic.partitions {
                let result = match ErrorCode::from_code(partition.error_code) {
                    ErrorCode::None => Ok(partition.low_watermark),
                    code => Err(code),
                };
                results.insert((topic.name.to_string(), partition.partition_index), result);
            }
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_mistakes_named() {
        let file = r#"{"partitions":[{"topic":"t","partition":1,"offset":7}],"version":1}"#;
        assert_eq!(parse(file).unwrap(), BTreeMap::from([(("t".to_owned(), 1), 7)]));
        let refuse = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(refuse("{"), "The input string is not a valid JSON");
        assert_eq!(refuse("{}"), "Missing partitions field");
        assert_eq!(refuse(r#"{"version":2,"partitions":[]}"#), "Not supported version field value 2");
        let twice = r#"{"partitions":[{"topic":"t","partition":1,"offset":7},{"topic":"t","partition":1,"offset":8}]}"#;
        assert!(refuse(twice).ends_with("partitions: t-1"));
    }
}
