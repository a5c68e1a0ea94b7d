//! The verifiable clients: programs that tests start, stop and kill, and that tell in lines of JSON what
//! they did. `kafka-verifiable-producer.sh`, `kafka-verifiable-consumer.sh` and
//! `kafka-verifiable-share-consumer.sh` have the same flags and lines, in the same order.

mod arguments;
pub(crate) mod consumer;
mod event;
mod exception;
pub(crate) mod producer;
pub(crate) mod share_consumer;
mod shutdown;

use ottla_clients::consumer::ConsumerRecord;
use ottla_common::TopicPartition;

use self::event::{Event, Object};

/// Records as text, for `key` and `value`.
fn text(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// The beginning of every object about a partition.
fn partition_object(partition: &TopicPartition) -> Object {
    Object::default().text("topic", Some(&partition.topic)).number("partition", partition.partition)
}

/// The line of `--verbose` for a record.
fn record_data(record: &ConsumerRecord) -> Event {
    Event::now("record_data")
        .text("key", text(record.key.as_deref()).as_deref())
        .text("value", text(record.value.as_deref()).as_deref())
        .text("topic", Some(&record.topic))
        .number("partition", record.partition)
        .number("offset", record.offset)
}

/// The records of each partition, partitions in the order in which they come.
fn by_partition(records: &[ConsumerRecord]) -> Vec<(TopicPartition, Vec<&ConsumerRecord>)> {
    let mut groups: Vec<(TopicPartition, Vec<&ConsumerRecord>)> = Vec::new();
    for record in records {
        let known =
            groups.iter_mut().find(|(tp, _)| tp.partition == record.partition && *tp.topic == *record.topic);
        match known {
            Some((_, group)) => group.push(record),
            None => {
                let partition = TopicPartition::new(std::sync::Arc::clone(&record.topic), record.partition);
                groups.push((partition, vec![record]));
            }
        }
    }
    groups
}
