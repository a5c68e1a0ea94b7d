//! What coordinators see of the cluster's image.

use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_coordinator::metadata::{CoordinatorMetadata, CoordinatorTopic};
use ottla_metadata::MetadataImage;
use ottla_metadata::image::TopicImage;

/// The topics of an image.
#[derive(Debug)]
pub struct ImageMetadata(pub Arc<MetadataImage>);

fn coordinator_topic(topic: &TopicImage) -> CoordinatorTopic {
    CoordinatorTopic {
        id: topic.id,
        name: ByteString::from(&*topic.name),
        num_partitions: i32::try_from(topic.partitions.size()).unwrap_or(i32::MAX),
    }
}

impl CoordinatorMetadata for ImageMetadata {
    fn version(&self) -> i64 {
        self.0.offset()
    }

    fn topic(&self, name: &str) -> Option<CoordinatorTopic> {
        self.0.topics.topic_by_name(name).map(coordinator_topic)
    }

    fn topic_by_id(&self, id: Uuid) -> Option<CoordinatorTopic> {
        self.0.topics.topic(id).map(coordinator_topic)
    }

    fn topic_names(&self) -> Box<dyn Iterator<Item = ByteString> + '_> {
        Box::new(self.0.topics.iter().map(|topic| ByteString::from(&*topic.name)))
    }

    fn partition_racks(&self, id: Uuid, partition: i32) -> Vec<ByteString> {
        let Some(registration) = self.0.topics.partition(id, partition) else { return Vec::new() };
        let rack = |broker: &i32| self.0.cluster.broker(*broker)?.rack.as_deref().map(ByteString::from);
        registration.replicas.iter().filter_map(rack).collect()
    }
}
