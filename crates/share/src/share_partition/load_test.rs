use ottla_common::ErrorCode;

use super::testing::{ACCEPT, LEADER_EPOCH, RELEASE, TestContext, state};
use super::*;
use crate::config::ShareAutoOffsetReset;
use crate::effect::DeadLetterCause;
use crate::error::SharePartitionError;
use crate::persister::{PersisterError, PersisterStateBatch, UNINITIALIZED_START_OFFSET};
use crate::record_state::RecordState::{Acknowledged, Acquired, Archived, Archiving, Available};

fn restored(start_offset: i64, batches: &[PersisterStateBatch]) -> TestContext {
    TestContext::restored(SharePartitionConfig::default(), start_offset, batches)
}

fn loading() -> SharePartition {
    let mut partition = SharePartition::new(LEADER_EPOCH, SharePartitionConfig::default());
    let _ = partition.maybe_initialize();
    partition
}

fn read(start_offset: i64, batches: &[PersisterStateBatch]) -> ReadState {
    ReadState { state_epoch: 7, start_offset, batches: batches.to_vec() }
}

#[test]
fn the_state_is_read_once() {
    let mut partition = SharePartition::new(LEADER_EPOCH, SharePartitionConfig::default());
    assert_eq!(partition.state(), SharePartitionState::Empty);
    for _ in 0..2 {
        let error = partition.maybe_initialize().unwrap_err();
        assert_eq!(error.code(), ErrorCode::LeaderNotAvailable);
    }
    let effects: Vec<_> = std::iter::from_fn(|| partition.poll_effect()).collect();
    assert_eq!(effects, [SharePartitionEffect::ReadState { leader_epoch: LEADER_EPOCH }]);
    partition.complete_read(Ok(read(42, &[])));
    assert_eq!(partition.poll_effect(), Some(SharePartitionEffect::Initialized { result: Ok(()) }));
    assert_eq!(partition.maybe_initialize(), Ok(()));
    assert_eq!((partition.state(), partition.state_epoch()), (SharePartitionState::Active, 7));
    assert_eq!((partition.start_offset(), partition.next_fetch_offset()), (42, 42));
}

#[test]
fn a_group_that_is_new_to_a_partition_looks_for_its_start() {
    let reset = ShareAutoOffsetReset::ByDuration { duration_ms: 60_000 };
    let config = SharePartitionConfig { auto_offset_reset: reset, ..Default::default() };
    let mut partition = SharePartition::new(LEADER_EPOCH, config);
    let _ = partition.maybe_initialize();
    partition.poll_effect();
    partition.complete_read(Ok(read(UNINITIALIZED_START_OFFSET, &[])));
    assert_eq!(partition.poll_effect(), Some(SharePartitionEffect::FindStartOffset { reset }));
    assert_eq!(partition.maybe_initialize(), Err(SharePartitionError::Initializing));
    partition.complete_start_offset(Ok(17));
    assert_eq!(partition.maybe_initialize(), Ok(()));
    assert_eq!(partition.next_fetch_offset(), 17);
    partition.complete_start_offset(Ok(99));
    assert_eq!(partition.start_offset(), 17, "once is enough");
}

#[test]
fn a_start_that_is_not_found_fails_with_the_logs_error() {
    let mut partition = loading();
    partition.complete_read(Ok(read(UNINITIALIZED_START_OFFSET, &[])));
    partition.complete_start_offset(Err(ErrorCode::NotLeaderOrFollower));
    let error = SharePartitionError::NoStartOffset(ErrorCode::NotLeaderOrFollower);
    assert!(
        std::iter::from_fn(|| partition.poll_effect())
            .any(|effect| effect == SharePartitionEffect::Initialized { result: Err(error) })
    );
    assert!(error.fences());
}

#[test]
fn a_read_that_fails_is_final() {
    for error in [
        PersisterError::CoordinatorNotAvailable,
        PersisterError::GroupIdNotFound,
        PersisterError::UnknownTopicOrPartition,
        PersisterError::NotLeaderOrFollower,
        PersisterError::Unknown,
    ] {
        let mut partition = loading();
        partition.complete_read(Err(error));
        let told = SharePartitionEffect::Initialized { result: Err(SharePartitionError::Persister(error)) };
        assert!(std::iter::from_fn(|| partition.poll_effect()).any(|effect| effect == told));
        assert_eq!(partition.state(), SharePartitionState::Failed);
        let later = partition.maybe_initialize().unwrap_err();
        assert_eq!(later.code(), ErrorCode::UnknownServerError);
    }
}

#[test]
fn nonsense_is_no_state() {
    let nonsense: [ReadState; 6] = [
        read(-5, &[]),
        read(10, &[state(9, 12, Acknowledged, 1)]),
        read(10, &[state(12, 11, Acknowledged, 1)]),
        read(10, &[state(10, 15, Acknowledged, 1), state(15, 20, Available, 1)]),
        read(10, &[state(20, 25, Acknowledged, 1), state(10, 15, Available, 1)]),
        read(10, &[state(20, i64::MAX, Acknowledged, 1)]),
    ];
    for read in nonsense {
        let mut partition = loading();
        partition.complete_read(Ok(read));
        assert_eq!(partition.state(), SharePartitionState::Failed);
        let told = SharePartitionEffect::Initialized { result: Err(SharePartitionError::InvalidState) };
        assert!(std::iter::from_fn(|| partition.poll_effect()).any(|effect| effect == told));
        assert_eq!(SharePartitionError::InvalidState.code(), ErrorCode::UnknownServerError);
    }
}

