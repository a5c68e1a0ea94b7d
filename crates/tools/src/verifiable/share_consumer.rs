//! `verifiable-share-consumer`: works a topic as a member of a share group and tells what it was handed and
//! what became of its acknowledgements.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ottla_clients::admin::{Admin, AlterConfigOp, ConfigResource, ResourceType};
use ottla_clients::consumer::ConsumerRecord;
use ottla_clients::share_consumer::{AcknowledgeType, KafkaShareConsumer};
use ottla_clients::{ClientConfig, ClientError};
use ottla_common::TopicPartition;

use super::arguments::{Argument, Arguments, BOOTSTRAP, Kind, Parser};
use super::event::{Event, Object};
use super::shutdown::Shutdown;
use super::{by_partition, exception, partition_object, record_data};
use crate::client_config::{self, Properties, read_properties};
use crate::error::{Result, failed};
use crate::output::errln;

static PARSER: Parser = Parser {
    program: "verifiable-share-consumer",
    purpose: "Works a topic in a share group and tells of records and acknowledgements, in lines of JSON on \
              standard output.",
    arguments: &[
        Argument::text("--topic", "TOPIC", "The topic to work.").required(),
        Argument::text("--group-id", "GROUP-ID", "The share group to be a member of.").required(),
        Argument::text("--max-messages", "MAX-MESSAGES", "How many records to acknowledge; -1 for no end.")
            .kind(Kind::Integer)
            .or("-1"),
        Argument::flag("--verbose", "Tell of each record."),
        Argument::text("--acknowledgement-mode", "ACKNOWLEDGEMENT-MODE", "auto, sync or async.").or("auto"),
        Argument::text(
            "--ack-pattern",
            "ACK-PATTERN",
            "A list of accept, release, reject and renew between commas, from which the record's offset \
             chooses; a record that was renewed gets the next one. Needs the mode sync or async.",
        )
        .or(""),
        Argument::text(
            "--offset-reset-strategy",
            "OFFSET-RESET-STRATEGY",
            "Where the group begins: earliest or latest; set for the group.",
        )
        .or(""),
        Argument::text("--command-config", "CONFIG-FILE", "A file with properties of the consumer."),
    ],
    bootstrap: Argument::required(BOOTSTRAP),
};

/// A poll is never cut, for it may hold records already; so this is also how long a signal may go unseen.
const POLL_TIMEOUT: Duration = Duration::from_millis(100);
/// How long the group's configuration may take to be set.
const CONFIG_TIMEOUT: Duration = Duration::from_secs(60);
/// Offsets that are listed of one range. A range without records may be as wide as a broker says.
const RANGE_MAX: usize = 100_000;
/// The types under the names and in the order in which they are counted.
const TYPES: [(&str, AcknowledgeType); 4] = [
    ("ACCEPT", AcknowledgeType::Accept),
    ("REJECT", AcknowledgeType::Reject),
    ("RENEW", AcknowledgeType::Renew),
    ("RELEASE", AcknowledgeType::Release),
];

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let settings = Settings::read(&PARSER.parse(args)?)?;
    let runtime = client_config::runtime()?;
    runtime.block_on(consume(&settings))
}

/// When acknowledgements are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Auto,
    Async,
    Sync,
}

#[derive(Debug)]
struct Settings {
    config: ClientConfig,
    admin_config: ClientConfig,
    topic: String,
    group: String,
    mode: Mode,
    pattern: Vec<AcknowledgeType>,
    offset_reset: Option<String>,
    verbose: bool,
    /// `None` for no end.
    max_messages: Option<usize>,
}

impl Settings {
    fn read(arguments: &Arguments) -> Result<Self> {
        let mode = match arguments.required("--acknowledgement-mode")?.to_uppercase().as_str() {
            "AUTO" => Mode::Auto,
            "ASYNC" => Mode::Async,
            "SYNC" => Mode::Sync,
            other => {
                return failed(format!("there is no acknowledgement mode {other}: use auto, sync or async"));
            }
        };
        let pattern = pattern(arguments, mode)?;
        let file = read_properties(arguments.text("--command-config"))
            .map_err(|error| arguments.refuse(&error.to_string()))?;
        let servers = arguments.required("--bootstrap-server")?;
        let client = |file: Properties| ClientConfig::from_iter(file).with("bootstrap.servers", servers);
        let group = arguments.required("--group-id")?.to_owned();
        let mut config = client(file.clone());
        config.set("group.id", group.as_str());
        if !pattern.is_empty() {
            config.set("share.acknowledgement.mode", "explicit");
        }
        let offset_reset = arguments.required("--offset-reset-strategy")?.to_lowercase();
        Ok(Self {
            config,
            admin_config: client(file),
            topic: arguments.required("--topic")?.to_owned(),
            group,
            mode,
            pattern,
            offset_reset: Some(offset_reset).filter(|strategy| !strategy.is_empty()),
            verbose: arguments.has("--verbose"),
            max_messages: usize::try_from(arguments.number("--max-messages").unwrap_or(-1)).ok(),
        })
    }
}

