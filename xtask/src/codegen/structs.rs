//! Rust for one struct: fields, defaults, decode, encode, sample.

use std::fmt::Write as _;

use super::schema::{Field, Message, Struct, Type, Versions};

/// Writes the struct's definition and its inherent or trait methods.
pub fn emit(out: &mut String, message: &Message, spec: &Struct, top_level: bool) {
    let versions = spec.versions.and(message.valid);
    let context = Context { message, spec, versions };
    let fields: Vec<&Field> = spec.fields.iter().filter(|f| !f.versions.and(versions).is_empty()).collect();
    definition(out, &context, &fields);
    defaults(out, &context, &fields);
    if top_level {
        message_impl(out, &context, &fields);
    } else {
        let _ = writeln!(out, "impl {} {{", spec.name);
        decode(out, &context, &fields, "pub ");
        encode(out, &context, &fields, "pub ");
        out.push_str("#[cfg(feature = \"test-util\")]\n");
        sample(out, &context, &fields, "pub ");
        out.push_str("}\n\n");
    }
}

struct Context<'a> {
    message: &'a Message,
    spec: &'a Struct,
    versions: Versions,
}

impl Context<'_> {
    /// The Rust condition for `range` among this struct's versions; `None` when it always holds.
    fn condition(&self, range: Versions) -> Option<String> {
        condition(range, self.versions)
    }

    fn has_tags(&self) -> bool {
        !self.message.flexible.and(self.versions).is_empty()
    }
}

fn condition(range: Versions, among: Versions) -> Option<String> {
    let range = range.and(among);
    if range.is_empty() {
        return Some("false".to_owned());
    }
    match (range.low > among.low, range.high < among.high) {
        (false, false) => None,
        (true, false) => Some(format!("version >= {}", range.low)),
        (false, true) => Some(format!("version <= {}", range.high)),
        (true, true) if range.low == range.high => Some(format!("version == {}", range.low)),
        (true, true) => Some(format!("({}..={}).contains(&version)", range.low, range.high)),
    }
}

fn is_option(field: &Field) -> bool {
    !field.nullable.is_empty()
}

fn rust_type(ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".into(),
        Type::Number(name) => (*name).into(),
        Type::Uuid => "Uuid".into(),
        Type::String => "ByteString".into(),
        Type::Bytes => "Bytes".into(),
        Type::Records => "Records".into(),
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("Vec<{}>", rust_type(element)),
    }
}

fn definition(out: &mut String, context: &Context<'_>, fields: &[&Field]) {
    let _ = writeln!(out, "#[derive(Debug, Clone, PartialEq)]\npub struct {} {{", context.spec.name);
    for field in fields {
        let ty = rust_type(&field.ty);
        let ty = if is_option(field) { format!("Option<{ty}>") } else { ty };
        let _ = writeln!(out, "pub {}: {ty},", super::snake(&field.name));
    }
    if context.has_tags() {
        out.push_str("pub unknown_tagged_fields: Vec<RawTaggedField>,\n");
    }
    out.push_str("}\n\n");
}

fn default_value(field: &Field) -> String {
    let null = field.default.as_deref() == Some("null");
    if is_option(field) && null {
        return "None".into();
    }
    let value = match (&field.ty, field.default.as_deref()) {
        (Type::Bool, Some(text)) => text.to_owned(),
        (Type::Number("f64"), text) => format!("{}f64", text.unwrap_or("0")),
        (Type::Number(_), Some(text)) => text.to_owned(),
        (Type::Number(_), None) => "0".into(),
        (Type::Bool, None) => "false".into(),
        (Type::String, Some(text)) if !null => format!("ByteString::from_static({text:?})"),
        (Type::String, _) => "ByteString::new()".into(),
        (Type::Uuid, _) => "Uuid::ZERO".into(),
        (Type::Bytes, _) => "Bytes::new()".into(),
        (Type::Records | Type::Struct(_), _) => "Default::default()".into(),
        (Type::Array(_), _) => "Vec::new()".into(),
    };
    if is_option(field) { format!("Some({value})") } else { value }
}

fn defaults(out: &mut String, context: &Context<'_>, fields: &[&Field]) {
    let name = &context.spec.name;
    let _ = writeln!(out, "impl Default for {name} {{\nfn default() -> Self {{\nSelf {{");
    for field in fields {
        let _ = writeln!(out, "{}: {},", super::snake(&field.name), default_value(field));
    }
    if context.has_tags() {
        out.push_str("unknown_tagged_fields: Vec::new(),\n");
    }
    out.push_str("}\n}\n}\n\n");
}

