//! `consumer-perf-test`: how fast records are read, as `kafka-consumer-perf-test.sh` measures it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ottla_clients::ClientConfig;
use ottla_clients::consumer::KafkaConsumer;

use crate::client_config;
use crate::client_config::Names;
use crate::error::{Result, usage};
use crate::filter::TopicFilter;
use crate::options::{Options, Parser, flag, value, value_or};
use crate::output::outln;

pub(crate) const PARSER: Parser = Parser {
    purpose: "This tool is used to verify the consumer performance.",
    options: &[
        value("bootstrap-server", "server to connect to", "REQUIRED: The server(s) to connect to."),
        value("topic", "topic", "The topic to read."),
        value("include", "Java regex (String)", "A pattern of topics to read."),
        value("group", "gid", "The group; by default one that nobody else has."),
        value_or("fetch-size", "size", "1048576", "Bytes to fetch of a partition at once."),
        value("command-property", "prop1=val1", "A property of the consumer."),
        flag("from-latest", "Start at the end when the group has no offset yet."),
        value_or("socket-buffer-size", "size", "2097152", "Receive buffer of a socket."),
        value("consumer.config", "config file", "Deprecated: use --command-config."),
        value("command-config", "config file", "A file with properties of the consumer."),
        flag("print-metrics", "Ignored."),
        flag("show-detailed-stats", "Print a line for every interval."),
        value_or("timeout", "milliseconds", "10000", "Stop when no record comes for this long."),
        value("messages", "count", "Deprecated: use --num-records."),
        value("num-records", "count", "REQUIRED: How many records to read."),
        value_or("reporting-interval", "interval_ms", "5000", "How often a line of progress is printed."),
        value("date-format", "date format", "Ignored: times are yyyy-MM-dd HH:mm:ss:SSS in UTC."),
        flag("hide-header", "Leave out the names of the columns."),
    ],
};

const NAMES: Names = Names {
    property: "command-property",
    old_property: "command-property-old",
    file: "command-config",
    old_file: "consumer.config",
    note: "Warning:",
};

const MB: f64 = 1024.0 * 1024.0;

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    let settings = Settings::read(&options)?;
    let runtime = client_config::runtime()?;
    if !options.has("hide-header") {
        print_header(settings.detailed);
    }
    let totals = runtime.block_on(consume(&settings))?;
    if !settings.detailed {
        totals.print();
    }
    Ok(())
}

#[derive(Debug)]
struct Settings {
    config: ClientConfig,
    topic: Option<String>,
    include: Option<String>,
    records: u64,
    timeout: Duration,
    interval: Duration,
    detailed: bool,
}

impl Settings {
    fn read(options: &Options) -> Result<Self> {
        options.required("bootstrap-server")?;
        let count = client_config::pick(options, "num-records", "messages", "Warning:")?;
        let Some(records) = options.number(count)? else {
            return usage("Missing required argument \"[num-records]\"");
        };
        let (topic, include) = (options.one("topic")?, options.one("include")?);
        if topic.is_some() == include.is_some() {
            return usage("Exactly one of the following arguments is required: [topic], [include]");
        }
        let mut config = client_config::read(options, NAMES)?;
        config.set("bootstrap.servers", options.required("bootstrap-server")?);
        let own = || format!("perf-consumer-{}", rand::random_range(0..100_000));
        config.set("group.id", options.one("group")?.map_or_else(own, str::to_owned));
        config.set("receive.buffer.bytes", options.required("socket-buffer-size")?);
        config.set("max.partition.fetch.bytes", options.required("fetch-size")?);
        config.set("auto.offset.reset", if options.has("from-latest") { "latest" } else { "earliest" });
        config.set("check.crcs", "false");
        config.set_default("client.id", "perf-consumer-client");
        Ok(Self {
            config,
            topic: topic.map(str::to_owned),
            include: include.map(str::to_owned),
            records,
            timeout: Duration::from_millis(options.number("timeout")?.unwrap_or(10_000)),
            interval: Duration::from_millis(options.number("reporting-interval")?.unwrap_or(5_000)),
            detailed: options.has("show-detailed-stats"),
        })
    }
}

