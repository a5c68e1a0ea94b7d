use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_common::TopicPartition;

use crate::partition::Partition;

/// The partitions of this broker, found by topic first: a request that names many partitions names few
/// topics.
#[derive(Debug, Default)]
pub(crate) struct HostedPartitions {
    topics: HashMap<Arc<str>, OfTopic>,
}

type OfTopic = BTreeMap<i32, Arc<Partition>>;

impl HostedPartitions {
    pub(crate) fn get(&self, tp: &TopicPartition) -> Option<&Arc<Partition>> {
        self.topics.get(&tp.topic)?.get(&tp.partition)
    }

    /// Each of many, those of a topic best one after the other.
    pub(crate) fn get_all<'a, 't>(
        &'a self,
        tps: impl Iterator<Item = &'t TopicPartition>,
    ) -> impl Iterator<Item = Option<&'a Arc<Partition>>> {
        let mut last: Option<(&'t Arc<str>, Option<&'a OfTopic>)> = None;
        tps.map(move |tp| {
            let partitions = match last {
                Some((topic, partitions)) if is_same(topic, &tp.topic) => partitions,
                _ => self.topics.get(&tp.topic),
            };
            last = Some((&tp.topic, partitions));
            partitions?.get(&tp.partition)
        })
    }

    /// Adds a partition, in the place of one of the same name.
    pub(crate) fn insert(&mut self, partition: Arc<Partition>) {
        let TopicPartition { topic, partition: index } = partition.topic_partition().clone();
        self.topics.entry(topic).or_default().insert(index, partition);
    }

    pub(crate) fn remove(&mut self, tp: &TopicPartition) -> Option<Arc<Partition>> {
        let partitions = self.topics.get_mut(&tp.topic)?;
        let removed = partitions.remove(&tp.partition);
        if partitions.is_empty() {
            self.topics.remove(&tp.topic);
        }
        removed
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.topics.values().flat_map(BTreeMap::values)
    }
}

fn is_same(a: &Arc<str>, b: &Arc<str>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}
