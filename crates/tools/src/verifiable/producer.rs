//! `verifiable-producer`: sends growing numbers and tells which of them were acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_clients::producer::{KafkaProducer, ProducerRecord, RecordMetadata};
use ottla_clients::{ClientConfig, ClientError};

use super::arguments::{Argument, Arguments, BOOTSTRAP, Kind, Parser};
use super::event::{Event, now_ms};
use super::exception;
use crate::client_config::{self, read_properties};
use crate::error::Result;
use crate::output::outln;
use crate::signals::StopSignal;

static PARSER: Parser = Parser {
    program: "verifiable-producer",
    purpose: "Sends growing whole numbers to a topic and tells of each, in a line of JSON on standard output, \
              whether it was acknowledged.",
    arguments: &[
        Argument::text("--topic", "TOPIC", "The topic to send to.").required(),
        Argument::text("--max-messages", "MAX-MESSAGES", "How many records to send; -1 for no end.")
            .kind(Kind::Integer)
            .or("-1"),
        Argument::text(
            "--throughput",
            "THROUGHPUT",
            "Records a second, more or less; negative for no limit.",
        )
        .kind(Kind::Integer)
        .or("-1"),
        Argument::text("--acks", "ACKS", "Acknowledgements that a record needs.")
            .kind(Kind::OneOf(&[0, 1, -1]))
            .or("-1"),
        Argument::text("--producer.config", "CONFIG-FILE", "Deprecated: use --command-config."),
        Argument::text(
            "--message-create-time",
            "CREATE-TIME",
            "The timestamp of the first record, in milliseconds since 1970; later ones follow from it.",
        )
        .kind(Kind::Long)
        .or("-1"),
        Argument::text("--value-prefix", "VALUE-PREFIX", "A number that goes before each value, with a dot.")
            .kind(Kind::Integer),
        Argument::text(
            "--repeating-keys",
            "REPEATING-KEYS",
            "Gives records keys that count from 0 up to this number, over and over.",
        )
        .kind(Kind::Integer),
        Argument::text("--command-config", "CONFIG-FILE", "A file with properties of the producer."),
    ],
    bootstrap: BOOTSTRAP,
};

/// How long records may take that are still on their way at the end.
const CLOSE_PATIENCE: Duration = Duration::from_secs(300);

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let settings = Settings::read(&PARSER.parse(args)?)?;
    let runtime = client_config::runtime()?;
    runtime.block_on(produce(settings))
}

#[derive(Debug)]
struct Settings {
    config: ClientConfig,
    topic: String,
    /// `None` for no end.
    max_messages: Option<u64>,
    throughput: i64,
    numbers: Numbers,
    create_time: Option<i64>,
}

impl Settings {
    fn read(arguments: &Arguments) -> Result<Self> {
        let limit = arguments.number("--max-messages").unwrap_or(-1);
        let create_time = arguments.number("--message-create-time");
        Ok(Self {
            config: config(arguments)?,
            topic: arguments.required("--topic")?.to_owned(),
            max_messages: u64::try_from(limit).ok(),
            throughput: arguments.number("--throughput").unwrap_or(-1),
            numbers: Numbers {
                prefix: arguments.number("--value-prefix"),
                repeating_keys: arguments.number("--repeating-keys"),
                next_key: 0,
            },
            create_time: create_time.filter(|time| *time != -1),
        })
    }
}

/// The file is stronger than the arguments here, as in the script.
fn config(arguments: &Arguments) -> Result<ClientConfig> {
    let servers = arguments.required("--bootstrap-server")?;
    let mut config = ClientConfig::new(servers);
    config.set("acks", arguments.required("--acks")?);
    // A record that is sent again would hide what the test is after.
    config.set("retries", "0");
    if arguments.has("--producer.config") && arguments.has("--command-config") {
        return Err(
            arguments.refuse("Options --producer.config and --command-config are mutually exclusive.")
        );
    }
    if arguments.has("--producer.config") {
        outln!(
            "Option --producer.config has been deprecated and will be removed in a future version. Use \
             --command-config instead."
        );
    }
    let file = arguments.text("--producer.config").or_else(|| arguments.text("--command-config"));
    let properties = read_properties(file).map_err(|error| arguments.refuse(&error.to_string()))?;
    config.extend(properties);
    Ok(config)
}

/// Makes keys and values.
#[derive(Debug, Clone)]
struct Numbers {
    prefix: Option<i64>,
    repeating_keys: Option<i64>,
    next_key: i64,
}

impl Numbers {
    fn key(&mut self) -> Option<String> {
        let keys = self.repeating_keys?;
        let key = self.next_key;
        self.next_key = if key + 1 == keys { 0 } else { key + 1 };
        Some(key.to_string())
    }

    fn value(&self, number: u64) -> String {
        self.prefix.map_or_else(|| number.to_string(), |prefix| format!("{prefix}.{number}"))
    }
}

async fn produce(settings: Settings) -> Result {
    let producer = KafkaProducer::new(&settings.config)?;
    let stop = StopSignal::listen()?;
    let (started, started_ms, throughput) = (Instant::now(), now_ms(), settings.throughput);
    let acked = Arc::new(AtomicU64::new(0));
    let mut sent = 0;
    Event::now("startup_complete").print();
    let sending = Sending { producer: &producer, settings, started, started_ms, acked: &acked };
    tokio::select! {
        () = sending.run(&stop, &mut sent) => {}
        () = stop.wait() => {}
    }
    producer.close(CLOSE_PATIENCE).await;
    Event::now("shutdown_complete").print();
    let acked = acked.load(Ordering::SeqCst);
    let elapsed_ms = now_ms() - started_ms;
    Event::now("tool_data")
        .number("sent", sent)
        .number("acked", acked)
        .number("target_throughput", throughput)
        .fraction("avg_throughput", 1000.0 * (acked as f64 / elapsed_ms as f64))
        .print();
    stop.outcome()
}

