//! Bad input to groups of the consumer protocol (KIP-848).

use std::time::Duration;

use anyhow::{Result, ensure};

use super::bad_input::{Case, code, delete_topic, judge, settled};
use super::flexible::{Flexible, FlexibleAnswer, TopicId, call, topic_id};
use crate::process::await_true;
use crate::wire::{Answer, Body, Client};

const REBALANCE_MS: i32 = 30_000;
const SETTLE: Duration = Duration::from_secs(30);
/// 10 MB of names, which is ten times what a record may be.
const NAMES: usize = 100_000;
const NAME_BYTES: usize = 100;
/// As long as a text can be.
const METADATA_BYTES: usize = i16::MAX as usize;

/// A ConsumerGroupHeartbeat.
#[derive(Clone, Copy)]
struct Beat<'a> {
    group: &'a str,
    member: &'a str,
    epoch: i32,
    instance: Option<&'a str>,
    rebalance_ms: i32,
    names: Option<&'a [&'a str]>,
    regex: Option<&'a str>,
    assignor: Option<&'a str>,
    owned: Option<&'a [(TopicId, &'a [i32])]>,
}

/// What it is answered.
struct Beaten {
    error: i16,
    epoch: i32,
    assigned: Vec<TopicId>,
}

impl<'a> Beat<'a> {
    /// The first one of a member.
    fn join(group: &'a str, member: &'a str, names: &'a [&'a str]) -> Self {
        let (rebalance_ms, owned): (_, &[_]) = (REBALANCE_MS, &[]);
        let (names, owned) = (Some(names), Some(owned));
        Self {
            group,
            member,
            epoch: 0,
            instance: None,
            rebalance_ms,
            names,
            regex: None,
            assignor: None,
            owned,
        }
    }

    /// One that has nothing to tell.
    fn alive(group: &'a str, member: &'a str, epoch: i32) -> Self {
        let (instance, rebalance_ms, names) = (None, -1, None);
        Self { group, member, epoch, instance, rebalance_ms, names, regex: None, assignor: None, owned: None }
    }

    fn body(&self) -> Body {
        let body = Body::default().compact(self.group).compact(self.member).i32(self.epoch);
        let body = body.maybe(self.instance).null().i32(self.rebalance_ms);
        let body = match self.names {
            Some(names) => body.strings(names),
            None => body.null(),
        };
        let body = body.maybe(self.regex).maybe(self.assignor);
        let body = match self.owned {
            Some(owned) => owned
                .iter()
                .fold(body.count(owned.len()), |body, (id, parts)| body.id(id).numbers(parts).tags()),
            None => body.null(),
        };
        body.tags()
    }

    fn send(&self, client: &mut Client) -> Result<Beaten> {
        let mut answer = call(client, 68, 1, self.body())?;
        answer.i32()?;
        let error = answer.i16()?;
        answer.compact()?;
        answer.compact()?;
        let epoch = answer.i32()?;
        answer.i32()?;
        // A struct that may be missing begins with 1 or -1.
        let assigned = if answer.i8()? == 1 {
            answer.compact_list(|a| {
                let id = a.id()?;
                a.compact_list(Answer::i32)?;
                a.tags()?;
                Ok(id)
            })?
        } else {
            Vec::new()
        };
        Ok(Beaten { error, epoch, assigned })
    }

    fn error(&self, client: &mut Client) -> Result<i16> {
        Ok(self.send(client)?.error)
    }
}

/// A member of a fresh group that has come to an epoch of at least 3, by new topics only.
fn settle(client: &mut Client, group: &str, member: &str, topics: [&str; 3]) -> Result<i32> {
    for topic in topics {
        client.create_topic(topic, 2, &[])?;
    }
    client.find_coordinator(group)?;
    let mut epoch = 0;
    for count in 1..=topics.len() {
        let names = &topics[..count];
        let first = match count {
            1 => Beat::join(group, member, names),
            _ => Beat { names: Some(names), ..Beat::alive(group, member, epoch) },
        };
        let error = settled("a heartbeat", || {
            let beaten = first.send(client)?;
            epoch = beaten.epoch;
            Ok(beaten.error)
        })?;
        ensure!(error == code::NONE, "a heartbeat is answered with {error}");
        await_true(&format!("member epoch {count}"), SETTLE, || {
            let beaten = Beat::alive(group, member, epoch).send(client)?;
            ensure!(beaten.error == code::NONE, "a heartbeat is answered with {}", beaten.error);
            epoch = beaten.epoch;
            Ok(epoch >= count as i32)
        })?;
    }
    Ok(epoch)
}

