use ottla_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};

use super::*;
use TransactionSupportedOperation::{AddPartition, DefaultError, GenericErrorSupported};

const NODE: i32 = 2;

fn partitions(indexes: &[i32]) -> Vec<TopicPartition> {
    indexes.iter().map(|index| TopicPartition::new("pagos", *index)).collect()
}

fn question(id: &str, epoch: i16, operation: TransactionSupportedOperation) -> TransactionToVerify {
    TransactionToVerify {
        transactional_id: id.to_owned(),
        producer_id: 7,
        producer_epoch: epoch,
        partitions: partitions(&[0, 1]),
        operation,
    }
}

fn all(error: ErrorCode) -> BTreeMap<TopicPartition, ErrorCode> {
    partitions(&[0, 1]).into_iter().map(|partition| (partition, error)).collect()
}

fn answer(results: &[(&str, i32, ErrorCode)]) -> AddPartitionsToTxnResponse {
    let result = |(id, partition_index, error): &(&str, i32, ErrorCode)| AddPartitionsToTxnResult {
        transactional_id: (*id).into(),
        topic_results: vec![AddPartitionsToTxnTopicResult {
            name: "pagos".into(),
            results_by_partition: vec![AddPartitionsToTxnPartitionResult {
                partition_index: *partition_index,
                partition_error_code: error.code(),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    AddPartitionsToTxnResponse {
        results_by_transaction: results.iter().map(result).collect(),
        ..Default::default()
    }
}

#[test]
fn questions_to_a_node_are_gathered_while_it_is_busy() {
    let mut manager = AddPartitionsToTxnManager::default();
    assert_eq!(manager.add_or_verify_transaction(Some(NODE), question("a", 0, DefaultError), 1), None);
    let first = manager.next_requests();
    assert_eq!(first.len(), 1);
    let (node_id, request) = &first[0];
    let transaction = &request.transactions[0];
    assert_eq!((*node_id, &transaction.transactional_id[..], transaction.verify_only), (NODE, "a", true));
    assert_eq!((transaction.producer_id, &transaction.topics[0].partitions[..]), (7, &[0, 1][..]));
    manager.add_or_verify_transaction(Some(NODE), question("b", 0, AddPartition), 2);
    manager.add_or_verify_transaction(Some(NODE), question("c", 0, DefaultError), 3);
    manager.add_or_verify_transaction(Some(5), question("d", 0, DefaultError), 4);
    let to: Vec<_> = manager.next_requests().into_iter().map(|(node_id, _)| node_id).collect();
    assert_eq!(to, [5]);
    let response = answer(&[("a", 0, ErrorCode::None)]);
    let verified = manager.on_response(NODE, &VerificationResponse::Answered(&response));
    assert_eq!(verified, [Verified { asker: 1, errors: BTreeMap::new() }]);
    let next = manager.next_requests();
    let asked: Vec<_> =
        next[0].1.transactions.iter().map(|t| (&t.transactional_id[..], t.verify_only)).collect();
    assert_eq!(asked, [("b", false), ("c", true)]);
}

#[test]
fn without_a_coordinator_nobody_is_asked() {
    let mut manager = AddPartitionsToTxnManager::default();
    let told = manager.add_or_verify_transaction(None, question("a", 0, AddPartition), 1);
    assert_eq!(told, Some(Verified { asker: 1, errors: all(ErrorCode::CoordinatorNotAvailable) }));
    assert!(manager.next_requests().is_empty());
}

#[test]
fn the_newer_epoch_has_the_question() {
    let mut manager = AddPartitionsToTxnManager::default();
    assert_eq!(manager.add_or_verify_transaction(Some(NODE), question("a", 3, AddPartition), 1), None);
    let retried = manager.add_or_verify_transaction(Some(NODE), question("a", 3, AddPartition), 2);
    assert_eq!(retried, Some(Verified { asker: 1, errors: all(ErrorCode::NetworkException) }));
    let fenced = manager.add_or_verify_transaction(Some(NODE), question("a", 4, AddPartition), 3);
    assert_eq!(fenced, Some(Verified { asker: 2, errors: all(ErrorCode::InvalidProducerEpoch) }));
    let late = manager.add_or_verify_transaction(Some(NODE), question("a", 3, AddPartition), 4);
    assert_eq!(late, Some(Verified { asker: 4, errors: all(ErrorCode::InvalidProducerEpoch) }));
    assert_eq!(manager.next_requests()[0].1.transactions[0].producer_epoch, 4);
}

#[test]
fn what_the_coordinator_says_is_told_as_the_client_understands_it() {
    for (operation, error, told) in [
        (DefaultError, ErrorCode::ProducerFenced, ErrorCode::InvalidProducerEpoch),
        (DefaultError, ErrorCode::TransactionAbortable, ErrorCode::InvalidTxnState),
        (GenericErrorSupported, ErrorCode::TransactionAbortable, ErrorCode::TransactionAbortable),
        (AddPartition, ErrorCode::ConcurrentTransactions, ErrorCode::ConcurrentTransactions),
        (AddPartition, ErrorCode::InvalidProducerIdMapping, ErrorCode::InvalidProducerIdMapping),
    ] {
        let mut manager = AddPartitionsToTxnManager::default();
        manager.add_or_verify_transaction(Some(NODE), question("a", 0, operation), 1);
        manager.next_requests();
        let response = answer(&[("a", 1, error)]);
        let verified = manager.on_response(NODE, &VerificationResponse::Answered(&response));
        let expected = BTreeMap::from([(TopicPartition::new("pagos", 1), told)]);
        assert_eq!(verified, [Verified { asker: 1, errors: expected }], "{error:?}");
    }
}

#[test]
fn a_request_that_fails_is_told_to_everybody() {
    let refused =
        |error: ErrorCode| AddPartitionsToTxnResponse { error_code: error.code(), ..Default::default() };
    let (unauthorized, loading) =
        (refused(ErrorCode::ClusterAuthorizationFailed), refused(ErrorCode::CoordinatorLoadInProgress));
    let nothing = answer(&[]);
    let authentication = ErrorCode::SaslAuthenticationFailed;
    for (response, errors) in [
        (VerificationResponse::Disconnected, all(ErrorCode::NetworkException)),
        (VerificationResponse::UnsupportedVersion, BTreeMap::new()),
        (VerificationResponse::AuthenticationFailed(authentication), all(authentication)),
        (VerificationResponse::Answered(&unauthorized), all(ErrorCode::InvalidTxnState)),
        (VerificationResponse::Answered(&loading), all(ErrorCode::CoordinatorLoadInProgress)),
        (VerificationResponse::Answered(&nothing), all(ErrorCode::NetworkException)),
    ] {
        let mut manager = AddPartitionsToTxnManager::default();
        manager.add_or_verify_transaction(Some(NODE), question("a", 0, DefaultError), 1);
        manager.add_or_verify_transaction(Some(NODE), question("b", 0, DefaultError), 2);
        manager.next_requests();
        let verified = manager.on_response(NODE, &response);
        let expected =
            [Verified { asker: 1, errors: errors.clone() }, Verified { asker: 2, errors: errors.clone() }];
        assert_eq!(verified, expected);
        assert!(manager.on_response(NODE, &response).is_empty());
    }
}

#[test]
fn versions_show_what_clients_can_do() {
    let produce = [10, 11, 12].map(TransactionSupportedOperation::of_produce);
    assert_eq!(produce, [DefaultError, GenericErrorSupported, AddPartition]);
    let offsets = [3, 4, 5].map(TransactionSupportedOperation::of_txn_offset_commit);
    assert_eq!(offsets, [DefaultError, GenericErrorSupported, AddPartition]);
}

#[test]
fn producers_get_errors_that_they_try_again_after() {
    for error in [
        ErrorCode::NetworkException,
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotCoordinator,
        ErrorCode::ConcurrentTransactions,
    ] {
        let (code, message) = produce_error(DefaultError, error);
        assert_eq!(code, ErrorCode::NotEnoughReplicas);
        assert!(message.is_some_and(|message| message.ends_with(error.name())));
    }
    let busy = ErrorCode::ConcurrentTransactions;
    assert_eq!(produce_error(AddPartition, busy), (busy, None));
    assert_eq!(produce_error(AddPartition, ErrorCode::InvalidTxnState).0, ErrorCode::InvalidTxnState);
    let epoch = ErrorCode::InvalidProducerEpoch;
    assert_eq!(produce_error(DefaultError, epoch), (epoch, None));
}

#[test]
fn a_transaction_that_is_being_completed_is_waited_for() {
    let config = AddPartitionsToTxnConfig::default();
    let busy = all(ErrorCode::ConcurrentTransactions);
    assert_eq!(config.retry_after_ms(AddPartition, 0, &busy), Some(20));
    assert_eq!(config.retry_after_ms(AddPartition, 99, &busy), Some(20));
    assert_eq!(config.retry_after_ms(AddPartition, 100, &busy), None);
    assert_eq!(config.retry_after_ms(GenericErrorSupported, 0, &busy), None);
    assert_eq!(config.retry_after_ms(AddPartition, 0, &all(ErrorCode::NotCoordinator)), None);
    assert_eq!(config.retry_after_ms(AddPartition, 0, &BTreeMap::new()), None);
}
