//! The arguments of the verifiable clients. Their scripts read them in another way than most others do: the
//! usage goes before a complaint, help goes to standard output, and of repeated options the last one counts.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::error::{Result, ToolError};
use crate::output::{errln, outln};

/// Width of usage and help.
const WIDTH: usize = 75;
/// Where the description of an option begins.
const INDENT: usize = 25;
const HELP: Argument = Argument::flag("--help", "show this help message and exit");

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    Flag,
    /// Anything.
    Text,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Long,
    /// One of a few numbers.
    OneOf(&'static [i32]),
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub(super) struct Argument {
    pub(super) name: &'static str,
    metavar: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    required: bool,
    doc: &'static str,
}

impl Argument {
    /// An option that takes any text.
    pub(super) const fn text(name: &'static str, metavar: &'static str, doc: &'static str) -> Self {
        Self { name, metavar, kind: Kind::Text, default: None, required: false, doc }
    }

    /// An option that stands alone.
    pub(super) const fn flag(name: &'static str, doc: &'static str) -> Self {
        Self { kind: Kind::Flag, ..Self::text(name, "", doc) }
    }

    /// The same, taking a number.
    pub(super) const fn kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// The same, with a default.
    pub(super) const fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// The same, but not to be left out.
    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// `--topic TOPIC`.
    fn syntax(&self) -> String {
        if self.metavar.is_empty() { self.name.to_owned() } else { format!("{} {}", self.name, self.metavar) }
    }

    fn usage(&self) -> String {
        if self.required { self.syntax() } else { format!("[{}]", self.syntax()) }
    }
}

/// What a tool takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parser {
    pub(super) program: &'static str,
    pub(super) purpose: &'static str,
    pub(super) arguments: &'static [Argument],
    /// Which cluster; it must be given, and usage has it last.
    pub(super) bootstrap: Argument,
}

/// The option of every tool that names the cluster.
pub(super) const BOOTSTRAP: Argument = Argument::text(
    "--bootstrap-server",
    "HOST1:PORT1[,HOST2:PORT2[...]]",
    "The brokers to ask first: a list of HOST:PORT between commas.",
);

/// What was given.
#[derive(Debug)]
pub(super) struct Arguments {
    parser: &'static Parser,
    given: BTreeMap<&'static str, String>,
}

/// Why the arguments cannot be used.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Help,
    Wrong(String),
}

impl Parser {
    /// Reads the arguments; speaks and ends the tool when they are wrong or help is asked for.
    pub(super) fn parse(&'static self, args: &[String]) -> Result<Arguments> {
        if args.is_empty() {
            self.print_help();
            return Err(ToolError::Exit(0));
        }
        match self.read(args) {
            Ok(given) => Ok(Arguments { parser: self, given }),
            Err(Refusal::Wrong(message)) => Err(self.refuse(&message)),
            Err(Refusal::Help) => {
                self.print_help();
                // The Java tools end like this whatever the reason to stop reading arguments.
                Err(ToolError::Exit(1))
            }
        }
    }

