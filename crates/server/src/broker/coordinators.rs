//! The coordinators of this broker, as the metadata log moves them.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::{TopicPartition, Uuid};
use ottla_metadata::delta::LocalReplicaChanges;
use ottla_metadata::{ConfigResourceType, MetadataDelta, MetadataImage, PartitionInfo};

use crate::coordinator::GroupCoordinatorService;
use crate::coordinator::group::group_overrides;
use crate::coordinator::metadata::ImageMetadata;
use crate::coordinator::runtime::CoordinatorElections;
use crate::coordinator::share_state::ShareCoordinatorService;
use crate::coordinator::transaction::TransactionCoordinatorService;

/// Every kind of coordinator.
#[derive(Debug, Clone)]
pub struct Coordinators {
    /// Of groups and their offsets.
    pub groups: Arc<GroupCoordinatorService>,
    /// Of transactions.
    pub transactions: Arc<TransactionCoordinatorService>,
    /// Of how far share groups are.
    pub share_states: Arc<ShareCoordinatorService>,
}

impl Coordinators {
    fn elections(&self) -> [&dyn CoordinatorElections; 3] {
        [self.groups.runtime(), self.transactions.runtime(), self.share_states.runtime()]
    }

    fn of_topic(&self, topic: &str) -> Option<&dyn CoordinatorElections> {
        self.elections().into_iter().find(|elections| elections.topic() == topic)
    }

    /// A key's partition follows from how many there are, which the topic itself says best: the configuration
    /// may have been changed since it was made.
    pub fn learn_partitions(&self, image: &MetadataImage) {
        for elections in self.elections() {
            if let Some(topic) = image.topics.topic_by_name(elections.topic()) {
                elections.startup(i32::try_from(topic.partitions.size()).unwrap_or(i32::MAX));
            }
        }
    }

    /// Partitions are gone from here.
    pub fn on_deleted<'a>(&self, partitions: impl Iterator<Item = &'a TopicPartition>) {
        for tp in partitions {
            if let Some(elections) = self.of_topic(&tp.topic) {
                elections.on_resignation(tp.partition, None);
            }
        }
    }

    /// Partitions are led by this broker, or by another.
    pub fn on_applied(&self, changes: &LocalReplicaChanges) {
        for (tp, PartitionInfo { partition, .. }) in changes.leaders.iter().chain(&changes.followers) {
            let Some(elections) = self.of_topic(&tp.topic) else { continue };
            if !changes.leaders.contains_key(tp) {
                elections.on_resignation(tp.partition, Some(partition.leader_epoch));
            } else if changes.elected_leaders.contains_key(tp) {
                elections.on_election(tp.partition, partition.leader_epoch);
            }
        }
    }

    /// The cluster is another one: its topics, the groups' configurations, its features.
    pub async fn on_metadata(&self, image: &Arc<MetadataImage>, delta: &MetadataDelta) {
        for resource in &delta.changed_configs {
            if resource.resource_type == ConfigResourceType::Group {
                let overrides = image.configs.get(resource).map(group_overrides);
                self.groups.on_new_overrides(ByteString::from(&*resource.name), overrides).await;
            }
        }
        let changed = changed_topics(image, delta);
        if !changed.is_empty() {
            self.groups.on_new_metadata(Arc::new(ImageMetadata(Arc::clone(image))), changed).await;
        }
        if !delta.changed_features.is_empty() {
            self.transactions.on_new_features(&image.features).await;
            self.share_states.on_new_features(&image.features);
        }
    }

    /// Topics are no more.
    pub async fn on_topics_deleted(&self, topics: &[(ByteString, Uuid)]) {
        self.groups.on_topics_deleted(topics).await;
        self.share_states.on_topics_deleted(topics).await;
    }

    /// The broker stops.
    pub fn shutdown(&self) {
        for elections in self.elections() {
            elections.shutdown();
        }
    }
}

/// Topics that are new, gone, or have other partitions or replicas. A broker that moved to another rack makes all of
/// them change: racks are where replicas are.
fn changed_topics(image: &MetadataImage, delta: &MetadataDelta) -> BTreeSet<ByteString> {
    let rack =
        |image: &MetadataImage, id: i32| image.cluster.broker(id).and_then(|broker| broker.rack.clone());
    let moved = |id: &&i32| rack(delta.base(), **id) != rack(image, **id);
    if delta.changed_brokers.iter().find(moved).is_some() {
        return image.topics.iter().map(|topic| ByteString::from(&*topic.name)).collect();
    }
    let changed = delta.topics.changed.keys().chain(&delta.topics.created);
    let names = changed.filter_map(|id| image.topics.topic_name(*id)).map(|name| ByteString::from(&**name));
    let gone = delta.topics.deleted.values().map(|topic| ByteString::from(&*topic.name));
    names.chain(gone).collect()
}
