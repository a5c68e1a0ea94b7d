//! Which arguments go together.

use crate::error::{Result, usage};
use crate::groups::arguments::{
    check_companions, check_describe_parts, check_dry_run_or_execute, check_exclusive, check_has_group,
    is_one_action,
};
use crate::options::Options;
use crate::output::errln;

const ACTIONS: &[&str] = &["list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex"];

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
    ("members", &["describe"]),
    ("verbose", &["describe"]),
    ("offsets", &["describe"]),
    ("state", &["describe", "list"]),
    ("type", &["list"]),
];

const GROUPS: &[&str] = &["group", "all-groups"];

pub(super) fn check(options: &Options) -> Result {
    check_companions(options, COMPANIONS)?;
    if !options.has("validate-regex") {
        options.required("bootstrap-server")?;
    }
    if options.has("describe") {
        check_has_group(options, "describe", GROUPS)?;
        check_describe_parts(options, &["members", "offsets", "state"])?;
    }
    if options.has("delete") {
        check_has_group(options, "delete", GROUPS)?;
        if options.has("topic") {
            return usage(
                "The consumer does not support topic-specific offset deletion from a consumer group.",
            );
        }
    }
    if options.has("delete-offsets") && !(options.has("group") && options.has("topic")) {
        return usage("Option [delete-offsets] takes the following options: [group], [topic]");
    }
    if options.has("reset-offsets") {
        check_reset(options)?;
    }
    options.check_invalid("group", &["all-groups", "list"])?;
    options.check_invalid("topic", &["list", "describe"])?;
    if !is_one_action(options, ACTIONS) {
        return usage(
            "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, \
             --delete-offsets, --validate-regex",
        );
    }
    Ok(())
}

fn check_reset(options: &Options) -> Result {
    check_dry_run_or_execute(options)?;
    if !options.has_any(&["dry-run", "execute"]) {
        errln!(
            "WARN: No action will be performed as the --execute option is missing: these are the offsets it \
             would set."
        );
    }
    check_has_group(options, "reset-offsets", GROUPS)?;
    check_exclusive(options, SCENARIOS)
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
    fn one_action() {
        assert!(refuse("").starts_with("Command must include exactly one action: --list, "));
        assert!(refuse("--list --validate-regex x").ends_with("--delete-offsets, --validate-regex"));
        check_line("--validate-regex x").unwrap();
        assert_eq!(
            check_line("--list").unwrap_err().to_string(),
            "Missing required argument \"[bootstrap-server]\""
        );
        check_line("--bootstrap-server b --list --state Stable,empty --type consumer").unwrap();
    }

    #[test]
    fn describing() {
        assert_eq!(
            refuse("--describe"),
            "Option [describe] takes one of these options: [group], [all-groups]"
        );
        assert_eq!(
            refuse("--describe --group g --members --offsets"),
            "Option [describe] takes at most one of these options: [members], [offsets], [state]"
        );
        assert_eq!(
            refuse("--describe --group g --state Empty"),
            "Option [describe] does not take a value for [state]"
        );
        assert_eq!(
            refuse("--list --members"),
            "Option(s) [members] are unavailable given other options on the command line"
        );
        assert_eq!(
            refuse("--describe --group g --all-groups"),
            "Option \"[group]\" can't be used with option \"[all-groups]\""
        );
    }

    #[test]
    fn deleting() {
        assert_eq!(refuse("--delete"), "Option [delete] takes one of these options: [group], [all-groups]");
        assert!(refuse("--delete --group g --topic t").starts_with("The consumer does not support"));
        assert_eq!(
            refuse("--delete-offsets --group g"),
            "Option [delete-offsets] takes the following options: [group], [topic]"
        );
    }

    #[test]
    fn resetting() {
        assert_eq!(
            refuse("--reset-offsets --group g --dry-run --execute"),
            "Option [reset-offsets] only accepts one of [execute] and [dry-run]"
        );
        assert_eq!(
            refuse("--reset-offsets --dry-run"),
            "Option [reset-offsets] takes one of these options: [group], [all-groups]"
        );
        assert_eq!(
            refuse("--reset-offsets --dry-run --group g --to-latest --shift-by 1"),
            "Option \"[shift-by]\" can't be used with option \"[to-latest]\""
        );
        check_line("--bootstrap-server b --reset-offsets --dry-run --group g --to-offset 3").unwrap();
    }
}
