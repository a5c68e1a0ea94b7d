//! Our schema format: one message a file, one field a line, nesting by indentation.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

/// A range of versions; `None` where it never applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub low: i16,
    pub high: i16,
}

impl Versions {
    pub const NONE: Self = Self { low: 1, high: 0 };

    pub fn parse(text: &str) -> Result<Self> {
        if text == "none" || text.is_empty() {
            return Ok(Self::NONE);
        }
        if let Some(low) = text.strip_suffix('+') {
            return Ok(Self { low: low.parse()?, high: i16::MAX });
        }
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        Ok(Self { low: low.parse()?, high: high.parse()? })
    }

    pub fn is_empty(self) -> bool {
        self.low > self.high
    }

    pub fn and(self, other: Self) -> Self {
        let both = Self { low: self.low.max(other.low), high: self.high.min(other.high) };
        if both.is_empty() { Self::NONE } else { both }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    Bool,
    /// An integer or float, named as in Rust.
    Number(&'static str),
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

impl Type {
    fn parse(text: &str) -> Self {
        if let Some(element) = text.strip_prefix("[]") {
            return Self::Array(Box::new(Self::parse(element)));
        }
        match text {
            "bool" => Self::Bool,
            "int8" => Self::Number("i8"),
            "int16" => Self::Number("i16"),
            "uint16" => Self::Number("u16"),
            "int32" => Self::Number("i32"),
            "uint32" => Self::Number("u32"),
            "int64" => Self::Number("i64"),
            "float64" => Self::Number("f64"),
            "uuid" => Self::Uuid,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            name => Self::Struct(name.to_owned()),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub ty: Type,
    pub versions: Versions,
    pub nullable: Versions,
    pub tag: Option<(u32, Versions)>,
    /// `flexible=none`: old lengths even in flexible versions.
    pub never_flexible: bool,
    pub default: Option<String>,
    pub ignorable: bool,
}

#[derive(Debug, Clone)]
pub struct Struct {
    pub name: String,
    pub versions: Versions,
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone)]
pub struct Message {
    pub kind: String,
    pub name: String,
    pub valid: Versions,
    pub flexible: Versions,
    pub key: Option<i16>,
    pub listeners: Vec<String>,
    pub latest_unstable: bool,
    pub fields: Vec<Field>,
    /// Nested and common structs, in the order of their first mention.
    pub structs: Vec<Struct>,
}

pub fn parse(text: &str) -> Result<Message> {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let (head, body) = lines.split_first().context("empty schema")?;
    let mut message = parse_head(head)?;
    let mut rest = body;
    message.fields = parse_fields(&mut rest, 1, message.valid, &mut message.structs)?;
    while let Some((line, after)) = rest.split_first() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["struct", name, versions] = words[..] else { bail!("not a struct line: {line}") };
        let versions = Versions::parse(versions.trim_start_matches("versions="))?.and(message.valid);
        rest = after;
        let fields = parse_fields(&mut rest, 1, versions, &mut message.structs)?;
        message.structs.push(Struct { name: name.to_owned(), versions, fields });
    }
    Ok(message)
}

fn parse_head(line: &str) -> Result<Message> {
    let mut words = line.split_whitespace();
    let kind = words.next().context("kind")?.to_owned();
    let name = words.next().context("name")?.to_owned();
    let words: Vec<&str> = words.collect();
    let options = options(&words);
    Ok(Message {
        kind,
        name,
        valid: Versions::parse(options.get("versions").context("versions")?)?,
        flexible: Versions::parse(options.get("flexible").context("flexible")?)?,
        key: options.get("key").map(|k| k.parse()).transpose()?,
        listeners: options
            .get("listeners")
            .map(|l| l.split(',').map(str::to_owned).collect())
            .unwrap_or_default(),
        latest_unstable: options.contains_key("latest-unstable"),
        fields: Vec::new(),
        structs: Vec::new(),
    })
}

fn options<'a>(words: &[&'a str]) -> BTreeMap<&'a str, &'a str> {
    words.iter().map(|w| w.split_once('=').unwrap_or((w, ""))).collect()
}

fn parse_fields(
    lines: &mut &[&str],
    depth: usize,
    parent: Versions,
    structs: &mut Vec<Struct>,
) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    while let Some((line, after)) = lines.split_first() {
        let indent = line.len() - line.trim_start().len();
        if indent < depth * 2 {
            break;
        }
        *lines = after;
        let field = parse_field(line)?;
        let nested_here = lines.first().is_some_and(|l| l.len() - l.trim_start().len() > depth * 2);
        if nested_here {
            let name = struct_name(&field.ty).context("nested fields without a struct type")?;
            let versions = field.versions.and(parent);
            let at = structs.len();
            let nested = parse_fields(lines, depth + 1, versions, structs)?;
            structs.insert(at, Struct { name, versions, fields: nested });
        }
        fields.push(field);
    }
    Ok(fields)
}

fn struct_name(ty: &Type) -> Option<String> {
    match ty {
        Type::Struct(name) => Some(name.clone()),
        Type::Array(element) => struct_name(element),
        _ => None,
    }
}

fn parse_field(line: &str) -> Result<Field> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, ty, versions, rest @ ..] = &words[..] else { bail!("not a field line: {line}") };
    let options = options(rest);
    let tag = match options.get("tag") {
        None => None,
        Some(text) => {
            let (tag, versions) = text.split_once('@').context("tag without versions")?;
            Some((tag.parse()?, Versions::parse(versions)?))
        }
    };
    Ok(Field {
        name: (*name).to_owned(),
        ty: Type::parse(ty),
        versions: Versions::parse(versions)?,
        nullable: options.get("nullable").map_or(Ok(Versions::NONE), |v| Versions::parse(v))?,
        tag,
        never_flexible: options.get("flexible") == Some(&"none"),
        default: options.get("default").map(|d| (*d).to_owned()),
        ignorable: options.contains_key("ignorable"),
    })
}
