use ottla_protocol::messages::write_txn_markers_request::WritableTxnMarkerTopic;
use tokio::sync::oneshot;

use super::*;

fn tp(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

#[test]
fn a_marker_is_for_each_of_its_partitions() {
    let topic = |name: &'static str, indexes: &[i32]| WritableTxnMarkerTopic {
        name: ByteString::from_static(name),
        partition_indexes: indexes.to_vec(),
        ..Default::default()
    };
    let marker = WritableTxnMarker {
        producer_id: 5,
        producer_epoch: 3,
        transaction_result: true,
        topics: vec![topic("pagos", &[0, 2]), topic(GROUP_METADATA_TOPIC, &[7])],
        coordinator_epoch: 11,
        transaction_version: 2,
        ..Default::default()
    };
    let partitions: Vec<_> = partitions_of(&marker).collect();
    assert_eq!(partitions, [tp("pagos", 0), tp("pagos", 2), tp(GROUP_METADATA_TOPIC, 7)]);
    let end = end_transaction(&marker);
    assert_eq!((end.producer_id, end.producer_epoch, end.coordinator_epoch), (5, 3, 11));
    assert_eq!((end.committed, end.transaction_version), (true, TransactionVersion::TV_2));
    let of_groups = for_coordinator(&end);
    assert_eq!(of_groups.producer, TransactionalProducer { producer_id: 5, producer_epoch: 3 });
    assert_eq!((of_groups.result, of_groups.transaction_version), (TransactionResult::Commit, 2));
    let aborted = EndTransaction { committed: false, ..end };
    assert_eq!(for_coordinator(&aborted).result, TransactionResult::Abort);
}

#[test]
fn a_version_that_is_none_is_the_oldest() {
    let marker = WritableTxnMarker { transaction_version: -1, ..Default::default() };
    assert_eq!(end_transaction(&marker).transaction_version, TransactionVersion::TV_0);
}

#[test]
fn results_are_told_by_producer_and_topic() {
    let mut results = Results::default();
    results.put(9, tp("pagos", 1), ErrorCode::None);
    results.put(5, tp("pagos", 0), ErrorCode::InvalidProducerEpoch);
    results.put(5, tp("avisos", 3), ErrorCode::UnknownTopicOrPartition);
    results.put(5, tp("pagos", 1), ErrorCode::None);
    results.put(5, tp("pagos", 0), ErrorCode::TransactionCoordinatorFenced);
    let response = results.into_response();
    let told: Vec<_> = response
        .markers
        .iter()
        .flat_map(|marker| marker.topics.iter().map(move |topic| (marker.producer_id, topic)))
        .map(|(producer_id, topic)| {
            let of = |p: &WritableTxnMarkerPartitionResult| (p.partition_index, p.error_code);
            (producer_id, &topic.name[..], topic.partitions.iter().map(of).collect::<Vec<_>>())
        })
        .collect();
    let fenced = ErrorCode::TransactionCoordinatorFenced.code();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let expected = [
        (5, "avisos", vec![(3, unknown)]),
        (5, "pagos", vec![(0, fenced), (1, 0)]),
        (9, "pagos", vec![(1, 0)]),
    ];
    assert_eq!(told, expected);
    assert!(Results::default().into_response().markers.is_empty());
}

#[test]
fn group_coordinators_that_are_elsewhere_are_leaders_that_are_elsewhere() {
    for error in
        [ErrorCode::CoordinatorNotAvailable, ErrorCode::CoordinatorLoadInProgress, ErrorCode::NotCoordinator]
    {
        assert_eq!(coordinator_error(error), ErrorCode::NotLeaderOrFollower);
    }
    let fenced = ErrorCode::TransactionCoordinatorFenced;
    assert_eq!(coordinator_error(fenced), fenced);
}

#[tokio::test]
async fn group_coordinators_are_waited_for_side_by_side() {
    let (sender, receiver) = oneshot::channel();
    let first: BoxFuture<'_, i32> = Box::pin(async move { receiver.await.unwrap_or(0) });
    // One after the other, the first would wait for the second for ever.
    let second: BoxFuture<'_, i32> = Box::pin(async move { sender.send(1).map_or(0, |()| 2) });
    assert_eq!(join_all(vec![first, second]).await, [1, 2]);
    assert!(join_all(Vec::<BoxFuture<'_, i32>>::new()).await.is_empty());
}
