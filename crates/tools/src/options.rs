//! Options as Kafka's own tools take them: `--name value`, `--name=value`, a single dash, repeated options,
//! and any beginning of a name that fits one option only.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::error::{Result, ToolError, usage};
use crate::output::{errln, outln};

/// Whether an option is followed by a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arg {
    /// It stands alone.
    None,
    /// A value must follow; the text says what kind.
    Required(&'static str),
    /// A value may follow.
    Optional(&'static str),
    /// All words up to the next option are values.
    Many(&'static str),
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opt {
    pub(crate) name: &'static str,
    pub(crate) arg: Arg,
    pub(crate) default: Option<&'static str>,
    pub(crate) doc: &'static str,
}

/// An option that stands alone.
pub(crate) const fn flag(name: &'static str, doc: &'static str) -> Opt {
    Opt { name, arg: Arg::None, default: None, doc }
}

/// An option with a value.
pub(crate) const fn value(name: &'static str, what: &'static str, doc: &'static str) -> Opt {
    Opt { name, arg: Arg::Required(what), default: None, doc }
}

/// An option with a value and a default.
pub(crate) const fn value_or(
    name: &'static str,
    what: &'static str,
    default: &'static str,
    doc: &'static str,
) -> Opt {
    Opt { name, arg: Arg::Required(what), default: Some(default), doc }
}

/// An option that may be followed by a value.
pub(crate) const fn maybe_value(name: &'static str, what: &'static str, doc: &'static str) -> Opt {
    Opt { name, arg: Arg::Optional(what), default: None, doc }
}

/// An option followed by one value or more.
pub(crate) const fn values(name: &'static str, what: &'static str, doc: &'static str) -> Opt {
    Opt { name, arg: Arg::Many(what), default: None, doc }
}

const HELP: Opt = flag("help", "Print usage information.");
const VERSION: Opt = flag("version", "Display Kafka version.");

/// What a tool takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parser {
    /// What the tool is for, in one sentence.
    pub(crate) purpose: &'static str,
    /// Its options.
    pub(crate) options: &'static [Opt],
}

/// What was given.
#[derive(Debug, Default)]
pub(crate) struct Options {
    given: BTreeMap<&'static str, Vec<String>>,
    defaults: BTreeMap<&'static str, &'static str>,
    /// Words that belong to no option.
    pub(crate) rest: Vec<String>,
}

impl Parser {
    /// Reads the arguments. Without any, and for `--help` and `--version`, it speaks and ends the tool.
    pub(crate) fn parse_or_help(&self, args: &[String]) -> Result<Options> {
        if args.is_empty() {
            return usage(self.purpose);
        }
        self.parse(args)
    }

    /// Reads the arguments.
    pub(crate) fn parse(&self, args: &[String]) -> Result<Options> {
        let mut options = Options::default();
        options.defaults.extend(self.options.iter().filter_map(|o| Some((o.name, o.default?))));
        let mut words = args.iter().peekable();
        while let Some(word) = words.next() {
            let Some((name, inline)) = split_option(word) else {
                options.rest.push(word.clone());
                continue;
            };
            let opt = self.find(name)?;
            let entry = options.given.entry(opt.name).or_default();
            match opt.arg {
                Arg::None => {}
                Arg::Required(_) => match inline.map(str::to_owned).or_else(|| words.next().cloned()) {
                    Some(text) => entry.push(text),
                    None => return usage(format!("Option {} requires an argument", opt.name)),
                },
                Arg::Many(_) => {
                    entry.extend(inline.map(str::to_owned));
                    while let Some(next) = words.next_if(|next| split_option(next).is_none()) {
                        entry.push(next.clone());
                    }
                    if entry.is_empty() {
                        return usage(format!("Option {} requires an argument", opt.name));
                    }
                }
                Arg::Optional(_) => {
                    let next = words.next_if(|next| inline.is_none() && split_option(next).is_none());
                    entry.extend(inline.map(str::to_owned).or_else(|| next.cloned()));
                }
            }
        }
        if options.has("help") {
            return usage(self.purpose);
        }
        if options.has("version") {
            outln!("{}", crate::KAFKA_VERSION);
            return Err(ToolError::Exit(0));
        }
        Ok(options)
    }

    fn all(&self) -> impl Iterator<Item = &Opt> {
        self.options.iter().chain([&HELP, &VERSION])
    }

    fn find(&self, name: &str) -> Result<&Opt> {
        if let Some(opt) = self.all().find(|opt| opt.name == name) {
            return Ok(opt);
        }
        if name == "zookeeper" {
            let advice = "Kafka 4 has no ZooKeeper: use --bootstrap-server localhost:9092";
            return Err(ToolError::Arguments(advice.to_owned()));
        }
        let mut starting = self.all().filter(|opt| !name.is_empty() && opt.name.starts_with(name));
        match (starting.next(), starting.next()) {
            (Some(opt), None) => Ok(opt),
            _ => usage(format!("{name} is not a recognized option")),
        }
    }

    /// The list of options, on standard error.
    pub(crate) fn print_help(&self) {
        let head = |opt: &Opt| match opt.arg {
            Arg::None => format!("--{}", opt.name),
            Arg::Required(what) => format!("--{} <{what}>", opt.name),
            Arg::Optional(what) => format!("--{} [{what}]", opt.name),
            Arg::Many(what) => format!("--{} <{what}>...", opt.name),
        };
        let mut options: Vec<_> = self.all().collect();
        options.sort_by_key(|opt| opt.name);
        let mut text = format!("{:<40} {}\n{:<40} {}\n", "Option", "Description", "------", "-----------");
        for opt in options {
            let default = opt.default.map_or_else(String::new, |d| format!(" (default: {d})"));
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:<40} {}{default}", head(opt), opt.doc);
        }
        errln!("{}", text.trim_end());
    }
}

/// `--name`, `--name=value` or `-name`; negative numbers and a lone dash are words.
/// The command that is named, for which a beginning is enough that fits no other; what is wrong otherwise.
pub(crate) fn command<'a>(names: &[&'a str], word: &str) -> std::result::Result<&'a str, String> {
    if let Some(name) = names.iter().find(|name| **name == word) {
        return Ok(name);
    }
    let mut starting: Vec<&str> = names.iter().copied().filter(|name| name.starts_with(word)).collect();
    starting.sort_unstable();
    match starting.as_slice() {
        [name] => Ok(name),
        [_, _, ..] if !word.is_empty() => {
            Err(format!("ambiguous command: {word} could match {}", starting.join(", ")))
        }
        _ => Err(format!("invalid choice: '{word}' (choose from '{}')", names.join("', '"))),
    }
}

