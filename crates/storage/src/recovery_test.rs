//! What a log is after a crash: a prefix of what it was, that holds at least what was flushed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_record::{CompressionType, MemoryRecords};
use proptest::prelude::*;

use crate::fs::FileSystem;
use crate::fs::sim::SimFileSystem;
use crate::test_support::*;
use crate::{FetchIsolation, UnifiedLog};

fn all_bytes(log: &UnifiedLog) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut next = log.log_start_offset();
    while next < log.log_end_offset() {
        let found = log.read(next, 1 << 20, FetchIsolation::LogEnd, true).unwrap();
        let read = found.records.read_all().unwrap();
        assert!(!read.is_empty(), "a log has no holes");
        for batch in MemoryRecords::new(read.clone()).batches_strict() {
            let batch = batch.expect("only whole batches are read");
            batch.ensure_valid().expect("only valid batches are read");
            next = batch.next_offset();
        }
        bytes.extend_from_slice(&read);
    }
    bytes
}

#[test]
fn a_tail_cut_anywhere_is_cut_back_to_whole_batches() {
    let bench = Bench::new();
    let log = bench.open();
    let mut ends = vec![0];
    for sequence in 0..3 {
        append(&log, idempotent(9, 0, sequence, 1));
        ends.push(log.size() as usize);
    }
    log.close().unwrap();
    let path = PathBuf::from(DIR).join("00000000000000000000.log");
    let whole = bench.disk.content(&path).unwrap();
    for len in 0..=whole.len() {
        let cut = Bench::new();
        cut.disk.create_dir_all(Path::new(DIR)).unwrap();
        cut.disk.put(&path, whole[..len].to_vec());
        let log = cut.open();
        let batches = ends.iter().filter(|end| **end <= len).count() - 1;
        assert_eq!((log.size() as usize, log.log_end_offset()), (ends[batches], batches as i64), "{len}");
        assert_eq!(log.active_producers().len(), usize::from(batches > 0));
        let next = append(&log, idempotent(9, 0, batches as i32, 1));
        assert_eq!(next.first_offset, batches as i64);
    }
}

#[test]
fn zeros_that_kafka_reserved_are_gone_before_a_crash() {
    let bench = Bench::new();
    let log = bench.open();
    append(&log, batch(1, NOW));
    log.close().unwrap();
    let path = |kind: &str| PathBuf::from(DIR).join(format!("00000000000000000000.{kind}"));
    let time_index = bench.disk.content(&path("timeindex")).unwrap();
    bench.disk.put(&path("index"), vec![0; 800]);
    bench.disk.put(&path("timeindex"), [&time_index[..], &[0; 1200]].concat());
    let bench = Bench { clean: true, ..bench };
    append(&bench.open(), batch(1, NOW));
    assert_eq!(bench.disk.content(&path("index")), Some(Vec::new()));
    assert_eq!(bench.disk.content(&path("timeindex")), Some(time_index));
}

#[test]
fn a_damaged_byte_cuts_the_log_before_its_batch() {
    let bench = Bench::new();
    let log = bench.open();
    append(&log, batch(1, NOW));
    let first = log.size() as usize;
    append(&log, packed(CompressionType::Zstd, 3, NOW));
    log.close().unwrap();
    let path = PathBuf::from(DIR).join("00000000000000000000.log");
    let whole = bench.disk.content(&path).unwrap();
    for at in first..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        let cut = Bench::new();
        cut.disk.create_dir_all(Path::new(DIR)).unwrap();
        cut.disk.put(&path, damaged);
        let log = cut.open();
        // Base offset and leader epoch are not under the checksum; a larger offset is as good as the right one.
        let unchecked = (first..first + 8).contains(&at) || (first + 12..first + 16).contains(&at);
        if !unchecked {
            assert_eq!((log.size() as usize, log.log_end_offset()), (first, 1), "{at}");
        }
    }
}

