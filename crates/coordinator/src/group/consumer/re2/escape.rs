//! What a backslash makes of the characters behind it.

use super::{Last, Re2Error, Translation, push_literal};

/// What an escape stands for.
pub(super) enum Escape {
    /// One character.
    Char(char),
    /// A class, as the crate writes it.
    Class(String),
}

/// An escape outside of a class; the backslash is taken already.
pub(super) fn translate(t: &mut Translation<'_>) -> Result<(), Re2Error> {
    for anchor in ["A", "z", "b", "B"] {
        if t.take_if(anchor) {
            t.out.push('\\');
            t.out.push_str(anchor);
            return Ok(());
        }
    }
    if t.take_if("Q") {
        quoted(t);
        return Ok(());
    }
    match read(t)? {
        Escape::Char(c) => push_literal(&mut t.out, c),
        Escape::Class(class) => t.out.push_str(&class),
    }
    Ok(())
}

/// An escape that may stand in a class as well.
pub(super) fn read(t: &mut Translation<'_>) -> Result<Escape, Re2Error> {
    let c = t.take().ok_or(Re2Error::TrailingBackslash)?;
    if let Some(class) = perl_class(c) {
        return Ok(Escape::Class(class.to_owned()));
    }
    match c {
        'p' | 'P' => unicode_class(t, c == 'P'),
        'x' => hex(t).map(Escape::Char),
        '0' => Ok(Escape::Char(octal(t, 0))),
        '1'..='7' => match t.rest.starts_with(|next: char| ('0'..='7').contains(&next)) {
            true => Ok(Escape::Char(octal(t, u32::from(c) - u32::from('0')))),
            // RE2 has no references to groups.
            false => Err(Re2Error::InvalidEscape),
        },
        'a' => Ok(Escape::Char('\u{7}')),
        'f' => Ok(Escape::Char('\u{c}')),
        'n' => Ok(Escape::Char('\n')),
        'r' => Ok(Escape::Char('\r')),
        't' => Ok(Escape::Char('\t')),
        'v' => Ok(Escape::Char('\u{b}')),
        c if !c.is_ascii_alphanumeric() => Ok(Escape::Char(c)),
        _ => Err(Re2Error::InvalidEscape),
    }
}

/// RE2's classes by letter know of ASCII only.
fn perl_class(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\x{c}\r\x{20}]",
        'S' => r"[^\t\n\x{c}\r\x{20}]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

/// `\pL`, `\p{Greek}`, `\p{^Greek}`, and the same with a `P` for the opposite.
fn unicode_class(t: &mut Translation<'_>, negated: bool) -> Result<Escape, Re2Error> {
    let name = if t.take_if("{") {
        let (name, rest) = t.rest.split_once('}').ok_or(Re2Error::InvalidClass)?;
        t.rest = rest;
        name.to_owned()
    } else {
        t.take().map(String::from).ok_or(Re2Error::InvalidClass)?
    };
    let (negated, name) = match name.strip_prefix('^') {
        Some(name) => (!negated, name),
        None => (negated, name.as_str()),
    };
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if name.is_empty() || !is_word {
        return Err(Re2Error::InvalidClass);
    }
    let letter = if negated { 'P' } else { 'p' };
    Ok(Escape::Class(format!(r"\{letter}{{{name}}}")))
}

fn hex(t: &mut Translation<'_>) -> Result<char, Re2Error> {
    let digits = if t.take_if("{") {
        let (digits, rest) = t.rest.split_once('}').ok_or(Re2Error::InvalidEscape)?;
        t.rest = rest;
        digits
    } else {
        let digits = t.rest.get(..2).ok_or(Re2Error::InvalidEscape)?;
        t.rest = t.rest.get(2..).unwrap_or_default();
        digits
    };
    let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = are_digits.then(|| u32::from_str_radix(digits, 16).ok()).flatten();
    value.and_then(char::from_u32).ok_or(Re2Error::InvalidEscape)
}

/// At most two more digits.
fn octal(t: &mut Translation<'_>, first: u32) -> char {
    let mut value = first;
    for _ in 0..2 {
        let digit = t.rest.chars().next().and_then(|c| c.to_digit(8));
        let Some(digit) = digit else { break };
        t.take();
        value = value * 8 + digit;
    }
    char::from_u32(value).unwrap_or_default()
}

/// Everything up to `\E`, or to the end, stands for itself.
fn quoted(t: &mut Translation<'_>) {
    let (quoted, rest) = t.rest.split_once(r"\E").unwrap_or((t.rest, ""));
    t.rest = rest;
    // Nothing between the two is nothing to repeat, but what stands before them is.
    let nothing = quoted.is_empty() && t.last == Last::Nothing;
    for c in quoted.chars() {
        push_literal(&mut t.out, c);
    }
    if nothing {
        t.out.push_str("(?:)");
    }
}
