//! `consumer-groups`: list, describe, delete and reset groups, as `kafka-consumer-groups.sh` does.

mod describe;
mod duration;
mod reset;

use std::collections::BTreeMap;

use ottla_clients::admin::{GroupDescription, OffsetAndMetadata};
use ottla_clients::{ClientConfig, ClientError};
use ottla_common::{ErrorCode, TopicPartition};

use crate::client_config::read_properties;
use crate::cluster::{Answer, Cluster, refusal};
use crate::error::{Result, ToolError, usage};
use crate::offsets::partitions_of;
use crate::options::{Options, Parser, flag, maybe_value, value, value_or};
use crate::output::{errln, out, outln};

pub(crate) const PARSER: Parser = Parser {
    purpose: "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, \
              or reset consumer group offsets.",
    options: &[
        value("bootstrap-server", "server to connect to", "REQUIRED: The server(s) to connect to."),
        value("group", "consumer group", "The group; may be repeated."),
        value("topic", "topic", "A topic, or topic:0,1,2; may be repeated."),
        flag("all-topics", "All topics that the group has offsets for."),
        flag("list", "List all groups."),
        flag("describe", "Describe groups and their lag."),
        flag("all-groups", "All groups."),
        flag("delete", "Delete groups without members."),
        value_or("timeout", "timeout (ms)", "30000", "How long the cluster may take to answer."),
        value("command-config", "command config property file", "Property file with settings of the client."),
        flag("reset-offsets", "Move a group's offsets. Shows them only, unless with --execute."),
        flag("delete-offsets", "Forget a group's offsets of topics."),
        flag("dry-run", "Only show the new offsets."),
        flag("execute", "Do it."),
        flag("export", "Show the new offsets as CSV."),
        value("to-offset", "offset", "Reset to this offset."),
        value("from-file", "path to CSV file", "Reset to the offsets of a file."),
        value("to-datetime", "datetime", "Reset to the offset at YYYY-MM-DDThh:mm:ss.sss[zone]."),
        value("by-duration", "duration", "Reset to the offset this long ago, as PnDTnHnMnS."),
        flag("to-earliest", "Reset to the earliest offset."),
        flag("to-latest", "Reset to the latest offset."),
        flag("to-current", "Reset to the current offset."),
        value("shift-by", "number-of-offsets", "Move the current offset; may be negative."),
        flag("members", "With --describe: show members."),
        flag("verbose", "With --describe: show more."),
        flag("offsets", "With --describe: show offsets; the default."),
        maybe_value(
            "state",
            "state",
            "With --describe: show the state. With --list: show it, or keep groups in these states.",
        ),
        maybe_value("type", "type", "With --list: show the type, or keep groups of these types."),
        value("validate-regex", "regex", "Check a pattern for subscriptions."),
    ],
};

const ACTIONS: &[&str] = &["list", "describe", "delete", "reset-offsets", "delete-offsets"];
const SCENARIOS: &[&str] = &[
    "to-offset",
    "shift-by",
    "to-datetime",
    "by-duration",
    "to-earliest",
    "to-latest",
    "to-current",
    "from-file",
];

/// Options that only go with certain actions.
const COMPANIONS: &[(&str, &[&str])] = &[
    ("members", &["describe"]),
    ("verbose", &["describe"]),
    ("offsets", &["describe"]),
    ("state", &["describe", "list"]),
    ("type", &["list"]),
];

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    if let Some(pattern) = options.one("validate-regex")? {
        validate_regex(pattern);
        return Ok(());
    }
    check_arguments(&options)?;
    let action = || -> Result {
        let mut config = ClientConfig::from_iter(read_properties(options.one("command-config")?)?);
        config.set("bootstrap.servers", options.required("bootstrap-server")?);
        if let Some(timeout) = number(&options, "timeout")? {
            config.set("default.api.timeout.ms", timeout.to_string());
        }
        let cluster = Cluster::connect(config)?;
        if options.has("list") {
            list(&cluster, &options)
        } else if options.has("describe") {
            describe::run(&cluster, &options)
        } else if options.has("delete") {
            delete(&cluster, &options)
        } else if options.has("reset-offsets") {
            reset::run(&cluster, &options)
        } else {
            delete_offsets(&cluster, &options)
        }
    };
    action().or_else(|error| match error {
        ToolError::Failed(message) => {
            // As in Kafka this is no failure to the shell.
            print_error(&format!("Executing consumer group command failed due to {message}"));
            Ok(())
        }
        other => Err(other),
    })
}

/// As in Kafka the errors of this tool stand on standard output, after an empty line.
fn print_error(message: &str) {
    outln!("\nError: {message}");
}

/// A number that Kafka's tool reads only when it is about to work: a wrong one is no wrong usage there.
fn number(options: &Options, name: &str) -> Result<Option<i64>> {
    options.number(name).map_err(|error| ToolError::Failed(error.to_string()))
}

fn validate_regex(pattern: &str) {
    match regex::Regex::new(pattern) {
        Ok(_) => outln!("The regular expression `{pattern}` is valid."),
        Err(error) => outln!("The regular expression `{pattern}` is invalid: {error}."),
    }
}

