//! `consumer-groups`: list, describe, delete and reset groups, as `kafka-consumer-groups.sh` does.

mod describe;
mod duration;
mod group;
mod reset;

use std::collections::BTreeMap;

use ottla_common::ErrorCode;
use ottla_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_protocol::messages::{DeleteGroupsRequest, ListGroupsRequest, OffsetDeleteRequest};

use crate::cluster::{Cluster, check, default_message};
use crate::error::{Result, ToolError, usage};
use crate::offsets::{TopicPartition, partitions_of};
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
        value_or("timeout", "timeout (ms)", "5000", "How long the cluster may take to answer."),
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

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    if let Some(pattern) = options.one("validate-regex")? {
        validate_regex(pattern);
        return Ok(());
    }
    check_arguments(&options)?;
    let action = || -> Result {
        let mut config = crate::cluster::read_properties(options.one("command-config")?)?;
        let timeout = options.one("timeout")?.unwrap_or("5000").to_owned();
        config.entry("default.api.timeout.ms".to_owned()).or_insert(timeout);
        let mut cluster = Cluster::connect(options.required("bootstrap-server")?, &config)?;
        if options.has("list") {
            list(&mut cluster, &options)
        } else if options.has("describe") {
            describe::run(&mut cluster, &options)
        } else if options.has("delete") {
            delete(&mut cluster, &options)
        } else if options.has("reset-offsets") {
            reset::run(&mut cluster, &options)
        } else {
            delete_offsets(&mut cluster, &options)
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
    } else if options.has_any(&["members", "offsets"]) {
        return usage("Options [members] and [offsets] can only be used with [describe]");
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
    kind: String,
    state: String,
}

fn listed(cluster: &mut Cluster, states: &[String], types: &[String]) -> Result<Vec<Listed>> {
    let mut found = Vec::new();
    for node in cluster.nodes().to_vec() {
        let request = ListGroupsRequest {
            states_filter: states.iter().map(|state| state.as_str().into()).collect(),
            types_filter: types.iter().map(|kind| kind.as_str().into()).collect(),
            ..ListGroupsRequest::default()
        };
        let response = cluster.node(node.id, &request)?;
        check(response.error_code, None)?;
        for group in response.groups {
            let consumer = group.protocol_type.is_empty() || &*group.protocol_type == "consumer";
            // Older brokers know one type only and do not name it.
            let kind = match group.group_type.to_ascii_lowercase().as_str() {
                "" | "classic" => "Classic".to_owned(),
                "consumer" => "Consumer".to_owned(),
                _ => continue,
            };
            if consumer {
                found.push(Listed {
                    id: group.group_id.to_string(),
                    kind,
                    state: group.group_state.to_string(),
                });
            }
        }
    }
    Ok(found)
}

/// The groups that `--group` and `--all-groups` mean.
fn chosen(cluster: &mut Cluster, options: &Options) -> Result<Vec<String>> {
    if options.has("all-groups") {
        return Ok(listed(cluster, &[], &[])?.into_iter().map(|group| group.id).collect());
    }
    Ok(options.many("group").to_vec())
}

fn words(options: &Options, name: &str, valid: &[&str], what: &str) -> Result<Vec<String>> {
    let Some(text) = options.one(name)?.filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let mut words = Vec::new();
    for word in text.split(',').map(str::trim) {
        let plain = word.replace('_', "");
        match valid.iter().find(|known| known.eq_ignore_ascii_case(&plain)) {
            Some(known) => words.push((*known).to_owned()),
            None => {
                let valid = valid.join(", ");
                return usage(format!("Invalid {what} list '{text}'. Valid {what} are: {valid}"));
            }
        }
    }
    Ok(words)
}

fn list(cluster: &mut Cluster, options: &Options) -> Result {
    const STATES: &[&str] =
        &["PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning", "Reconciling"];
    let (with_type, with_state) = (options.has("type"), options.has("state"));
    let states = words(options, "state", STATES, "states")?;
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
        row(&group.id, &group.kind, &group.state);
    }
    Ok(())
}

