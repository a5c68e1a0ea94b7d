use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ottla_record::{CompressionType, SimpleRecord};
use proptest::prelude::*;

use super::*;
use crate::cleaner::testing::*;
use crate::fs::FileSystem;
use crate::test_support::*;

fn put(log: &UnifiedLog, records: &[KeyValue]) {
    append(log, keyed(CompressionType::None, records));
}

fn newest(records: &[(i64, KeyValue)]) -> BTreeMap<i64, KeyValue> {
    records.iter().cloned().collect()
}

#[test]
fn the_newest_record_of_each_key_stays_where_it_is() {
    let bench = compacted_bench();
    let log = bench.open();
    put(&log, &[kv("a", "1"), kv("b", "1")]);
    put(&log, &[kv("a", "2")]);
    put(&log, &[kv("c", "1"), kv("a", "3")]);
    let (end, stats) = roll_and_clean(&bench, &log);
    assert_eq!(end, 5);
    assert_eq!(contents(&log), newest(&[(1, kv("b", "1")), (3, kv("c", "1")), (4, kv("a", "3"))]));
    assert_eq!((stats.messages_read, stats.messages_written, stats.map_messages_read), (5, 3, 5));
    assert!(stats.bytes_written < stats.bytes_read && stats.bytes_read == stats.map_bytes_read);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 5));
    // What is appended afterwards goes on behind.
    assert_eq!(append(&log, keyed(CompressionType::None, &[kv("a", "4")])).first_offset, 5);
    assert_eq!(read_offsets(&log, 4), [4, 5]);
}

#[test]
fn the_active_segment_and_open_transactions_stay() {
    let bench = compacted_bench();
    let log = bench.open();
    put(&log, &[kv("a", "1")]);
    log.roll().unwrap();
    append(&log, produced(7, 0, true, &[kv("a", "2")]));
    log.roll().unwrap();
    put(&log, &[kv("a", "3")]);
    replicate_all(&log);
    assert_eq!(log.last_stable_offset(), 1);
    assert_eq!(clean(&bench, &log).0, 1);
    assert_eq!(contents(&log).len(), 3, "nobody knows yet whether a newer one counts");
    append_marker(&log, marker(7, 0, true));
    replicate_all(&log);
    assert_eq!(clean(&bench, &log).0, 2);
    assert_eq!(contents(&log), newest(&[(1, kv("a", "2")), (2, kv("a", "3"))]));
}

#[test]
fn a_map_that_is_full_ends_the_dirty_part_early() {
    let bench = compacted_bench();
    let log = bench.open();
    for i in 0..30 {
        put(&log, &[kv(&format!("key-{}", i % 15), &i.to_string())]);
    }
    log.roll().unwrap();
    replicate_all(&log);
    let mut first_dirty = 0;
    for expected in [9, 18, 27, 30] {
        let (end, stats) = try_clean(&bench, &log, first_dirty, 10).unwrap();
        assert_eq!(end, expected);
        assert!(stats.buffer_utilization <= 0.9);
        first_dirty = end;
    }
    let offsets: Vec<i64> = contents(&log).into_keys().collect();
    assert_eq!(offsets, (15..30).collect::<Vec<i64>>());
}

#[test]
fn small_segments_grow_together() {
    let mut bench = compacted_bench();
    bench.config.segment_bytes = 2 * keyed(CompressionType::None, &[kv("a", "1")]).len();
    let log = bench.open();
    for i in 0..8 {
        put(&log, &[kv("a", &i.to_string())]);
    }
    bench.time.advance_ms(1);
    log.roll().unwrap();
    replicate_all(&log);
    assert_eq!(log.number_of_segments(), 5);
    let snapshots = |bench: &Bench| bench.names().into_iter().filter(|n| n.ends_with(".snapshot")).count();
    let before = snapshots(&bench);
    clean(&bench, &log);
    clean(&bench, &log);
    assert_eq!(contents(&log), newest(&[(7, kv("a", "7"))]));
    // Four became four without all but one record, and these one.
    assert_eq!(log.number_of_segments(), 2);
    assert!(snapshots(&bench) < before, "of segments that are gone");
    let names = bench.names();
    assert!(names.iter().all(|name| !name.ends_with(".cleaned") && !name.ends_with(".swap")), "{names:?}");
    bench.time.advance_ms(60_000);
    log.run_background_tasks(NOW + 60_001).unwrap();
    assert!(bench.names().iter().all(|name| !name.ends_with(".deleted")), "{:?}", bench.names());
}

#[test]
fn a_new_segment_is_as_old_as_those_before() {
    let bench = compacted_bench();
    let log = bench.open();
    put(&log, &[kv("a", "1"), kv("a", "2")]);
    log.roll().unwrap();
    replicate_all(&log);
    bench.disk.set_now_ms(NOW + 500);
    clean(&bench, &log);
    let log_file = Path::new(DIR).join("00000000000000000000.log");
    assert_eq!(bench.disk.metadata(&log_file).unwrap().unwrap().modified_ms, NOW);
}

