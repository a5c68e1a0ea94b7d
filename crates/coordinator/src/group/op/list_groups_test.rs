use bytes::Bytes;

use super::*;
use crate::group::testing::{Entry, MemoryLog, TestContext, commit_request};
use crate::group::{GroupCoordinatorConfig, GroupRecord};

/// A stable group, a group of offsets, and one of each newer protocol.
fn five_groups() -> TestContext {
    let foreign = |group: &'static str, key: &'static [u8]| {
        let kind = i16::from_be_bytes([key[0], key[1]]);
        let (key, value) = (Bytes::from_static(key), Some(Bytes::from_static(b"\0\0")));
        let group = ByteString::from_static(group);
        Entry::Record(-1, GroupRecord::Foreign { kind, group, key, value })
    };
    let entries = vec![
        foreign("c", b"\0\x03\0\x01c"),
        foreign("c", b"\0\x05\0\x01c\0\x01m"),
        foreign("s", b"\0\x0b\0\x01s"),
        foreign("t", b"\0\x11\0\x01t"),
    ];
    let log = MemoryLog { high_watermark: 4, entries, ..Default::default() };
    let mut t = TestContext::on(GroupCoordinatorConfig::default(), log, 0);
    t.stable_group(1);
    let mut commit = commit_request(-1, &ByteString::new());
    commit.group_id = "offsets".into();
    t.commit_offset(9, &commit).unwrap();
    t
}

fn list(t: &TestContext, states: &[&'static str], types: &[&'static str]) -> Vec<String> {
    let request = ListGroupsRequest {
        states_filter: states.iter().map(|s| ByteString::from_static(s)).collect(),
        types_filter: types.iter().map(|s| ByteString::from_static(s)).collect(),
        ..Default::default()
    };
    let groups = t.shard().list_groups(t.context.committed(), &request);
    groups.iter().map(|g| g.group_id.to_string()).collect()
}

#[test]
fn every_group_with_what_is_known_of_it() {
    let t = five_groups();
    let groups = t.shard().list_groups(t.context.committed(), &ListGroupsRequest::default());
    let told: Vec<_> = groups
        .iter()
        .map(|g| (&g.group_id[..], &g.protocol_type[..], &g.group_state[..], &g.group_type[..]))
        .collect();
    assert_eq!(
        told,
        vec![
            ("c", "consumer", "Stable", "consumer"),
            ("grupo", "consumer", "Stable", "classic"),
            ("offsets", "", "Empty", "classic"),
            ("s", "share", "Empty", "share"),
            ("t", "streams", "Empty", "streams"),
        ]
    );
}

#[test]
fn filters() {
    let t = five_groups();
    assert_eq!(list(&t, &["Empty"], &[]), vec!["offsets", "s", "t"]);
    assert_eq!(list(&t, &[" stable", "DEAD"], &[]), vec!["c", "grupo"]);
    assert_eq!(list(&t, &[], &["Classic"]), vec!["grupo", "offsets"]);
    assert_eq!(list(&t, &["stable"], &["consumer", "share"]), vec!["c"]);
    assert!(list(&t, &["nothing"], &[]).is_empty());
    assert!(list(&t, &[], &["unheard-of"]).is_empty());
}

#[test]
fn a_group_shows_when_it_is_committed() {
    let mut t = TestContext::new();
    t.log.hold = true;
    t.new_member_id();
    assert!(list(&t, &[], &[]).is_empty());
    t.commit_all();
    assert_eq!(list(&t, &[], &[]), vec!["grupo"]);
}
