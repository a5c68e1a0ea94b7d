//! Bad input to classic groups.

use anyhow::{Context, Result, ensure};

use super::bad_input::{Case, code, delete_topic, judge, settled};
use crate::wire::{Answer, Body, Client};

const SESSION_MS: i32 = 10_000;
const METADATA_BYTES: usize = 10 << 20;

/// A JoinGroup.
#[derive(Clone, Copy)]
struct Join<'a> {
    group: &'a str,
    member: &'a str,
    session_ms: i32,
    kind: &'a str,
    protocols: &'a [(&'a str, &'a [u8])],
}

impl Join<'_> {
    /// The error, the generation and the member id.
    fn send(&self, client: &mut Client) -> Result<(i16, i32, String)> {
        let body =
            Body::default().string(self.group).i32(self.session_ms).i32(SESSION_MS).string(self.member);
        let body = body.null_string().string(self.kind).i32(self.protocols.len() as i32);
        let body =
            self.protocols.iter().fold(body, |body, (name, metadata)| body.string(name).bytes(metadata));
        let mut answer = client.call(11, 5, body)?;
        answer.i32()?;
        let (error, generation) = (answer.i16()?, answer.i32()?);
        answer.string()?;
        answer.string()?;
        Ok((error, generation, answer.string()?))
    }
}

/// SyncGroup of a leader; the error and what it is assigned.
fn sync(
    client: &mut Client,
    group: &str,
    generation: i32,
    member: &str,
    assignment: &[u8],
) -> Result<(i16, Vec<u8>)> {
    let body = Body::default().string(group).i32(generation).string(member).null_string();
    let mut answer = client.call(14, 3, body.i32(1).string(member).bytes(assignment))?;
    answer.i32()?;
    Ok((answer.i16()?, answer.bytes()?))
}

fn heartbeat(client: &mut Client, group: &str, generation: i32, member: &str) -> Result<i16> {
    let body = Body::default().string(group).i32(generation).string(member).null_string();
    let mut answer = client.call(12, 3, body)?;
    answer.i32()?;
    answer.i16()
}

/// An OffsetCommit, version 5, for one partition.
fn commit(client: &mut Client, member: (&str, i32, &str), topic: &str, metadata: &str) -> Result<i16> {
    let (group, generation, member) = member;
    let body = Body::default().string(group).i32(generation).string(member).i32(1).string(topic);
    let mut answer = client.call(8, 5, body.i32(1).i32(0).i64(5).string(metadata))?;
    answer.i32()?;
    let topics = answer.list(|a: &mut Answer| {
        a.string()?;
        a.list(|a| {
            a.i32()?;
            a.i16()
        })
    })?;
    topics.into_iter().flatten().next().context("OffsetCommit answered nothing")
}

/// A group of one, in its first generation and not yet assigned anything.
fn joined(client: &mut Client, group: &str, metadata: &[u8]) -> Result<(i32, String)> {
    client.find_coordinator(group)?;
    let protocols: &[(&str, &[u8])] = &[("range", metadata)];
    let first = Join { group, member: "", session_ms: SESSION_MS, kind: "consumer", protocols };
    let mut member = String::new();
    let error = settled("a member id", || {
        let (error, _, id) = first.send(client)?;
        member = id;
        Ok(error)
    })?;
    ensure!(error == code::MEMBER_ID_REQUIRED, "the first JoinGroup is answered with {error}");
    let (error, generation, _) = Join { member: &member, ..first }.send(client)?;
    ensure!(error == code::NONE, "the second JoinGroup is answered with {error}");
    Ok((generation, member))
}

