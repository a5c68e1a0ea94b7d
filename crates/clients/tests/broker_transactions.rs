//! Transactions against a real broker; see `broker_admin.rs`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use common::{admin, config, unique};
use ottla_clients::admin::NewTopic;
use ottla_clients::consumer::{ConsumerGroupMetadata, KafkaConsumer};
use ottla_clients::producer::{KafkaProducer, ProducerRecord};
use ottla_common::{ErrorCode, TopicPartition};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(30);

async fn topic(prefix: &str, partitions: i32) -> String {
    let name = unique(prefix);
    let created = admin().create_topics(&[NewTopic::new(&name).sized(partitions, 1)], false).await.unwrap();
    created[0].1.as_ref().unwrap();
    name
}

fn producer(id: &str) -> KafkaProducer {
    KafkaProducer::new(&config().with("transactional.id", id)).unwrap()
}

async fn send(producer: &KafkaProducer, topic: &str, values: &[&str]) {
    for (i, value) in values.iter().enumerate() {
        let mut record = ProducerRecord::new(topic, None, Some(value.to_string().into()));
        record.partition = Some(i as i32 % 2);
        producer.send(record).await.unwrap();
    }
}

/// What a reader of committed records sees, in any order.
async fn committed(topic: &str, count: usize) -> Vec<String> {
    let config = config().with("auto.offset.reset", "earliest").with("isolation.level", "read_committed");
    let mut consumer = KafkaConsumer::new(&config).unwrap();
    consumer.assign(&[TopicPartition::new(topic, 0), TopicPartition::new(topic, 1)]).await.unwrap();
    let start = Instant::now();
    let mut values = Vec::new();
    while values.len() < count {
        assert!(start.elapsed() < PATIENCE, "{values:?}");
        values.extend(consumer.poll(Duration::from_millis(200)).await.unwrap());
    }
    values.extend(consumer.poll(Duration::from_millis(500)).await.unwrap());
    let mut values: Vec<_> =
        values.iter().map(|r| String::from_utf8(r.value.as_ref().unwrap().to_vec()).unwrap()).collect();
    values.sort();
    values
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn committed_records_are_seen_and_aborted_ones_are_not() {
    let name = topic("txn", 2).await;
    let producer = producer(&unique("t"));
    producer.init_transactions().await.unwrap();
    for (values, commit) in [(["a", "b", "c"], true), (["x", "y", "z"], false), (["d", "e", "f"], true)] {
        producer.begin_transaction().unwrap();
        send(&producer, &name, &values).await;
        match commit {
            true => producer.commit_transaction().await.unwrap(),
            false => {
                producer.flush().await;
                producer.abort_transaction().await.unwrap();
            }
        }
    }
    assert_eq!(committed(&name, 6).await, ["a", "b", "c", "d", "e", "f"]);
    producer.close(PATIENCE).await;
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn offsets_are_committed_with_the_records() {
    let name = topic("txn-offsets", 2).await;
    let group = unique("g");
    let producer = producer(&unique("t"));
    producer.init_transactions().await.unwrap();
    let tp = TopicPartition::new(name.as_str(), 0);
    for (offset, commit) in [(5i64, false), (7, true)] {
        producer.begin_transaction().unwrap();
        send(&producer, &name, &["a"]).await;
        let offsets = [(tp.clone(), offset.into())].into();
        let metadata = ConsumerGroupMetadata::new(group.as_str());
        producer.send_offsets_to_transaction(&offsets, &metadata).await.unwrap();
        match commit {
            true => producer.commit_transaction().await.unwrap(),
            false => producer.abort_transaction().await.unwrap(),
        }
    }
    let offsets = admin().list_group_offsets(&group, None).await.unwrap();
    assert_eq!(offsets[&tp].offset, 7);
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn the_newer_producer_wins() {
    let name = topic("txn-fenced", 2).await;
    let id = unique("t");
    let (old, new) = (producer(&id), producer(&id));
    old.init_transactions().await.unwrap();
    old.begin_transaction().unwrap();
    send(&old, &name, &["old"]).await;
    old.flush().await;
    new.init_transactions().await.unwrap();
    let error = old.commit_transaction().await.unwrap_err();
    assert_eq!((error.code(), error.is_abortable()), (Some(ErrorCode::ProducerFenced), false), "{error}");
    new.begin_transaction().unwrap();
    send(&new, &name, &["new"]).await;
    new.commit_transaction().await.unwrap();
    assert_eq!(committed(&name, 1).await, ["new"]);
}