#[test]
fn places_are_looked_up_anew() {
    let bench = compacted_bench();
    let log = bench.open();
    for i in 0..20 {
        put(&log, &[kv("a", &i.to_string())]);
    }
    // The high watermark is known to lie at the end of the first segment.
    replicate_all(&log);
    let stale = log.known_offsets();
    log.roll().unwrap();
    clean(&bench, &log);
    for at in [stale, log.known_offsets()] {
        let found = log.read_of(&at, 0, 1 << 20, crate::FetchIsolation::HighWatermark, true).unwrap();
        assert_eq!(found.records.read_all().unwrap().len(), found.records.size_in_bytes());
        assert_eq!(found.records.size_in_bytes() as u64, log.size());
    }
}

#[test]
fn indexes_of_a_new_segment_find_everything() {
    let mut bench = compacted_bench();
    bench.config.index_interval_bytes = 100;
    let log = bench.open();
    for i in 0..200 {
        let record = SimpleRecord::new(NOW + i, Some(format!("key-{}", i % 120)), Some("value"));
        let builder = ottla_record::RecordsBuilder::new(CompressionType::None);
        append(&log, builder.build_from(&[record]).unwrap().into_bytes());
    }
    roll_and_clean(&bench, &log);
    for offset in 80..200 {
        assert_eq!(read_offsets(&log, offset)[0], offset);
        let found = log.fetch_offset_by_timestamp(NOW + offset).unwrap().unwrap();
        assert_eq!((found.offset, found.timestamp), (offset, NOW + offset));
    }
    assert_eq!(read_offsets(&log, 0).len(), 120);
}

#[test]
fn damage_is_left_alone() {
    let bench = compacted_bench();
    let log = bench.open();
    put(&log, &[kv("a", "1"), kv("a", "2")]);
    log.roll().unwrap();
    replicate_all(&log);
    let path = Path::new(DIR).join("00000000000000000000.log");
    let whole = bench.disk.content(&path).unwrap();
    let file = bench.disk.open(&path, crate::fs::OpenMode::ReadWrite).unwrap();
    file.write_all_at(&[whole.last().unwrap() ^ 1], whole.len() as u64 - 1).unwrap();
    let error = try_clean(&bench, &log, 0, 100).unwrap_err();
    assert!(error.is_lasting(), "{error}");
    assert!(!bench.failures.is_offline(Path::new("/logs")), "the disk is fine");
    // Half a batch at the end is no better.
    file.write_all_at(&whole, 0).unwrap();
    file.set_len(whole.len() as u64 - 1).unwrap();
    assert!(try_clean(&bench, &log, 0, 100).unwrap_err().is_lasting());
    assert!(bench.names().iter().all(|name| !name.ends_with(".cleaned")), "{:?}", bench.names());
}

