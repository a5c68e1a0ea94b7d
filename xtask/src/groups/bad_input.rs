//! Requests to coordinators that no client would send: each gets the error that Kafka gives it, and the
//! groups, offsets and transactions of others are what they were.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{SETTINGS, bad_classic, bad_consumer, bad_share, bad_streams, bad_transactions};
use crate::process::{await_some, await_true};
use crate::report::Report;
use crate::server::{Node, Quorum, Side};
use crate::wire::{Body, Client};

/// Kafka's error codes by name, as far as these tests expect them.
pub mod code {
    pub const UNKNOWN_SERVER_ERROR: i16 = -1;
    pub const NONE: i16 = 0;
    pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub const OFFSET_METADATA_TOO_LARGE: i16 = 12;
    pub const ILLEGAL_GENERATION: i16 = 22;
    pub const INCONSISTENT_GROUP_PROTOCOL: i16 = 23;
    pub const INVALID_GROUP_ID: i16 = 24;
    pub const UNKNOWN_MEMBER_ID: i16 = 25;
    pub const INVALID_SESSION_TIMEOUT: i16 = 26;
    pub const UNSUPPORTED_VERSION: i16 = 35;
    pub const INVALID_REQUEST: i16 = 42;
    pub const INVALID_PRODUCER_EPOCH: i16 = 47;
    pub const INVALID_TXN_STATE: i16 = 48;
    pub const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
    pub const INVALID_TRANSACTION_TIMEOUT: i16 = 50;
    pub const TRANSACTION_COORDINATOR_FENCED: i16 = 52;
    pub const GROUP_ID_NOT_FOUND: i16 = 69;
    pub const MEMBER_ID_REQUIRED: i16 = 79;
    pub const FENCED_INSTANCE_ID: i16 = 82;
    pub const UNKNOWN_TOPIC_ID: i16 = 100;
    pub const FENCED_MEMBER_EPOCH: i16 = 110;
    pub const UNRELEASED_INSTANCE_ID: i16 = 111;
    pub const UNSUPPORTED_ASSIGNOR: i16 = 112;
    pub const STALE_MEMBER_EPOCH: i16 = 113;
    pub const INVALID_RECORD_STATE: i16 = 121;
    pub const SHARE_SESSION_NOT_FOUND: i16 = 122;
    pub const INVALID_SHARE_SESSION_EPOCH: i16 = 123;
    pub const INVALID_REGULAR_EXPRESSION: i16 = 128;
    pub const STREAMS_INVALID_TOPOLOGY: i16 = 130;
}

/// What some bad request is answered, and what it has to be.
#[derive(Debug)]
pub struct Case {
    /// What is bad about it.
    pub what: &'static str,
    /// The code that came.
    pub seen: i16,
    /// The code that has to come.
    pub expected: i16,
}

/// Every answer must be the expected one; all that are not are named.
pub fn judge(cases: &[Case]) -> Result<()> {
    let wrong: Vec<String> = cases
        .iter()
        .filter(|case| case.seen != case.expected)
        .map(|case| format!("{}: {} instead of {}", case.what, case.seen, case.expected))
        .collect();
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// Errors of a coordinator that is not there yet.
pub const PASSING: &[i16] = &[14, 15, 16, 51];
/// How long a coordinator may take to settle.
pub const SETTLE: Duration = Duration::from_secs(30);

/// Asks again while the coordinator settles.
pub fn settled(what: &str, mut ask: impl FnMut() -> Result<i16>) -> Result<i16> {
    await_some(what, SETTLE, || Ok(Some(ask()?).filter(|error| !PASSING.contains(error))))
}

/// Deletes a topic and waits until it is gone.
pub fn delete_topic(client: &mut Client, name: &str) -> Result<()> {
    let mut answer = client.call(20, 3, Body::default().i32(1).string(name).i32(30_000))?;
    answer.i32()?;
    for (topic, error) in answer.list(|a| Ok((a.string()?, a.i16()?)))? {
        ensure!(error == code::NONE, "DeleteTopics {topic} answered {error}");
    }
    await_true(&format!("{name} to be gone"), SETTLE, || {
        let mut answer = client.call(3, 4, Body::default().i32(1).string(name).i8(0))?;
        answer.i32()?;
        answer.list(|a| Ok((a.i32()?, a.string()?, a.i32()?, a.string()?)))?;
        answer.string()?;
        answer.i32()?;
        ensure!(answer.i32()? == 1, "Metadata does not name one topic");
        Ok(answer.i16()? == code::UNKNOWN_TOPIC_OR_PARTITION)
    })
}

/// Nobody is killed here, and to refuse 10 MB may take a slow machine longer than a short session.
const LONG_SESSIONS: &[(&str, &str)] = &[
    ("group.consumer.session.timeout.ms", "45000"),
    ("group.share.session.timeout.ms", "45000"),
    ("group.streams.session.timeout.ms", "45000"),
];

/// All of it, each on a connection of its own, on one server.
pub fn run(report: &mut Report, side: Side) {
    let result = (|| -> Result<()> {
        let settings = [SETTINGS, LONG_SESSIONS].concat();
        let node = Node::new(&format!("bad-groups-{side}"), Quorum::Dynamic, &settings)?;
        let mut server = node.launch(side)?;
        let bootstrap = server.bootstrap();
        let mut check = |name: &str, body: fn(&mut Client) -> Result<()>| {
            report.check(&format!("{side}: {name}"), || {
                let mut client = Client::connect(&bootstrap)?;
                body(&mut client)?;
                client.api_versions().map(drop).context("the connection is not usable any more")
            });
        };
        check("consumer group: unknown, stale and contradictory members", bad_consumer::members);
        check("consumer group: foreign topics, 10 MB of names", bad_consumer::contents);
        check("consumer group: commits of strangers and for deleted topics", bad_consumer::commits);
        check("classic group: unknown members and generations", bad_classic::members);
        check("classic group: 10 MB of metadata, assignments of nonsense", bad_classic::contents);
        check("classic group: commits for deleted topics and with huge metadata", bad_classic::commits);
        check("share group: unknown and stale members", bad_share::members);
        check("share group: sessions and acknowledgements that are none", bad_share::sessions);
        check("streams group: unknown and stale members, foreign tasks", bad_streams::members);
        check("streams group: topologies with cycles", bad_streams::topologies);
        check("transactions: foreign producers and stale epochs", bad_transactions::producers);
        check("transactions: markers from a client", bad_transactions::markers);
        let log = server.log_text();
        ensure!(!log.contains("panicked"), "{}", server.log_tail());
        server.expect_running()?;
        server.stop()
    })();
    if let Err(error) = result {
        report.fail(&format!("{side}: bad input to coordinators"), &format!("{error:#}"));
    }
}
