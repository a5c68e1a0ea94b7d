//! Bad input to share groups and share sessions (KIP-932).

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::bad_input::{Case, code, judge, settled};
use super::flexible::{Flexible, FlexibleAnswer, TopicId, call, topic_id};
use crate::batch::{NO_SEQUENCE, build};
use crate::process::{await_some, await_true};
use crate::wire::{Answer, Body, Client};

const SETTLE: Duration = Duration::from_secs(30);
/// Member ids of share consumers are UUIDs.
const FIRST: &str = "AAAAAAAAAAAAAAAAAAAAAQ";
const SECOND: &str = "AAAAAAAAAAAAAAAAAAAAAg";
const GHOST: &str = "AAAAAAAAAAAAAAAAAAAAAw";
const ACCEPT: i8 = 1;
const RECORDS: i64 = 5;

/// The error and the epoch of a ShareGroupHeartbeat.
fn beat(
    client: &mut Client,
    group: &str,
    member: &str,
    epoch: i32,
    names: Option<&[&str]>,
) -> Result<(i16, i32)> {
    let body = Body::default().compact(group).compact(member).i32(epoch).null();
    let body = match names {
        Some(names) => body.strings(names),
        None => body.null(),
    };
    let mut answer = call(client, 76, 1, body.tags())?;
    answer.i32()?;
    let error = answer.i16()?;
    answer.compact()?;
    answer.compact()?;
    Ok((error, answer.i32()?))
}

/// A member that has joined.
fn join(client: &mut Client, group: &str, member: &str, topic: &str) -> Result<i32> {
    client.find_coordinator(group)?;
    let mut epoch = 0;
    let error = settled("a heartbeat", || {
        let (error, now) = beat(client, group, member, 0, Some(&[topic]))?;
        epoch = now;
        Ok(error)
    })?;
    ensure!(error == code::NONE, "joining is answered with {error}");
    Ok(epoch)
}

/// Members that are unknown, stale, or contradict themselves.
pub fn members(client: &mut Client) -> Result<()> {
    let (group, topic) = ("bad-share", "bad-share");
    client.create_topic(topic, 1, &[])?;
    let epoch = join(client, group, FIRST, topic)?;
    let names: Option<&[&str]> = Some(&[topic]);
    let beats = [
        ("a member that is none", group, GHOST, epoch, None, code::UNKNOWN_MEMBER_ID),
        ("leaving as a member that is none", group, GHOST, -1, None, code::UNKNOWN_MEMBER_ID),
        ("a group that is none", "nowhere-shared", FIRST, 1, None, code::GROUP_ID_NOT_FOUND),
        ("an epoch to come", group, FIRST, epoch + 5, None, code::FENCED_MEMBER_EPOCH),
        ("an epoch below all", group, FIRST, -2, None, code::INVALID_REQUEST),
        ("no member id", group, "", 0, names, code::INVALID_REQUEST),
        ("no group id", "", FIRST, 0, names, code::INVALID_REQUEST),
        ("joining without a subscription", group, SECOND, 0, None, code::INVALID_REQUEST),
        ("joining with no topics", group, SECOND, 0, Some(&[][..]), code::INVALID_REQUEST),
    ];
    let mut cases = Vec::new();
    for (what, group, member, epoch, names, expected) in beats {
        cases.push(Case { what, seen: beat(client, group, member, epoch, names)?.0, expected });
    }
    judge(&cases)?;
    let (error, now) = beat(client, group, FIRST, epoch, None)?;
    ensure!(error == code::NONE && now == epoch, "the good member is answered with {error}, epoch {now}");
    Ok(())
}

/// Acknowledgements of one partition, or none.
type Acknowledged<'a> = Option<(i64, i64, &'a [i8])>;

fn acknowledgements(body: Body, acknowledged: Acknowledged<'_>) -> Body {
    match acknowledged {
        None => body.count(0),
        Some((first, last, kinds)) => {
            let body = body.count(1).i64(first).i64(last).count(kinds.len());
            kinds.iter().fold(body, |body, kind| body.i8(*kind)).tags()
        }
    }
}

