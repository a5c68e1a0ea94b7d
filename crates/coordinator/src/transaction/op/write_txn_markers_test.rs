use super::*;
use crate::transaction::testing::{COORDINATOR_EPOCH, NEW_END, OLD_END, TestContext};
use crate::transaction::{TransactionPartitions, TransactionVersion};

fn ending(version: TransactionVersion, api_version: i16) -> TestContext {
    let mut t = TestContext::new(version);
    t.initialized();
    t.open(if api_version == NEW_END { 4 } else { 3 }, &[0, 1]);
    t.end_now(api_version, true);
    t
}

fn only(markers: &TransactionMarkers, partition: i32) -> TransactionMarkers {
    let partitions: TransactionPartitions = [("pagos".into(), partition)].into_iter().collect();
    TransactionMarkers { partitions, ..markers.clone() }
}

#[test]
fn a_transaction_is_complete_with_its_last_marker() {
    let mut t = ending(TransactionVersion::V2, NEW_END);
    let markers = t.markers.remove(0);
    assert_eq!((markers.coordinator_epoch, markers.result), (COORDINATOR_EPOCH, TransactionResult::Commit));
    t.answer(&only(&markers, 1), MarkerOutcome::Written);
    assert_eq!((t.state(), t.metadata().partitions.len()), (TransactionState::PrepareCommit, 1));
    t.answer(&only(&markers, 1), MarkerOutcome::Written);
    assert_eq!(t.state(), TransactionState::PrepareCommit, "the same one twice");
    t.answer(&only(&markers, 0), MarkerOutcome::Gone);
    assert_eq!(t.state(), TransactionState::CompleteCommit);
    let records = t.written().len();
    t.answer(&markers, MarkerOutcome::Written);
    assert_eq!(t.written().len(), records, "nobody waits for markers any more");
}

#[test]
fn markers_of_another_end_count_for_nothing() {
    let mut t = ending(TransactionVersion::V2, NEW_END);
    let markers = t.markers.remove(0);
    for stale in [
        TransactionMarkers { producer_id: 5, ..markers.clone() },
        TransactionMarkers { producer_epoch: 0, ..markers.clone() },
        TransactionMarkers { coordinator_epoch: COORDINATOR_EPOCH - 1, ..markers.clone() },
        TransactionMarkers { transactional_id: "otra".into(), ..markers },
    ] {
        t.answer(&stale, MarkerOutcome::Written);
        assert_eq!(t.metadata().partitions.len(), 2);
    }
}

#[test]
fn another_coordinator_sends_the_markers_again() {
    for (version, end) in [(TransactionVersion::V0, OLD_END), (TransactionVersion::V2, NEW_END)] {
        let t = ending(version, end);
        let first = t.markers[0].clone();
        let mut t = t.restarted();
        assert_eq!(t.markers, [first]);
        t.answer_markers(MarkerOutcome::Written);
        assert_eq!(t.state(), TransactionState::CompleteCommit);
        assert!(t.restarted().markers.is_empty());
    }
}

#[test]
fn an_end_that_may_yet_be_lost_sends_no_markers() {
    let t = ending(TransactionVersion::V2, NEW_END);
    let mut log = t.log;
    log.high_watermark -= 1;
    log.hold = true;
    let config = crate::transaction::TransactionConfig::default();
    let mut t = TestContext::on(config, TransactionVersion::V2, log, t.now_ms);
    assert!(t.markers.is_empty());
    t.advance(30_000);
    assert!(t.markers.is_empty(), "patience is over, and begins again");
    t.commit_all();
    assert_eq!(t.markers.len(), 1);
}

#[test]
fn who_is_fenced_leaves_the_transaction_to_others() {
    let mut t = ending(TransactionVersion::V2, NEW_END);
    let markers = t.markers.remove(0);
    t.answer(&only(&markers, 0), MarkerOutcome::Fenced);
    t.answer(&only(&markers, 1), MarkerOutcome::Written);
    t.advance(60_000);
    assert_eq!(t.state(), TransactionState::PrepareCommit);
    assert_eq!(t.restarted().markers.len(), 1);
}

#[test]
fn a_completion_that_is_refused_is_written_again() {
    let mut t = ending(TransactionVersion::V2, NEW_END);
    t.log.refuse = Some(ErrorCode::NotEnoughReplicas);
    t.answer_markers(MarkerOutcome::Written);
    t.advance(1_000);
    assert_eq!(t.state(), TransactionState::PrepareCommit);
    let request = t.end_request(true);
    assert_eq!(t.end(NEW_END, &request).1, ErrorCode::ConcurrentTransactions);
    t.log.refuse = None;
    t.advance(COMPLETION_RETRY_BACKOFF_MS);
    assert_eq!(t.state(), TransactionState::CompleteCommit);
}

#[test]
fn who_leads_no_longer_completes_nothing() {
    let mut t = ending(TransactionVersion::V2, NEW_END);
    t.log.refuse = Some(ErrorCode::NotLeaderOrFollower);
    t.answer_markers(MarkerOutcome::Written);
    t.log.refuse = None;
    t.advance(1_000);
    assert_eq!(t.state(), TransactionState::PrepareCommit);
}
