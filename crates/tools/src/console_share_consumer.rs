//! `console-share-consumer`: shows the records that a share group hands out, as
//! `kafka-console-share-consumer.sh` does.

use std::io::{BufWriter, ErrorKind, Write};
use std::time::{Duration, Instant};

use ottla_clients::ClientConfig;
use ottla_clients::consumer::ConsumerRecord;
use ottla_clients::share_consumer::{AcknowledgeType, KafkaShareConsumer};

use crate::client_config::{self, pairs, pick, read_properties};
use crate::console_consumer::formatter;
use crate::error::{Result, failed, usage};
use crate::options::{Options, Parser, flag, value};
use crate::output::{errln, outln};
use crate::record_text::Formatter;
use crate::signals::StopSignal;

pub(crate) const PARSER: Parser = Parser {
    purpose: "This tool helps to read data from Kafka topics using share groups and outputs it to standard output.",
    options: &[
        value("topic", "topic", "The topic to work."),
        value("consumer-property", "consumer_prop", "Deprecated: use --command-property."),
        value("command-property", "consumer_prop", "A property of the consumer: key=value."),
        value("consumer-config", "config file", "Deprecated: use --command-config."),
        value("command-config", "config file", "A file with properties of the consumer."),
        value(
            "formatter",
            "class",
            "DefaultMessageFormatter, LoggingMessageFormatter or NoOpMessageFormatter.",
        ),
        value("property", "prop", "Deprecated: use --formatter-property."),
        value(
            "formatter-property",
            "prop",
            "print.timestamp, print.key, print.offset, print.delivery, print.epoch, print.partition, \
            print.headers, print.value, key.separator, line.separator, headers.separator, null.literal, \
            key.deserializer, value.deserializer, header.deserializer: key=value.",
        ),
        value("formatter-config", "config file", "A file with such properties."),
        value("max-messages", "num_messages", "How many records to show; by default until stopped."),
        value("timeout-ms", "timeout_ms", "Stop when no record comes for this long."),
        flag("reject", "Reject the records that are shown: nobody gets them again."),
        flag("release", "Release the records that are shown: somebody else may get them."),
        flag("reject-message-on-error", "Reject a record that cannot be shown, and go on."),
        value("bootstrap-server", "server to connect to", "REQUIRED: The server(s) to connect to."),
        value("key-deserializer", "deserializer for keys", "How keys are read."),
        value("value-deserializer", "deserializer for values", "How values are read."),
        value("group", "share group id", "The share group of the consumer."),
        flag("enable-systest-events", "Log the life of the share consumer, for system tests."),
    ],
};

/// A poll is never cut, for it may hold records already; so this is also how long a signal may go unseen.
const POLL_TIMEOUT: Duration = Duration::from_millis(500);
const DEFAULT_GROUP: &str = "console-share-consumer";

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    let settings = Settings::read(&options)?;
    let formatter = formatter(&options)?;
    let runtime = client_config::runtime()?;
    let mut count = 0;
    let result = runtime.block_on(consume(&settings, &formatter, &mut count));
    errln!("Processed a total of {count} messages");
    if settings.systest_events {
        outln!("shutdown_complete");
    }
    result
}

#[derive(Debug)]
struct Settings {
    config: ClientConfig,
    topic: String,
    /// What is said of a record that was shown.
    acknowledge: AcknowledgeType,
    reject_on_error: bool,
    /// `None` for no end.
    max_messages: Option<u64>,
    timeout: Option<Duration>,
    systest_events: bool,
}

impl Settings {
    fn read(options: &Options) -> Result<Self> {
        let Some(topic) = options.one("topic")? else { return usage("--topic is a required argument") };
        options.required("bootstrap-server")?;
        let acknowledge = match (options.has("reject"), options.has("release")) {
            (true, true) => return usage("At most one of --reject and --release may be specified."),
            (true, false) => AcknowledgeType::Reject,
            (false, true) => AcknowledgeType::Release,
            (false, false) => AcknowledgeType::Accept,
        };
        let timeout: Option<i32> = options.number("timeout-ms")?;
        Ok(Self {
            config: consumer_config(options)?,
            topic: topic.to_owned(),
            acknowledge,
            reject_on_error: options.has("reject-message-on-error"),
            max_messages: match options.number::<i32>("max-messages")? {
                None | Some(-1) => None,
                // Any other negative number means none at all.
                Some(limit) => Some(u64::try_from(limit).unwrap_or(0)),
            },
            timeout: timeout.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis),
            systest_events: options.has("enable-systest-events"),
        })
    }
}

fn consumer_config(options: &Options) -> Result<ClientConfig> {
    let property = pick(options, "command-property", "consumer-property", "Option")?;
    let file = pick(options, "command-config", "consumer-config", "Option")?;
    let from_file = read_properties(options.one(file)?)?;
    let extra = ClientConfig::from_iter(pairs(options.many(property))?);
    let mut groups: Vec<&str> = Vec::new();
    for group in [options.one("group")?, from_file.get("group.id").map(String::as_str), extra.get("group.id")]
    {
        groups.extend(group.filter(|group| !groups.contains(group)));
    }
    let group = match groups.as_slice() {
        [] => DEFAULT_GROUP.to_owned(),
        [group] => (*group).to_owned(),
        several => {
            let named: Vec<_> = several.iter().map(|group| format!("'{group}'")).collect();
            return usage(format!(
                "The group ids provided in different places (directly using '--group', via \
                 '--consumer-property', or via '--consumer-config') do not match. Detected group ids: {}",
                named.join(", ")
            ));
        }
    };
    let mut config = ClientConfig::from_iter(from_file);
    config.extend(pairs(options.many(property))?);
    config.set("bootstrap.servers", options.required("bootstrap-server")?);
    config.set_default("client.id", "console-share-consumer");
    config.set("group.id", group);
    config.set("share.acknowledgement.mode", "explicit");
    Ok(config)
}

