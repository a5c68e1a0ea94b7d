use std::sync::Arc;

use ottla_common::ErrorCode;
use ottla_coordinator::transaction::{
    MarkerLeader, TransactionConfig, TransactionState, normalize_request, partition_for,
};
use ottla_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTransaction;
use ottla_protocol::messages::*;

use super::testing::{
    Fixture, LEADER, NEW_ADD, NEW_END, OLD_ADD, OLD_END, PARTITIONS, TX, code, first_error, init_request,
    transaction,
};
use crate::coordinator::runtime::testing::until;

use TransactionState::{CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit};

#[tokio::test]
async fn a_transaction_from_its_begin_to_its_end() {
    let f = Fixture::started(2).await;
    let producer = f.initialized().await;
    assert_eq!(producer, (producer.0, 0));
    assert_eq!(f.add(NEW_ADD, producer, true).await, ErrorCode::TransactionAbortable, "not part of it yet");
    assert_eq!(f.add(NEW_ADD, producer, false).await, ErrorCode::None);
    assert_eq!(f.add(NEW_ADD, producer, true).await, ErrorCode::None);
    let described = f.described().await;
    assert_eq!((&described.transaction_state[..], described.topics.len()), ("Ongoing", 1));
    let ended = f.end(NEW_END, producer, true).await;
    let told = (code(ended.error_code), ended.producer_id, ended.producer_epoch);
    assert_eq!(told, (ErrorCode::None, producer.0, 1));
    f.until_state("CompleteCommit").await;
    let markers = f.leaders.markers();
    let [marker] = &markers[..] else { panic!("{markers:?}") };
    assert_eq!((marker.producer_id, marker.producer_epoch), (producer.0, 1));
    assert_eq!((marker.coordinator_epoch, marker.transaction_version), (1, 2));
    assert!(marker.transaction_result && marker.topics[0].partition_indexes == [0, 1]);
    assert_eq!(f.leaders.set(|leaders| leaders.requests[0].0), LEADER);
    assert_eq!(f.written(), [(1, Empty), (1, Ongoing), (1, PrepareCommit), (1, CompleteCommit)]);
}

#[tokio::test]
async fn older_versions_bump_no_epoch() {
    for (level, value_version) in [(0, 0), (1, 1)] {
        let f = Fixture::started(level).await;
        let producer = f.initialized().await;
        let old = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: TX.into(),
            v3_and_below_producer_id: producer.0,
            v3_and_below_producer_epoch: producer.1,
            v3_and_below_topics: transaction(producer, false).topics,
            ..Default::default()
        };
        let added = f.service.add_partitions_to_txn(OLD_ADD, normalize_request(OLD_ADD, &old)).await;
        assert_eq!(first_error(&added), ErrorCode::None);
        let ended = f.end(OLD_END, producer, false).await;
        assert_eq!((ended.error_code, ended.producer_id, ended.producer_epoch), (0, -1, -1));
        f.until_state("CompleteAbort").await;
        let marker = f.leaders.markers().remove(0);
        assert_eq!((marker.producer_epoch, marker.transaction_version), (0, 0));
        assert!(!marker.transaction_result);
        let states = [Empty, Ongoing, PrepareAbort, CompleteAbort];
        assert_eq!(f.written(), states.map(|state| (value_version, state)));
    }
}

#[tokio::test]
async fn a_client_is_not_newer_than_its_cluster() {
    let f = Fixture::started(0).await;
    let producer = f.initialized().await;
    assert_eq!(f.add(NEW_ADD, producer, false).await, ErrorCode::UnsupportedVersion);
    assert_eq!(f.add(OLD_ADD, producer, false).await, ErrorCode::None);
    assert_eq!(code(f.end(NEW_END, producer, true).await.error_code), ErrorCode::UnsupportedVersion);
    // The cluster is upgraded while the transaction is open.
    f.service.on_new_transaction_version(2).await;
    let ended = f.end(NEW_END, producer, true).await;
    assert_eq!((ended.error_code, ended.producer_epoch), (0, 1));
    f.until_state("CompleteCommit").await;
    assert_eq!(f.written(), [(0, Empty), (0, Ongoing), (1, PrepareCommit), (1, CompleteCommit)]);
}

