use ottla_common::Uuid;
use ottla_metadata::{ApiMessageAndVersion, MetadataLoader, MetadataProvenance};
use ottla_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use ottla_protocol::records::metadata::{ConfigRecord, PartitionRecord, TopicRecord};

use super::*;
use crate::config::KafkaConfig;

const GROUP: &str = "reparto";
const QUEUE: &str = "dlq.envios";

fn live(more: &[(&str, &str)]) -> LiveConfig {
    let one_node = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.bootstrap.servers", "localhost:9093"),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ("advertised.listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("controller.listener.names", "CONTROLLER"),
        ("log.dirs", "/tmp/a"),
    ];
    let text = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let file: Properties = one_node.iter().chain(more).map(text).collect();
    LiveConfig::new(Arc::new(KafkaConfig::from_properties(&file, &[]).unwrap().0))
}

fn setting(kind: ConfigResourceType, resource: &str, name: &str, value: &str) -> ApiMessageAndVersion {
    let record = ConfigRecord {
        resource_type: kind.id(),
        resource_name: resource.into(),
        name: name.into(),
        value: Some(value.into()),
        ..Default::default()
    };
    ApiMessageAndVersion::new(record, 0)
}

fn queue_topic(partitions: i32) -> Vec<ApiMessageAndVersion> {
    let topic_id = Uuid::from_u128(7);
    let topic = TopicRecord { name: QUEUE.into(), topic_id, ..Default::default() };
    let mut records = vec![ApiMessageAndVersion::new(topic, 0)];
    for partition_id in 0..partitions {
        let record = PartitionRecord {
            topic_id,
            partition_id,
            replicas: vec![1],
            isr: vec![1],
            leader: 1,
            ..Default::default()
        };
        records.push(ApiMessageAndVersion::new(record, 2));
    }
    records
}

fn image(records: &[ApiMessageAndVersion]) -> Arc<MetadataImage> {
    let provenance = MetadataProvenance { last_contained_offset: 10, ..MetadataProvenance::EMPTY };
    MetadataLoader::default().load_snapshot(provenance, records).unwrap().image
}

#[test]
fn a_group_without_a_queue_has_none() {
    let target = target(&live(&[]), &image(&[]), GROUP);
    let expected = DeadLetterTarget {
        name: None,
        prefix: "dlq.".into(),
        num_partitions: None,
        enabled: false,
        auto_create: false,
        max_message_bytes: 1_048_588,
        copy_records: false,
    };
    assert_eq!(target, expected);
}

#[test]
fn a_queue_is_what_the_group_the_topic_and_the_broker_say() {
    let mut records = queue_topic(3);
    records.extend([
        setting(ConfigResourceType::Group, GROUP, "errors.deadletterqueue.topic.name", QUEUE),
        setting(ConfigResourceType::Group, GROUP, "errors.deadletterqueue.copy.record.enable", "true"),
        setting(ConfigResourceType::Topic, QUEUE, "errors.deadletterqueue.group.enable", "true"),
        setting(ConfigResourceType::Topic, QUEUE, "max.message.bytes", "5000"),
    ]);
    let live = live(&[
        ("errors.deadletterqueue.auto.create.topics.enable", "true"),
        ("errors.deadletterqueue.topic.name.prefix", "perdidos."),
    ]);
    let expected = DeadLetterTarget {
        name: Some(QUEUE.into()),
        prefix: "perdidos.".into(),
        num_partitions: Some(3),
        enabled: true,
        auto_create: true,
        max_message_bytes: 5_000,
        copy_records: true,
    };
    assert_eq!(target(&live, &image(&records), GROUP), expected);
}

#[test]
fn a_queue_that_is_not_there_yet_takes_what_the_broker_takes() {
    let name = setting(ConfigResourceType::Group, GROUP, "errors.deadletterqueue.topic.name", QUEUE);
    let target = target(&live(&[("message.max.bytes", "7000")]), &image(&[name]), GROUP);
    assert_eq!((target.num_partitions, target.enabled, target.max_message_bytes), (None, false, 7_000));
}

#[test]
fn what_became_of_a_batch_is_read_off_its_partition() {
    let lane = Lane { node_id: 1, topic_id: Uuid::from_u128(7), tp: TopicPartition::new(QUEUE, 2) };
    let response = |index, error: ErrorCode| ProduceResponse {
        responses: vec![TopicProduceResponse {
            partition_responses: vec![PartitionProduceResponse {
                index,
                error_code: error.code(),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    assert_eq!(outcome(&response(2, ErrorCode::None), &lane), Ok(()));
    let refused = outcome(&response(2, ErrorCode::NotLeaderOrFollower), &lane);
    assert_eq!(refused, Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(outcome(&response(1, ErrorCode::None), &lane), Err(ErrorCode::UnknownServerError));
    assert_eq!(outcome(&ProduceResponse::default(), &lane), Err(ErrorCode::UnknownServerError));
}

#[test]
fn a_batch_goes_to_its_topic_by_name_and_by_id() {
    let lane = Lane { node_id: 1, topic_id: Uuid::from_u128(7), tp: TopicPartition::new(QUEUE, 2) };
    let request = produce_request(&lane, MemoryRecords::EMPTY, 30_000);
    let topic = &request.topic_data[0];
    assert_eq!((request.acks, request.timeout_ms), (-1, 30_000));
    assert_eq!((&*topic.name, topic.topic_id, topic.partition_data[0].index), (QUEUE, lane.topic_id, 2));
}
