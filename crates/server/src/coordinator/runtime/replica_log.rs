use std::sync::Arc;

use bytes::Bytes;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_coordinator::runtime::{EndTransaction, TransactionResult};
use ottla_replica::ReplicaManager;
use ottla_storage::{FetchIsolation, TransactionVersion};

use super::log::{PartitionLog, TransactionProof};

/// The partitions that the replica manager keeps.
#[derive(Debug)]
pub struct ReplicaLog {
    replicas: Arc<ReplicaManager>,
}

impl ReplicaLog {
    /// Reads and writes through this manager.
    pub fn new(replicas: Arc<ReplicaManager>) -> Self {
        Self { replicas }
    }
}

impl PartitionLog for ReplicaLog {
    fn append(
        &self,
        partition: &TopicPartition,
        leader_epoch: i32,
        records: Bytes,
        proof: TransactionProof,
    ) -> Result<i64, ErrorCode> {
        let partition = self.replicas.partition(partition)?;
        let version = TransactionVersion::UNKNOWN;
        match partition.append_as_coordinator(records, leader_epoch, proof.guard, version) {
            Ok(appended) => Ok(appended.base_offset),
            Err(failure) => Err(failure.error),
        }
    }

    fn append_end_transaction(
        &self,
        partition: &TopicPartition,
        leader_epoch: i32,
        now_ms: i64,
        end: &EndTransaction,
    ) -> Result<i64, ErrorCode> {
        let partition = self.replicas.partition(partition)?;
        let end = ottla_replica::EndTransaction {
            producer_id: end.producer.producer_id,
            producer_epoch: end.producer.producer_epoch,
            coordinator_epoch: end.coordinator_epoch,
            committed: end.result == TransactionResult::Commit,
            transaction_version: TransactionVersion(end.transaction_version),
        };
        match partition.append_end_transaction_as_coordinator(now_ms, leader_epoch, &end) {
            Ok(appended) => Ok(appended.base_offset),
            Err(failure) => Err(failure.error),
        }
    }

    fn max_batch_bytes(&self, partition: &TopicPartition) -> usize {
        // A partition that is gone takes nothing: the append will say so.
        self.replicas
            .partition(partition)
            .map_or(usize::MAX, |partition| partition.log().config().max_message_bytes)
    }

    fn high_watermark(&self, partition: &TopicPartition) -> Result<i64, ErrorCode> {
        Ok(self.replicas.partition(partition)?.log().high_watermark())
    }

    fn offsets(&self, partition: &TopicPartition) -> Result<(i64, i64), ErrorCode> {
        let partition = self.replicas.partition(partition)?;
        Ok((partition.log().log_start_offset(), partition.log().log_end_offset()))
    }

    fn read(&self, partition: &TopicPartition, offset: i64, max_bytes: usize) -> Result<Bytes, ErrorCode> {
        let partition = self.replicas.partition(partition)?;
        let isolation = FetchIsolation::LogEnd;
        let storage_error = ErrorCode::KafkaStorageError;
        let found = partition.log().read(offset, max_bytes, isolation, true).map_err(|_| storage_error)?;
        found.records.read_all().map_err(|_| storage_error)
    }
}