fn pattern(arguments: &Arguments, mode: Mode) -> Result<Vec<AcknowledgeType>> {
    let text = arguments.required("--ack-pattern")?.trim_end_matches(',');
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut pattern = Vec::new();
    for word in text.split(',') {
        let name = word.trim().to_uppercase();
        match TYPES.iter().find(|(known, _)| *known == name) {
            Some((_, acknowledged)) => pattern.push(*acknowledged),
            None => return failed(format!("there is no {name}: use accept, release, reject or renew")),
        }
    }
    if mode == Mode::Auto {
        return Err(arguments
            .refuse("--ack-pattern requires --acknowledgement-mode to be 'sync' or 'async', not 'auto'"));
    }
    if pattern.iter().all(|acknowledged| *acknowledged == AcknowledgeType::Renew) {
        return Err(arguments.refuse(
            "--ack-pattern must contain at least one non-RENEW type; a pattern of only 'renew' would \
             re-deliver every record indefinitely without ever resolving it",
        ));
    }
    Ok(pattern)
}

async fn consume(settings: &Settings) -> Result {
    let mut consumer = KafkaShareConsumer::new(&settings.config)?;
    let shutdown = Shutdown::listen()?;
    Event::now("startup_complete").print();
    let acknowledgements = Arc::new(Mutex::new(Acknowledgements::new(settings.pattern.clone())));
    let told = Arc::clone(&acknowledgements);
    consumer.set_acknowledgement_commit_callback(Some(Box::new(
        move |partition: &TopicPartition,
              ranges: &[(i64, i64)],
              outcome: std::result::Result<(), &ClientError>| {
            lock(&told).committed(partition, ranges, outcome.err()).print();
        },
    )));
    if let Err(error) = work(&mut consumer, settings, &acknowledgements, &shutdown).await {
        errln!("ERROR Error during processing, terminating share consumer process: {error}");
    }
    if let Err(error) = consumer.close().await {
        errln!("ERROR The share consumer was not closed cleanly: {error}");
    }
    shutdown.complete().await
}

async fn work(
    consumer: &mut KafkaShareConsumer,
    settings: &Settings,
    acknowledgements: &Mutex<Acknowledgements>,
    shutdown: &Shutdown,
) -> Result {
    if let Some(strategy) = &settings.offset_reset {
        let strategy = reset_offsets(settings, strategy).await?;
        Event::now("offset_reset_strategy_set").text("offsetResetStrategy", Some(strategy)).print();
    }
    consumer.subscribe(&[&settings.topic]);
    let finished = |total: usize| settings.max_messages.is_some_and(|limit| total >= limit);
    while !finished(lock(acknowledgements).total) && !shutdown.requested() {
        let records = consumer.poll(POLL_TIMEOUT).await?;
        if records.is_empty() {
            continue;
        }
        for record in &records {
            let chosen = lock(acknowledgements).choose(record);
            if let Some(acknowledged) = chosen {
                consumer.acknowledge(record, acknowledged)?;
            }
        }
        for event in received(&records, settings.verbose) {
            event.print();
        }
        commit(consumer, settings.mode).await?;
    }
    Ok(())
}

/// Sends what was said of records. Left to itself, the consumer sends it with its next poll.
async fn commit(consumer: &mut KafkaShareConsumer, mode: Mode) -> Result {
    match mode {
        Mode::Auto => {}
        Mode::Async => consumer.commit_async()?,
        Mode::Sync => {
            for (partition, outcome) in consumer.commit_sync().await? {
                if outcome.is_err() {
                    errln!(
                        "ERROR Failed to commit offset synchronously for topic partition: {}-{}",
                        partition.topic,
                        partition.partition
                    );
                }
            }
        }
    }
    Ok(())
}

/// Sets where the group begins.
async fn reset_offsets<'a>(settings: &Settings, strategy: &'a str) -> Result<&'a str> {
    // Kafka's tool sets the name alone, which no broker takes; the complaint is then the broker's.
    let name = match strategy.split_once(':') {
        Some(("by_duration", _)) => "by_duration",
        _ if ["earliest", "latest"].contains(&strategy) => strategy,
        _ => return failed(format!("there is no offset reset strategy {strategy}: use earliest or latest")),
    };
    let admin = Admin::new(&settings.admin_config)?;
    let group = ConfigResource::new(ResourceType::Group, settings.group.as_str());
    let changes = [(group, vec![AlterConfigOp::set("share.auto.offset.reset", name)])];
    let altered =
        tokio::time::timeout(CONFIG_TIMEOUT, admin.incremental_alter_configs(&changes, false)).await;
    admin.close();
    let Ok(altered) = altered else {
        return failed(format!("the group was not configured within {} s", CONFIG_TIMEOUT.as_secs()));
    };
    for (_, outcome) in altered? {
        outcome?;
    }
    Ok(name)
}