    fn read(&self, args: &[String]) -> std::result::Result<BTreeMap<&'static str, String>, Refusal> {
        let mut given = BTreeMap::new();
        let mut words = args.iter().enumerate().peekable();
        while let Some((at, word)) = words.next() {
            if !is_option(word) {
                let rest = args.get(at..).unwrap_or_default().join(" ");
                return Err(Refusal::Wrong(format!("unrecognized arguments: '{rest}'")));
            }
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            let argument = self.find(name, word)?;
            if argument.name == HELP.name {
                return Err(Refusal::Help);
            }
            let value = match (argument.kind, inline) {
                (Kind::Flag, None) => String::new(),
                (Kind::Flag, Some(value)) => {
                    return Err(wrong(argument, &format!("ignore implicit argument '{value}'")));
                }
                (_, Some(value)) => value.to_owned(),
                (_, None) => match words.next_if(|(_, next)| !is_option(next)) {
                    Some((_, value)) => value.clone(),
                    None => return Err(wrong(argument, "expected one argument")),
                },
            };
            check(argument, &value)?;
            given.insert(argument.name, value);
        }
        self.check_required(&given)?;
        Ok(given)
    }

    fn find(&self, name: &str, word: &str) -> std::result::Result<&Argument, Refusal> {
        if name == "-h" {
            return Ok(&HELP);
        }
        if let Some(argument) = self.all().find(|argument| argument.name == name) {
            return Ok(argument);
        }
        let mut candidates: Vec<_> = self.all().filter(|argument| argument.name.starts_with(name)).collect();
        candidates.sort_by_key(|argument| argument.name);
        match candidates.as_slice() {
            [] => Err(Refusal::Wrong(format!("unrecognized arguments: '{word}'"))),
            [argument] => Ok(argument),
            several => {
                let names: Vec<_> = several.iter().map(|argument| argument.name).collect();
                Err(Refusal::Wrong(format!("ambiguous option: {name} could match {}", names.join(", "))))
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Argument> {
        std::iter::once(&HELP).chain([&self.bootstrap]).chain(self.arguments)
    }

    /// The cluster is looked for last, and of several that are missing the last one is named.
    fn check_required(&self, given: &BTreeMap<&'static str, String>) -> std::result::Result<(), Refusal> {
        if !given.contains_key(self.bootstrap.name) {
            return Err(Refusal::Wrong(format!("one of the arguments {} is required", self.bootstrap.name)));
        }
        let mut missing = self.arguments.iter().rev().filter(|a| a.required && !given.contains_key(a.name));
        match missing.next() {
            Some(argument) => Err(Refusal::Wrong(format!("argument {} is required", argument.name))),
            None => Ok(()),
        }
    }

    /// Says what is wrong with the arguments.
    fn refuse(&self, message: &str) -> ToolError {
        errln!("{}", self.usage());
        errln!("{}: error: {message}", self.program);
        ToolError::Exit(1)
    }

    fn usage(&self) -> String {
        let mut text = format!("usage: {}", self.program);
        let indent = text.len();
        let parts = std::iter::once("[-h]".to_owned())
            .chain(self.arguments.iter().map(Argument::usage))
            .chain([self.bootstrap.syntax()]);
        let mut width = indent;
        for (at, part) in parts.enumerate() {
            if at > 0 && width + part.len() + 1 > WIDTH {
                text.push('\n');
                text.push_str(&" ".repeat(indent));
                width = indent;
            }
            width += 1 + part.len();
            text.push(' ');
            text.push_str(&part);
        }
        text
    }

    fn print_help(&self) {
        let mut text = format!("{}\n\n{}\n\noptional arguments:\n", self.usage(), wrap(self.purpose, 0));
        describe(&mut text, "-h, --help", &HELP);
        for argument in self.arguments {
            describe(&mut text, &argument.syntax(), argument);
        }
        text.push_str("\nConnection Group:\n  Which cluster to connect to\n\n");
        describe(&mut text, &self.bootstrap.syntax(), &self.bootstrap);
        outln!("{}", text.trim_end());
    }
}

impl Arguments {
    /// Whether a flag, or an option that has no default, was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// What was given, or the default.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let default = || self.parser.all().find(|argument| argument.name == name)?.default;
        self.given.get(name).map(String::as_str).or_else(default)
    }

    /// The value of an option that is required or has a default.
    pub(super) fn required(&self, name: &str) -> Result<&str> {
        self.text(name).ok_or_else(|| self.refuse(&format!("argument {name} is required")))
    }

    /// A number; the parser has seen already that it is one.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// Says what is wrong with the arguments.
    pub(super) fn refuse(&self, message: &str) -> ToolError {
        self.parser.refuse(message)
    }
}

/// Words that begin with a dash are options, unless they are numbers.
fn is_option(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|rest| rest.is_empty() || rest.parse::<f64>().is_err())
}

fn check(argument: &Argument, value: &str) -> std::result::Result<(), Refusal> {
    let no_number = |java_type: &str| {
        let message = format!("could not convert '{value}' to {java_type} (For input string: \"{value}\")");
        wrong(argument, &message)
    };
    match argument.kind {
        Kind::Flag | Kind::Text => Ok(()),
        Kind::Long => value.parse::<i64>().map(|_| ()).map_err(|_| no_number("Long")),
        Kind::Integer => value.parse::<i32>().map(|_| ()).map_err(|_| no_number("Integer")),
        Kind::OneOf(choices) => match value.parse::<i32>() {
            Ok(number) if choices.contains(&number) => Ok(()),
            Ok(_) => {
                let names: Vec<_> = choices.iter().map(i32::to_string).collect();
                let message = format!("invalid choice: '{value}' (choose from {{{}}})", names.join(","));
                Err(wrong(argument, &message))
            }
            Err(_) => Err(no_number("Integer")),
        },
    }
}

fn wrong(argument: &Argument, message: &str) -> Refusal {
    Refusal::Wrong(format!("argument {}: {message}", argument.name))
}

/// One option of the help.
fn describe(text: &mut String, syntax: &str, argument: &Argument) {
    let default = argument.default.filter(|default| !default.is_empty());
    let default = default.map_or_else(String::new, |default| format!(" (default: {default})"));
    let doc = wrap(&format!("{}{default}", argument.doc), INDENT);
    // Writing to a String cannot fail.
    let _ = match syntax.len() + 2 < INDENT - 1 {
        true => writeln!(text, "  {syntax:<width$}{doc}", width = INDENT - 2),
        false => writeln!(text, "  {syntax}\n{}{doc}", " ".repeat(INDENT)),
    };
}

/// Words in lines, all but the first of which are indented.
fn wrap(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut width = indent;
    for word in text.split_whitespace() {
        if width > indent && width + 1 + word.len() > WIDTH {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            width = indent;
        } else if width > indent {
            lines.push(' ');
            width += 1;
        }
        lines.push_str(word);
        width += word.len();
    }
    lines
}

#[cfg(test)]
#[path = "arguments_test.rs"]
mod tests;
