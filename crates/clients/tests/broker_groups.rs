//! Groups whose coordinator shares out the partitions, against a real broker; see `broker_admin.rs`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{admin, config, unique};
use ottla_clients::ClientConfig;
use ottla_clients::admin::NewTopic;
use ottla_clients::consumer::{ConsumerRecord, KafkaConsumer};
use ottla_clients::producer::{KafkaProducer, ProducerRecord};
use ottla_clients::share_consumer::{AcknowledgeType, KafkaShareConsumer};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

async fn topic(prefix: &str, partitions: i32) -> String {
    let name = unique(prefix);
    let created = admin().create_topics(&[NewTopic::new(&name).sized(partitions, 1)], false).await.unwrap();
    created[0].1.as_ref().unwrap();
    name
}

async fn produce(topic: &str, count: usize) {
    let producer = KafkaProducer::new(&config()).unwrap();
    for i in 0..count {
        let record = ProducerRecord::new(topic, Some(format!("{i}").into()), Some(format!("v{i}").into()));
        producer.send(record).await.unwrap();
    }
    producer.close(PATIENCE).await;
}

fn modern(group: &str) -> ClientConfig {
    config().with("group.id", group).with("group.protocol", "consumer").with("auto.offset.reset", "earliest")
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn members_share_and_take_over() {
    let name = topic("modern", 4).await;
    let config = modern(&unique("g"));
    let (mut a, mut b) = (KafkaConsumer::new(&config).unwrap(), KafkaConsumer::new(&config).unwrap());
    a.subscribe(&[&name]).unwrap();
    b.subscribe_pattern(&format!("{name}.*")).unwrap();
    let start = Instant::now();
    while a.assignment().len() != 2 || b.assignment().len() != 2 {
        assert!(start.elapsed() < PATIENCE, "{:?} {:?}", a.assignment(), b.assignment());
        let (x, y) = tokio::join!(a.poll(SHORT), b.poll(SHORT));
        assert!(x.unwrap().is_empty() && y.unwrap().is_empty());
    }
    assert!(a.group_metadata().unwrap().generation_id > 0);
    produce(&name, 200).await;
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    while seen.values().sum::<u32>() < 200 {
        assert!(start.elapsed() < PATIENCE);
        let (x, y) = tokio::join!(a.poll(SHORT), b.poll(SHORT));
        for record in x.unwrap().into_iter().chain(y.unwrap()) {
            *seen.entry(format!("{:?}", record.key)).or_default() += 1;
        }
    }
    assert!(seen.values().all(|n| *n == 1), "each record once");
    a.close().await.unwrap();
    while b.assignment().len() != 4 {
        assert!(start.elapsed() < PATIENCE);
        assert!(b.poll(SHORT).await.unwrap().is_empty(), "what was committed is not read again");
    }
    b.close().await.unwrap();
}

fn subscribed(group: &str, topic: &str, settings: &[(&str, &str)]) -> KafkaShareConsumer {
    let mut config = config().with("group.id", group);
    config.extend(settings.iter().copied());
    let mut consumer = KafkaShareConsumer::new(&config).unwrap();
    consumer.subscribe(&[topic]);
    consumer
}

/// The first of its group, when it is ready for what is to come.
async fn share_consumer(group: &str, topic: &str, settings: &[(&str, &str)]) -> KafkaShareConsumer {
    let mut consumer = subscribed(group, topic, settings);
    let start = Instant::now();
    while consumer.assignment().is_empty() {
        assert!(start.elapsed() < PATIENCE);
        assert!(consumer.poll(SHORT).await.unwrap().is_empty());
    }
    // The group begins with what comes after it has looked at the partitions.
    consumer.poll(Duration::from_secs(2)).await.unwrap();
    consumer
}

async fn read(consumer: &mut KafkaShareConsumer) -> Vec<ConsumerRecord> {
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < PATIENCE);
        let records = consumer.poll(Duration::from_millis(200)).await.unwrap();
        if !records.is_empty() {
            return records;
        }
    }
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn what_is_polled_again_was_processed() {
    let (name, group) = (topic("share", 2).await, unique("s"));
    let mut consumer = share_consumer(&group, &name, &[]).await;
    produce(&name, 100).await;
    let mut seen = 0;
    while seen < 100 {
        let records = read(&mut consumer).await;
        assert!(records.iter().all(|record| record.delivery_count == Some(1)));
        seen += records.len();
    }
    assert!(consumer.commit_sync().await.unwrap().values().all(Result::is_ok));
    assert!(consumer.acquisition_lock_timeout().is_some());
    consumer.close().await.unwrap();
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn what_is_released_comes_again_and_what_is_rejected_does_not() {
    let (name, group) = (topic("share-explicit", 1).await, unique("s"));
    let settings = [("share.acknowledgement.mode", "explicit"), ("share.acquire.mode", "record_limit")];
    let mut consumer = share_consumer(&group, &name, &settings).await;
    produce(&name, 3).await;
    let mut records = Vec::new();
    while records.len() < 3 {
        let more = read(&mut consumer).await;
        for record in &more {
            let said = match record.offset {
                0 => AcknowledgeType::Accept,
                1 => AcknowledgeType::Release,
                _ => AcknowledgeType::Reject,
            };
            consumer.acknowledge(record, said).unwrap();
        }
        records.extend(more.into_iter().filter(|record| record.delivery_count == Some(1)));
    }
    let again = read(&mut consumer).await;
    let again: Vec<_> = again.iter().map(|r| (r.offset, r.delivery_count)).collect();
    assert_eq!(again, [(1, Some(2))]);
    let error = consumer.poll(SHORT).await.unwrap_err().to_string();
    assert!(error.contains("not acknowledged"), "{error}");
    consumer.acknowledge_offset(&name, 0, 1, AcknowledgeType::Renew).unwrap();
    assert!(consumer.commit_sync().await.unwrap().values().all(Result::is_ok));
    let renewed = read(&mut consumer).await;
    assert_eq!((renewed.len(), renewed[0].offset), (1, 1));
    consumer.close().await.unwrap();
    let mut other = subscribed(&group, &name, &[]);
    produce(&name, 1).await;
    let mut offsets = Vec::new();
    while !offsets.contains(&3) || !offsets.contains(&1) {
        offsets.extend(read(&mut other).await.iter().map(|r| r.offset));
    }
    assert!(!offsets.contains(&0) && !offsets.contains(&2));
    other.close().await.unwrap();
}
