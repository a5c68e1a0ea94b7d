//! `console-consumer`: shows the records of topics, as `kafka-console-consumer.sh` does.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufWriter, ErrorKind, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_clients::ClientConfig;
use ottla_clients::consumer::{ConsumerRecord, KafkaConsumer};
use ottla_common::TopicPartition;

use crate::client_config::{self, Names, merge, read_properties};
use crate::error::{Result, failed, usage};
use crate::filter::TopicFilter;
use crate::options::{Options, Parser, flag, value, value_or};
use crate::output::{errln, outln};
use crate::record_text::Formatter;
use crate::signals::StopSignal;

pub(crate) const PARSER: Parser = Parser {
    purpose: "This tool helps to read data from Kafka topics and outputs it to standard output.",
    options: &[
        value("topic", "topic", "The topic to read."),
        value("include", "Java regex (String)", "A pattern of topics to read."),
        value("partition", "partition", "The partition to read, from the end unless with --offset."),
        value_or("offset", "consume offset", "latest", "The offset to start from, or earliest, or latest."),
        value("consumer-property", "consumer_prop", "Deprecated: use --command-property."),
        value("command-property", "consumer_prop", "A property of the consumer: key=value."),
        value("consumer.config", "config file", "Deprecated: use --command-config."),
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
            "print.timestamp, print.key, print.offset, print.epoch, \
            print.partition, print.headers, print.value, key.separator, line.separator, headers.separator, \
            null.literal, key.deserializer, value.deserializer, header.deserializer: key=value.",
        ),
        value("formatter-config", "config file", "A file with such properties."),
        flag("from-beginning", "Start at the earliest record when the group has no offset yet."),
        value("max-messages", "num_messages", "How many records to show; by default until stopped."),
        value("timeout-ms", "timeout_ms", "Stop when no record comes for this long."),
        flag("skip-message-on-error", "Skip a record that cannot be shown."),
        value("bootstrap-server", "server to connect to", "REQUIRED: The server(s) to connect to."),
        value("key-deserializer", "deserializer for key", "How keys are read."),
        value("value-deserializer", "deserializer for values", "How values are read."),
        flag("enable-systest-events", "Log the life of the consumer, for system tests."),
        value_or(
            "isolation-level",
            "level",
            "read_uncommitted",
            "read_committed hides records of open and aborted transactions.",
        ),
        value("group", "consumer group id", "The group of the consumer."),
    ],
};

const NAMES: Names = Names {
    property: "command-property",
    old_property: "consumer-property",
    file: "command-config",
    old_file: "consumer.config",
    note: "Option",
};

/// What Kafka's tool says of the protocol that it uses unless it is told otherwise.
const ADVICE: &str = "The consumer rebalance protocol (KIP-848) is production-ready! Set group.protocol=consumer to try \
                      it out. See https://kafka.apache.org/documentation/#consumer_rebalance_protocol";

const POLL_TIMEOUT: Duration = Duration::from_millis(500);

/// What to read.
#[derive(Debug)]
struct Settings {
    config: ClientConfig,
    topic: Option<String>,
    include: Option<String>,
    partition: Option<i32>,
    start: Start,
    max_messages: Option<u64>,
    timeout: Option<Duration>,
    /// Whether a record that cannot be shown is left out; otherwise it ends the tool.
    skip_on_error: bool,
    /// Whether the end is told, for system tests.
    systest_events: bool,
}

/// Where to start in a partition that was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Earliest,
    Latest,
    At(i64),
}

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

impl Settings {
    fn read(options: &Options) -> Result<Self> {
        if !options.has("bootstrap-server") {
            return usage("Missing required argument \"[bootstrap-server]\"");
        }
        let topic = options.one("topic")?.map(str::to_owned);
        let include = options.one("include")?.map(str::to_owned);
        if topic.is_some() == include.is_some() {
            return usage("Exactly one of --include/--topic is required. ");
        }
        let partition: Option<i32> = options.number("partition")?;
        if partition.is_some() {
            if topic.is_none() {
                return usage("The topic is required when partition is specified.");
            }
            if options.has("from-beginning") && options.has("offset") {
                return usage("Options from-beginning and offset cannot be specified together.");
            }
            if options.has("group") {
                return usage("Options group and partition cannot be specified together.");
            }
        } else if options.has("offset") {
            return usage("The partition is required when offset is specified.");
        }
        let limit: Option<i64> = options.number("max-messages")?;
        let timeout: Option<i64> = options.number("timeout-ms")?;
        Ok(Self {
            config: consumer_config(options, partition)?,
            topic,
            include,
            partition,
            start: start(options)?,
            max_messages: limit.and_then(|limit| u64::try_from(limit).ok()),
            timeout: timeout.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis),
            skip_on_error: options.has("skip-message-on-error"),
            systest_events: options.has("enable-systest-events"),
        })
    }
}

