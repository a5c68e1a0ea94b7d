use ottla_common::ErrorCode;

use super::testing::{ACCEPT, LEADER_EPOCH, LOCK_MS, REJECT, RELEASE, RENEW, TestContext, state};
use super::*;
use crate::acknowledgement::AcknowledgementBatch;
use crate::error::SharePartitionError;
use crate::persister::{PersisterError, WriteState};
use crate::record_state::RecordState::{Acknowledged, Archived, Available};

fn refused(t: &mut TestContext, member: &str, first: i64, last: i64, types: &[i8]) -> ErrorCode {
    let error = t.acknowledge(member, first, last, types).unwrap_err();
    assert!(t.written(Ok(())).is_empty(), "nothing changed");
    error.code()
}

#[test]
fn accepted_records_are_done() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    let token = t.acknowledge("a", 0, 4, &[ACCEPT]).unwrap().unwrap();
    let write = WriteState {
        state_epoch: 7,
        leader_epoch: LEADER_EPOCH,
        start_offset: 0,
        delivery_complete_count: 5,
        batches: vec![state(0, 4, Acknowledged, 1)],
    };
    assert!(t.effects().contains(&SharePartitionEffect::WriteState { token, write }));
    assert_eq!(t.offsets(), (0, 9), "not before it is written");
    t.partition.complete_write(t.now_ms, token, Ok(()));
    assert!(t.effects().contains(&SharePartitionEffect::Reply { token, result: Ok(()) }));
    assert_eq!(t.offsets(), (5, 9));

    t.acknowledged("a", 5, 9, ACCEPT);
    assert_eq!((t.offsets(), t.next_fetch_offset()), ((10, 10), 10));
    assert_eq!((t.partition.num_in_flight_records(), t.partition.num_in_flight_batches()), (0, 0));
}

#[test]
fn each_record_may_go_its_own_way() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 5)]);
    let token = t.acknowledge("a", 0, 5, &[ACCEPT, ACCEPT, RELEASE, REJECT, 0, ACCEPT]).unwrap();
    let writes = t.written(Ok(()));
    let batches = [
        state(0, 1, Acknowledged, 1),
        state(2, 2, Available, 1),
        state(3, 4, Archived, 1),
        state(5, 5, Acknowledged, 1),
    ];
    assert!(token.is_some());
    assert_eq!(writes[0].batches, batches);
    assert_eq!((t.offsets(), t.next_fetch_offset()), ((2, 5), 2));
    assert_eq!(t.partition.delivery_complete_count(), 3);
}

#[test]
fn a_batch_may_reach_over_several_acquisitions() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 4)]);
    t.acquire("a", &[(5, 9)]);
    assert_eq!(t.acknowledged("a", 3, 7, ACCEPT), [state(3, 7, Acknowledged, 1)]);
    assert_eq!(t.offsets(), (0, 9));
    t.acknowledged("a", 0, 2, ACCEPT);
    assert_eq!(t.offsets(), (8, 9));
}

#[test]
fn what_is_done_already_may_be_acknowledged_again_with_the_rest() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    t.acknowledged("a", 0, 4, ACCEPT);
    assert_eq!(t.acknowledge("a", 0, 4, &[ACCEPT]), Ok(None), "below the start offset");
    assert_eq!(t.acknowledged("a", 0, 9, ACCEPT), [state(5, 9, Acknowledged, 1)]);
}

#[test]
fn records_that_were_delivered_too_often_are_archived() {
    let config = SharePartitionConfig { delivery_count_limit: 2, ..Default::default() };
    let mut t = TestContext::with(config);
    t.acquire("a", &[(0, 9)]);
    assert_eq!(t.acknowledged("a", 0, 9, RELEASE), [state(0, 9, Available, 1)]);
    t.acquire("a", &[(0, 9)]);
    assert_eq!(t.acknowledged("a", 0, 9, RELEASE), [state(0, 9, Archived, 2)]);
    assert_eq!(t.offsets(), (10, 10));
}

#[test]
fn unknown_types_are_an_invalid_request() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    for types in [&[5][..], &[-1], &[], &[ACCEPT, ACCEPT]] {
        assert_eq!(refused(&mut t, "a", 0, 9, types), ErrorCode::InvalidRequest);
    }
}

#[test]
fn records_past_all_acquired_are_an_invalid_request() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    assert_eq!(refused(&mut t, "a", 5, 10, &[ACCEPT]), ErrorCode::InvalidRequest);
    assert_eq!(refused(&mut t, "a", 10, 12, &[ACCEPT]), ErrorCode::InvalidRequest);
}

#[test]
fn records_that_are_not_in_flight_have_an_invalid_state() {
    let mut t = TestContext::new();
    assert_eq!(refused(&mut t, "a", 0, 9, &[ACCEPT]), ErrorCode::InvalidRecordState);
}

#[test]
fn records_of_another_member_have_an_invalid_state() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 4)]);
    t.acquire("b", &[(5, 9)]);
    assert_eq!(refused(&mut t, "a", 0, 9, &[ACCEPT]), ErrorCode::InvalidRecordState);
    assert_eq!(t.acknowledge("a", 5, 9, &[ACCEPT]), Err(SharePartitionError::NotHolder));
    t.acknowledged("a", 0, 4, ACCEPT);
}

