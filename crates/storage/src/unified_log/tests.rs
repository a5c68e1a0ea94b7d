use std::path::Path;

use ottla_common::ErrorCode;
use ottla_record::CompressionType;

use super::*;
use crate::FetchIsolation;
use crate::fs::FileSystem;
use crate::test_support::*;

/// A broker has a hundred thousand idle partitions: each of these structures is there once for every one.
#[test]
fn an_idle_log_is_small() {
    let log = size_of::<UnifiedLog>();
    let segment = size_of::<crate::log_segment::LogSegment>();
    println!("UnifiedLog {log}, LogSegment {segment}");
    assert!(log <= 1024 && segment <= 320, "UnifiedLog {log}, LogSegment {segment}");
}

#[test]
fn what_is_appended_is_read() {
    let bench = Bench::new();
    let log = bench.open();
    assert!(log.is_empty());
    let first = append(&log, batch(3, NOW));
    assert_eq!((first.first_offset, first.last_offset, first.num_messages()), (0, 2, 3));
    assert_eq!((first.max_timestamp, first.log_append_time), (NOW, -1));
    let second = append(&log, packed(CompressionType::Lz4, 2, NOW + 1));
    assert_eq!((second.first_offset, second.last_offset), (3, 4));
    assert_eq!(read_offsets(&log, 0), [0, 1, 2, 3, 4]);
    assert_eq!(read_offsets(&log, 4), [4]);
    assert_eq!(log.latest_epoch(), Some(0));
    assert_eq!(log.size(), (batch(3, NOW).len() + packed(CompressionType::Lz4, 2, NOW + 1).len()) as u64);
}

#[test]
fn one_append_is_one_write() {
    let bench = Bench::new();
    let log = bench.open();
    append(&log, batch(3, NOW));
    let before = bench.disk.writes();
    append(&log, batch(3, NOW));
    assert_eq!(bench.disk.writes() - before, 1);
}

#[test]
fn readers_stop_where_they_may_not_see() {
    let log = Bench::new().open();
    append(&log, batch(2, NOW));
    append(&log, batch(2, NOW));
    let read = |from, isolation| log.read(from, 1 << 20, isolation, true);
    assert!(read(0, FetchIsolation::HighWatermark).unwrap().records.is_empty());
    log.maybe_increment_high_watermark(LogOffsetMetadata::offset_only(2));
    let seen = read(0, FetchIsolation::HighWatermark).unwrap();
    assert_eq!(seen.records.size_in_bytes(), batch(2, NOW).len());
    assert_eq!(seen.fetch_offset_metadata, LogOffsetMetadata::at(0, 0, 0));
    assert!(read(3, FetchIsolation::HighWatermark).unwrap().records.is_empty(), "in the log, but not seen");
    for outside in [-1, 5] {
        let code = read(outside, FetchIsolation::LogEnd).unwrap_err().code();
        assert_eq!(code, ErrorCode::OffsetOutOfRange);
    }
}

#[test]
fn at_least_one_batch_is_read_if_asked_for() {
    let log = Bench::new().open();
    append(&log, batch(5, NOW));
    let size = batch(5, NOW).len();
    let read = |max, min_one| log.read(0, max, FetchIsolation::LogEnd, min_one).unwrap();
    assert_eq!(read(1, true).records.size_in_bytes(), size);
    let cut = read(1, false);
    assert_eq!((cut.records.size_in_bytes(), cut.first_entry_incomplete), (1, true));
    assert!(read(0, false).records.is_empty());
}

