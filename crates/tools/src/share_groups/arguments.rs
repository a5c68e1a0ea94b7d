//! Which arguments go together.

use crate::error::{Result, usage};
use crate::groups::arguments::{
    check_companions, check_describe_parts, check_dry_run_or_execute, check_exclusive, check_has_group,
    in_brackets, is_one_action,
};
use crate::options::Options;

const ACTIONS: &[&str] = &["list", "describe", "delete", "reset-offsets", "delete-offsets"];

/// The ways to say where a group shall stand.
pub(super) const SCENARIOS: &[&str] =
    &["from-file", "to-current", "to-datetime", "to-earliest", "to-latest", "to-offset"];

/// The ways to say which partitions are meant.
const SCOPES: &[&str] = &["all-topics", "from-file", "topic"];

/// Options that only go with certain actions.
const COMPANIONS: &[(&str, &[&str])] = &[
    ("members", &["describe"]),
    ("offsets", &["describe"]),
    ("state", &["describe", "list"]),
    ("verbose", &["describe"]),
];

pub(super) fn check(options: &Options) -> Result {
    check_companions(options, COMPANIONS)?;
    options.required("bootstrap-server")?;
    if options.has("describe") {
        check_has_group(options, "describe", &["all-groups", "group"])?;
        check_describe_parts(options, &["members", "offsets", "state"])?;
    }
    if options.has("delete") {
        check_delete(options)?;
    }
    if options.has("delete-offsets") && !(options.has("group") && options.has("topic")) {
        return usage("Option [delete-offsets] takes the following options: [group], [topic]");
    }
    if options.has("reset-offsets") {
        check_reset(options)?;
    }
    options.check_invalid("group", &["all-groups", "list"])?;
    options.check_invalid("topic", &["list", "describe", "delete"])?;
    if !is_one_action(options, ACTIONS) {
        return usage(
            "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, \
             --delete-offsets.",
        );
    }
    Ok(())
}

fn check_delete(options: &Options) -> Result {
    match (options.has("group"), options.has("all-groups")) {
        (false, false) => return usage("Option [delete] takes the options [group] or [all-groups]."),
        (true, true) => return usage("Option [delete] takes either [group] or [all-groups], not both."),
        _ => {}
    }
    if options.has_any(&["topic", "all-topics"]) {
        return usage("Option [delete] does not take the options [topic] or [all-topics].");
    }
    Ok(())
}

fn check_reset(options: &Options) -> Result {
    check_dry_run_or_execute(options)?;
    if !options.has_any(&["dry-run", "execute"]) {
        return usage("Option [reset-offsets] takes the option: [execute] or [dry-run]");
    }
    if !options.has("group") {
        return usage("Option [reset-offsets] takes the option: [group]");
    }
    for names in [SCOPES, SCENARIOS] {
        if !options.has_any(names) {
            let names = in_brackets(names);
            return usage(format!("Option [reset-offsets] takes one of these options: {names}"));
        }
        check_exclusive(options, names)?;
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
        assert!(refuse("--list --delete --group g").starts_with("Option \"[group]\" can't be used with"));
        assert!(refuse("--all-groups").ends_with("--reset-offsets, --delete-offsets."));
        assert_eq!(
            check_line("--list").unwrap_err().to_string(),
            "Missing required argument \"[bootstrap-server]\""
        );
        check_line("--bootstrap-server b --list --state").unwrap();
    }

    #[test]
    fn describing() {
        assert_eq!(
            refuse("--describe"),
            "Option [describe] takes one of these options: [all-groups], [group]"
        );
        assert_eq!(
            refuse("--describe --group g --members --state"),
            "Option [describe] takes at most one of these options: [members], [offsets], [state]"
        );
        assert_eq!(
            refuse("--describe --group g --topic t"),
            "Option \"[topic]\" can't be used with option \"[describe]\""
        );
    }

    #[test]
    fn deleting() {
        assert_eq!(refuse("--delete"), "Option [delete] takes the options [group] or [all-groups].");
        assert_eq!(
            refuse("--delete --group g --all-groups"),
            "Option [delete] takes either [group] or [all-groups], not both."
        );
        assert_eq!(
            refuse("--delete --group g --all-topics"),
            "Option [delete] does not take the options [topic] or [all-topics]."
        );
        assert_eq!(
            refuse("--delete-offsets --topic t"),
            "Option [delete-offsets] takes the following options: [group], [topic]"
        );
    }

    #[test]
    fn resetting() {
        let refuse = |line: &str| refuse(&format!("--reset-offsets {line}"));
        assert_eq!(refuse("--group g"), "Option [reset-offsets] takes the option: [execute] or [dry-run]");
        assert_eq!(refuse("--execute"), "Option [reset-offsets] takes the option: [group]");
        assert_eq!(
            refuse("--execute --group g --to-latest"),
            "Option [reset-offsets] takes one of these options: [all-topics], [from-file], [topic]"
        );
        assert_eq!(
            refuse("--execute --group g --topic t"),
            "Option [reset-offsets] takes one of these options: [from-file], [to-current], [to-datetime], \
             [to-earliest], [to-latest], [to-offset]"
        );
        assert_eq!(
            refuse("--execute --group g --topic t --all-topics --to-latest"),
            "Option \"[all-topics]\" can't be used with option \"[topic]\""
        );
        assert_eq!(
            refuse("--execute --dry-run --group g"),
            "Option [reset-offsets] only accepts one of [execute] and [dry-run]"
        );
        check_line("--bootstrap-server b --reset-offsets --dry-run --group g --topic t:0 --to-offset 1")
            .unwrap();
    }
}