#[tokio::test]
async fn a_second_producer_fences_the_first() {
    let f = Fixture::started(2).await;
    let first = f.initialized().await;
    assert_eq!(f.add(NEW_ADD, first, false).await, ErrorCode::None);
    assert_eq!(f.init(init_request()).await, Err(ErrorCode::ConcurrentTransactions), "it is aborted first");
    let second = f.initialized().await;
    assert_eq!(second, (first.0, 2), "one bump by the abort, one by the second producer");
    assert!(!f.leaders.markers()[0].transaction_result);
    assert_eq!(code(f.end(NEW_END, first, true).await.error_code), ErrorCode::ProducerFenced);
    assert_eq!(code(f.end(1, first, true).await.error_code), ErrorCode::InvalidProducerEpoch);
    assert_eq!(f.add(NEW_ADD, first, false).await, ErrorCode::ProducerFenced);
    assert_eq!(f.add(1, first, false).await, ErrorCode::InvalidProducerEpoch);
    assert_eq!(f.add(NEW_ADD, (7, 0), true).await, ErrorCode::InvalidProducerIdMapping);
    assert_eq!(f.add(NEW_ADD, second, false).await, ErrorCode::None);
}

#[tokio::test]
async fn a_transaction_that_takes_too_long_is_aborted() {
    let config = TransactionConfig { abort_timed_out_transactions_interval_ms: 5, ..Default::default() };
    let f = Fixture::started_with(2, config).await;
    let request = InitProducerIdRequest { transaction_timeout_ms: 30, ..init_request() };
    let mut producer = (-1, -1);
    until("initialized", async || {
        let Ok(given) = f.init(request.clone()).await else { return false };
        producer = given;
        true
    })
    .await;
    assert_eq!(f.add(NEW_ADD, producer, false).await, ErrorCode::None);
    f.until_state("CompleteAbort").await;
    assert_eq!(f.described().await.producer_epoch, producer.1 + 1);
    assert_eq!(code(f.end(OLD_END, producer, true).await.error_code), ErrorCode::ProducerFenced);
}

#[tokio::test]
async fn another_coordinator_completes_what_was_decided() {
    let f = Fixture::started(2).await;
    let producer = f.initialized().await;
    assert_eq!(f.add(NEW_ADD, producer, false).await, ErrorCode::None);
    f.leaders.set(|leaders| leaders.hold = true);
    assert_eq!(f.end(NEW_END, producer, true).await.error_code, 0);
    until("sent", async || f.leaders.markers().len() == 1).await;
    assert_eq!(&f.described().await.transaction_state[..], "PrepareCommit");
    for partition in 0..PARTITIONS {
        f.service.runtime().on_resignation(partition, Some(2));
    }
    assert_eq!(code(f.described().await.error_code), ErrorCode::NotCoordinator);
    f.elect(3).await;
    until("sent again", async || f.leaders.markers().len() == 2).await;
    // Both answers come now; the one to the coordinator that is gone says nothing.
    f.leaders.set(|leaders| leaders.hold = false);
    f.until_state("CompleteCommit").await;
    let epochs: Vec<_> = f.leaders.markers().iter().map(|marker| marker.coordinator_epoch).collect();
    assert_eq!(epochs, [1, 3]);
    let states: Vec<_> = f.written().into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [Empty, Ongoing, PrepareCommit, CompleteCommit]);
}

