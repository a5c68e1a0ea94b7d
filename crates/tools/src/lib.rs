//! The command line: Kafka's tools, one file each.
//!
//! Every tool takes the flags, prints the columns and ends with the exit status of the script of the same
//! name in Apache Kafka, because scripts depend on all three.

mod broker_api_versions;
mod client_config;
mod cluster;
mod configs;
mod console_consumer;
mod console_producer;
mod console_share_consumer;
mod consumer_groups;
mod consumer_perf_test;
mod delete_records;
mod dump_log;
mod error;
mod features;
mod filter;
mod get_offsets;
mod groups;
mod install;
mod log_dirs;
mod metadata_quorum;
mod offsets;
mod options;
mod output;
mod producer_perf_test;
mod quotas;
mod record_text;
mod share_groups;
mod signals;
pub mod storage_format;
mod streams_groups;
mod table;
mod topics;
mod transactions;
mod verifiable;

use error::{Result, ToolError};
use output::errln;

/// The version of Kafka whose tools these are.
pub const KAFKA_VERSION: &str = "4.4.0";

/// One tool.
struct Tool {
    /// Its name: `topics` for `kafka-topics.sh`.
    name: &'static str,
    /// What it is for.
    summary: &'static str,
    parser: Option<&'static options::Parser>,
    run: fn(&[String]) -> Result,
}

static TOOLS: &[Tool] = &[
    Tool {
        name: "topics",
        summary: "create, list, describe, change and delete topics",
        parser: Some(&topics::PARSER),
        run: topics::run,
    },
    Tool {
        name: "configs",
        summary: "read and change configuration",
        parser: Some(&configs::PARSER),
        run: configs::run,
    },
    Tool {
        name: "console-producer",
        summary: "send lines to a topic",
        parser: Some(&console_producer::PARSER),
        run: console_producer::run,
    },
    Tool {
        name: "console-consumer",
        summary: "show the records of a topic",
        parser: Some(&console_consumer::PARSER),
        run: console_consumer::run,
    },
    Tool {
        name: "console-share-consumer",
        summary: "show the records that a share group hands out",
        parser: Some(&console_share_consumer::PARSER),
        run: console_share_consumer::run,
    },
    Tool {
        name: "consumer-groups",
        summary: "list, describe, reset and delete consumer groups",
        parser: Some(&consumer_groups::PARSER),
        run: consumer_groups::run,
    },
    Tool {
        name: "groups",
        summary: "list groups of every type",
        parser: Some(&groups::PARSER),
        run: groups::run,
    },
    Tool {
        name: "share-groups",
        summary: "list, describe, reset and delete share groups",
        parser: Some(&share_groups::PARSER),
        run: share_groups::run,
    },
    Tool {
        name: "streams-groups",
        summary: "list, describe, reset and delete streams groups",
        parser: Some(&streams_groups::PARSER),
        run: streams_groups::run,
    },
    Tool {
        name: "transactions",
        summary: "list and describe transactions, find and end hanging ones",
        parser: Some(&transactions::PARSER),
        run: transactions::run,
    },
    Tool {
        name: "get-offsets",
        summary: "show the offsets of partitions",
        parser: Some(&get_offsets::PARSER),
        run: get_offsets::run,
    },
    Tool {
        name: "delete-records",
        summary: "delete records before an offset",
        parser: Some(&delete_records::PARSER),
        run: delete_records::run,
    },
    Tool {
        name: "log-dirs",
        summary: "show what lies in log directories",
        parser: Some(&log_dirs::PARSER),
        run: log_dirs::run,
    },
    Tool {
        name: "dump-log",
        summary: "show segments, snapshots and indexes",
        parser: Some(&dump_log::PARSER),
        run: dump_log::run,
    },
    Tool {
        name: "producer-perf-test",
        summary: "measure how fast records are sent",
        parser: Some(&producer_perf_test::PARSER),
        run: producer_perf_test::run,
    },
    Tool {
        name: "consumer-perf-test",
        summary: "measure how fast records are read",
        parser: Some(&consumer_perf_test::PARSER),
        run: consumer_perf_test::run,
    },
    Tool {
        name: "verifiable-producer",
        summary: "send numbers and tell which were acknowledged",
        parser: None,
        run: verifiable::producer::run,
    },
    Tool {
        name: "verifiable-consumer",
        summary: "read a topic in a group and tell what came",
        parser: None,
        run: verifiable::consumer::run,
    },
    Tool {
        name: "verifiable-share-consumer",
        summary: "work a topic in a share group and tell what came",
        parser: None,
        run: verifiable::share_consumer::run,
    },
    Tool {
        name: "metadata-quorum",
        summary: "show the quorum of controllers",
        parser: Some(&metadata_quorum::PARSER),
        run: metadata_quorum::run,
    },
    Tool {
        name: "broker-api-versions",
        summary: "show which APIs brokers serve",
        parser: Some(&broker_api_versions::PARSER),
        run: broker_api_versions::run,
    },
    Tool {
        name: "features",
        summary: "show and change feature levels",
        parser: Some(&features::PARSER),
        run: features::run,
    },
    Tool {
        name: "storage",
        summary: "make log directories ready for a node",
        parser: None,
        run: storage_format::run,
    },
    Tool {
        name: "install-tools",
        summary: "link kafka-topics.sh and the rest to this binary",
        parser: None,
        run: install::run,
    },
];

/// Runs the tool of this name (`topics`, `kafka-topics` or `kafka-topics.sh`) and gives its exit status;
/// `None` when there is no such tool.
pub fn run(name: &str, args: &[String]) -> Option<i32> {
    let tool = TOOLS.iter().find(|tool| tool.name == plain_name(name))?;
    Some(match (tool.run)(args) {
        Ok(()) => 0,
        Err(ToolError::Exit(code)) => code,
        Err(ToolError::Usage(message)) => {
            errln!("{message}");
            if let Some(parser) = tool.parser {
                parser.print_help();
            }
            1
        }
        Err(error) => {
            errln!("{error}");
            1
        }
    })
}

/// Names and summaries of all tools.
pub fn summaries() -> impl Iterator<Item = (&'static str, &'static str)> {
    TOOLS.iter().map(|tool| (tool.name, tool.summary))
}

/// `topics` out of `topics`, `kafka-topics`, `kafka-topics.sh` or `kafka-topics.bat`.
pub fn plain_name(name: &str) -> &str {
    let name = name.strip_suffix(".sh").or_else(|| name.strip_suffix(".bat")).unwrap_or(name);
    name.strip_prefix("kafka-").unwrap_or(name)
}
