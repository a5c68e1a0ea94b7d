use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_protocol::records::group::{OffsetCommitKey, OffsetCommitValue};
use rpds::RedBlackTreeMapSync;

use super::owned;
use crate::runtime::TransactionResult;

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// Where the commit stands in the log of the coordinator: the later one wins.
    pub record_offset: i64,
    /// The offset that was committed.
    pub committed_offset: i64,
    /// The leader epoch of the last record consumed, or -1.
    pub leader_epoch: i32,
    /// What the client wanted to keep.
    pub metadata: ByteString,
    /// When it was committed.
    pub commit_timestamp_ms: i64,
    /// When it expires, if the client said so.
    pub expire_timestamp_ms: Option<i64>,
    /// The id of the topic, or zero when it was not known.
    pub topic_id: Uuid,
}

impl OffsetAndMetadata {
    fn from_record(record_offset: i64, value: &OffsetCommitValue) -> Self {
        Self {
            record_offset,
            committed_offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: owned(&value.metadata),
            commit_timestamp_ms: value.commit_timestamp,
            expire_timestamp_ms: (value.expire_timestamp != -1).then_some(value.expire_timestamp),
            topic_id: value.topic_id,
        }
    }
}

pub(crate) type Partitions<V> = RedBlackTreeMapSync<i32, V>;
pub(crate) type Topics<V> = RedBlackTreeMapSync<ByteString, Partitions<V>>;

/// Something per group, topic and partition.
#[derive(Debug, Clone)]
pub(crate) struct PerPartition<V> {
    groups: RedBlackTreeMapSync<ByteString, Topics<V>>,
}

impl<V> Default for PerPartition<V> {
    fn default() -> Self {
        Self { groups: RedBlackTreeMapSync::new_sync() }
    }
}

impl<V: Clone> PerPartition<V> {
    pub(crate) fn group(&self, group: &ByteString) -> Option<&Topics<V>> {
        self.groups.get(group)
    }

    pub(crate) fn get(&self, group: &ByteString, topic: &ByteString, partition: i32) -> Option<&V> {
        self.groups.get(group)?.get(topic)?.get(&partition)
    }

    fn put(&mut self, group: &ByteString, topic: &ByteString, partition: i32, value: V) {
        let Some(topics) = self.groups.get_mut(group) else {
            let partitions = RedBlackTreeMapSync::new_sync().insert(partition, value);
            let topics = RedBlackTreeMapSync::new_sync().insert(owned(topic), partitions);
            self.groups.insert_mut(owned(group), topics);
            return;
        };
        let Some(partitions) = topics.get_mut(topic) else {
            let partitions = RedBlackTreeMapSync::new_sync().insert(partition, value);
            topics.insert_mut(owned(topic), partitions);
            return;
        };
        match partitions.get_mut(&partition) {
            Some(place) => *place = value,
            None => partitions.insert_mut(partition, value),
        }
    }

    fn remove(&mut self, group: &ByteString, topic: &ByteString, partition: i32) {
        let Some(topics) = self.groups.get(group) else { return };
        let Some(partitions) = topics.get(topic) else { return };
        let partitions = partitions.remove(&partition);
        let topics = match partitions.is_empty() {
            true => topics.remove(topic),
            false => topics.insert(topic.clone(), partitions),
        };
        match topics.is_empty() {
            true => self.groups.remove_mut(group),
            false => {
                self.groups.insert_mut(group.clone(), topics);
                true
            }
        };
    }

    fn entries(&self) -> Vec<(ByteString, ByteString, i32, V)> {
        let mut entries = Vec::new();
        for (group, topics) in self.groups.iter() {
            for (topic, partitions) in topics.iter() {
                entries.extend(
                    partitions.iter().map(|(p, value)| (group.clone(), topic.clone(), *p, value.clone())),
                );
            }
        }
        entries
    }

    pub(crate) fn iter_groups(&self) -> impl Iterator<Item = (&ByteString, &Topics<V>)> {
        self.groups.iter()
    }
}

type ProducerIds = RedBlackTreeMapSync<i64, ()>;

/// The committed offsets, and those of transactions that are still open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offsets {
    pub(crate) committed: PerPartition<OffsetAndMetadata>,
    pending: Pending,
    open: PerPartition<ProducerIds>,
}

#[derive(Debug, Clone)]
struct Pending(RedBlackTreeMapSync<i64, PerPartition<OffsetAndMetadata>>);

impl Default for Pending {
    fn default() -> Self {
        Self(RedBlackTreeMapSync::new_sync())
    }
}

const NO_PRODUCER_ID: i64 = -1;