fn is_default(field: &Field) -> String {
    let place = format!("self.{}", super::snake(&field.name));
    let default = default_value(field);
    if is_option(field) {
        return if default == "None" {
            format!("{place}.is_none()")
        } else {
            format!("{place} == {default}")
        };
    }
    match (&field.ty, default.as_str()) {
        (Type::Bool, "false") => format!("!{place}"),
        (Type::Bool, _) => place,
        (Type::Array(_) | Type::Bytes | Type::Records, _) | (Type::String, "ByteString::new()") => {
            format!("{place}.is_empty()")
        }
        (Type::Struct(name), _) => format!("{place} == {name}::default()"),
        _ => format!("{place} == {default}"),
    }
}

fn message_impl(out: &mut String, context: &Context<'_>, fields: &[&Field]) {
    let message = context.message;
    let flexible = message.flexible.and(message.valid);
    let first_flexible = if flexible.is_empty() { "i16::MAX".to_owned() } else { flexible.low.to_string() };
    let _ = writeln!(
        out,
        "impl Message for {0} {{\nconst NAME: &'static str = \"{0}\";\nconst MIN_VERSION: i16 = {1};\n\
         const MAX_VERSION: i16 = {2};\nconst FIRST_FLEXIBLE_VERSION: i16 = {first_flexible};\n",
        message.name, message.valid.low, message.valid.high
    );
    decode(out, context, fields, "");
    encode(out, context, fields, "");
    out.push_str("#[cfg(feature = \"test-util\")]\n");
    sample(out, context, fields, "");
    out.push_str("}\n\n");
}

fn flexible_line(context: &Context<'_>) -> String {
    let expression = context.condition(context.message.flexible).unwrap_or_else(|| "true".into());
    format!("let flexible = {expression};\n")
}

/// Versions in which the field stands in its place, and those in which it is tagged.
fn untagged_and_tagged(context: &Context<'_>, field: &Field) -> (Versions, Versions) {
    let present = field.versions.and(context.versions);
    let tagged = field.tag.map_or(Versions::NONE, |(_, versions)| versions.and(present));
    if tagged.is_empty() {
        (present, tagged)
    } else {
        (Versions { low: present.low, high: tagged.low - 1 }.and(present), tagged)
    }
}

fn flexible_name(field: &Field) -> &'static str {
    if field.never_flexible { "false" } else { "flexible" }
}

fn decode(out: &mut String, context: &Context<'_>, fields: &[&Field], visibility: &str) {
    let _ =
        writeln!(out, "{visibility}fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {{");
    if visibility.is_empty() {
        out.push_str("check_decode_version::<Self>(version)?;\n");
    }
    out.push_str(&flexible_line(context));
    out.push_str("let mut this = Self::default();\n");
    for field in fields {
        let (untagged, _) = untagged_and_tagged(context, field);
        if !untagged.is_empty() {
            guarded(out, context.condition(untagged), &read_statement(field, untagged, context));
        }
    }
    if context.has_tags() {
        let mut arms = String::new();
        for field in fields {
            let (_, tagged) = untagged_and_tagged(context, field);
            if let Some((tag, _)) = field.tag.filter(|_| !tagged.is_empty()) {
                let guard = context.condition(tagged.and(context.message.flexible));
                // Tags are read in flexible versions only; the guard matters where a tag came later.
                let guard = guard.filter(|g| Some(g) != context.condition(context.message.flexible).as_ref());
                let guard = guard.map(|g| format!(" if {g}")).unwrap_or_default();
                let _ = writeln!(arms, "{tag}{guard} => {{ {} }}", read_statement(field, tagged, context));
            }
        }
        let body = if arms.is_empty() {
            "this.unknown_tagged_fields = r.tagged_fields(|_, _| Ok(false))?;\n".to_owned()
        } else {
            format!(
                "this.unknown_tagged_fields = r.tagged_fields(|r, tag| {{\nmatch tag {{\n{arms}_ => return Ok(false),\n}}\nOk(true)\n}})?;\n"
            )
        };
        guarded(out, context.condition(context.message.flexible).map(|_| "flexible".into()), &body);
    }
    out.push_str("Ok(this)\n}\n\n");
}

fn guarded(out: &mut String, condition: Option<String>, body: &str) {
    match condition {
        None => out.push_str(body),
        Some(condition) => {
            let _ = writeln!(out, "if {condition} {{\n{body}}}");
        }
    }
}

