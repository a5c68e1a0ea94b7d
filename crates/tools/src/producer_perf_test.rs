//! `producer-perf-test`: how fast records are sent, as `kafka-producer-perf-test.sh` measures it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_clients::ClientConfig;
use ottla_clients::producer::{KafkaProducer, ProducerRecord};

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
        value("transactional-id", "TRANSACTIONAL-ID", "Not supported yet."),
        value("transaction-duration-ms", "TRANSACTION-DURATION", "Not supported yet."),
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
/// Latencies are kept for percentiles, at most this many of them.
const SAMPLES_MAX: u64 = 500_000;

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
    let (all, steady) = runtime.block_on(send_all(&producer, &settings));
    runtime.block_on(producer.close(CLOSE_PATIENCE));
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
        if options.has_any(&["transactional-id", "transaction-duration-ms"]) {
            return failed(
                "transactions are not supported yet: leave --transactional-id and --transaction-duration-ms out",
            );
        }
        let warmup: u64 = options.number("warmup-records")?.unwrap_or(0);
        if warmup >= records && warmup > 0 {
            return usage(
                "The value for --warmup-records must be strictly fewer than the number of records in the test, --num-records.",
            );
        }
        let Some(topic) = options.one("topic")? else { return usage("argument --topic is required") };
        Ok(Self {
            config: config(options)?,
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

async fn send_all(producer: &KafkaProducer, settings: &Settings) -> (Shared, Option<Shared>) {
    let new_stats = |records, steady| Arc::new(Mutex::new(Stats::new(records, settings.interval, steady)));
    let all = new_stats(settings.records, false);
    let mut steady = None;
    let started = Instant::now();
    for number in 0..settings.records {
        if settings.warmup > 0 && number == settings.warmup {
            lock(&all).silent = true;
            steady = Some(new_stats(settings.records - settings.warmup, true));
        }
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
        throttle(started, number + 1, settings.throughput).await;
    }
    producer.flush().await;
    (all, steady)
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

/// What has been measured, over the whole run and since the last line of progress.
#[derive(Debug)]
struct Stats {
    started: Instant,
    window_started: Instant,
    interval: Duration,
    steady: bool,
    silent: bool,
    sampling: u64,
    samples: Vec<u64>,
    count: u64,
    bytes: u64,
    total_ms: u64,
    max_ms: u64,
    window: Window,
}

#[derive(Debug, Default)]
struct Window {
    count: u64,
    bytes: u64,
    total_ms: u64,
    max_ms: u64,
}

impl Stats {
    fn new(records: u64, interval: Duration, steady: bool) -> Self {
        let now = Instant::now();
        Self {
            started: now,
            window_started: now,
            interval,
            steady,
            silent: false,
            sampling: (records / SAMPLES_MAX).max(1),
            samples: Vec::new(),
            count: 0,
            bytes: 0,
            total_ms: 0,
            max_ms: 0,
            window: Window::default(),
        }
    }

    fn record(&mut self, latency_ms: u64, bytes: u64) {
        if self.count.is_multiple_of(self.sampling) {
            self.samples.push(latency_ms);
        }
        self.count += 1;
        self.bytes += bytes;
        self.total_ms += latency_ms;
        self.max_ms = self.max_ms.max(latency_ms);
        self.window.count += 1;
        self.window.bytes += bytes;
        self.window.total_ms += latency_ms;
        self.window.max_ms = self.window.max_ms.max(latency_ms);
        if self.window_started.elapsed() >= self.interval {
            self.print_window();
        }
    }

    fn print_window(&mut self) {
        let window = std::mem::take(&mut self.window);
        let (per_second, mb) = rates(window.count, window.bytes, self.window_started.elapsed());
        self.window_started = Instant::now();
        if self.silent {
            return;
        }
        if self.steady {
            outln!("In steady state.");
        }
        outln!(
            "{} records sent, {per_second:.1} records/sec ({mb:.2} MB/sec), {:.1} ms avg latency, {:.1} ms max latency.",
            window.count,
            window.total_ms as f64 / window.count.max(1) as f64,
            window.max_ms as f64
        );
    }

    fn print_total(&mut self) {
        let (per_second, mb) = rates(self.count, self.bytes, self.started.elapsed());
        self.samples.sort_unstable();
        let at = |share: f64| {
            let place = (share * self.samples.len() as f64) as usize;
            self.samples.get(place).or(self.samples.last()).copied().unwrap_or(0)
        };
        outln!(
            "{}{} records sent, {per_second:.6} records/sec ({mb:.2} MB/sec), {:.2} ms avg latency, {:.2} ms max \
             latency, {} ms 50th, {} ms 95th, {} ms 99th, {} ms 99.9th.",
            self.count,
            if self.steady { " steady state" } else { "" },
            self.total_ms as f64 / self.count.max(1) as f64,
            self.max_ms as f64,
            at(0.5),
            at(0.95),
            at(0.99),
            at(0.999)
        );
    }
}

/// Records and megabytes a second.
fn rates(count: u64, bytes: u64, elapsed: Duration) -> (f64, f64) {
    let seconds = elapsed.as_secs_f64().max(0.001);
    (count as f64 / seconds, bytes as f64 / seconds / (1024.0 * 1024.0))
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
    fn percentiles_come_from_sorted_samples() {
        let mut stats = Stats::new(4, Duration::from_secs(60), false);
        for latency in [4, 1, 3, 2] {
            stats.record(latency, 10);
        }
        assert_eq!((stats.count, stats.bytes, stats.max_ms, stats.total_ms), (4, 40, 4, 10));
    }
}
