//! `groups`: list groups of every type, as `kafka-groups.sh` does; and what the tools of each type share.

pub(crate) mod arguments;
pub(crate) mod columns;
pub(crate) mod csv;
pub(crate) mod deletion;
mod duration;
pub(crate) mod refusals;
pub(crate) mod reset;
pub(crate) mod topics;

use ottla_clients::ClientConfig;
use ottla_clients::admin::GroupListing;

use crate::client_config::read_properties;
use crate::cluster::Cluster;
use crate::error::{Result, ToolError, usage};
use crate::options::{Options, Parser, flag, value};
use crate::output::{out, outln};

pub(crate) const PARSER: Parser = Parser {
    purpose: "This tool helps to list groups of all types.",
    options: &[
        value("bootstrap-server", "server to connect to", "REQUIRED: The server to connect to."),
        value("command-config", "command config property file", "Property file with settings of the client."),
        flag("list", "List the groups."),
        value("group-type", "type", "Only groups of this type: classic, consumer, share or streams."),
        value("protocol", "protocol", "Only groups of this protocol type."),
        flag("consumer", "Only groups of consumers: of the consumer type, and classic ones of consumers."),
        flag("share", "Only share groups."),
        flag("streams", "Only streams groups."),
    ],
};

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    let wanted = check_arguments(&options)?;
    let mut config = ClientConfig::from_iter(read_properties(options.one("command-config")?)?);
    config.set("bootstrap.servers", options.required("bootstrap-server")?);
    config.set_default("default.api.timeout.ms", "30000");
    list(config, &wanted).map_err(|error| match error {
        ToolError::Failed(message) => {
            // Kafka's tool complains on standard output.
            outln!("Error while executing groups command : {message}");
            ToolError::Exit(1)
        }
        other => other,
    })
}

/// Which groups to show.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    /// Of a type, and of a protocol type if one was named too.
    Type(&'static str, Option<String>),
    Protocol(String),
    Consumer,
}

fn check_arguments(options: &Options) -> Result<Wanted> {
    if !options.has("bootstrap-server") {
        return usage("Missing required option(s) [bootstrap-server]");
    }
    if !options.has("list") {
        return usage("Command must include exactly one action: --list.");
    }
    let group_type = match options.one("group-type")? {
        None => None,
        Some(text) => match type_name(text) {
            "" | "Unknown" => {
                return Err(ToolError::Arguments("--group-type must be a valid group type.".to_owned()));
            }
            name => Some(name),
        },
    };
    options.check_invalid("consumer", &["group-type", "protocol", "share", "streams"])?;
    options.check_invalid("share", &["consumer", "group-type", "protocol", "streams"])?;
    options.check_invalid("streams", &["consumer", "group-type", "protocol", "share"])?;
    let protocol = options.one("protocol")?.map(str::to_owned);
    Ok(match (group_type, protocol) {
        (Some(name), protocol) => Wanted::Type(name, protocol),
        (None, Some(protocol)) => Wanted::Protocol(protocol),
        (None, None) if options.has("consumer") => Wanted::Consumer,
        (None, None) if options.has("share") => Wanted::Type("Share", None),
        (None, None) if options.has("streams") => Wanted::Type("Streams", None),
        (None, None) => Wanted::All,
    })
}

/// How Kafka writes a type of group. The empty word is that of brokers that do not say.
pub(crate) fn type_name(text: &str) -> &'static str {
    if text.is_empty() {
        return "";
    }
    let names = ["Consumer", "Classic", "Share", "Streams"];
    names.into_iter().find(|name| name.eq_ignore_ascii_case(text)).unwrap_or("Unknown")
}

impl Wanted {
    fn allows(&self, group: &GroupListing) -> bool {
        let protocol = &*group.protocol_type;
        let group_type = type_name(&group.group_type);
        match self {
            Self::All => true,
            Self::Type(name, wanted) => {
                *name == group_type && wanted.as_ref().is_none_or(|wanted| wanted == protocol)
            }
            Self::Protocol(wanted) => wanted == protocol,
            Self::Consumer => matches!(protocol, "" | "consumer") || group_type == "Consumer",
        }
    }
}

