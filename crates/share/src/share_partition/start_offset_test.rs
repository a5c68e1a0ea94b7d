use super::testing::{ACCEPT, LOCK_MS, REJECT, RELEASE, TestContext, state};
use super::*;
use crate::record_state::RecordState::{Acknowledged, Archived};

#[test]
fn the_start_offset_waits_for_the_slowest() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 4)]);
    t.acquire("b", &[(5, 9)]);
    t.acquire("c", &[(10, 14)]);
    t.acknowledged("c", 10, 14, ACCEPT);
    t.acknowledged("b", 5, 7, REJECT);
    assert_eq!((t.offsets(), t.partition.delivery_complete_count()), ((0, 14), 8));
    t.acknowledged("a", 0, 4, ACCEPT);
    assert_eq!((t.offsets(), t.partition.delivery_complete_count()), ((8, 14), 5));
    t.acknowledged("b", 8, 9, ACCEPT);
    assert_eq!((t.offsets(), t.partition.delivery_complete_count()), ((15, 15), 0));
}

#[test]
fn writes_that_are_under_way_hold_the_start_offset() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    let first = t.acknowledge("a", 0, 4, &[ACCEPT]).unwrap().unwrap();
    let second = t.acknowledge("a", 5, 9, &[ACCEPT]).unwrap().unwrap();
    t.partition.complete_write(t.now_ms, second, Ok(()));
    assert_eq!(t.offsets(), (0, 9));
    t.partition.complete_write(t.now_ms, first, Ok(()));
    assert_eq!(t.offsets(), (10, 10));
}

#[test]
fn a_log_that_is_cut_takes_records_in_flight_along() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 4)]);
    t.acquire("b", &[(5, 14)]);
    t.partition.update_log_start_offset(8);
    assert_eq!((t.offsets(), t.next_fetch_offset()), ((8, 14), 15));
    assert_eq!(t.acknowledge("a", 0, 4, &[ACCEPT]), Ok(None));
    assert_eq!(t.acknowledged("b", 5, 14, ACCEPT), [state(8, 14, Acknowledged, 1)]);
    assert_eq!(t.offsets(), (15, 15));
}

#[test]
fn a_log_that_is_cut_behind_all_leaves_nothing() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 4)]);
    t.acknowledged("a", 2, 2, RELEASE);
    t.partition.update_log_start_offset(20);
    assert_eq!((t.offsets(), t.next_fetch_offset()), ((20, 20), 20));
    assert_eq!(t.partition.num_in_flight_records(), 0);
    assert!(t.effects().contains(&SharePartitionEffect::CheckDelayedFetches));
    t.advance(LOCK_MS);
    assert!(t.written(Ok(())).is_empty());
    assert_eq!(t.acquire("a", &[(20, 24)]), [(20, 24, 1)]);
}

#[test]
fn a_log_start_below_the_start_offset_changes_nothing() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    t.acknowledged("a", 0, 4, ACCEPT);
    t.partition.update_log_start_offset(3);
    assert_eq!(t.offsets(), (5, 9));
}

#[test]
fn a_write_that_is_under_way_survives_a_cut() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    let token = t.acknowledge("a", 0, 9, &[ACCEPT]).unwrap().unwrap();
    t.partition.update_log_start_offset(5);
    t.partition.complete_write(t.now_ms, token, Ok(()));
    assert!(t.effects().contains(&SharePartitionEffect::Reply { token, result: Ok(()) }));
    assert_eq!(t.offsets(), (10, 10));
}

#[test]
fn a_release_that_is_under_way_does_not_bring_back_what_compaction_took() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    t.acquire("b", &[(10, 19)]);
    t.acknowledged("b", 10, 12, RELEASE);
    let token = t.acknowledge("b", 13, 19, &[RELEASE]).unwrap().unwrap();
    assert_eq!(t.acquire("c", &[(20, 29)]), [(20, 29, 1)]);
    t.partition.complete_write(t.now_ms, token, Ok(()));
    assert_eq!(t.next_fetch_offset(), 30);
    assert_eq!(t.partition.delivery_complete_count(), 10);
}

#[test]
fn archived_records_count_as_done() {
    let config = SharePartitionConfig { delivery_count_limit: 2, ..Default::default() };
    let mut t = TestContext::with(config);
    t.acquire("a", &[(0, 9)]);
    assert_eq!(t.acknowledged("a", 3, 5, REJECT), [state(3, 5, Archived, 1)]);
    assert_eq!(t.partition.delivery_complete_count(), 3);
}
