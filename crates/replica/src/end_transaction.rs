use bytes::Bytes;
use ottla_record::{BuildError, EndTransactionMarker, MemoryRecords, NO_PARTITION_LEADER_EPOCH};
use ottla_storage::TransactionVersion;

/// The end of a transaction, as its coordinator tells it to a partition that took part (WriteTxnMarkers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTransaction {
    /// Whose transaction it was.
    pub producer_id: i64,
    /// The producer's epoch: from level 2 on that after the transaction, before that of its records.
    pub producer_epoch: i16,
    /// The epoch of the coordinator that decided; a partition takes no marker of an older one.
    pub coordinator_epoch: i32,
    /// Committed or aborted.
    pub committed: bool,
    /// The `transaction.version` that the transaction was run with (KIP-890, KIP-1228).
    pub transaction_version: TransactionVersion,
}

impl EndTransaction {
    /// The control batch that says so in the log.
    pub fn to_records(&self, now_ms: i64) -> Result<Bytes, BuildError> {
        if self.producer_id < 0 {
            return Err(BuildError::TransactionalWithoutProducer);
        }
        let marker = EndTransactionMarker::new(self.committed, self.coordinator_epoch);
        let records = MemoryRecords::with_end_transaction_marker(
            0,
            now_ms,
            NO_PARTITION_LEADER_EPOCH,
            self.producer_id,
            self.producer_epoch,
            marker,
        )?;
        Ok(records.into_bytes())
    }
}
