use super::*;
use crate::transaction::testing::{NEW_END, OLD_END, TX, TestContext};
use crate::transaction::{MarkerOutcome, TransactionState as State};

fn started(version: TransactionVersion) -> TestContext {
    let mut t = TestContext::new(version);
    t.initialized();
    t
}

fn verifying(t: &TestContext, partitions: &[i32]) -> AddPartitionsToTxnTransaction {
    AddPartitionsToTxnTransaction { verify_only: true, ..t.transaction_of(partitions) }
}

#[test]
fn the_first_partition_opens_the_transaction_and_more_may_follow() {
    let mut t = started(TransactionVersion::V2);
    t.now_ms += 5;
    t.open(3, &[0]);
    let began_ms = t.now_ms;
    t.now_ms += 5;
    t.open(3, &[1, 0, 2]);
    assert_eq!((t.metadata().partitions.len(), t.metadata().start_timestamp_ms), (3, began_ms));
    assert_eq!(t.metadata().client_transaction_version, TransactionVersion::V0);
    assert_eq!(t.written(), [State::Empty, State::Ongoing, State::Ongoing]);
    t.open(3, &[2]);
    assert_eq!(t.written().len(), 3, "nothing new, nothing written");
    let t = t.restarted();
    assert_eq!((t.state(), t.metadata().partitions.len()), (State::Ongoing, 3));
}

#[test]
fn brokers_add_on_behalf_of_producers_of_level_2() {
    let mut t = started(TransactionVersion::V2);
    t.open(4, &[0]);
    assert_eq!(t.metadata().client_transaction_version, TransactionVersion::V2);
    let mut old = started(TransactionVersion::V0);
    let transaction = old.transaction_of(&[0]);
    assert_eq!(old.add(4, &transaction).1, ErrorCode::UnsupportedVersion);
    assert_eq!(old.add(3, &transaction).1, ErrorCode::None);
}

#[test]
fn who_may_not_add() {
    let mut t = started(TransactionVersion::V2);
    let good = t.transaction_of(&[0]);
    let nobody = AddPartitionsToTxnTransaction { transactional_id: "".into(), ..good.clone() };
    let unknown = AddPartitionsToTxnTransaction { transactional_id: "otra".into(), ..good.clone() };
    let foreign = AddPartitionsToTxnTransaction { producer_id: 5, ..good.clone() };
    let stale = AddPartitionsToTxnTransaction { producer_epoch: 7, ..good };
    for verify_only in [false, true] {
        for (transaction, error) in [
            (&nobody, ErrorCode::InvalidRequest),
            (&unknown, ErrorCode::InvalidProducerIdMapping),
            (&foreign, ErrorCode::InvalidProducerIdMapping),
            (&stale, ErrorCode::ProducerFenced),
        ] {
            let transaction = AddPartitionsToTxnTransaction { verify_only, ..transaction.clone() };
            assert_eq!(t.add(4, &transaction).1, error);
        }
    }
    assert_eq!(t.add(1, &stale).1, ErrorCode::InvalidProducerEpoch);
    assert_eq!(t.add(2, &stale).1, ErrorCode::ProducerFenced);
    assert_eq!(t.state(), State::Empty);
}

#[test]
fn while_the_transaction_ends_nothing_joins_it() {
    let mut t = started(TransactionVersion::V1);
    t.open(3, &[0]);
    t.end_now(OLD_END, true);
    let transaction = t.transaction_of(&[0]);
    assert_eq!(t.add(3, &transaction).1, ErrorCode::ConcurrentTransactions);
    let transaction = verifying(&t, &[0]);
    assert_eq!(t.add(4, &transaction).1, ErrorCode::ConcurrentTransactions);
    t.answer_markers(MarkerOutcome::Written);
    t.open(3, &[1]);
    assert_eq!(t.metadata().partitions.len(), 1);
}

#[test]
fn while_a_move_is_under_way_nothing_is_added_and_what_is_committed_is_verified() {
    let mut t = started(TransactionVersion::V2);
    t.open(4, &[0]);
    t.log.hold = true;
    let more = t.transaction_of(&[1]);
    t.add(4, &more);
    assert_eq!(t.add(4, &more).1, ErrorCode::ConcurrentTransactions);
    let both = verifying(&t, &[0, 1]);
    let (result, _) = t.add(4, &both);
    let codes: Vec<_> = result.topic_results[0]
        .results_by_partition
        .iter()
        .map(|p| (p.partition_index, ErrorCode::from_code(p.partition_error_code)))
        .collect();
    assert_eq!(codes, [(0, ErrorCode::None), (1, ErrorCode::TransactionAbortable)]);
    t.commit_all();
    assert_eq!(t.metadata().partitions.len(), 2);
    let request = t.end_request(true);
    t.log.hold = false;
    assert_eq!(t.end(NEW_END, &request).1, ErrorCode::None);
}

#[test]
fn verification_changes_nothing() {
    let mut t = started(TransactionVersion::V2);
    let transaction = verifying(&t, &[0]);
    assert_eq!(t.add(4, &transaction).1, ErrorCode::TransactionAbortable);
    assert_eq!((t.state(), t.written().len()), (State::Empty, 1));
}

#[test]
fn a_refused_record_adds_nothing() {
    let mut t = started(TransactionVersion::V2);
    t.log.refuse = Some(ErrorCode::NotLeaderOrFollower);
    let transaction = t.transaction_of(&[0]);
    assert_eq!(t.add(3, &transaction).1, ErrorCode::NotCoordinator);
    assert_eq!((t.state(), t.metadata().pending_state), (State::Empty, None));
}

#[test]
fn impossible_states_are_an_error_of_ours() {
    let mut t = started(TransactionVersion::V2);
    t.tamper(|metadata| metadata.state = State::Dead);
    let transaction = t.transaction_of(&[0]);
    assert_eq!(t.add(3, &transaction).1, ErrorCode::UnknownServerError);
}

#[test]
fn a_clients_request_is_one_transaction() {
    let request = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: TX.into(),
        v3_and_below_producer_id: 7,
        v3_and_below_producer_epoch: 2,
        ..Default::default()
    };
    let normal = normalize_request(3, &request);
    assert_eq!(normal.transactions.len(), 1);
    let transaction = &normal.transactions[0];
    assert_eq!((&transaction.transactional_id[..], transaction.producer_id), (TX, 7));
    assert_eq!((transaction.producer_epoch, transaction.verify_only), (2, false));
    assert_eq!(normalize_request(4, &normal), normal);
}
