//! Which arguments go together.

use crate::error::{Result, usage};
use crate::groups::arguments::{
    check_companions, check_describe_parts, check_dry_run_or_execute, check_exclusive, check_has_group,
    is_one_action,
};
use crate::options::Options;

const ACTIONS: &[&str] = &["list", "describe", "reset-offsets", "delete", "delete-offsets"];

/// The ways to say where a group shall stand.
pub(super) const SCENARIOS: &[&str] = &[
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
    ("state", &["describe", "list"]),
    ("members", &["describe"]),
    ("offsets", &["describe"]),
    ("topology", &["describe"]),
    ("verbose", &["describe"]),
];

const GROUPS: &[&str] = &["all-groups", "group"];
const TOPICS: &[&str] = &["input-topic", "all-input-topics"];

pub(super) fn check(options: &Options) -> Result {
    check_companions(options, COMPANIONS)?;
    options.required("bootstrap-server")?;
    if options.has("describe") {
        check_has_group(options, "describe", GROUPS)?;
        check_describe_parts(options, &["members", "offsets", "state", "topology"])?;
    }
    if options.has("delete") {
        check_has_group(options, "delete", GROUPS)?;
        if options.has_any(TOPICS) {
            return usage(
                "Kafka Streams does not support topic-specific offset deletion from a streams group.",
            );
        }
    }
    if options.has("delete-offsets") {
        check_delete_offsets(options)?;
    }
    if options.has("reset-offsets") {
        check_reset(options)?;
    }
    check_internal_topics(options)?;
    if options.has_any(&["dry-run", "execute"]) && !options.has("reset-offsets") {
        return usage("Only Option [reset-offsets] accepts [execute] or [dry-run]");
    }
    options.check_invalid("group", &["all-groups", "list"])?;
    options.check_invalid("input-topic", &["list", "describe", "delete"])?;
    if !is_one_action(options, ACTIONS) {
        return usage(
            "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, or \
             --delete-offsets.",
        );
    }
    Ok(())
}

fn check_delete_offsets(options: &Options) -> Result {
    if !options.has("group") || !options.has_any(TOPICS) {
        return usage(
            "Option [delete-offsets] takes the [group] and one of these options: [all-input-topics], \
             [input-topic]",
        );
    }
    match options.many("group") {
        [_] => Ok(()),
        groups => usage(format!(
            "Option [delete-offsets] supports only one [group] at a time, but found: [{}]",
            groups.join(", ")
        )),
    }
}

fn check_reset(options: &Options) -> Result {
    check_dry_run_or_execute(options)?;
    if !options.has_any(&["dry-run", "execute"]) {
        return usage("Option [reset-offsets] takes the option: [execute] or [dry-run]");
    }
    check_has_group(options, "reset-offsets", GROUPS)?;
    check_exclusive(options, SCENARIOS)
}

fn check_internal_topics(options: &Options) -> Result {
    let (resets, executes) = (options.has("reset-offsets"), options.has("execute"));
    if options.has("delete-all-internal-topics") {
        if !resets && !options.has("delete") {
            return usage(
                "Option [delete-all-internal-topics] takes one of these options: [delete], [reset-offsets]",
            );
        }
        if resets && !executes {
            return usage(
                "Option [delete-all-internal-topics] takes [execute] when [reset-offsets] is used.",
            );
        }
    } else if options.has("delete-internal-topic") && !(resets && executes) {
        return usage("Option [delete-internal-topic] takes [reset-offsets] when [execute] is used.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(line: &str) -> Result {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        check(&super::super::PARSER.parse(&words)?)
    }

    fn refuse(line: &str) -> String {
        check_line(&format!("--bootstrap-server b {line}")).unwrap_err().to_string()
    }

    #[test]
    fn actions() {
        assert!(refuse("--all-groups").ends_with("--delete, --reset-offsets, or --delete-offsets."));
        assert_eq!(refuse("--list --group g"), "Option \"[group]\" can't be used with option \"[list]\"");
        assert_eq!(
            refuse("--list --topology"),
            "Option(s) [topology] are unavailable given other options on the command line"
        );
        check_line("--bootstrap-server b --list --state NotReady").unwrap();
    }

    #[test]
    fn describing() {
        assert_eq!(
            refuse("--describe"),
            "Option [describe] takes one of these options: [all-groups], [group]"
        );
        assert_eq!(
            refuse("--describe --group g --topology --members"),
            "Option [describe] takes at most one of these options: [members], [offsets], [state], [topology]"
        );
    }

    #[test]
    fn deleting() {
        assert!(refuse("--delete --group g --input-topic t").starts_with("Kafka Streams does not support"));
        assert!(refuse("--delete-offsets --group g").ends_with("[all-input-topics], [input-topic]"));
        assert_eq!(
            refuse("--delete-offsets --group g --group h --all-input-topics"),
            "Option [delete-offsets] supports only one [group] at a time, but found: [g, h]"
        );
        assert_eq!(
            refuse("--delete --group g --execute"),
            "Only Option [reset-offsets] accepts [execute] or [dry-run]"
        );
    }

    #[test]
    fn resetting() {
        assert_eq!(
            refuse("--reset-offsets --group g"),
            "Option [reset-offsets] takes the option: [execute] or [dry-run]"
        );
        assert_eq!(
            refuse("--reset-offsets --group g --dry-run --to-latest --to-earliest"),
            "Option \"[to-earliest]\" can't be used with option \"[to-latest]\""
        );
        assert_eq!(
            refuse("--reset-offsets --group g --dry-run --delete-all-internal-topics"),
            "Option [delete-all-internal-topics] takes [execute] when [reset-offsets] is used."
        );
        assert_eq!(
            refuse("--list --delete-all-internal-topics"),
            "Option [delete-all-internal-topics] takes one of these options: [delete], [reset-offsets]"
        );
        assert_eq!(
            refuse("--delete --group g --delete-internal-topic t"),
            "Option [delete-internal-topic] takes [reset-offsets] when [execute] is used."
        );
    }
}
