use super::*;
use crate::group::testing::{
    GROUP, TestContext, commit_request, context_of, join_request, static_join_request,
};
use crate::group::testing_records::consumer_group;

fn describe(t: &TestContext, version: i16) -> DescribedGroup {
    let committed = t.context.committed();
    t.shard().describe_groups(committed, &context_of(version), &[GROUP.into()]).remove(0)
}

#[test]
fn a_stable_group() {
    let mut t = TestContext::new();
    let token = t.join(9, &static_join_request(&ByteString::new(), "a"));
    let ids = t.settle(&[token]);
    let group = describe(&t, 6);
    assert_eq!((group.error_code, &group.group_state[..]), (0, "Stable"));
    assert_eq!((&group.protocol_type[..], &group.protocol_data[..]), ("consumer", "range"));
    let member = &group.members[0];
    assert_eq!((&member.member_id, member.group_instance_id.as_deref()), (&ids[0], Some("a")));
    assert_eq!((&member.client_id[..], &member.client_host[..]), ("cliente", "/127.0.0.1"));
    assert_eq!(member.member_assignment, ids[0].clone().into_bytes());
    assert!(!member.member_metadata.is_empty());
}

#[test]
fn a_group_on_its_way() {
    let mut t = TestContext::new();
    let ids = t.stable_group(2);
    t.join(9, &join_request(&ids[0]));
    let group = describe(&t, 6);
    assert_eq!((&group.group_state[..], &group.protocol_data[..]), ("PreparingRebalance", ""));
    assert!(group.members.iter().all(|member| member.member_metadata.is_empty()));
    t.join(9, &join_request(&ids[1]));
    assert_eq!(&describe(&t, 6).group_state[..], "CompletingRebalance");
    t.advance(100_000);
    let group = describe(&t, 6);
    assert_eq!(
        (&group.group_state[..], &group.protocol_type[..], group.members.len()),
        ("Empty", "consumer", 0)
    );
}

#[test]
fn a_group_of_offsets_only() {
    let mut t = TestContext::new();
    t.log.hold = true;
    t.commit_offset(9, &commit_request(-1, &ByteString::new())).unwrap();
    assert_eq!(&describe(&t, 6).group_state[..], "Dead", "not before it is committed");
    t.commit_all();
    let group = describe(&t, 6);
    assert_eq!((&group.group_state[..], &group.protocol_type[..]), ("Empty", ""));
}

#[test]
fn a_group_that_is_not_there() {
    let t = TestContext::new();
    let group = describe(&t, 5);
    assert_eq!((group.error_code, &group.group_state[..]), (0, "Dead"));
    let group = describe(&t, 6);
    assert_eq!(ErrorCode::from_code(group.error_code), ErrorCode::GroupIdNotFound);
    assert_eq!(&group.group_state[..], "Dead");
    assert_eq!(group.error_message.as_deref(), Some("Group grupo not found."));
}

#[test]
fn groups_of_newer_protocols() {
    let t = TestContext::on_records(consumer_group(GROUP, &[]));
    let group = describe(&t, 6);
    assert_eq!(ErrorCode::from_code(group.error_code), ErrorCode::GroupIdNotFound);
    assert_eq!(group.error_message.as_deref(), Some("Group grupo is not a classic group."));
}
