use super::*;
use crate::group::share::testing::{TestContext, delete_answer, group};
use crate::group::share::{ShareGroupRecord, first_delete_error};

fn delete(t: &mut TestContext) -> ShareGroupDeletion {
    let decision = t.manager().share_group_deletion(&group(), t.lookup(&group()));
    t.execute(decision)
}

fn tombstones(t: &mut TestContext) {
    let records: Vec<ShareGroupRecord> = t.group().tombstones();
    assert!(records.iter().all(ShareGroupRecord::is_tombstone));
    t.execute(ShareDecision::with_records(records, ()));
}

#[test]
fn a_group_goes_after_its_states() {
    let mut t = TestContext::new();
    t.stable_group(&["m1"], &["pedidos", "envios"]);
    t.heartbeat("m1", -1, None).unwrap();
    let ShareGroupDeletion::Forget(request) = delete(&mut t) else { panic!("states to forget") };
    assert_eq!(t.kinds(), vec![15]);
    assert_eq!(request.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>(), 5);
    let state = t.group().state_partitions().unwrap();
    assert!(state.initialized.is_empty() && state.initializing.is_empty());
    assert_eq!(state.deleting.len(), 2);
    let failed = delete_answer(&request, ErrorCode::NotCoordinator);
    assert_eq!(first_delete_error(&failed), ErrorCode::NotCoordinator);
    assert_eq!(delete(&mut t), ShareGroupDeletion::Forget(request.clone()), "it may be tried again");
    assert_eq!(first_delete_error(&delete_answer(&request, ErrorCode::None)), ErrorCode::None);
    tombstones(&mut t);
    assert_eq!(t.kinds(), vec![-12, -15, -11]);
    assert!(t.restarted().groups.is_empty());
}

#[test]
fn a_group_with_members_stays() {
    let mut t = TestContext::new();
    t.stable_group(&["m1"], &["pedidos"]);
    assert_eq!(delete(&mut t), ShareGroupDeletion::Refused(ErrorCode::NonEmptyGroup));
}

#[test]
fn what_has_no_states_proceeds() {
    let mut t = TestContext::new();
    assert_eq!(delete(&mut t), ShareGroupDeletion::Proceed, "no group");
    t.others.insert(group());
    assert_eq!(delete(&mut t), ShareGroupDeletion::Proceed, "another type");
    t.others.clear();
    t.heartbeat("m1", 0, Some(&["nada"])).unwrap();
    t.heartbeat("m1", -1, None).unwrap();
    assert_eq!(delete(&mut t), ShareGroupDeletion::Proceed, "never initialized");
    tombstones(&mut t);
    assert!(t.restarted().groups.is_empty());
}

#[test]
fn tombstones_take_members_along() {
    let mut t = TestContext::new();
    t.stable_group(&["m1", "m2"], &["pedidos"]);
    tombstones(&mut t);
    assert_eq!(t.kinds(), vec![-14, -14, -13, -13, -12, -10, -10, -15, -11]);
    assert!(t.restarted().groups.is_empty());
}
