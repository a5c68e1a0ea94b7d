//! Bad input to streams groups (KIP-1071).

use anyhow::{Result, ensure};

use super::bad_input::{Case, PASSING, SETTLE, code, judge};
use super::flexible::{Flexible, FlexibleAnswer, call};
use crate::process::await_some;
use crate::wire::{Answer, Body, Client};

const REBALANCE_MS: i32 = 30_000;
/// The status of a group whose coordinator does not know its topics (yet).
const MISSING_SOURCE_TOPICS: i8 = 1;

/// One part of a topology.
#[derive(Clone, Copy, Default)]
struct Part<'a> {
    id: &'a str,
    sources: &'a [&'a str],
    patterns: &'a [&'a str],
    /// Names and partitions of changelogs.
    changelogs: &'a [(&'a str, i32)],
    sinks: &'a [&'a str],
    /// Names of repartition topics that it reads.
    repartitions: &'a [&'a str],
}

impl Part<'_> {
    fn body(&self, body: Body) -> Body {
        let body = body.compact(self.id).strings(self.sources).strings(self.patterns);
        let body = body.count(self.changelogs.len());
        let body = self.changelogs.iter().fold(body, |body, (name, parts)| topic(body, name, *parts));
        let body = body.strings(self.sinks).count(self.repartitions.len());
        let body = self.repartitions.iter().fold(body, |body, name| topic(body, name, 0));
        body.count(0).tags()
    }
}

/// A topic of the application's own: no replication factor, no configuration.
fn topic(body: Body, name: &str, partitions: i32) -> Body {
    body.compact(name).i32(partitions).i16(0).count(0).tags()
}

/// A StreamsGroupHeartbeat.
#[derive(Clone, Copy)]
struct Beat<'a> {
    group: &'a str,
    member: &'a str,
    epoch: i32,
    instance: Option<&'a str>,
    rebalance_ms: i32,
    topology: Option<&'a [Part<'a>]>,
    /// A part and its partitions that the member says it works on.
    active: Option<&'a [(&'a str, &'a [i32])]>,
}

impl<'a> Beat<'a> {
    fn join(group: &'a str, member: &'a str, topology: &'a [Part<'a>]) -> Self {
        let active: &[_] = &[];
        let (topology, active) = (Some(topology), Some(active));
        Self { group, member, epoch: 0, instance: None, rebalance_ms: REBALANCE_MS, topology, active }
    }

    fn alive(group: &'a str, member: &'a str, epoch: i32) -> Self {
        Self { group, member, epoch, instance: None, rebalance_ms: -1, topology: None, active: None }
    }

    fn body(&self) -> Body {
        let body = Body::default().compact(self.group).compact(self.member).i32(self.epoch).i32(0);
        let body = body.maybe(self.instance).null().i32(self.rebalance_ms);
        // A struct that may be missing begins with 1 or -1.
        let body = match self.topology {
            Some(parts) => {
                let body = body.i8(1).i32(1).count(parts.len());
                parts.iter().fold(body, |body, part| part.body(body)).tags()
            }
            None => body.i8(-1),
        };
        let body = match self.active {
            Some(tasks) => {
                let body = body.count(tasks.len());
                let body =
                    tasks.iter().fold(body, |body, (id, parts)| body.compact(id).numbers(parts).tags());
                body.count(0).count(0)
            }
            None => body.null().null().null(),
        };
        // The process, its end point, its tags, and offsets of its tasks.
        let body = match self.epoch {
            0 => body.compact("process").i8(-1).count(0),
            _ => body.null().i8(-1).null(),
        };
        body.null().null().i8(0).tags()
    }

    /// The error and the epoch.
    fn send(&self, client: &mut Client) -> Result<(i16, i32)> {
        self.answered(client).map(|(error, epoch, _)| (error, epoch))
    }

    /// The error, the epoch, and what rests.
    fn answered(&self, client: &mut Client) -> Result<(i16, i32, Answer)> {
        let mut answer = call(client, 88, 0, self.body())?;
        answer.i32()?;
        let error = answer.i16()?;
        answer.compact()?;
        answer.compact()?;
        let epoch = answer.i32()?;
        Ok((error, epoch, answer))
    }

    /// The error, unless the coordinator has still to settle or to hear of the topics; and the epoch.
    fn verdict(&self, client: &mut Client) -> Result<(Option<i16>, i32)> {
        let (error, epoch, mut answer) = self.answered(client)?;
        for _ in ["heartbeat interval", "acceptable recovery lag", "task offset interval"] {
            answer.i32()?;
        }
        let status = answer.compact_list(|a| {
            let code = a.i8()?;
            a.compact()?;
            a.tags()?;
            Ok(code)
        })?;
        let settled = !PASSING.contains(&error) && !status.contains(&MISSING_SOURCE_TOPICS);
        Ok((settled.then_some(error), epoch))
    }
}

