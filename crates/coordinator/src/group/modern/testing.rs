//! A cluster's topics, made up for tests.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::Uuid;

use crate::metadata::{CoordinatorMetadata, CoordinatorTopic};

/// Topics by name, and the racks of some of their partitions.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestMetadata {
    pub(crate) version: i64,
    topics: BTreeMap<ByteString, CoordinatorTopic>,
    racks: BTreeMap<(Uuid, i32), Vec<ByteString>>,
}

/// The id that [`TestMetadata`] gives the n-th topic of a test.
pub(crate) fn topic_id(n: u128) -> Uuid {
    Uuid::from_u128(0x1000 + n)
}

impl TestMetadata {
    /// Topics with these names and numbers of partitions; the n-th has the id [`topic_id`]`(n)`.
    pub(crate) fn of(topics: &[(&'static str, i32)]) -> Self {
        let mut metadata = Self { version: 1, ..Self::default() };
        for (n, (name, num_partitions)) in (0..).zip(topics) {
            metadata.put(n, name, *num_partitions);
        }
        metadata
    }

    pub(crate) fn put(&mut self, n: u128, name: &'static str, num_partitions: i32) {
        let name = ByteString::from_static(name);
        let topic = CoordinatorTopic { id: topic_id(n), name: name.clone(), num_partitions };
        self.topics.insert(name, topic);
        self.version += 1;
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.topics.remove(name);
        self.version += 1;
    }

    pub(crate) fn set_racks(&mut self, n: u128, partition: i32, racks: &[&'static str]) {
        let racks = racks.iter().map(|rack| ByteString::from_static(rack)).collect();
        self.racks.insert((topic_id(n), partition), racks);
        self.version += 1;
    }
}

impl CoordinatorMetadata for TestMetadata {
    fn version(&self) -> i64 {
        self.version
    }

    fn topic(&self, name: &str) -> Option<CoordinatorTopic> {
        self.topics.get(name).cloned()
    }

    fn topic_by_id(&self, id: Uuid) -> Option<CoordinatorTopic> {
        self.topics.values().find(|topic| topic.id == id).cloned()
    }

    fn topic_names(&self) -> Box<dyn Iterator<Item = ByteString> + '_> {
        Box::new(self.topics.keys().cloned())
    }

    fn partition_racks(&self, id: Uuid, partition: i32) -> Vec<ByteString> {
        self.racks.get(&(id, partition)).cloned().unwrap_or_default()
    }
}
