use super::testing::{ACCEPT, LOCK_MS, REJECT, RELEASE, TestContext, state};
use super::*;
use crate::effect::DeadLetterCause::{ClientReject, DeliveryCountExceeded};
use crate::persister::PersisterError;
use crate::record_state::RecordState::{Archived, Archiving};

fn with_queue() -> TestContext {
    let config =
        SharePartitionConfig { dead_letter_queue: true, delivery_count_limit: 2, ..Default::default() };
    TestContext::with(config)
}

#[test]
fn rejected_records_go_to_the_queue_before_they_are_archived() {
    let mut t = with_queue();
    t.acquire("a", &[(0, 9)]);
    assert_eq!(t.acknowledged("a", 0, 4, REJECT), [state(0, 4, Archiving, 1)]);
    assert_eq!((t.offsets(), t.partition.delivery_complete_count()), ((0, 9), 0));
    let range = DeadLetterRange { first_offset: 0, last_offset: 4, delivery_count: 1, cause: ClientReject };
    assert_eq!(t.dead_letters(), [range]);
    let writes = t.written(Ok(()));
    assert_eq!(writes[0].batches, [state(0, 4, Archived, 1)]);
    assert_eq!(writes[0].delivery_complete_count, 5);
    assert_eq!(t.offsets(), (5, 9));
}

#[test]
fn records_on_their_way_are_nobodys() {
    let mut t = with_queue();
    t.acquire("a", &[(0, 9)]);
    t.acknowledged("a", 0, 9, REJECT);
    assert_eq!(t.acquire("b", &[(0, 9)]), []);
    assert!(t.acknowledge("a", 0, 9, &[ACCEPT]).is_err());
    t.advance(2 * LOCK_MS);
    assert_eq!(t.next_fetch_offset(), 10);
}

#[test]
fn records_that_were_delivered_too_often_go_to_the_queue() {
    let mut t = with_queue();
    t.acquire("a", &[(0, 9)]);
    t.acknowledged("a", 0, 9, RELEASE);
    t.acquire("a", &[(0, 9)]);
    t.acknowledged("a", 0, 4, RELEASE);
    t.advance(LOCK_MS);
    let letters = t.dead_letters();
    assert_eq!(letters.iter().map(|range| range.cause).collect::<Vec<_>>(), [DeliveryCountExceeded; 2]);
    assert_eq!((letters[0].first_offset, letters[1].last_offset), (0, 9));
    t.written(Ok(()));
    assert_eq!(t.offsets(), (10, 10));
}

#[test]
fn a_session_that_ends_sends_its_hopeless_records_to_the_queue() {
    let mut t = with_queue();
    t.acquire("a", &[(0, 9)]);
    t.acknowledged("a", 0, 9, RELEASE);
    t.acquire("a", &[(0, 9)]);
    t.partition.release_acquired("a");
    assert_eq!(t.dead_letters()[0].cause, DeliveryCountExceeded);
}

#[test]
fn gaps_do_not_go_to_the_queue() {
    let mut t = with_queue();
    t.acquire("a", &[(0, 9)]);
    assert_eq!(t.acknowledged("a", 0, 9, 0), [state(0, 9, Archived, 1)]);
    assert!(t.dead_letters().is_empty());
}

#[test]
fn nothing_goes_to_the_queue_before_that_is_written() {
    let mut t = with_queue();
    t.acquire("a", &[(0, 9)]);
    t.acknowledge("a", 0, 9, &[REJECT]).unwrap();
    t.written(Err(PersisterError::CoordinatorNotAvailable));
    assert!(t.dead_letters().is_empty());
    t.acknowledged("a", 0, 9, ACCEPT);
    assert_eq!(t.offsets(), (10, 10));
}

#[test]
fn records_that_arrived_are_archived_though_that_cannot_be_written() {
    let mut t = with_queue();
    t.acquire("a", &[(0, 9)]);
    t.acknowledged("a", 0, 9, REJECT);
    assert_eq!(t.dead_letters().len(), 1);
    t.written(Err(PersisterError::Unknown));
    assert_eq!(t.offsets(), (10, 10));
}

#[test]
fn records_that_the_log_lost_meanwhile_go_all_the_same() {
    let mut t = with_queue();
    t.acquire("a", &[(0, 9)]);
    let token = t.acknowledge("a", 0, 9, &[REJECT]).unwrap().unwrap();
    t.partition.update_log_start_offset(20);
    t.partition.complete_write(t.now_ms, token, Ok(()));
    let letters = t.dead_letters();
    assert_eq!((letters[0].first_offset, letters[0].last_offset), (0, 9));
    assert!(t.written(Ok(())).is_empty(), "nobody is to know");
}

#[test]
fn without_a_queue_records_are_archived_at_once() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    assert_eq!(t.acknowledged("a", 0, 9, REJECT), [state(0, 9, Archived, 1)]);
    assert!(t.dead_letters().is_empty());
}
