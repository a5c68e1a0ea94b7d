//! Checks of arguments that the tools of groups have in common.

use ottla_clients::ClientConfig;
use ottla_clients::admin::GroupFilter;

use crate::client_config::read_properties;
use crate::cluster::Cluster;
use crate::error::{Result, ToolError, usage};
use crate::options::Options;

/// Connects to `--bootstrap-server`, with the patience of `--timeout`.
pub(crate) fn connect(options: &Options) -> Result<Cluster> {
    let mut config = ClientConfig::from_iter(read_properties(options.one("command-config")?)?);
    config.set("bootstrap.servers", options.required("bootstrap-server")?);
    if let Some(timeout) = number(options, "timeout")? {
        config.set("default.api.timeout.ms", timeout.to_string());
    }
    Cluster::connect(config)
}

/// A number that Kafka's tools read only when they are about to work: a wrong one is no wrong usage there.
pub(crate) fn number(options: &Options, name: &str) -> Result<Option<i64>> {
    options.number(name).map_err(|error| ToolError::Failed(error.to_string()))
}

/// Refuses options that only go with certain actions.
pub(crate) fn check_companions(options: &Options, companions: &[(&str, &[&str])]) -> Result {
    for (option, actions) in companions {
        if options.has(option) && !options.has_any(actions) {
            return usage(format!(
                "Option(s) [{option}] are unavailable given other options on the command line"
            ));
        }
    }
    Ok(())
}

/// Whether exactly one of the actions was asked for.
pub(crate) fn is_one_action(options: &Options, actions: &[&str]) -> bool {
    actions.iter().filter(|action| options.has(action)).count() == 1
}

/// `[a], [b]`.
pub(crate) fn in_brackets(names: &[&str]) -> String {
    names.iter().map(|name| format!("[{name}]")).collect::<Vec<_>>().join(", ")
}

/// An action that needs `--group` or `--all-groups`; `order` is how the tool names the two.
pub(crate) fn check_has_group(options: &Options, action: &str, order: &[&str]) -> Result {
    if options.has_any(&["group", "all-groups"]) {
        return Ok(());
    }
    usage(format!("Option [{action}] takes one of these options: {}", in_brackets(order)))
}

/// `--describe` shows one of its parts, and `--state` names no state there.
pub(crate) fn check_describe_parts(options: &Options, parts: &[&str]) -> Result {
    if parts.iter().filter(|part| options.has(part)).count() > 1 {
        let parts = in_brackets(parts);
        return usage(format!("Option [describe] takes at most one of these options: {parts}"));
    }
    if !options.many("state").is_empty() {
        return usage("Option [describe] does not take a value for [state]");
    }
    Ok(())
}

/// `--reset-offsets` either shows or does.
pub(crate) fn check_dry_run_or_execute(options: &Options) -> Result {
    if options.has("dry-run") && options.has("execute") {
        return usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]");
    }
    Ok(())
}

/// Only one of these may be given.
pub(crate) fn check_exclusive(options: &Options, names: &[&str]) -> Result {
    for name in names {
        let others: Vec<_> = names.iter().copied().filter(|other| other != name).collect();
        options.check_invalid(name, &others)?;
    }
    Ok(())
}

/// The words of an option between commas, in Kafka's spelling.
pub(crate) fn words(options: &Options, name: &str, valid: &[&str], what: &str) -> Result<Vec<String>> {
    let Some(text) = options.one(name)?.filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let mut words = Vec::new();
    for word in text.split(',').map(str::trim) {
        match valid.iter().find(|known| known.eq_ignore_ascii_case(word)) {
            Some(known) => words.push((*known).to_owned()),
            None => {
                let valid = valid.join(", ");
                return usage(format!("Invalid {what} list '{text}'. Valid {name}s are: {valid}"));
            }
        }
    }
    Ok(words)
}

/// Groups of one type in these states.
pub(crate) fn of_type(group_type: &str, states: Vec<String>) -> GroupFilter {
    GroupFilter { states, types: vec![group_type.to_owned()], protocol_types: Vec::new() }
}
