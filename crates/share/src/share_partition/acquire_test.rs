use std::sync::Arc;

use super::testing::{ACCEPT, RELEASE, TestContext, batch};
use super::*;
use crate::fetched::Fetched;

const RECORD_LIMIT: ShareAcquireMode = ShareAcquireMode::RecordLimit;
const BATCH_OPTIMIZED: ShareAcquireMode = ShareAcquireMode::BatchOptimized;

#[test]
fn new_records_are_acquired_in_whole_batches() {
    let mut t = TestContext::new();
    assert_eq!(t.acquire("a", &[(0, 4), (5, 9)]), [(0, 9, 1)]);
    assert_eq!((t.offsets(), t.next_fetch_offset()), ((0, 9), 10));
    assert_eq!(t.partition.num_in_flight_records(), 10);
    assert_eq!(t.acquire("b", &[(10, 14)]), [(10, 14, 1)]);
}

#[test]
fn what_somebody_holds_is_not_acquired() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    assert_eq!(t.acquire("b", &[(0, 9)]), []);
    assert_eq!(t.acquire("b", &[(0, 9), (10, 12)]), [(10, 12, 1)]);
}

#[test]
fn large_ranges_are_cut_where_batches_of_the_log_begin() {
    let mut t = TestContext::new();
    let batches = [batch(0, 2), batch(3, 5), batch(6, 8), batch(9, 9)];
    let request = AcquireRequest {
        member_id: &Arc::from("a"),
        mode: BATCH_OPTIMIZED,
        batch_size: 5,
        max_fetch_records: 1_000,
        fetch_offset: 0,
        read_committed: false,
    };
    let fetched = Fetched { batches: &batches, aborted_transactions: &[] };
    assert_eq!(t.acquire_as(&request, &fetched), [(0, 5, 1), (6, 9, 1)]);
    assert_eq!(t.partition.num_in_flight_batches(), 2);
}

#[test]
fn a_batch_of_the_log_counts_as_one_in_batch_optimized_mode() {
    let mut t = TestContext::new();
    let got = t.acquire_limited("a", BATCH_OPTIMIZED, 3, &[(0, 4), (5, 9)]);
    assert_eq!(got, [(0, 4, 1)]);
    assert_eq!(t.next_fetch_offset(), 5);
}

#[test]
fn a_limit_is_a_limit_in_record_limit_mode() {
    let mut t = TestContext::new();
    assert_eq!(t.acquire_limited("a", RECORD_LIMIT, 3, &[(0, 4), (5, 9)]), [(0, 2, 1)]);
    assert_eq!((t.offsets(), t.next_fetch_offset()), ((0, 4), 3));
    let got = t.acquire_limited("b", RECORD_LIMIT, 3, &[(0, 4), (5, 9)]);
    assert_eq!(got, [(3, 4, 1), (5, 5, 1)]);
    assert_eq!((t.offsets(), t.next_fetch_offset()), ((0, 9), 6));
}

#[test]
fn released_records_come_again() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    t.acknowledged("a", 4, 6, RELEASE);
    assert_eq!(t.next_fetch_offset(), 4);
    assert_eq!(t.acquire("b", &[(0, 9), (10, 19)]), [(4, 6, 2), (10, 19, 1)]);
}

#[test]
fn no_more_records_are_in_flight_than_may_be() {
    let config = SharePartitionConfig { partition_max_record_locks: 10, ..Default::default() };
    let mut t = TestContext::with(config);
    assert!(t.partition.can_acquire_records());
    assert_eq!(t.acquire("a", &[(0, 4), (5, 9), (10, 14)]), [(0, 9, 1)]);
    assert!(!t.partition.can_acquire_records());
    assert_eq!(t.acquire("b", &[(10, 14)]), []);

    t.acknowledged("a", 3, 3, RELEASE);
    assert!(t.partition.can_acquire_records());
    assert_eq!(t.acquire("b", &[(0, 4), (5, 9), (10, 14)]), [(3, 3, 2)]);

    t.acknowledged("a", 0, 2, ACCEPT);
    assert!(t.partition.can_acquire_records());
    assert_eq!(t.acquire("b", &[(10, 14)]), [(10, 14, 1)], "a batch may go beyond the limit");
}

