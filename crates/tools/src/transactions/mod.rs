//! `transactions`: see what transactional producers do, and end what nobody else will end (KIP-664), as
//! `kafka-transactions.sh` does.

mod abort;
mod arguments;
mod describe;
mod find_hanging;

use std::time::{SystemTime, UNIX_EPOCH};

use ottla_clients::{ClientConfig, ClientError};

use crate::client_config::read_properties;
use crate::cluster::{Cluster, refusal};
use crate::error::{Result, ToolError, failed};
use crate::options::{Options, Parser, value, value_or};

pub(crate) const PARSER: Parser = Parser {
    purpose: "kafka-transactions [--command-config FILE] --bootstrap-server host:port \
              {list,describe,describe-producers,abort,find-hanging,forceTerminateTransaction} ...\n\
              This tool is used to analyze the transactional state of producers in the cluster. It can be \
              used to detect and recover from hanging transactions.",
    options: &[
        value("bootstrap-server", "host:port", "REQUIRED: The brokers to connect to."),
        value("command-config", "FILE", "Property file with settings of the client."),
        value("duration-filter", "ms", "list: only transactions that run for longer; all for less than 0."),
        value("transactional-id-pattern", "regex", "list: only transactional ids that match."),
        value("transactional-id", "id", "describe: the transactional id."),
        value("transactionalId", "id", "forceTerminateTransaction: the transactional id."),
        value("broker-id", "id", "describe-producers, find-hanging: the broker to ask."),
        value("topic", "topic", "describe-producers, abort, find-hanging: the topic."),
        value("partition", "partition", "describe-producers, abort, find-hanging: the partition."),
        value("start-offset", "offset", "abort: where the transaction starts."),
        value("producer-id", "id", "abort, for brokers before 3.0: whose transaction."),
        value("producer-epoch", "epoch", "abort, for brokers before 3.0: the epoch of the producer."),
        value("coordinator-epoch", "epoch", "abort, for brokers before 3.0: the epoch of the coordinator."),
        value_or(
            "max-transaction-timeout",
            "minutes",
            "15",
            "find-hanging: only transactions that are older than this.",
        ),
    ],
};

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args).map_err(arguments::command_line_error)?;
    let command = arguments::check(&options)?;
    let properties = match read_properties(options.one("command-config")?) {
        Ok(properties) => properties,
        Err(error) => return failed(in_detail("Failed to load admin client properties", &error.to_string())),
    };
    let mut config = ClientConfig::from_iter(properties);
    config.set("bootstrap.servers", options.required("bootstrap-server")?);
    let cluster = Cluster::connect(config)?;
    match command.name {
        "list" => describe::list(&cluster, &options),
        "describe" => describe::describe(&cluster, &options),
        "describe-producers" => describe::describe_producers(&cluster, &options),
        "abort" => abort::run(&cluster, &options),
        "find-hanging" => find_hanging::run(&cluster, &options),
        _ => force_terminate(&cluster, &options),
    }
}

fn force_terminate(cluster: &Cluster, options: &Options) -> Result {
    let id = options.required("transactionalId")?;
    let what = || format!("Failed to force terminate transactionalId `{id}`");
    cluster.answer(cluster.admin.force_terminate_transaction(id)).map_err(|error| refused(&what(), error))
}

/// What the tool could not do, and what the cluster said to that.
fn refused(what: &str, error: ClientError) -> ToolError {
    ToolError::Failed(in_detail(what, &refusal(error).to_string()))
}

fn in_detail(what: &str, why: &str) -> String {
    format!("{what}: {why}. Enable debug logging for additional detail.")
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use ottla_common::ErrorCode;

    use super::*;

    #[test]
    fn refusals_are_sentences() {
        let error = ClientError::api("x", ErrorCode::TransactionalIdNotFound, Some("It could not be found"));
        assert_eq!(
            refused("Failed to list transactions", error).to_string(),
            "Failed to list transactions: It could not be found. Enable debug logging for additional detail."
        );
    }
}
