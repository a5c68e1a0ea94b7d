use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// A line of a properties file that Java would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertiesError {
    /// Number of the line, from 1.
    pub line: usize,
}

impl fmt::Display for PropertiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: `\\u` must be followed by four hexadecimal digits", self.line)
    }
}

impl std::error::Error for PropertiesError {}

/// Reads a Java properties file: ISO-8859-1, `#` and `!` comments, `=`, `:` or blanks between key and
/// value, a backslash at the end of a line to go on, escapes; of duplicates the last one stands.
pub fn parse_properties(bytes: &[u8]) -> Result<BTreeMap<String, String>, PropertiesError> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = text.split('\n').enumerate();
    let mut properties = BTreeMap::new();
    while let Some((number, first)) = lines.next() {
        let mut line = trim_start(first).to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        while ends_with_odd_backslashes(&line) {
            line.pop();
            let Some((_, next)) = lines.next() else { break };
            line.push_str(trim_start(next));
        }
        let (key, value) = split(&line).ok_or(PropertiesError { line: number + 1 })?;
        properties.insert(key, value);
    }
    Ok(properties)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

fn trim_start(line: &str) -> &str {
    line.trim_start_matches(is_blank)
}

fn ends_with_odd_backslashes(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

fn split(line: &str) -> Option<(String, String)> {
    let mut chars = line.chars().peekable();
    let mut key = String::new();
    while let Some(c) = chars.next_if(|c| !is_blank(*c) && !matches!(c, '=' | ':')) {
        push(&mut key, c, &mut chars)?;
    }
    skip_blanks(&mut chars);
    if chars.next_if(|c| matches!(c, '=' | ':')).is_some() {
        skip_blanks(&mut chars);
    }
    let mut value = String::new();
    while let Some(c) = chars.next() {
        push(&mut value, c, &mut chars)?;
    }
    Some((key, value))
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| is_blank(*c)).is_some() {}
}

fn push(text: &mut String, c: char, chars: &mut Peekable<Chars<'_>>) -> Option<()> {
    if c != '\\' {
        text.push(c);
        return Some(());
    }
    match chars.next() {
        None => {}
        Some('t') => text.push('\t'),
        Some('n') => text.push('\n'),
        Some('r') => text.push('\r'),
        Some('f') => text.push('\u{c}'),
        Some('u') => push_unit(text, chars)?,
        Some(other) => text.push(other),
    }
    Some(())
}

/// Java texts are UTF-16: a letter beyond the first plane is two escapes in a row.
fn push_unit(text: &mut String, chars: &mut Peekable<Chars<'_>>) -> Option<()> {
    let high = hex4(chars)?;
    let mut units = vec![high];
    let mut ahead = chars.clone();
    if (0xd800..0xdc00).contains(&high) && ahead.next() == Some('\\') && ahead.next() == Some('u') {
        units.push(hex4(&mut ahead)?);
        *chars = ahead;
    }
    text.push_str(&String::from_utf16_lossy(&units));
    Some(())
}

fn hex4(chars: &mut Peekable<Chars<'_>>) -> Option<u16> {
    let mut unit: u16 = 0;
    for _ in 0..4 {
        unit = (unit << 4) | chars.next()?.to_digit(16)? as u16;
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        parse_properties(text.as_bytes()).unwrap().into_iter().collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn separators_comments_and_blanks() {
        let text = "# no\n! no\n\n a = b\nc:d\ne f g\nh\n  i=\n";
        let want = [pair("a", "b"), pair("c", "d"), pair("e", "f g"), pair("h", ""), pair("i", "")];
        assert_eq!(read(text), want);
    }

    #[test]
    fn continuation_and_escapes() {
        assert_eq!(read("a=1,\\\n   2,\\\r\n 3"), [pair("a", "1,2,3")]);
        assert_eq!(read("a\\ b=c\\=d\\tx\\u00e9\\ud83d\\ude00"), [pair("a b", "c=d\txé😀")]);
        assert_eq!(read("p=c:\\\\logs\\\\"), [pair("p", "c:\\logs\\")]);
        assert_eq!(parse_properties(b"\na=\\u12"), Err(PropertiesError { line: 2 }));
    }

    #[test]
    fn the_last_duplicate_stands_and_trailing_blanks_stay() {
        assert_eq!(read("a=1\na=2 \n"), [pair("a", "2 ")]);
    }
}
