//! Recovery from the recovery point on ends where recovery of the whole segment ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_record::{CompressionType, RecordsBuilder};
use proptest::prelude::*;

use crate::test_support::*;
use crate::{ListOffsetsTimestamp, UnifiedLog};

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.config.index_interval_bytes = 300;
    bench
}

fn path(kind: &str) -> PathBuf {
    PathBuf::from(DIR).join(format!("00000000000000000000.{kind}"))
}

/// The same folder after kill -9, with the recovery point that was on disk.
fn killed(bench: &Bench, recovery_point: i64) -> Bench {
    let bench = Bench { recovery_point, failures: Arc::default(), ..bench.clone() };
    Bench { disk: bench.disk.kill(), ..bench }
}

/// All a log has on disk but producer snapshots, of which there may be more or fewer.
fn files(bench: &Bench) -> BTreeMap<String, Vec<u8>> {
    let names = bench.names().into_iter().filter(|name| !name.ends_with(".snapshot"));
    let files = names.map(|name| {
        let content = bench.disk.content(&Path::new(DIR).join(&name)).unwrap();
        (name, content)
    });
    // Without an entry it may be there or not.
    files.filter(|(name, content)| !name.ends_with(".txnindex") || !content.is_empty()).collect()
}

fn damage(bench: &Bench, file: &Path, at: usize) {
    let mut bytes = bench.disk.content(file).unwrap();
    bytes[at] ^= 0x40;
    bench.disk.put(file, bytes);
}

/// Appends batches with the times given.
fn append_at(log: &UnifiedLog, times: &[i64]) {
    for time in times {
        append(log, batch(1, NOW + time));
    }
}

