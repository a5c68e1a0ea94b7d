//! `get-offsets`: the offsets of partitions at a time, as `kafka-get-offsets.sh` does.

use ottla_clients::admin::OffsetSpec;
use ottla_common::{TopicPartition, internal_topics};

use crate::cluster::{Cluster, refusal};
use crate::error::{Result, ToolError, failed};
use crate::filter::TopicFilter;
use crate::offsets::{list_offsets, partitions_of};
use crate::options::{Options, Parser, flag, value, value_or};
use crate::output::{errln, outln};

pub(crate) const PARSER: Parser = Parser {
    purpose: "Shows the offsets of topics' partitions.",
    options: &[
        value("bootstrap-server", "HOST1:PORT1,...", "REQUIRED: The servers to connect to."),
        value(
            "topic-partitions",
            "topic1:1,topic2:0-3,...",
            "Patterns of topics, each with a partition or range.",
        ),
        value("topic", "topic", "The topic; a pattern. By default all topics."),
        value("partitions", "partition ids", "Partitions between commas. By default all."),
        value_or(
            "time",
            "timestamp",
            "latest",
            "A time in ms, or -1 latest, -2 earliest, -3 max-timestamp, \
            -4 earliest-local, -5 latest-tiered, -6 earliest-pending-upload.",
        ),
        value("command-config", "config file", "Property file with settings of the client."),
        flag("exclude-internal-topics", "Leave out internal topics."),
    ],
};

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    get(args).map_err(|error| match error {
        ToolError::Failed(message) => ToolError::Failed(format!("Error occurred: {message}")),
        other => other,
    })
}

fn get(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    options.required("bootstrap-server")?;
    if options.has("topic-partitions") && options.has_any(&["topic", "partitions"]) {
        return failed("--topic-partitions cannot be used with --topic or --partitions");
    }
    let spec = spec_of(options.one("time")?.unwrap_or("latest"))?;
    let rules = rules_of(&options)?;
    let cluster = Cluster::from_options(&options)?;
    let exclude_internal = options.has("exclude-internal-topics");
    let mut partitions = partitions_of(&cluster, None::<[&str; 0]>)?;
    partitions.retain(|partition, _| {
        !(exclude_internal && internal_topics::is_internal(&partition.topic))
            && rules.iter().any(|r| r.allows(partition))
    });
    if partitions.is_empty() {
        return failed("Could not match any topic-partitions with the specified filters");
    }
    let mut lines = Vec::new();
    for (partition, listed) in list_offsets(&cluster, &partitions, spec)? {
        match listed {
            Ok(offset) if offset >= 0 => lines.push((partition.to_string(), partition, offset)),
            Ok(_) => {}
            Err(error) => errln!(
                "Skip getting offsets for topic-partition {partition} due to error: {}",
                refusal(error)
            ),
        }
    }
    lines.sort();
    for (_, TopicPartition { topic, partition }, offset) in lines {
        outln!("{topic}:{partition}:{offset}");
    }
    Ok(())
}

fn spec_of(text: &str) -> Result<OffsetSpec> {
    Ok(match text {
        "latest" => OffsetSpec::Latest,
        "earliest" => OffsetSpec::Earliest,
        "max-timestamp" => OffsetSpec::MaxTimestamp,
        "earliest-local" => OffsetSpec::EarliestLocal,
        "latest-tiered" => OffsetSpec::LatestTiered,
        "earliest-pending-upload" => OffsetSpec::EarliestPendingUpload,
        _ => match text.parse() {
            Ok(timestamp) => OffsetSpec::from_timestamp(timestamp),
            Err(_) => {
                return failed(format!(
                    "Malformed time argument {text}. Please use -1 or latest / -2 or earliest / -3 or \
                     max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or \
                     earliest-pending-upload, or a specified long format timestamp"
                ));
            }
        },
    })
}

/// Topics by a pattern, and which of their partitions.
struct Rule {
    topics: TopicFilter,
    partitions: Partitions,
}

enum Partitions {
    All,
    These(Vec<i32>),
    /// From the first to before the second.
    Range(i32, i32),
}

impl Rule {
    fn allows(&self, TopicPartition { topic, partition }: &TopicPartition) -> bool {
        let fits = match &self.partitions {
            Partitions::All => true,
            Partitions::These(these) => these.contains(partition),
            Partitions::Range(from, to) => (*from..*to).contains(partition),
        };
        fits && self.topics.allows(topic)
    }
}

fn rules_of(options: &Options) -> Result<Vec<Rule>> {
    if let Some(list) = options.one("topic-partitions")? {
        return list.split(',').map(rule_of).collect();
    }
    let topics = TopicFilter::new(options.one("topic")?.unwrap_or(".*"))?;
    let partitions = match options.one("partitions")?.filter(|text| !text.is_empty()) {
        None => Partitions::All,
        Some(text) => match text.split(',').map(str::parse).collect() {
            Ok(ids) => Partitions::These(ids),
            Err(_) => {
                return failed(format!(
                    "--partitions expects a comma separated list of numeric partition ids, but received: {text}"
                ));
            }
        },
    };
    Ok(vec![Rule { topics, partitions }])
}

/// `topic`, `topic:3`, `topic:1-4`, `topic:1-`, `topic:-4` or `:3`.
fn rule_of(text: &str) -> Result<Rule> {
    let (topic, range) = text.split_once(':').unwrap_or((text, ""));
    let number = |text: &str, default| if text.is_empty() { Ok(default) } else { text.parse::<i32>() };
    let partitions = match range.split_once('-') {
        _ if range.is_empty() => Ok(Partitions::All),
        None => range.parse().map(|id| Partitions::These(vec![id])),
        Some((from, to)) => {
            number(from, 0).and_then(|from| number(to, i32::MAX).map(|to| Partitions::Range(from, to)))
        }
    };
    match partitions {
        Ok(partitions) => {
            Ok(Rule { topics: TopicFilter::new(if topic.is_empty() { ".*" } else { topic })?, partitions })
        }
        Err(_) => failed(format!("Invalid rule specification: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let allows = |rule: &str, topic: &str, partition| {
            rule_of(rule).unwrap().allows(&TopicPartition::new(topic, partition))
        };
        assert!(allows("t:1-3", "t", 2) && !allows("t:1-3", "t", 3));
        assert!(allows("t:2-", "t", 9) && !allows("t:-2", "t", 2));
        assert!(allows(":4", "x", 4) && allows("x.*", "xy", 0));
        assert!(rule_of("t:a").is_err());
    }

    #[test]
    fn times() {
        assert_eq!(spec_of("-2").unwrap(), OffsetSpec::Earliest);
        assert_eq!(spec_of("earliest-pending-upload").unwrap().timestamp(), -6);
        assert!(spec_of("now").is_err());
    }
}
