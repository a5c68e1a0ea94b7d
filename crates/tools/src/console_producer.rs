//! `console-producer`: sends lines of standard input, as `kafka-console-producer.sh` does.

use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use bytes::Bytes;
use ottla_clients::ClientConfig;
use ottla_clients::producer::{KafkaProducer, ProducerRecord};
use ottla_record::RecordHeader;

use crate::client_config::{self, Names, merge, read_properties};
use crate::error::{Result, failed, usage};
use crate::options::{Options, Parser, flag, maybe_value, value, value_or};
use crate::output::{errln, out, outln};

pub(crate) const PARSER: Parser = Parser {
    purpose: "This tool helps to read data from standard input and publish it to Kafka.",
    options: &[
        value("topic", "topic", "REQUIRED: The topic to send to."),
        value("bootstrap-server", "server to connect to", "REQUIRED: The server(s) to connect to."),
        value("broker-list", "server to connect to", "Old name of --bootstrap-server."),
        flag("sync", "Wait for each record before the next one is read."),
        maybe_value(
            "compression-codec",
            "compression-codec",
            "none, gzip, snappy, lz4 or zstd; gzip when nothing follows.",
        ),
        value_or("batch-size", "size", "16384", "Bytes of a batch."),
        value_or("message-send-max-retries", "count", "3", "How often sending is tried again."),
        value_or("retry-backoff-ms", "ms", "100", "Pause before sending is tried again."),
        value_or("timeout", "ms", "1000", "How long records wait for more to share a batch."),
        value_or("request-required-acks", "acks", "-1", "Acknowledgements a record needs: all, -1, 1 or 0."),
        value_or("request-timeout-ms", "ms", "1500", "How long the broker may take to acknowledge."),
        value_or("metadata-expiry-ms", "ms", "300000", "Age at which metadata is asked for again."),
        value_or("max-block-ms", "ms", "60000", "How long sending may wait for metadata and memory."),
        value_or("max-memory-bytes", "bytes", "33554432", "Memory for records that wait."),
        value_or("max-partition-memory-bytes", "bytes", "16384", "Deprecated: use --batch-size."),
        value("line-reader", "reader_class", "Ignored: lines are always read the same way."),
        value_or("socket-buffer-size", "size", "102400", "Send buffer of a socket."),
        value("property", "prop", "Deprecated: use --reader-property."),
        value(
            "reader-property",
            "prop",
            "parse.key, key.separator, parse.headers, headers.delimiter, \
            headers.separator, headers.key.separator, null.marker, ignore.error: key=value.",
        ),
        value("reader-config", "file", "A file with such properties."),
        value("producer-property", "prop", "Deprecated: use --command-property."),
        value("command-property", "prop", "A property of the producer: key=value."),
        value("producer.config", "file", "Deprecated: use --command-config."),
        value("command-config", "file", "A file with properties of the producer."),
    ],
};

const NAMES: Names = Names {
    property: "command-property",
    old_property: "producer-property",
    file: "command-config",
    old_file: "producer.config",
    note: "Warning:",
};

/// How long records may take that are still on their way at the end of input.
const CLOSE_PATIENCE: Duration = Duration::from_secs(300);

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    let topic = options.required("topic")?.to_owned();
    let config = producer_config(&options)?;
    let mut reader = LineReader::new(&options, topic)?;
    let runtime = client_config::runtime()?;
    let sync = options.has("sync");
    let producer = runtime.block_on(async { KafkaProducer::new(&config) })?;
    let prompt = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    let result = loop {
        if prompt {
            out!(">");
        }
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break Ok(());
        }
        let record = match reader.read(trim_line(&line)) {
            Ok(record) => record,
            Err(error) => break Err(error),
        };
        runtime.block_on(send(&producer, record, sync));
    };
    runtime.block_on(producer.close(CLOSE_PATIENCE));
    result
}