#[test]
fn segments_roll_by_size_and_are_read_across() {
    let mut bench = Bench::new();
    bench.config.segment_bytes = 3 * batch(2, NOW).len();
    let log = bench.open();
    for _ in 0..10 {
        append(&log, batch(2, NOW));
    }
    assert_eq!(log.number_of_segments(), 4);
    assert_eq!(read_offsets(&log, 0), (0..20).collect::<Vec<i64>>());
    assert_eq!(read_offsets(&log, 13), (13..20).collect::<Vec<i64>>());
    log.close().unwrap();
    assert!(log.close().is_ok(), "closing twice is closing once");
    let names = bench.names();
    for name in ["00000000000000000006.log", "00000000000000000006.index", "00000000000000000006.timeindex"] {
        assert!(names.iter().any(|n| n == name), "{names:?}");
    }
    assert!(names.contains(&"00000000000000000006.snapshot".to_owned()), "{names:?}");
    assert!(names.contains(&"00000000000000000020.snapshot".to_owned()), "{names:?}");
    let time_index = bench.disk.content(&Path::new(DIR).join("00000000000000000006.timeindex")).unwrap();
    assert_eq!(time_index.len(), 12, "the closing entry");
    bench.clean = true;
    let again = bench.open();
    assert_eq!(again.log_end_offset(), 20);
    assert_eq!(read_offsets(&again, 0), (0..20).collect::<Vec<i64>>());
    assert_eq!(append(&again, batch(1, NOW)).first_offset, 20);
}

#[test]
fn segments_roll_by_age_of_their_records() {
    let mut bench = Bench::new();
    bench.config.segment_ms = 1000;
    bench.config.message_timestamp_after_max_ms = i64::MAX;
    let log = bench.open();
    append(&log, batch(1, NOW));
    append(&log, batch(1, NOW + 1000));
    assert_eq!(log.number_of_segments(), 1);
    append(&log, batch(1, NOW + 1001));
    assert_eq!(log.number_of_segments(), 2);
}

#[test]
fn batches_are_indexed_and_found() {
    let mut bench = Bench::new();
    bench.config.index_interval_bytes = 300;
    bench.config.message_timestamp_after_max_ms = i64::MAX;
    let log = bench.open();
    for i in 0..200 {
        append(&log, batch(1, NOW + i));
    }
    for offset in [0, 1, 99, 150, 199] {
        assert_eq!(read_offsets(&log, offset).first(), Some(&offset));
        let found = log.fetch_offset_by_timestamp(NOW + offset).unwrap().unwrap();
        assert_eq!((found.offset, found.timestamp, found.leader_epoch), (offset, NOW + offset, Some(0)));
    }
    assert_eq!(log.fetch_offset_by_timestamp(NOW + 1000).unwrap(), None);
    let max = log.fetch_offset_by_timestamp(ListOffsetsTimestamp::MAX_TIMESTAMP).unwrap().unwrap();
    assert_eq!((max.offset, max.timestamp), (199, NOW + 199));
    let special = |timestamp| log.fetch_offset_by_timestamp(timestamp).unwrap().unwrap().offset;
    assert_eq!(special(ListOffsetsTimestamp::EARLIEST), 0);
    assert_eq!(special(ListOffsetsTimestamp::EARLIEST_LOCAL), 0);
    assert_eq!(special(ListOffsetsTimestamp::LATEST), 200);
}

#[test]
fn an_empty_log_has_no_largest_timestamp() {
    let log = Bench::new().open();
    assert_eq!(log.fetch_offset_by_timestamp(ListOffsetsTimestamp::MAX_TIMESTAMP).unwrap(), None);
    assert_eq!(log.fetch_offset_by_timestamp(0).unwrap(), None);
}

#[test]
fn a_batch_sent_again_is_answered_with_its_offsets() {
    let log = Bench::new().open();
    for sequence in 0..7 {
        assert!(!append(&log, idempotent(9, 0, sequence, 1)).is_duplicate);
    }
    for sequence in 2..7 {
        let again = append(&log, idempotent(9, 0, sequence, 1));
        assert_eq!((again.first_offset, again.is_duplicate), (i64::from(sequence), true));
    }
    let forgotten = try_append(&log, idempotent(9, 0, 1, 1)).unwrap_err();
    assert_eq!(forgotten.code(), ErrorCode::OutOfOrderSequenceNumber);
    let gap = try_append(&log, idempotent(9, 0, 8, 1)).unwrap_err();
    assert_eq!(gap.code(), ErrorCode::OutOfOrderSequenceNumber);
    append(&log, idempotent(9, 1, 0, 1));
    let old = try_append(&log, idempotent(9, 0, 7, 1)).unwrap_err();
    assert_eq!(old.code(), ErrorCode::InvalidProducerEpoch);
    assert_eq!(log.log_end_offset(), 8);
}

