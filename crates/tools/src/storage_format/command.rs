//! The subcommands and what they do.

use std::io;

use ottla_common::time::SystemTime;
use ottla_storage::fs::OsFileSystem;

use super::arguments::{Given, Opt, Subcommand, parse};
use super::dynamic_voters::{DynamicVoter, DynamicVoters};
use super::formatter::{Formatter, FormatterError, random_uuid};
use super::node_config::NodeConfig;
use super::{features, info};
use crate::error::{Result, ToolError, failed};
use crate::output::outln;

const CONFIG: Opt = Opt {
    long: "--config",
    short: "-c",
    takes_value: true,
    required: true,
    doc: "The node's configuration file.",
};

const fn value(long: &'static str, short: &'static str, doc: &'static str) -> Opt {
    Opt { long, short, takes_value: true, required: false, doc }
}

const fn switch(long: &'static str, short: &'static str, doc: &'static str) -> Opt {
    Opt { long, short, takes_value: false, required: false, doc }
}

static SUBCOMMANDS: &[Subcommand] = &[
    Subcommand {
        name: "info",
        doc: "Show what the log directories of this node are.",
        usage: "usage: kafka-storage info [-h] --config CONFIG",
        options: &[CONFIG],
        exclusive: &[],
    },
    Subcommand {
        name: "format",
        doc: "Make the log directories of this node ready.",
        usage: "usage: kafka-storage format [-h] --config CONFIG --cluster-id CLUSTER_ID\n\
                \x20                    [--add-scram ADD_SCRAM] [--ignore-formatted]\n\
                \x20                    [--release-version RELEASE_VERSION]\n\
                \x20                    [--feature FEATURE] [--standalone |\n\
                \x20                    --no-initial-controllers |\n\
                \x20                    --initial-controllers INITIAL_CONTROLLERS]",
        options: &[
            CONFIG,
            Opt {
                long: "--cluster-id",
                short: "-t",
                takes_value: true,
                required: true,
                doc: "The cluster's id; random-uuid makes one.",
            },
            value("--add-scram", "-S", "A SCRAM credential to begin with; may be repeated."),
            switch("--ignore-formatted", "-g", "Leave directories alone that are formatted already."),
            value("--release-version", "-r", "The release whose features the cluster begins with."),
            value("--feature", "-f", "The level of one feature, as feature=level; may be repeated."),
            switch("--standalone", "-s", "Begin a dynamic quorum with this controller as its only voter."),
            switch("--no-initial-controllers", "-N", "Join a dynamic quorum that exists or will."),
            value(
                "--initial-controllers",
                "-I",
                "Begin a dynamic quorum with these voters: id@host:port:directory, separated by commas, the \
                 same on every node.",
            ),
        ],
        exclusive: &["--standalone", "--no-initial-controllers", "--initial-controllers"],
    },
    Subcommand {
        name: "version-mapping",
        doc: "Show the levels of all features that belong to a release.",
        usage: "usage: kafka-storage version-mapping [-h]\n\
                \x20                    [--release-version RELEASE_VERSION]",
        options: &[value("--release-version", "-r", "The release; the newest if none.")],
        exclusive: &[],
    },
    Subcommand {
        name: "feature-dependencies",
        doc: "Show what levels of features depend on.",
        usage: "usage: kafka-storage feature-dependencies [-h] --feature FEATURE",
        options: &[Opt {
            long: "--feature",
            short: "-f",
            takes_value: true,
            required: true,
            doc: "A level, as feature=level; may be repeated.",
        }],
        exclusive: &[],
    },
    Subcommand {
        name: "random-uuid",
        doc: "Print a random id, for a cluster or a directory.",
        usage: "usage: kafka-storage random-uuid [-h]",
        options: &[],
        exclusive: &[],
    },
];

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let (subcommand, given) = parse(SUBCOMMANDS, args)?;
    match subcommand.name {
        "info" => info::info(&NodeConfig::read(given.one("--config").unwrap_or_default())?.directories),
        "format" => format(&given),
        "version-mapping" => features::version_mapping(given.one("--release-version")),
        "feature-dependencies" => features::feature_dependencies(given.many("--feature")),
        _ => {
            outln!("{}", random_uuid());
            Ok(())
        }
    }
}

