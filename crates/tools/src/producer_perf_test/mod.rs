//! `producer-perf-test`: how fast records are sent, as `kafka-producer-perf-test.sh` measures it.

mod stats;
mod transactions;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_clients::ClientConfig;
use ottla_clients::producer::{KafkaProducer, ProducerRecord};

use self::stats::Stats;
use self::transactions::Transactions;
use crate::client_config::{self, pairs, read_properties};
use crate::error::{Result, failed, usage};
use crate::options::{Options, Parser, flag, value, value_or, values};
use crate::output::{errln, outln};

pub(crate) const PARSER: Parser = Parser {
    purpose: "This tool is used to verify the producer performance.",
    options: &[
        value("bootstrap-server", "BOOTSTRAP-SERVERS", "The server(s) to connect to."),
        value("topic", "TOPIC", "REQUIRED: The topic to send to."),
        value("num-records", "NUM-RECORDS", "REQUIRED: How many records to send."),
        value("record-size", "RECORD-SIZE", "Bytes of each record."),
        value("payload-file", "PAYLOAD-FILE", "A file whose lines are the records, chosen at random."),
        flag("payload-monotonic", "Records hold a number that grows."),
        value_or(
            "payload-delimiter",
            "PAYLOAD-DELIMITER",
            "\\n",
            "What stands between the payloads of a file.",
        ),
        value("throughput", "THROUGHPUT", "REQUIRED: Records a second at most; -1 for no limit."),
        values("producer-props", "PROP-NAME=PROP-VALUE", "Deprecated: use --command-property."),
        values("command-property", "PROP-NAME=PROP-VALUE", "Properties of the producer."),
        value("producer.config", "CONFIG-FILE", "Deprecated: use --command-config."),
        value("command-config", "CONFIG-FILE", "A file with properties of the producer."),
        flag("print-metrics", "Ignored."),
        value(
            "transactional-id",
            "TRANSACTIONAL-ID",
            "Send in transactions of this id, rather than of the properties' or of a random one.",
        ),
        value(
            "transaction-duration-ms",
            "TRANSACTION-DURATION",
            "Send in transactions that are committed after this time; 3000 if only an id is given.",
        ),
        value(
            "warmup-records",
            "WARMUP-RECORDS",
            "Leave this many records at the start out of the steady state.",
        ),
        value_or("reporting-interval", "INTERVAL-MS", "5000", "How often a line of progress is printed."),
        value("record-key-range", "RECORD-KEY-RANGE", "Give records random keys below this number."),
    ],
};

const CLOSE_PATIENCE: Duration = Duration::from_secs(300);

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    let settings = Settings::read(&options)?;
    let runtime = client_config::runtime()?;
    let producer = runtime.block_on(async { KafkaProducer::new(&settings.config) })?;
    if settings.warmup > 0 {
        outln!(
            "Warmup first {} records. Steady state results will print after the complete test summary.",
            settings.warmup
        );
    }
    let sent = runtime.block_on(send_all(&producer, &settings));
    runtime.block_on(producer.close(CLOSE_PATIENCE));
    let (all, steady) = sent?;
    lock(&all).print_total();
    if let Some(steady) = steady {
        lock(&steady).print_total();
    }
    Ok(())
}

#[derive(Debug)]
struct Settings {
    config: ClientConfig,
    topic: String,
    records: u64,
    warmup: u64,
    throughput: f64,
    interval: Duration,
    payloads: Payloads,
    key_range: Option<u64>,
    /// `None` without transactions.
    transaction_duration: Option<Duration>,
}

#[derive(Debug)]
enum Payloads {
    /// Letters, the same all the time, as in Kafka.
    Random(Bytes),
    File(Vec<Bytes>),
    Monotonic,
}

