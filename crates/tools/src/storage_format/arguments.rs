//! The arguments of `kafka-storage.sh`: subcommands with short and long options, and its error texts.

use std::collections::BTreeMap;

use crate::error::{Result, ToolError};
use crate::options::command;
use crate::output::{errln, outln};

/// One option of a subcommand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opt {
    pub(super) long: &'static str,
    pub(super) short: &'static str,
    pub(super) takes_value: bool,
    pub(super) required: bool,
    pub(super) doc: &'static str,
}

/// One subcommand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subcommand {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) usage: &'static str,
    pub(super) options: &'static [Opt],
    /// Options of which one at most may be given.
    pub(super) exclusive: &'static [&'static str],
}

/// What was given, by long name.
#[derive(Debug, Default)]
pub(super) struct Given(BTreeMap<&'static str, Vec<String>>);

impl Given {
    pub(super) fn has(&self, long: &str) -> bool {
        self.0.contains_key(long)
    }

    pub(super) fn one(&self, long: &str) -> Option<&str> {
        self.0.get(long).and_then(|values| values.last()).map(String::as_str)
    }

    pub(super) fn many(&self, long: &str) -> &[String] {
        self.0.get(long).map_or(&[], Vec::as_slice)
    }
}

const USAGE: &str = "usage: kafka-storage [-h]\n\
                     \x20                    {info,format,version-mapping,feature-dependencies,random-uuid}\n\
                     \x20                    ...";

/// Finds the subcommand and its options; speaks and ends the tool when they are wrong or help is asked for.
pub(super) fn parse(
    subcommands: &'static [Subcommand],
    args: &[String],
) -> Result<(&'static Subcommand, Given)> {
    let Some(first) = args.first() else { return fail(USAGE, "too few arguments") };
    if is_help(first) {
        print_help(subcommands);
        return Err(ToolError::Exit(0));
    }
    let names: Vec<_> = subcommands.iter().map(|subcommand| subcommand.name).collect();
    let name = command(&names, first);
    let Some(subcommand) = subcommands.iter().find(|subcommand| name == Ok(subcommand.name)) else {
        return fail(USAGE, &name.err().unwrap_or_default());
    };
    let given = parse_options(subcommand, &args[1..])?;
    Ok((subcommand, given))
}

fn parse_options(subcommand: &'static Subcommand, args: &[String]) -> Result<Given> {
    let wrong = |message: String| fail(subcommand.usage, &message);
    let mut given = Given::default();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        if is_help(word) {
            print_subcommand_help(subcommand);
            return Err(ToolError::Exit(0));
        }
        let Some((opt, inline)) = find(subcommand, word) else {
            return wrong(format!("unrecognized arguments: '{word}'"));
        };
        if let Some(other) = conflicting(subcommand, opt, &given) {
            return wrong(format!(
                "argument {}/{}: not allowed with argument {}/{}",
                opt.long, opt.short, other.long, other.short
            ));
        }
        let values = given.0.entry(opt.long).or_default();
        if opt.takes_value {
            match inline.or_else(|| words.next().cloned()) {
                Some(value) => values.push(value),
                None => return wrong(format!("argument {}/{}: expected one argument", opt.long, opt.short)),
            }
        }
    }
    // The last one missing is the one that is named.
    match subcommand.options.iter().rev().find(|opt| opt.required && !given.has(opt.long)) {
        Some(opt) => wrong(format!("argument {}/{} is required", opt.long, opt.short)),
        None => Ok(given),
    }
}

/// The option given before that excludes this one.
fn conflicting(subcommand: &'static Subcommand, opt: &Opt, given: &Given) -> Option<&'static Opt> {
    if !subcommand.exclusive.contains(&opt.long) {
        return None;
    }
    let excludes = |other: &&Opt| {
        subcommand.exclusive.contains(&other.long) && other.long != opt.long && given.has(other.long)
    };
    subcommand.options.iter().find(excludes)
}

/// `--long`, `--long=value`, any beginning that fits one option only, `-s`, `-svalue`.
fn find(subcommand: &'static Subcommand, word: &str) -> Option<(&'static Opt, Option<String>)> {
    if word.starts_with("--") {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        let exact = subcommand.options.iter().find(|opt| opt.long == name);
        let mut starting =
            subcommand.options.iter().filter(|opt| name.len() > 2 && opt.long.starts_with(name));
        let unique = starting.next().filter(|_| starting.next().is_none());
        return exact.or(unique).map(|opt| (opt, inline));
    }
    let opt = subcommand.options.iter().find(|opt| word.starts_with(opt.short))?;
    let rest = &word[opt.short.len()..];
    if rest.is_empty() {
        return Some((opt, None));
    }
    opt.takes_value.then(|| (opt, Some(rest.strip_prefix('=').unwrap_or(rest).to_owned())))
}

fn is_help(word: &str) -> bool {
    word == "-h" || word == "--help"
}

fn fail<T>(usage: &str, message: &str) -> Result<T> {
    errln!("{usage}");
    errln!("kafka-storage: error: {message}");
    Err(ToolError::Exit(1))
}

fn print_help(subcommands: &[Subcommand]) {
    outln!("{USAGE}");
    outln!("");
    for subcommand in subcommands {
        outln!("  {:<22} {}", subcommand.name, subcommand.doc);
    }
}

fn print_subcommand_help(subcommand: &Subcommand) {
    outln!("{}", subcommand.usage);
    outln!("");
    outln!("{}", subcommand.doc);
    outln!("");
    for opt in subcommand.options {
        outln!("  {}, {}", opt.long, opt.short);
        outln!("      {}", opt.doc);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn opt(long: &'static str, short: &'static str, takes_value: bool, required: bool) -> Opt {
        Opt { long, short, takes_value, required, doc: "" }
    }

    static SUBCOMMANDS: &[Subcommand] = &[Subcommand {
        name: "format",
        doc: "",
        usage: "usage",
        options: &[
            opt("--config", "-c", true, true),
            opt("--feature", "-f", true, false),
            opt("--standalone", "-s", false, false),
            opt("--no-initial-controllers", "-N", false, false),
        ],
        exclusive: &["--standalone", "--no-initial-controllers"],
    }];

    fn given(text: &str) -> Option<Given> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        parse(SUBCOMMANDS, &words).ok().map(|(_, given)| given)
    }

    #[test]
    fn takes_every_spelling() {
        for text in ["format -c x -s", "format -cx --standalone", "format --config=x --stand"] {
            let given = given(text).expect(text);
            assert_eq!((given.one("--config"), given.has("--standalone")), (Some("x"), true), "{text}");
        }
        let given = given("format -c x -f a=1 --feature=b=2").expect("repeated");
        assert_eq!(given.many("--feature"), ["a=1", "b=2"]);
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for text in
            ["format", "format -c", "bogus", "format -c x -s -N", "format -c x y", "format -c x --s=1x -q"]
        {
            assert!(given(text).is_none(), "{text}");
        }
    }
}
