//! Whom the group coordinator asks for what it does not know itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_apis::context::BoxFuture;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_replica::{FetchIsolation, ReplicaManager, TransactionalWrite, VerificationGuard};

use super::TopologyDescriptionPlugin;
use crate::coordinator::share_persister::{NoPersister, Persister};

/// The timestamp that stands for the end of a partition.
const LATEST_TIMESTAMP: i64 = -1;

/// The ends of partitions (topic and index), or why they are not known.
pub type LatestOffsets = BTreeMap<(ByteString, i32), Result<i64, ErrorCode>>;

/// Knows where partitions end, wherever their leaders are.
pub trait PartitionMetadataClient: Debug + Send + Sync {
    /// The end of each of these partitions, transactions under way included.
    fn list_latest_offsets(&self, partitions: BTreeSet<(ByteString, i32)>) -> BoxFuture<'_, LatestOffsets>;
}

/// Lets transactions into partitions of `__consumer_offsets` (KIP-890).
pub trait TransactionGate: Debug + Send + Sync {
    /// Has the transaction's coordinator confirm that the write's one partition belongs to the transaction.
    fn verify(&self, write: TransactionalWrite) -> BoxFuture<'_, Result<VerificationGuard, ErrorCode>>;
}

/// Whom the group coordinator asks.
#[derive(Debug, Clone)]
pub struct GroupPartners {
    /// The share coordinator.
    pub persister: Arc<dyn Persister>,
    /// The leaders of the topics that groups read.
    pub partition_metadata: Arc<dyn PartitionMetadataClient>,
    /// The transaction coordinator.
    pub transactions: Arc<dyn TransactionGate>,
    /// Who keeps descriptions of topologies, if anybody does.
    pub topology_descriptions: Option<Arc<dyn TopologyDescriptionPlugin>>,
}

impl GroupPartners {
    /// Nobody. Whatever needs one of them is answered COORDINATOR_NOT_AVAILABLE.
    pub fn none() -> Self {
        Self {
            persister: Arc::new(NoPersister),
            partition_metadata: Arc::new(Nobody),
            transactions: Arc::new(Nobody),
            topology_descriptions: None,
        }
    }
}

#[derive(Debug)]
struct Nobody;

impl PartitionMetadataClient for Nobody {
    fn list_latest_offsets(&self, partitions: BTreeSet<(ByteString, i32)>) -> BoxFuture<'_, LatestOffsets> {
        let unknown = |partition| (partition, Err(ErrorCode::CoordinatorNotAvailable));
        let ends: LatestOffsets = partitions.into_iter().map(unknown).collect();
        Box::pin(std::future::ready(ends))
    }
}

impl TransactionGate for Nobody {
    fn verify(&self, _: TransactionalWrite) -> BoxFuture<'_, Result<VerificationGuard, ErrorCode>> {
        Box::pin(std::future::ready(Err(ErrorCode::CoordinatorNotAvailable)))
    }
}

/// The replicas of this broker: knows the ends of the partitions that it leads, and has transactions verified
/// before they are let into them.
#[derive(Debug, Clone)]
pub struct LocalReplicas(pub Arc<ReplicaManager>);

impl LocalReplicas {
    fn latest_offset(&self, topic: &str, partition: i32) -> Result<i64, ErrorCode> {
        let tp = TopicPartition::new(topic, partition);
        let found = self.0.fetch_offset(&tp, LATEST_TIMESTAMP, None, FetchIsolation::HighWatermark)?;
        found.map(|found| found.offset).ok_or(ErrorCode::UnknownServerError)
    }
}

impl PartitionMetadataClient for LocalReplicas {
    fn list_latest_offsets(&self, partitions: BTreeSet<(ByteString, i32)>) -> BoxFuture<'_, LatestOffsets> {
        let end = |(topic, partition): (ByteString, i32)| {
            let end = self.latest_offset(&topic, partition);
            ((topic, partition), end)
        };
        let ends: LatestOffsets = partitions.into_iter().map(end).collect();
        Box::pin(std::future::ready(ends))
    }
}

impl TransactionGate for LocalReplicas {
    fn verify(&self, write: TransactionalWrite) -> BoxFuture<'_, Result<VerificationGuard, ErrorCode>> {
        Box::pin(async move {
            let Some((partition, _)) = write.partitions.first().cloned() else {
                return Err(ErrorCode::InvalidRequest);
            };
            self.0.verify_transaction(&write).await.guard(&partition)
        })
    }
}