fn delete(cluster: &mut Cluster, options: &Options) -> Result {
    let quoted =
        |names: &[String]| names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let mut done = Vec::new();
    let mut refused = Vec::new();
    for group in chosen(cluster, options)? {
        let result = cluster.group_coordinator(&group).and_then(|coordinator| {
            let request = DeleteGroupsRequest {
                groups_names: vec![group.as_str().into()],
                ..DeleteGroupsRequest::default()
            };
            let response = cluster.node(coordinator, &request)?;
            response
                .results
                .iter()
                .try_for_each(|result| check_group(result.error_code, result.error_message.as_ref()))
        });
        match result {
            Ok(()) => done.push(group),
            Err(error) => refused.push((group, error)),
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

/// Errors of groups are shown with the name of their class, as Java prints them.
fn check_group(code: i16, message: Option<&bytestring::ByteString>) -> Result {
    check(code, message).map_err(|error| {
        let class = match ErrorCode::from_code(code) {
            ErrorCode::GroupIdNotFound => "GroupIdNotFoundException",
            ErrorCode::NonEmptyGroup => "GroupNotEmptyException",
            ErrorCode::InvalidGroupId => "InvalidGroupIdException",
            ErrorCode::NotCoordinator => "NotCoordinatorException",
            _ => return error,
        };
        ToolError::Failed(format!("org.apache.kafka.common.errors.{class}: {error}"))
    })
}

/// Reads `topic` and `topic:0,1`; the partitions of the former come from the cluster.
fn parse_topics(cluster: &mut Cluster, topics: &[String]) -> Result<Vec<TopicPartition>> {
    let mut partitions = Vec::new();
    let whole: Vec<String> = topics.iter().filter(|topic| !topic.contains(':')).cloned().collect();
    for topic in topics.iter().filter(|topic| topic.contains(':')) {
        let Some((name, ids)) =
            topic.split_once(':').filter(|(_, ids)| !ids.is_empty() && !ids.contains(':'))
        else {
            return usage(format!("Invalid topic arg '{topic}', expected topic name and partitions"));
        };
        for id in ids.split(',') {
            match id.parse() {
                Ok(id) => partitions.push((name.to_owned(), id)),
                Err(_) => {
                    return usage(format!("Invalid partition '{id}' specified in topic arg '{topic}''"));
                }
            }
        }
    }
    if !whole.is_empty() {
        let known = partitions_of(cluster, Some(&whole))?;
        if let Some(missing) = whole.iter().find(|name| !known.keys().any(|(topic, _)| topic == *name)) {
            return Err(ToolError::Failed(format!(
                "org.apache.kafka.common.errors.UnknownTopicOrPartitionException: {} ({missing})",
                default_message(ErrorCode::UnknownTopicOrPartition)
            )));
        }
        partitions.extend(known.into_keys());
    }
    Ok(partitions)
}

/// Parts `topic` arguments into those that exist (or name their partitions) and those that do not.
fn present_topics(cluster: &mut Cluster, topics: &[String]) -> Result<(Vec<String>, Vec<String>)> {
    let whole: Vec<String> = topics.iter().filter(|topic| !topic.contains(':')).cloned().collect();
    let known = if whole.is_empty() { BTreeMap::new() } else { partitions_of(cluster, Some(&whole))? };
    let is_known = |name: &String| name.contains(':') || known.keys().any(|(topic, _)| topic == name);
    Ok(topics.iter().cloned().partition(is_known))
}

fn delete_offsets(cluster: &mut Cluster, options: &Options) -> Result {
    let group = options.required("group")?;
    let (present, missing) = present_topics(cluster, options.many("topic"))?;
    let partitions = parse_topics(cluster, &present)?;
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in &partitions {
        by_topic.entry(topic).or_default().push(*partition);
    }
    let partition = |index: &i32| OffsetDeleteRequestPartition { partition_index: *index };
    let topic = |(name, indexes): (&str, Vec<i32>)| OffsetDeleteRequestTopic {
        name: name.into(),
        partitions: indexes.iter().map(partition).collect(),
    };
    let request =
        OffsetDeleteRequest { group_id: group.into(), topics: by_topic.into_iter().map(topic).collect() };
    let coordinator = cluster.group_coordinator(group)?;
    let response = cluster.node(coordinator, &request)?;
    let whole = ErrorCode::from_code(response.error_code);
    let mut results: BTreeMap<TopicPartition, ErrorCode> =
        partitions.iter().map(|partition| (partition.clone(), whole)).collect();
    for topic in &response.topics {
        for partition in &topic.partitions {
            let key = (topic.name.to_string(), partition.partition_index);
            results.insert(key, ErrorCode::from_code(partition.error_code));
        }
    }
    results.extend(missing.into_iter().map(|topic| ((topic, -1), ErrorCode::UnknownTopicOrPartition)));
    if !whole.is_none() {
        print_error(&default_message(whole));
    } else if results.iter().any(|((_, partition), code)| *partition >= 0 && !code.is_none()) {
        print_error("Encountered some partition-level error, see the follow-up details.");
    } else {
        outln!("Request succeeded for deleting offsets from group {group}.");
    }
    let width = results.keys().map(|(topic, _)| topic.len()).max().unwrap_or(0).max(15);
    out!("\n{:<width$} {:<10} {:<15}", "TOPIC", "PARTITION", "STATUS");
    for ((topic, partition), code) in results {
        let status = match (code, partition) {
            (ErrorCode::None, _) => "Successful".to_owned(),
            // A topic that is not there fails earlier in Java's tool, which then shows the class too.
            (code, -1) => format!(
                "Error: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: {}",
                default_message(code)
            ),
            (code, _) => format!("Error: {}", default_message(code)),
        };
        let partition = if partition < 0 { "-".to_owned() } else { partition.to_string() };
        out!("\n{topic:<width$} {partition:<10} {status:<15}");
    }
    outln!();
    Ok(())
}