#[test]
fn producers_are_known_after_a_restart() {
    let mut bench = Bench::new();
    let log = bench.open();
    append(&log, idempotent(9, 3, 0, 4));
    let before = log.active_producers();
    assert_eq!((before[0].producer_epoch, before[0].last_sequence), (3, 3));
    log.close().unwrap();
    for clean in [true, false] {
        bench.clean = clean;
        let log = bench.open();
        assert_eq!(log.active_producers(), before);
        let again = append(&log, idempotent(9, 3, 0, 4));
        assert_eq!((again.first_offset, again.is_duplicate), (0, true));
    }
}

#[test]
fn open_transactions_hold_read_committed_back() {
    let log = Bench::new().open();
    append(&log, batch(1, NOW));
    append(&log, transactional(5, 0, 0, 2));
    append(&log, transactional(6, 0, 0, 1));
    replicate_all(&log);
    assert_eq!((log.high_watermark(), log.last_stable_offset()), (4, 1));
    append_marker(&log, marker(5, 0, false));
    assert_eq!(log.last_stable_offset(), 1, "the marker is not replicated");
    replicate_all(&log);
    assert_eq!(log.last_stable_offset(), 3);
    append_marker(&log, marker(6, 0, true));
    replicate_all(&log);
    assert_eq!((log.last_stable_offset(), log.log_end_offset()), (6, 6));
    let read = log.read(0, 1 << 20, FetchIsolation::TxnCommitted, true).unwrap();
    let aborted = read.aborted_transactions.unwrap();
    assert_eq!(aborted.len(), 1);
    let txn = aborted[0];
    assert_eq!((txn.producer_id, txn.first_offset, txn.last_offset, txn.last_stable_offset), (5, 1, 4, 3));
    assert_eq!(log.collect_aborted_transactions(0, 6).unwrap(), aborted);
    assert!(log.read(0, 100, FetchIsolation::LogEnd, true).unwrap().aborted_transactions.is_none());
}

#[test]
fn transactions_survive_recovery() {
    let mut bench = Bench::new();
    bench.config.segment_bytes = 500;
    let log = bench.open();
    for round in 0..6 {
        append(&log, transactional(5, 0, round * 2, 2));
        append_marker(&log, marker(5, 0, round % 2 == 0));
    }
    append(&log, transactional(7, 0, 0, 1));
    replicate_all(&log);
    let expected = log.collect_aborted_transactions(0, 100).unwrap();
    assert_eq!(expected.len(), 3);
    log.flush(true).unwrap();
    // No clean close: everything is rebuilt from the log.
    for name in bench.names().iter().filter(|n| n.ends_with("index") || n.ends_with(".snapshot")) {
        bench.disk.remove_file(&Path::new(DIR).join(name)).unwrap();
    }
    let again = bench.open();
    assert_eq!(again.collect_aborted_transactions(0, 100).unwrap(), expected);
    replicate_all(&again);
    assert_eq!(again.last_stable_offset(), 18);
    assert!(again.has_ongoing_transaction(7, 0));
}

