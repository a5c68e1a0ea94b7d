use ottla_common::ErrorCode;
use ottla_record::{DecompressionLimits, EndTransactionMarker, MemoryRecords};
use ottla_storage::{FetchIsolation, ListOffsetsTimestamp, LogConfig, TransactionVersion, VerificationGuard};

use crate::test_support::{Bench, NODE, NOW, batch, tp, transactional};
use crate::{EndTransaction, Partition};

const PRODUCER: i64 = 5;
const SENTINEL: VerificationGuard = VerificationGuard::SENTINEL;

fn end(producer_epoch: i16, coordinator_epoch: i32) -> EndTransaction {
    EndTransaction {
        producer_id: PRODUCER,
        producer_epoch,
        coordinator_epoch,
        committed: true,
        transaction_version: TransactionVersion::TV_0,
    }
}

fn end_of_level_2(producer_epoch: i16) -> EndTransaction {
    EndTransaction { transaction_version: TransactionVersion::TV_2, ..end(producer_epoch, 0) }
}

fn trusting() -> Bench {
    let bench = Bench::trusting(LogConfig::default());
    bench.lead(0, NODE, 3, &[NODE]);
    bench
}

fn write(partition: &Partition, epoch: i16, sequence: i32) -> ErrorCode {
    code(partition.append(transactional(PRODUCER, epoch, sequence), -1))
}

fn finish(partition: &Partition, end: EndTransaction) -> ErrorCode {
    code(partition.append_end_transaction_marker(&end, NOW))
}

fn code(appended: Result<crate::Appended, crate::AppendFailure>) -> ErrorCode {
    appended.err().map_or(ErrorCode::None, |failure| failure.error)
}

#[test]
fn a_marker_is_a_control_batch_of_its_producer() {
    let bench = trusting();
    let partition = bench.partition(0);
    assert_eq!(write(&partition, 4, 0), ErrorCode::None);
    let marker = partition.append_end_transaction_marker(&end(4, 7), NOW).unwrap();
    assert_eq!((marker.base_offset, marker.last_offset, marker.is_committed), (1, 1, true));
    let read = partition.log().read(1, 1 << 20, FetchIsolation::LogEnd, true).unwrap();
    let batch = MemoryRecords::new(read.records.read_all().unwrap()).first_batch().unwrap().unwrap();
    assert!(batch.is_control_batch() && batch.is_transactional());
    assert_eq!((batch.producer_id(), batch.producer_epoch(), batch.base_sequence()), (PRODUCER, 4, -1));
    assert_eq!((batch.partition_leader_epoch(), batch.max_timestamp()), (3, NOW));
    let records = batch.records(&DecompressionLimits::default()).unwrap();
    let record = records.iter().next().unwrap().unwrap();
    let marker = EndTransactionMarker::deserialize(record.key, record.value).unwrap();
    assert_eq!(marker, EndTransactionMarker::new(true, 7));
}

#[test]
fn a_marker_of_an_older_coordinator_is_fenced() {
    let bench = trusting();
    let partition = bench.partition(0);
    assert_eq!(write(&partition, 0, 0), ErrorCode::None);
    assert_eq!(finish(&partition, end(0, 7)), ErrorCode::None);
    assert_eq!(write(&partition, 0, 1), ErrorCode::None);
    assert_eq!(finish(&partition, end(0, 6)), ErrorCode::TransactionCoordinatorFenced);
    assert_eq!((partition.log().last_stable_offset(), partition.log().high_watermark()), (2, 3));
    assert_eq!(finish(&partition, end(0, 8)), ErrorCode::None);
    assert_eq!(partition.log().last_stable_offset(), 4);
    let producer = bench.replicas.active_producers(&tp(0)).unwrap()[0];
    assert_eq!((producer.coordinator_epoch, producer.current_txn_start_offset), (8, -1));
}

