//! `verifiable-consumer`: reads a topic as a member of a group and tells what it was given, read and
//! committed.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_clients::admin::OffsetAndMetadata;
use ottla_clients::consumer::{ConsumerRecord, KafkaConsumer};
use ottla_clients::{ClientConfig, ClientError};
use ottla_common::{ErrorCode, TopicPartition};

use super::arguments::{Argument, Arguments, BOOTSTRAP, Kind, Parser};
use super::event::{Event, Object};
use super::shutdown::Shutdown;
use super::{by_partition, exception, partition_object, record_data};
use crate::client_config::{self, read_properties};
use crate::error::{Result, failed};
use crate::output::{errln, outln};

static PARSER: Parser = Parser {
    program: "verifiable-consumer",
    purpose: "Reads a topic and tells of rebalances, records and commits, in lines of JSON on standard output.",
    arguments: &[
        Argument::text("--topic", "TOPIC", "The topic to read.").required(),
        Argument::text("--group-protocol", "GROUP-PROTOCOL", "CLASSIC or CONSUMER.").or("classic"),
        Argument::text(
            "--group-remote-assignor",
            "GROUP-REMOTE-ASSIGNOR",
            "The broker's assignor, with the protocol CONSUMER.",
        ),
        Argument::text("--group-id", "GROUP-ID", "The group to be a member of.").required(),
        Argument::text("--group-instance-id", "GROUP-INSTANCE-ID", "The name of a static member."),
        Argument::text("--max-messages", "MAX-MESSAGES", "How many records to read; -1 for no end.")
            .kind(Kind::Integer)
            .or("-1"),
        Argument::text("--session-timeout", "TIMEOUT-MS", "The session timeout, with the protocol CLASSIC.")
            .kind(Kind::Integer),
        Argument::flag("--verbose", "Tell of each record."),
        Argument::flag("--enable-autocommit", "Leave commits to the consumer."),
        Argument::text("--close-timeout", "CLOSE-TIMEOUT-MS", "How long closing the consumer may take.")
            .kind(Kind::Integer)
            .or("30000"),
        Argument::text("--reset-policy", "RESET-POLICY", "Where to begin: earliest, latest or none.")
            .or("earliest"),
        Argument::text(
            "--assignment-strategy",
            "ASSIGNMENT-STRATEGY",
            "How members share the partitions out, with the protocol CLASSIC.",
        )
        .or("org.apache.kafka.clients.consumer.RangeAssignor"),
        Argument::text("--consumer.config", "CONFIG-FILE", "Deprecated: use --command-config."),
        Argument::text("--command-config", "CONFIG-FILE", "A file with properties of the consumer."),
    ],
    bootstrap: Argument::required(BOOTSTRAP),
};

/// A poll is never cut, for it may hold records already; so this is also how long a signal may go unseen.
const POLL_TIMEOUT: Duration = Duration::from_millis(100);

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let settings = Settings::read(&PARSER.parse(args)?)?;
    let runtime = client_config::runtime()?;
    runtime.block_on(consume(&settings))
}

#[derive(Debug)]
struct Settings {
    config: ClientConfig,
    topic: String,
    /// The group takes all partitions away before it gives any.
    eager: bool,
    auto_commit: bool,
    verbose: bool,
    /// `None` for no end.
    max_messages: Option<usize>,
    close_timeout: Duration,
}

impl Settings {
    fn read(arguments: &Arguments) -> Result<Self> {
        let protocol = arguments.required("--group-protocol")?.to_uppercase();
        let eager = match protocol.as_str() {
            "CLASSIC" => true,
            "CONSUMER" => false,
            other => return failed(format!("there is no group protocol {other}: use CLASSIC or CONSUMER")),
        };
        let close_timeout = arguments.number("--close-timeout").unwrap_or(0);
        Ok(Self {
            config: config(arguments, eager)?,
            topic: arguments.required("--topic")?.to_owned(),
            eager,
            auto_commit: arguments.has("--enable-autocommit"),
            verbose: arguments.has("--verbose"),
            max_messages: usize::try_from(arguments.number("--max-messages").unwrap_or(-1)).ok(),
            close_timeout: Duration::from_millis(u64::try_from(close_timeout).unwrap_or(0)),
        })
    }
}