fn read_statement(field: &Field, range: Versions, context: &Context<'_>) -> String {
    let place = format!("this.{}", super::snake(&field.name));
    let flexible = flexible_name(field);
    let plain = read(&field.ty, flexible);
    if !is_option(field) {
        return format!("{place} = {plain}?;\n");
    }
    let nullable = match (&field.ty, field.tag) {
        (Type::Struct(name), Some(_)) => format!("r.nullable_tagged_struct(|r| {name}::decode(r, version))"),
        (ty, _) => read_nullable(ty, flexible),
    };
    match condition(field.nullable, range) {
        None => format!("{place} = {nullable}?;\n"),
        Some(c) if c == "false" => format!("{place} = Some({plain}?);\n"),
        Some(_) => {
            let c = context.condition(field.nullable.and(range)).unwrap_or_else(|| "true".into());
            format!("{place} = if {c} {{ {nullable}? }} else {{ Some({plain}?) }};\n")
        }
    }
}

/// An expression of type `Result<T, DecodeError>`.
fn read(ty: &Type, flexible: &str) -> String {
    match ty {
        Type::Bool => "r.bool()".into(),
        Type::Number(name) => format!("r.{name}()"),
        Type::Uuid => "r.uuid()".into(),
        Type::String => format!("r.string({flexible})"),
        Type::Bytes => format!("r.bytes({flexible})"),
        Type::Records => format!("r.records({flexible})"),
        Type::Struct(name) => format!("{name}::decode(r, version)"),
        Type::Array(element) => format!("r.array({flexible}, |r| {})", read(element, flexible)),
    }
}

fn read_nullable(ty: &Type, flexible: &str) -> String {
    match ty {
        Type::String => format!("r.nullable_string({flexible})"),
        Type::Bytes => format!("r.nullable_bytes({flexible})"),
        Type::Records => format!("r.nullable_records({flexible})"),
        Type::Struct(name) => format!("r.nullable_struct(|r| {name}::decode(r, version))"),
        Type::Array(element) => format!("r.nullable_array({flexible}, |r| {})", read(element, flexible)),
        Type::Bool | Type::Number(_) | Type::Uuid => read(ty, flexible),
    }
}

fn encode(out: &mut String, context: &Context<'_>, fields: &[&Field], visibility: &str) {
    let _ = writeln!(
        out,
        "{visibility}fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {{"
    );
    if visibility.is_empty() {
        out.push_str("check_encode_version::<Self>(version)?;\n");
    }
    out.push_str(&flexible_line(context));
    for field in fields {
        let present = field.versions.and(context.versions);
        if !field.ignorable
            && let Some(condition) = context.condition(present)
        {
            let _ = writeln!(
                out,
                "if !({condition}) && !({}) {{\nreturn Err(EncodeError::UnsupportedField {{ field: \"{}.{}\", version }});\n}}",
                is_default(field),
                context.spec.name,
                field.name
            );
        }
        let (untagged, _) = untagged_and_tagged(context, field);
        if !untagged.is_empty() {
            guarded(out, context.condition(untagged), &write_statement(field, untagged, context));
        }
    }
    if context.has_tags() {
        let mut body = "let mut tagged = TaggedFields::default();\n".to_owned();
        let mut tagged_fields: Vec<_> = fields.iter().filter(|f| f.tag.is_some()).collect();
        tagged_fields.sort_by_key(|f| f.tag.map(|(tag, _)| tag));
        for field in tagged_fields {
            let (_, tagged) = untagged_and_tagged(context, field);
            if let Some((tag, _)) = field.tag.filter(|_| !tagged.is_empty()) {
                let version = context.condition(tagged).map(|c| format!("{c} && ")).unwrap_or_default();
                let _ = writeln!(
                    body,
                    "if {version}!({}) {{\ntagged.push({tag}, |w| {{\n{}Ok(())\n}})?;\n}}",
                    is_default(field),
                    write_statement(field, tagged, context)
                );
            }
        }
        body.push_str("w.tagged_fields(tagged, &self.unknown_tagged_fields)?;\n");
        guarded(out, context.condition(context.message.flexible).map(|_| "flexible".into()), &body);
    }
    out.push_str("Ok(())\n}\n\n");
}

