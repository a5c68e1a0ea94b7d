use super::*;
use crate::transaction::testing::{FIRST_ID, MemoryLog, NEW_END, OLD_END, TIMEOUT_MS, TX, TestContext};
use crate::transaction::{MarkerOutcome, TransactionConfig, TransactionVersion};

fn error_of(response: &InitProducerIdResponse) -> ErrorCode {
    ErrorCode::from_code(response.error_code)
}

fn with(t: &TestContext, producer_id: i64, producer_epoch: i16) -> InitProducerIdRequest {
    InitProducerIdRequest { producer_id, producer_epoch, ..t.init_request() }
}

#[test]
fn a_new_transactional_id_gets_a_producer_id_and_epoch_0() {
    let mut t = TestContext::new(TransactionVersion::V2);
    assert_eq!(t.initialized(), (FIRST_ID, 0));
    assert_eq!((t.state(), t.metadata().timeout_ms), (TransactionState::Empty, TIMEOUT_MS));
    let mut other = t.init_request();
    other.transactional_id = Some("otra".into());
    assert_eq!(t.init(5, &other).producer_id, FIRST_ID + 1);
    let t = t.restarted();
    assert_eq!(t.producer(), (FIRST_ID, 0));
    let (_, value) = t.log.records[0].value.clone().unwrap();
    assert_eq!(
        (value.producer_id, value.previous_producer_id, value.producer_epoch),
        (FIRST_ID, FIRST_ID, 0)
    );
    assert_eq!((value.transaction_start_timestamp_ms, value.transaction_partitions), (-1, None));
}

#[test]
fn who_comes_again_fences_who_was_there() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    assert_eq!(t.initialized(), (FIRST_ID, 1));
    let fenced = with(&t, FIRST_ID, 0);
    assert_eq!(error_of(&t.init(4, &fenced)), ErrorCode::ProducerFenced);
    assert_eq!(error_of(&t.init(3, &fenced)), ErrorCode::InvalidProducerEpoch);
    let foreign = with(&t, 5, 1);
    assert_eq!(error_of(&t.init(5, &foreign)), ErrorCode::ProducerFenced);
    assert_eq!(t.producer(), (FIRST_ID, 1));
}

#[test]
fn a_retry_of_an_own_bump_gets_the_same_epoch() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    let request = with(&t, FIRST_ID, 0);
    assert_eq!(t.init(5, &request).producer_epoch, 1);
    assert_eq!(t.init(5, &request).producer_epoch, 1);
}

#[test]
fn used_up_epochs_bring_a_new_id() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    t.tamper(|metadata| metadata.producer_epoch = i16::MAX - 1);
    let request = with(&t, FIRST_ID, i16::MAX - 1);
    let response = t.init(5, &request);
    assert_eq!((response.producer_id, response.producer_epoch), (FIRST_ID + 1, 0));
    let again = t.init(5, &request);
    assert_eq!((again.producer_id, again.producer_epoch), (FIRST_ID + 1, 0), "the answer was lost");
    let (_, value) = t.log.records.last().unwrap().value.clone().unwrap();
    assert_eq!(value.producer_id, FIRST_ID + 1);
}

#[test]
fn requests_that_contradict_themselves() {
    let mut t = TestContext::new(TransactionVersion::V2);
    for request in [
        with(&t, 5, -1),
        with(&t, -1, 5),
        InitProducerIdRequest { transactional_id: Some("".into()), ..t.init_request() },
        InitProducerIdRequest { transactional_id: None, ..t.init_request() },
    ] {
        let response = t.init(5, &request);
        assert_eq!(error_of(&response), ErrorCode::InvalidRequest);
        assert_eq!((response.producer_id, response.producer_epoch), (-1, -1));
    }
    assert!(t.log.records.is_empty());
}

#[test]
fn time_outs_are_bounded() {
    let mut t = TestContext::new(TransactionVersion::V2);
    for (timeout_ms, error) in [
        (0, ErrorCode::InvalidTransactionTimeout),
        (-1, ErrorCode::InvalidTransactionTimeout),
        (900_001, ErrorCode::InvalidTransactionTimeout),
        (900_000, ErrorCode::None),
        (1, ErrorCode::None),
    ] {
        let request = InitProducerIdRequest { transaction_timeout_ms: timeout_ms, ..t.init_request() };
        assert_eq!(error_of(&t.init(5, &request)), error, "{timeout_ms}");
    }
}

#[test]
fn two_phase_commit_is_behind_its_flag() {
    let mut t = TestContext::new(TransactionVersion::V2);
    let request = InitProducerIdRequest { enable2_pc: true, transaction_timeout_ms: 0, ..t.init_request() };
    assert_eq!(error_of(&t.init(6, &request)), ErrorCode::TransactionalIdAuthorizationFailed);
    let config = TransactionConfig { two_phase_commit_enable: true, ..Default::default() };
    let mut t = TestContext::on(config, TransactionVersion::V2, MemoryLog::default(), 0);
    assert_eq!(error_of(&t.init(6, &request)), ErrorCode::None);
    assert_eq!(t.metadata().timeout_ms, i32::MAX);
    let keep = InitProducerIdRequest { keep_prepared_txn: true, ..request };
    assert_eq!(error_of(&t.init(6, &keep)), ErrorCode::UnsupportedVersion);
}