fn config(arguments: &Arguments, classic: bool) -> Result<ClientConfig> {
    if arguments.has("--consumer.config") && arguments.has("--command-config") {
        return Err(
            arguments.refuse("Options --consumer.config and --command-config are mutually exclusive.")
        );
    }
    if arguments.has("--consumer.config") {
        outln!(
            "Option --consumer.config has been deprecated and will be removed in a future version. Use \
             --command-config instead."
        );
    }
    let file = arguments.text("--consumer.config").or_else(|| arguments.text("--command-config"));
    let properties = read_properties(file).map_err(|error| arguments.refuse(&error.to_string()))?;
    let mut config = ClientConfig::from_iter(properties);
    let mut merge = |key: &str, name: &str| {
        if let Some(value) = arguments.text(name) {
            config.set(key, value);
        }
    };
    if classic {
        merge("partition.assignment.strategy", "--assignment-strategy");
    } else {
        merge("group.remote.assignor", "--group-remote-assignor");
    }
    merge("session.timeout.ms", "--session-timeout");
    merge("group.id", "--group-id");
    merge("group.instance.id", "--group-instance-id");
    merge("bootstrap.servers", "--bootstrap-server");
    merge("auto.offset.reset", "--reset-policy");
    config.set("group.protocol", if classic { "classic" } else { "consumer" });
    config.set("enable.auto.commit", arguments.has("--enable-autocommit").to_string());
    Ok(config)
}

async fn consume(settings: &Settings) -> Result {
    let mut consumer = KafkaConsumer::new(&settings.config)?;
    let shutdown = Shutdown::listen()?;
    Event::now("startup_complete").print();
    let mut membership = Membership::new(settings.eager);
    if let Err(error) = work(&mut consumer, settings, &mut membership, &shutdown).await {
        errln!("ERROR Error during processing, terminating consumer process: {error}");
    }
    for event in membership.left() {
        event.print();
    }
    match tokio::time::timeout(settings.close_timeout, consumer.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => errln!("ERROR The consumer was not closed cleanly: {error}"),
        Err(_) => {
            errln!("ERROR The consumer was not closed within {} ms", settings.close_timeout.as_millis());
        }
    }
    shutdown.complete().await
}

async fn work(
    consumer: &mut KafkaConsumer,
    settings: &Settings,
    membership: &mut Membership,
    shutdown: &Shutdown,
) -> std::result::Result<(), ClientError> {
    consumer.subscribe(&[&settings.topic])?;
    let mut tally = Tally::new(settings.max_messages, settings.verbose);
    while !tally.finished() && !shutdown.requested() {
        let records = consumer.poll(POLL_TIMEOUT).await?;
        for event in membership.changed(consumer.rebalances(), consumer.assignment()) {
            event.print();
        }
        if records.is_empty() {
            continue;
        }
        let (events, offsets) = tally.take(&records);
        for event in events {
            event.print();
        }
        if settings.auto_commit {
            continue;
        }
        let committed = consumer.commit_offsets(&offsets).await;
        match committed {
            // Another one has this member's name; there is nothing left to do here.
            Err(error) if error.code() == Some(ErrorCode::FencedInstanceId) => return Err(error),
            outcome => offsets_committed(&offsets, outcome.err().as_ref()).print(),
        }
    }
    Ok(())
}

fn offsets_committed(
    offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    error: Option<&ClientError>,
) -> Event {
    let committed = offsets.iter().map(|(tp, to)| partition_object(tp).number("offset", to.offset));
    let event = Event::now("offsets_committed").list("offsets", committed);
    let event = match error {
        Some(error) => event.text("error", Some(&exception::message(error))),
        None => event,
    };
    event.number("success", error.is_none())
}

