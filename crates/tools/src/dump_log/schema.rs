//! Records as JSON, read by their schema: Kafka's dump shows exactly the fields of a record's own version.

use std::fmt::Write;

/// A type as the schema writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Type {
    Array(Box<Type>),
    Named(String),
}

/// Versions from the first to the second, both included.
type Versions = Option<(i16, i16)>;

#[derive(Debug)]
struct Field {
    name: String,
    field_type: Type,
    versions: Versions,
    nullable: Versions,
    tag: Option<(u32, Versions)>,
    default: Option<String>,
    children: Vec<Field>,
}

/// One message's schema.
#[derive(Debug)]
pub(super) struct Schema {
    /// Kafka's name.
    pub(super) name: String,
    /// Number of the record, where it has one.
    pub(super) key: Option<i16>,
    flexible: Versions,
    versions: Versions,
    fields: Vec<Field>,
    structs: Vec<(String, Vec<Field>)>,
}

/// Bytes that do not fit the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) &'static str);

type Result<T> = std::result::Result<T, Unreadable>;

impl Schema {
    /// Reads a schema; `None` when it is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty()).peekable();
        let mut head = lines.next()?.split_whitespace();
        let (_kind, name) = (head.next()?, head.next()?.to_owned());
        let attribute = |key: &str| {
            head.clone().find_map(|word| word.strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
        };
        let mut schema = Self {
            name,
            key: attribute("key").and_then(|key| key.parse().ok()),
            flexible: attribute("flexible").and_then(|text| versions(&text)),
            versions: attribute("versions").and_then(|text| versions(&text)),
            fields: fields(&mut lines, 2),
            structs: Vec::new(),
        };
        while let Some(line) = lines.next() {
            let name = line.strip_prefix("struct ")?.split_whitespace().next()?.to_owned();
            let children = fields(&mut lines, 2);
            schema.structs.push((name, children));
        }
        Some(schema)
    }

    /// Whether this version exists.
    pub(super) fn has_version(&self, version: i16) -> bool {
        within(self.versions, version)
    }

    /// The message in these bytes as JSON.
    pub(super) fn to_json(&self, bytes: &[u8], version: i16) -> Result<String> {
        let mut reader =
            Reader { bytes, flexible: within(self.flexible, version), version, schema: self, depth: 0 };
        let mut json = String::new();
        reader.structure(&self.fields, &mut json)?;
        Ok(json)
    }
}

fn versions(text: &str) -> Versions {
    if text == "none" {
        return None;
    }
    if let Some(first) = text.strip_suffix('+') {
        return Some((first.parse().ok()?, i16::MAX));
    }
    match text.split_once('-') {
        Some((first, last)) => Some((first.parse().ok()?, last.parse().ok()?)),
        None => text.parse().ok().map(|only| (only, only)),
    }
}

fn within(versions: Versions, version: i16) -> bool {
    versions.is_some_and(|(first, last)| (first..=last).contains(&version))
}