fn trim_line(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// As in Kafka a record that cannot be sent is told of, and the next one follows.
async fn send(producer: &KafkaProducer, record: ProducerRecord, sync: bool) {
    let topic = record.topic.clone();
    let complain = move |error: &ottla_clients::ClientError| {
        errln!("ERROR Error when sending message to topic {topic}: {error}");
    };
    let also = complain.clone();
    if sync {
        match producer.send(record).await {
            Ok(delivery) => {
                if let Err(error) = delivery.await {
                    complain(&error);
                }
            }
            Err(error) => complain(&error),
        }
        return;
    }
    let told = producer.send_with(record, move |result| {
        if let Err(error) = result {
            also(&error);
        }
    });
    if let Err(error) = told.await {
        complain(&error);
    }
}

fn producer_config(options: &Options) -> Result<ClientConfig> {
    let mut config = client_config::read(options, NAMES)?;
    if options.has("broker-list") {
        outln!("Warning: --broker-list is deprecated. Use --bootstrap-server instead.");
    }
    let Some(servers) = options.either("bootstrap-server", "broker-list")? else {
        return usage("Missing required argument \"[bootstrap-server]\"");
    };
    config.set("bootstrap.servers", servers);
    let codec = match options.one("compression-codec")? {
        Some(codec) => codec,
        None if options.has("compression-codec") => "gzip",
        None => config.get("compression.type").unwrap_or("none"),
    }
    .to_owned();
    config.set("compression.type", codec);
    let merged = [
        ("linger.ms", "timeout"),
        ("acks", "request-required-acks"),
        ("request.timeout.ms", "request-timeout-ms"),
        ("retries", "message-send-max-retries"),
        ("retry.backoff.ms", "retry-backoff-ms"),
        ("send.buffer.bytes", "socket-buffer-size"),
        ("buffer.memory", "max-memory-bytes"),
        ("batch.size", "batch-size"),
        ("metadata.max.age.ms", "metadata-expiry-ms"),
        ("max.block.ms", "max-block-ms"),
    ];
    for (key, option) in merged {
        merge(&mut config, key, options, option)?;
    }
    if options.has("max-partition-memory-bytes") {
        outln!(
            "Warning: --max-partition-memory-bytes is deprecated and will be removed in Apache Kafka 5.0. \
             Use --batch-size instead."
        );
        if !options.has("batch-size") {
            merge(&mut config, "batch.size", options, "max-partition-memory-bytes")?;
        }
    }
    config.set_default("client.id", "console-producer");
    Ok(config)
}

/// Makes records of lines.
#[derive(Debug)]
struct LineReader {
    topic: String,
    parse_key: bool,
    key_separator: String,
    parse_headers: bool,
    headers_delimiter: String,
    headers_separator: String,
    headers_key_separator: String,
    null_marker: Option<String>,
    ignore_error: bool,
    line_number: u64,
}

impl LineReader {
    fn new(options: &Options, topic: String) -> Result<Self> {
        let mut properties = read_properties(options.one("reader-config")?)?;
        let name = client_config::pick(options, "reader-property", "property", "Warning:")?;
        properties.extend(client_config::pairs(options.many(name))?);
        let text = |key: &str, default: &str| properties.get(key).map_or(default, String::as_str).to_owned();
        let yes = |key: &str| properties.get(key).is_some_and(|v| v.trim().eq_ignore_ascii_case("true"));
        let reader = Self {
            topic,
            parse_key: yes("parse.key"),
            key_separator: text("key.separator", "\t"),
            parse_headers: yes("parse.headers"),
            headers_delimiter: text("headers.delimiter", "\t"),
            headers_separator: text("headers.separator", ","),
            headers_key_separator: text("headers.key.separator", ":"),
            null_marker: properties.get("null.marker").cloned(),
            ignore_error: yes("ignore.error"),
            line_number: 0,
        };
        let separators = [
            ("headers.delimiter and headers.separator", &reader.headers_delimiter, &reader.headers_separator),
            (
                "headers.delimiter and headers.key.separator",
                &reader.headers_delimiter,
                &reader.headers_key_separator,
            ),
            (
                "headers.separator and headers.key.separator",
                &reader.headers_separator,
                &reader.headers_key_separator,
            ),
        ];
        if let Some((names, _, _)) = separators.into_iter().find(|(_, a, b)| a == b) {
            return failed(format!("{names} may not be equal"));
        }
        Ok(reader)
    }

    fn read(&mut self, line: &[u8]) -> Result<ProducerRecord> {
        self.line_number += 1;
        let mut rest = line;
        let mut headers = Vec::new();
        if self.parse_headers
            && let Some(text) = self.cut(&mut rest, line, &self.headers_delimiter, "headers delimiter")?
        {
            headers = self.headers(text)?;
        }
        let mut key = None;
        if self.parse_key {
            key = self.cut(&mut rest, line, &self.key_separator, "key separator")?;
        }
        let mut record =
            ProducerRecord::new(self.topic.as_str(), key.and_then(|key| self.bytes(key)), self.bytes(rest));
        record.headers = headers;
        Ok(record)
    }

    /// Takes what stands before a separator; `None` when it is missing and that may be.
    fn cut<'a>(
        &self,
        rest: &mut &'a [u8],
        line: &[u8],
        separator: &str,
        what: &str,
    ) -> Result<Option<&'a [u8]>> {
        match find(rest, separator.as_bytes()) {
            Some(at) => {
                let (head, tail) = rest.split_at(at);
                *rest = &tail[separator.len()..];
                Ok(Some(head))
            }
            None if self.ignore_error => Ok(None),
            None => failed(format!(
                "No {what} found on line number {}: '{}'",
                self.line_number,
                String::from_utf8_lossy(line)
            )),
        }
    }

    fn bytes(&self, text: &[u8]) -> Option<Bytes> {
        let is_null = self.null_marker.as_ref().is_some_and(|marker| marker.as_bytes() == text);
        (!is_null).then(|| Bytes::copy_from_slice(text))
    }

    fn headers(&self, text: &[u8]) -> Result<Vec<RecordHeader>> {
        let text = String::from_utf8_lossy(text);
        let mut headers = Vec::new();
        for pair in text.split(self.headers_separator.as_str()) {
            let Some((key, value)) = pair.split_once(self.headers_key_separator.as_str()) else {
                if self.ignore_error {
                    headers.push(RecordHeader::new(pair.to_owned(), None::<Bytes>));
                    continue;
                }
                return failed(format!(
                    "No header key separator found in pair '{pair}' on line number {}",
                    self.line_number
                ));
            };
            if self.null_marker.as_deref() == Some(key) {
                return failed(format!(
                    "Header keys should not be equal to the null marker '{key}' as they can't be null"
                ));
            }
            headers.push(RecordHeader::new(key.to_owned(), self.bytes(value.as_bytes())));
        }
        Ok(headers)
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    if what.is_empty() {
        return Some(0);
    }
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[&str]) -> LineReader {
        let mut args = vec!["--topic".to_owned(), "t".to_owned()];
        args.extend(properties.iter().flat_map(|p| ["--reader-property".to_owned(), (*p).to_owned()]));
        LineReader::new(&PARSER.parse(&args).unwrap(), "t".to_owned()).unwrap()
    }

    #[test]
    fn lines_become_values() {
        let record = reader(&[]).read(b"a\tb").unwrap();
        assert_eq!((record.key, record.value), (None, Some(Bytes::from("a\tb"))));
    }

    #[test]
    fn keys_headers_and_nulls() {
        let mut reader =
            reader(&["parse.key=true", "key.separator=:", "parse.headers=true", "null.marker=NULL"]);
        let record = reader.read(b"h1:v1,h2:NULL\tk:NULL").unwrap();
        assert_eq!((record.key, record.value), (Some(Bytes::from("k")), None));
        assert_eq!(record.headers.len(), 2);
        assert_eq!(record.headers[1].value, None);
    }

    #[test]
    fn a_missing_separator_is_told_with_its_line() {
        let mut strict = reader(&["parse.key=true"]);
        assert_eq!(
            strict.read(b"abc").unwrap_err().to_string(),
            "No key separator found on line number 1: 'abc'"
        );
        let mut mild = reader(&["parse.key=true", "ignore.error=true"]);
        assert_eq!(mild.read(b"abc").unwrap().value, Some(Bytes::from("abc")));
    }

    #[test]
    fn carriage_returns_go_with_the_line() {
        assert_eq!(trim_line(b"a\r\n"), b"a");
        assert_eq!(trim_line(b"a"), b"a");
    }
}