/// What the group has given this member, as far as it was told.
#[derive(Debug)]
struct Membership {
    eager: bool,
    rebalances: u64,
    /// Whether the member has been given partitions since it came, be it none.
    settled: bool,
    owned: Vec<TopicPartition>,
}

impl Membership {
    fn new(eager: bool) -> Self {
        Self { eager, rebalances: 0, settled: false, owned: Vec::new() }
    }

    /// What is to be told after a poll. Partitions are revoked and given in one step as far as it can be
    /// seen from here; without a rebalance they can only have been lost.
    fn changed(&mut self, rebalances: u64, now: Vec<TopicPartition>) -> Vec<Event> {
        let rebalanced = rebalances != self.rebalances;
        if !rebalanced && now == self.owned {
            return Vec::new();
        }
        let before = std::mem::replace(&mut self.owned, now);
        let without = |all: &[TopicPartition], others: &[TopicPartition]| -> Vec<TopicPartition> {
            all.iter().filter(|tp| !others.contains(tp)).cloned().collect()
        };
        let (revoked, assigned) = match self.eager {
            true => (before, self.owned.clone()),
            false => (without(&before, &self.owned), without(&self.owned, &before)),
        };
        let mut events = Vec::new();
        // A member that comes has nothing to give up. One that stays says so, with the classic protocol even
        // when it had nothing.
        if !revoked.is_empty() || (rebalanced && self.eager && self.settled) {
            events.push(partitions_event("partitions_revoked", &revoked));
        }
        if rebalanced || !assigned.is_empty() {
            events.push(partitions_event("partitions_assigned", &assigned));
        }
        self.settled = rebalanced || !self.owned.is_empty();
        self.rebalances = rebalances;
        events
    }

    /// What is to be told before the member leaves.
    fn left(&mut self) -> Vec<Event> {
        let owned = std::mem::take(&mut self.owned);
        if owned.is_empty() { Vec::new() } else { vec![partitions_event("partitions_revoked", &owned)] }
    }
}

fn partitions_event(name: &str, partitions: &[TopicPartition]) -> Event {
    Event::now(name).list("partitions", partitions.iter().map(partition_object))
}

/// Counts records, and takes no more than wanted.
#[derive(Debug)]
struct Tally {
    limit: Option<usize>,
    consumed: usize,
    verbose: bool,
}

impl Tally {
    fn new(limit: Option<usize>, verbose: bool) -> Self {
        Self { limit, consumed: 0, verbose }
    }

    fn finished(&self) -> bool {
        self.limit.is_some_and(|limit| self.consumed >= limit)
    }

    /// What is to be told of records, and what is to be committed after them.
    fn take(
        &mut self,
        records: &[ConsumerRecord],
    ) -> (Vec<Event>, BTreeMap<TopicPartition, OffsetAndMetadata>) {
        let (mut events, mut summaries, mut offsets) = (Vec::new(), Vec::<Object>::new(), BTreeMap::new());
        for (partition, mut records) in by_partition(records) {
            if let Some(limit) = self.limit {
                records.truncate(limit.saturating_sub(self.consumed));
            }
            let (Some(first), Some(last)) = (records.first(), records.last()) else { continue };
            let summary = partition_object(&partition)
                .number("count", records.len())
                .number("minOffset", first.offset)
                .number("maxOffset", last.offset);
            summaries.push(summary);
            let next = last.offset + 1;
            if self.verbose {
                events.extend(records.iter().map(|record| record_data(record)));
            }
            self.consumed += records.len();
            offsets.insert(partition, OffsetAndMetadata::from(next));
            if self.finished() {
                break;
            }
        }
        // All that came are counted, even those that are beyond the limit.
        let consumed = Event::now("records_consumed").number("count", records.len());
        events.push(consumed.list("partitions", summaries));
        (events, offsets)
    }
}

#[cfg(test)]
#[path = "consumer_test.rs"]
mod tests;