#[test]
fn a_producer_that_was_replaced_is_fenced() {
    let bench = trusting();
    let partition = bench.partition(0);
    assert_eq!(write(&partition, 0, 0), ErrorCode::None);
    assert_eq!(finish(&partition, end(1, 0)), ErrorCode::None, "the coordinator aborts for the next one");
    assert_eq!(write(&partition, 0, 1), ErrorCode::InvalidProducerEpoch);
    assert_eq!(write(&partition, 1, 0), ErrorCode::None);
    assert_eq!(finish(&partition, end(0, 0)), ErrorCode::InvalidProducerEpoch);
    assert_eq!(write(&partition, 1, 2), ErrorCode::OutOfOrderSequenceNumber);
    let plain = MemoryRecords::with_idempotent_records(
        ottla_record::Compression::NONE,
        PRODUCER,
        1,
        1,
        &[ottla_record::SimpleRecord::of_value(NOW, vec![b'a'])],
    );
    let outside = partition.append(plain.unwrap().into_bytes(), -1);
    assert_eq!(code(outside), ErrorCode::InvalidTxnState, "its transaction is open");
}

#[test]
fn a_marker_of_level_2_has_a_newer_epoch_than_the_records() {
    let bench = trusting();
    let partition = bench.partition(0);
    assert_eq!(write(&partition, 0, 0), ErrorCode::None);
    assert_eq!(finish(&partition, end_of_level_2(0)), ErrorCode::InvalidProducerEpoch);
    assert_eq!(finish(&partition, end_of_level_2(1)), ErrorCode::None);
    assert_eq!(finish(&partition, end_of_level_2(1)), ErrorCode::None, "sent again");
    assert_eq!(write(&partition, 1, 0), ErrorCode::None);
    assert_eq!(finish(&partition, end_of_level_2(1)), ErrorCode::InvalidProducerEpoch, "a late one");
}

#[test]
fn only_a_leader_with_enough_replicas_takes_markers() {
    let bench = Bench::trusting(LogConfig { min_insync_replicas: 2, ..Default::default() });
    let missing = bench.replicas.append_end_transaction_marker(&tp(0), &end(0, 0), NOW);
    assert_eq!(code(missing), ErrorCode::UnknownTopicOrPartition);
    bench.lead(0, 2, 0, &[NODE, 2]);
    let partition = bench.partition(0);
    assert_eq!(finish(&partition, end(0, 0)), ErrorCode::NotLeaderOrFollower);
    bench.lead(0, NODE, 1, &[NODE]);
    assert_eq!(finish(&partition, end(0, 0)), ErrorCode::NotEnoughReplicas);
    bench.lead(0, NODE, 1, &[NODE, 2]);
    let uncommitted = partition.append_end_transaction_marker(&end(0, 0), NOW).unwrap();
    assert!(!uncommitted.is_committed, "the other replica has it not yet");
}

#[test]
fn a_marker_without_a_producer_is_none() {
    let bench = trusting();
    let partition = bench.partition(0);
    for producer_id in [-1, -7] {
        let end = EndTransaction { producer_id, ..end(0, 0) };
        assert_eq!(finish(&partition, end), ErrorCode::UnknownServerError);
    }
    assert_eq!(finish(&partition, end(-1, 0)), ErrorCode::UnknownServerError);
    assert_eq!(partition.log().log_end_offset(), 0);
}