fn write_statement(field: &Field, range: Versions, context: &Context<'_>) -> String {
    let place = format!("self.{}", super::snake(&field.name));
    let flexible = flexible_name(field);
    if !is_option(field) {
        return write(&field.ty, &place, flexible);
    }
    let plain = format!(
        "let Some(value) = &{place} else {{\nreturn Err(EncodeError::Null {{ field: \"{}.{}\" }});\n}};\n{}",
        context.spec.name,
        field.name,
        write(&field.ty, "(*value)", flexible)
    );
    let nullable = match (&field.ty, field.tag) {
        (Type::Struct(_), Some(_)) => write_nullable_struct(&place, 0),
        (ty, _) => write_nullable(ty, &place, flexible),
    };
    match condition(field.nullable, range) {
        None => nullable,
        Some(c) if c == "false" => plain,
        Some(_) => {
            let c = context.condition(field.nullable.and(range)).unwrap_or_else(|| "true".into());
            format!("if {c} {{\n{nullable}}} else {{\n{plain}}}\n")
        }
    }
}

fn write(ty: &Type, place: &str, flexible: &str) -> String {
    match ty {
        Type::Bool => format!("w.bool({});\n", bare(place)),
        Type::Number(name) => format!("w.{name}({});\n", bare(place)),
        Type::Uuid => format!("w.uuid({});\n", bare(place)),
        Type::String => format!("w.string(&{place}, {flexible})?;\n"),
        Type::Bytes => format!("w.bytes(&{place}, {flexible})?;\n"),
        Type::Records => format!("w.records(&{place}, {flexible})?;\n"),
        Type::Struct(_) => format!("{place}.encode(w, version)?;\n"),
        Type::Array(element) => {
            format!(
                "w.array(&{place}, {flexible}, |w, e| {{\n{}Ok(())\n}})?;\n",
                write(element, "(*e)", flexible)
            )
        }
    }
}

/// An argument needs no parentheses of its own.
fn bare(place: &str) -> &str {
    place.strip_prefix('(').and_then(|p| p.strip_suffix(')')).unwrap_or(place)
}

fn write_nullable(ty: &Type, place: &str, flexible: &str) -> String {
    match ty {
        Type::String => format!("w.nullable_string({place}.as_deref(), {flexible})?;\n"),
        Type::Bytes => format!("w.nullable_bytes({place}.as_deref(), {flexible})?;\n"),
        Type::Records => format!("w.nullable_records({place}.as_ref(), {flexible})?;\n"),
        Type::Struct(_) => write_nullable_struct(place, -1),
        Type::Array(element) => format!(
            "w.nullable_array({place}.as_deref(), {flexible}, |w, e| {{\n{}Ok(())\n}})?;\n",
            write(element, "(*e)", flexible)
        ),
        Type::Bool | Type::Number(_) | Type::Uuid => write(ty, place, flexible),
    }
}

/// Null is -1 where a struct stands in its place, and 0 where it is tagged.
fn write_nullable_struct(place: &str, null: i8) -> String {
    format!(
        "match &{place} {{\nNone => w.i8({null}),\nSome(value) => {{\nw.i8(1);\nvalue.encode(w, version)?;\n}}\n}}\n"
    )
}

fn sample(out: &mut String, context: &Context<'_>, fields: &[&Field], visibility: &str) {
    let _ = writeln!(out, "{visibility}fn sample(s: &mut crate::sample::Sampler, version: i16) -> Self {{");
    out.push_str("let mut this = Self::default();\n");
    for field in fields {
        let present = field.versions.and(context.versions);
        let place = format!("this.{}", super::snake(&field.name));
        let value = sample_value(&field.ty);
        let statement = if !is_option(field) {
            format!("{place} = {value};\n")
        } else {
            match context.condition(field.nullable.and(present)) {
                None => format!("{place} = s.option(|s| {value});\n"),
                Some(c) => {
                    format!("{place} = if {c} {{ s.option(|s| {value}) }} else {{ Some({value}) }};\n")
                }
            }
        };
        guarded(out, context.condition(present), &statement);
    }
    out.push_str("this\n}\n");
}

fn sample_value(ty: &Type) -> String {
    match ty {
        Type::Bool => "s.bool()".into(),
        Type::Number("f64") => "s.f64()".into(),
        Type::Number(name) => format!("s.bits() as {name}"),
        Type::Uuid => "s.uuid()".into(),
        Type::String => "s.string()".into(),
        Type::Bytes => "s.bytes()".into(),
        Type::Records => "s.records()".into(),
        Type::Struct(name) => format!("{name}::sample(s, version)"),
        Type::Array(element) => format!("s.array(|s| {})", sample_value(element)),
    }
}