#[test]
fn segments_behind_a_damaged_one_go() {
    let mut bench = Bench::new();
    bench.config.segment_bytes = batch(1, NOW).len();
    let log = bench.open();
    for _ in 0..4 {
        append(&log, batch(1, NOW));
    }
    log.close().unwrap();
    let path = PathBuf::from(DIR).join("00000000000000000001.log");
    let whole = bench.disk.content(&path).unwrap();
    bench.disk.put(&path, whole[..whole.len() - 1].to_vec());
    let log = bench.open();
    assert_eq!((log.log_end_offset(), log.number_of_segments()), (1, 2));
    assert_eq!(append(&log, batch(1, NOW)).first_offset, 1);
    bench.time.advance_ms(60_000);
    log.run_background_tasks(NOW + 60_000).unwrap();
    assert!(
        bench.names().iter().all(|name| !name.starts_with("00000000000000000002.log")),
        "{:?}",
        bench.names()
    );
}

#[test]
fn what_a_crash_left_of_compaction_is_finished_or_undone() {
    let mut bench = Bench::new();
    bench.config.segment_bytes = 2 * batch(1, NOW).len();
    let log = bench.open();
    for _ in 0..6 {
        append(&log, batch(1, NOW));
    }
    log.close().unwrap();
    let at = |name: &str| PathBuf::from(DIR).join(name);
    let content = |name: &str| bench.disk.content(&at(name)).unwrap();
    // A compacted segment that stands for the first two.
    let merged = [content("00000000000000000000.log"), content("00000000000000000002.log")].concat();
    bench.disk.put(&at("00000000000000000000.log.swap"), merged);
    bench.disk.put(&at("00000000000000000000.index.swap"), Vec::new());
    bench.disk.put(&at("00000000000000000004.log.cleaned"), b"half".to_vec());
    bench.disk.put(&at("00000000000000000009.log.deleted"), b"gone".to_vec());
    let log = bench.open();
    assert_eq!((log.number_of_segments(), log.log_end_offset()), (2, 6));
    assert_eq!(read_offsets(&log, 0), (0..6).collect::<Vec<i64>>());
    let left = bench.names();
    let temporary = left.iter().filter(|n| [".swap", ".cleaned", ".deleted"].iter().any(|s| n.ends_with(s)));
    assert_eq!(temporary.count(), 0, "{left:?}");
}

#[test]
fn a_log_that_ends_before_its_start_begins_anew_there() {
    let mut bench = Bench::new();
    append(&bench.open(), batch(3, NOW));
    bench.log_start_offset = 10;
    let log = bench.open();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (10, 10));
    assert_eq!(append(&log, batch(1, NOW)).first_offset, 10);
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Flush,
    WriteBack,
    /// Power goes after so many operations of a write-back.
    CutWriteBack(u64),
    Background,
    Truncate(usize),
    Retain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_usize..6).prop_map(Step::Append),
        1 => Just(Step::Flush),
        2 => Just(Step::WriteBack),
        1 => (0_u64..12).prop_map(Step::CutWriteBack),
        1 => Just(Step::Background),
        1 => (0_usize..8).prop_map(Step::Truncate),
        1 => Just(Step::Retain),
    ]
}

