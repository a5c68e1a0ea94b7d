//! Commands, and the options that each takes.

use crate::error::{Result, ToolError};
use crate::options::{Options, command};

/// A command of the tool.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// Its name.
    pub(super) name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

static COMMANDS: &[Command] = &[
    Command { name: "list", required: &[], optional: &["duration-filter", "transactional-id-pattern"] },
    Command { name: "describe", required: &["transactional-id"], optional: &[] },
    Command { name: "describe-producers", required: &["topic", "partition"], optional: &["broker-id"] },
    Command {
        name: "abort",
        required: &["topic", "partition"],
        optional: &["start-offset", "producer-id", "producer-epoch", "coordinator-epoch"],
    },
    Command {
        name: "find-hanging",
        required: &[],
        optional: &["broker-id", "max-transaction-timeout", "topic", "partition"],
    },
    Command { name: "forceTerminateTransaction", required: &["transactionalId"], optional: &[] },
];

/// Options whose values are numbers, with Java's names of the kinds.
const NUMBERS: &[(&str, &str, i64, i64)] = &[
    ("duration-filter", "Long", i64::MIN, i64::MAX),
    ("broker-id", "Integer", i32::MIN as i64, i32::MAX as i64),
    ("partition", "Integer", i32::MIN as i64, i32::MAX as i64),
    ("start-offset", "Long", i64::MIN, i64::MAX),
    ("producer-id", "Long", i64::MIN, i64::MAX),
    ("producer-epoch", "Short", i16::MIN as i64, i16::MAX as i64),
    ("coordinator-epoch", "Integer", i32::MIN as i64, i32::MAX as i64),
    ("max-transaction-timeout", "Integer", i32::MIN as i64, i32::MAX as i64),
];

/// The command, with all that it needs and nothing else.
pub(super) fn check(options: &Options) -> Result<&'static Command> {
    let Some((word, rest)) = options.rest.split_first() else { return refuse("too few arguments") };
    let command = named(word)?;
    if !rest.is_empty() {
        return refuse(format!("unrecognized arguments: '{}'", rest.join(" ")));
    }
    for name in ["bootstrap-server"].iter().chain(command.required) {
        if !options.has(name) {
            return refuse(format!("argument --{name} is required"));
        }
    }
    let all = COMMANDS.iter().flat_map(|other| other.required.iter().chain(other.optional));
    for name in all {
        if options.has(name) && !command.required.contains(name) && !command.optional.contains(name) {
            return refuse(format!("unrecognized arguments: '--{name}'"));
        }
    }
    for (name, kind, min, max) in NUMBERS {
        let Some(text) = options.many(name).last() else { continue };
        if !text.parse::<i64>().is_ok_and(|number| (*min..=*max).contains(&number)) {
            return refuse(format!("argument --{name}: could not convert '{text}' to {kind}"));
        }
    }
    Ok(command)
}

fn refuse<T>(message: impl AsRef<str>) -> Result<T> {
    Err(ToolError::Arguments(format!("kafka-transactions.sh: error: {}", message.as_ref())))
}

/// Arguments that cannot be read at all. Those who ask for help get it.
pub(super) fn command_line_error(error: ToolError) -> ToolError {
    match error {
        ToolError::Usage(message) if !message.starts_with("kafka-transactions") => {
            ToolError::Arguments(format!("kafka-transactions.sh: error: {message}"))
        }
        other => other,
    }
}

/// A number; given twice, the last one counts.
pub(super) fn number<T: std::str::FromStr>(options: &Options, name: &str) -> Option<T> {
    options.many(name).last()?.parse().ok()
}

fn named(word: &str) -> Result<&'static Command> {
    let names: Vec<_> = COMMANDS.iter().map(|command| command.name).collect();
    let name = command(&names, word);
    match COMMANDS.iter().find(|command| name == Ok(command.name)) {
        Some(command) => Ok(command),
        None => refuse(name.err().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(line: &str) -> Result<&'static str> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let options = super::super::PARSER.parse(&words).map_err(command_line_error)?;
        Ok(check(&options)?.name)
    }

    fn refuse(line: &str) -> String {
        let text = check_line(&format!("--bootstrap-server b {line}")).unwrap_err().to_string();
        text.strip_prefix("kafka-transactions.sh: error: ").unwrap().to_owned()
    }

    #[test]
    fn commands() {
        assert_eq!(refuse(""), "too few arguments");
        assert!(refuse("lists").starts_with("invalid choice: 'lists' (choose from 'list', 'describe', "));
        assert_eq!(refuse("desc"), "ambiguous command: desc could match describe, describe-producers");
        assert_eq!(check_line("--bootstrap-server b l").unwrap(), "list");
        assert_eq!(refuse("list more"), "unrecognized arguments: 'more'");
        assert_eq!(refuse("list --what"), "what is not a recognized option");
        assert!(check_line("list").unwrap_err().to_string().ends_with("--bootstrap-server is required"));
        assert_eq!(check_line("--bootstrap-server b list --duration-filter -1").unwrap(), "list");
        let terminate = "--bootstrap-server b forceTerminateTransaction --transactionalId x";
        assert_eq!(check_line(terminate).unwrap(), "forceTerminateTransaction");
    }

    #[test]
    fn options_belong_to_commands() {
        assert_eq!(refuse("describe"), "argument --transactional-id is required");
        assert_eq!(refuse("describe-producers --topic t"), "argument --partition is required");
        assert_eq!(refuse("list --topic t"), "unrecognized arguments: '--topic'");
        assert_eq!(
            refuse("abort --topic t --partition x"),
            "argument --partition: could not convert 'x' to Integer"
        );
        assert_eq!(
            refuse("abort --topic t --partition 0 --producer-epoch 40000"),
            "argument --producer-epoch: could not convert '40000' to Short"
        );
    }

    #[test]
    fn the_last_number_counts() {
        let words = ["--partition", "1", "--partition", "2"].map(str::to_owned);
        let options = super::super::PARSER.parse(&words).unwrap();
        assert_eq!(number::<i32>(&options, "partition"), Some(2));
        assert_eq!(number::<i32>(&options, "broker-id"), None);
    }
}
