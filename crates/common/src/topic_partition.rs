use std::fmt;
use std::sync::Arc;

/// A topic's name and one of its partitions; prints as Kafka's folder name, `topic-0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name. Shared, because it outlives the request frame that named it.
    pub topic: Arc<str>,
    /// Index of the partition, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names one partition of a topic.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
