use ottla_common::ErrorCode;

use super::*;
use crate::group::consumer::testing::{TestGroup, alive, joins, owns};
use crate::group::modern::testing::topic_id;
use crate::group::op::consumer_group_join::tests::{join, request, upgraded};

fn commit(
    t: &TestGroup,
    api_version: i16,
    member_id: &str,
    member_epoch: i32,
    partition: i32,
) -> Result<(), ConsumerGroupError> {
    let member_id = member_id.into();
    let is_transactional = api_version < 0;
    let committer = Committer {
        member_id: &member_id,
        instance_id: None,
        member_epoch,
        is_transactional,
        api_version: api_version.abs(),
    };
    validate_offset_commit(t.group(), &committer)?.validate(topic_id(0), partition)
}

fn code(result: Result<(), ConsumerGroupError>) -> ErrorCode {
    result.map_or_else(|error| error.code(), |()| ErrorCode::None)
}

/// `m1` went from epoch 2, in which it had everything, to epoch 3, in which it has 0 and 1.
fn moved_on() -> TestGroup {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&joins("m1", &["pagos"]));
    t.ok(&joins("m2", &["pagos"]));
    t.ok(&owns("m1", 2, &[(0, &[0, 1, 2, 3])]));
    t.ok(&owns("m1", 2, &[(0, &[0, 1])]));
    t.ok(&alive("m2", 3));
    t
}

#[test]
fn members_commit_in_their_epoch() {
    let t = moved_on();
    assert_eq!(code(commit(&t, 9, "m1", 3, 0)), ErrorCode::None);
    assert_eq!(code(commit(&t, 9, "m1", 3, 99)), ErrorCode::None, "what it commits for is its own affair");
}

#[test]
fn members_commit_in_an_old_epoch_for_what_they_had_then() {
    let t = moved_on();
    assert_eq!(code(commit(&t, 9, "m1", 2, 0)), ErrorCode::None, "its own since epoch 2");
    assert_eq!(code(commit(&t, 9, "m1", 2, 3)), ErrorCode::StaleMemberEpoch, "another's now");
    assert_eq!(code(commit(&t, 9, "m1", 1, 0)), ErrorCode::StaleMemberEpoch);
    assert_eq!(code(commit(&t, 9, "m2", 2, 3)), ErrorCode::StaleMemberEpoch, "its own since epoch 3");
    assert_eq!(code(commit(&t, 9, "m1", 4, 0)), ErrorCode::StaleMemberEpoch, "an epoch to come");
}

#[test]
fn classic_members_know_generations() {
    let mut t = upgraded();
    join(&mut t, &request("c1", &[0])).unwrap();
    assert_eq!(code(commit(&t, 8, "c1", 8, 0)), ErrorCode::None);
    assert_eq!(code(commit(&t, 8, "c1", 7, 0)), ErrorCode::None, "its own since generation 7");
    assert_eq!(code(commit(&t, 8, "c1", 7, 1)), ErrorCode::IllegalGeneration);
    assert_eq!(code(commit(&t, 8, "c1", 9, 0)), ErrorCode::IllegalGeneration);
}

#[test]
fn old_versions_cannot_say_what_is_wrong() {
    let t = moved_on();
    assert_eq!(code(commit(&t, 8, "m1", 3, 0)), ErrorCode::UnsupportedVersion);
    assert_eq!(code(commit(&t, -5, "m1", 1, 0)), ErrorCode::StaleMemberEpoch, "not so in a transaction");
}

#[test]
fn strangers_commit_to_empty_groups_only() {
    let mut t = moved_on();
    assert_eq!(code(commit(&t, 9, "", -1, 0)), ErrorCode::UnknownMemberId);
    assert_eq!(code(commit(&t, -6, "", -1, 0)), ErrorCode::None, "producers need not say who they are");
    assert_eq!(code(commit(&t, -6, "m9", 3, 0)), ErrorCode::UnknownMemberId);
    t.ok(&alive("m1", -1));
    t.ok(&alive("m2", -1));
    assert_eq!(code(commit(&t, 9, "", -1, 0)), ErrorCode::None);
    assert_eq!(code(commit(&t, 9, "", 1, 0)), ErrorCode::UnknownMemberId);
}

#[test]
fn fetching_is_for_members_and_for_everybody() {
    let mut t = upgraded();
    join(&mut t, &request("c1", &[0])).unwrap();
    let fetch = |member_id: Option<&str>, member_epoch| {
        let member_id = member_id.map(ByteString::from);
        code(validate_offset_fetch(t.group(), member_id.as_ref(), member_epoch))
    };
    assert_eq!(fetch(None, -1), ErrorCode::None);
    assert_eq!(fetch(Some("m1"), 8), ErrorCode::None);
    assert_eq!(fetch(Some("m1"), 7), ErrorCode::StaleMemberEpoch);
    assert_eq!(fetch(Some("c1"), 7), ErrorCode::IllegalGeneration);
    assert_eq!(fetch(Some("m9"), 8), ErrorCode::UnknownMemberId);
    assert_eq!(fetch(None, 8), ErrorCode::UnknownMemberId);
}

#[test]
fn tombstones_take_the_group_away() {
    let mut t = TestGroup::new(&[("pagos", 4)]);
    t.ok(&joins("m1", &["pagos"]));
    t.ok(&alive("m1", -1));
    let mut group = t.group().clone();
    let kinds: Vec<u8> = group.tombstones().iter().map(|record| record.encode().unwrap().0[1]).collect();
    assert_eq!(kinds, [6, 4, 3]);
    let alive: Vec<bool> = t.group().tombstones().iter().map(|record| group.replay(record)).collect();
    assert_eq!(alive, [true, true, false]);
}