/// A log of which a part is on disk, and the recovery point. Its first batches have the largest timestamp.
fn half_flushed() -> (Bench, i64) {
    let bench = bench();
    let log = bench.open();
    append_at(&log, &[0, 7_000, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(log.write_back().unwrap());
    let recovery_point = log.recovery_point();
    assert_eq!(recovery_point, log.log_end_offset());
    append_at(&log, &[10, 11, 12, 13, 14, 15, 16, 17]);
    (bench, recovery_point)
}

#[test]
fn what_was_flushed_is_not_looked_at_again() {
    let (bench, recovery_point) = half_flushed();
    let again = killed(&bench, recovery_point);
    // What a disk does not do; it shows what is read.
    damage(&again, &path("log"), batch(1, NOW).len() * 2 - 1);
    let log = again.open();
    assert_eq!((log.log_end_offset(), log.recovery_point()), (18, recovery_point));
    let whole = killed(&bench, 0);
    damage(&whole, &path("log"), batch(1, NOW).len() * 2 - 1);
    assert_eq!(whole.open().log_end_offset(), 1);
}

#[test]
fn times_from_before_the_recovery_point_are_known() {
    let (bench, recovery_point) = half_flushed();
    let log = killed(&bench, recovery_point).open();
    let found = log.fetch_offset_by_timestamp(NOW + 100).unwrap();
    assert_eq!(found.map(|found| found.offset), Some(1));
    let max = log.fetch_offset_by_timestamp(ListOffsetsTimestamp::MAX_TIMESTAMP).unwrap();
    assert_eq!(max.map(|max| max.timestamp), Some(NOW + 7_000));
}

#[test]
fn a_damaged_tail_is_cut() {
    let (bench, recovery_point) = half_flushed();
    let again = killed(&bench, recovery_point);
    let len = again.disk.content(&path("log")).unwrap().len();
    damage(&again, &path("log"), len - 1);
    let log = again.open();
    assert_eq!(log.log_end_offset(), 17);
    assert_eq!(append(&log, batch(1, NOW)).first_offset, 17);
}

#[test]
fn a_log_that_ends_below_its_recovery_point_is_recovered_as_a_whole() {
    let (bench, recovery_point) = half_flushed();
    let size = batch(1, NOW).len();
    for (lost, damaged) in [(11 * size, None), (9 * size - 5, None), (0, Some(9 * size)), (0, Some(3 * size))]
    {
        let again = killed(&bench, recovery_point);
        let bytes = again.disk.content(&path("log")).unwrap();
        again.disk.put(&path("log"), bytes[..bytes.len() - lost].to_vec());
        // The first one is damaged, too: all of it is looked at.
        damage(&again, &path("log"), size + 70);
        if let Some(at) = damaged {
            damage(&again, &path("log"), at + 70);
        }
        let log = again.open();
        let whole = lost > 8 * size || damaged == Some(9 * size);
        assert_eq!(log.log_end_offset(), if whole { 1 } else { 18 - lost.div_ceil(size) as i64 });
        assert!(log.recovery_point() <= log.log_end_offset());
    }
}

#[test]
fn an_index_that_points_elsewhere_is_not_believed() {
    let (bench, recovery_point) = half_flushed();
    let expected = {
        let whole = killed(&bench, 0);
        whole.open();
        files(&whole)
    };
    // The last entry before the recovery point, its offset or its position one larger.
    let len = bench.disk.content(&path("index")).unwrap().len();
    for at in [len - 5, len - 1] {
        let again = killed(&bench, recovery_point);
        let mut index = again.disk.content(&path("index")).unwrap();
        index[at] += 1;
        again.disk.put(&path("index"), index);
        again.open();
        assert_eq!(files(&again), expected, "{at}");
    }
    // A time that no batch has.
    let again = killed(&bench, recovery_point);
    let mut index = again.disk.content(&path("timeindex")).unwrap();
    index[7] ^= 1;
    again.disk.put(&path("timeindex"), index);
    again.open();
    assert_eq!(files(&again), expected);
}

#[test]
fn aborted_transactions_survive_on_both_sides_of_the_recovery_point() {
    let mut bench = bench();
    bench.verification = false;
    let log = bench.open();
    let mut sequence = 0;
    let transaction = |committed: bool, sequence: &mut i32| {
        append(&log, transactional(5, 0, *sequence, 2));
        *sequence += 2;
        append_marker(&log, marker(5, 0, committed));
    };
    for committed in [false, true, false] {
        transaction(committed, &mut sequence);
    }
    append(&log, transactional(6, 0, 0, 1));
    log.write_back().unwrap();
    let recovery_point = log.recovery_point();
    append_marker(&log, marker(6, 0, false));
    transaction(false, &mut sequence);
    let (whole, again) = (killed(&bench, 0), killed(&bench, recovery_point));
    let (first, second) = (whole.open(), again.open());
    assert_eq!(first.active_producers(), second.active_producers());
    assert_eq!(first.first_unstable_offset(), second.first_unstable_offset());
    assert_eq!(files(&whole), files(&again));
    let aborted = bench.disk.content(&path("txnindex")).unwrap().len() / 34;
    assert_eq!(aborted, 4);
}

#[test]
fn snapshots_between_segments_do_not_pile_up() {
    let bench = bench();
    let log = bench.open();
    for sequence in 0..5 {
        append(&log, idempotent(9, 0, sequence, 1));
        assert!(log.write_back().unwrap());
        assert!(!log.write_back().unwrap(), "there is nothing new");
    }
    let snapshots = || bench.names().into_iter().filter(|name| name.ends_with(".snapshot")).count();
    assert_eq!(snapshots(), 5);
    let offset = log.recovery_point_to_checkpoint();
    log.note_checkpointed(offset).unwrap();
    assert_eq!(snapshots(), 1);
    let again = killed(&bench, offset).open();
    assert_eq!(again.active_producers(), log.active_producers());
}

/// What happens to a log before it is killed.
#[derive(Debug, Clone)]
enum Step {
    Append { count: usize, time: i64, packed: bool },
    Produce(usize),
    Transaction { committed: bool, open: bool },
    WriteBack,
    Roll,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..9, -50_i64..50, any::<bool>())
            .prop_map(|(count, time, packed)| Step::Append { count, time, packed }),
        4 => (1_usize..9).prop_map(Step::Produce),
        2 => any::<(bool, bool)>().prop_map(|(committed, open)| Step::Transaction { committed, open }),
        3 => Just(Step::WriteBack),
        1 => Just(Step::Roll),
    ]
}

/// Returns the recovery points that were written.
fn run(log: &UnifiedLog, steps: &[Step]) -> Vec<i64> {
    let (mut sequence, mut transactional_sequence) = (0, 0);
    let mut recovery_points = vec![0];
    let mut open = false;
    for (i, step) in steps.iter().enumerate() {
        match step {
            Step::Append { count, time, packed } => {
                let codec = if *packed { CompressionType::Lz4 } else { CompressionType::None };
                let records = records(*count, NOW + i as i64 + time);
                append(log, RecordsBuilder::new(codec).build_from(&records).unwrap().into_bytes());
            }
            Step::Produce(count) => {
                append(log, idempotent(9, 0, sequence, *count));
                sequence += *count as i32;
            }
            Step::Transaction { committed, open: stay } => {
                append(log, transactional(5, 0, transactional_sequence, 2));
                transactional_sequence += 2;
                open = *stay;
                if !open {
                    append_marker(log, marker(5, 0, *committed));
                }
            }
            Step::WriteBack => {
                log.write_back().unwrap();
                recovery_points.push(log.recovery_point());
                let offset = log.recovery_point_to_checkpoint();
                log.note_checkpointed(offset).unwrap();
            }
            Step::Roll => drop(log.roll().unwrap()),
        }
    }
    if open {
        append_marker(log, marker(5, 0, false));
    }
    recovery_points
}