#[tokio::test]
async fn markers_are_sent_until_they_are_written() {
    let f = Fixture::started(2).await;
    let producer = f.initialized().await;
    assert_eq!(f.add(NEW_ADD, producer, false).await, ErrorCode::None);
    f.leaders.set(|leaders| leaders.leader = MarkerLeader::NotAvailable);
    assert_eq!(f.end(NEW_END, producer, true).await.error_code, 0);
    f.until_state("PrepareCommit").await;
    assert!(f.leaders.markers().is_empty());
    // A leader that does not answer, and then does not lead.
    f.leaders.set(|leaders| (leaders.leader, leaders.answer) = (MarkerLeader::Broker(LEADER), None));
    until("sent", async || !f.leaders.markers().is_empty()).await;
    f.leaders.set(|leaders| leaders.answer = Some(ErrorCode::NotLeaderOrFollower));
    let before = f.leaders.markers().len();
    until("sent again", async || f.leaders.markers().len() > before + 1).await;
    assert_eq!(&f.described().await.transaction_state[..], "PrepareCommit");
    f.leaders.set(|leaders| leaders.answer = Some(ErrorCode::None));
    f.until_state("CompleteCommit").await;
}

#[tokio::test]
async fn deleted_partitions_need_no_marker() {
    let f = Fixture::started(2).await;
    let producer = f.initialized().await;
    assert_eq!(f.add(NEW_ADD, producer, false).await, ErrorCode::None);
    f.leaders.set(|leaders| leaders.leader = MarkerLeader::UnknownPartition);
    assert_eq!(f.end(NEW_END, producer, true).await.error_code, 0);
    f.until_state("CompleteCommit").await;
    assert!(f.leaders.markers().is_empty());
}

#[tokio::test]
async fn a_marker_that_is_fenced_leaves_the_transaction_to_others() {
    let f = Fixture::started(2).await;
    let producer = f.initialized().await;
    assert_eq!(f.add(NEW_ADD, producer, false).await, ErrorCode::None);
    f.leaders.set(|leaders| leaders.answer = Some(ErrorCode::TransactionCoordinatorFenced));
    assert_eq!(f.end(NEW_END, producer, true).await.error_code, 0);
    until("sent", async || !f.leaders.markers().is_empty()).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(f.leaders.markers().len(), 1);
    assert_eq!(&f.described().await.transaction_state[..], "PrepareCommit");
}

#[tokio::test]
async fn without_producer_ids_nobody_begins() {
    let f = Fixture::stopped(TransactionConfig::default());
    f.blocks.set(Err(ErrorCode::CoordinatorLoadInProgress));
    f.service.runtime().startup(PARTITIONS);
    f.elect(1).await;
    for _ in 0..3 {
        assert_eq!(f.init(init_request()).await, Err(ErrorCode::CoordinatorLoadInProgress));
    }
    f.blocks.set(Ok(5_000));
    assert!(f.initialized().await.0 >= 5_000);
}