/// Members and generations that are none.
pub fn members(client: &mut Client) -> Result<()> {
    let group = "bad-classic";
    let (generation, member) = joined(client, group, b"")?;
    let (error, _) = sync(client, group, generation, &member, b"mine")?;
    ensure!(error == code::NONE, "SyncGroup is answered with {error}");
    let protocols: &[(&str, &[u8])] = &[("range", b"")];
    let join = Join { group, member: "", session_ms: SESSION_MS, kind: "consumer", protocols };
    let other: &[(&str, &[u8])] = &[("another", b"")];
    let joins = [
        ("joining as a member that is none", Join { member: "ghost", ..join }, code::UNKNOWN_MEMBER_ID),
        ("joining without a group id", Join { group: "", ..join }, code::INVALID_GROUP_ID),
        ("joining for too short", Join { session_ms: 1, ..join }, code::INVALID_SESSION_TIMEOUT),
        ("joining with no protocol", Join { protocols: &[], ..join }, code::INCONSISTENT_GROUP_PROTOCOL),
        (
            "joining with another protocol",
            Join { protocols: other, ..join },
            code::INCONSISTENT_GROUP_PROTOCOL,
        ),
        ("joining as another kind", Join { kind: "connect", ..join }, code::INCONSISTENT_GROUP_PROTOCOL),
    ];
    let mut cases = Vec::new();
    for (what, join, expected) in joins {
        cases.push(Case { what, seen: join.send(client)?.0, expected });
    }
    let beats = [
        ("a member that is none", group, generation, "ghost", code::UNKNOWN_MEMBER_ID),
        ("a group that is none", "nowhere", generation, member.as_str(), code::UNKNOWN_MEMBER_ID),
        ("a generation to come", group, generation + 1, member.as_str(), code::ILLEGAL_GENERATION),
        ("a generation long past", group, generation - 1, member.as_str(), code::ILLEGAL_GENERATION),
        ("no group id", "", generation, member.as_str(), code::INVALID_GROUP_ID),
    ];
    for (what, group, generation, member, expected) in beats {
        cases.push(Case { what, seen: heartbeat(client, group, generation, member)?, expected });
    }
    let stale = sync(client, group, generation + 1, &member, b"")?.0;
    cases.push(Case { what: "another generation syncs", seen: stale, expected: code::ILLEGAL_GENERATION });
    let ghost = sync(client, group, generation, "ghost", b"")?.0;
    cases.push(Case { what: "a ghost syncs", seen: ghost, expected: code::UNKNOWN_MEMBER_ID });
    judge(&cases)?;
    let still = heartbeat(client, group, generation, &member)?;
    ensure!(still == code::NONE, "the good member is answered with {still}");
    let (error, assignment) = sync(client, group, generation, &member, b"")?;
    ensure!(error == code::NONE && assignment == b"mine", "the assignment became {assignment:?} ({error})");
    Ok(())
}

/// Metadata that fills no record, and an assignment that makes no sense.
pub fn contents(client: &mut Client) -> Result<()> {
    let group = "bad-classic-big";
    let (generation, member) = joined(client, group, &vec![7; METADATA_BYTES])?;
    let (error, _) = sync(client, group, generation, &member, b"mine")?;
    let what = "a group of 10 MB";
    judge(&[Case { what, seen: error, expected: code::UNKNOWN_SERVER_ERROR }])?;
    // What an assignment says is the members' business: it comes back as it is, and assigns nothing.
    let group = "bad-classic-nonsense";
    let nonsense = [&[0, 0, 0, 0, 0, 1, 0, 5][..], b"never", &[0, 0, 0, 1, 0, 0, 0, 9], &[0xff; 4]].concat();
    let (generation, member) = joined(client, group, &[0xff; 100])?;
    let (error, assignment) = sync(client, group, generation, &member, &nonsense)?;
    ensure!(error == code::NONE && assignment == nonsense, "nonsense is answered with {error}");
    let seen = commit(client, (group, generation, &member), "never", "")?;
    let what = "a commit for the topic of the nonsense";
    judge(&[Case { what, seen, expected: code::UNKNOWN_TOPIC_OR_PARTITION }])?;
    let still = heartbeat(client, group, generation, &member)?;
    ensure!(still == code::NONE, "the member is answered with {still}");
    Ok(())
}

/// Offsets for topics that are gone, of nobody, and with too much metadata.
pub fn commits(client: &mut Client) -> Result<()> {
    let (topic, doomed, group) = ("bad-classic-commits", "bad-classic-doomed", "bad-classic-commits");
    client.create_topic(topic, 1, &[])?;
    client.create_topic(doomed, 1, &[])?;
    let (generation, member) = joined(client, group, b"")?;
    ensure!(sync(client, group, generation, &member, b"")?.0 == code::NONE, "the group cannot begin");
    let me = (group, generation, member.as_str());
    ensure!(commit(client, me, topic, "kept")? == code::NONE, "a good commit is refused");
    ensure!(
        commit(client, me, doomed, "kept")? == code::NONE,
        "a commit for a topic that is there is refused"
    );
    delete_topic(client, doomed)?;
    let long = "m".repeat(30_000);
    let commits = [
        ("a deleted topic", me, doomed, "", code::UNKNOWN_TOPIC_OR_PARTITION),
        ("too much metadata", me, topic, long.as_str(), code::OFFSET_METADATA_TOO_LARGE),
        ("a member that is none", (group, generation, "ghost"), topic, "", code::UNKNOWN_MEMBER_ID),
        ("another generation", (group, generation + 1, me.2), topic, "", code::ILLEGAL_GENERATION),
        ("an admin while there are members", (group, -1, ""), topic, "", code::UNKNOWN_MEMBER_ID),
        ("a group that is none", ("nowhere", 1, "ghost"), topic, "", code::ILLEGAL_GENERATION),
    ];
    let mut cases = Vec::new();
    for (what, member, topic, metadata, expected) in commits {
        cases.push(Case { what, seen: commit(client, member, topic, metadata)?, expected });
    }
    judge(&cases)?;
    let committed = client.committed_offset(group, topic, 0)?;
    ensure!(committed == (5, "kept".to_owned()), "the good commit became {committed:?}");
    Ok(())
}