/// What a ShareFetch answers: its error, and the offsets that were acquired.
struct Fetched {
    error: i16,
    acquired: Vec<(i64, i64)>,
}

fn fetch(
    client: &mut Client,
    session: (&str, &str, i32),
    id: &TopicId,
    acknowledged: Acknowledged<'_>,
) -> Result<Fetched> {
    let (group, member, epoch) = session;
    let body = Body::default().compact(group).compact(member).i32(epoch);
    let body = body.i32(100).i32(1).i32(1 << 20).i32(500).i32(500);
    let body = acknowledgements(body.count(1).id(id).count(1).i32(0), acknowledged).tags().tags();
    let mut answer = call(client, 78, 1, body.count(0).tags())?;
    answer.i32()?;
    let error = answer.i16()?;
    answer.compact()?;
    answer.i32()?;
    let partitions = answer.compact_list(|a| {
        a.id()?;
        let partitions = a.compact_list(fetched_partition)?;
        a.tags()?;
        Ok(partitions)
    })?;
    Ok(Fetched { error, acquired: partitions.into_iter().flatten().flatten().collect() })
}

/// The acquired offsets of a partition.
fn fetched_partition(a: &mut Answer) -> Result<Vec<(i64, i64)>> {
    a.i32()?;
    // The errors of a partition that is not ready yet pass.
    a.i16()?;
    a.compact()?;
    a.i16()?;
    a.compact()?;
    a.i32()?;
    a.i32()?;
    a.tags()?;
    for _ in 1..a.uvarint()?.max(1) {
        a.i8()?;
    }
    let acquired = a.compact_list(|a| {
        let range = (a.i64()?, a.i64()?);
        a.i16()?;
        a.tags()?;
        Ok(range)
    })?;
    a.tags()?;
    Ok(acquired)
}

/// The error of a ShareAcknowledge and that of the partition.
fn acknowledge(
    client: &mut Client,
    session: (&str, &str, i32),
    id: &TopicId,
    acknowledged: Acknowledged<'_>,
) -> Result<(i16, Option<i16>)> {
    let (group, member, epoch) = session;
    let body = Body::default().compact(group).compact(member).i32(epoch).count(1).id(id).count(1).i32(0);
    let mut answer = call(client, 79, 1, acknowledgements(body, acknowledged).tags().tags().tags())?;
    answer.i32()?;
    let error = answer.i16()?;
    answer.compact()?;
    let partitions = answer.compact_list(|a| {
        a.id()?;
        let partitions = a.compact_list(|a| {
            a.i32()?;
            let error = a.i16()?;
            a.compact()?;
            a.i32()?;
            a.i32()?;
            a.tags()?;
            a.tags()?;
            Ok(error)
        })?;
        a.tags()?;
        Ok(partitions)
    })?;
    Ok((error, partitions.into_iter().flatten().next()))
}

/// The group begins at the first record.
fn from_the_start(client: &mut Client, group: &str) -> Result<()> {
    const GROUP: i8 = 32;
    const SET: i8 = 0;
    let body = Body::default().i32(1).i8(GROUP).string(group).i32(1).string("share.auto.offset.reset");
    let mut answer = client.call(44, 0, body.i8(SET).string("earliest").i8(0))?;
    answer.i32()?;
    let error =
        answer.list(Answer::i16)?.first().copied().context("IncrementalAlterConfigs answered nothing")?;
    ensure!(error == code::NONE, "IncrementalAlterConfigs answered {error}");
    Ok(())
}

