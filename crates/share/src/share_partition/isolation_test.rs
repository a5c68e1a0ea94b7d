use std::sync::Arc;

use super::testing::{ACCEPT, Range, TestContext, batch};
use super::*;
use crate::fetched::{AbortedTransaction, Fetched, FetchedBatch};

const PRODUCER: i64 = 42;

fn transactional(base_offset: i64, last_offset: i64) -> FetchedBatch {
    FetchedBatch { producer_id: Some(PRODUCER), transactional: true, ..batch(base_offset, last_offset) }
}

fn marker(offset: i64) -> FetchedBatch {
    FetchedBatch { abort_marker: true, ..transactional(offset, offset) }
}

fn acquire(t: &mut TestContext, batches: &[FetchedBatch], read_committed: bool) -> Vec<Range> {
    let aborted_transactions = [AbortedTransaction { producer_id: PRODUCER, first_offset: 0 }];
    let request = AcquireRequest {
        member_id: &Arc::from("a"),
        mode: ShareAcquireMode::BatchOptimized,
        batch_size: 1_000,
        max_fetch_records: 1_000,
        fetch_offset: t.next_fetch_offset(),
        read_committed,
    };
    t.acquire_as(&request, &Fetched { batches, aborted_transactions: &aborted_transactions })
}

#[test]
fn aborted_records_are_not_handed_out() {
    let mut t = TestContext::new();
    let batches =
        [batch(0, 4), transactional(5, 9), batch(10, 14), transactional(15, 15), marker(16), batch(17, 19)];
    let got = acquire(&mut t, &batches, true);
    assert_eq!(got, [(0, 4, 1), (10, 14, 1), (16, 19, 1)]);
    assert_eq!(t.partition.delivery_complete_count(), 6);
    t.acknowledged("a", 0, 4, ACCEPT);
    assert_eq!(t.offsets(), (10, 19));
}

#[test]
fn those_who_read_uncommitted_get_them() {
    let mut t = TestContext::new();
    assert_eq!(acquire(&mut t, &[batch(0, 4), transactional(5, 9), marker(10)], false), [(0, 10, 1)]);
}

#[test]
fn a_transaction_that_begins_after_the_marker_is_another() {
    let mut t = TestContext::new();
    let got = acquire(&mut t, &[transactional(0, 4), marker(5), transactional(6, 9)], true);
    assert_eq!(got, [(5, 9, 1)]);
    assert_eq!(t.offsets(), (5, 9));
}

#[test]
fn nothing_but_aborted_records_does_not_fill_the_room() {
    let config = SharePartitionConfig { partition_max_record_locks: 10, ..Default::default() };
    let mut t = TestContext::with(config);
    assert_eq!(acquire(&mut t, &[transactional(0, 19)], true), []);
    assert_eq!((t.offsets(), t.next_fetch_offset()), ((20, 20), 20));
    assert!(t.partition.can_acquire_records());
}