#[test]
fn a_coordinator_writes_in_its_own_epoch_only() {
    let bench = Bench::with_config(LogConfig { min_insync_replicas: 2, ..Default::default() });
    bench.lead(0, NODE, 3, &[NODE, 2]);
    let partition = bench.partition(0);
    let version = TransactionVersion::UNKNOWN;
    let coordinate =
        |records, epoch, guard| code(partition.append_as_coordinator(records, epoch, guard, version));
    assert_eq!(coordinate(batch(), 3, SENTINEL), ErrorCode::None);
    assert_eq!(coordinate(batch(), 2, SENTINEL), ErrorCode::NotLeaderOrFollower);
    assert_eq!(coordinate(batch(), 4, SENTINEL), ErrorCode::NotLeaderOrFollower);
    let offsets = || transactional(PRODUCER, 0, 0);
    assert_eq!(coordinate(offsets(), 3, SENTINEL), ErrorCode::InvalidTxnState);
    let guard = partition.maybe_start_transaction_verification(PRODUCER, -1, 0, true).unwrap();
    assert_eq!(coordinate(offsets(), 3, guard), ErrorCode::None);
    let finish = |epoch, end| code(partition.append_end_transaction_as_coordinator(NOW, epoch, &end));
    assert_eq!(finish(2, end_of_level_2(1)), ErrorCode::NotLeaderOrFollower);
    assert_eq!(finish(3, end_of_level_2(0)), ErrorCode::InvalidProducerEpoch);
    assert_eq!(finish(3, end_of_level_2(1)), ErrorCode::None);
    bench.lead(0, NODE, 3, &[NODE]);
    assert_eq!(coordinate(batch(), 3, SENTINEL), ErrorCode::NotEnoughReplicas);
}

#[test]
fn verification_begins_where_the_partition_is_led() {
    let bench = Bench::new();
    bench.lead(0, NODE, 0, &[NODE]);
    let partition = bench.partition(0);
    let begin = |epoch| partition.maybe_start_transaction_verification(PRODUCER, 0, epoch, false);
    let guard = begin(1).unwrap();
    assert_ne!(guard, SENTINEL);
    assert_eq!(code(partition.append_verified(transactional(PRODUCER, 1, 0), -1, guard)), ErrorCode::None);
    assert_eq!(begin(1), Ok(SENTINEL), "the transaction is open");
    assert_eq!(begin(0), Err(ErrorCode::InvalidProducerEpoch));
    bench.lead(0, 2, 1, &[NODE, 2]);
    assert_eq!(begin(1), Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(bench.replicas.active_producers(&tp(0)).map(|p| p.len()), Ok(1), "followers know them too");
}

fn find(partition: &Partition, timestamp: i64, isolation: FetchIsolation) -> Option<i64> {
    partition.fetch_offset(timestamp, None, isolation).unwrap().map(|found| found.offset)
}

#[test]
fn the_newest_record_is_not_listed_while_its_transaction_is_open() {
    let bench = trusting();
    let partition = bench.partition(0);
    assert_eq!(write(&partition, 0, 0), ErrorCode::None);
    let newest = |isolation| find(&partition, ListOffsetsTimestamp::MAX_TIMESTAMP, isolation);
    assert_eq!(newest(FetchIsolation::HighWatermark), Some(0));
    assert_eq!(newest(FetchIsolation::TxnCommitted), None);
    assert_eq!(finish(&partition, end(0, 0)), ErrorCode::None);
    assert_eq!(newest(FetchIsolation::TxnCommitted), Some(0));
}

#[test]
fn offsets_that_are_listed_do_not_reach_into_open_transactions() {
    let bench = trusting();
    let partition = bench.partition(0);
    assert_eq!(code(partition.append(batch(), -1)), ErrorCode::None);
    assert_eq!(write(&partition, 0, 0), ErrorCode::None);
    let find = |timestamp, isolation| find(&partition, timestamp, isolation);
    let (all, committed) = (FetchIsolation::HighWatermark, FetchIsolation::TxnCommitted);
    let (latest, earliest) = (ListOffsetsTimestamp::LATEST, ListOffsetsTimestamp::EARLIEST);
    assert_eq!((find(latest, all), find(latest, committed)), (Some(2), Some(1)));
    assert_eq!((find(earliest, all), find(NOW, committed)), (Some(0), Some(0)));
    bench.replicas.delete_records(&tp(0), 1).unwrap();
    assert_eq!((find(NOW, all), find(NOW, committed)), (Some(1), None));
    assert_eq!(find(earliest, committed), Some(1), "where the log begins is no secret");
    assert_eq!(finish(&partition, end(0, 0)), ErrorCode::None);
    assert_eq!((find(latest, committed), find(NOW, committed)), (Some(3), Some(1)));
}