/// Why no more records are shown.
#[derive(Debug)]
enum End {
    /// There are enough, or none comes any more, or nobody reads on.
    Done,
    /// A record cannot be shown.
    Failed(String),
}

async fn consume(settings: &Settings, formatter: &Formatter, count: &mut u64) -> Result {
    let mut consumer = KafkaShareConsumer::new(&settings.config)?;
    let stop = StopSignal::listen()?;
    consumer.subscribe(&[&settings.topic]);
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout());
    let mut last_record = Instant::now();
    let end = loop {
        if settings.max_messages.is_some_and(|limit| *count >= limit) || stop.received() {
            break End::Done;
        }
        if let Some(timeout) = settings.timeout.filter(|timeout| last_record.elapsed() > *timeout) {
            errln!(
                "ERROR Error processing message, terminating consumer process: no record came within {} ms",
                timeout.as_millis()
            );
            break End::Done;
        }
        let patience = settings.timeout.map_or(POLL_TIMEOUT, |timeout| timeout.min(POLL_TIMEOUT));
        let records = match consumer.poll(patience).await {
            Ok(records) => records,
            Err(error) => {
                errln!("ERROR Error processing message, terminating consumer process: {error}");
                break End::Done;
            }
        };
        if !records.is_empty() {
            last_record = Instant::now();
        }
        if let Some(end) = show(&mut consumer, &records, settings, formatter, &mut out, count)? {
            break end;
        }
    };
    // Records that were handed out and not shown go back to the group with this.
    let closed = consumer.close().await;
    match end {
        End::Failed(message) => failed(message),
        End::Done => {
            closed?;
            stop.outcome()
        }
    }
}

/// Shows records and says what becomes of them; what is said is sent with the next poll, or at the end.
fn show(
    consumer: &mut KafkaShareConsumer,
    records: &[ConsumerRecord],
    settings: &Settings,
    formatter: &Formatter,
    out: &mut impl Write,
    count: &mut u64,
) -> Result<Option<End>> {
    for record in records {
        if settings.max_messages.is_some_and(|limit| *count >= limit) {
            break;
        }
        *count += 1;
        match formatter.write(record, out) {
            Ok(()) => consumer.acknowledge(record, settings.acknowledge)?,
            Err(error) if error.kind() == ErrorKind::InvalidData && settings.reject_on_error => {
                errln!("ERROR Error processing message, rejecting this message: {error}");
                consumer.acknowledge(record, AcknowledgeType::Reject)?;
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                let message = format!("ERROR Unknown error when running consumer: {error}");
                return Ok(Some(End::Failed(message)));
            }
            Err(_) => return Ok(Some(nobody_reads())),
        }
    }
    Ok(out.flush().is_err().then(nobody_reads))
}

fn nobody_reads() -> End {
    errln!("Unable to write to standard out, closing consumer.");
    End::Done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(line: &str) -> Result<Settings> {
        let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Settings::read(&PARSER.parse(&args)?)
    }

    #[test]
    fn groups_come_from_one_place_or_agree() {
        let group = |line: &str| {
            let settings = settings(&format!("--bootstrap-server b:1 --topic t {line}"))?;
            Ok::<_, crate::error::ToolError>(settings.config.get("group.id").map(str::to_owned))
        };
        assert_eq!(group("").unwrap().as_deref(), Some("console-share-consumer"));
        assert_eq!(group("--group g --command-property group.id=g").unwrap().as_deref(), Some("g"));
        let error = group("--group g --consumer-property group.id=h").unwrap_err().to_string();
        assert!(error.ends_with("Detected group ids: 'g', 'h'"), "{error}");
    }

    #[test]
    fn records_are_accepted_unless_said_otherwise() {
        let acknowledge = |line: &str| {
            settings(&format!("--bootstrap-server b:1 --topic t {line}")).map(|settings| settings.acknowledge)
        };
        assert_eq!(acknowledge("").unwrap(), AcknowledgeType::Accept);
        assert_eq!(acknowledge("--reject").unwrap(), AcknowledgeType::Reject);
        assert_eq!(acknowledge("--release").unwrap(), AcknowledgeType::Release);
        let error = acknowledge("--reject --release").unwrap_err().to_string();
        assert_eq!(error, "At most one of --reject and --release may be specified.");
    }

    #[test]
    fn limits_and_what_is_missing() {
        let of = |line: &str| settings(&format!("--bootstrap-server b:1 --topic t {line}")).unwrap();
        let plain = of("");
        assert_eq!((plain.max_messages, plain.timeout), (None, None));
        assert_eq!(plain.config.get("share.acknowledgement.mode"), Some("explicit"));
        assert_eq!(plain.config.get("client.id"), Some("console-share-consumer"));
        assert_eq!(
            (of("--max-messages -1").max_messages, of("--max-messages -2").max_messages),
            (None, Some(0))
        );
        assert_eq!(of("--timeout-ms 250").timeout, Some(Duration::from_millis(250)));
        let missing = |line: &str| settings(line).unwrap_err().to_string();
        assert_eq!(missing("--bootstrap-server b:1"), "--topic is a required argument");
        assert_eq!(missing("--topic t"), "Missing required argument \"[bootstrap-server]\"");
    }
}
