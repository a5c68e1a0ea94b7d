use ottla_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};

use super::*;
use crate::transaction::testing::{MemoryLog, NEW_END, OLD_END, TIMEOUT_MS, TX, TestContext};
use crate::transaction::{MarkerOutcome, TransactionConfig, TransactionVersion};

const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1000;

#[test]
fn a_transaction_that_is_open_for_too_long_is_aborted_and_its_producer_fenced() {
    for (version, add) in [(TransactionVersion::V0, 3), (TransactionVersion::V2, 4)] {
        let mut t = TestContext::new(version);
        let (id, epoch) = t.initialized();
        t.open(add, &[0]);
        let late = t.end_request(true);
        t.advance(i64::from(TIMEOUT_MS));
        assert_eq!(t.state(), TransactionState::Ongoing);
        t.advance(10_000);
        assert_eq!((t.state(), t.producer()), (TransactionState::PrepareAbort, (id, epoch + 1)));
        t.answer_markers(MarkerOutcome::Written);
        assert_eq!(t.state(), TransactionState::CompleteAbort);
        assert_eq!(t.end(OLD_END, &late).1, ErrorCode::ProducerFenced);
    }
}

#[test]
fn the_time_goes_on_with_another_coordinator() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    t.open(4, &[0]);
    t.advance(i64::from(TIMEOUT_MS));
    let mut t = t.restarted();
    t.advance(10_000);
    assert_eq!(t.state(), TransactionState::PrepareAbort);
}

#[test]
fn all_that_are_late_are_aborted_at_once() {
    let mut t = TestContext::new(TransactionVersion::V2);
    for id in 0..50 {
        let transactional_id: ByteString = format!("t{id}").into();
        let mut request = t.init_request();
        request.transactional_id = Some(transactional_id.clone());
        let producer = t.init(5, &request);
        let mut transaction = AddPartitionsToTxnTransaction {
            transactional_id,
            producer_id: producer.producer_id,
            producer_epoch: producer.producer_epoch,
            ..Default::default()
        };
        transaction.topics.push(AddPartitionsToTxnTopic {
            name: "pagos".into(),
            partitions: vec![0],
            ..Default::default()
        });
        t.add(4, &transaction);
    }
    t.advance(i64::from(TIMEOUT_MS) + 10_000);
    assert_eq!(t.markers.len(), 50);
    assert!(t.shard().transactions().all(|metadata| metadata.state == TransactionState::PrepareAbort));
}

#[test]
fn a_time_out_that_is_not_written_is_tried_with_the_next_look() {
    let mut t = TestContext::new(TransactionVersion::V0);
    let (_, epoch) = t.initialized();
    t.open(3, &[0]);
    t.log.refuse = Some(ErrorCode::NotEnoughReplicas);
    t.advance(i64::from(TIMEOUT_MS) + 30_000);
    assert_eq!((t.state(), t.producer().1), (TransactionState::Ongoing, epoch + 1));
    t.log.refuse = None;
    t.advance(10_000);
    assert_eq!((t.state(), t.producer().1), (TransactionState::PrepareAbort, epoch + 1));
}

#[test]
fn transactions_of_an_outside_coordinator_stay_open() {
    let config = TransactionConfig { two_phase_commit_enable: true, ..Default::default() };
    let mut t = TestContext::on(config, TransactionVersion::V2, MemoryLog::default(), 0);
    let mut request = t.init_request();
    request.enable2_pc = true;
    t.init(6, &request);
    t.open(4, &[0]);
    t.advance(WEEK_MS * 2);
    assert_eq!(t.state(), TransactionState::Ongoing);
}

#[test]
fn a_transactional_id_that_nobody_uses_expires() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    t.open(4, &[0]);
    t.end_now(NEW_END, true);
    t.answer_markers(MarkerOutcome::Written);
    t.advance(WEEK_MS - 1);
    assert_eq!(t.state(), TransactionState::CompleteCommit);
    t.advance(60 * 60 * 1000 + 1);
    assert!(t.shard().transaction(&TX.into()).is_none());
    assert_eq!(t.written().last(), Some(&TransactionState::Dead));
    let t = t.restarted();
    assert!(t.shard().transaction(&TX.into()).is_none());
}

#[test]
fn an_id_whose_transaction_is_not_over_does_not_expire() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    t.open(4, &[0]);
    t.end_now(NEW_END, true);
    t.advance(WEEK_MS * 2);
    assert_eq!(t.state(), TransactionState::PrepareCommit);
}

#[test]
fn a_tombstone_that_is_refused_leaves_the_id() {
    let mut t = TestContext::new(TransactionVersion::V2);
    let (_, epoch) = t.initialized();
    t.log.refuse = Some(ErrorCode::NotEnoughReplicas);
    t.advance(WEEK_MS * 2);
    assert_eq!((t.state(), t.metadata().pending_state), (TransactionState::Empty, None));
    t.log.refuse = None;
    assert_eq!(t.initialized().1, epoch + 1);
}

#[test]
fn while_a_tombstone_is_under_way_the_id_is_busy() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    t.advance(WEEK_MS - 60 * 60 * 1000);
    t.log.hold = true;
    t.advance(60 * 60 * 1000);
    assert_eq!(t.metadata().pending_state, Some(TransactionState::Dead));
    let response = t.init(5, &t.init_request());
    assert_eq!(ErrorCode::from_code(response.error_code), ErrorCode::ConcurrentTransactions);
    t.commit_all();
    assert!(t.shard().transaction(&TX.into()).is_none());
}

#[test]
fn many_ids_expire_in_steps() {
    let mut t = TestContext::new(TransactionVersion::V2);
    let count = EXPIRED_AT_ONCE + 10;
    for id in 0..count {
        let metadata = TransactionMetadata::new(format!("t{id}").into(), 7, 1, t.now_ms);
        let change = TransactionChange::Put(Arc::new(metadata));
        t.execute(crate::transaction::shard::changed(change));
    }
    t.advance(WEEK_MS + 60 * 60 * 1000);
    assert_eq!((t.shard().transactions().count(), t.written().len()), (0, count));
}
