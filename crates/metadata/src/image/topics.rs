//! Topics and partitions of a metadata image.

use std::sync::Arc;

use ottla_common::Uuid;

use super::{PartitionMap, PersistentMap};
use crate::partition_registration::PartitionRegistration;

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    /// Its name.
    pub name: Arc<str>,
    /// Its id (KIP-516).
    pub id: Uuid,
    /// Its partitions by index.
    pub partitions: PartitionMap,
}

/// Every topic, by id and by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicsImage {
    by_id: PersistentMap<Uuid, TopicImage>,
    ids: PersistentMap<Arc<str>, Uuid>,
}

impl TopicsImage {
    /// The topic with this id.
    pub fn topic(&self, id: Uuid) -> Option<&TopicImage> {
        self.by_id.get(&id)
    }

    /// The topic with this name.
    pub fn topic_by_name(&self, name: &str) -> Option<&TopicImage> {
        self.topic(*self.ids.get(name)?)
    }

    /// The id of a topic.
    pub fn topic_id(&self, name: &str) -> Option<Uuid> {
        self.ids.get(name).copied()
    }

    /// The name of a topic.
    pub fn topic_name(&self, id: Uuid) -> Option<&Arc<str>> {
        self.topic(id).map(|topic| &topic.name)
    }

    /// One partition.
    pub fn partition(&self, id: Uuid, partition: i32) -> Option<&Arc<PartitionRegistration>> {
        self.topic(id)?.partitions.get(&partition)
    }

    /// Every topic in the order of its id.
    pub fn iter(&self) -> impl Iterator<Item = &TopicImage> {
        self.by_id.values()
    }

    /// Every topic in the order of its name.
    pub fn iter_by_name(&self) -> impl Iterator<Item = &TopicImage> {
        self.ids.values().filter_map(|id| self.by_id.get(id))
    }

    /// Every topic whose name is `from` or after it, in order: to page through topics.
    pub fn iter_from(&self, from: &str) -> impl Iterator<Item = &TopicImage> {
        let from: Arc<str> = from.into();
        let range: Vec<Uuid> = self.ids.range(from..).map(|(_, id)| *id).collect();
        range.into_iter().filter_map(|id| self.by_id.get(&id))
    }

    /// How many topics there are.
    pub fn len(&self) -> usize {
        self.by_id.size()
    }

    /// Whether there is no topic.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn create(&mut self, name: &str, id: Uuid) {
        let name: Arc<str> = name.into();
        // TOPIC-NAME-UNIQUE: a damaged log must not leave two ids for a name, or two names for an id.
        if let Some(old) = self.ids.get(&name).copied() {
            self.by_id.remove_mut(&old);
        }
        if let Some(old) = self.by_id.get(&id).map(|topic| topic.name.clone()) {
            self.ids.remove_mut(&old);
        }
        self.ids.insert_mut(name.clone(), id);
        self.by_id.insert_mut(id, TopicImage { name, id, partitions: PartitionMap::default() });
    }

    pub(crate) fn remove(&mut self, id: Uuid) -> Option<TopicImage> {
        let topic = self.by_id.get(&id)?.clone();
        self.by_id.remove_mut(&id);
        self.ids.remove_mut(&topic.name);
        Some(topic)
    }

    /// Sets one partition; false when there is no such topic.
    pub(crate) fn put_partition(&mut self, id: Uuid, index: i32, partition: PartitionRegistration) -> bool {
        let Some(topic) = self.by_id.get_mut(&id) else {
            return false;
        };
        topic.partitions.insert_mut(index, Arc::new(partition));
        true
    }
}
