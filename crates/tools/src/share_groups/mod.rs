//! `share-groups`: list, describe, delete and reset share groups (KIP-932), as `kafka-share-groups.sh` does.

mod arguments;
mod describe;
mod offsets;
mod tables;

use std::collections::BTreeMap;

use ottla_clients::ClientError;
use ottla_clients::admin::{GroupListing, ShareGroupDescription, SharePartitionOffset};
use ottla_common::TopicPartition;

use crate::cluster::{Answer, Cluster};
use crate::error::{Result, ToolError};
use crate::groups::arguments::{connect, of_type, words};
use crate::groups::refusals::{print_error, quoted, refusal_with_class};
use crate::options::{Options, Parser, flag, maybe_value, value, value_or};
use crate::output::{out, outln};

pub(crate) const PARSER: Parser = Parser {
    purpose: "This tool helps to list, describe, delete and manage the offsets of share groups.",
    options: &[
        value("bootstrap-server", "server to connect to", "REQUIRED: The server(s) to connect to."),
        value("group", "group id", "The share group."),
        value("topic", "topic", "A topic; with --reset-offsets also topic:0,1,2. May be repeated."),
        flag("all-topics", "With --reset-offsets: all topics of the group."),
        flag("list", "List all share groups."),
        flag("describe", "Describe share groups, their members and offsets."),
        flag("all-groups", "All share groups."),
        flag("delete", "Delete share groups without members."),
        value_or("timeout", "timeout (ms)", "30000", "How long the cluster may take to answer."),
        value("command-config", "command config property file", "Property file with settings of the client."),
        flag("reset-offsets", "Move a share group without members; with --dry-run or --execute."),
        flag("delete-offsets", "Forget a share group's offsets of topics."),
        flag("dry-run", "Only show the new offsets."),
        flag("execute", "Do it."),
        flag("export", "Show the new offsets as CSV."),
        value("to-offset", "offset", "Reset to this offset."),
        value("from-file", "path to CSV file", "Reset to the offsets of a file."),
        value("to-datetime", "datetime", "Reset to the offset at YYYY-MM-DDThh:mm:ss.sss[zone]."),
        flag("to-earliest", "Reset to the earliest offset."),
        flag("to-latest", "Reset to the latest offset."),
        flag("to-current", "Reset to the current offset."),
        flag("members", "With --describe: show members."),
        flag("offsets", "With --describe: show offsets; the default."),
        maybe_value(
            "state",
            "state",
            "With --describe: show the state. With --list: show it, or keep groups in these states: \
             Empty, Stable, Dead.",
        ),
        flag("verbose", "With --describe: show more."),
    ],
};

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    arguments::check(&options)?;
    let action = || -> Result {
        let cluster = connect(&options)?;
        if options.has("list") {
            list(&cluster, &options)
        } else if options.has("describe") {
            describe::run(&cluster, &options)
        } else if options.has("delete") {
            delete(&cluster, &options)
        } else if options.has("reset-offsets") {
            offsets::reset(&cluster, &options)
        } else {
            offsets::delete(&cluster, &options)
        }
    };
    action().or_else(|error| match error {
        ToolError::Failed(message) => {
            // As in Kafka this is no failure to the shell.
            print_error(&format!("Executing share group command failed due to {message}"));
            Ok(())
        }
        other => Err(other),
    })
}

fn listed(cluster: &Cluster, states: Vec<String>) -> Answer<Vec<GroupListing>> {
    cluster.answer(cluster.admin.list_groups_of(&of_type("Share", states)))
}

/// The groups that `--group` and `--all-groups` mean.
fn chosen(cluster: &Cluster, options: &Options) -> Answer<Vec<String>> {
    if options.has("all-groups") {
        let groups = listed(cluster, Vec::new())?.into_iter();
        return Ok(groups.map(|group| group.group_id.to_string()).collect());
    }
    Ok(options.many("group").to_vec())
}

fn list(cluster: &Cluster, options: &Options) -> Result {
    let states = words(options, "state", &["Stable", "Dead", "Empty"], "state")?;
    if options.has("state") {
        let groups = listed(cluster, states).map_err(refusal_with_class)?;
        out!("{}", tables::listings(&groups));
    } else {
        let groups = cluster.wait(cluster.admin.list_groups_of(&of_type("Share", states)))?;
        groups.iter().for_each(|group| outln!("{}", group.group_id));
    }
    Ok(())
}

fn describe_group(cluster: &Cluster, id: &str) -> Answer<ShareGroupDescription> {
    cluster.answer(cluster.admin.describe_share_group(id))
}

/// Where a group stands in all its partitions.
fn offsets_of(cluster: &Cluster, id: &str) -> Answer<BTreeMap<TopicPartition, Option<SharePartitionOffset>>> {
    cluster.answer(cluster.admin.list_share_group_offsets(id, None))
}

fn delete(cluster: &Cluster, options: &Options) -> Result {
    let listed = listed(cluster, Vec::new()).map_err(crate::cluster::refusal)?;
    let mut wanted: Vec<String> = if options.has("all-groups") {
        listed.iter().map(|group| group.group_id.to_string()).collect()
    } else {
        options.many("group").to_vec()
    };
    wanted.sort();
    wanted.dedup();
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for id in wanted {
        match why_not_deletable(&id, &listed) {
            Some(reason) => refused.push((id, reason)),
            None => match cluster.answer(cluster.admin.delete_group(&id)) {
                Ok(()) => done.push(id),
                Err(error) => refused.push((id, refusal_with_class(error).to_string())),
            },
        }
    }
    if refused.is_empty() {
        outln!("Deletion of requested share groups ({}) was successful.", quoted(&done));
        return Ok(());
    }
    print_error("Deletion of some share groups failed:");
    for (id, reason) in refused {
        outln!("* Group '{id}' could not be deleted due to: {reason}");
    }
    if !done.is_empty() {
        outln!("\nThese share groups were deleted successfully: {}", quoted(&done));
    }
    Ok(())
}

/// What can be told of a group without asking its coordinator.
fn why_not_deletable(id: &str, listed: &[GroupListing]) -> Option<String> {
    const ERRORS: &str = "org.apache.kafka.common.errors.";
    let Some(group) = listed.iter().find(|group| *group.group_id == *id) else {
        return Some(format!("{ERRORS}GroupIdNotFoundException: Group '{id}' is not a share group."));
    };
    match &*group.state {
        "" | "Empty" => None,
        "Dead" => Some(format!("java.lang.IllegalStateException: Share group '{id}' group state is DEAD.")),
        _ => Some(format!("{ERRORS}GroupNotEmptyException: Share group '{id}' is not EMPTY.")),
    }
}

/// A refusal that ends the tool with a word on standard error.
fn fatal(error: ClientError) -> ToolError {
    ToolError::Arguments(crate::cluster::refusal(error).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_share_groups_are_deleted() {
        let group = |id: &str, state: &str| GroupListing {
            group_id: id.into(),
            protocol_type: "share".into(),
            state: state.into(),
            group_type: "Share".into(),
        };
        let listed = [group("empty", "Empty"), group("busy", "Stable"), group("dead", "Dead")];
        assert_eq!(why_not_deletable("empty", &listed), None);
        let reason = |id: &str| why_not_deletable(id, &listed).unwrap();
        assert_eq!(
            reason("busy"),
            "org.apache.kafka.common.errors.GroupNotEmptyException: Share group 'busy' is not EMPTY."
        );
        assert!(reason("dead").ends_with("Share group 'dead' group state is DEAD."));
        assert!(reason("none").ends_with("GroupIdNotFoundException: Group 'none' is not a share group."));
    }
}
