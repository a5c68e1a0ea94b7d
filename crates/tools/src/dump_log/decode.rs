//! What keys and values of Kafka's own topics mean.

use ottla_record::Record;

use super::schema::{Schema, Unreadable};
use super::schemas;
use crate::options::Options;

/// How records are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decoder {
    Text,
    Offsets,
    TransactionLog,
    ShareGroupState,
    ClusterMetadata,
    RemoteLogMetadata,
}

/// A record's key and value, ready to show.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
}

impl Decoder {
    pub(super) fn chosen(options: &Options) -> Self {
        let choices = [
            ("offsets-decoder", Self::Offsets),
            ("transaction-log-decoder", Self::TransactionLog),
            ("cluster-metadata-decoder", Self::ClusterMetadata),
            ("remote-log-metadata-decoder", Self::RemoteLogMetadata),
            ("share-group-state-decoder", Self::ShareGroupState),
        ];
        choices.iter().find(|(name, _)| options.has(name)).map_or(Self::Text, |(_, decoder)| *decoder)
    }

    pub(super) fn parse(self, record: &Record<'_>) -> Parsed {
        match self {
            Self::Text => Parsed { key: record.key.map(text), value: record.value.map(text) },
            Self::Offsets => coordinator(record, schemas::group(), group_value),
            Self::TransactionLog => coordinator(record, schemas::transaction(), transaction_value),
            Self::ShareGroupState => coordinator(record, schemas::share(), |_, json| json),
            Self::ClusterMetadata => metadata(record, schemas::metadata()),
            Self::RemoteLogMetadata => Parsed { key: None, value: record.value.map(text) },
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Splits off the version that stands before a message.
fn versioned(bytes: &[u8]) -> Result<(i16, &[u8]), Unreadable> {
    match bytes {
        [a, b, rest @ ..] => Ok((i16::from_be_bytes([*a, *b]), rest)),
        _ => Err(Unreadable("the version is missing")),
    }
}

/// The value of a KRaft control record, whose first field is its version.
pub(super) fn control_json(name: &str, value: &[u8]) -> String {
    let read = || {
        let (version, _) = versioned(value)?;
        let schema = find(schemas::control(), |schema| schema.name == name)?;
        schema.to_json(value, version)
    };
    read().unwrap_or_else(|Unreadable(why)| format!("(unreadable: {why})"))
}

fn find(schemas: &[Schema], wanted: impl Fn(&Schema) -> bool) -> Result<&Schema, Unreadable> {
    schemas.iter().find(|schema| wanted(schema)).ok_or(Unreadable("the type is unknown"))
}

fn coordinator(record: &Record<'_>, schemas: &[Schema], polish: fn(&Schema, String) -> String) -> Parsed {
    let Some(key) = record.key else {
        return skipped(record, "the key is missing");
    };
    let Ok((kind, key_bytes)) = versioned(key) else {
        return skipped(record, "the key is too short");
    };
    let of_kind = |schema: &Schema, part: &str| schema.key == Some(kind) && schema.name.ends_with(part);
    let Ok(key_schema) = find(schemas, |schema| of_kind(schema, "Key")) else {
        let note = format!("Unknown record type {kind} at offset {}, skipping.", record.offset);
        return Parsed { key: Some(note), value: None };
    };
    let read = || {
        let key = key_schema.to_json(key_bytes, first_version(key_schema, kind))?;
        let key = format!("{{\"type\":\"{kind}\",\"data\":{key}}}");
        let Some(value) = record.value else {
            return Ok((key, "<DELETE>".to_owned()));
        };
        let (version, bytes) = versioned(value)?;
        let schema = find(schemas, |schema| of_kind(schema, "Value"))?;
        if !schema.has_version(version) {
            return Err(Unreadable("the version of the value is unknown"));
        }
        let json = polish(schema, schema.to_json(bytes, version)?);
        Ok((key, format!("{{\"version\":\"{version}\",\"data\":{json}}}")))
    };
    match read() {
        Ok((key, value)) => Parsed { key: Some(key), value: Some(value) },
        Err(Unreadable(why)) => skipped(record, why),
    }
}

fn first_version(schema: &Schema, kind: i16) -> i16 {
    if schema.has_version(0) { 0 } else { kind }
}

fn skipped(record: &Record<'_>, why: &str) -> Parsed {
    Parsed { key: Some(format!("Error at offset {}, skipping. {why}", record.offset)), value: None }
}

/// Members of consumer groups carry the consumer protocol's own messages in two fields.
fn group_value(schema: &Schema, json: String) -> String {
    if schema.name != "GroupMetadataValue" || !json.contains("\"protocolType\":\"consumer\"") {
        return json;
    }
    let json = replace_messages(&json, "subscription", "ConsumerProtocolSubscription");
    replace_messages(&json, "assignment", "ConsumerProtocolAssignment")
}

/// Puts the message in place of its bytes wherever `field` holds some. What cannot be read stays.
fn replace_messages(json: &str, field: &str, message: &str) -> String {
    let lead = format!("\"{field}\":\"");
    let mut result = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find(&lead) {
        let (before, after) = rest.split_at(start + lead.len());
        let Some(end) = after.find('"') else { break };
        let decoded = from_base64(&after[..end]).and_then(|bytes| {
            let (version, body) = versioned(&bytes).ok()?;
            find(schemas::consumer_protocol(), |s| s.name == message).ok()?.to_json(body, version).ok()
        });
        match decoded {
            Some(decoded) => {
                result.push_str(&before[..before.len() - 1]);
                result.push_str(&decoded);
            }
            None => {
                result.push_str(before);
                result.push_str(&after[..=end]);
            }
        }
        rest = &after[end + 1..];
    }
    result + rest
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut group, mut bits) = (0u32, 0);
    for c in text.bytes().take_while(|c| *c != b'=') {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        group = (group << 6) | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((group >> bits) as u8);
        }
    }
    Some(bytes)
}

/// Transactions show the name of their state.
fn transaction_value(schema: &Schema, json: String) -> String {
    const NAMES: [&str; 9] = [
        "Empty",
        "Ongoing",
        "PrepareCommit",
        "PrepareAbort",
        "CompleteCommit",
        "CompleteAbort",
        "Dead",
        "PrepareEpochFence",
        "Prepared",
    ];
    if schema.name != "TransactionLogValue" {
        return json;
    }
    let named = NAMES.iter().enumerate().find_map(|(id, name)| {
        let number = format!("\"transactionStatus\":{id},");
        json.contains(&number).then(|| json.replace(&number, &format!("\"transactionStatus\":\"{name}\",")))
    });
    named.unwrap_or(json)
}

fn metadata(record: &Record<'_>, schemas: &[Schema]) -> Parsed {
    let read = || {
        let mut bytes = record.value.ok_or(Unreadable("the value is missing"))?;
        let _frame_version = varint(&mut bytes)?;
        let key = varint(&mut bytes)?;
        let version = i16::try_from(varint(&mut bytes)?).map_err(|_| Unreadable("the version is unknown"))?;
        let schema = find(schemas, |schema| schema.key.is_some_and(|k| u32::try_from(k) == Ok(key)))?;
        if !schema.has_version(version) {
            return Err(Unreadable("the version is unknown"));
        }
        let json = schema.to_json(bytes, version)?;
        Ok(format!("{{\"type\":\"{}\",\"version\":{version},\"data\":{json}}}", upper_snake(&schema.name)))
    };
    let value =
        read().unwrap_or_else(|Unreadable(why)| format!("Error at {}, skipping. {why}", record.offset));
    Parsed { key: None, value: Some(value) }
}

fn varint(bytes: &mut &[u8]) -> Result<u32, Unreadable> {
    let mut value: u32 = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, rest) = bytes.split_first().ok_or(Unreadable("the record ends too early"))?;
        *bytes = rest;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Unreadable("a number is too long"))
}

/// `TopicRecord` as `TOPIC_RECORD`.
fn upper_snake(name: &str) -> String {
    let mut result = String::new();
    for (i, c) in name.char_indices() {
        if i > 0 && c.is_ascii_uppercase() {
            result.push('_');
        }
        result.push(c.to_ascii_uppercase());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types() {
        assert_eq!(upper_snake("NoOpRecord"), "NO_OP_RECORD");
    }

    #[test]
    fn member_messages_are_opened() {
        // Version 0, one topic "t", no user data.
        let json = r#"{"members":[{"subscription":"AAAAAAABAAF0/////w==","x":1},{"subscription":"!"}]}"#;
        assert_eq!(
            replace_messages(json, "subscription", "ConsumerProtocolSubscription"),
            r#"{"members":[{"subscription":{"topics":["t"],"userData":null},"x":1},{"subscription":"!"}]}"#
        );
    }
}
