use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_protocol::messages::produce_response::PartitionProduceResponse;
use ottla_record::{Compression, MemoryRecords, SimpleRecord};

use super::*;

fn records() -> [SimpleRecord; 1] {
    [SimpleRecord::of_value(1_790_000_000_000, vec![b'a'; 10])]
}

fn plain() -> Bytes {
    MemoryRecords::with_idempotent_records(Compression::NONE, 5, 0, 0, &records()).unwrap().into_bytes()
}

fn transactional() -> Bytes {
    MemoryRecords::with_transactional_records(Compression::NONE, 5, 0, 0, &records()).unwrap().into_bytes()
}

fn topic(batches: &[Bytes]) -> TopicProduceData {
    let partition = |(index, bytes): (usize, &Bytes)| PartitionProduceData {
        index: index as i32,
        records: Some(bytes.clone().into()),
        ..Default::default()
    };
    TopicProduceData {
        name: ByteString::from_static("pagos"),
        topic_id: Uuid::from_u128(9),
        partition_data: batches.iter().enumerate().map(partition).collect(),
        ..Default::default()
    }
}

fn batch(index: i32, producer_id: i64, producer_epoch: i16) -> Batch {
    Batch { tp: TopicPartition::new("pagos", index), producer_id, producer_epoch, base_sequence: 3 }
}

#[test]
fn one_batch_of_a_transaction_is_found_among_all() {
    let cut = transactional().slice(..40);
    let nothing = Bytes::new();
    assert!(!has_transactional_records(&[]));
    assert!(!has_transactional_records(&[topic(&[plain(), cut.clone(), nothing]), topic(&[plain()])]));
    assert!(has_transactional_records(&[topic(&[plain(), cut]), topic(&[plain(), transactional()])]));
}

#[test]
fn what_a_transaction_writes_is_asked_about_together() {
    let write = |batches| write("contable", 12, batches).unwrap();
    assert_eq!(write(Vec::new()), None);
    let both = write(vec![batch(0, 5, 1), batch(2, 5, 1)]).unwrap();
    assert_eq!((&both.transactional_id[..], both.producer_id, both.producer_epoch), ("contable", 5, 1));
    assert_eq!(both.operation, TransactionSupportedOperation::AddPartition);
    let (first, second) = (TopicPartition::new("pagos", 0), TopicPartition::new("pagos", 2));
    assert_eq!(both.partitions, [(first, 3), (second, 3)]);
}

#[test]
fn a_request_has_one_producer() {
    for other in [batch(1, 6, 1), batch(1, 5, 2)] {
        let refused = write("contable", 9, vec![batch(0, 5, 1), other]).unwrap_err();
        assert_eq!(refused.error, ErrorCode::InvalidProducerIdMapping);
    }
}

#[test]
fn old_producers_are_told_what_they_try_again_after() {
    let busy = ErrorCode::ConcurrentTransactions;
    assert_eq!((failure(11, busy).error, failure(12, busy).error), (ErrorCode::NotEnoughReplicas, busy));
    let refused = failure(9, ErrorCode::InvalidTxnState);
    assert_eq!((refused.error, refused.log_start_offset), (ErrorCode::InvalidTxnState, -1));
    assert!(refused.message.is_some());
}

#[test]
fn a_refused_request_is_answered_for_each_of_its_partitions() {
    let failure = AppendFailure::from(ErrorCode::TransactionalIdAuthorizationFailed);
    let response = refused(vec![topic(&[plain(), transactional()])], &failure);
    let [topic] = &response.responses[..] else { panic!("one topic: {response:?}") };
    assert_eq!((&topic.name[..], topic.topic_id), ("pagos", Uuid::from_u128(9)));
    let answer = |p: &PartitionProduceResponse| (p.index, p.error_code, p.base_offset);
    let answers: Vec<_> = topic.partition_responses.iter().map(answer).collect();
    let code = ErrorCode::TransactionalIdAuthorizationFailed.code();
    assert_eq!(answers, [(0, code, -1), (1, code, -1)]);
    assert!(super::super::has_error(&response));
}