impl Settings {
    fn read(options: &Options) -> Result<Self> {
        let records: u64 = match options.number("num-records")? {
            Some(records) => records,
            None => return usage("argument --num-records is required"),
        };
        let Some(throughput) = options.number::<f64>("throughput")? else {
            return usage("argument --throughput is required");
        };
        let warmup: u64 = options.number("warmup-records")?.unwrap_or(0);
        if warmup >= records && warmup > 0 {
            return usage(
                "The value for --warmup-records must be strictly fewer than the number of records in the test, --num-records.",
            );
        }
        let Some(topic) = options.one("topic")? else { return usage("argument --topic is required") };
        let mut config = config(options)?;
        Ok(Self {
            transaction_duration: transactions::duration(options, &mut config)?,
            config,
            topic: topic.to_owned(),
            records,
            warmup,
            throughput,
            interval: Duration::from_millis(options.number("reporting-interval")?.unwrap_or(5000)),
            payloads: payloads(options)?,
            key_range: options.number("record-key-range")?,
        })
    }

    fn record(&self, number: u64) -> ProducerRecord {
        let value = match &self.payloads {
            Payloads::Random(bytes) => bytes.clone(),
            Payloads::File(payloads) => payloads[rand::random_range(0..payloads.len())].clone(),
            Payloads::Monotonic => Bytes::from((self.records - number - 1).to_string()),
        };
        let key = self.key_range.map(|range| Bytes::from(rand::random_range(0..range.max(1)).to_string()));
        ProducerRecord::new(self.topic.as_str(), key, Some(value))
    }
}

fn config(options: &Options) -> Result<ClientConfig> {
    let old = |new: &'static str, old: &'static str| {
        if options.has(old) {
            outln!(
                "Option --{old} has been deprecated and will be removed in a future version. Use --{new} instead."
            );
            return old;
        }
        new
    };
    let file = read_properties(options.one(old("command-config", "producer.config"))?)?;
    let mut config = ClientConfig::from_iter(file);
    config.extend(pairs(options.many(old("command-property", "producer-props")))?);
    if let Some(servers) = options.one("bootstrap-server")? {
        config.set("bootstrap.servers", servers);
    }
    if config.get("bootstrap.servers").is_none() {
        return usage(
            "At least one of --bootstrap-server, --command-property, --producer-props, --producer.config or \
             --command-config must be specified.",
        );
    }
    config.set_default("client.id", "perf-producer-client");
    Ok(config)
}

fn payloads(options: &Options) -> Result<Payloads> {
    const LETTERS: &[u8] =
        b"SSXVNJHPDQDXVCRASTVYBCWVMGNYKRXVZXKGXTSPSJDGYLUEGQFLAQLOCFLJBEPOWFNSOMYARHAOPUFOJHHDXEHXJBHW";
    let given = ["record-size", "payload-file", "payload-monotonic"];
    if given.iter().filter(|name| options.has(name)).count() != 1 {
        return usage("one of the arguments --record-size --payload-file --payload-monotonic is required");
    }
    if options.has("payload-monotonic") {
        return Ok(Payloads::Monotonic);
    }
    if let Some(size) = options.number::<usize>("record-size")? {
        const RECORD_BYTES_MAX: usize = 1 << 30;
        if size == 0 || size > RECORD_BYTES_MAX {
            return usage("--record-size should be greater than zero.");
        }
        return Ok(Payloads::Random(LETTERS.iter().copied().cycle().take(size).collect::<Vec<_>>().into()));
    }
    let path = options.required("payload-file")?;
    outln!("Reading payloads from: {}", std::path::absolute(path).unwrap_or_default().display());
    let text = match std::fs::read_to_string(path) {
        Ok(text) if !text.is_empty() => text,
        _ => return failed("File does not exist or empty file provided."),
    };
    let delimiter = options.one("payload-delimiter")?.unwrap_or("\\n").replace("\\n", "\n");
    let payloads: Vec<Bytes> =
        text.trim_end_matches('\n').split(delimiter.as_str()).map(|p| Bytes::from(p.to_owned())).collect();
    outln!("Number of records read: {}", payloads.len());
    Ok(Payloads::File(payloads))
}

fn lock(stats: &Mutex<Stats>) -> std::sync::MutexGuard<'_, Stats> {
    stats.lock().unwrap_or_else(PoisonError::into_inner)
}

type Shared = Arc<Mutex<Stats>>;

