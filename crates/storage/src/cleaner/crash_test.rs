//! A crash at any operation on a file: the log is what it was, or what compaction makes of it.

use std::path::Path;
use std::sync::Arc;

use ottla_record::CompressionType;

use super::testing::*;
use crate::UnifiedLog;
use crate::fs::FileSystem;
use crate::fs::sim::SimFileSystem;
use crate::test_support::*;

/// Four segments, of which each two become one, and aborted records in them.
fn prepared() -> Bench {
    let mut bench = compacted_bench();
    (bench.config.segment_bytes, bench.config.index_interval_bytes) = (1000, 100);
    let log = bench.open();
    for round in 0..4 {
        for key in ["a", "b", "c"] {
            append(&log, keyed(CompressionType::None, &[kv(key, &round.to_string()), tombstone("d")]));
        }
        append(&log, produced(7, round, true, &[kv("a", "aborted")]));
        append_marker(&log, marker(7, 0, round == 3));
        log.roll().unwrap();
    }
    replicate_all(&log);
    log.flush(true).unwrap();
    bench.recovery_point = log.recovery_point();
    bench.disk.sync_all(Path::new("/logs")).unwrap();
    bench
}

fn on(bench: &Bench, disk: SimFileSystem) -> Bench {
    Bench { failures: Arc::default(), ..Bench { disk, ..bench.clone() } }
}

fn opened(bench: &Bench) -> Arc<UnifiedLog> {
    let log = bench.open();
    replicate_all(&log);
    log
}

/// Compacts a copy of the log, on a disk that fails after some operations. Tells whether it got to the end.
fn compacted_with_failure(bench: &Bench, operations: u64) -> (Bench, bool) {
    let broken = on(bench, bench.disk.kill());
    let log = opened(&broken);
    let range = range(&broken, &log, 0);
    broken.disk.fail_after(operations);
    let done = try_clean_range(&broken, &log, &range, 1000).is_ok();
    broken.disk.heal();
    (broken, done)
}

#[test]
fn a_crash_anywhere_in_a_compaction_loses_nothing() {
    let bench = prepared();
    let log = opened(&on(&bench, bench.disk.kill()));
    let (view, before, end) = (committed_view(&log), contents(&log), log.log_end_offset());
    assert_eq!(view.get("a"), Some(&"aborted".to_owned()), "the last of them was committed");
    let mut operations = 0;
    loop {
        let (broken, done) = compacted_with_failure(&bench, operations);
        let offline = broken.failures.is_offline(Path::new("/logs"));
        assert_eq!(offline, !done, "{operations}");
        for disk in [broken.disk.kill(), broken.disk.crash_in_order(), broken.disk.crash_in_order()] {
            let after = on(&bench, disk);
            let log = opened(&after);
            let left = after.names();
            let temporary =
                |name: &&String| [".swap", ".cleaned", ".deleted"].iter().any(|s| name.ends_with(s));
            assert_eq!(left.iter().filter(temporary).count(), 0, "{operations}: {left:?}");
            assert_eq!((committed_view(&log), log.log_end_offset()), (view.clone(), end), "{operations}");
            assert!(contents(&log).iter().all(|(offset, record)| before.get(offset) == Some(record)));
            // And it can be done again.
            try_clean(&after, &log, 0, 1000).unwrap();
            assert_eq!(committed_view(&log), view, "{operations}");
            assert!(contents(&log).len() < before.len());
        }
        if done {
            break;
        }
        operations += 1;
    }
    assert!(operations > 50, "there were {operations} operations to fail at");
}

#[test]
fn a_crash_while_a_swap_is_completed_is_no_harm() {
    let bench = prepared();
    let view = committed_view(&opened(&on(&bench, bench.disk.kill())));
    // Stop as soon as there is a segment under its last name but one.
    let mut operations = 0;
    let interrupted = loop {
        let (broken, done) = compacted_with_failure(&bench, operations);
        assert!(!done, "there is a moment with a .swap");
        let has = |suffix: &str| broken.names().iter().any(|name| name.ends_with(suffix));
        if has(".log.swap") && !has(".cleaned") {
            break broken.disk.kill();
        }
        operations += 1;
    };
    let mut operations = 0;
    loop {
        let broken = on(&bench, interrupted.kill());
        broken.disk.fail_after(operations);
        let done = broken.try_open().is_ok();
        broken.disk.heal();
        let after = opened(&on(&bench, broken.disk.kill()));
        assert_eq!(committed_view(&after), view, "{operations}");
        if done {
            return;
        }
        operations += 1;
    }
}