#[test]
fn a_first_transactional_write_needs_proof() {
    let mut bench = Bench::new();
    bench.verification = true;
    let log = bench.open();
    let refused = try_append(&log, transactional(5, 0, 0, 1)).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidTxnState);
    let guard = log.maybe_start_transaction_verification(5, 0, 0, true).unwrap();
    assert_ne!(guard, VerificationGuard::SENTINEL);
    let append = |records, guard| {
        let (origin, version) = (crate::AppendOrigin::Client, crate::TransactionVersion::UNKNOWN);
        log.append_as_leader(records, 0, origin, guard, version)
    };
    append(transactional(5, 0, 0, 1), guard).unwrap();
    let known = log.maybe_start_transaction_verification(5, 1, 0, true).unwrap();
    assert_eq!(known, VerificationGuard::SENTINEL, "its transaction is open");
    append(transactional(5, 0, 1, 1), known).unwrap();
}

#[test]
fn truncation_forgets_all_that_depends_on_what_goes() {
    let mut bench = Bench::new();
    bench.config.segment_bytes = 400;
    let log = bench.open();
    for sequence in 0..20 {
        append(&log, idempotent(9, 0, sequence, 1));
    }
    log.maybe_increment_high_watermark(LogOffsetMetadata::offset_only(12));
    assert!(log.truncate_to(7).unwrap());
    assert_eq!((log.log_end_offset(), log.high_watermark()), (7, 7));
    assert_eq!(log.active_producers()[0].last_sequence, 6);
    assert_eq!(read_offsets(&log, 0), (0..7).collect::<Vec<i64>>());
    assert!(!log.truncate_to(7).unwrap());
    assert_eq!(append(&log, idempotent(9, 0, 7, 1)).first_offset, 7);
    log.truncate_fully_and_start_at(100, None).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.high_watermark()), (100, 100, 100));
    assert!(log.active_producers().is_empty());
    assert_eq!(append(&log, batch(1, NOW)).first_offset, 100);
    bench.time.advance_ms(60_000);
    log.run_background_tasks(NOW + 60_000).unwrap();
    assert!(bench.names().iter().all(|name| !name.ends_with(".deleted")), "{:?}", bench.names());
}

#[test]
fn replicated_records_keep_their_offsets() {
    let source = Bench::new().open();
    for _ in 0..3 {
        append(&source, batch(2, NOW));
    }
    let all = source.read(0, 1 << 20, FetchIsolation::LogEnd, true).unwrap().records.read_all().unwrap();
    let follower = Bench::new().open();
    let info = follower.append_as_follower(all.clone(), 0).unwrap();
    assert_eq!((info.first_offset, info.last_offset, follower.log_end_offset()), (0, 5, 6));
    let again = follower.append_as_follower(all.clone(), 0).unwrap_err();
    assert!(matches!(again, AppendError::UnexpectedOffset { first_offset: 0, log_end_offset: 6, .. }));
    let behind = Bench::new().open();
    assert_eq!(behind.append_as_follower(all, -1).unwrap().valid_bytes, 0, "the epoch is not known here");
}

#[test]
fn retention_keeps_what_is_young_small_and_not_replicated() {
    let mut bench = Bench::new();
    let size = batch(2, NOW).len();
    bench.config.segment_bytes = size;
    bench.config.retention_ms = 1000;
    let log = bench.open();
    for i in 0..5 {
        append(&log, batch(2, NOW + i * 400));
    }
    bench.time.advance_ms(2_000);
    assert_eq!(log.delete_old_segments().unwrap(), 0, "nothing is replicated");
    replicate_all(&log);
    assert_eq!(log.delete_old_segments().unwrap(), 3);
    assert_eq!((log.log_start_offset(), log.number_of_segments()), (6, 2));
    assert!(log.read(0, 1, FetchIsolation::LogEnd, true).is_err());
    bench.config.retention_ms = -1;
    bench.config.retention_bytes = size as i64;
    log.update_config(Arc::new(bench.config.clone()));
    assert_eq!(log.delete_old_segments().unwrap(), 1);
    bench.config.retention_bytes = -1;
    log.update_config(Arc::new(bench.config.clone()));
    log.maybe_increment_log_start_offset(9, LogStartOffsetIncrementReason::ClientRecordDeletion).unwrap();
    assert_eq!(log.log_start_offset(), 9);
    let beyond =
        log.maybe_increment_log_start_offset(99, LogStartOffsetIncrementReason::ClientRecordDeletion);
    assert_eq!(beyond.unwrap_err().code(), ErrorCode::OffsetOutOfRange);
    bench.config.retention_ms = 0;
    log.update_config(Arc::new(bench.config.clone()));
    bench.time.advance_ms(10_000);
    assert_eq!(log.delete_old_segments().unwrap(), 1, "all are too old: a new segment takes their place");
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.number_of_segments()), (10, 10, 1));
}