/// Nothing happened to the member.
fn unchanged(client: &mut Client, group: &str, member: &str, epoch: i32) -> Result<()> {
    let beaten = Beat::alive(group, member, epoch).send(client)?;
    ensure!(beaten.error == code::NONE, "the good member is answered with {}", beaten.error);
    ensure!(beaten.epoch == epoch, "the good member's epoch went from {epoch} to {}", beaten.epoch);
    Ok(())
}

/// Members that are unknown, stale, or contradict themselves.
pub fn members(client: &mut Client) -> Result<()> {
    let topics = ["bad-consumer-1", "bad-consumer-2", "bad-consumer-3"];
    let group = "bad-consumer";
    let epoch = settle(client, group, "good", topics)?;
    let foreign: &[(TopicId, &[i32])] = &[([7; 16], &[0])];
    let join = Beat::join(group, "other", &topics);
    let beats = [
        ("a member that is none", Beat::alive(group, "ghost", epoch), code::UNKNOWN_MEMBER_ID),
        ("a group that is none", Beat::alive("nowhere", "good", 1), code::GROUP_ID_NOT_FOUND),
        ("leaving a group that is none", Beat::alive("nowhere", "good", -1), code::GROUP_ID_NOT_FOUND),
        ("an epoch that is to come", Beat::alive(group, "good", epoch + 5), code::FENCED_MEMBER_EPOCH),
        ("an epoch long past", Beat::alive(group, "good", epoch - 2), code::FENCED_MEMBER_EPOCH),
        ("an epoch below all", Beat::alive(group, "good", -3), code::INVALID_REQUEST),
        ("no member id", Beat { member: "", ..join }, code::INVALID_REQUEST),
        ("no group id", Beat { group: "", ..join }, code::INVALID_REQUEST),
        ("an empty instance id", Beat { instance: Some(""), ..join }, code::INVALID_REQUEST),
        ("joining without a subscription", Beat { names: None, ..join }, code::INVALID_REQUEST),
        ("joining without a time-out", Beat { rebalance_ms: -1, ..join }, code::INVALID_REQUEST),
        ("joining with partitions", Beat { owned: Some(foreign), ..join }, code::INVALID_REQUEST),
        ("going for a while without an instance id", Beat::alive(group, "good", -2), code::INVALID_REQUEST),
        ("an assignor that is none", Beat { assignor: Some("nobody"), ..join }, code::UNSUPPORTED_ASSIGNOR),
        ("a pattern that is none", Beat { regex: Some("(a"), ..join }, code::INVALID_REGULAR_EXPRESSION),
    ];
    let mut cases = Vec::new();
    for (what, beat, expected) in beats {
        cases.push(Case { what, seen: beat.error(client)?, expected });
    }
    judge(&cases)?;
    unchanged(client, group, "good", epoch)?;
    instances(client, &topics)
}

/// An instance id belongs to one member.
fn instances(client: &mut Client, topics: &[&str]) -> Result<()> {
    let group = "bad-consumer-static";
    client.find_coordinator(group)?;
    let owner = Beat { instance: Some("only"), ..Beat::join(group, "owner", topics) };
    let mut epoch = 0;
    let joined = settled("a heartbeat", || {
        let beaten = owner.send(client)?;
        epoch = beaten.epoch;
        Ok(beaten.error)
    })?;
    ensure!(joined == code::NONE, "the owner cannot join: {joined}");
    let second = Beat { member: "second", ..owner };
    let pretender = Beat { instance: Some("only"), ..Beat::alive(group, "pretender", 1) };
    let stranger = Beat { instance: Some("other"), ..Beat::alive(group, "stranger", 1) };
    let cases = [
        Case { what: "a second owner", seen: second.error(client)?, expected: code::UNRELEASED_INSTANCE_ID },
        Case { what: "a pretender", seen: pretender.error(client)?, expected: code::FENCED_INSTANCE_ID },
        Case { what: "an unknown one", seen: stranger.error(client)?, expected: code::UNKNOWN_MEMBER_ID },
    ];
    judge(&cases)?;
    let still = Beat { instance: Some("only"), ..Beat::alive(group, "owner", epoch) };
    let error = still.error(client)?;
    ensure!(error == code::NONE, "the owner, of epoch {epoch}, is answered with {error}");
    Ok(())
}

