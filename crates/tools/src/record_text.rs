//! Records as text.

use std::io::{self, Write};

use ottla_clients::consumer::ConsumerRecord;
use ottla_common::config::java_double;

use crate::client_config::Properties;
use crate::error::{Result, failed};

/// How keys, values and headers are read.
#[derive(Debug, Clone, Copy)]
enum Deserializer {
    Bytes,
    Integer,
    Long,
    Short,
    Float,
    Double,
}

impl Deserializer {
    /// How many bytes it reads; `None` when it takes them as they are.
    fn size(self) -> Option<usize> {
        match self {
            Self::Bytes => None,
            Self::Short => Some(2),
            Self::Integer | Self::Float => Some(4),
            Self::Long | Self::Double => Some(8),
        }
    }
}

/// Writes records as Kafka's `DefaultMessageFormatter` does.
#[derive(Debug)]
pub(crate) struct Formatter {
    silent: bool,
    timestamp: bool,
    partition: bool,
    offset: bool,
    delivery: bool,
    epoch: bool,
    headers: bool,
    key: bool,
    value: bool,
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    null_literal: Vec<u8>,
    key_deserializer: Deserializer,
    value_deserializer: Deserializer,
    headers_deserializer: Deserializer,
}

impl Formatter {
    /// A formatter of this class (the default one without a name) with these properties.
    pub(crate) fn new(class: Option<&str>, properties: &Properties) -> Result<Self> {
        let class = class.map(|name| name.rsplit('.').next().unwrap_or(name));
        let silent = match class {
            None | Some("DefaultMessageFormatter" | "LoggingMessageFormatter") => false,
            Some("NoOpMessageFormatter") => true,
            Some(other) => {
                return failed(format!("the formatter {other} is not available: leave --formatter out"));
            }
        };
        let yes = |key: &str, default: bool| {
            properties.get(key).map_or(default, |text| text.trim().eq_ignore_ascii_case("true"))
        };
        let bytes = |key: &str, default: &str| properties.get(key).map_or(default, String::as_str).into();
        Ok(Self {
            silent,
            timestamp: yes("print.timestamp", false),
            partition: yes("print.partition", false),
            offset: yes("print.offset", false),
            delivery: yes("print.delivery", false),
            epoch: yes("print.epoch", false),
            headers: yes("print.headers", false),
            key: yes("print.key", false),
            value: yes("print.value", true),
            key_separator: bytes("key.separator", "\t"),
            line_separator: bytes("line.separator", "\n"),
            headers_separator: bytes("headers.separator", ","),
            null_literal: bytes("null.literal", "null"),
            key_deserializer: deserializer(properties.get("key.deserializer"))?,
            value_deserializer: deserializer(properties.get("value.deserializer"))?,
            headers_deserializer: deserializer(properties.get("headers.deserializer"))?,
        })
    }

    /// Writes one record. One that its deserializers do not read is `InvalidData`, and nothing is written.
    pub(crate) fn write(&self, record: &ConsumerRecord, out: &mut impl Write) -> io::Result<()> {
        if self.silent {
            return Ok(());
        }
        let mut parts: Vec<Vec<u8>> = Vec::new();
        if self.timestamp {
            parts.push(format!("{}:{}", record.timestamp_type.name(), record.timestamp).into());
        }
        if self.partition {
            parts.push(format!("Partition:{}", record.partition).into());
        }
        if self.offset {
            parts.push(format!("Offset:{}", record.offset).into());
        }
        if self.delivery {
            let count =
                record.delivery_count.map_or_else(|| "NOT_PRESENT".to_owned(), |count| count.to_string());
            parts.push(format!("Delivery:{count}").into());
        }
        if self.epoch {
            // Kafka's own tool does not hand the epoch on.
            parts.push("Epoch:NOT_PRESENT".into());
        }
        if self.headers {
            parts.push(self.headers_text(record)?);
        }
        if self.key {
            parts.push(self.text(self.key_deserializer, record.key.as_deref())?);
        }
        if self.value {
            parts.push(self.text(self.value_deserializer, record.value.as_deref())?);
        }
        out.write_all(&parts.join(self.key_separator.as_slice()))?;
        // Every part is followed by a separator, the last one by that of lines.
        if parts.is_empty() { Ok(()) } else { out.write_all(&self.line_separator) }
    }

