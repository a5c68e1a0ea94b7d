//! Partitions as requests and answers name them: by topic.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::TopicPartition;

/// A partition of an answer.
pub(crate) fn tp(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

/// Sorts partitions into topics, as requests want them.
pub(crate) fn by_topic<'a, T, U>(
    partitions: impl Iterator<Item = (&'a TopicPartition, T)>,
    mut make: impl FnMut(i32, T) -> U,
) -> BTreeMap<ByteString, Vec<U>> {
    let mut topics: BTreeMap<ByteString, Vec<U>> = BTreeMap::new();
    for (tp, value) in partitions {
        topics.entry((&*tp.topic).into()).or_default().push(make(tp.partition, value));
    }
    topics
}
