use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_000_000;
const NEVER: i64 = i64::MAX;

fn policy() -> CompactionPolicy {
    CompactionPolicy { min_lag_ms: 0, max_lag_ms: NEVER, min_dirty_ratio: 0.5 }
}

/// Segments of ten offsets and 100 bytes each; the last one is active.
fn facts(segments: i64, policy: CompactionPolicy, first_dirty: i64) -> LogFacts {
    let segments: Vec<SegmentFacts> =
        (0..segments).map(|i| SegmentFacts { base_offset: 10 * i, size: 100 }).collect();
    let times = |segment: &SegmentFacts| SegmentTimes {
        base_offset: segment.base_offset,
        first_batch_timestamp: 1000 * segment.base_offset,
        largest_timestamp: Some(1000 * segment.base_offset + 9_999),
    };
    let dirty_times = LogFacts::dirty(&segments, first_dirty).iter().map(times).collect();
    LogFacts { last_stable_offset: i64::MAX, segments, dirty_times, policy }
}

#[test]
fn it_begins_where_it_ended() {
    let at = |offset| FirstDirty { offset, is_reset: false };
    assert_eq!(first_dirty(None, 5, 20), at(5));
    assert_eq!(first_dirty(Some(12), 5, 20), at(12));
    assert_eq!(first_dirty(Some(20), 5, 20), at(20));
    for not_in_the_log in [4, 21] {
        assert_eq!(first_dirty(Some(not_in_the_log), 5, 20), FirstDirty { offset: 5, is_reset: true });
    }
}

#[test]
fn the_active_segment_is_left_alone() {
    let range = facts(5, policy(), 20).range(20, NOW);
    assert_eq!(range.first_uncleanable_offset, 40);
    assert_eq!((range.clean_bytes, range.cleanable_bytes), (200, 200));
    assert_eq!(range.cleanable_ratio(), 0.5);
    assert!(!range.is_due(&policy()), "it must be more than half");
    assert!(range.is_due(&CompactionPolicy { min_dirty_ratio: 0.4, ..policy() }));
    let only_active = facts(1, policy(), 0).range(0, NOW);
    assert_eq!((only_active.first_uncleanable_offset, only_active.total_bytes()), (0, 0));
    assert!(!only_active.is_due(&policy()));
    let all_clean = facts(5, policy(), 45).range(45, NOW);
    assert_eq!((all_clean.clean_bytes, all_clean.cleanable_bytes), (500, 0));
}

#[test]
fn what_is_not_decided_is_left_alone() {
    let open = |last_stable_offset| LogFacts { last_stable_offset, ..facts(5, policy(), 0) };
    assert_eq!(open(25).range(0, NOW).first_uncleanable_offset, 20);
    assert_eq!(open(30).range(0, NOW).first_uncleanable_offset, 30);
    assert_eq!(open(25).range(0, NOW).cleanable_bytes, 200);
    let nothing = open(5).range(0, NOW);
    assert_eq!((nothing.first_uncleanable_offset, nothing.cleanable_bytes), (0, 0));
}

#[test]
fn what_is_young_is_left_alone() {
    let lag = CompactionPolicy { min_lag_ms: 10_000, ..policy() };
    let uncleanable = |now_ms| facts(5, lag, 0).range(0, now_ms).first_uncleanable_offset;
    assert_eq!(uncleanable(25_000), 10);
    assert_eq!(uncleanable(19_999), 10);
    assert_eq!(uncleanable(19_998), 0);
    assert_eq!(uncleanable(NOW), 40);
}

#[test]
fn what_is_old_is_due_whatever_the_ratio() {
    let lag = CompactionPolicy { max_lag_ms: 5_000, ..policy() };
    let range = facts(6, lag, 42).range(42, 45_001);
    assert_eq!((range.compaction_delay_ms, range.cleanable_bytes), (1, 100));
    assert!(range.is_due(&lag));
    let young = facts(6, lag, 42).range(42, 45_000);
    assert_eq!(young.compaction_delay_ms, 0);
    assert!(!young.is_due(&lag));
    // Overdue, but nothing can be done about it.
    let stuck = LogFacts { last_stable_offset: 42, ..facts(6, lag, 42) }.range(42, NOW);
    assert!(stuck.compaction_delay_ms > 0 && !stuck.is_due(&lag));
}

