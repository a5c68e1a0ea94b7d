//! Transactions on one partition: proof before the first record, markers, and who is fenced.

use bytes::Bytes;
use ottla_common::ErrorCode;
use ottla_record::{CompressionType, EndTransactionMarker, RecordsBuilder};

use crate::producer_state::{AppendOrigin, TransactionVersion, VerificationGuard};
use crate::test_support::{Bench, NOW, append, idempotent, replicate_all, transactional, try_append};
use crate::{AppendError, LogAppendInfo, UnifiedLog};

const PRODUCER: i64 = 5;

fn marker(epoch: i16, committed: bool, coordinator_epoch: i32) -> Bytes {
    let mut builder = RecordsBuilder::new(CompressionType::None)
        .producer(PRODUCER, epoch, ottla_record::NO_SEQUENCE)
        .transactional(true)
        .control(true);
    let marker = EndTransactionMarker::new(committed, coordinator_epoch);
    builder.append_end_transaction_marker(NOW, marker).unwrap();
    builder.build().unwrap().into_bytes()
}

fn end(
    log: &UnifiedLog,
    version: i16,
    epoch: i16,
    coordinator_epoch: i32,
) -> Result<LogAppendInfo, ErrorCode> {
    let guard = VerificationGuard::SENTINEL;
    let records = marker(epoch, true, coordinator_epoch);
    let version = TransactionVersion(version);
    log.append_as_leader(records, 0, AppendOrigin::Coordinator, guard, version).map_err(|error| error.code())
}

fn write(
    log: &UnifiedLog,
    epoch: i16,
    sequence: i32,
    guard: VerificationGuard,
) -> Result<LogAppendInfo, AppendError> {
    let (origin, version) = (AppendOrigin::Client, TransactionVersion::UNKNOWN);
    log.append_as_leader(transactional(PRODUCER, epoch, sequence, 1), 0, origin, guard, version)
}

fn code(result: Result<LogAppendInfo, AppendError>) -> ErrorCode {
    result.map_or_else(|error| error.code(), |_| ErrorCode::None)
}

fn verifying() -> Bench {
    let mut bench = Bench::new();
    bench.verification = true;
    bench
}

#[test]
fn a_marker_of_an_older_coordinator_is_refused() {
    let log = Bench::new().open();
    append(&log, transactional(PRODUCER, 0, 0, 1));
    end(&log, 0, 0, 7).unwrap();
    append(&log, transactional(PRODUCER, 0, 1, 1));
    assert_eq!(end(&log, 0, 0, 6).unwrap_err(), ErrorCode::TransactionCoordinatorFenced);
    assert!(log.has_ongoing_transaction(PRODUCER, 0));
    end(&log, 0, 0, 7).unwrap();
    assert!(!log.has_ongoing_transaction(PRODUCER, 0));
    assert_eq!(log.active_producers()[0].coordinator_epoch, 7);
}

#[test]
fn a_marker_of_an_older_epoch_is_refused() {
    let log = Bench::new().open();
    append(&log, transactional(PRODUCER, 3, 0, 1));
    assert_eq!(end(&log, 0, 2, 0).unwrap_err(), ErrorCode::InvalidProducerEpoch);
    end(&log, 0, 3, 0).unwrap();
}

#[test]
fn from_level_2_on_a_marker_must_bump_the_epoch_unless_it_is_a_retry() {
    let log = Bench::new().open();
    append(&log, transactional(PRODUCER, 3, 0, 1));
    assert_eq!(end(&log, 2, 3, 0).unwrap_err(), ErrorCode::InvalidProducerEpoch, "a late marker");
    end(&log, 2, 4, 0).unwrap();
    end(&log, 2, 4, 0).unwrap();
    assert_eq!(code(try_append(&log, transactional(PRODUCER, 3, 1, 1))), ErrorCode::InvalidProducerEpoch);
    append(&log, transactional(PRODUCER, 4, 0, 1));
    assert_eq!(end(&log, 2, 4, 0).unwrap_err(), ErrorCode::InvalidProducerEpoch, "the next one is open");
}

#[test]
fn a_marker_without_records_ends_nothing_and_fences() {
    let log = Bench::new().open();
    end(&log, 2, 4, 0).unwrap();
    replicate_all(&log);
    assert_eq!((log.last_stable_offset(), log.log_end_offset()), (1, 1));
    assert_eq!(code(try_append(&log, transactional(PRODUCER, 3, 0, 1))), ErrorCode::InvalidProducerEpoch);
}