/// How files may be found, beyond how they were written.
#[derive(Debug, Clone)]
enum Harm {
    None,
    /// Kafka's zeros, or what a crash leaves, behind the entries.
    Longer {
        kind: usize,
        bytes: Vec<u8>,
    },
    /// Of the offset index only the first entries are there.
    Shorter(usize),
    /// Bytes that were never flushed, behind the log or in the place of its end.
    Tail {
        cut: usize,
        bytes: Vec<u8>,
    },
}

fn harm() -> impl Strategy<Value = Harm> {
    let bytes = || {
        let zeros = (1_usize..100).prop_map(|len| vec![0; len]);
        prop_oneof![zeros, prop::collection::vec(any::<u8>(), 1..100)]
    };
    prop_oneof![
        Just(Harm::None),
        (0_usize..3, bytes()).prop_map(|(kind, bytes)| Harm::Longer { kind, bytes }),
        (0_usize..100).prop_map(Harm::Shorter),
        (0_usize..400, bytes()).prop_map(|(cut, bytes)| Harm::Tail { cut, bytes }),
    ]
}

impl Harm {
    fn kind(&self) -> &'static str {
        match self {
            Self::Longer { kind, .. } => [".index", ".timeindex", ".txnindex"][*kind],
            Self::Shorter(_) => ".index",
            Self::None | Self::Tail { .. } => ".log",
        }
    }

    fn change(&self, file: &mut Vec<u8>, recovery_point: i64) {
        match self {
            Self::None => {}
            Self::Longer { bytes, .. } => file.extend(bytes),
            Self::Shorter(len) => file.truncate(*len),
            Self::Tail { cut, bytes } => {
                let flushed = prefix_len(file, recovery_point);
                file.truncate(file.len().saturating_sub(*cut).max(flushed));
                file.extend(bytes);
            }
        }
    }

    fn on(&self, bench: &Bench, recovery_point: i64) {
        let last = bench.names().into_iter().rfind(|name| name.ends_with(".log")).unwrap();
        let path = Path::new(DIR).join(last.replace(".log", self.kind()));
        // Segments below the recovery point are believed as they are.
        if let Some(mut content) = bench.disk.content(&path) {
            self.change(&mut content, recovery_point);
            bench.disk.put(&path, content);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_part_is_recovered_as_the_whole_would_be(
        steps in prop::collection::vec(step(), 1..40),
        segment_bytes in 1500_usize..5000,
        index_interval in 100_usize..500,
        which in any::<prop::sample::Index>(),
        harm in harm(),
    ) {
        let mut bench = bench();
        bench.config.segment_bytes = segment_bytes;
        bench.config.index_interval_bytes = index_interval;
        let log = bench.open();
        let recovery_points = run(&log, &steps);
        // Not always the last one reached the disk.
        let recovery_point = recovery_points[which.index(recovery_points.len())];
        let (part, whole) = (killed(&bench, recovery_point), killed(&bench, 0));
        harm.on(&part, recovery_point);
        harm.on(&whole, recovery_point);
        let (first, second) = (part.open(), whole.open());
        prop_assert_eq!(first.log_end_offset(), second.log_end_offset());
        prop_assert!(files(&part) == files(&whole), "files differ");
        prop_assert_eq!(first.active_producers(), second.active_producers());
        prop_assert_eq!(first.first_unstable_offset(), second.first_unstable_offset());
        prop_assert_eq!(first.leader_epoch_entries(), second.leader_epoch_entries());
        for time in [-60, -1, 0, 10, 30, 90] {
            let at = NOW + time;
            let found = first.fetch_offset_by_timestamp(at).unwrap();
            prop_assert_eq!(found, second.fetch_offset_by_timestamp(at).unwrap());
        }
    }

    #[test]
    fn no_index_makes_records_go(
        kind in prop::sample::select(vec!["index", "timeindex", "txnindex"]),
        content in prop::collection::vec(any::<u8>(), 0..200),
        keep in 0_usize..60,
    ) {
        let (bench, recovery_point) = half_flushed();
        let again = killed(&bench, recovery_point);
        let mut bytes = again.disk.content(&path(kind)).unwrap_or_default();
        bytes.truncate(keep);
        bytes.extend(content);
        again.disk.put(&path(kind), bytes);
        let log = again.open();
        prop_assert_eq!(read_offsets(&log, 0), (0..18).collect::<Vec<i64>>());
        prop_assert_eq!(again.disk.content(&path("log")), bench.disk.content(&path("log")));
    }
}
