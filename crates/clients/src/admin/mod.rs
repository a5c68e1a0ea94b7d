//! What an operator asks of a cluster.
//!
//! Calls about several things answer for each of them: one topic that is missing does not hide
//! what became of the others.

mod cluster;
mod configs;
mod coordinators;
pub(crate) mod group_offsets;
pub(crate) mod groups;
mod logs;
pub(crate) mod offsets;
mod producers;
mod quotas;
mod share_groups;
mod streams_groups;
mod topics;
mod transactions;

use std::sync::Arc;
use std::time::Duration;

use crate::{ClientConfig, ClientError, NetworkClient};

pub use cluster::{
    ClusterDescription, ClusterNode, FeatureMetadata, FeatureUpdate, FinalizedFeature, UpgradeType,
};
pub use configs::{
    AlterConfigOp, AlterOperation, ConfigEntry, ConfigResource, ConfigSource, ConfigSynonym, ConfigType,
    ResourceType,
};
pub use groups::{GroupDescription, GroupFilter, GroupListing, MemberDescription};
pub use logs::{LogDirDescription, ReplicaInfo};
pub use offsets::{ListedOffset, OffsetAndMetadata, OffsetSpec};
pub use quotas::{ClientQuotas, QuotaEntity, QuotaMatch};
pub use share_groups::{ShareGroupDescription, ShareMemberDescription, SharePartitionOffset};
pub use streams_groups::{StreamsGroupDescription, TopologyDescriptionStatus};
pub use topics::{CreatedTopic, NewPartitions, NewTopic, Reassignment, TopicListing};
pub use transactions::{AbortTransactionSpec, TransactionDescription, TransactionFilter, TransactionListing};

/// The outcome for each thing a call was about.
pub type Outcomes<K, V> = Vec<(K, Result<V, ClientError>)>;

/// Asks a cluster to change or to describe itself.
#[derive(Debug, Clone)]
pub struct Admin {
    client: Arc<NetworkClient>,
}

impl Admin {
    /// Reads the properties; connects to nobody yet.
    pub fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        Ok(Self { client: Arc::new(NetworkClient::new(config)?) })
    }

    /// An admin on connections that exist.
    pub fn with_client(client: Arc<NetworkClient>) -> Self {
        Self { client }
    }

    /// The connections, for requests that have no method here.
    pub fn client(&self) -> &Arc<NetworkClient> {
        &self.client
    }

    /// Hangs up.
    pub fn close(&self) {
        self.client.close();
    }

    /// The `timeout_ms` of requests that change something.
    fn timeout_ms(&self) -> i32 {
        let timeout = self.client.settings().request_timeout.min(Duration::from_secs(3600));
        timeout.as_millis() as i32
    }
}
