use std::fmt::Debug;

use bytes::Bytes;
use ottla_common::{ErrorCode, TopicPartition};

/// The logger's name, as Kafka's log lines have it.
pub(super) const LOGGER: &str = "org.apache.kafka.coordinator.common.runtime.CoordinatorRuntime";

/// The partitions of a coordinator's topic, as far as this broker has them.
///
/// Every call is short: it may touch files, and waits for nobody.
pub trait PartitionLog: Debug + Send + Sync {
    /// Appends one batch, if this broker leads the partition in this epoch. Gives its base offset.
    fn append(&self, partition: &TopicPartition, leader_epoch: i32, records: Bytes)
    -> Result<i64, ErrorCode>;

    /// The offset below which everything is committed.
    fn high_watermark(&self, partition: &TopicPartition) -> Result<i64, ErrorCode>;

    /// The first offset, and the one after the last.
    fn offsets(&self, partition: &TopicPartition) -> Result<(i64, i64), ErrorCode>;

    /// Batches from this offset on, committed or not; the first one whole, however large. It may
    /// begin before the offset, and the last one may be cut. Empty at the end of the log.
    fn read(&self, partition: &TopicPartition, offset: i64, max_bytes: usize) -> Result<Bytes, ErrorCode>;
}