#[tokio::test]
async fn offsets_belong_to_a_transaction_too() {
    let f = Fixture::started(2).await;
    let producer = f.initialized().await;
    let request = AddOffsetsToTxnRequest {
        transactional_id: TX.into(),
        producer_id: producer.0,
        producer_epoch: producer.1,
        group_id: "grupo".into(),
        ..Default::default()
    };
    assert_eq!(f.service.add_offsets_to_txn(4, request.clone(), 17).await.error_code, 0);
    let topic = f.described().await.topics.remove(0);
    assert_eq!((&topic.topic[..], &topic.partitions[..]), ("__consumer_offsets", &[17][..]));
    let fenced = AddOffsetsToTxnRequest { producer_epoch: 9, ..request.clone() };
    let error = f.service.add_offsets_to_txn(4, fenced, 17).await.error_code;
    assert_eq!(code(error), ErrorCode::ProducerFenced);
    let nobody = AddOffsetsToTxnRequest { transactional_id: "".into(), ..request };
    assert_eq!(code(f.service.add_offsets_to_txn(4, nobody, 17).await.error_code), ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn several_transactions_in_one_request() {
    let f = Fixture::started(2).await;
    let producer = f.initialized().await;
    let unknown =
        AddPartitionsToTxnTransaction { transactional_id: "otra".into(), ..transaction((1, 0), false) };
    let nameless =
        AddPartitionsToTxnTransaction { transactional_id: "".into(), ..transaction((1, 0), false) };
    let transactions = vec![unknown, transaction(producer, false), nameless];
    let request = AddPartitionsToTxnRequest { transactions, ..Default::default() };
    let response = f.service.add_partitions_to_txn(NEW_ADD, request).await;
    let told = response.results_by_transaction.iter().map(|result| {
        let error = result.topic_results[0].results_by_partition[0].partition_error_code;
        (result.transactional_id.to_string(), code(error))
    });
    let wanted = [
        ("otra".to_owned(), ErrorCode::InvalidProducerIdMapping),
        (TX.to_owned(), ErrorCode::None),
        (String::new(), ErrorCode::InvalidRequest),
    ];
    assert_eq!(told.collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn transactions_are_listed_by_what_is_asked_for() {
    let f = Fixture::started(2).await;
    let producer = f.initialized().await;
    assert_eq!(f.add(NEW_ADD, producer, false).await, ErrorCode::None);
    let count = async |request: ListTransactionsRequest| {
        let response = f.list(request).await;
        assert_eq!(response.error_code, 0);
        response.transaction_states.len()
    };
    let all = ListTransactionsRequest::default;
    assert_eq!(count(all()).await, 1);
    let pattern = |pattern: &str| ListTransactionsRequest {
        transactional_id_pattern: Some(pattern.into()),
        ..Default::default()
    };
    assert_eq!(count(pattern("pagos-.*")).await, 1);
    assert_eq!(count(pattern("pagos")).await, 0, "the whole id");
    assert_eq!(count(pattern("")).await, 1);
    assert_eq!(count(ListTransactionsRequest { duration_filter: 3_600_000, ..all() }).await, 0);
    assert_eq!(count(ListTransactionsRequest { producer_id_filters: vec![-5], ..all() }).await, 0);
    let states = vec!["Ongoing".into(), "Durmiendo".into()];
    let listed = f.list(ListTransactionsRequest { state_filters: states, ..all() }).await;
    assert_eq!((listed.transaction_states.len(), &listed.unknown_state_filters[0][..]), (1, "Durmiendo"));
    assert_eq!(code(f.list(pattern("(")).await.error_code), ErrorCode::InvalidRegularExpression);
}

#[tokio::test]
async fn nothing_works_before_the_start_and_elsewhere() {
    let f = Fixture::stopped(TransactionConfig::default());
    for error in [ErrorCode::CoordinatorNotAvailable, ErrorCode::NotCoordinator] {
        assert_eq!(f.init(init_request()).await, Err(error));
        assert_eq!(f.add(NEW_ADD, (1, 0), false).await, error);
        assert_eq!(f.add(NEW_ADD, (1, 0), true).await, error);
        let ended = f.end(NEW_END, (1, 0), true).await;
        assert_eq!((code(ended.error_code), ended.producer_id), (error, -1));
        assert_eq!(code(f.described().await.error_code), error);
        let listed = code(f.list(ListTransactionsRequest::default()).await.error_code);
        let of_list = if error == ErrorCode::NotCoordinator { ErrorCode::None } else { error };
        assert_eq!(listed, of_list);
        f.service.runtime().startup(PARTITIONS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_loads_it_says_so() {
    let f = Fixture::stopped(TransactionConfig::default());
    f.service.runtime().startup(PARTITIONS);
    f.log.set(|state| state.hold_reads = true);
    f.service.runtime().on_election(partition_for(TX, PARTITIONS), 1);
    let loading = ErrorCode::CoordinatorLoadInProgress;
    assert_eq!(f.add(NEW_ADD, (1, 0), true).await, loading);
    assert_eq!(code(f.list(ListTransactionsRequest::default()).await.error_code), loading);
    assert_eq!(code(f.described().await.error_code), loading);
    // A version that comes meanwhile is not missed.
    f.service.on_new_transaction_version(2).await;
    f.log.set(|state| state.hold_reads = false);
    let producer = f.initialized().await;
    assert_eq!(f.add(NEW_ADD, producer, false).await, ErrorCode::None);
    f.service.runtime().shutdown();
    assert_eq!(f.add(NEW_ADD, producer, false).await, ErrorCode::CoordinatorNotAvailable);
}

#[tokio::test]
async fn appends_that_are_refused() {
    let f = Fixture::started(2).await;
    let producer = f.initialized().await;
    for (refusal, told) in [
        (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
        (ErrorCode::MessageTooLarge, ErrorCode::UnknownServerError),
    ] {
        f.log.set(|state| state.refuse_append = Some(refusal));
        assert_eq!(f.add(NEW_ADD, producer, false).await, told);
        assert_eq!(f.init(init_request()).await, Err(told));
    }
    f.log.set(|state| state.refuse_append = None);
    assert_eq!(f.add(NEW_ADD, producer, false).await, ErrorCode::None, "the epoch is as it was");
}

#[tokio::test]
async fn what_is_not_committed_keeps_the_id_busy() {
    let f = Fixture::started(2).await;
    let producer = f.initialized().await;
    f.log.set(|state| state.hold = true);
    let partition = partition_for(TX, PARTITIONS);
    let end = f.log.end_offset(partition);
    let service = Arc::clone(&f.service);
    let request =
        AddPartitionsToTxnRequest { transactions: vec![transaction(producer, false)], ..Default::default() };
    let waiting = tokio::spawn(async move { service.add_partitions_to_txn(NEW_ADD, request).await });
    until("written", async || f.log.end_offset(partition) == end + 1).await;
    assert_eq!(f.add(NEW_ADD, producer, false).await, ErrorCode::ConcurrentTransactions, "at once");
    assert_eq!(f.add(NEW_ADD, producer, true).await, ErrorCode::TransactionAbortable, "it is not in it yet");
    assert_eq!(&f.described().await.transaction_state[..], "Empty");
    f.log.set(|state| state.high_watermarks.insert(partition, end + 1));
    f.service.runtime().on_high_watermark(partition);
    assert_eq!(first_error(&waiting.await.unwrap()), ErrorCode::None);
    assert_eq!(&f.described().await.transaction_state[..], "Ongoing");
}

#[tokio::test]
async fn two_phase_commit_is_a_switch() {
    let wanted = InitProducerIdRequest { enable2_pc: true, transaction_timeout_ms: 0, ..init_request() };
    let f = Fixture::started(2).await;
    let refused = Err(ErrorCode::TransactionalIdAuthorizationFailed);
    assert_eq!(f.init(wanted.clone()).await, refused);
    let config = TransactionConfig { two_phase_commit_enable: true, ..Default::default() };
    let f = Fixture::started_with(2, config).await;
    until("initialized", async || f.init(wanted.clone()).await.is_ok()).await;
    assert_eq!(f.described().await.transaction_timeout_ms, i32::MAX);
    let keep = InitProducerIdRequest { keep_prepared_txn: true, ..wanted };
    assert_eq!(f.init(keep).await, Err(ErrorCode::UnsupportedVersion));
    let too_long = InitProducerIdRequest { transaction_timeout_ms: 900_001, ..init_request() };
    assert_eq!(f.init(too_long).await, Err(ErrorCode::InvalidTransactionTimeout));
    let nameless = InitProducerIdRequest { transactional_id: Some("".into()), ..init_request() };
    assert_eq!(f.init(nameless).await, Err(ErrorCode::InvalidRequest));
}