#[test]
fn a_request_for_nothing_gets_nothing() {
    let mut t = TestContext::new();
    assert_eq!(t.acquire("a", &[]), []);
    assert_eq!(t.acquire_limited("a", BATCH_OPTIMIZED, 0, &[(0, 9)]), []);
    assert_eq!(t.acquire_limited("a", BATCH_OPTIMIZED, -1, &[(0, 9)]), []);
    assert_eq!(t.partition.poll_timeout(), None);
}

#[test]
fn only_an_active_partition_hands_out_records() {
    let mut t = TestContext::new();
    t.partition.mark_fenced();
    assert_eq!(t.acquire("a", &[(0, 9)]), []);
    assert!(!t.partition.maybe_acquire_fetch_lock(Uuid::ONE));
}

#[test]
fn one_fetch_at_a_time_acquires() {
    let mut t = TestContext::new();
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    assert!(t.partition.maybe_acquire_fetch_lock(one));
    assert!(!t.partition.maybe_acquire_fetch_lock(two));
    assert!(!t.partition.release_fetch_lock(two));
    assert!(t.partition.release_fetch_lock(one));
    assert!(t.partition.maybe_acquire_fetch_lock(two));
}

#[test]
fn records_that_compaction_took_are_archived() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    t.acquire("b", &[(10, 19)]);
    t.acknowledged("a", 0, 9, RELEASE);
    assert_eq!(t.next_fetch_offset(), 0);
    assert_eq!(t.acquire("c", &[(20, 29)]), [(20, 29, 1)], "the log has nothing before");
    assert_eq!((t.offsets(), t.next_fetch_offset()), ((10, 29), 30));
}

#[test]
fn a_log_that_begins_later_than_the_group_moves_the_group() {
    let mut t = TestContext::new();
    assert_eq!(t.acquire("a", &[(5, 9)]), [(5, 9, 1)]);
    assert_eq!(t.offsets(), (5, 9));
}

#[test]
fn a_batch_that_reaches_below_the_start_offset_is_acquired_from_there() {
    let mut t = TestContext::restored(SharePartitionConfig::default(), 5, &[]);
    assert_eq!(t.acquire("a", &[(0, 9)]), [(5, 9, 1)]);
}

#[test]
fn offsets_between_batches_are_acquired_with_them_and_not_without() {
    let mut t = TestContext::new();
    assert_eq!(t.acquire("a", &[(0, 4), (8, 9)]), [(0, 9, 1)]);
    assert_eq!(t.acquire("a", &[(15, 19)]), [(15, 19, 1)]);
    t.acknowledged("a", 0, 9, ACCEPT);
    assert_eq!(t.offsets(), (15, 19), "there is nothing between 10 and 14");
}

#[test]
fn portions_shrink_until_each_record_comes_alone() {
    let mut t = TestContext::new();
    for delivery in 1..=3 {
        assert_eq!(t.acquire("a", &[(0, 99)]), [(0, 99, delivery)]);
        t.acknowledged("a", 0, 99, RELEASE);
    }
    assert_eq!(t.acquire("a", &[(0, 99)]), [(0, 49, 4)]);
    assert_eq!(t.acquire("b", &[(0, 99)]), [(50, 99, 4)]);
    t.acknowledged("a", 0, 49, RELEASE);
    assert_eq!(t.acquire("a", &[(0, 99)]), [(0, 0, 5)]);
    assert_eq!(t.acquire("c", &[(0, 99), (100, 120)]), [(1, 1, 5)]);
}

#[test]
fn suspects_do_not_come_with_others() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    t.acquire("b", &[(10, 19)]);
    for delivery in 2..=3 {
        t.acknowledged("b", 10, 19, RELEASE);
        assert_eq!(t.acquire("b", &[(10, 19)]), [(10, 19, delivery)]);
    }
    t.acknowledged("b", 10, 19, RELEASE);
    t.acknowledged("a", 0, 9, RELEASE);
    assert_eq!(t.acquire("c", &[(0, 9), (10, 19)]), [(0, 9, 2)]);
    assert_eq!(t.acquire("c", &[(10, 19), (20, 29)]), [(10, 14, 4)]);
}