impl Settings {
    /// Whether the consumer is a member of its group by the classic protocol.
    fn uses_classic_protocol(&self) -> bool {
        let protocol = self.config.get("group.protocol").unwrap_or("classic");
        self.partition.is_none() && protocol.eq_ignore_ascii_case("classic")
    }
}

fn start(options: &Options) -> Result<Start> {
    if options.has("from-beginning") {
        return Ok(Start::Earliest);
    }
    let text = options.one("offset")?.unwrap_or("latest");
    match (text.to_ascii_lowercase().as_str(), text.parse::<i64>()) {
        ("earliest", _) => Ok(Start::Earliest),
        ("latest", _) => Ok(Start::Latest),
        (_, Ok(offset)) if offset >= 0 => Ok(Start::At(offset)),
        _ => usage(format!(
            "The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', or a \
             non-negative long."
        )),
    }
}

fn consumer_config(options: &Options, partition: Option<i32>) -> Result<ClientConfig> {
    let mut config = client_config::read(options, NAMES)?;
    config.set("bootstrap.servers", options.required("bootstrap-server")?);
    merge(&mut config, "isolation.level", options, "isolation-level")?;
    let reset = config.get("auto.offset.reset").map(str::to_owned);
    match (reset.as_deref(), options.has("from-beginning")) {
        (Some(other), true) if other != "earliest" => {
            return usage(format!(
                "Can't simultaneously specify --from-beginning and 'auto.offset.reset={other}', please remove one option"
            ));
        }
        (_, true) => config.set("auto.offset.reset", "earliest"),
        _ => config.set_default("auto.offset.reset", "latest"),
    }
    let named = config.get("group.id").map(str::to_owned);
    match (options.one("group")?, named) {
        (Some(group), Some(named)) if group != named => {
            return usage(format!(
                "The group ids provided in different places (directly using '--group', via '--command-property', or \
                 via '--command-config') do not match. Detected group ids: '{group}', '{named}'"
            ));
        }
        (Some(group), _) => config.set("group.id", group),
        (None, Some(_)) if partition.is_some() => {
            return usage("Options group and partition cannot be specified together.");
        }
        (None, Some(_)) => {}
        (None, None) if partition.is_none() => {
            config.set("group.id", format!("console-consumer-{}", rand::random_range(0..100_000)));
            config.set_default("enable.auto.commit", "false");
        }
        (None, None) => {}
    }
    config.set_default("client.id", "console-consumer");
    Ok(config)
}

/// How records are shown; `console-share-consumer` has the same options.
pub(crate) fn formatter(options: &Options) -> Result<Formatter> {
    let mut properties = read_properties(options.one("formatter-config")?)?;
    let name = client_config::pick(options, "formatter-property", "property", "Option")?;
    properties.extend(client_config::pairs(options.many(name))?);
    for (option, key) in
        [("key-deserializer", "key.deserializer"), ("value-deserializer", "value.deserializer")]
    {
        if let Some(class) = options.one(option)? {
            properties.insert(key.to_owned(), class.to_owned());
        }
    }
    Formatter::new(options.one("formatter")?, &properties)
}

async fn consume(settings: &Settings, formatter: &Formatter, count: &mut u64) -> Result {
    let stop = StopSignal::listen()?;
    let mut consumer = KafkaConsumer::new(&settings.config)?;
    if settings.uses_classic_protocol() {
        errln!("{ADVICE}");
    }
    begin(&mut consumer, settings).await?;
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout());
    let mut pending: VecDeque<ConsumerRecord> = VecDeque::new();
    let mut last_record = Instant::now();
    let result = loop {
        if settings.max_messages.is_some_and(|limit| *count >= limit) || stop.received() {
            break Ok(());
        }
        if let Some(record) = pending.pop_front() {
            last_record = Instant::now();
            *count += 1;
            match formatter.write(&record, &mut out) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::InvalidData && settings.skip_on_error => {
                    errln!("ERROR Error processing message, skipping this message: {error}");
                }
                Err(error) => break Err(error),
            }
            continue;
        }
        if let Err(error) = out.flush() {
            break Err(error);
        }
        if let Some(timeout) = settings.timeout.filter(|timeout| last_record.elapsed() > *timeout) {
            errln!(
                "ERROR Error processing message, terminating consumer process: no record came within {} ms",
                timeout.as_millis()
            );
            break Ok(());
        }
        match consumer.poll(settings.timeout.map_or(POLL_TIMEOUT, |timeout| timeout.min(POLL_TIMEOUT))).await
        {
            Ok(records) => pending.extend(records),
            Err(error) => {
                errln!("ERROR Error processing message, terminating consumer process: {error}");
                break Ok(());
            }
        }
    };
    forget_unshown(&mut consumer, &pending);
    let result = result.and_then(|()| out.flush());
    consumer.close().await?;
    match result {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return failed(format!("ERROR Unknown error when running consumer: {error}"));
        }
        Err(_) => errln!("Unable to write to standard out, closing consumer."),
    }
    stop.outcome()
}