fn list(config: ClientConfig, wanted: &Wanted) -> Result {
    let cluster = Cluster::connect(config)?;
    let groups = cluster.wait(cluster.admin.list_groups(&[], &[]))?;
    out!("{}", table(&groups, wanted));
    Ok(())
}

/// Three columns, all as wide as the widest word of any.
fn table(groups: &[GroupListing], wanted: &Wanted) -> String {
    const WIDTH_MIN: usize = 20;
    let groups = groups.iter().filter(|group| wanted.allows(group));
    let rows: Vec<[&str; 3]> =
        groups.map(|group| [&*group.group_id, type_name(&group.group_type), &*group.protocol_type]).collect();
    let width = rows.iter().flatten().map(|word| word.chars().count()).max().unwrap_or(0).max(WIDTH_MIN);
    let mut text = format!("{:<width$} {:<width$} {:<width$}\n", "GROUP", "TYPE", "PROTOCOL");
    for [id, group_type, protocol] in rows {
        text.push_str(&format!("{id:<width$} {group_type:<width$} {protocol:<width$} \n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> Result<Wanted> {
        check_arguments(&PARSER.parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())?)
    }

    fn listing(group_id: &str, group_type: &str, protocol_type: &str) -> GroupListing {
        GroupListing {
            group_id: group_id.into(),
            protocol_type: protocol_type.into(),
            state: "Stable".into(),
            group_type: group_type.into(),
        }
    }

    #[test]
    fn arguments_are_checked() {
        let refuse = |line: &str| check(line).unwrap_err().to_string();
        assert_eq!(refuse("--list"), "Missing required option(s) [bootstrap-server]");
        assert_eq!(refuse("--bootstrap-server b"), "Command must include exactly one action: --list.");
        let of_type = "--bootstrap-server b --list --group-type";
        assert_eq!(refuse(&format!("{of_type} queue")), "--group-type must be a valid group type.");
        assert_eq!(
            refuse("--bootstrap-server b --list --consumer --protocol x"),
            "Option \"[consumer]\" can't be used with option \"[protocol]\""
        );
        assert_eq!(
            refuse("--bootstrap-server b --list --share --streams"),
            "Option \"[share]\" can't be used with option \"[streams]\""
        );
        assert_eq!(check(&format!("{of_type} SHARE")).unwrap(), Wanted::Type("Share", None));
        assert_eq!(check("--bootstrap-server b --list").unwrap(), Wanted::All);
    }

    #[test]
    fn filters() {
        let simple = listing("simple", "Classic", "");
        let connect = listing("connect", "Classic", "connect");
        let share = listing("share", "Share", "share");
        assert!(Wanted::Consumer.allows(&simple) && !Wanted::Consumer.allows(&connect));
        assert!(Wanted::Type("Share", None).allows(&share) && !Wanted::Type("Share", None).allows(&simple));
        let connect_only = Wanted::Type("Classic", Some("connect".to_owned()));
        assert!(connect_only.allows(&connect) && !connect_only.allows(&simple));
        assert!(Wanted::Protocol("share".to_owned()).allows(&share));
    }

    #[test]
    fn columns_are_of_one_width() {
        let groups =
            [listing("a-group-with-a-rather-long-name", "consumer", "consumer"), listing("b", "", "")];
        let text = table(&groups, &Wanted::All);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("{:<31} {:<31} {:<31}", "GROUP", "TYPE", "PROTOCOL"));
        assert_eq!(
            lines[1],
            format!("{:<31} {:<31} {:<31} ", "a-group-with-a-rather-long-name", "Consumer", "consumer")
        );
        assert_eq!(lines[2], format!("{:<31} {:<31} {:<31} ", "b", "", ""));
        let narrow = table(&[], &Wanted::All);
        assert_eq!(narrow, format!("{:<20} {:<20} {:<20}\n", "GROUP", "TYPE", "PROTOCOL"));
    }
}
