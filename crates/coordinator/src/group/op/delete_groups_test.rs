use super::*;
use crate::group::GroupCoordinatorConfig;
use crate::group::testing::{Entry, GROUP, MemoryLog, TestContext, commit_request};
use crate::group::testing_records::{consumer_group, share_group, streams_group};

fn delete(t: &mut TestContext) -> ErrorCode {
    let result = t.shard().delete_groups(&[GROUP.into()]);
    let (results, _) = t.execute(result);
    ErrorCode::from_code(results[0].error_code)
}

#[test]
fn a_group_without_members_goes_with_its_offsets() {
    let mut t = TestContext::new();
    assert_eq!(delete(&mut t), ErrorCode::GroupIdNotFound);
    t.commit_offset(9, &commit_request(-1, &ByteString::new())).unwrap();
    assert_eq!(delete(&mut t), ErrorCode::None);
    assert_eq!((t.state(), t.committed()), ("none", -1));
    let t = t.restarted();
    assert_eq!((t.state(), t.committed()), ("none", -1));
}

#[test]
fn a_group_with_members_stays() {
    let mut t = TestContext::new();
    t.stable_group(1);
    assert_eq!(delete(&mut t), ErrorCode::NonEmptyGroup);
    t.advance(20_000);
    assert_eq!(delete(&mut t), ErrorCode::None);
    assert_eq!(t.restarted().state(), "none");
}

#[test]
fn each_group_is_answered_for_itself() {
    let mut t = TestContext::new();
    t.commit_offset(9, &commit_request(-1, &ByteString::new())).unwrap();
    let result = t.shard().delete_groups(&["otro".into(), GROUP.into()]);
    let (results, _) = t.execute(result);
    let codes: Vec<_> =
        results.iter().map(|r| (&r.group_id[..], ErrorCode::from_code(r.error_code))).collect();
    assert_eq!(codes, vec![("otro", ErrorCode::GroupIdNotFound), (GROUP, ErrorCode::None)]);
}

#[test]
fn offsets_of_transactions_under_way_go_too() {
    let entries = vec![TestContext::transactional_entry(9, 500)];
    let log = MemoryLog { high_watermark: 1, entries, ..Default::default() };
    let mut t = TestContext::on(GroupCoordinatorConfig::default(), log, 0);
    assert_eq!(delete(&mut t), ErrorCode::None);
    t.log.entries.push(Entry::Marker(9, crate::runtime::TransactionResult::Commit));
    let t = t.restarted();
    assert_eq!((t.state(), t.committed()), ("none", -1));
}

#[test]
fn groups_of_newer_protocols_leave_no_trace() {
    let kinds = |t: &TestContext, from: usize| -> Vec<u8> {
        t.records()[from..].iter().map(|record| record.encode().unwrap().0[1]).collect()
    };
    let mut t = TestContext::on_records(consumer_group(GROUP, &["m"]));
    assert_eq!(delete(&mut t), ErrorCode::NonEmptyGroup);
    t.advance(45_000);
    assert_eq!(kinds(&t, 4), [8, 7, 5, 3, 6], "the member's session is over");
    assert_eq!(delete(&mut t), ErrorCode::None);
    assert_eq!(kinds(&t, 9), [6, 4, 3], "the group itself is last");
    assert!(t.restarted().shard().group(&GROUP.into()).is_none());
    for (other, deleted) in [(share_group(GROUP), [12, 15, 11]), (streams_group(GROUP), [20, 17, 23])] {
        let mut t = TestContext::on_records(vec![other]);
        assert_eq!(delete(&mut t), ErrorCode::None);
        assert_eq!(kinds(&t, 1), deleted);
        assert!(t.restarted().shard().group(&GROUP.into()).is_none());
    }
}