#[test]
fn what_is_against_the_rules_is_refused() {
    let mut bench = Bench::new();
    bench.config.max_message_bytes = 200;
    bench.config.segment_bytes = 150;
    let log = bench.open();
    let code = |records: bytes::Bytes| try_append(&log, records).unwrap_err().code();
    assert_eq!(code(batch(20, NOW)), ErrorCode::MessageTooLarge);
    assert_eq!(code(batch(4, NOW)), ErrorCode::RecordListTooLarge);
    let mut broken = bytes::BytesMut::from(&batch(1, NOW)[..]);
    broken[70] ^= 1;
    assert_eq!(code(broken.freeze()), ErrorCode::CorruptMessage);
    let two = [batch(1, NOW), batch(1, NOW)].concat();
    assert_eq!(code(two.into()), ErrorCode::InvalidRecord);
    assert_eq!(code(marker(1, 0, true)), ErrorCode::InvalidRecord);
    let info = try_append(&log, bytes::Bytes::new()).unwrap();
    assert_eq!((info.valid_bytes, log.log_end_offset()), (0, 0));
}

#[test]
fn a_failing_disk_takes_the_directory_offline() {
    let bench = Bench::new();
    let log = bench.open();
    append(&log, batch(1, NOW));
    bench.disk.fail_after(0);
    assert_eq!(try_append(&log, batch(1, NOW)).unwrap_err().code(), ErrorCode::KafkaStorageError);
    bench.disk.heal();
    let code = try_append(&log, batch(1, NOW)).unwrap_err().code();
    assert_eq!(code, ErrorCode::KafkaStorageError, "once offline, offline until a restart");
    assert_eq!(bench.failures.take_next_offline_log_dir().as_deref(), Some(Path::new("/logs")));
    assert!(log.read(0, 1, FetchIsolation::LogEnd, true).is_err());
}

#[test]
fn the_topic_id_never_changes() {
    let bench = Bench::new();
    let log = bench.open();
    log.assign_topic_id(Uuid::from_u128(500)).unwrap();
    log.assign_topic_id(Uuid::from_u128(500)).unwrap();
    let other = log.assign_topic_id(Uuid::from_u128(501)).unwrap_err();
    assert_eq!(other.code(), ErrorCode::InconsistentTopicId);
    append(&log, batch(1, NOW));
    assert_eq!(bench.open().topic_id(), Some(Uuid::from_u128(500)));
    let text = bench.disk.content(&Path::new(DIR).join("partition.metadata")).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), format!("version: 0\ntopic_id: {}", Uuid::from_u128(500)));
}

#[test]
fn flush_messages_flushes_before_the_answer() {
    let mut bench = Bench::new();
    bench.config.flush_messages = 1;
    let log = bench.open();
    append(&log, batch(3, NOW));
    assert_eq!(log.recovery_point(), 3);
}

#[test]
fn rolled_segments_are_flushed_in_the_background() {
    let mut bench = Bench::new();
    bench.config.segment_bytes = batch(2, NOW).len();
    let log = bench.open();
    append(&log, batch(2, NOW));
    append(&log, batch(2, NOW));
    assert_eq!(log.recovery_point(), 0);
    log.run_background_tasks(NOW).unwrap();
    assert_eq!(log.recovery_point(), 2);
}
