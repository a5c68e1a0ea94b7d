use super::*;
use crate::group::modern::testing::topic_id;
use crate::group::share::ShareGroupRecord;
use crate::group::share::testing::{TestContext, group, initialize_answer};

fn not_initialized(t: &mut TestContext) {
    for request in std::mem::take(&mut t.initialize) {
        let decision = t.manager().share_group_state_not_initialized(t.lookup(&group()), &request);
        t.execute(decision);
    }
}

#[test]
fn what_failed_is_asked_for_again_by_the_next_heartbeat() {
    let mut t = TestContext::new();
    t.heartbeat("m1", 0, Some(&["pedidos"])).unwrap();
    t.answer_initialize(ErrorCode::CoordinatorNotAvailable);
    assert!(t.group().state_partitions().unwrap().initializing.is_empty());
    t.heartbeat("m1", 2, None).unwrap();
    assert_eq!(t.initialize.len(), 1);
    assert_eq!(t.initialize[0].topics[0].partitions[0].start_offset, -1, "it is a new topic again");
    not_initialized(&mut t);
    assert!(t.group().state_partitions().unwrap().initializing.is_empty());
    not_initialized(&mut t);
}

#[test]
fn one_partition_that_failed_fails_them_all() {
    let mut t = TestContext::new();
    t.heartbeat("m1", 0, Some(&["pedidos"])).unwrap();
    let request = t.initialize.remove(0);
    let mut response = initialize_answer(&request, ErrorCode::None);
    response.results[0].partitions[1].error_code = ErrorCode::FencedStateEpoch.code();
    let decision = t.manager().share_group_state_initialized(t.lookup(&group()), &response);
    assert_eq!(t.execute(decision), ErrorCode::FencedStateEpoch);
    let partitions = t.group().state_partitions().unwrap();
    assert!(partitions.initializing.is_empty() && partitions.initialized.is_empty());
}

#[test]
fn an_answer_that_comes_too_late_makes_no_group() {
    let mut t = TestContext::new();
    t.heartbeat("m1", 0, Some(&["pedidos"])).unwrap();
    let request = t.initialize.remove(0);
    t.groups.clear();
    let response = initialize_answer(&request, ErrorCode::None);
    let decision = t.manager().share_group_state_initialized(t.lookup(&group()), &response);
    assert!(decision.records.is_empty());
    let decision = t.manager().share_group_state_not_initialized(t.lookup(&group()), &request);
    assert!(decision.records.is_empty());
}

#[test]
fn topics_that_are_gone_are_forgotten() {
    let mut t = TestContext::new();
    t.stable_group(&["m1"], &["pedidos", "envios"]);
    let cleanup = |t: &TestContext, n| {
        t.manager().cleanup_share_group_state(t.lookup(&group()), &BTreeSet::from([topic_id(n)]))
    };
    assert!(cleanup(&t, 9).records.is_empty());
    let decision = cleanup(&t, 0);
    assert!(matches!(decision.records[..], [ShareGroupRecord::StatePartitionMetadata { .. }]));
    t.execute(decision);
    let initialized = &t.group().state_partitions().unwrap().initialized;
    assert_eq!(initialized.keys().copied().collect::<Vec<_>>(), vec![topic_id(1)]);
}