fn format(given: &Given) -> Result {
    let config = NodeConfig::read(given.one("--config").unwrap_or_default())?;
    let formatter = formatter(&config, given)?;
    let mut out = io::stdout().lock();
    formatter.run(&OsFileSystem, &SystemTime::default(), &mut out).map_err(|error| match error {
        FormatterError::Refused(message) => ToolError::Failed(message),
        other => ToolError::Failed(other.to_string()),
    })
}

/// The formatter that configuration and arguments ask for.
pub(super) fn formatter(config: &NodeConfig, given: &Given) -> Result<Formatter> {
    if !config.is_kraft {
        return failed(
            "The configuration has no process.roles, so it is one of a cluster with ZooKeeper, which Kafka 4 \
             no longer knows. Write process.roles=broker,controller.",
        );
    }
    let Some(controller_listener_name) = config.controller_listener_names.first().cloned() else {
        return failed(
            "controller.listener.names must contain at least one value: name a listener of the controllers.",
        );
    };
    if !given.many("--add-scram").is_empty() {
        return failed("--add-scram is not supported yet.");
    }
    let release_version = given.one("--release-version").map(features::parse_release_version).transpose()?;
    let feature_levels = given
        .many("--feature")
        .iter()
        .map(|text| parse_name_and_level(text))
        .collect::<Result<std::collections::BTreeMap<_, _>>>()?;
    let named = given.one("--initial-controllers");
    if config.has_static_voters && (named.is_some() || given.has("--standalone")) {
        return failed(
            "You cannot specify controller.quorum.voters and format the node with --initial-controllers or \
             --standalone. If you want to use dynamic quorum, please remove controller.quorum.voters and \
             specify controller.quorum.bootstrap.servers instead.",
        );
    }
    let voters = |text: &str| text.parse().map_err(|error| ToolError::Failed(format!("{error}")));
    let initial_controllers: Option<DynamicVoters> = match named {
        Some(text) => Some(voters(text)?),
        None if given.has("--standalone") => Some(standalone(config)?),
        None => None,
    };
    let undecided = !given.has("--no-initial-controllers")
        && config.is_controller
        && !config.has_static_voters
        && initial_controllers.is_none();
    if undecided {
        return failed(
            "Because controller.quorum.voters is not set on this controller, you must specify one of the \
             following: --standalone, --initial-controllers, or --no-initial-controllers.",
        );
    }
    Ok(Formatter {
        node_id: config.node_id,
        cluster_id: given.one("--cluster-id").unwrap_or_default().to_owned(),
        directories: config.directories.clone(),
        metadata_log_directory: Some(config.metadata_log_dir.clone()),
        release_version,
        feature_levels,
        ignore_formatted: given.has("--ignore-formatted"),
        controller_listener_name,
        initial_controllers,
        has_dynamic_quorum: !config.has_static_voters,
        write_bootstrap_snapshot: config.is_controller,
        additional_records: Vec::new(),
    })
}

fn standalone(config: &NodeConfig) -> Result<DynamicVoters> {
    if !config.is_controller {
        return failed("You can only use --standalone on a controller.");
    }
    let Some((host, port)) = config.controller_listener.clone() else {
        return failed("No controller listeners found.");
    };
    let voter = DynamicVoter { node_id: config.node_id, host, port, directory_id: random_uuid() };
    DynamicVoters::new([voter]).map_err(|error| ToolError::Failed(error.to_string()))
}

fn parse_name_and_level(text: &str) -> Result<(String, i16)> {
    let Some((name, level)) = text.split_once('=') else {
        return failed(format!("Can't parse feature=level string {text}: equals sign not found."));
    };
    let level = level.trim();
    match level.parse() {
        Ok(number) => Ok((name.trim().to_owned(), number)),
        Err(_) => {
            failed(format!("Can't parse feature=level string {text}: unable to parse {level} as a short."))
        }
    }
}