fn print_header(detailed: bool) {
    let rebalance = ", rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec";
    let lead = if detailed { "time, threadId" } else { "start.time, end.time" };
    outln!("{lead}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec{rebalance}");
}

/// What has been read.
#[derive(Debug)]
struct Totals {
    start_ms: i64,
    end_ms: i64,
    elapsed: Duration,
    joining: Duration,
    bytes: u64,
    records: u64,
}

impl Totals {
    fn print(&self) {
        let seconds = self.elapsed.as_secs_f64().max(0.001);
        let fetching = self.elapsed.saturating_sub(self.joining);
        let fetch_seconds = fetching.as_secs_f64().max(0.001);
        let mb = self.bytes as f64 / MB;
        outln!(
            "{}, {}, {mb:.4}, {:.4}, {}, {:.4}, {}, {}, {:.4}, {:.4}",
            date(self.start_ms),
            date(self.end_ms),
            mb / seconds,
            self.records,
            self.records as f64 / seconds,
            self.joining.as_millis(),
            fetching.as_millis(),
            mb / fetch_seconds,
            self.records as f64 / fetch_seconds
        );
    }
}

async fn consume(settings: &Settings) -> Result<Totals> {
    let mut consumer = KafkaConsumer::new(&settings.config)?;
    let (started, start_ms) = (Instant::now(), now_ms());
    match (&settings.topic, &settings.include) {
        (Some(topic), _) => consumer.subscribe(&[topic])?,
        (None, pattern) => {
            let filter = TopicFilter::new(pattern.as_deref().unwrap_or(".*"))?;
            consumer.subscribe_matching(move |topic| filter.allows(topic))?;
        }
    }
    let (mut bytes, mut records) = (0, 0);
    let (mut last_record, mut joined) = (Instant::now(), None);
    let mut window = Window { started: Instant::now(), bytes: 0, records: 0 };
    while records < settings.records && last_record.elapsed() <= settings.timeout {
        let batch = consumer.poll(Duration::from_millis(100)).await?;
        if joined.is_none() && !consumer.assignment().is_empty() {
            joined = Some(started.elapsed());
        }
        if !batch.is_empty() {
            last_record = Instant::now();
        }
        for record in batch {
            records += 1;
            let size = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len) as u64;
            bytes += size(&record.key) + size(&record.value);
        }
        if settings.detailed && window.started.elapsed() >= settings.interval {
            window.print(bytes, records);
            window = Window { started: Instant::now(), bytes, records };
        }
    }
    if records < settings.records {
        outln!(
            "WARNING: Exiting before consuming the expected number of records: timeout ({} ms) exceeded. You can \
             use the --timeout option to increase the timeout.",
            settings.timeout.as_millis()
        );
    }
    let elapsed = started.elapsed();
    let end_ms = now_ms();
    consumer.close().await?;
    Ok(Totals { start_ms, end_ms, elapsed, joining: joined.unwrap_or_default(), bytes, records })
}

struct Window {
    started: Instant,
    bytes: u64,
    records: u64,
}

impl Window {
    fn print(&self, bytes: u64, records: u64) {
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let rate_mb = (bytes - self.bytes) as f64 / MB / seconds;
        let rate = (records - self.records) as f64 / seconds;
        outln!(
            "{}, 0, {:.4}, {rate_mb:.4}, {records}, {rate:.4}, 0, {}, {rate_mb:.4}, {rate:.4}",
            date(now_ms()),
            bytes as f64 / MB,
            self.started.elapsed().as_millis()
        );
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// `2026-11-21 05:30:00:250`.
fn date(ms: i64) -> String {
    const DAY_MS: i64 = 86_400_000;
    let (days, in_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    // The proleptic Gregorian calendar, counted from March so that leap days come last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}:{:03}", in_day % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01 00:00:00:000");
        assert_eq!(date(1_795_239_000_250), "2026-11-21 05:30:00:250");
        assert_eq!(date(951_782_400_000), "2000-02-29 00:00:00:000");
    }
}