#[test]
fn who_is_called_off_leaves_nothing_behind() {
    let bench = compacted_bench();
    let log = bench.open();
    put(&log, &[kv("a", "1"), kv("a", "2")]);
    log.roll().unwrap();
    replicate_all(&log);
    let before = bytes(&log);
    // Three times while keys are read, four times while records are copied.
    for calls in 0..7 {
        let left = std::cell::Cell::new(calls);
        let pace = |_: u64| {
            let calls = left.get();
            left.set(calls - 1);
            if calls == 0 { Err(CleanError::Aborted) } else { Ok(()) }
        };
        let cleaner =
            Cleaner { map_slots: 10, load_factor: 0.9, chunk_bytes: 1, time: &*bench.time, pace: &pace };
        let result = cleaner.clean(&log, &range(&bench, &log, 0));
        assert!(matches!(result, Err(CleanError::Aborted)), "{calls}");
        assert_eq!(bytes(&log), before);
        assert!(bench.names().iter().all(|name| !name.ends_with(".cleaned")), "{:?}", bench.names());
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put {
        codec: CompressionType,
        records: Vec<(u8, Option<u8>)>,
    },
    /// Of one of three producers.
    Send {
        producer_id: i64,
        records: Vec<(u8, Option<u8>)>,
    },
    End {
        producer_id: i64,
        committed: bool,
    },
    Roll,
}

fn step() -> impl Strategy<Value = Step> {
    let records = || prop::collection::vec((0_u8..6, prop::option::weighted(0.7, any::<u8>())), 1..5);
    let codec = prop::sample::select(CompressionType::ALL.to_vec());
    prop_oneof![
        3 => (codec, records()).prop_map(|(codec, records)| Step::Put { codec, records }),
        4 => (0_i64..3, records()).prop_map(|(producer_id, records)| Step::Send { producer_id, records }),
        2 => (0_i64..3, any::<bool>()).prop_map(|(producer_id, committed)| Step::End { producer_id, committed }),
        2 => Just(Step::Roll),
    ]
}

fn key_values(records: &[(u8, Option<u8>)]) -> Vec<KeyValue> {
    records.iter().map(|(key, value)| (format!("key-{key}"), value.map(|value| value.to_string()))).collect()
}

fn run(log: &UnifiedLog, steps: &[Step]) {
    let mut sequences = [0; 3];
    let mut open = BTreeSet::new();
    let end = |producer_id, committed| append_marker(log, marker(producer_id, 0, committed));
    for step in steps {
        match step {
            Step::Put { codec, records } => {
                append(log, keyed(*codec, &key_values(records)));
            }
            Step::Send { producer_id, records } => {
                let sequence = &mut sequences[*producer_id as usize];
                append(log, produced(*producer_id, *sequence, true, &key_values(records)));
                *sequence += records.len() as i32;
                open.insert(*producer_id);
            }
            Step::End { producer_id, committed } if open.remove(producer_id) => {
                end(*producer_id, *committed);
            }
            Step::End { .. } => {}
            Step::Roll => {
                log.roll().unwrap();
            }
        }
    }
    // The last one stays open, if there is one: what lies behind its begin is not decided.
    for producer_id in open.into_iter().skip(1) {
        end(producer_id, false);
    }
    log.roll().unwrap();
    replicate_all(log);
}

/// What must come back when all producer snapshots are lost.
fn producers(log: &UnifiedLog) -> Vec<(i64, i16, i32, i64)> {
    let of = |p: crate::ActiveProducer| {
        (p.producer_id, p.producer_epoch, p.last_sequence, p.current_txn_start_offset)
    };
    log.active_producers().into_iter().map(of).collect()
}

fn check_nothing_made_up(before: &BTreeMap<i64, KeyValue>, after: &BTreeMap<i64, KeyValue>) {
    for (offset, record) in after {
        assert_eq!(before.get(offset), Some(record), "nothing is made up, and nothing moves");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn readers_see_the_same_in_the_end(
        steps in prop::collection::vec(step(), 1..40),
        map_slots in 3_usize..40,
    ) {
        let mut bench = compacted_bench();
        (bench.config.segment_bytes, bench.config.index_interval_bytes) = (900, 100);
        bench.config.delete_retention_ms = 1000;
        let log = bench.open();
        run(&log, &steps);
        let (view, end, active) = (committed_view(&log), log.log_end_offset(), producers(&log));
        let mut first_dirty = 0;
        for _ in 0..4 {
            let before = contents(&log);
            let (cleaned, _) = try_clean(&bench, &log, first_dirty, map_slots).unwrap();
            prop_assert!(cleaned >= first_dirty);
            check_nothing_made_up(&before, &contents(&log));
            prop_assert_eq!(&committed_view(&log), &view);
            prop_assert_eq!((log.log_end_offset(), producers(&log)), (end, active.clone()));
            first_dirty = cleaned;
        }
        // Tombstones and markers go once their time is over.
        bench.time.advance_ms(bench.config.delete_retention_ms);
        try_clean(&bench, &log, 0, 1000).unwrap();
        prop_assert_eq!(&committed_view(&log), &view);
        let again = reopened_without_snapshots(&bench, &log);
        prop_assert_eq!(again.log_end_offset(), end);
        prop_assert_eq!(producers(&again), active);
        replicate_all(&again);
        prop_assert_eq!(committed_view(&again), view);
    }

    #[test]
    fn a_second_time_changes_nothing(steps in prop::collection::vec(step(), 1..30)) {
        let mut bench = compacted_bench();
        bench.config.segment_bytes = 900;
        let log = bench.open();
        run(&log, &steps);
        clean(&bench, &log);
        // Markers without records get their delete horizon when their records are gone.
        clean(&bench, &log);
        let once = bytes(&log);
        let (_, stats) = clean(&bench, &log);
        prop_assert!(bytes(&log) == once);
        prop_assert_eq!(stats.bytes_read, stats.bytes_written);
    }

    #[test]
    fn one_record_of_each_key_stays(
        batches in prop::collection::vec(prop::collection::vec((0_u8..8, any::<u8>()), 1..6), 1..30),
    ) {
        let mut bench = compacted_bench();
        bench.config.segment_bytes = 700;
        let log = bench.open();
        let mut newest = BTreeMap::new();
        for batch in &batches {
            let records: Vec<KeyValue> = batch.iter().map(|(k, v)| kv(&k.to_string(), &v.to_string())).collect();
            let first = append(&log, keyed(CompressionType::Lz4, &records)).first_offset;
            for (i, (key, value)) in records.into_iter().enumerate() {
                newest.insert(key, (first + i as i64, value));
            }
        }
        let (end, _) = roll_and_clean(&bench, &log);
        prop_assert_eq!(end, log.log_end_offset());
        let expected: BTreeMap<i64, KeyValue> =
            newest.into_iter().map(|(key, (offset, value))| (offset, (key, value))).collect();
        prop_assert_eq!(contents(&log), expected);
    }
}

fn reopened_without_snapshots(bench: &Bench, log: &UnifiedLog) -> Arc<UnifiedLog> {
    log.close().unwrap();
    for name in bench.names().into_iter().filter(|name| name.ends_with(".snapshot")) {
        bench.disk.remove_file(&PathBuf::from(DIR).join(name)).unwrap();
    }
    bench.open()
}
