//! The newest metadata image, and the questions handlers ask it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI16, Ordering};

use super::response_cache::ResponseCache;
use arc_swap::{ArcSwap, Guard};
use bytestring::ByteString;
use ottla_common::{ErrorCode, TopicPartition, Uuid, internal_topics};
use ottla_metadata::image::{MetadataImage, TopicImage};
use ottla_metadata::{BrokerRegistration, Endpoint, PartitionRegistration};
use ottla_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};

/// The newest image; readers take no lock.
#[derive(Debug, Default)]
pub struct MetadataCache {
    image: ArcSwap<MetadataImage>,
    kraft_version: AtomicI16,
    responses: ResponseCache,
    api_versions: ResponseCache,
}

/// How older clients want missing endpoints reported.
#[derive(Debug, Clone, Copy)]
pub struct EndpointErrors {
    /// Version 0 fails a partition when a replica's broker is away.
    pub unavailable_endpoints: bool,
    /// From version 6 on, a leader without this listener is an error of its own.
    pub unavailable_listeners: bool,
}

impl MetadataCache {
    /// The newest image.
    pub fn image(&self) -> Guard<Arc<MetadataImage>> {
        self.image.load()
    }

    /// The finalized `kraft.version`, which the image does not have.
    pub fn kraft_version(&self) -> i16 {
        self.kraft_version.load(Ordering::Relaxed)
    }

    /// Takes over a newer image; says whether brokers, topics or partitions differ in it.
    pub fn publish(&self, image: Arc<MetadataImage>, kraft_version: i16, topology_changed: bool) {
        self.kraft_version.store(kraft_version, Ordering::Relaxed);
        self.image.store(image);
        self.api_versions.invalidate();
        if topology_changed {
            self.responses.invalidate();
        }
    }

    /// Answers to Metadata as they were encoded for this image.
    pub fn responses(&self) -> &ResponseCache {
        &self.responses
    }

    /// Answers to ApiVersions as they were encoded for this image, which they all name.
    pub fn api_versions(&self) -> &ResponseCache {
        &self.api_versions
    }

    /// Whether the partition exists, here or elsewhere.
    pub fn contains(&self, tp: &TopicPartition) -> bool {
        self.image().topics.topic_by_name(&tp.topic).is_some_and(|t| t.partitions.contains_key(&tp.partition))
    }

    /// The name of a topic.
    pub fn topic_name(&self, id: Uuid) -> Option<Arc<str>> {
        self.image().topics.topic_name(id).cloned()
    }

    /// The id of a topic, zero when there is none.
    pub fn topic_id(&self, name: &str) -> Uuid {
        self.image().topics.topic_id(name).unwrap_or(Uuid::ZERO)
    }

    /// Leader and leader epoch of a partition, for clients that asked the wrong broker (KIP-951).
    pub fn current_leader(&self, tp: &TopicPartition) -> Option<(i32, i32)> {
        let image = self.image();
        let partition = image.topics.topic_by_name(&tp.topic)?.partitions.get(&tp.partition)?;
        Some((partition.leader, partition.leader_epoch))
    }
}

/// The endpoint of a live broker on one listener.
pub fn alive_endpoint<'a>(image: &'a MetadataImage, broker: i32, listener: &str) -> Option<&'a Endpoint> {
    image.cluster.broker(broker).filter(|b| !b.fenced)?.listener(listener)
}

/// What responses tell of leaders that a client did not know (KIP-951): each live one, made by `make` from
/// its id, host, port and rack, because every response has a type of its own for it.
pub fn node_endpoints<T>(
    image: &MetadataImage,
    listener: &str,
    leaders: BTreeSet<i32>,
    make: impl Fn(i32, ByteString, i32, Option<ByteString>) -> T,
) -> Vec<T> {
    let endpoint = |id: i32| {
        let endpoint = alive_endpoint(image, id, listener)?;
        let rack = image.cluster.broker(id).and_then(|broker| broker.rack.as_deref()).map(ByteString::from);
        Some(make(id, endpoint.host.as_str().into(), i32::from(endpoint.port), rack))
    };
    leaders.into_iter().filter_map(endpoint).collect()
}

/// Live brokers that have this listener.
pub fn alive_brokers<'a>(
    image: &'a MetadataImage,
    listener: &'a str,
) -> impl Iterator<Item = (&'a BrokerRegistration, &'a Endpoint)> {
    image
        .cluster
        .brokers
        .values()
        .filter(|b| !b.fenced)
        .filter_map(move |b| b.listener(listener).map(|e| (b.as_ref(), e)))
}

/// Any live broker: clients that ask for "the controller" are sent to a broker, which forwards.
pub fn any_alive_broker(image: &MetadataImage) -> Option<i32> {
    image.cluster.brokers.values().find(|b| !b.fenced).map(|b| b.id)
}

/// Replicas whose broker, listener or directory is away.
pub fn offline_replicas(
    image: &MetadataImage,
    partition: &PartitionRegistration,
    listener: &str,
) -> Vec<i32> {
    let is_offline = |broker: i32| match image.cluster.broker(broker) {
        None => true,
        Some(b) => {
            let dir = partition.directory(broker).unwrap_or(Uuid::ZERO);
            b.fenced || b.listener(listener).is_none() || !b.has_online_dir(dir)
        }
    };
    partition.replicas.iter().copied().filter(|r| is_offline(*r)).collect()
}

/// A topic as Metadata answers it.
pub fn topic_metadata(
    image: &MetadataImage,
    topic: &TopicImage,
    listener: &str,
    errors: EndpointErrors,
) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: 0,
        name: Some(ByteString::from(&*topic.name)),
        topic_id: topic.id,
        is_internal: internal_topics::is_internal(&topic.name),
        partitions: topic
            .partitions
            .iter()
            .map(|(index, partition)| partition_metadata(image, *index, partition, listener, errors))
            .collect(),
        ..Default::default()
    }
}

fn partition_metadata(
    image: &MetadataImage,
    index: i32,
    partition: &PartitionRegistration,
    listener: &str,
    errors: EndpointErrors,
) -> MetadataResponsePartition {
    let alive = |nodes: &[i32]| -> Vec<i32> {
        if !errors.unavailable_endpoints {
            return nodes.to_vec();
        }
        nodes.iter().copied().filter(|n| alive_endpoint(image, *n, listener).is_some()).collect()
    };
    let replicas = alive(&partition.replicas);
    let isr = alive(&partition.isr);
    let leader = alive_endpoint(image, partition.leader, listener).map(|_| partition.leader);
    let error = match leader {
        None if image.cluster.broker(partition.leader).is_some() && errors.unavailable_listeners => {
            ErrorCode::ListenerNotFound
        }
        None => ErrorCode::LeaderNotAvailable,
        Some(_) if replicas.len() < partition.replicas.len() || isr.len() < partition.isr.len() => {
            ErrorCode::ReplicaNotAvailable
        }
        Some(_) => ErrorCode::None,
    };
    MetadataResponsePartition {
        error_code: error.code(),
        partition_index: index,
        leader_id: leader.unwrap_or(-1),
        leader_epoch: partition.leader_epoch,
        replica_nodes: replicas,
        isr_nodes: isr,
        offline_replicas: offline_replicas(image, partition, listener),
        ..Default::default()
    }
}
