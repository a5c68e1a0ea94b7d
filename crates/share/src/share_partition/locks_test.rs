use super::testing::{ACCEPT, LOCK_MS, RELEASE, TestContext, state};
use super::*;
use crate::persister::PersisterError;
use crate::record_state::RecordState::{Archived, Available};

#[test]
fn a_lock_ends_and_the_records_are_available() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    assert_eq!(t.partition.poll_timeout(), Some(1_000 + LOCK_MS));
    t.advance(LOCK_MS - 1);
    assert!(t.written(Ok(())).is_empty());
    t.advance(1);
    assert_eq!(t.written(Ok(()))[0].batches, [state(0, 9, Available, 1)]);
    assert!(t.others.contains(&SharePartitionEffect::LocksTimedOut { records: 10 }));
    assert!(t.others.contains(&SharePartitionEffect::CheckDelayedFetches));
    assert_eq!(t.partition.poll_timeout(), None);
    assert!(t.acknowledge("a", 0, 9, &[ACCEPT]).is_err(), "too late");
    assert_eq!(t.acquire("b", &[(0, 9)]), [(0, 9, 2)]);
}

#[test]
fn each_lock_has_its_own_end() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 4)]);
    t.advance(10);
    t.acquire("b", &[(5, 9)]);
    t.advance(LOCK_MS - 10);
    assert_eq!(t.written(Ok(()))[0].batches, [state(0, 4, Available, 1)]);
    assert_eq!(t.partition.poll_timeout(), Some(1_010 + LOCK_MS));
    t.advance(10);
    assert_eq!(t.written(Ok(()))[0].batches, [state(5, 9, Available, 1)]);
}

#[test]
fn records_are_available_though_that_cannot_be_written() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    t.advance(LOCK_MS);
    t.written(Err(PersisterError::CoordinatorNotAvailable));
    assert_eq!(t.acquire("b", &[(0, 9)]), [(0, 9, 2)]);
}

#[test]
fn records_whose_last_lock_ends_are_archived() {
    let config = SharePartitionConfig { delivery_count_limit: 2, ..Default::default() };
    let mut t = TestContext::with(config);
    for _ in 0..2 {
        t.acquire("a", &[(0, 9)]);
        t.advance(LOCK_MS);
    }
    assert_eq!(t.written(Ok(()))[1].batches, [state(0, 9, Archived, 2)]);
    assert_eq!((t.offsets(), t.next_fetch_offset()), ((10, 10), 10));
}

#[test]
fn an_acknowledgement_in_time_counts_though_its_write_takes_longer() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    t.acknowledge("a", 0, 9, &[ACCEPT]).unwrap();
    t.advance(LOCK_MS);
    assert_eq!(t.acquire("b", &[(0, 9)]), []);
    t.written(Ok(()));
    assert_eq!(t.offsets(), (10, 10));
}

#[test]
fn a_lock_that_ended_while_a_write_failed_releases_the_records() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    t.acknowledge("a", 0, 9, &[ACCEPT]).unwrap();
    t.advance(LOCK_MS);
    let writes = t.written(Err(PersisterError::Unknown));
    assert_eq!(writes[1].batches, [state(0, 9, Available, 1)]);
    assert_eq!(t.acquire("b", &[(0, 9)]), [(0, 9, 2)]);
}

#[test]
fn changed_configurations_are_for_new_locks() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 4)]);
    t.partition.update_config(SharePartitionConfig { record_lock_duration_ms: 50_000, ..Default::default() });
    assert_eq!(t.partition.acquisition_lock_timeout_ms(), 50_000);
    t.acquire("b", &[(5, 9)]);
    t.advance(LOCK_MS);
    assert_eq!(t.written(Ok(()))[0].batches, [state(0, 4, Available, 1)]);
    assert_eq!(t.partition.poll_timeout(), Some(51_000));
}

#[test]
fn waking_up_early_does_no_harm() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 4)]);
    t.advance(10);
    t.acquire("b", &[(5, 9)]);
    t.acknowledged("a", 0, 4, RELEASE);
    let wake_up = t.partition.poll_timeout().unwrap();
    assert!(wake_up < 1_010 + LOCK_MS, "nobody holds the records of the first lock any more");
    t.advance(LOCK_MS - 10);
    assert!(t.written(Ok(())).is_empty());
    assert_eq!(t.partition.poll_timeout(), Some(1_010 + LOCK_MS));
}