#[test]
fn records_that_nobody_holds_have_an_invalid_state() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    t.acknowledged("a", 3, 4, RELEASE);
    assert_eq!(refused(&mut t, "a", 0, 9, &[ACCEPT]), ErrorCode::InvalidRecordState);
    assert_eq!(t.acknowledge("a", 3, 4, &[ACCEPT]), Err(SharePartitionError::NotAcquired));
}

#[test]
fn records_that_are_being_acknowledged_have_an_invalid_state() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    t.acknowledge("a", 0, 4, &[ACCEPT]).unwrap();
    assert_eq!(t.acknowledge("a", 0, 9, &[ACCEPT]), Err(SharePartitionError::NotAcquired));
}

#[test]
fn all_batches_of_a_request_count_or_none() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 4)]);
    t.acquire("b", &[(5, 9)]);
    let batch = |first_offset, last_offset| AcknowledgementBatch {
        first_offset,
        last_offset,
        acknowledge_types: vec![ACCEPT],
    };
    let result = t.partition.acknowledge(t.now_ms, "a", &[batch(0, 4), batch(5, 9)]);
    assert_eq!(result, Err(SharePartitionError::NotHolder));
    assert!(t.written(Ok(())).is_empty());
    t.acknowledged("a", 0, 4, ACCEPT);
}

#[test]
fn a_failed_write_leaves_records_with_their_member() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    let token = t.acknowledge("a", 0, 9, &[ACCEPT]).unwrap().unwrap();
    assert_eq!(t.written(Err(PersisterError::NotLeaderOrFollower)).len(), 1);
    let error = SharePartitionError::Persister(PersisterError::NotLeaderOrFollower);
    assert!(t.others.contains(&SharePartitionEffect::Reply { token, result: Err(error) }));
    assert!(error.fences());
    assert_eq!((t.offsets(), t.partition.delivery_complete_count()), ((0, 9), 0));
    assert_eq!(t.acquire("b", &[(0, 9)]), []);
    t.acknowledged("a", 0, 9, ACCEPT);
    assert_eq!(t.offsets(), (10, 10));
}

#[test]
fn a_write_is_completed_once() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    let token = t.acknowledge("a", 0, 9, &[RELEASE]).unwrap().unwrap();
    t.written(Ok(()));
    t.acquire("b", &[(0, 9)]);
    t.partition.complete_write(t.now_ms, token, Ok(()));
    assert_eq!(t.acquire("c", &[(0, 9)]), []);
}

#[test]
fn renewing_gives_time_and_is_not_written() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    t.advance(LOCK_MS - 1);
    assert_eq!(t.acknowledge("a", 0, 4, &[RENEW]), Ok(None));
    t.advance(1);
    assert_eq!(t.written(Ok(()))[0].batches, [state(5, 9, Available, 1)]);
    assert_eq!(t.partition.poll_timeout(), Some(1_000 + 2 * LOCK_MS - 1));
    t.acknowledged("a", 0, 4, ACCEPT);
}

#[test]
fn renewing_may_be_turned_off() {
    let config = SharePartitionConfig { renew_acknowledge_enable: false, ..Default::default() };
    let mut t = TestContext::with(config);
    t.acquire("a", &[(0, 9)]);
    assert_eq!(refused(&mut t, "a", 0, 9, &[RENEW]), ErrorCode::InvalidRecordState);
}

#[test]
fn a_fenced_partition_takes_no_acknowledgement() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 9)]);
    t.partition.mark_fenced();
    assert_eq!(refused(&mut t, "a", 0, 9, &[ACCEPT]), ErrorCode::LeaderNotAvailable);
}

#[test]
fn a_session_that_ends_releases_what_its_member_holds() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 4)]);
    t.acquire("b", &[(5, 9)]);
    t.acknowledged("a", 1, 1, ACCEPT);
    let token = t.partition.release_acquired("a").unwrap();
    assert_eq!(t.acquire("b", &[(0, 9)]), [], "not before it is written");
    let writes = t.written(Ok(()));
    assert_eq!(writes[0].batches, [state(0, 0, Available, 1), state(2, 4, Available, 1)]);
    assert!(t.others.contains(&SharePartitionEffect::Reply { token, result: Ok(()) }));
    assert_eq!(t.acquire("b", &[(0, 9)]), [(0, 0, 2), (2, 4, 2)]);
    assert_eq!(t.partition.release_acquired("c"), None);
}

#[test]
fn a_release_that_fails_leaves_the_locks_to_end() {
    let mut t = TestContext::new();
    t.acquire("a", &[(0, 4)]);
    t.partition.release_acquired("a");
    t.written(Err(PersisterError::CoordinatorNotAvailable));
    assert_eq!(t.acquire("b", &[(0, 4)]), []);
    t.advance(LOCK_MS);
    assert_eq!(t.acquire("b", &[(0, 4)]), [(0, 4, 2)]);
}