fn fields<'a>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>, indent: usize) -> Vec<Field> {
    let mut found = Vec::new();
    let depth = |line: &str| line.len() - line.trim_start().len();
    while let Some(line) = lines.next_if(|line| depth(line) == indent) {
        let mut words = line.split_whitespace();
        let (Some(name), Some(kind), Some(range)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let attribute = |key: &str| {
            words.clone().find_map(|word| word.strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
        };
        let tag = attribute("tag").and_then(|text| {
            let (tag, range) = text.split_once('@')?;
            Some((tag.parse().ok()?, versions(range)))
        });
        found.push(Field {
            name: name.to_owned(),
            field_type: parse_type(kind),
            versions: versions(range),
            nullable: attribute("nullable").and_then(|text| versions(&text)),
            tag,
            default: attribute("default"),
            children: fields(lines, indent + 2),
        });
    }
    found
}

fn parse_type(text: &str) -> Type {
    match text.strip_prefix("[]") {
        Some(element) => Type::Array(Box::new(parse_type(element))),
        None => Type::Named(text.to_owned()),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    flexible: bool,
    version: i16,
    schema: &'a Schema,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(len).ok_or(Unreadable("the record ends too early"))?;
        self.bytes = tail;
        Ok(head)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Unreadable("the record ends too early"))
    }

    fn varint(&mut self) -> Result<u32> {
        let mut value: u32 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Unreadable("a number is too long"))
    }

    /// A length: compact in flexible versions, else `width` bytes; negative means null.
    fn length(&mut self, width: usize) -> Result<Option<usize>> {
        let length = match (self.flexible, width) {
            (true, _) => i64::from(self.varint()?) - 1,
            (false, 2) => i64::from(i16::from_be_bytes(self.fixed()?)),
            (false, _) => i64::from(i32::from_be_bytes(self.fixed()?)),
        };
        Ok(usize::try_from(length).ok())
    }

    fn structure(&mut self, fields: &'a [Field], json: &mut String) -> Result<()> {
        const DEPTH_MAX: usize = 32;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Unreadable("structures are nested too deep"));
        }
        let mut parts: Vec<Option<String>> = Vec::new();
        for field in fields {
            let tagged = field.tag.as_ref().is_some_and(|(_, range)| within(*range, self.version));
            let mut part = None;
            if within(field.versions, self.version) && !tagged {
                let mut text = String::new();
                self.value(field, &mut text)?;
                part = Some(text);
            }
            parts.push(part);
        }
        if self.flexible {
            self.tagged_fields(fields, &mut parts)?;
        }
        json.push('{');
        let mut first = true;
        for (field, part) in fields.iter().zip(parts) {
            let Some(part) = part else { continue };
            if !std::mem::take(&mut first) {
                json.push(',');
            }
            let mut letters = field.name.chars();
            let initial = letters.next().map(|c| c.to_ascii_lowercase()).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = write!(json, "\"{initial}{}\":{part}", letters.as_str());
        }
        json.push('}');
        self.depth -= 1;
        Ok(())
    }

    fn tagged_fields(&mut self, fields: &'a [Field], parts: &mut [Option<String>]) -> Result<()> {
        let count = self.varint()?;
        for _ in 0..count {
            let tag = self.varint()?;
            let size = self.varint()? as usize;
            let content = self.take(size)?;
            let place = fields.iter().position(|field| field.tag.as_ref().is_some_and(|(t, _)| *t == tag));
            let Some(place) = place else { continue };
            let after = std::mem::replace(&mut self.bytes, content);
            let mut text = String::new();
            self.value(&fields[place], &mut text)?;
            self.bytes = after;
            if !is_default(&fields[place], &text) {
                parts[place] = Some(text);
            }
        }
        Ok(())
    }

    fn value(&mut self, field: &'a Field, json: &mut String) -> Result<()> {
        let nullable = within(field.nullable, self.version);
        self.typed(&field.field_type, &field.children, nullable, json)
    }

    fn typed(
        &mut self,
        kind: &'a Type,
        children: &'a [Field],
        nullable: bool,
        json: &mut String,
    ) -> Result<()> {
        let name = match kind {
            Type::Array(element) => return self.array(element, children, json),
            Type::Named(name) => name.as_str(),
        };
        // Writing to a String cannot fail.
        match name {
            "bool" => json.push_str(if self.fixed::<1>()? == [0] { "false" } else { "true" }),
            "int8" => drop(write!(json, "{}", i8::from_be_bytes(self.fixed()?))),
            "int16" => drop(write!(json, "{}", i16::from_be_bytes(self.fixed()?))),
            "uint16" => drop(write!(json, "{}", u16::from_be_bytes(self.fixed()?))),
            "int32" => drop(write!(json, "{}", i32::from_be_bytes(self.fixed()?))),
            "uint32" => drop(write!(json, "{}", u32::from_be_bytes(self.fixed()?))),
            "int64" => drop(write!(json, "{}", i64::from_be_bytes(self.fixed()?))),
            "float64" => {
                json.push_str(&ottla_common::config::java_double(f64::from_be_bytes(self.fixed()?)));
            }
            "uuid" => drop(write!(json, "\"{}\"", ottla_common::Uuid(self.fixed()?))),
            "string" => match self.length(2)? {
                Some(length) => push_json_string(json, &String::from_utf8_lossy(self.take(length)?)),
                None => json.push_str("null"),
            },
            "bytes" | "records" => match self.length(4)? {
                Some(length) => drop(write!(json, "\"{}\"", base64(self.take(length)?))),
                None => json.push_str("null"),
            },
            _ => return self.nested(name, children, nullable, json),
        }
        Ok(())
    }

    fn nested(&mut self, name: &str, children: &'a [Field], nullable: bool, json: &mut String) -> Result<()> {
        if nullable && self.fixed::<1>()? == [0xff] {
            json.push_str("null");
            return Ok(());
        }
        let shared =
            self.schema.structs.iter().find(|(known, _)| known == name).map(|(_, fields)| fields.as_slice());
        self.structure(if children.is_empty() { shared.unwrap_or(children) } else { children }, json)
    }

    fn array(&mut self, element: &'a Type, children: &'a [Field], json: &mut String) -> Result<()> {
        let Some(count) = self.length(4)? else {
            json.push_str("null");
            return Ok(());
        };
        json.push('[');
        for i in 0..count {
            if i > 0 {
                json.push(',');
            }
            // Every element has at least one byte, so a false count ends here before memory does.
            if self.bytes.is_empty() {
                return Err(Unreadable("the record ends too early"));
            }
            self.typed(element, children, false, json)?;
        }
        json.push(']');
        Ok(())
    }
}