fn split_option(word: &str) -> Option<(&str, Option<&str>)> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return None;
    }
    Some(match name.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    })
}

impl Options {
    /// Whether the option was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Whether one of these was given.
    pub(crate) fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has(name))
    }

    /// The value of an option that can be given once, or its default.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>> {
        match self.given.get(name).map(Vec::as_slice) {
            None | Some([]) => Ok(self.defaults.get(name).copied()),
            Some([text]) => Ok(Some(text)),
            Some(_) => {
                usage(format!("Found multiple arguments for option {name}, but you asked for only one"))
            }
        }
    }

    /// The values of an option that can be given many times.
    pub(crate) fn many(&self, name: &str) -> &[String] {
        self.given.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value of an option that must be given.
    pub(crate) fn required(&self, name: &str) -> Result<&str> {
        match self.one(name)? {
            Some(text) => Ok(text),
            None => usage(format!("Missing required argument \"[{name}]\"")),
        }
    }

    /// The value as a number (or anything else that can be read from text).
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        match text.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => usage(format!("Cannot parse argument '{text}' of option {name}")),
        }
    }

    /// Refuses options that cannot stand beside another.
    pub(crate) fn check_invalid(&self, used: &str, others: &[&str]) -> Result {
        match others.iter().find(|other| self.has(used) && self.has(other)) {
            Some(other) => usage(format!("Option \"[{used}]\" can't be used with option \"[{other}]\"")),
            None => Ok(()),
        }
    }

    /// The value of the first of these names that was given: a new name and its deprecated spelling.
    pub(crate) fn either(&self, new: &str, old: &str) -> Result<Option<&str>> {
        if self.has(old) && !self.has(new) { self.one(old) } else { self.one(new) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARSER: Parser = Parser {
        purpose: "p",
        options: &[
            value("topic", "topic", ""),
            flag("list", ""),
            value_or("timeout", "ms", "5000", ""),
            value("topic-id", "id", ""),
            maybe_value("state", "state", ""),
        ],
    };

    fn parse(line: &str) -> Result<Options> {
        PARSER.parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn both_spellings_defaults_and_rest() {
        let options = parse("--topic=a=b --list word -timeout -1").unwrap();
        assert_eq!(options.one("topic").unwrap(), Some("a=b"));
        assert!(options.has("list"));
        assert_eq!(options.rest, ["word"]);
        assert_eq!(options.number::<i64>("timeout").unwrap(), Some(-1));
        assert_eq!(parse("--list").unwrap().number::<i64>("timeout").unwrap(), Some(5000));
    }

    #[test]
    fn beginnings_are_enough_when_they_fit_one_option() {
        assert!(parse("--li").unwrap().has("list"));
        assert_eq!(parse("--to x").unwrap_err().to_string(), "to is not a recognized option");
        assert_eq!(parse("--topic x").unwrap().one("topic").unwrap(), Some("x"));
    }

    #[test]
    fn beginnings_of_commands_are_enough_when_they_fit_one() {
        let names = ["describe", "disable", "upgrade"];
        assert_eq!(command(&names, "desc"), Ok("describe"));
        assert_eq!(command(&["list", "listen"], "list"), Ok("list"));
        assert_eq!(command(&names, "d").unwrap_err(), "ambiguous command: d could match describe, disable");
        let known = "(choose from 'describe', 'disable', 'upgrade')";
        assert_eq!(command(&names, "up!").unwrap_err(), format!("invalid choice: 'up!' {known}"));
        assert_eq!(command(&names, "").unwrap_err(), format!("invalid choice: '' {known}"));
    }

    #[test]
    fn optional_values_do_not_eat_options() {
        let options = parse("--state --list").unwrap();
        assert!(options.has("state") && options.has("list"));
        assert_eq!(parse("--state Empty").unwrap().one("state").unwrap(), Some("Empty"));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(parse("--zookeeper x").unwrap_err().to_string().contains("--bootstrap-server"));
        assert_eq!(parse("--topic").unwrap_err().to_string(), "Option topic requires an argument");
        let options = parse("--topic a --topic b").unwrap();
        assert!(options.one("topic").unwrap_err().to_string().starts_with("Found multiple arguments"));
        let missing = parse("--list").unwrap();
        assert_eq!(
            missing.required("topic").unwrap_err().to_string(),
            "Missing required argument \"[topic]\""
        );
    }
}
