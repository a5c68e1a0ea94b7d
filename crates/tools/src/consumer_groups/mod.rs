//! `consumer-groups`: list, describe, delete and reset groups, as `kafka-consumer-groups.sh` does.

mod arguments;
mod describe;
mod reset;
mod tables;

use std::collections::BTreeMap;

use ottla_clients::admin::{GroupDescription, GroupFilter, GroupListing, OffsetAndMetadata};
use ottla_common::TopicPartition;
use ottla_coordinator::group::consumer::compile_topic_regex;

use crate::cluster::{Answer, Cluster};
use crate::error::{Result, ToolError, failed};
use crate::groups::arguments::{connect, words};
use crate::groups::deletion;
use crate::groups::refusals::{print_error, quoted, refusal_with_class};
use crate::groups::topics::parse_topics;
use crate::options::{Options, Parser, flag, maybe_value, value, value_or};
use crate::output::{out, outln};

pub(crate) const PARSER: Parser = Parser {
    purpose: "This tool helps to list, describe, delete and manage the offsets of consumer groups.",
    options: &[
        value("bootstrap-server", "server to connect to", "REQUIRED: The server(s) to connect to."),
        value("group", "group id", "The group; may be repeated."),
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
        value("validate-regex", "regex", "Check a pattern for subscriptions, as RE2 reads it."),
    ],
};

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    arguments::check(&options)?;
    if let Some(pattern) = options.one("validate-regex")? {
        outln!("{}", judged_regex(pattern));
        return Ok(());
    }
    let action = || -> Result {
        let cluster = connect(&options)?;
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

fn judged_regex(pattern: &str) -> String {
    match compile_topic_regex(pattern) {
        Ok(_) => format!("The regular expression `{pattern}` is valid."),
        Err(error) => format!("The regular expression `{pattern}` is invalid: {error}."),
    }
}

/// The groups that consumers use, in these states and of these types.
fn listed(cluster: &Cluster, states: Vec<String>, types: Vec<String>) -> Result<Vec<GroupListing>> {
    let protocol_types = vec![String::new(), "consumer".to_owned()];
    let wanted = GroupFilter { states, types, protocol_types };
    cluster.answer(cluster.admin.list_groups_of(&wanted)).map_err(refusal_with_class)
}

/// The groups that `--group` and `--all-groups` mean.
fn chosen(cluster: &Cluster, options: &Options) -> Result<Vec<String>> {
    if !options.has("all-groups") {
        return Ok(options.many("group").to_vec());
    }
    let types = vec!["Classic".to_owned(), "Consumer".to_owned()];
    let groups = listed(cluster, Vec::new(), types)?.into_iter();
    Ok(groups.map(|group| group.group_id.to_string()).collect())
}

fn list(cluster: &Cluster, options: &Options) -> Result {
    const STATES: &[&str] =
        &["PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning", "Reconciling"];
    let (with_type, with_state) = (options.has("type"), options.has("state"));
    let states = words(options, "state", STATES, "state")?;
    let mut types = words(options, "type", &["Classic", "Consumer"], "types")?;
    if !with_type && !with_state {
        types = vec!["Classic".to_owned(), "Consumer".to_owned()];
    }
    let groups = listed(cluster, states, types)?;
    if with_type || with_state {
        out!("{}", tables::listings(&groups, with_type, with_state));
    } else {
        groups.iter().for_each(|group| outln!("{}", group.group_id));
    }
    Ok(())
}

fn delete(cluster: &Cluster, options: &Options) -> Result {
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

fn describe_group(cluster: &Cluster, id: &str) -> Answer<GroupDescription> {
    cluster.answer(cluster.admin.describe_group(id))
}

/// Groups of Connect and the like are no groups of consumers.
fn check_is_of_consumers(id: &str, group: &GroupDescription) -> Result {
    match &*group.protocol_type {
        "" | "consumer" => Ok(()),
        other => failed(format!(
            "java.lang.IllegalArgumentException: GroupId {id} is not a consumer group ({other})."
        )),
    }
}

/// All offsets that a group has committed.
fn committed(cluster: &Cluster, id: &str) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>> {
    cluster.answer(cluster.admin.list_group_offsets(id, None)).map_err(refusal_with_class)
}

fn delete_offsets(cluster: &Cluster, options: &Options) -> Result {
    let group = options.required("group")?;
    let (partitions, missing) = parse_topics(cluster, options.many("topic"))?;
    deletion::delete_offsets(cluster, group, &partitions, &missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_judged() {
        assert_eq!(judged_regex("pagos-.*"), "The regular expression `pagos-.*` is valid.");
        assert_eq!(judged_regex("pagos("), "The regular expression `pagos(` is invalid: missing closing ).");
        let text = "The regular expression `[a-z]++` is invalid: invalid nested repetition operator.";
        assert_eq!(judged_regex("[a-z]++"), text);
    }
}
