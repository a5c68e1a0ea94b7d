//! The cluster as the committed metadata log describes it, at one offset.
//!
//! A [`MetadataImage`] never changes once published: readers hold one and ask it everything. It is made
//! of persistent maps, so the next image shares all that stayed the same, and cloning one is cheap.

mod partition_map;
mod replay;
mod topics;
mod writer;

#[cfg(test)]
mod image_test;

pub use partition_map::PartitionMap;
pub use replay::ReplayError;
pub(crate) use replay::client_quota_entity;
pub use topics::{TopicImage, TopicsImage};
pub use writer::{ImageWriterOptions, write_image};

use std::sync::Arc;

use ottla_common::Uuid;
pub use ottla_common::config::ConfigResourceType;
use ottla_protocol::records::metadata::{
    AccessControlEntryRecord, DelegationTokenRecord, UserScramCredentialRecord,
};
use rpds::RedBlackTreeMapSync;

use crate::feature::{Feature, MetadataVersion};
use crate::registration::{BrokerRegistration, ControllerRegistration};

/// An ordered map whose clone is cheap and whose order is the same on every node.
pub type PersistentMap<K, V> = RedBlackTreeMapSync<K, V>;

/// Which part of the log an image has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataProvenance {
    /// Offset of the last record seen; -1 for none.
    pub last_contained_offset: i64,
    /// Epoch of that record's batch; -1 for none.
    pub last_contained_epoch: i32,
    /// Append time of that batch; -1 for none.
    pub last_contained_log_time_ms: i64,
    /// Whether the offset is the last of a batch, so that a snapshot may end there.
    pub is_offset_batch_aligned: bool,
}

impl MetadataProvenance {
    /// Of an image that has seen nothing.
    pub const EMPTY: Self = Self {
        last_contained_offset: -1,
        last_contained_epoch: -1,
        last_contained_log_time_ms: -1,
        is_offset_batch_aligned: false,
    };
}

impl Default for MetadataProvenance {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Everything the metadata log says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetadataImage {
    /// How far the log was read.
    pub provenance: MetadataProvenance,
    /// Finalized feature levels.
    pub features: FeaturesImage,
    /// Brokers and controllers.
    pub cluster: ClusterImage,
    /// Topics and partitions.
    pub topics: TopicsImage,
    /// Dynamic configurations.
    pub configs: ConfigurationsImage,
    /// Quotas by entity.
    pub client_quotas: ClientQuotasImage,
    /// The next block of producer ids.
    pub producer_ids: ProducerIdsImage,
    /// Access control entries by id.
    pub acls: PersistentMap<Uuid, Arc<AccessControlEntryRecord>>,
    /// SCRAM credentials by mechanism number and user.
    pub scram: PersistentMap<(i8, String), Arc<UserScramCredentialRecord>>,
    /// Delegation tokens by id.
    pub delegation_tokens: PersistentMap<String, Arc<DelegationTokenRecord>>,
}

impl MetadataImage {
    /// The offset up to which the log was read.
    pub fn offset(&self) -> i64 {
        self.provenance.last_contained_offset
    }

    /// Whether the log so far says nothing.
    pub fn is_empty(&self) -> bool {
        Self { provenance: MetadataProvenance::EMPTY, ..self.clone() } == Self::default()
    }
}

/// Finalized feature levels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeaturesImage {
    /// `metadata.version`, once known.
    pub metadata_version: Option<MetadataVersion>,
    /// Levels above 0 of every other feature, known here or not.
    pub finalized_versions: PersistentMap<String, i16>,
}

impl FeaturesImage {
    /// The `metadata.version`, or the lowest there is while the log has not named one.
    pub fn metadata_version_or_minimum(&self) -> MetadataVersion {
        self.metadata_version.unwrap_or(MetadataVersion::MINIMUM)
    }

    /// The finalized level of a feature, 0 when it has none.
    pub fn level(&self, feature: Feature) -> i16 {
        self.finalized_versions.get(feature.feature_name()).copied().unwrap_or(0)
    }

    /// Whether eligible leader replicas are kept (KIP-966).
    pub fn is_elr_enabled(&self) -> bool {
        self.level(Feature::EligibleLeaderReplicasVersion) >= 1
    }
}

/// Brokers and controllers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterImage {
    /// Broker registrations by id.
    pub brokers: PersistentMap<i32, Arc<BrokerRegistration>>,
    /// Controller registrations by id.
    pub controllers: PersistentMap<i32, Arc<ControllerRegistration>>,
}

impl ClusterImage {
    /// The registration of a broker.
    pub fn broker(&self, id: i32) -> Option<&Arc<BrokerRegistration>> {
        self.brokers.get(&id)
    }

    /// The epoch of a broker's registration, -1 when there is none.
    pub fn broker_epoch(&self, id: i32) -> i64 {
        self.broker(id).map_or(-1, |broker| broker.epoch)
    }
}

/// A thing that has a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// What it is.
    pub resource_type: ConfigResourceType,
    /// Its name.
    pub name: Arc<str>,
}

impl ConfigResource {
    /// Names a resource.
    pub fn new(resource_type: ConfigResourceType, name: impl Into<Arc<str>>) -> Self {
        Self { resource_type, name: name.into() }
    }

    /// A topic.
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self::new(ConfigResourceType::Topic, name)
    }

    /// A broker.
    pub fn broker(id: i32) -> Self {
        Self::new(ConfigResourceType::Broker, id.to_string())
    }

    /// The default of all brokers.
    pub fn default_broker() -> Self {
        Self::new(ConfigResourceType::Broker, "")
    }
}

/// The configuration of one resource: only what was set.
pub type ConfigurationImage = PersistentMap<String, String>;

/// Dynamic configurations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigurationsImage {
    /// Non-empty configurations by resource.
    pub resources: PersistentMap<ConfigResource, ConfigurationImage>,
}

impl ConfigurationsImage {
    /// What was set for a resource, if anything.
    pub fn get(&self, resource: &ConfigResource) -> Option<&ConfigurationImage> {
        self.resources.get(resource)
    }

    /// The value set for one key of a resource.
    pub fn value(&self, resource: &ConfigResource, key: &str) -> Option<&str> {
        self.resources.get(resource)?.get(key).map(String::as_str)
    }
}

/// Who a quota is for: entity type ("user", "client-id", "ip") to name; `None` is the default of the type.
pub type ClientQuotaEntity = Vec<(String, Option<String>)>;

/// Quotas by entity (sorted by entity type), then by key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClientQuotasImage {
    /// Non-empty quotas.
    pub entities: PersistentMap<ClientQuotaEntity, PersistentMap<String, f64>>,
}

/// The next block of producer ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdsImage {
    /// First id not handed out; -1 when none ever was.
    pub next_producer_id: i64,
}

impl Default for ProducerIdsImage {
    fn default() -> Self {
        Self { next_producer_id: -1 }
    }
}