fn check_arguments(options: &Options) -> Result {
    if ACTIONS.iter().filter(|action| options.has(action)).count() != 1 {
        return usage(
            "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, \
             --delete-offsets, --validate-regex",
        );
    }
    for (option, actions) in COMPANIONS {
        if options.has(option) && !options.has_any(actions) {
            return usage(format!(
                "Option(s) [{option}] are unavailable given other options on the command line"
            ));
        }
    }
    options.required("bootstrap-server")?;
    let has_group = options.has_any(&["group", "all-groups"]);
    let takes =
        |action: &str| usage(format!("Option [{action}] takes one of these options: [group], [all-groups]"));
    if options.has("describe") {
        if !has_group {
            return takes("describe");
        }
        if ["members", "offsets", "state"].iter().filter(|part| options.has(part)).count() > 1 {
            return usage(
                "Option [describe] takes at most one of these options: [members], [offsets], [state]",
            );
        }
        if !options.many("state").is_empty() {
            return usage("Option [describe] does not take a value for [state]");
        }
    }
    if options.has("delete") {
        if !has_group {
            return takes("delete");
        }
        if options.has("topic") {
            return usage(
                "The consumer does not support topic-specific offset deletion from a consumer group; \
                 use --delete-offsets",
            );
        }
    }
    if options.has("delete-offsets") && !(options.has("group") && options.has("topic")) {
        return usage("Option [delete-offsets] takes the following options: [group], [topic]");
    }
    if options.has("reset-offsets") {
        if options.has("dry-run") && options.has("execute") {
            return usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]");
        }
        if !options.has_any(&["dry-run", "execute"]) {
            errln!("WARN: Nothing is changed without --execute: these are the offsets it would set.");
        }
        if !has_group {
            return takes("reset-offsets");
        }
        for scenario in SCENARIOS {
            let others: Vec<_> = SCENARIOS.iter().copied().filter(|other| other != scenario).collect();
            options.check_invalid(scenario, &others)?;
        }
    }
    options.check_invalid("group", &["all-groups", "list"])?;
    options.check_invalid("topic", &["list", "describe", "delete"])
}

/// A group as `--list` shows it.
struct Listed {
    id: String,
    kind: &'static str,
    state: String,
}

fn listed(cluster: &Cluster, states: &[&str], types: &[&str]) -> Result<Vec<Listed>> {
    let groups = cluster.answer(cluster.admin.list_groups(states, types)).map_err(refusal_with_class)?;
    let consumers = groups.into_iter().filter(|group| matches!(&*group.protocol_type, "" | "consumer"));
    let listed = consumers.filter_map(|group| {
        // Older brokers know one type only and do not name it.
        let kind = match group.group_type.to_ascii_lowercase().as_str() {
            "" | "classic" => "Classic",
            "consumer" => "Consumer",
            _ => return None,
        };
        Some(Listed { id: group.group_id.to_string(), kind, state: group.state.to_string() })
    });
    Ok(listed.collect())
}

/// The groups that `--group` and `--all-groups` mean.
fn chosen(cluster: &Cluster, options: &Options) -> Result<Vec<String>> {
    if options.has("all-groups") {
        return Ok(listed(cluster, &[], &[])?.into_iter().map(|group| group.id).collect());
    }
    Ok(options.many("group").to_vec())
}