/// A tagged field that says what its absence would say is left out.
fn is_default(field: &Field, json: &str) -> bool {
    match (&field.default, &field.field_type) {
        (Some(default), _) => json == default || json.trim_matches('"') == default,
        (None, Type::Array(_)) => json == "[]",
        (None, Type::Named(name)) => match name.as_str() {
            "string" | "bytes" => json == "\"\"",
            "bool" => json == "false",
            "uuid" => json == "\"AAAAAAAAAAAAAAAAAAAAAA\"",
            _ => json == "0",
        },
    }
}

/// A text between quotes, as JSON wants it.
pub(super) fn push_json_string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            c if c < ' ' => drop(write!(json, "\\u{:04X}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
}

/// Bytes in base64, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0u32, |acc, byte| (acc << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = ALPHABET[(group >> (18 - 6 * i)) as usize & 0x3f];
            text.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "metadata ThingRecord versions=0-1 flexible=0+ key=7\n  Name string 0+\n  \
        Items []Item 0+\n    Id int32 0+\n    Note string 1+ nullable=1+\n  State int8 0+ tag=0@0+ default=0\n";

    #[test]
    fn fields_of_the_version_are_shown_and_defaults_of_tags_are_not() {
        let schema = Schema::parse(SCHEMA).unwrap();
        assert_eq!((schema.key, schema.name.as_str()), (Some(7), "ThingRecord"));
        let v0 = [3, b'a', b'"', 2, 0, 0, 0, 5, 0, 0];
        assert_eq!(schema.to_json(&v0, 0).unwrap(), r#"{"name":"a\"","items":[{"id":5}]}"#);
        let v1 = [2, b'a', 2, 0, 0, 0, 5, 0, 0, 1, 0, 1, 9];
        assert_eq!(
            schema.to_json(&v1, 1).unwrap(),
            r#"{"name":"a","items":[{"id":5,"note":null}],"state":9}"#
        );
    }

    #[test]
    fn torn_records_are_refused() {
        let schema = Schema::parse(SCHEMA).unwrap();
        assert!(schema.to_json(&[3, b'a'], 0).is_err());
        assert!(schema.to_json(&[1, 0xff, 0xff, 0xff, 0xff, 0x0f], 0).is_err());
    }

    #[test]
    fn bytes_are_base64() {
        assert_eq!(base64(b"Ma"), "TWE=");
        assert_eq!(base64(b"Man!"), "TWFuIQ==");
    }
}
