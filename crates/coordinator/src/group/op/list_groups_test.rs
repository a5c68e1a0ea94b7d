use super::*;
use crate::group::testing::{TestContext, commit_request};
use crate::group::testing_records::{consumer_group, share_group, streams_group};

/// A stable group, a group of offsets, and one of each newer protocol.
fn five_groups() -> TestContext {
    let mut records = consumer_group("c", &["m"]);
    records.extend([share_group("s"), streams_group("t")]);
    let mut t = TestContext::on_records(records);
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