#[test]
fn a_proof_serves_one_transaction() {
    let log = verifying().open();
    let guard = log.maybe_start_transaction_verification(PRODUCER, 0, 0, false).unwrap();
    let same = log.maybe_start_transaction_verification(PRODUCER, 0, 0, false).unwrap();
    assert_eq!(guard, same, "one verification under way");
    write(&log, 0, 0, guard).unwrap();
    end(&log, 0, 0, 0).unwrap();
    assert_eq!(code(write(&log, 0, 1, guard)), ErrorCode::InvalidTxnState, "a late answer proves nothing");
    assert_eq!(code(write(&log, 0, 1, VerificationGuard::SENTINEL)), ErrorCode::InvalidTxnState);
    let next = log.maybe_start_transaction_verification(PRODUCER, 1, 0, false).unwrap();
    assert_ne!(next, guard);
    write(&log, 0, 1, next).unwrap();
}

#[test]
fn a_marker_takes_back_a_proof_but_that_for_the_next_epoch() {
    let log = verifying().open();
    let guard = log.maybe_start_transaction_verification(PRODUCER, 0, 0, false).unwrap();
    end(&log, 0, 0, 0).unwrap();
    assert_eq!(code(write(&log, 0, 0, guard)), ErrorCode::InvalidTxnState);
    let next = log.maybe_start_transaction_verification(PRODUCER, 0, 1, true).unwrap();
    end(&log, 2, 1, 0).unwrap();
    write(&log, 1, 0, next).unwrap();
}

#[test]
fn nobody_overtakes_the_lowest_sequence_that_is_being_verified() {
    let log = verifying().open();
    let guard = log.maybe_start_transaction_verification(PRODUCER, 4, 0, false).unwrap();
    log.maybe_start_transaction_verification(PRODUCER, 0, 0, false).unwrap();
    assert_eq!(code(write(&log, 0, 4, guard)), ErrorCode::OutOfOrderSequenceNumber);
    write(&log, 0, 0, guard).unwrap();
}

#[test]
fn a_producer_of_level_2_begins_with_sequence_0() {
    let log = verifying().open();
    let guard = log.maybe_start_transaction_verification(PRODUCER, 3, 0, true).unwrap();
    assert_eq!(code(write(&log, 0, 3, guard)), ErrorCode::OutOfOrderSequenceNumber);
    let old = verifying().open();
    let guard = old.maybe_start_transaction_verification(PRODUCER, 3, 0, false).unwrap();
    write(&old, 0, 3, guard).unwrap();
}

#[test]
fn an_older_producer_is_not_worth_a_question() {
    let log = verifying().open();
    end(&log, 2, 4, 0).unwrap();
    let refused = log.maybe_start_transaction_verification(PRODUCER, 0, 3, true).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidProducerEpoch);
    assert_eq!(code(write(&log, 3, 0, VerificationGuard::SENTINEL)), ErrorCode::InvalidProducerEpoch);
}

#[test]
fn offsets_of_a_transaction_need_proof_too() {
    let log = verifying().open();
    // The coordinator gives every batch of a producer the same sequence; nobody checks it.
    let offsets = || transactional(PRODUCER, 0, 0, 1);
    let coordinate = |guard| {
        let (origin, version) = (AppendOrigin::Coordinator, TransactionVersion::UNKNOWN);
        log.append_as_leader(offsets(), 0, origin, guard, version)
    };
    assert_eq!(code(coordinate(VerificationGuard::SENTINEL)), ErrorCode::InvalidTxnState);
    let no_sequence = ottla_record::NO_SEQUENCE;
    let guard = log.maybe_start_transaction_verification(PRODUCER, no_sequence, 0, true).unwrap();
    coordinate(guard).unwrap();
    coordinate(VerificationGuard::SENTINEL).unwrap();
}

#[test]
fn verification_can_be_switched_while_the_log_is_open() {
    let log = verifying().open();
    assert_eq!(code(try_append(&log, transactional(PRODUCER, 0, 0, 1))), ErrorCode::InvalidTxnState);
    let config =
        crate::ProducerStateManagerConfig { transaction_verification_enabled: false, ..Default::default() };
    log.update_producer_state_config(config);
    append(&log, transactional(PRODUCER, 0, 0, 1));
    let outside = try_append(&log, idempotent(PRODUCER, 0, 1, 1));
    assert_eq!(code(outside), ErrorCode::InvalidTxnState, "within an open transaction");
}

#[test]
fn a_transaction_that_hangs_shows() {
    let log = Bench::new().open();
    append(&log, transactional(PRODUCER, 2, 0, 3));
    let producer = log.active_producers()[0];
    assert_eq!((producer.producer_id, producer.producer_epoch), (PRODUCER, 2));
    assert_eq!((producer.last_sequence, producer.current_txn_start_offset), (2, 0));
    assert_eq!((producer.last_timestamp, producer.coordinator_epoch), (NOW, -1));
    assert!(!log.has_late_transaction(NOW + 900_000));
    assert!(log.has_late_transaction(NOW + 900_000 + 300_001));
    // What `transactions abort` sends, without a coordinator: the epoch as it stands, of level 0.
    end(&log, 0, 2, 0).unwrap();
    assert!(!log.has_late_transaction(NOW + 900_000 + 300_001));
    assert_eq!(log.active_producers()[0].current_txn_start_offset, -1);
}
