//! Regular expressions as RE2 reads them, written down for the `regex` crate.
//!
//! Kafka takes expressions in RE2's syntax (KIP-848). The crate works on the same principle, and reads
//! nearly the same syntax; but an expression that one of the two accepts and the other refuses, or
//! that they understand differently, would put a member in or out of a group by the make of its
//! broker. So each is read here by RE2's rules, and what is put out leaves no room for another reading:
//! no character that could mean anything stands for itself.

mod class;
mod escape;

use std::collections::BTreeSet;
use std::fmt::Write;

use thiserror::Error;

/// RE2 repeats nothing more often than this.
const MAX_REPEAT: u32 = 1_000;
/// How deep groups may be nested.
const MAX_DEPTH: usize = 200;

/// Why RE2 refuses an expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Re2Error {
    /// It is too long, or would be once it is compiled.
    #[error("expression too large")]
    TooLarge,
    /// Its groups are nested too deep.
    #[error("expression nests too deeply")]
    NestsTooDeeply,
    /// A group that is not closed.
    #[error("missing closing )")]
    MissingParenthesis,
    /// A group that was not opened.
    #[error("unexpected )")]
    UnexpectedParenthesis,
    /// A class that is not closed.
    #[error("missing closing ]")]
    MissingBracket,
    /// A range whose end comes before its beginning, or a class that does not exist.
    #[error("invalid character class range")]
    InvalidClass,
    /// A backslash in front of something that it gives no meaning.
    #[error("invalid escape sequence")]
    InvalidEscape,
    /// A backslash at the end.
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    /// Something like `(?=`, or flags that RE2 does not have.
    #[error("invalid or unsupported Perl syntax")]
    InvalidGroup,
    /// A name that is none, or is given twice.
    #[error("invalid named capture")]
    InvalidName,
    /// A repetition of nothing.
    #[error("missing argument to repetition operator")]
    MissingRepeatArgument,
    /// A repetition of a repetition.
    #[error("invalid nested repetition operator")]
    NestedRepeat,
    /// Too many repetitions, or fewer at most than at least.
    #[error("invalid repeat count")]
    InvalidRepeat,
    /// Read well by RE2's rules, and yet not to be compiled.
    #[error("unsupported expression: {0}")]
    Unsupported(String),
}

/// The same expression for the `regex` crate.
pub fn to_regex(pattern: &str) -> Result<String, Re2Error> {
    let mut translation = Translation {
        rest: pattern,
        out: String::with_capacity(pattern.len() + 16),
        names: BTreeSet::new(),
        depth: 0,
        last: Last::Nothing,
    };
    while let Some(c) = translation.take() {
        translation.element(c)?;
    }
    match translation.depth {
        0 => Ok(translation.out),
        _ => Err(Re2Error::MissingParenthesis),
    }
}

/// What stands in front, as far as it matters to a repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The beginning of something.
    Nothing,
    /// Something that can be repeated.
    Atom,
    /// Something that cannot be: a repetition, as a rule.
    Repeat,
}

struct Translation<'p> {
    rest: &'p str,
    out: String,
    names: BTreeSet<&'p str>,
    depth: usize,
    last: Last,
}