fn run(bench: &Bench, log: &UnifiedLog, steps: &[Step], sequence: &mut i32) {
    for step in steps {
        match step {
            Step::Append(count) => {
                append(log, idempotent(9, 0, *sequence, *count));
                *sequence += *count as i32;
            }
            Step::Flush => log.flush(true).unwrap(),
            Step::WriteBack => drop(log.write_back().unwrap()),
            Step::CutWriteBack(operations) => {
                bench.disk.fail_after(*operations);
                let failed = log.write_back().is_err();
                bench.disk.heal();
                if failed {
                    return;
                }
            }
            Step::Background => log.run_background_tasks(NOW).unwrap(),
            Step::Truncate(back) => {
                // Replicas agree on ends of batches.
                let batches = MemoryRecords::new(all_bytes(log).into()).batches();
                let ends: Vec<i64> = batches.map(|batch| batch.unwrap().next_offset()).collect();
                let kept = ends.len().saturating_sub(*back).max(1);
                let to = kept.checked_sub(1).map_or(log.log_start_offset(), |last| ends[last]);
                log.truncate_to(to).unwrap();
                *sequence = log.active_producers().first().map_or(0, |producer| producer.last_sequence + 1);
            }
            Step::Retain => {
                replicate_all(log);
                bench.time.advance_ms(1);
                log.delete_old_segments().unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn after_a_crash_a_log_is_a_prefix_with_all_that_was_flushed(
        seed in any::<u64>(),
        steps in prop::collection::vec(step(), 1..40),
        crashes in 1_usize..3,
    ) {
        let mut bench = Bench::on(SimFileSystem::new(seed));
        bench.config.segment_bytes = 700;
        bench.config.index_interval_bytes = 100;
        bench.config.retention_bytes = 2000;
        bench.config.file_delete_delay_ms = 0;
        let mut sequence = 1;
        {
            // With a recovery point of 0 a gap may be compaction's.
            let log = bench.open();
            append(&log, idempotent(9, 0, 0, 1));
            log.flush(true).unwrap();
            bench.recovery_point = log.recovery_point();
        }
        for _ in 0..crashes {
            let log = bench.open();
            sequence = log.active_producers().first().map_or(sequence, |producer| producer.last_sequence + 1);
            run(&bench, &log, &steps, &mut sequence);
            let (start, recovery_point) = (log.log_start_offset(), log.recovery_point());
            let before = bytes_on(&bench, start);
            let flushed = prefix_len(&before, recovery_point);
            bench = Bench { disk: bench.disk.crash(), failures: Arc::default(), ..bench.clone() };
            bench.recovery_point = recovery_point;
            bench.log_start_offset = start;
            let again = bench.open();
            let after = all_bytes(&again);
            if again.log_start_offset() != start {
                // Nothing was flushed, and the first file did not survive: as if retention had removed it.
                prop_assert!(again.log_start_offset() > start && recovery_point <= start);
                return Ok(());
            }
            prop_assert!(again.log_end_offset() >= recovery_point, "{} {}", again.log_end_offset(), recovery_point);
            prop_assert!(after.len() >= flushed);
            prop_assert!(before[..flushed] == after[..flushed], "flushed bytes differ");
            // Truncations may be lost, and then old bytes are back; else it is a prefix.
            if !steps.iter().any(|step| matches!(step, Step::Truncate(_))) {
                prop_assert!(before.starts_with(&after));
            }
            // Indexes rebuilt, producers in step, and the log goes on.
            let offsets: Vec<i64> = (start..again.log_end_offset()).collect();
            prop_assert_eq!(read_offsets(&again, start), offsets);
            again.flush(true).unwrap();
            again.close().unwrap();
            let clean = Bench { clean: true, recovery_point: again.log_end_offset(), ..bench.clone() }.open();
            prop_assert!(all_bytes(&clean) == after, "a clean restart changes bytes");
            prop_assert_eq!(clean.active_producers(), again.active_producers());
            bench.recovery_point = clean.recovery_point();
            bench.log_start_offset = clean.log_start_offset();
        }
    }
}

/// What [`all_bytes`] reads, also of a log whose disk has failed. Segments before the start may have come back.
fn bytes_on(bench: &Bench, start: i64) -> Vec<u8> {
    let names = bench.names().into_iter().filter(|name| name.ends_with(".log"));
    let files = names.map(|name| bench.disk.content(&Path::new(DIR).join(name)).unwrap());
    let bytes: Vec<u8> = files.flatten().collect();
    bytes[prefix_len(&bytes, start)..].to_vec()
}
