use ottla_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};

use super::*;
use crate::transaction::TransactionVersion;

const COORDINATOR: i32 = 3;

fn markers(producer_id: i64, partitions: &[i32]) -> TransactionMarkers {
    TransactionMarkers {
        transactional_id: format!("tx-{producer_id}").into(),
        producer_id,
        producer_epoch: 4,
        coordinator_epoch: 9,
        result: TransactionResult::Commit,
        transaction_version: TransactionVersion::V2,
        partitions: partitions.iter().map(|partition| ("pagos".into(), *partition)).collect(),
    }
}

/// Partition `n` is led by broker `n % 10`; from 90 on nobody leads, from 100 on there are none.
fn leader(_: &ByteString, partition: i32) -> MarkerLeader {
    match partition {
        100.. => MarkerLeader::UnknownPartition,
        90.. => MarkerLeader::NotAvailable,
        partition => MarkerLeader::Broker(partition % 10),
    }
}

fn answer(answers: &[(i64, i32, ErrorCode)]) -> WriteTxnMarkersResponse {
    let result = |(producer_id, partition_index, error): &(i64, i32, ErrorCode)| WritableTxnMarkerResult {
        producer_id: *producer_id,
        topics: vec![WritableTxnMarkerTopicResult {
            name: "pagos".into(),
            partitions: vec![WritableTxnMarkerPartitionResult {
                partition_index: *partition_index,
                error_code: error.code(),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    WriteTxnMarkersResponse { markers: answers.iter().map(result).collect(), ..Default::default() }
}

fn outcomes(written: &[(i32, MarkersWritten)]) -> Vec<(i64, i32, MarkerOutcome)> {
    let of_one = |(coordinator, written): &(i32, MarkersWritten)| {
        assert_eq!((*coordinator, written.coordinator_epoch), (COORDINATOR, 9));
        let id = written.producer_id;
        written.partitions.iter().map(|(_, p, outcome)| (id, *p, *outcome)).collect::<Vec<_>>()
    };
    written.iter().flat_map(of_one).collect()
}

#[test]
fn one_request_carries_the_markers_of_many_transactions() {
    let mut channel = TxnMarkerChannel::default();
    channel.add(0, COORDINATOR, markers(1, &[1, 2]));
    channel.add(0, COORDINATOR, markers(2, &[1, 11]));
    let (requests, gone) = channel.poll(0, &leader);
    assert!(gone.is_empty());
    let to: Vec<_> = requests.iter().map(|r| (r.broker_id, r.request.markers.len())).collect();
    assert_eq!(to, [(1, 2), (2, 1)]);
    let marker = requests[1].request.markers[0].clone();
    assert_eq!((marker.producer_id, marker.producer_epoch, marker.transaction_result), (1, 4, true));
    assert_eq!((marker.coordinator_epoch, marker.transaction_version), (9, 2));
    assert_eq!(marker.topics[0].partition_indexes, [2]);
    let all = [(1, 1, ErrorCode::None), (2, 1, ErrorCode::None), (2, 11, ErrorCode::None)];
    let written = channel.on_response(1, requests[0].request_id, Some(&answer(&all)));
    assert_eq!(outcomes(&written).len(), 3);
    assert!(!channel.is_empty());
    channel.on_response(1, requests[1].request_id, Some(&answer(&[(1, 2, ErrorCode::None)])));
    assert!(channel.is_empty());
}

#[test]
fn what_may_pass_is_tried_again_later() {
    let retriable = [
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::NotEnoughReplicas,
        ErrorCode::NotEnoughReplicasAfterAppend,
        ErrorCode::RequestTimedOut,
        ErrorCode::KafkaStorageError,
        ErrorCode::CorruptMessage,
    ];
    for error in retriable {
        let mut channel = TxnMarkerChannel::default();
        channel.add(0, COORDINATOR, markers(1, &[1, 11]));
        let (requests, _) = channel.poll(0, &leader);
        let answers = [(1, 1, error), (1, 11, ErrorCode::None)];
        let written = channel.on_response(10, requests[0].request_id, Some(&answer(&answers)));
        assert_eq!(outcomes(&written), [(1, 11, MarkerOutcome::Written)], "{error:?}");
        assert_eq!(channel.next_deadline(), Some(60));
        assert!(channel.poll(59, &leader).0.is_empty());
        let again = channel.poll(60, &|_, _| MarkerLeader::Broker(5)).0;
        assert_eq!(again[0].broker_id, 5);
        assert_eq!(again[0].request.markers[0].topics[0].partition_indexes, [1]);
    }
}

#[test]
fn without_an_answer_everything_goes_out_again() {
    let mut channel = TxnMarkerChannel::default();
    channel.add(0, COORDINATOR, markers(1, &[1]));
    let (requests, _) = channel.poll(0, &leader);
    assert!(channel.on_response(0, requests[0].request_id, None).is_empty());
    let (again, _) = channel.poll(50, &leader);
    assert_eq!(again[0].request, requests[0].request);
    let partial = channel.on_response(50, again[0].request_id, Some(&answer(&[])));
    assert!(partial.is_empty(), "an answer that leaves out a partition says nothing about it");
    assert_eq!(channel.poll(100, &leader).0.len(), 1);
}

#[test]
fn a_partition_that_is_no_more_needs_no_marker() {
    let mut channel = TxnMarkerChannel::default();
    channel.add(0, COORDINATOR, markers(1, &[100, 90]));
    let (requests, gone) = channel.poll(0, &leader);
    assert!(requests.is_empty());
    assert_eq!(outcomes(&gone), [(1, 100, MarkerOutcome::Gone)]);
    let (requests, gone) = channel.poll(50, &|_, _| MarkerLeader::Broker(1));
    assert_eq!((requests.len(), gone.len()), (1, 0));
    for (error, outcome) in [
        (ErrorCode::UnsupportedForMessageFormat, MarkerOutcome::Gone),
        (ErrorCode::UnsupportedVersion, MarkerOutcome::Gone),
        (ErrorCode::InvalidProducerEpoch, MarkerOutcome::Fenced),
        (ErrorCode::TransactionCoordinatorFenced, MarkerOutcome::Fenced),
    ] {
        assert_eq!(MarkerOutcome::of(error), Some(outcome));
    }
}

#[test]
fn who_is_fenced_sends_nothing_more() {
    let mut channel = TxnMarkerChannel::default();
    channel.add(0, COORDINATOR, markers(1, &[1, 11]));
    let (requests, _) = channel.poll(0, &leader);
    let answers = [(1, 1, ErrorCode::TransactionCoordinatorFenced), (1, 11, ErrorCode::RequestTimedOut)];
    let written = channel.on_response(0, requests[0].request_id, Some(&answer(&answers)));
    assert_eq!(outcomes(&written), [(1, 1, MarkerOutcome::Fenced)]);
    assert!(channel.is_empty());
}

#[test]
fn a_coordinator_that_leaves_takes_its_markers_along() {
    let mut channel = TxnMarkerChannel::default();
    channel.add(0, COORDINATOR, markers(1, &[1]));
    let (requests, _) = channel.poll(0, &leader);
    channel.add(0, COORDINATOR, markers(2, &[1]));
    channel.remove_partition(COORDINATOR);
    assert!(channel.poll(1, &leader).0.is_empty());
    let late = channel.on_response(1, requests[0].request_id, Some(&answer(&[(1, 1, ErrorCode::None)])));
    assert!(late.is_empty() && channel.is_empty());
}

#[test]
fn requests_to_one_broker_are_bounded() {
    let mut channel = TxnMarkerChannel::default();
    let mut sent = Vec::new();
    for producer_id in 0..60 {
        channel.add(0, COORDINATOR, markers(producer_id, &[1]));
        sent.extend(channel.poll(0, &leader).0);
    }
    assert_eq!(sent.len(), MAX_IN_FLIGHT_REQUESTS);
    channel.on_response(0, sent[0].request_id, Some(&answer(&[(0, 1, ErrorCode::None)])));
    let (more, _) = channel.poll(0, &leader);
    assert_eq!((more.len(), more[0].request.markers.len()), (1, 10));
}
