use std::fmt::Debug;

use bytes::Bytes;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_coordinator::runtime::EndTransaction;
use ottla_storage::VerificationGuard;

/// The logger's name, as Kafka's log lines have it.
pub(super) const LOGGER: &str = "org.apache.kafka.coordinator.common.runtime.CoordinatorRuntime";

/// What lets a batch of a transaction into the log (KIP-890).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionProof {
    /// That the transaction's coordinator knows of this partition.
    pub guard: VerificationGuard,
}

impl TransactionProof {
    /// For what belongs to no transaction.
    pub const NONE: Self = Self { guard: VerificationGuard::SENTINEL };
}

/// The partitions of a coordinator's topic, as far as this broker has them.
///
/// Every call is short: it may touch files, and waits for nobody.
pub trait PartitionLog: Debug + Send + Sync {
    /// Appends one batch, if this broker leads the partition in this epoch. Gives its base offset.
    fn append(
        &self,
        partition: &TopicPartition,
        leader_epoch: i32,
        records: Bytes,
        proof: TransactionProof,
    ) -> Result<i64, ErrorCode>;

    /// Appends the marker of a transaction's end, in the same way. Gives its offset.
    fn append_end_transaction(
        &self,
        partition: &TopicPartition,
        leader_epoch: i32,
        now_ms: i64,
        end: &EndTransaction,
    ) -> Result<i64, ErrorCode>;

    /// The offset below which everything is committed.
    fn high_watermark(&self, partition: &TopicPartition) -> Result<i64, ErrorCode>;

    /// The largest batch that the partition takes.
    fn max_batch_bytes(&self, partition: &TopicPartition) -> usize;

    /// The first offset, and the one after the last.
    fn offsets(&self, partition: &TopicPartition) -> Result<(i64, i64), ErrorCode>;

    /// Batches from this offset on, committed or not; the first one whole, however large. It may
    /// begin before the offset, and the last one may be cut. Empty at the end of the log.
    fn read(&self, partition: &TopicPartition, offset: i64, max_bytes: usize) -> Result<Bytes, ErrorCode>;
}
