//! The consumer against a real broker; see `broker_admin.rs`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{admin, config, unique};
use ottla_clients::ClientConfig;
use ottla_clients::admin::NewTopic;
use ottla_clients::consumer::{ConsumerRecord, KafkaConsumer};
use ottla_clients::producer::{KafkaProducer, ProducerRecord};
use ottla_common::TopicPartition;
use ottla_record::RecordHeader;
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(30);

async fn topic(prefix: &str, partitions: i32) -> String {
    let name = unique(prefix);
    let created = admin().create_topics(&[NewTopic::new(&name).sized(partitions, 1)], false).await.unwrap();
    created[0].1.as_ref().unwrap();
    name
}

async fn produce(topic: &str, count: usize, settings: &[(&str, &str)]) {
    let mut config = config();
    config.extend(settings.iter().copied());
    let producer = KafkaProducer::new(&config).unwrap();
    for i in 0..count {
        let mut record =
            ProducerRecord::new(topic, Some(format!("{i}").into()), Some(format!("v{i}").into()));
        record.headers.push(RecordHeader::new("h", None::<&'static [u8]>));
        record.timestamp = Some(1_000 + i as i64);
        producer.send(record).await.unwrap();
    }
    timeout(PATIENCE, producer.flush()).await.unwrap();
}

fn group_config(group: &str) -> ClientConfig {
    config()
        .with("group.id", group)
        .with("auto.offset.reset", "earliest")
        .with("heartbeat.interval.ms", "100")
}

async fn read(consumer: &mut KafkaConsumer, count: usize) -> Vec<ConsumerRecord> {
    let start = Instant::now();
    let mut records = Vec::new();
    while records.len() < count {
        assert!(start.elapsed() < PATIENCE, "{} of {count} records", records.len());
        records.extend(consumer.poll(Duration::from_millis(200)).await.unwrap());
    }
    records
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn assigned_partitions_are_read_from_anywhere() {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let name = topic("assigned", 1).await;
        produce(&name, 1500, &[("compression.type", codec)]).await;
        let tp = TopicPartition::new(name.as_str(), 0);
        let mut consumer = KafkaConsumer::new(&config().with("auto.offset.reset", "earliest")).unwrap();
        consumer.assign(std::slice::from_ref(&tp)).await.unwrap();
        let records = read(&mut consumer, 1500).await;
        for (i, record) in records.iter().enumerate() {
            assert_eq!((record.offset, record.timestamp), (i as i64, 1_000 + i as i64));
            assert_eq!(record.value.as_deref(), Some(format!("v{i}").as_bytes()));
            assert_eq!((&*record.headers[0].key, &record.headers[0].value), (b"h".as_slice(), &None));
        }
        assert_eq!(consumer.lag(&tp), Some(0));
        consumer.seek(&tp, 1490).unwrap();
        assert_eq!(read(&mut consumer, 10).await[0].offset, 1490);
        let found = consumer.offsets_for_times(&[(tp.clone(), 1_700)].into()).await.unwrap();
        assert_eq!(found[&tp].offset, 700);
        assert_eq!(consumer.end_offsets(std::slice::from_ref(&tp)).await.unwrap()[&tp], 1500);
        consumer.seek(&tp, 99_999).unwrap();
        assert_eq!(read(&mut consumer, 1).await[0].offset, 0, "out of range resets to the earliest");
        consumer.close().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn a_group_remembers_where_it_was() {
    let name = topic("group", 3).await;
    produce(&name, 300, &[]).await;
    let group = unique("g");
    let mut first = KafkaConsumer::new(&group_config(&group)).unwrap();
    first.subscribe(&[&name]).unwrap();
    assert_eq!(read(&mut first, 300).await.len(), 300);
    let described = admin().describe_group(&group).await.unwrap();
    assert_eq!((&*described.state, described.members[0].assignment.len()), ("Stable", 3));
    first.close().await.unwrap();
    let described = admin().describe_group(&group).await.unwrap();
    assert_eq!((&*described.state, described.members.len()), ("Empty", 0));
    let committed = admin().list_group_offsets(&group, None).await.unwrap();
    assert_eq!(committed.values().map(|o| o.offset).sum::<i64>(), 300);

    produce(&name, 10, &[]).await;
    let mut second = KafkaConsumer::new(&group_config(&group)).unwrap();
    let wanted = name.clone();
    second.subscribe_matching(move |topic| topic == wanted).unwrap();
    assert_eq!(read(&mut second, 10).await.len(), 10);
    second.close().await.unwrap();
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn members_share_and_take_over() {
    for assignor in ["range", "roundrobin"] {
        let name = topic("shared", 4).await;
        let group = unique("g");
        let config = group_config(&group).with("partition.assignment.strategy", assignor);
        let (mut a, mut b) = (KafkaConsumer::new(&config).unwrap(), KafkaConsumer::new(&config).unwrap());
        a.subscribe(&[&name]).unwrap();
        b.subscribe(&[&name]).unwrap();
        let start = Instant::now();
        while a.assignment().len() != 2 || b.assignment().len() != 2 {
            assert!(start.elapsed() < PATIENCE);
            let short = Duration::from_millis(50);
            let (x, y) = tokio::join!(a.poll(short), b.poll(short));
            assert!(x.unwrap().is_empty() && y.unwrap().is_empty());
        }
        produce(&name, 200, &[]).await;
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        while seen.values().sum::<u32>() < 200 {
            assert!(start.elapsed() < PATIENCE);
            let short = Duration::from_millis(50);
            let (x, y) = tokio::join!(a.poll(short), b.poll(short));
            for record in x.unwrap().into_iter().chain(y.unwrap()) {
                *seen.entry(format!("{:?}", record.key)).or_default() += 1;
            }
        }
        assert!(seen.values().all(|n| *n == 1), "each record once");
        a.close().await.unwrap();
        while b.assignment().len() != 4 {
            assert!(start.elapsed() < PATIENCE);
            b.poll(Duration::from_millis(50)).await.unwrap();
        }
        produce(&name, 20, &[]).await;
        assert_eq!(read(&mut b, 20).await.len(), 20);
        b.close().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn a_topic_that_comes_later_is_found() {
    let name = unique("later");
    let mut consumer = KafkaConsumer::new(&group_config(&unique("g"))).unwrap();
    consumer.subscribe(&[&name]).unwrap();
    consumer.poll(Duration::from_millis(300)).await.unwrap();
    topic_named(&name).await;
    produce(&name, 5, &[]).await;
    assert_eq!(read(&mut consumer, 5).await.len(), 5);
    consumer.close().await.unwrap();
}

async fn topic_named(name: &str) {
    // Subscribing may have created it already, as auto.create.topics.enable has it.
    let _ = admin().create_topics(&[NewTopic::new(name).sized(1, 1)], false).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn what_cannot_be_done_is_said() {
    let mut consumer = KafkaConsumer::new(&config()).unwrap();
    let error = consumer.subscribe(&["t"]).unwrap_err().to_string();
    assert!(error.contains("set group.id"), "{error}");
    let error = consumer.poll(Duration::ZERO).await.unwrap_err().to_string();
    assert!(error.contains("subscribe or assign"), "{error}");
    let name = topic("none", 1).await;
    let mut consumer = KafkaConsumer::new(&config().with("auto.offset.reset", "none")).unwrap();
    consumer.assign(&[TopicPartition::new(name.as_str(), 0)]).await.unwrap();
    let error = consumer.poll(PATIENCE).await.unwrap_err().to_string();
    assert!(error.contains("auto.offset.reset is none"), "{error}");
}
