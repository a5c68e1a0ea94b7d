//! What the metadata log tells the group coordinator: which topics there are, and how groups are configured.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_coordinator::group::{GroupCoordinatorShard, GroupOverrides};
use ottla_coordinator::metadata::CoordinatorMetadata;
use ottla_metadata::{ConfigResourceType, MetadataDelta, MetadataImage};

use super::{GroupCoordinatorService, group_overrides};
use crate::coordinator::metadata::ImageMetadata;

impl GroupCoordinatorService {
    /// The metadata log has moved to this image by this delta. Answers once every partition has been told.
    pub async fn on_metadata_update(&self, image: &Arc<MetadataImage>, delta: &MetadataDelta) {
        for resource in &delta.changed_configs {
            if resource.resource_type == ConfigResourceType::Group {
                let overrides = image.configs.get(resource).map(group_overrides);
                self.on_new_overrides(ByteString::from(&*resource.name), overrides).await;
            }
        }
        if delta.changes_topology() {
            let metadata = Arc::new(ImageMetadata(Arc::clone(image)));
            self.on_new_metadata(metadata, changed_topics(delta)).await;
        }
        let deleted = delta.topics.deleted.values();
        let deleted: Vec<(ByteString, Uuid)> =
            deleted.map(|topic| (ByteString::from(&*topic.name), topic.id)).collect();
        if !deleted.is_empty() {
            self.on_topics_deleted(&deleted).await;
        }
    }

    /// The cluster has these topics now. `changed` are those that are new, gone, or have other partitions or racks.
    pub async fn on_new_metadata(&self, metadata: Arc<dyn CoordinatorMetadata>, changed: BTreeSet<ByteString>) {
        // First the state that a loading shard looks at when it is done.
        self.runtime().kind().set_metadata(Arc::clone(&metadata));
        let tell = move |shard: &GroupCoordinatorShard| {
            shard.on_new_metadata(Arc::clone(&metadata), changed.clone())
        };
        self.runtime().tell_all(tell).await;
    }

    /// A group's own configuration is this now; none when `None`.
    pub async fn on_new_overrides(&self, group_id: ByteString, overrides: Option<GroupOverrides>) {
        self.runtime().kind().set_overrides(group_id.clone(), overrides.clone());
        let tell =
            move |shard: &GroupCoordinatorShard| shard.on_new_overrides(group_id.clone(), overrides.clone());
        self.runtime().tell_all(tell).await;
    }

    /// Topics are no more: their offsets are forgotten in every partition that is led here, and share groups do not
    /// have them any more. The share coordinator learns of it by itself.
    ///
    /// A partition that is loading, or moved on, sees the deletion in no log: as in Kafka, offsets of a topic that
    /// is made again are told apart by its id.
    pub async fn on_topics_deleted(&self, topics: &[(ByteString, Uuid)]) {
        let topic_ids: BTreeSet<Uuid> = topics.iter().map(|(_, topic_id)| *topic_id).collect();
        for partition in self.runtime().led_partitions() {
            for (topic, topic_id) in topics.iter().cloned() {
                let forget =
                    move |_: i64, shard: &GroupCoordinatorShard| shard.on_topic_deleted(&topic, topic_id);
                let _ = self.runtime().tell(partition, forget).await;
            }
            let topic_ids = topic_ids.clone();
            let clean_up = move |now_ms: i64, shard: &GroupCoordinatorShard| {
                shard.cleanup_share_group_state(now_ms, &topic_ids)
            };
            let _ = self.runtime().tell(partition, clean_up).await;
        }
    }
}

/// The names of the topics that are not what they were. As in Kafka, a change of replicas counts: it may change racks.
fn changed_topics(delta: &MetadataDelta) -> BTreeSet<ByteString> {
    let name = |topic_id: &Uuid| delta.next().topics.topic_name(*topic_id).map(|name| ByteString::from(&**name));
    let changed = delta.topics.changed.keys().filter_map(name);
    let deleted = delta.topics.deleted.values().map(|topic| ByteString::from(&*topic.name));
    changed.chain(deleted).collect()
}

#[cfg(test)]
mod tests {
    use ottla_protocol::records::metadata::{MetadataRecord, PartitionRecord, RemoveTopicRecord, TopicRecord};

    use super::*;

    fn topic(id: u128, name: &'static str) -> [MetadataRecord; 2] {
        let topic_id = Uuid::from_u128(id);
        [
            MetadataRecord::TopicRecord(TopicRecord { name: name.into(), topic_id, ..Default::default() }),
            MetadataRecord::PartitionRecord(PartitionRecord {
                topic_id,
                replicas: vec![1],
                isr: vec![1],
                leader: 1,
                ..Default::default()
            }),
        ]
    }

    #[test]
    fn topics_that_are_new_or_gone_have_changed() {
        let mut before = MetadataDelta::new(Arc::default());
        for record in topic(5, "pagos").iter().chain(&topic(6, "pedidos")) {
            before.replay(record).unwrap();
        }
        assert_eq!(changed_topics(&before), BTreeSet::from(["pagos".into(), "pedidos".into()]));
        let mut delta = MetadataDelta::new(Arc::new(before.next().clone()));
        let gone = RemoveTopicRecord { topic_id: Uuid::from_u128(5), ..Default::default() };
        delta.replay(&MetadataRecord::RemoveTopicRecord(gone)).unwrap();
        for record in &topic(7, "envios") {
            delta.replay(record).unwrap();
        }
        assert_eq!(changed_topics(&delta), BTreeSet::from(["pagos".into(), "envios".into()]));
    }
}
