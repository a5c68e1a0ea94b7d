use std::sync::Arc;

use ottla_metadata::MetadataDelta;
use ottla_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition;
use ottla_protocol::records::metadata::{MetadataRecord, PartitionRecord, TopicRecord};

use super::*;

const PAGOS: Uuid = Uuid::from_u128(0x5);
const NOBODY: Uuid = Uuid::from_u128(0x6);

/// One topic of two partitions.
fn image() -> MetadataImage {
    let mut delta = MetadataDelta::new(Arc::default());
    let topic = TopicRecord { name: "pagos".into(), topic_id: PAGOS, ..Default::default() };
    delta.replay(&MetadataRecord::TopicRecord(topic)).unwrap();
    for partition_id in 0..2 {
        let partition = PartitionRecord {
            partition_id,
            topic_id: PAGOS,
            replicas: vec![1],
            isr: vec![1],
            leader: 1,
            ..Default::default()
        };
        delta.replay(&MetadataRecord::PartitionRecord(partition)).unwrap();
    }
    delta.next().clone()
}

fn topic(name: &'static str, topic_id: Uuid, partitions: &[i32]) -> TxnOffsetCommitRequestTopic {
    let partition = |partition_index: &i32| TxnOffsetCommitRequestPartition {
        partition_index: *partition_index,
        ..Default::default()
    };
    TxnOffsetCommitRequestTopic {
        name: name.into(),
        topic_id,
        partitions: partitions.iter().map(partition).collect(),
        ..Default::default()
    }
}

fn errors(topic: &TxnOffsetCommitResponseTopic) -> Vec<(i32, ErrorCode)> {
    let error = |partition: &TxnOffsetCommitResponsePartition| {
        (partition.partition_index, ErrorCode::from_code(partition.error_code))
    };
    topic.partitions.iter().map(error).collect()
}

#[test]
fn topics_go_by_name_before_version_6() {
    let mut topics = vec![topic("pagos", Uuid::ZERO, &[0, 1, 2]), topic("nada", Uuid::ZERO, &[0])];
    let refused = refuse_unknown(&image(), 5, &mut topics);
    assert_eq!(topics.len(), 1);
    assert_eq!((topics[0].topic_id, topics[0].partitions.len()), (PAGOS, 2));
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(refused.iter().map(errors).collect::<Vec<_>>(), [vec![(2, unknown)], vec![(0, unknown)]]);
}

#[test]
fn topics_go_by_id_from_version_6_on() {
    let mut topics = vec![topic("", PAGOS, &[1]), topic("", NOBODY, &[0, 1])];
    let refused = refuse_unknown(&image(), 6, &mut topics);
    assert_eq!((topics.len(), &topics[0].name[..]), (1, "pagos"));
    let unknown = ErrorCode::UnknownTopicId;
    assert_eq!(refused.iter().map(errors).collect::<Vec<_>>(), [vec![(0, unknown), (1, unknown)]]);
    assert_eq!(refused[0].topic_id, NOBODY);
}

#[test]
fn what_is_refused_joins_what_was_answered() {
    let answered = refusal("pagos".into(), PAGOS, vec![0], ErrorCode::None);
    let mut response = TxnOffsetCommitResponse { topics: vec![answered], ..Default::default() };
    let missing = ErrorCode::UnknownTopicOrPartition;
    add_refused(&mut response, refusal("pagos".into(), PAGOS, vec![7], missing));
    add_refused(&mut response, refusal("nada".into(), Uuid::ZERO, vec![0], missing));
    let told: Vec<_> = response.topics.iter().map(errors).collect();
    assert_eq!(told, [vec![(0, ErrorCode::None), (7, missing)], vec![(0, missing)]]);
}