/// Members that are unknown, stale, or contradict themselves; tasks of others.
pub fn members(client: &mut Client) -> Result<()> {
    let (group, source) = ("bad-streams", "bad-streams");
    client.create_topic(source, 2, &[])?;
    client.find_coordinator(group)?;
    let sources: &[&str] = &[source];
    let topology = [Part { id: "0", sources, ..Part::default() }];
    let join = Beat::join(group, "good", &topology);
    let mut epoch = 0;
    let error = await_some("a heartbeat", SETTLE, || {
        let beat = if epoch == 0 { join } else { Beat::alive(group, "good", epoch) };
        let (verdict, now) = beat.verdict(client)?;
        epoch = now;
        Ok(verdict)
    })?;
    ensure!(error == code::NONE, "joining is answered with {error}");
    let other = Beat { member: "other", ..join };
    let mine = Beat::alive(group, "good", epoch);
    let patterns = [Part { id: "0", patterns: &["a.*"], ..Part::default() }];
    let tasks: &[(&str, &[i32])] = &[("0", &[0])];
    let foreign: &[(&str, &[i32])] = &[("nobodys", &[0])];
    let beats = [
        ("a member that is none", Beat::alive(group, "ghost", epoch), code::UNKNOWN_MEMBER_ID),
        ("a group that is none", Beat::alive("nowhere-streams", "good", 1), code::GROUP_ID_NOT_FOUND),
        ("an epoch to come", Beat::alive(group, "good", epoch + 5), code::FENCED_MEMBER_EPOCH),
        ("an epoch below all", Beat::alive(group, "good", -3), code::INVALID_REQUEST),
        ("no member id", Beat { member: "", ..join }, code::INVALID_REQUEST),
        ("no group id", Beat { group: "", ..join }, code::INVALID_REQUEST),
        ("an empty instance id", Beat { instance: Some(""), ..other }, code::INVALID_REQUEST),
        ("joining without a time-out", Beat { rebalance_ms: -1, ..other }, code::INVALID_REQUEST),
        ("joining without a topology", Beat { topology: None, ..other }, code::INVALID_REQUEST),
        ("joining with tasks", Beat { active: Some(tasks), ..other }, code::INVALID_REQUEST),
        ("patterns of sources", Beat { topology: Some(&patterns), ..other }, code::INVALID_REQUEST),
        ("a topology in between", Beat { topology: Some(&topology), ..mine }, code::INVALID_REQUEST),
        ("going for a while without an instance id", Beat::alive(group, "good", -2), code::INVALID_REQUEST),
        ("a task of a part that is none", Beat { active: Some(foreign), ..mine }, code::INVALID_REQUEST),
    ];
    let mut cases = Vec::new();
    for (what, beat, expected) in beats {
        cases.push(Case { what, seen: beat.send(client)?.0, expected });
    }
    judge(&cases)?;
    let (error, now) = mine.send(client)?;
    ensure!(error == code::NONE && now >= epoch, "the good member is answered with {error}, epoch {now}");
    Ok(())
}

/// Topologies that cannot be: in circles, reading what nobody writes, with changelogs of a given size.
pub fn topologies(client: &mut Client) -> Result<()> {
    client.create_topic("bad-topologies", 2, &[])?;
    let sources: &[&str] = &["bad-topologies"];
    let circle = [
        Part { id: "0", sinks: &["one"], repartitions: &["two"], ..Part::default() },
        Part { id: "1", sinks: &["two"], repartitions: &["one"], ..Part::default() },
    ];
    let selfish = [Part { id: "0", sinks: &["me"], repartitions: &["me"], ..Part::default() }];
    let orphan = [
        Part { id: "0", sources, ..Part::default() },
        Part { id: "1", repartitions: &["unwritten"], ..Part::default() },
    ];
    let sized = [Part { id: "0", sources, changelogs: &[("log", 3)], ..Part::default() }];
    let shapes: [(&'static str, &[Part<'_>]); 4] = [
        ("two parts in a circle", &circle),
        ("a part that feeds itself", &selfish),
        ("a part that nobody feeds", &orphan),
        ("a changelog of a given size", &sized),
    ];
    let mut cases = Vec::new();
    for (number, (what, parts)) in shapes.into_iter().enumerate() {
        // One that did not hear of the topics yet has made a group, so the next try is with another one.
        let (mut group, mut tries) = (String::new(), 0);
        let seen = await_some("a heartbeat", SETTLE, || {
            tries += 1;
            group = format!("bad-topology-{number}-{tries}");
            client.find_coordinator(&group)?;
            Ok(Beat::join(&group, "maker", parts).verdict(client)?.0)
        })?;
        cases.push(Case { what, seen, expected: code::STREAMS_INVALID_TOPOLOGY });
        let seen = Beat::alive(&group, "maker", 1).send(client)?.0;
        cases.push(Case { what: "a group that must not be", seen, expected: code::GROUP_ID_NOT_FOUND });
    }
    judge(&cases)
}