impl Offsets {
    /// Takes in a record: a commit, a commit within a transaction, or a tombstone of either.
    pub(crate) fn replay(
        &mut self,
        offset: i64,
        producer_id: i64,
        key: &OffsetCommitKey,
        value: Option<&OffsetCommitValue>,
    ) {
        let (group, topic, partition) = (&key.group, &key.topic, key.partition);
        let Some(value) = value else {
            self.remove(group, topic, partition);
            return;
        };
        let value = OffsetAndMetadata::from_record(offset, value);
        if producer_id == NO_PRODUCER_ID {
            self.committed.put(group, topic, partition, value);
            return;
        }
        let mut pending = self.pending.0.get(&producer_id).cloned().unwrap_or_default();
        pending.put(group, topic, partition, value);
        self.pending.0.insert_mut(producer_id, pending);
        let producers = self.open.get(group, topic, partition).cloned();
        let producers = producers.unwrap_or_else(RedBlackTreeMapSync::new_sync).insert(producer_id, ());
        self.open.put(group, topic, partition, producers);
    }

    /// Takes in the end of a transaction: what it left pending takes effect or is forgotten.
    pub(crate) fn replay_end_transaction_marker(&mut self, producer_id: i64, result: TransactionResult) {
        let Some(pending) = self.pending.0.get(&producer_id).cloned() else { return };
        self.pending.0.remove_mut(&producer_id);
        for (group, topic, partition, value) in pending.entries() {
            self.close(&group, &topic, partition, producer_id);
            if result == TransactionResult::Commit {
                let existing = self.committed.get(&group, &topic, partition);
                // Compaction may have dropped neither: the later record of the two counts.
                if existing.is_none_or(|existing| value.record_offset > existing.record_offset) {
                    self.committed.put(&group, &topic, partition, value);
                }
            }
        }
    }

    /// Whether a transaction that touches this partition is still open.
    pub(crate) fn has_pending(&self, group: &ByteString, topic: &ByteString, partition: i32) -> bool {
        self.open.get(group, topic, partition).is_some()
    }

    /// Whether a transaction that touches this group is still open.
    pub(crate) fn group_has_pending(&self, group: &ByteString) -> bool {
        self.open.group(group).is_some()
    }

    /// Every partition of the group with something committed or pending.
    pub(crate) fn partitions_of(&self, group: &ByteString) -> Vec<(ByteString, i32)> {
        let mut partitions = Vec::new();
        for (topic, of_topic) in self.committed.group(group).into_iter().flat_map(Topics::iter) {
            partitions.extend(of_topic.keys().map(|partition| (topic.clone(), *partition)));
        }
        for (topic, of_topic) in self.open.group(group).into_iter().flat_map(Topics::iter) {
            let only_pending = of_topic.keys().filter(|p| self.committed.get(group, topic, **p).is_none());
            partitions.extend(only_pending.map(|partition| (topic.clone(), *partition)));
        }
        partitions
    }

    /// Every partition of this topic, in whatever group, whose offset belongs to the topic of this id.
    /// Offsets of unknown topic ids count as its own: that is how they were written once.
    pub(crate) fn partitions_of_topic(&self, topic: &ByteString, id: Uuid) -> Vec<(ByteString, i32)> {
        let pending = self.pending.0.values();
        let mut found = std::collections::BTreeSet::new();
        for store in std::iter::once(&self.committed).chain(pending) {
            for (group, topics) in store.iter_groups() {
                for (partition, offset) in topics.get(topic).into_iter().flat_map(Partitions::iter) {
                    if offset.topic_id.is_zero() || offset.topic_id == id {
                        found.insert((group.clone(), *partition));
                    }
                }
            }
        }
        found.into_iter().collect()
    }

    fn remove(&mut self, group: &ByteString, topic: &ByteString, partition: i32) {
        self.committed.remove(group, topic, partition);
        let Some(producers) = self.open.get(group, topic, partition).cloned() else { return };
        for producer_id in producers.keys() {
            if let Some(mut pending) = self.pending.0.get(producer_id).cloned() {
                pending.remove(group, topic, partition);
                self.pending.0.insert_mut(*producer_id, pending);
            }
        }
        self.open.remove(group, topic, partition);
    }

    fn close(&mut self, group: &ByteString, topic: &ByteString, partition: i32, producer_id: i64) {
        let Some(producers) = self.open.get(group, topic, partition) else { return };
        let producers = producers.remove(&producer_id);
        match producers.is_empty() {
            true => self.open.remove(group, topic, partition),
            false => self.open.put(group, topic, partition, producers),
        }
    }
}
