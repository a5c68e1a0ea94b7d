//! The producer against a real broker; see `broker_admin.rs`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use common::{admin, config, unique};
use ottla_clients::admin::{NewTopic, OffsetSpec};
use ottla_clients::producer::{KafkaProducer, ProducerRecord};
use ottla_common::{ErrorCode, TopicPartition};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
#[ignore = "needs a broker"]
async fn every_codec_keeps_order_and_offsets_are_dense() {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let name = unique(codec);
        admin().create_topics(&[NewTopic::new(&name).sized(1, 1)], false).await.unwrap()[0]
            .1
            .as_ref()
            .unwrap();
        let producer = KafkaProducer::new(&config().with("compression.type", codec)).unwrap();
        let mut deliveries = Vec::new();
        for i in 0..2000 {
            let value = format!("value {i}").into_bytes();
            let record =
                ProducerRecord::new(name.as_str(), Some(b"key".as_slice().into()), Some(value.into()));
            deliveries.push(producer.send(record).await.unwrap());
        }
        for (i, delivery) in deliveries.into_iter().enumerate() {
            assert_eq!(delivery.await.unwrap().offset, i as i64, "{codec}");
        }
        producer.close(PATIENCE).await;
        let tp = TopicPartition::new(name.as_str(), 0);
        let listed = admin().list_offsets(&[(tp.clone(), OffsetSpec::Latest)], false).await.unwrap();
        assert_eq!(listed[0].1.as_ref().unwrap().offset, 2000);
        let producers = admin().describe_producers(&[tp]).await.unwrap();
        assert_eq!(producers[0].1.as_ref().unwrap()[0].last_sequence, 1999);
    }
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn all_acks_and_many_partitions() {
    for acks in ["0", "1", "all"] {
        let name = unique("acks");
        admin().create_topics(&[NewTopic::new(&name).sized(6, 1)], false).await.unwrap()[0]
            .1
            .as_ref()
            .unwrap();
        let wanted: Vec<_> =
            (0..6).map(|p| (TopicPartition::new(name.as_str(), p), OffsetSpec::Latest)).collect();
        // Without acks, records for a leader that is not ready yet are simply lost.
        admin().list_offsets(&wanted, false).await.unwrap();
        let producer = KafkaProducer::new(&config().with("acks", acks).with("batch.size", "500")).unwrap();
        for i in 0..1000 {
            producer
                .send(ProducerRecord::new(name.as_str(), None, Some(vec![0; i % 300].into())))
                .await
                .unwrap();
        }
        timeout(producer.flush()).await;
        common::until(async || {
            let listed = admin().list_offsets(&wanted, false).await.unwrap();
            let offsets: Vec<_> = listed.iter().map(|(_, o)| o.as_ref().unwrap().offset).collect();
            offsets.iter().sum::<i64>() == 1000 && offsets.iter().all(|o| *o > 0)
        })
        .await;
    }
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn refusals_reach_the_caller() {
    let name = unique("small");
    let topic = NewTopic::new(&name).sized(1, 1).config("max.message.bytes", "1000");
    admin().create_topics(&[topic], false).await.unwrap()[0].1.as_ref().unwrap();
    let producer = KafkaProducer::new(&config()).unwrap();
    let send = async |size: usize| {
        let record = ProducerRecord::new(name.as_str(), None, Some(vec![1; size].into()));
        producer.send(record).await.unwrap().await
    };
    assert_eq!(send(10).await.unwrap().offset, 0);
    assert_eq!(send(5000).await.unwrap_err().code(), Some(ErrorCode::MessageTooLarge));
    assert_eq!(send(20).await.unwrap().offset, 1, "the gap in the sequence is healed");
    let huge = ProducerRecord::new(name.as_str(), None, Some(vec![1; 2 << 20].into()));
    let error = producer.send(huge).await.unwrap_err().to_string();
    assert!(error.contains("raise max.request.size"), "{error}");
}

async fn timeout(future: impl Future<Output = ()>) {
    tokio::time::timeout(PATIENCE, future).await.expect("in time");
}
