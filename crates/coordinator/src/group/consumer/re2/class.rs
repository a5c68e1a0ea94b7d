//! Classes of characters in brackets.

use super::escape::{Escape, read};
use super::{Re2Error, Translation, push_literal};

/// The names that RE2 knows in `[:name:]`.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// A class; its opening bracket is taken already.
pub(super) fn translate(t: &mut Translation<'_>) -> Result<(), Re2Error> {
    t.out.push('[');
    if t.take_if("^") {
        t.out.push('^');
    }
    let mut first = true;
    loop {
        // A bracket that would close an empty class stands for itself.
        if !first && t.take_if("]") {
            t.out.push(']');
            return Ok(());
        }
        first = false;
        if t.take_if("[:") {
            posix(t)?;
            continue;
        }
        match one(t)? {
            Escape::Class(class) => t.out.push_str(&class),
            Escape::Char(low) => range(t, low)?,
        }
    }
}

/// A character, or everything from it to another.
fn range(t: &mut Translation<'_>, low: char) -> Result<(), Re2Error> {
    push_literal(&mut t.out, low);
    let is_range = t.rest.starts_with('-') && !t.rest.starts_with("-]");
    if !is_range {
        return Ok(());
    }
    t.take();
    match one(t)? {
        Escape::Char(high) if high >= low => {
            t.out.push('-');
            push_literal(&mut t.out, high);
            Ok(())
        }
        Escape::Char(_) => Err(Re2Error::InvalidClass),
        Escape::Class(_) => Err(Re2Error::InvalidEscape),
    }
}

fn one(t: &mut Translation<'_>) -> Result<Escape, Re2Error> {
    match t.take().ok_or(Re2Error::MissingBracket)? {
        '\\' => read(t),
        c => Ok(Escape::Char(c)),
    }
}

/// `[:alpha:]` or `[:^alpha:]`; the bracket and the first colon are taken already.
fn posix(t: &mut Translation<'_>) -> Result<(), Re2Error> {
    let Some((name, rest)) = t.rest.split_once(":]") else {
        // No such thing: a bracket and a colon.
        push_literal(&mut t.out, '[');
        push_literal(&mut t.out, ':');
        return Ok(());
    };
    let known = POSIX.contains(&name.strip_prefix('^').unwrap_or(name));
    if !known {
        return Err(Re2Error::InvalidClass);
    }
    t.rest = rest;
    t.out.push_str("[:");
    t.out.push_str(name);
    t.out.push_str(":]");
    Ok(())
}