/// Records that were fetched but not shown must not count as read when offsets are committed.
fn forget_unshown(consumer: &mut KafkaConsumer, pending: &VecDeque<ConsumerRecord>) {
    let mut first: BTreeMap<TopicPartition, i64> = BTreeMap::new();
    for record in pending {
        let partition = TopicPartition::new(Arc::clone(&record.topic), record.partition);
        first.entry(partition).or_insert(record.offset);
    }
    for (partition, offset) in first {
        // A partition that has gone to another member has no position here any more.
        let _ = consumer.seek(&partition, offset);
    }
}

async fn begin(consumer: &mut KafkaConsumer, settings: &Settings) -> Result {
    match (&settings.topic, settings.partition, &settings.include) {
        (Some(topic), Some(partition), _) => {
            let partition = TopicPartition::new(topic.as_str(), partition);
            let these = std::slice::from_ref(&partition);
            consumer.assign(these).await?;
            match settings.start {
                Start::Earliest => consumer.seek_to_beginning(these)?,
                Start::Latest => consumer.seek_to_end(these)?,
                Start::At(offset) => consumer.seek(&partition, offset)?,
            }
        }
        (Some(topic), None, _) => consumer.subscribe(&[topic])?,
        (None, _, Some(pattern)) => {
            let filter = TopicFilter::new(pattern)?;
            consumer.subscribe_matching(move |topic| filter.allows(topic))?;
        }
        (None, _, None) => return failed("a topic is needed"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(line: &str) -> Result<Settings> {
        let line = format!("--bootstrap-server localhost:9092 {line}");
        let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Settings::read(&PARSER.parse(&args)?)
    }

    #[test]
    fn groups_are_made_up_unless_given() {
        let made_up = settings("--topic t").unwrap().config;
        assert!(made_up.get("group.id").unwrap().starts_with("console-consumer-"));
        assert_eq!(made_up.get("enable.auto.commit"), Some("false"));
        let given = settings("--topic t --group g --from-beginning").unwrap().config;
        assert_eq!((given.get("group.id"), given.get("enable.auto.commit")), (Some("g"), None));
        assert_eq!(given.get("auto.offset.reset"), Some("earliest"));
        assert_eq!(settings("--topic t --partition 0").unwrap().config.get("group.id"), None);
    }

    #[test]
    fn protocols_and_isolation() {
        let classic = |line: &str| settings(&format!("--topic t {line}")).unwrap().uses_classic_protocol();
        assert!(classic("") && classic("--command-property group.protocol=CLASSIC"));
        assert!(!classic("--command-property group.protocol=consumer") && !classic("--partition 0"));
        let isolation = |line: &str| {
            let config = settings(&format!("--topic t {line}")).unwrap().config;
            config.get("isolation.level").map(str::to_owned)
        };
        assert_eq!(isolation("").as_deref(), Some("read_uncommitted"));
        assert_eq!(isolation("--isolation-level read_committed").as_deref(), Some("read_committed"));
        let property = "--command-property isolation.level=read_committed";
        assert_eq!(isolation(property).as_deref(), Some("read_committed"));
    }

    #[test]
    fn places_to_start() {
        assert_eq!(settings("--topic t --partition 0 --offset 7").unwrap().start, Start::At(7));
        assert_eq!(settings("--topic t --partition 0 --offset Earliest").unwrap().start, Start::Earliest);
        assert!(settings("--topic t --partition 0 --offset -3").is_err());
        assert!(settings("--topic t --offset 3").is_err());
        assert!(settings("--partition 0 --include x").is_err());
        assert!(settings("").is_err());
    }
}