fn received(records: &[ConsumerRecord], verbose: bool) -> Vec<Event> {
    let (mut events, mut summaries) = (Vec::new(), Vec::new());
    for (partition, records) in by_partition(records) {
        let offsets: BTreeSet<i64> = records.iter().map(|record| record.offset).collect();
        summaries.push(offsets_object(&partition, &offsets));
        if verbose {
            events.extend(records.iter().map(|record| record_data(record)));
        }
    }
    let consumed = Event::now("records_consumed").number("count", records.len());
    events.push(consumed.list("partitions", summaries));
    events
}

fn offsets_object(partition: &TopicPartition, offsets: &BTreeSet<i64>) -> Object {
    partition_object(partition).number("count", offsets.len()).list("offsets", offsets)
}

/// Which records get which acknowledgement, and which of them wait for the broker's word.
#[derive(Debug, Default)]
struct Acknowledgements {
    /// Empty when the consumer acknowledges by itself.
    pattern: Vec<AcknowledgeType>,
    partitions: BTreeMap<TopicPartition, Said>,
    /// How many the broker has confirmed.
    total: usize,
}

/// What was said of a partition's records.
#[derive(Debug, Default)]
struct Said {
    sent: BTreeMap<i64, AcknowledgeType>,
    /// The place in the pattern of records that were renewed. Without one it is the offset that decides, so
    /// that a record that is released is released again each time.
    next: BTreeMap<i64, usize>,
}

fn lock(acknowledgements: &Mutex<Acknowledgements>) -> MutexGuard<'_, Acknowledgements> {
    acknowledgements.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Acknowledgements {
    fn new(pattern: Vec<AcknowledgeType>) -> Self {
        Self { pattern, ..Self::default() }
    }

    /// What is to be said of a record, if it is not left to the consumer.
    fn choose(&mut self, record: &ConsumerRecord) -> Option<AcknowledgeType> {
        let by_offset = usize::try_from(record.offset).unwrap_or(0).checked_rem(self.pattern.len())?;
        let partition = TopicPartition::new(Arc::clone(&record.topic), record.partition);
        let said = self.partitions.entry(partition).or_default();
        let index = said.next.get(&record.offset).copied().unwrap_or(by_offset);
        let acknowledged = self.pattern.get(index).copied()?;
        said.sent.insert(record.offset, acknowledged);
        if acknowledged == AcknowledgeType::Renew {
            said.next.insert(record.offset, (index + 1) % self.pattern.len());
        }
        Some(acknowledged)
    }

    /// What is to be told of acknowledgements that were answered: ranges of offsets, both ends included.
    fn committed(
        &mut self,
        partition: &TopicPartition,
        ranges: &[(i64, i64)],
        error: Option<&ClientError>,
    ) -> Event {
        let offsets = ranges.iter().flat_map(|(first, last)| (*first..=*last).take(RANGE_MAX));
        let offsets: BTreeSet<i64> = offsets.collect();
        let event = Event::now("offsets_acknowledged")
            .number("count", offsets.len())
            .list("partitions", [offsets_object(partition, &offsets)])
            .number("success", error.is_none());
        if let Some(error) = error {
            return event.text("error", Some(&exception::message(error)));
        }
        self.total += offsets.len();
        if self.pattern.is_empty() {
            return event;
        }
        event.raw("ackTypeCounts", &counts(&self.settle(partition, &offsets)).to_string())
    }

    /// Forgets what the broker knows now; records that were renewed come again, the others are done.
    fn settle(&mut self, partition: &TopicPartition, offsets: &BTreeSet<i64>) -> Vec<AcknowledgeType> {
        let Some(said) = self.partitions.get_mut(partition) else { return Vec::new() };
        let mut settled = Vec::new();
        for offset in offsets {
            let Some(acknowledged) = said.sent.remove(offset) else { continue };
            if acknowledged != AcknowledgeType::Renew {
                said.next.remove(offset);
            }
            settled.push(acknowledged);
        }
        if said.sent.is_empty() && said.next.is_empty() {
            self.partitions.remove(partition);
        }
        settled
    }
}

/// How many there are of each type; types that do not occur are left out.
fn counts(settled: &[AcknowledgeType]) -> Object {
    TYPES.iter().fold(Object::default(), |object, (name, counted)| {
        match settled.iter().filter(|acknowledged| *acknowledged == counted).count() {
            0 => object,
            count => object.number(name, count),
        }
    })
}

#[cfg(test)]
#[path = "share_consumer_test.rs"]
mod tests;
