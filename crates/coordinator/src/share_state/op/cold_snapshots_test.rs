use crate::share_state::testing::{TestContext, write_batch, write_data};
use crate::share_state::{ShareCoordinatorConfig, ShareStateRecord};

const INTERVAL_MS: i64 = 60_000;

fn context() -> TestContext {
    let config = ShareCoordinatorConfig { cold_partition_snapshot_interval_ms: 60_000, ..Default::default() };
    TestContext::with(config)
}

#[test]
fn an_old_snapshot_is_renewed() {
    let mut t = context();
    t.initialize(0, 1, 0);
    t.write(0, &write_data(0, vec![write_batch(0, 9, 2, 1)]));
    let created_ms = t.now_ms;
    t.advance(INTERVAL_MS);
    assert!(matches!(t.last_record(), ShareStateRecord::Snapshot { .. }));
    let state = t.offset(0).unwrap();
    assert_eq!((state.snapshot_epoch, state.state_batches.len()), (1, 1));
    assert_eq!((state.create_timestamp_ms, state.write_timestamp_ms), (created_ms, t.now_ms));
    assert_eq!(t.shard().last_redundant_offset(), Some(2));
}

#[test]
fn where_nothing_goes_on_nothing_is_renewed() {
    let mut t = context();
    t.initialize(0, 1, 0);
    t.advance(INTERVAL_MS);
    let written = t.log.records.len();
    t.advance(10 * INTERVAL_MS);
    assert_eq!(t.log.records.len(), written);
}

#[test]
fn one_that_is_busy_makes_the_others_move_on() {
    let mut t = context();
    t.initialize(0, 1, 0);
    t.advance(INTERVAL_MS);
    t.initialize(1, 1, 0);
    t.advance(INTERVAL_MS);
    assert_eq!(t.offset(0).unwrap().snapshot_epoch, 2);
    assert_eq!(t.offset(1).unwrap().snapshot_epoch, 1);
    t.prune();
    let states = t.states();
    let t = t.restarted();
    assert_eq!(t.states(), states);
}

#[test]
fn a_young_snapshot_stays() {
    let mut t = context();
    t.advance(INTERVAL_MS / 2);
    t.initialize(0, 1, 0);
    t.advance(INTERVAL_MS / 2);
    assert_eq!(t.log.records.len(), 1);
    t.advance(INTERVAL_MS);
    assert_eq!(t.log.records.len(), 2);
}