/// Topics that do not exist, and names that fill no record.
pub fn contents(client: &mut Client) -> Result<()> {
    let group = "bad-consumer-contents";
    let topics = ["bad-contents-1", "bad-contents-2", "bad-contents-3"];
    let epoch = settle(client, group, "good", topics)?;
    let known = topic_id(client, topics[0])?;
    let foreign: &[(TopicId, &[i32])] = &[([7; 16], &[0, 1, 2]), (known, &[0, 1, 2_000_000])];
    let beaten = Beat { owned: Some(foreign), ..Beat::alive(group, "good", epoch) }.send(client)?;
    ensure!(beaten.error == code::NONE, "foreign partitions are answered with {}", beaten.error);
    ensure!(!beaten.assigned.contains(&[7; 16]), "a foreign topic was assigned");
    unchanged(client, group, "good", epoch)?;
    let names: Vec<String> = (0..NAMES).map(|n| format!("{n:0>NAME_BYTES$}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let cases = [
        Case {
            what: "10 MB of names",
            seen: Beat::join(group, "big", &names).error(client)?,
            expected: code::UNKNOWN_SERVER_ERROR,
        },
        Case {
            what: "the member that was refused",
            seen: Beat::alive(group, "big", 1).error(client)?,
            expected: code::UNKNOWN_MEMBER_ID,
        },
    ];
    judge(&cases)?;
    unchanged(client, group, "good", epoch)
}

/// An OffsetCommit of a member for one partition.
struct Commit<'a> {
    group: &'a str,
    member: &'a str,
    epoch: i32,
    topic: &'a str,
    partition: i32,
    metadata: &'a str,
}

impl Commit<'_> {
    /// The error of the partition.
    fn send(&self, client: &mut Client, version: i16) -> Result<i16> {
        let body = Body::default().compact(self.group).i32(self.epoch).compact(self.member).null();
        let body = body.count(1).compact(self.topic).count(1).i32(self.partition).i64(11).i32(-1);
        let mut answer = call(client, 8, version, body.compact(self.metadata).tags().tags().tags())?;
        answer.i32()?;
        let topics = answer.compact_list(|a| {
            a.compact()?;
            let partitions = a.compact_list(|a| {
                a.i32()?;
                let error = a.i16()?;
                a.tags()?;
                Ok(error)
            })?;
            a.tags()?;
            Ok(partitions)
        })?;
        let error = topics.into_iter().flatten().next();
        error.ok_or_else(|| anyhow::anyhow!("OffsetCommit answered nothing"))
    }
}

/// Offsets of strangers, of members of another time, and for topics that are not, or no longer, there.
pub fn commits(client: &mut Client) -> Result<()> {
    let group = "bad-commits";
    let topics = ["bad-commits-1", "bad-commits-2", "bad-commits-doomed"];
    let epoch = settle(client, group, "good", topics)?;
    let good = || Commit { group, member: "good", epoch, topic: topics[0], partition: 0, metadata: "kept" };
    let doomed = Commit { topic: topics[2], ..good() };
    ensure!(good().send(client, 9)? == code::NONE, "a good commit is refused");
    ensure!(doomed.send(client, 9)? == code::NONE, "a commit for a topic that is still there is refused");
    delete_topic(client, topics[2])?;
    let huge = "m".repeat(METADATA_BYTES);
    let commits = [
        ("a member that is none", Commit { member: "ghost", ..good() }, 9, code::UNKNOWN_MEMBER_ID),
        (
            "an admin while there are members",
            Commit { member: "", epoch: -1, ..good() },
            9,
            code::UNKNOWN_MEMBER_ID,
        ),
        ("an epoch to come", Commit { epoch: epoch + 1, ..good() }, 9, code::STALE_MEMBER_EPOCH),
        ("an epoch before the partition", Commit { epoch: 0, ..good() }, 9, code::STALE_MEMBER_EPOCH),
        ("a group that is none", Commit { group: "nowhere", ..good() }, 9, code::GROUP_ID_NOT_FOUND),
        ("a version that cannot say so", good(), 8, code::UNSUPPORTED_VERSION),
        ("a topic that never was", Commit { topic: "never", ..good() }, 9, code::UNKNOWN_TOPIC_OR_PARTITION),
        (
            "a partition that never was",
            Commit { partition: 9, ..good() },
            9,
            code::UNKNOWN_TOPIC_OR_PARTITION,
        ),
        ("a deleted topic", Commit { topic: topics[2], ..good() }, 9, code::UNKNOWN_TOPIC_OR_PARTITION),
        (
            "as much metadata as a text can be",
            Commit { metadata: &huge, ..good() },
            9,
            code::OFFSET_METADATA_TOO_LARGE,
        ),
    ];
    let mut cases = Vec::new();
    for (what, commit, version, expected) in commits {
        cases.push(Case { what, seen: commit.send(client, version)?, expected });
    }
    judge(&cases)?;
    let committed = client.committed_offset(group, topics[0], 0)?;
    ensure!(committed == (11, "kept".to_owned()), "the good commit became {committed:?}");
    await_true("the deleted topic's offsets to be gone", SETTLE, || {
        Ok(client.committed_offset(group, topics[2], 0)?.0 == -1)
    })
}
