use super::*;
use crate::group::GroupCoordinatorConfig;
use crate::group::testing::{Entry, GROUP, MemoryLog, TestContext, commit_request};
use bytes::Bytes;

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
    let foreign = |key: &'static [u8]| {
        let kind = i16::from_be_bytes([key[0], key[1]]);
        let value = Some(Bytes::from_static(b"\0\0"));
        Entry::Record(
            -1,
            GroupRecord::Foreign { kind, group: GROUP.into(), key: Bytes::from_static(key), value },
        )
    };
    let entries = vec![
        foreign(b"\0\x05\0\x05grupo\0\x01m"),
        foreign(b"\0\x03\0\x05grupo"),
        foreign(b"\0\x06\0\x05grupo"),
        foreign(b"\0\x07\0\x05grupo\0\x01m"),
        foreign(b"\0\x08\0\x05grupo\0\x01m"),
    ];
    let log = MemoryLog { high_watermark: 5, entries, ..Default::default() };
    let mut t = TestContext::on(GroupCoordinatorConfig::default(), log, 0);
    assert_eq!(delete(&mut t), ErrorCode::NonEmptyGroup);
    t.advance(45_000);
    let kinds = |t: &TestContext, from: usize| -> Vec<i16> {
        let kind = |record: &GroupRecord| match record {
            GroupRecord::Foreign { kind, value: None, .. } => *kind,
            other => panic!("{other:?}"),
        };
        t.records()[from..].iter().map(kind).collect()
    };
    assert_eq!(kinds(&t, 5), vec![8, 7, 5], "the members' sessions are over");
    assert_eq!(delete(&mut t), ErrorCode::None);
    assert_eq!(kinds(&t, 8), vec![6, 3], "the group itself is last");
    assert!(t.restarted().shard().group(&GROUP.into()).is_none());
}