impl<'p> Translation<'p> {
    fn take(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn take_if(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn element(&mut self, c: char) -> Result<(), Re2Error> {
        match c {
            '(' => return self.open(),
            ')' => {
                self.depth = self.depth.checked_sub(1).ok_or(Re2Error::UnexpectedParenthesis)?;
                self.out.push(')');
            }
            '|' => {
                self.out.push('|');
                self.last = Last::Nothing;
                return Ok(());
            }
            '*' | '+' | '?' => return self.repeat(&String::from(c)),
            '{' => {
                if let Some(count) = self.repeat_count()? {
                    return self.repeat(&count);
                }
                self.literal('{');
                // A brace that stands for itself is still what Kafka's RE2 does not repeat.
                self.last = Last::Repeat;
                return Ok(());
            }
            '[' => class::translate(self)?,
            '\\' => escape::translate(self)?,
            '.' | '^' | '$' => self.out.push(c),
            c => self.literal(c),
        }
        self.last = Last::Atom;
        Ok(())
    }

    fn repeat(&mut self, operator: &str) -> Result<(), Re2Error> {
        match self.last {
            Last::Nothing => return Err(Re2Error::MissingRepeatArgument),
            Last::Repeat => return Err(Re2Error::NestedRepeat),
            Last::Atom => {}
        }
        self.out.push_str(operator);
        if self.take_if("?") {
            self.out.push('?');
        }
        self.last = Last::Repeat;
        Ok(())
    }

    /// What follows a `{`, when it is a repetition. Anything else makes the brace stand for itself.
    fn repeat_count(&mut self) -> Result<Option<String>, Re2Error> {
        let Some((inside, rest)) = self.rest.split_once('}') else { return Ok(None) };
        let (min, max) = match inside.split_once(',') {
            None => (inside, Some(inside)),
            Some((min, "")) => (min, None),
            Some((min, max)) => (min, Some(max)),
        };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // RE2 takes numbers with leading zeros for no numbers at all.
        let has_zeros = |text: &str| text.len() > 1 && text.starts_with('0');
        if !is_number(min) || has_zeros(min) || max.is_some_and(|max| !is_number(max) || has_zeros(max)) {
            return Ok(None);
        }
        let count = |text: &str| text.parse::<u32>().ok().filter(|count| *count <= MAX_REPEAT);
        let least = count(min).ok_or(Re2Error::InvalidRepeat)?;
        let most = max.map(|max| count(max).ok_or(Re2Error::InvalidRepeat)).transpose()?;
        if most.is_some_and(|most| most < least) {
            return Err(Re2Error::InvalidRepeat);
        }
        self.rest = rest;
        Ok(Some(match most {
            Some(most) => format!("{{{least},{most}}}"),
            None => format!("{{{least},}}"),
        }))
    }

    /// A group. None of them captures: nobody asks for what they matched.
    fn open(&mut self) -> Result<(), Re2Error> {
        if self.take_if("?") {
            if !self.take_if("P<") && !self.take_if("<") {
                return self.flags();
            }
            self.name()?;
        }
        self.out.push_str("(?:");
        self.enter()
    }

    fn enter(&mut self) -> Result<(), Re2Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Re2Error::NestsTooDeeply);
        }
        self.last = Last::Nothing;
        Ok(())
    }

    fn name(&mut self) -> Result<(), Re2Error> {
        let (name, rest) = self.rest.split_once('>').ok_or(Re2Error::InvalidName)?;
        let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || !is_word || !self.names.insert(name) {
            return Err(Re2Error::InvalidName);
        }
        self.rest = rest;
        Ok(())
    }

    /// `(?i)` for what follows in the group that it stands in, `(?i:` for a group of its own.
    fn flags(&mut self) -> Result<(), Re2Error> {
        let (mut set, mut cleared) = (BTreeSet::new(), BTreeSet::new());
        let (mut clearing, mut any) = (false, false);
        loop {
            match self.take() {
                Some(flag @ ('i' | 'm' | 's' | 'U')) => {
                    any = true;
                    if clearing {
                        set.remove(&flag);
                        cleared.insert(flag);
                    } else {
                        set.insert(flag);
                    }
                }
                Some('-') if !clearing => (clearing, any) = (true, false),
                Some(end @ (')' | ':')) if !clearing || any => {
                    let mut flags: String = set.into_iter().collect();
                    if !cleared.is_empty() {
                        flags.push('-');
                        flags.extend(cleared);
                    }
                    return self.end_of_flags(&flags, end);
                }
                _ => return Err(Re2Error::InvalidGroup),
            }
        }
    }

    fn end_of_flags(&mut self, flags: &str, end: char) -> Result<(), Re2Error> {
        if end == ':' {
            let _ = write!(self.out, "(?{flags}:");
            return self.enter();
        }
        if !flags.is_empty() {
            let _ = write!(self.out, "(?{flags})");
        }
        Ok(())
    }

    /// A character that stands for itself.
    fn literal(&mut self, c: char) {
        push_literal(&mut self.out, c);
    }
}

fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() {
        out.push(c);
    } else {
        let _ = write!(out, r"\x{{{:x}}}", u32::from(c));
    }
}

#[cfg(test)]
#[path = "re2_test.rs"]
mod tests;