fn words(options: &Options, name: &str, valid: &[&'static str], what: &str) -> Result<Vec<&'static str>> {
    let Some(text) = options.one(name)?.filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let mut words = Vec::new();
    for word in text.split(',').map(str::trim) {
        match valid.iter().find(|known| known.eq_ignore_ascii_case(word)) {
            Some(known) => words.push(*known),
            None => {
                let valid = valid.join(", ");
                return usage(format!("Invalid {what} list '{text}'. Valid {name}s are: {valid}"));
            }
        }
    }
    Ok(words)
}

fn list(cluster: &Cluster, options: &Options) -> Result {
    const STATES: &[&str] =
        &["PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning", "Reconciling"];
    let (with_type, with_state) = (options.has("type"), options.has("state"));
    let states = words(options, "state", STATES, "state")?;
    let types = words(options, "type", &["Classic", "Consumer"], "types")?;
    let groups = listed(cluster, &states, &types)?;
    if !with_type && !with_state {
        groups.iter().for_each(|group| outln!("{}", group.id));
        return Ok(());
    }
    let width = groups.iter().map(|group| group.id.len()).max().unwrap_or(0).max(15) + 10;
    let row = |id: &str, kind: &str, state: &str| {
        let kind = if with_type { format!(" {kind:<20}") } else { String::new() };
        let state = if with_state { format!(" {state:<20}") } else { String::new() };
        outln!("{id:<width$}{kind}{state}");
    };
    row("GROUP", "TYPE", "STATE");
    for group in &groups {
        row(&group.id, group.kind, &group.state);
    }
    Ok(())
}

fn delete(cluster: &Cluster, options: &Options) -> Result {
    let quoted =
        |names: &[String]| names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let mut done = Vec::new();
    let mut refused = Vec::new();
    for group in chosen(cluster, options)? {
        match cluster.answer(cluster.admin.delete_group(&group)) {
            Ok(()) => done.push(group),
            Err(error) => refused.push((group, refusal_with_class(error))),
        }
    }
    if refused.is_empty() {
        outln!("Deletion of requested consumer groups ({}) was successful.", quoted(&done));
        return Ok(());
    }
    print_error("Deletion of some consumer groups failed:");
    for (group, error) in refused {
        outln!("* Group '{group}' could not be deleted due to: {error}");
    }
    if !done.is_empty() {
        outln!("\nThese consumer groups were deleted successfully: {}", quoted(&done));
    }
    Ok(())
}

/// What a cluster said no with, behind the name of the class that Java prints here.
fn refusal_with_class(error: ClientError) -> ToolError {
    let class = match &error {
        ClientError::Timeout { .. } => "Timeout".to_owned(),
        ClientError::UnsupportedVersion { .. } => "UnsupportedVersion".to_owned(),
        ClientError::Api { code, .. } => match code {
            ErrorCode::NonEmptyGroup => "GroupNotEmpty".to_owned(),
            ErrorCode::RequestTimedOut => "Timeout".to_owned(),
            code => format!("{code:?}").replace("AuthorizationFailed", "Authorization"),
        },
        _ => return refusal(error),
    };
    ToolError::Failed(format!("org.apache.kafka.common.errors.{class}Exception: {}", refusal(error)))
}

fn describe_group(cluster: &Cluster, id: &str) -> Answer<GroupDescription> {
    cluster.answer(cluster.admin.describe_group(id))
}

/// All offsets that a group has committed.
fn committed(cluster: &Cluster, id: &str) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>> {
    cluster.answer(cluster.admin.list_group_offsets(id, None)).map_err(refusal_with_class)
}

/// Reads `topic` and `topic:0,1`; the partitions of the former come from the cluster. Topics that it does
/// not know are apart.
fn parse_topics<'a>(cluster: &Cluster, topics: &'a [String]) -> Result<(Vec<TopicPartition>, Vec<&'a str>)> {
    let mut partitions = Vec::new();
    for topic in topics.iter().filter(|topic| topic.contains(':')) {
        let Some((name, ids)) =
            topic.split_once(':').filter(|(_, ids)| !ids.is_empty() && !ids.contains(':'))
        else {
            return usage(format!("Invalid topic arg '{topic}', expected topic name and partitions"));
        };
        for id in ids.split(',') {
            match id.parse() {
                Ok(id) => partitions.push(TopicPartition::new(name, id)),
                Err(_) => {
                    return usage(format!("Invalid partition '{id}' specified in topic arg '{topic}''"));
                }
            }
        }
    }
    let whole = || topics.iter().map(String::as_str).filter(|topic| !topic.contains(':'));
    let known = partitions_of(cluster, Some(whole()))?;
    let missing = whole().filter(|name| !known.keys().any(|known| *known.topic == **name)).collect();
    partitions.extend(known.into_keys());
    Ok((partitions, missing))
}

fn unknown_topic(topic: &str) -> ClientError {
    ClientError::api(topic, ErrorCode::UnknownTopicOrPartition, None)
}

fn delete_offsets(cluster: &Cluster, options: &Options) -> Result {
    let group = options.required("group")?;
    let (partitions, missing) = parse_topics(cluster, options.many("topic"))?;
    let mut results: Vec<(TopicPartition, Answer<()>)> = Vec::new();
    match cluster.answer(cluster.admin.delete_group_offsets(group, &partitions)) {
        Ok(outcomes) => {
            if outcomes.iter().any(|(_, outcome)| outcome.is_err()) {
                print_error("Encountered some partition-level error, see the follow-up details.");
            } else {
                outln!("Request succeeded for deleting offsets from group {group}.");
            }
            results.extend(outcomes);
        }
        Err(error) if error.code().is_some() => {
            results.extend(partitions.into_iter().map(|partition| (partition, Err(error.clone()))));
            print_error(&refusal(error).to_string());
        }
        Err(error) => return Err(refusal_with_class(error)),
    }
    let missing = missing.into_iter();
    results.extend(missing.map(|topic| (TopicPartition::new(topic, -1), Err(unknown_topic(topic)))));
    // As text: partition 10 stands before partition 2.
    results.sort_by_key(|(TopicPartition { topic, partition }, _)| format!("{topic}{partition}"));
    let width = results.iter().map(|(partition, _)| partition.topic.len()).max().unwrap_or(0).max(15);
    out!("\n{:<width$} {:<10} {:<15}", "TOPIC", "PARTITION", "STATUS");
    for (TopicPartition { topic, partition }, outcome) in results {
        let status = match outcome {
            Ok(()) => "Successful".to_owned(),
            Err(error) => format!("Error: {}", refusal_with_class(error)),
        };
        let partition = if partition < 0 { "-".to_owned() } else { partition.to_string() };
        out!("\n{topic:<width$} {partition:<10} {status:<15}");
    }
    outln!();
    Ok(())
}