/// What sends the records. It may be dropped between two of them.
struct Sending<'a> {
    producer: &'a KafkaProducer,
    settings: Settings,
    started: Instant,
    started_ms: i64,
    acked: &'a Arc<AtomicU64>,
}

impl Sending<'_> {
    async fn run(mut self, stop: &StopSignal, sent: &mut u64) {
        let mut create_time = self.settings.create_time;
        while self.settings.max_messages.is_none_or(|limit| *sent < limit) && !stop.received() {
            let (key, value) = (self.settings.numbers.key(), self.settings.numbers.value(*sent));
            *sent += 1;
            self.send(key, value, create_time).await;
            // The distance grows from record to record; the Java tool adds up in the same way.
            create_time = create_time.map(|time| time.wrapping_add(now_ms() - self.started_ms));
            throttle(self.settings.throughput, *sent, self.started).await;
        }
    }

    async fn send(&self, key: Option<String>, value: String, create_time: Option<i64>) {
        let topic = self.settings.topic.as_str();
        let mut record =
            ProducerRecord::new(topic, key.clone().map(Bytes::from), Some(Bytes::from(value.clone())));
        record.timestamp = create_time;
        let of = Sent { topic: topic.to_owned(), key, value };
        let (told_of, acked) = (of.clone(), Arc::clone(self.acked));
        let told = self.producer.send_with(record, move |result| match result {
            Ok(metadata) => {
                acked.fetch_add(1, Ordering::SeqCst);
                told_of.success(&metadata).print();
            }
            Err(error) => told_of.failure(&error).print(),
        });
        if let Err(error) = told.await {
            of.failure(&error).print();
        }
    }
}

/// What is said of a record.
#[derive(Debug, Clone)]
struct Sent {
    topic: String,
    key: Option<String>,
    value: String,
}

impl Sent {
    fn success(&self, metadata: &RecordMetadata) -> Event {
        Event::now("producer_send_success")
            .text("key", self.key.as_deref())
            .text("value", Some(&self.value))
            .text("topic", Some(&metadata.topic))
            .number("partition", metadata.partition)
            .number("offset", metadata.offset)
    }

    fn failure(&self, error: &ClientError) -> Event {
        Event::now("producer_send_error")
            .text("topic", Some(&self.topic))
            .text("key", self.key.as_deref())
            .text("value", Some(&self.value))
            .text("exception", Some(&exception::class(error)))
            .text("message", Some(&exception::message(error)))
    }
}

/// Waits as long as the records so far are ahead of the wanted rate. At a rate of 0 the second record is the
/// last one.
async fn throttle(throughput: i64, sent: u64, started: Instant) {
    match throughput {
        0 if sent > 1 => std::future::pending().await,
        rate if rate > 0 => {
            let due = Duration::from_secs_f64(sent as f64 / rate as f64);
            let ahead = due.saturating_sub(started.elapsed());
            // Short waits are left to add up: timers are no finer than this.
            if ahead >= Duration::from_millis(2) {
                tokio::time::sleep(ahead).await;
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use ottla_common::ErrorCode;

    use super::*;

    fn settings(line: &str) -> Result<Settings> {
        let line = format!("--bootstrap-server b:1 --topic t {line}");
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Settings::read(&PARSER.parse(&words)?)
    }

    #[test]
    fn without_options_numbers_are_sent_until_it_is_stopped() {
        let mut settings = settings("").unwrap();
        assert_eq!((settings.max_messages, settings.throughput, settings.create_time), (None, -1, None));
        assert_eq!((settings.config.get("acks"), settings.config.get("retries")), (Some("-1"), Some("0")));
        assert_eq!((settings.numbers.key(), settings.numbers.value(3)), (None, "3".to_owned()));
    }

    #[test]
    fn keys_repeat_and_values_have_a_prefix() {
        let mut numbers = settings("--repeating-keys 2 --value-prefix 9").unwrap().numbers;
        let keys: Vec<_> = (0..3).filter_map(|_| numbers.key()).collect();
        assert_eq!(keys, ["0", "1", "0"]);
        assert_eq!(numbers.value(4), "9.4");
    }

    #[test]
    fn the_file_is_stronger_than_the_arguments() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "acks=1\nbootstrap.servers=c:2").unwrap();
        let path = file.path().display();
        let config = settings(&format!("--acks 0 --command-config {path}")).unwrap().config;
        assert_eq!((config.get("acks"), config.get("bootstrap.servers")), (Some("1"), Some("c:2")));
        assert!(settings(&format!("--producer.config {path} --command-config {path}")).is_err());
        assert!(settings("--command-config /no/such/file").is_err());
    }

    #[test]
    fn lines_have_kafkas_fields() {
        let sent = Sent { topic: "t".to_owned(), key: None, value: "1.0".to_owned() };
        let metadata = RecordMetadata { topic: "t".into(), partition: 2, offset: 7, timestamp: 0 };
        assert_eq!(
            sent.success(&metadata).after_timestamp(),
            r#""name":"producer_send_success","key":null,"value":"1.0","topic":"t","partition":2,"offset":7"#
        );
        let error = ClientError::api("topic t", ErrorCode::RequestTimedOut, Some("late"));
        assert_eq!(
            sent.failure(&error).after_timestamp(),
            concat!(
                r#""name":"producer_send_error","topic":"t","key":null,"value":"1.0","#,
                r#""exception":"class org.apache.kafka.common.errors.TimeoutException","message":"late""#
            )
        );
    }
}
