//! `streams-groups`: list, describe, delete and reset streams groups (KIP-1071), as
//! `kafka-streams-groups.sh` does.

mod arguments;
mod delete;
mod describe;
mod internal_topics;
mod offsets;
mod tables;
mod topology;

use ottla_clients::admin::{GroupListing, StreamsGroupDescription};

use crate::cluster::{Answer, Cluster};
use crate::error::{Result, ToolError};
use crate::groups::arguments::{connect, of_type, words};
use crate::groups::refusals::{print_error, refusal_of_future, refusal_with_class};
use crate::options::{Options, Parser, flag, maybe_value, value, value_or};
use crate::output::{out, outln};

pub(crate) const PARSER: Parser = Parser {
    purpose: "This tool helps to list, describe, delete and manage the offsets of streams groups.",
    options: &[
        value("bootstrap-server", "server to connect to", "REQUIRED: The server(s) to connect to."),
        value("group", "group id", "The streams group; may be repeated."),
        value("input-topic", "topic", "An input topic, or topic:0,1,2; may be repeated."),
        flag("all-input-topics", "All input topics of the group's topology."),
        flag("list", "List all streams groups."),
        flag("describe", "Describe streams groups and their lag."),
        flag("all-groups", "All streams groups."),
        flag("delete", "Delete streams groups without members."),
        flag("delete-offsets", "Forget a streams group's offsets of input topics."),
        value_or("timeout", "timeout (ms)", "30000", "How long the cluster may take to answer."),
        value("command-config", "command config property file", "Property file with settings of the client."),
        maybe_value(
            "state",
            "state",
            "With --describe: show the state. With --list: show it, or keep groups in these states: Empty, \
             NotReady, Stable, Assigning, Reconciling, Dead.",
        ),
        flag("members", "With --describe: show members and their tasks."),
        flag("offsets", "With --describe: show offsets; the default."),
        flag("topology", "With --describe: show the topology as the broker has it."),
        flag("reset-offsets", "Move streams groups without members; with --dry-run or --execute."),
        value("to-offset", "offset", "Reset to this offset."),
        value("from-file", "path to CSV file", "Reset to the offsets of a file."),
        value("to-datetime", "datetime", "Reset to the offset at YYYY-MM-DDThh:mm:ss.sss[zone]."),
        value("by-duration", "duration", "Reset to the offset this long ago, as PnDTnHnMnS."),
        flag("to-earliest", "Reset to the earliest offset."),
        flag("to-latest", "Reset to the latest offset."),
        flag("to-current", "Reset to the current offset."),
        value("shift-by", "number-of-offsets", "Move the current offset; may be negative."),
        value(
            "delete-internal-topic",
            "topic",
            "With --reset-offsets --execute: delete this internal topic.",
        ),
        flag("delete-all-internal-topics", "With --reset-offsets --execute, or --delete: delete them all."),
        flag("verbose", "With --describe: show more."),
        flag("dry-run", "Only show the new offsets."),
        flag("execute", "Do it."),
        flag("export", "Show the new offsets as CSV."),
    ],
};

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    arguments::check(&options)?;
    for number in ["timeout", "to-offset", "shift-by"] {
        // This tool calls a wrong number wrong usage.
        options.number::<i64>(number)?;
    }
    let action = || -> Result {
        let cluster = connect(&options)?;
        if options.has("list") {
            list(&cluster, &options)
        } else if options.has("describe") {
            describe::run(&cluster, &options)
        } else if options.has("reset-offsets") {
            offsets::reset(&cluster, &options)
        } else if options.has("delete") {
            delete::run(&cluster, &options)
        } else {
            offsets::delete(&cluster, &options)
        }
    };
    action().map_err(|error| match error {
        ToolError::Failed(message) => {
            // On standard output as in the other tools of groups; but here the shell learns of it.
            print_error(&format!("Executing streams group command failed due to {message}"));
            ToolError::Exit(1)
        }
        other => other,
    })
}

fn listed(cluster: &Cluster, states: Vec<String>) -> Answer<Vec<GroupListing>> {
    cluster.answer(cluster.admin.list_groups_of(&of_type("Streams", states)))
}

/// The groups that `--group` and `--all-groups` mean.
fn chosen(cluster: &Cluster, options: &Options) -> Result<Vec<String>> {
    if options.has("all-groups") {
        let groups = listed(cluster, Vec::new()).map_err(refusal_of_future)?.into_iter();
        return Ok(groups.map(|group| group.group_id.to_string()).collect());
    }
    Ok(options.many("group").to_vec())
}

fn list(cluster: &Cluster, options: &Options) -> Result {
    const STATES: &[&str] = &["Stable", "Dead", "Empty", "Assigning", "Reconciling", "NotReady"];
    let states = words(options, "state", STATES, "state")?;
    if options.has("state") {
        let groups = listed(cluster, states).map_err(refusal_with_class)?;
        out!("{}", tables::listings(&groups));
    } else {
        let groups = listed(cluster, states).map_err(refusal_of_future)?;
        groups.iter().for_each(|group| outln!("{}", group.group_id));
    }
    Ok(())
}

fn describe_group(cluster: &Cluster, id: &str) -> Answer<StreamsGroupDescription> {
    cluster.answer(cluster.admin.describe_streams_group(id, false))
}