#[test]
fn segments_without_time_are_never_overdue() {
    let lag = CompactionPolicy { max_lag_ms: 1, ..policy() };
    let mut facts = facts(3, lag, 0);
    facts.dirty_times.iter_mut().for_each(|times| times.first_batch_timestamp = i64::MAX);
    assert_eq!(facts.range(0, NOW).compaction_delay_ms, 0);
}

fn sizes(base_offset: i64, log_bytes: u64) -> SegmentSizes {
    SegmentSizes {
        base_offset,
        log_bytes,
        offset_index_bytes: log_bytes / 10,
        time_index_bytes: log_bytes / 5,
    }
}

fn one(end: usize) -> Vec<Range<usize>> {
    let all = 0..end;
    vec![all]
}

#[test]
fn neighbours_that_fit_one_segment_become_one() {
    let segments = [sizes(0, 40), sizes(10, 40), sizes(20, 40), sizes(30, 10)];
    assert_eq!(group_segments(&segments, 100, 1000, 40), [0..2, 2..4]);
    assert_eq!(group_segments(&segments, 39, 1000, 40), [0..1, 1..2, 2..3, 3..4]);
    assert_eq!(group_segments(&segments, 1000, 1000, 40), one(4));
    assert_eq!(group_segments(&segments, 1000, 16, 40), [0..2, 2..4], "the time index bounds, too");
    assert!(group_segments(&[], 1, 1, 0).is_empty());
}

#[test]
fn a_group_reaches_no_further_than_an_index() {
    let far = i64::from(i32::MAX);
    let segments = [sizes(0, 10), sizes(far, 10), sizes(far + 1, 10)];
    assert_eq!(group_segments(&segments, 1000, 1000, far + 5), [0..2, 2..3]);
    assert_eq!(group_segments(&segments[..2], 1000, 1000, far + 1), one(2));
    assert_eq!(group_segments(&segments[..2], 1000, 1000, far + 2), [0..1, 1..2]);
    // One without records has no offset that could be too far.
    let empty = [sizes(0, 10), sizes(far, 0)];
    assert_eq!(group_segments(&empty, 1000, 1000, far + 9), one(2));
}

proptest! {
    #[test]
    fn groups_hold_each_segment_once_and_fit(bytes in prop::collection::vec(0_u64..60, 0..20)) {
        let segments: Vec<SegmentSizes> =
            bytes.iter().enumerate().map(|(i, bytes)| sizes(i as i64 * 10, *bytes)).collect();
        let groups = group_segments(&segments, 100, 15, i64::MAX);
        let flat: Vec<usize> = groups.iter().cloned().flatten().collect();
        prop_assert_eq!(flat, (0..segments.len()).collect::<Vec<usize>>());
        for group in groups.iter().filter(|group| group.len() > 1) {
            prop_assert!(segments[group.clone()].iter().map(|s| s.log_bytes).sum::<u64>() <= 100);
            prop_assert!(segments[group.clone()].iter().map(|s| s.time_index_bytes).sum::<u64>() <= 15);
        }
    }

    #[test]
    fn a_range_stays_below_what_must_stay(
        segments in 1_i64..8,
        first_dirty in 0_i64..90,
        last_stable_offset in 0_i64..90,
    ) {
        let facts = LogFacts { last_stable_offset, ..facts(segments, policy(), first_dirty) };
        let range = facts.range(first_dirty, NOW);
        let active = 10 * (segments - 1);
        prop_assert!(range.first_uncleanable_offset <= active);
        prop_assert!(range.first_uncleanable_offset <= last_stable_offset.max(first_dirty));
        if range.cleanable_bytes > 0 {
            prop_assert!(first_dirty < range.first_uncleanable_offset);
        }
    }
}