#[test]
fn without_producer_ids_the_producer_must_wait() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.producer_ids = None;
    for id in 0..100 {
        let request =
            InitProducerIdRequest { transactional_id: Some(format!("t{id}").into()), ..t.init_request() };
        assert_eq!(error_of(&t.init(5, &request)), ErrorCode::None);
    }
    assert_eq!(error_of(&t.init(5, &t.init_request())), ErrorCode::CoordinatorLoadInProgress);
    assert!(t.shard().transaction(&TX.into()).is_none());
    t.producer_ids = Some(5_000);
    assert_eq!(error_of(&t.init(5, &t.init_request())), ErrorCode::CoordinatorLoadInProgress);
    assert_eq!(t.initialized(), (5_000, 0));
}

#[test]
fn an_open_transaction_is_aborted_first() {
    for version in [TransactionVersion::V0, TransactionVersion::V2] {
        let mut t = TestContext::new(version);
        let (id, epoch) = t.initialized();
        t.open(3, &[0]);
        assert_eq!(error_of(&t.init(5, &t.init_request())), ErrorCode::ConcurrentTransactions);
        assert_eq!((t.state(), t.producer()), (TransactionState::PrepareAbort, (id, epoch + 1)));
        assert_eq!(error_of(&t.init(5, &t.init_request())), ErrorCode::ConcurrentTransactions);
        let stale = ottla_protocol::messages::EndTxnRequest { producer_epoch: epoch, ..t.end_request(true) };
        assert_eq!(t.end(OLD_END, &stale).1, ErrorCode::ProducerFenced);
        t.answer_markers(MarkerOutcome::Written);
        assert_eq!(t.state(), TransactionState::CompleteAbort);
        assert_eq!(t.initialized(), (id, epoch + 2));
    }
}

#[test]
fn a_move_under_way_must_be_waited_for() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.log.hold = true;
    let decision = t.shard().init_producer_id(t.now_ms, 5, &t.init_request());
    let (first, event) = t.execute(decision);
    assert_eq!((first.producer_epoch, t.outcome(event)), (0, None));
    assert_eq!(error_of(&t.init(5, &t.init_request())), ErrorCode::ConcurrentTransactions);
    t.commit_all();
    assert_eq!((t.outcome(event), t.producer()), (Some(Ok(())), (FIRST_ID, 0)));
}

#[test]
fn a_refused_record_changes_nothing() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    for (refusal, code) in [
        (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::UnknownTopicOrPartition, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
        (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
        (ErrorCode::MessageTooLarge, ErrorCode::UnknownServerError),
    ] {
        t.log.refuse = Some(refusal);
        assert_eq!(error_of(&t.init(5, &t.init_request())), code);
        assert_eq!((t.producer(), t.metadata().pending_state), ((FIRST_ID, 0), None));
    }
    t.log.refuse = None;
    assert_eq!(t.initialized(), (FIRST_ID, 1));
}

#[test]
fn a_commit_that_takes_too_long_is_no_commit() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.log.hold = true;
    let decision = t.shard().init_producer_id(t.now_ms, 5, &t.init_request());
    let (_, event) = t.execute(decision);
    t.advance(30_000);
    assert_eq!(t.outcome(event), Some(Err(ErrorCode::RequestTimedOut)));
    assert_eq!(t.metadata().pending_state, None);
    t.log.hold = false;
    assert_eq!(t.initialized(), (FIRST_ID, 0), "the epoch was given to nobody");
}

#[test]
fn a_fence_that_fails_bumps_the_epoch_once() {
    let mut t = TestContext::new(TransactionVersion::V0);
    t.initialized();
    t.open(3, &[0]);
    t.log.refuse = Some(ErrorCode::NotEnoughReplicas);
    for _ in 0..3 {
        assert_eq!(error_of(&t.init(5, &t.init_request())), ErrorCode::CoordinatorNotAvailable);
        assert_eq!(t.producer(), (FIRST_ID, 1));
    }
    t.log.refuse = None;
    assert_eq!(error_of(&t.init(5, &t.init_request())), ErrorCode::ConcurrentTransactions);
    assert_eq!((t.producer(), t.state()), ((FIRST_ID, 1), TransactionState::PrepareAbort));
    assert!(!t.metadata().has_failed_epoch_fence);
}

#[test]
fn a_fence_that_uses_up_the_epochs_goes_on_with_a_new_id() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    t.tamper(|metadata| metadata.producer_epoch = i16::MAX - 1);
    t.open(4, &[0]);
    assert_eq!(error_of(&t.init(5, &t.init_request())), ErrorCode::ConcurrentTransactions);
    assert_eq!(t.producer(), (FIRST_ID, i16::MAX));
    t.answer_markers(MarkerOutcome::Written);
    assert_eq!(t.producer(), (FIRST_ID + 1, 0));
    assert_eq!(t.initialized(), (FIRST_ID + 1, 1));
}

#[test]
fn an_impossible_state_is_an_error_of_ours() {
    let mut t = TestContext::new(TransactionVersion::V2);
    t.initialized();
    for state in [TransactionState::Dead, TransactionState::PrepareEpochFence] {
        t.tamper(|metadata| metadata.state = state);
        assert_eq!(error_of(&t.init(5, &t.init_request())), ErrorCode::UnknownServerError);
        let request = t.end_request(true);
        assert_eq!(t.end(NEW_END, &request).1, ErrorCode::UnknownServerError);
        assert_eq!(t.end(OLD_END, &request).1, ErrorCode::UnknownServerError);
    }
}
