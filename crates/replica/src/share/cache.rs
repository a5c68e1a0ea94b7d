use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_common::Uuid;

use super::hosted::HostedSharePartition;
use super::persister::SharePartitionKey;

/// A partition of a topic.
pub(super) type PartitionKey = (Uuid, i32);

/// The share-partitions of this broker, to be found by their partition and by their group.
#[derive(Debug, Default)]
pub(super) struct SharePartitionCache {
    by_partition: BTreeMap<PartitionKey, BTreeMap<Arc<str>, Arc<HostedSharePartition>>>,
    groups: BTreeMap<Arc<str>, BTreeSet<PartitionKey>>,
    len: usize,
}

impl SharePartitionCache {
    pub(super) fn get(&self, group_id: &str, partition: PartitionKey) -> Option<&Arc<HostedSharePartition>> {
        self.by_partition.get(&partition)?.get(group_id)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Takes in one that is not here yet.
    pub(super) fn insert(&mut self, hosted: Arc<HostedSharePartition>) {
        let SharePartitionKey { group_id, topic_id, partition } = hosted.key.clone();
        let partition = (topic_id, partition);
        self.groups.entry(group_id.clone()).or_default().insert(partition);
        let earlier = self.by_partition.entry(partition).or_default().insert(group_id, hosted);
        assert!(earlier.is_none(), "SHARE-PARTITION-HOSTED-ONCE: two owners would hand out the same records");
        self.len += 1;
    }

    /// Removes this one. False if it is not here any more, but maybe another of the same name.
    pub(super) fn remove(&mut self, hosted: &Arc<HostedSharePartition>) -> bool {
        let SharePartitionKey { group_id, topic_id, partition } = &hosted.key;
        let partition = (*topic_id, *partition);
        if !self.get(group_id, partition).is_some_and(|found| Arc::ptr_eq(found, hosted)) {
            return false;
        }
        if let Some(of_partition) = self.by_partition.get_mut(&partition) {
            of_partition.remove(group_id);
            if of_partition.is_empty() {
                self.by_partition.remove(&partition);
            }
        }
        if let Some(of_group) = self.groups.get_mut(group_id) {
            of_group.remove(&partition);
            if of_group.is_empty() {
                self.groups.remove(group_id);
            }
        }
        self.len -= 1;
        true
    }

    /// Those of a partition.
    pub(super) fn of_partition(&self, partition: PartitionKey) -> Vec<Arc<HostedSharePartition>> {
        self.by_partition.get(&partition).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Those of a topic.
    pub(super) fn of_topic(&self, topic_id: Uuid) -> Vec<Arc<HostedSharePartition>> {
        let of_topic = self.by_partition.range((topic_id, i32::MIN)..=(topic_id, i32::MAX));
        of_topic.flat_map(|(_, groups)| groups.values()).cloned().collect()
    }

    /// Those of a group.
    pub(super) fn of_group(&self, group_id: &str) -> Vec<Arc<HostedSharePartition>> {
        let partitions = self.groups.get(group_id).into_iter().flatten();
        partitions.filter_map(|partition| self.get(group_id, *partition)).cloned().collect()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<HostedSharePartition>> {
        self.by_partition.values().flat_map(BTreeMap::values).cloned().collect()
    }
}