/// Sessions that are not there, and acknowledgements of what was never acquired, or by another.
pub fn sessions(client: &mut Client) -> Result<()> {
    let (group, topic) = ("bad-sessions", "bad-sessions");
    client.create_topic(topic, 1, &[])?;
    let id = topic_id(client, topic)?;
    from_the_start(client, group)?;
    let values: Vec<Vec<u8>> = (0..RECORDS).map(|n| format!("s{n}").into_bytes()).collect();
    ensure!(client.produce(topic, 0, &build(&values, 1, NO_SEQUENCE))?.error == 0, "Produce is refused");
    for member in [FIRST, SECOND] {
        join(client, group, member, topic)?;
    }
    no_sessions(client, group, &id)?;
    // The first member acquires everything; each fetch carries the session's next epoch.
    let mut epoch = 0;
    let acquired = await_some("the records to be acquired", SETTLE, || {
        let fetched = fetch(client, (group, FIRST, epoch), &id, None)?;
        ensure!(fetched.error == code::NONE, "ShareFetch is answered with {}", fetched.error);
        epoch += 1;
        Ok(Some(fetched.acquired).filter(|acquired| !acquired.is_empty()))
    })?;
    ensure!(acquired == [(0, RECORDS - 1)], "acquired {acquired:?}");
    let all: Acknowledged<'_> = Some((0, RECORDS - 1, &[ACCEPT]));
    let opened = fetch(client, (group, SECOND, 0), &id, None)?;
    ensure!(opened.error == code::NONE && opened.acquired.is_empty(), "a record was acquired twice");
    let mine = |epoch| (group, FIRST, epoch);
    let cases = [
        Case {
            what: "what another has acquired",
            seen: acknowledge(client, (group, SECOND, 1), &id, all)?.1.unwrap_or(0),
            expected: code::INVALID_RECORD_STATE,
        },
        Case {
            what: "what was never acquired",
            seen: acknowledge(client, mine(epoch), &id, Some((100, 200, &[ACCEPT])))?.1.unwrap_or(0),
            expected: code::INVALID_REQUEST,
        },
        Case {
            what: "a kind that is none",
            seen: acknowledge(client, mine(epoch + 1), &id, Some((0, 0, &[9])))?.1.unwrap_or(0),
            expected: code::INVALID_REQUEST,
        },
        Case {
            what: "a topic id that is none",
            seen: acknowledge(client, mine(epoch + 2), &[9; 16], all)?.1.unwrap_or(0),
            expected: code::UNKNOWN_TOPIC_ID,
        },
        Case {
            what: "an epoch of the session that is to come",
            seen: acknowledge(client, mine(epoch + 9), &id, all)?.0,
            expected: code::INVALID_SHARE_SESSION_EPOCH,
        },
    ];
    judge(&cases)?;
    // Whatever was tried, the records are still the first member's.
    let (error, partition) = acknowledge(client, mine(epoch + 3), &id, all)?;
    ensure!(error == code::NONE && partition == Some(code::NONE), "the holder gets {error}, {partition:?}");
    await_true("nothing to be left", SETTLE, || {
        epoch += 1;
        let fetched = fetch(client, mine(epoch + 3), &id, None)?;
        ensure!(fetched.acquired.is_empty(), "records came again: {:?}", fetched.acquired);
        Ok(fetched.error == code::NONE)
    })
}

/// Requests in sessions that nobody opened.
fn no_sessions(client: &mut Client, group: &str, id: &TopicId) -> Result<()> {
    let all: Acknowledged<'_> = Some((0, RECORDS - 1, &[ACCEPT]));
    let cases = [
        Case {
            what: "fetching in a session that is none",
            seen: fetch(client, (group, FIRST, 7), id, None)?.error,
            expected: code::SHARE_SESSION_NOT_FOUND,
        },
        Case {
            what: "acknowledging in a session that is none",
            seen: acknowledge(client, (group, FIRST, 7), id, all)?.0,
            expected: code::SHARE_SESSION_NOT_FOUND,
        },
        Case {
            what: "acknowledging with the epoch that opens",
            seen: acknowledge(client, (group, FIRST, 0), id, all)?.0,
            expected: code::INVALID_SHARE_SESSION_EPOCH,
        },
        Case {
            what: "opening with acknowledgements",
            seen: fetch(client, (group, FIRST, 0), id, all)?.error,
            expected: code::INVALID_REQUEST,
        },
    ];
    judge(&cases)
}