#[test]
fn a_partition_that_is_fenced_while_it_loads_stays_fenced() {
    let mut partition = loading();
    partition.mark_fenced();
    partition.complete_read(Ok(read(0, &[])));
    let error = partition.maybe_initialize().unwrap_err();
    assert_eq!((error, error.code()), (SharePartitionError::Fenced, ErrorCode::LeaderNotAvailable));
}

#[test]
fn what_was_settled_stays_settled() {
    let batches = [state(10, 14, Acknowledged, 1), state(15, 19, Available, 2), state(20, 24, Archived, 3)];
    let mut t = restored(10, &batches);
    assert_eq!((t.offsets(), t.next_fetch_offset()), ((15, 24), 15));
    assert_eq!(t.partition.delivery_complete_count(), 5);
    assert_eq!(t.acquire("a", &[(10, 19), (20, 29)]), [(15, 19, 3), (25, 29, 1)]);
}

#[test]
fn what_somebody_held_is_available() {
    let mut t = restored(10, &[state(10, 14, Acquired, 2)]);
    assert_eq!(t.acquire("a", &[(10, 14)]), [(10, 14, 3)]);
}

#[test]
fn a_state_in_which_all_is_done_leaves_nothing_in_flight() {
    let mut t = restored(10, &[state(10, 14, Acknowledged, 1), state(15, 19, Archived, 1)]);
    assert_eq!((t.offsets(), t.next_fetch_offset()), ((20, 20), 20));
}

#[test]
fn what_was_read_and_never_settled_is_fetched_again() {
    let mut t = restored(10, &[state(21, 30, Acknowledged, 1)]);
    assert_eq!((t.offsets(), t.next_fetch_offset()), ((10, 30), 10));
    let got = t.acquire("a", &[(10, 14), (15, 20), (21, 30), (31, 35)]);
    assert_eq!(got, [(10, 20, 1), (31, 35, 1)]);
    t.acknowledged("a", 10, 20, ACCEPT);
    assert_eq!(t.offsets(), (31, 35));
}

#[test]
fn a_part_of_it_may_come_later() {
    let mut t = restored(10, &[state(21, 30, Acknowledged, 1), state(41, 50, Available, 1)]);
    let mode = ShareAcquireMode::BatchOptimized;
    assert_eq!(t.acquire_limited("a", mode, 3, &[(10, 14), (15, 20)]), [(10, 14, 1)]);
    assert_eq!(t.next_fetch_offset(), 15);
    assert_eq!(t.acquire("b", &[(15, 17)]), [(15, 17, 1)]);
    assert_eq!(t.next_fetch_offset(), 18);
    assert_eq!(t.acquire("b", &[(15, 25), (26, 60)]), [(18, 20, 1), (31, 40, 1), (41, 50, 2), (51, 60, 1)]);
    assert_eq!(t.offsets(), (10, 60));
}

#[test]
fn a_limit_holds_for_it_too() {
    let mut t = restored(10, &[state(21, 30, Acknowledged, 1)]);
    let mode = ShareAcquireMode::RecordLimit;
    assert_eq!(t.acquire_limited("a", mode, 2, &[(10, 14), (15, 20)]), [(10, 11, 1)]);
    assert_eq!(t.next_fetch_offset(), 12);
    assert_eq!(t.acquire_limited("a", mode, 5, &[(10, 14), (15, 20)]), [(12, 14, 1), (15, 16, 1)]);
    t.acknowledged("a", 10, 16, RELEASE);
    assert_eq!(t.next_fetch_offset(), 10);
}

#[test]
fn what_the_log_has_no_more_is_archived() {
    let mut t = restored(10, &[state(21, 30, Acknowledged, 1)]);
    assert_eq!(t.acquire("a", &[(40, 49)]), [(40, 49, 1)]);
    assert_eq!(t.offsets(), (40, 49));

    let mut t = restored(10, &[state(21, 30, Acknowledged, 1)]);
    assert_eq!(t.acquire("a", &[(15, 20)]), [(15, 20, 1)]);
    assert_eq!(t.offsets(), (15, 30));
}

#[test]
fn what_was_on_its_way_to_the_dead_letter_queue_goes_again() {
    let batches = [state(10, 14, Archiving, 5), state(15, 16, Archiving, 1), state(17, 19, Available, 1)];
    let mut t = restored(10, &batches);
    let letters = t.dead_letters();
    let told: Vec<_> =
        letters.iter().map(|range| (range.first_offset, range.last_offset, range.cause)).collect();
    let expected =
        [(10, 14, DeadLetterCause::DeliveryCountExceeded), (15, 16, DeadLetterCause::ClientReject)];
    assert_eq!(told, expected);
    t.written(Ok(()));
    assert_eq!(t.offsets(), (17, 19));
}
