//! What the cluster looks like: features, brokers, topics, configurations, as the metadata log tells.
//!
//! - [`image::MetadataImage`]: everything, at one offset, immutable once published.
//! - [`delta::MetadataDelta`]: from one image to the next, and what changed on the way.
//! - [`loader::MetadataLoader`]: committed batches or a snapshot in, (delta, image) out.
//! - [`bootstrap::BootstrapMetadata`]: the first records of a new cluster.

pub mod bootstrap;
pub mod delta;
pub mod feature;
pub mod image;
pub mod loader;
pub mod partition_registration;
pub mod record;
pub mod registration;
pub mod replica_list;
pub mod snapshot_policy;

pub use bootstrap::{BootstrapError, BootstrapMetadata};
pub use delta::{LocalReplicaChanges, MetadataDelta, PartitionInfo, TopicsDelta};
pub use feature::{Feature, MetadataVersion, VersionRange};
pub use image::{
    ConfigResource, ConfigResourceType, ImageWriterOptions, MetadataImage, MetadataProvenance, ReplayError,
    TopicImage,
};
pub use loader::{CommittedBatch, LoadError, LoaderManifest, MetadataLoader, MetadataUpdate};
pub use partition_registration::{
    InvalidPartitionRecord, LeaderRecoveryState, NO_LEADER, NO_LEADER_CHANGE, PartitionRegistration,
};
pub use record::{ApiMessageAndVersion, MetadataParseError};
pub use registration::{BrokerRegistration, ControllerRegistration, Endpoint};
pub use snapshot_policy::{SnapshotPolicy, SnapshotReason};
