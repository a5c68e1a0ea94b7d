//! Lines of JSON, their fields in a fixed order: those who read them compare text.

use std::fmt::{Display, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use ottla_common::config::java_double;

use crate::output::outln;

/// A JSON object that grows field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Object(String);

impl Object {
    /// A text, or null.
    pub(super) fn text(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => {
                let mut quoted = String::with_capacity(value.len() + 2);
                quote(&mut quoted, value);
                self.raw(key, &quoted)
            }
            None => self.raw(key, "null"),
        }
    }

    /// A whole number, or true or false.
    pub(super) fn number(self, key: &str, value: impl Display) -> Self {
        self.raw(key, &value.to_string())
    }

    /// A fraction, written as Java writes it; what is no number stands in quotes.
    pub(super) fn fraction(self, key: &str, value: f64) -> Self {
        let number = java_double(value);
        if value.is_finite() { self.raw(key, &number) } else { self.text(key, Some(&number)) }
    }

    /// Objects or numbers that are JSON already.
    pub(super) fn list(self, key: &str, items: impl IntoIterator<Item = impl Display>) -> Self {
        let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
        self.raw(key, &format!("[{}]", items.join(",")))
    }

    /// A value that is JSON already.
    pub(super) fn raw(mut self, key: &str, json: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        quote(&mut self.0, key);
        self.0.push(':');
        self.0.push_str(json);
        self
    }
}

impl Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{{}}}", self.0)
    }
}

/// One line: an object that begins with its time and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event(Object);

impl Event {
    /// Something that happens now.
    pub(super) fn now(name: &str) -> Self {
        Self::at(now_ms(), name)
    }

    fn at(timestamp: i64, name: &str) -> Self {
        Self(Object::default().number("timestamp", timestamp).text("name", Some(name)))
    }

    /// See [`Object::text`].
    pub(super) fn text(self, key: &str, value: Option<&str>) -> Self {
        Self(self.0.text(key, value))
    }

    /// See [`Object::number`].
    pub(super) fn number(self, key: &str, value: impl Display) -> Self {
        Self(self.0.number(key, value))
    }

    /// See [`Object::fraction`].
    pub(super) fn fraction(self, key: &str, value: f64) -> Self {
        Self(self.0.fraction(key, value))
    }

    /// See [`Object::list`].
    pub(super) fn list(self, key: &str, items: impl IntoIterator<Item = impl Display>) -> Self {
        Self(self.0.list(key, items))
    }

    /// See [`Object::raw`].
    pub(super) fn raw(self, key: &str, json: &str) -> Self {
        Self(self.0.raw(key, json))
    }

    /// Writes the line to standard output.
    pub(super) fn print(&self) {
        outln!("{}", self.0);
    }

    /// What follows the time, for tests.
    #[cfg(test)]
    pub(super) fn after_timestamp(&self) -> String {
        let line = self.0.to_string();
        line.split_once(',')
            .map_or(String::new(), |(_, rest)| rest.strip_suffix('}').unwrap_or(rest).to_owned())
    }
}

/// Milliseconds since the epoch.
pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// Text in quotes, with the escapes of Kafka's JSON library: upper-case hexadecimal digits, and everything
/// beyond ASCII as it is.
fn quote(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\u{8}' => json.push_str("\\b"),
            '\t' => json.push_str("\\t"),
            '\n' => json.push_str("\\n"),
            '\u{c}' => json.push_str("\\f"),
            '\r' => json.push_str("\\r"),
            c if c < ' ' => {
                // Writing to a String cannot fail.
                let _ = write!(json, "\\u{:04X}", u32::from(c));
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_the_order_of_the_calls() {
        let partition = Object::default().text("topic", Some("envíos")).number("partition", 3);
        let event = Event::at(7, "tool_data")
            .text("key", None)
            .number("success", true)
            .list("partitions", [&partition])
            .list("offsets", [1, 2])
            .fraction("avg_throughput", 0.5);
        let line = concat!(
            r#"{"timestamp":7,"name":"tool_data","key":null,"success":true,"#,
            r#""partitions":[{"topic":"envíos","partition":3}],"offsets":[1,2],"avg_throughput":0.5}"#
        );
        assert_eq!(event.0.to_string(), line);
    }

    #[test]
    fn nothing_breaks_out_of_a_string() {
        let object = Object::default().text("k", Some("a\"b\\c\n\u{1f}é"));
        assert_eq!(object.to_string(), r#"{"k":"a\"b\\c\n\u001Fé"}"#);
        let read: serde_json::Value = serde_json::from_str(&object.to_string()).unwrap();
        assert_eq!(read["k"], "a\"b\\c\n\u{1f}é");
    }

    #[test]
    fn what_is_no_number_is_quoted() {
        assert_eq!(Object::default().fraction("a", f64::NAN).to_string(), r#"{"a":"NaN"}"#);
        assert_eq!(Object::default().list("a", Vec::<Object>::new()).to_string(), r#"{"a":[]}"#);
    }
}