async fn send_all(producer: &KafkaProducer, settings: &Settings) -> Result<(Shared, Option<Shared>)> {
    let mut transactions = Transactions::init(producer, settings.transaction_duration).await?;
    let new_stats = |records, steady| Arc::new(Mutex::new(Stats::new(records, settings.interval, steady)));
    let all = new_stats(settings.records, false);
    let mut steady = None;
    let started = Instant::now();
    for number in 0..settings.records {
        if settings.warmup > 0 && number == settings.warmup {
            lock(&all).silence();
            steady = Some(new_stats(settings.records - settings.warmup, true));
        }
        transactions.begin_if_none()?;
        let record = settings.record(number);
        let bytes = record.value.as_ref().map_or(0, Bytes::len) as u64;
        let (stats, more, sent) = (Arc::clone(&all), steady.clone(), Instant::now());
        let told = producer.send_with(record, move |result| match result {
            Ok(_) => {
                let latency_ms = sent.elapsed().as_millis() as u64;
                lock(&stats).record(latency_ms, bytes);
                if let Some(more) = more {
                    lock(&more).record(latency_ms, bytes);
                }
            }
            Err(error) => errln!("{error}"),
        });
        if let Err(error) = told.await {
            errln!("{error}");
        }
        transactions.commit_if_due(sent).await?;
        throttle(started, number + 1, settings.throughput).await;
    }
    transactions.commit().await?;
    producer.flush().await;
    Ok((all, steady))
}

/// Waits as long as the records so far are ahead of the wanted rate.
async fn throttle(started: Instant, sent: u64, throughput: f64) {
    if throughput <= 0.0 {
        return;
    }
    let due = Duration::from_secs_f64(sent as f64 / throughput);
    let ahead = due.saturating_sub(started.elapsed());
    // Short waits are left to add up: timers are no finer than this.
    if ahead >= Duration::from_millis(2) {
        tokio::time::sleep(ahead).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(line: &str) -> Result<Settings> {
        let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Settings::read(&PARSER.parse(&args)?)
    }

    #[test]
    fn arguments_of_the_usual_call() {
        let line = "--topic t --num-records 10 --record-size 100 --throughput -1 --producer-props \
                    bootstrap.servers=localhost:9092 acks=1";
        let settings = settings(line).unwrap();
        assert_eq!(settings.config.get("acks"), Some("1"));
        assert_eq!(settings.record(0).value.map(|v| v.len()), Some(100));
    }

    #[test]
    fn missing_arguments_are_named() {
        let refuse = |line: &str| settings(line).unwrap_err().to_string();
        assert!(refuse("--topic t").contains("--num-records"));
        assert!(refuse("--topic t --num-records 1").contains("--throughput"));
        assert!(
            refuse("--topic t --num-records 1 --throughput 1 --bootstrap-server a:1")
                .contains("--record-size")
        );
    }

    #[test]
    fn an_id_or_a_duration_asks_for_transactions() {
        let settings = |more: &str| {
            let line = "--topic t --num-records 1 --record-size 1 --throughput -1 --bootstrap-server a:1";
            settings(&format!("{line} {more}"))
        };
        let asked_for = |more: &str| {
            let settings = settings(more).unwrap();
            let id = settings.config.get("transactional.id").map(str::to_owned);
            (id, settings.transaction_duration.map(|duration| duration.as_millis()))
        };
        let named = |id: &str| Some(id.to_owned());
        assert_eq!(asked_for(""), (None, None));
        assert_eq!(asked_for("--transactional-id a"), (named("a"), Some(3_000)));
        assert_eq!(asked_for("--command-property transactional.id=b"), (named("b"), Some(3_000)));
        let both = "--command-property transactional.id=b --transactional-id a --transaction-duration-ms 7";
        assert_eq!(asked_for(both), (named("a"), Some(7)));
        let (random, duration) = asked_for("--transaction-duration-ms 7");
        assert!(random.is_some_and(|id| id.starts_with("performance-producer-")));
        assert_eq!(duration, Some(7));
        let refused = settings("--transaction-duration-ms 0").unwrap_err().to_string();
        assert_eq!(refused, "--transaction-duration-ms should be greater than zero.");
    }
}