    fn headers_text(&self, record: &ConsumerRecord) -> io::Result<Vec<u8>> {
        if record.headers.is_empty() {
            return Ok("NO_HEADERS".into());
        }
        let header = |header: &ottla_record::RecordHeader| {
            let mut text = header.key.to_vec();
            text.push(b':');
            text.extend(self.text(self.headers_deserializer, header.value.as_deref())?);
            Ok(text)
        };
        let headers = record.headers.iter().map(header).collect::<io::Result<Vec<Vec<u8>>>>()?;
        Ok(headers.join(self.headers_separator.as_slice()))
    }

    fn text(&self, deserializer: Deserializer, bytes: Option<&[u8]>) -> io::Result<Vec<u8>> {
        let Some(bytes) = bytes else { return Ok(self.null_literal.clone()) };
        let Some(expected) = deserializer.size() else { return Ok(bytes.to_vec()) };
        let wrong = || {
            let text = format!("Size of data received by {deserializer:?}Deserializer is not {expected}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        read(deserializer, bytes).map(String::into_bytes).ok_or_else(wrong)
    }
}

fn deserializer(class: Option<&String>) -> Result<Deserializer> {
    let Some(class) = class else { return Ok(Deserializer::Bytes) };
    Ok(match class.rsplit('.').next().unwrap_or(class) {
        "StringDeserializer" | "ByteArrayDeserializer" | "BytesDeserializer" | "ByteBufferDeserializer" => {
            Deserializer::Bytes
        }
        "IntegerDeserializer" => Deserializer::Integer,
        "LongDeserializer" => Deserializer::Long,
        "ShortDeserializer" => Deserializer::Short,
        "FloatDeserializer" => Deserializer::Float,
        "DoubleDeserializer" => Deserializer::Double,
        other => {
            return failed(format!(
                "the deserializer {other} is not available: use String, Integer, Long, Short, Float or \
                 DoubleDeserializer"
            ));
        }
    })
}

/// The text of a value, or `None` when the bytes are to be shown as they are.
fn read(deserializer: Deserializer, bytes: &[u8]) -> Option<String> {
    match deserializer {
        Deserializer::Bytes => None,
        Deserializer::Integer => Some(i32::from_be_bytes(bytes.try_into().ok()?).to_string()),
        Deserializer::Long => Some(i64::from_be_bytes(bytes.try_into().ok()?).to_string()),
        Deserializer::Short => Some(i16::from_be_bytes(bytes.try_into().ok()?).to_string()),
        Deserializer::Float => Some(java_double(f64::from(f32::from_be_bytes(bytes.try_into().ok()?)))),
        Deserializer::Double => Some(java_double(f64::from_be_bytes(bytes.try_into().ok()?))),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ottla_record::{RecordHeader, TimestampType};

    use super::*;

    fn show(properties: &[(&str, &str)], key: Option<&'static [u8]>, headers: Vec<RecordHeader>) -> String {
        let properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let record = ConsumerRecord {
            topic: "t".into(),
            partition: 3,
            offset: 7,
            timestamp: 1_700_000_000_000,
            timestamp_type: TimestampType::CreateTime,
            leader_epoch: None,
            key: key.map(Bytes::from_static),
            value: Some(Bytes::from_static(b"v")),
            headers,
            delivery_count: None,
        };
        let mut out = Vec::new();
        Formatter::new(None, &properties).unwrap().write(&record, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn parts_stand_in_kafkas_order() {
        let all = [
            ("print.key", "true"),
            ("print.offset", "true"),
            ("print.timestamp", "true"),
            ("print.partition", "true"),
            ("print.headers", "true"),
        ];
        let line = show(&all, None, Vec::new());
        assert_eq!(line, "CreateTime:1700000000000\tPartition:3\tOffset:7\tNO_HEADERS\tnull\tv\n");
        let headers = vec![RecordHeader::new("a", Some("1")), RecordHeader::new("b", None::<&'static str>)];
        assert_eq!(show(&[("print.headers", "true")], None, headers), "a:1,b:null\tv\n");
    }

    #[test]
    fn numbers_are_read() {
        let line = show(
            &[("print.key", "true"), ("key.deserializer", "x.IntegerDeserializer"), ("key.separator", "=")],
            Some(&[0, 0, 1, 0]),
            Vec::new(),
        );
        assert_eq!(line, "256=v\n");
    }
}
