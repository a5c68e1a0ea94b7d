//! Partitions in memory, that can be held back and broken.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_coordinator::runtime::{EndTransaction, TransactionResult};
use ottla_record::{EndTransactionMarker, MemoryRecords, RecordBatchHeader, batches_mut};

use super::{PartitionLog, TransactionProof};

#[derive(Debug, Default)]
pub(in crate::coordinator) struct MemoryPartitions {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(in crate::coordinator) struct State {
    pub(in crate::coordinator) batches: HashMap<i32, Vec<Bytes>>,
    pub(in crate::coordinator) high_watermarks: HashMap<i32, i64>,
    /// Whether commits come by hand only.
    pub(in crate::coordinator) hold: bool,
    /// What appends are answered with.
    pub(in crate::coordinator) refuse_append: Option<ErrorCode>,
    /// What reads are answered with.
    pub(in crate::coordinator) refuse_read: Option<ErrorCode>,
    /// Whether reads wait until this is taken back.
    pub(in crate::coordinator) hold_reads: bool,
}

impl MemoryPartitions {
    pub(in crate::coordinator) fn set<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    pub(in crate::coordinator) fn end_offset(&self, partition: i32) -> i64 {
        self.set(|state| end_offset(state, partition))
    }
}

fn end_offset(state: &State, partition: i32) -> i64 {
    let last = state.batches.get(&partition).and_then(|batches| batches.last());
    last.map_or(0, |batch| RecordBatchHeader::new(batch.clone()).unwrap().next_offset())
}

impl PartitionLog for MemoryPartitions {
    fn append(
        &self,
        partition: &TopicPartition,
        epoch: i32,
        records: Bytes,
        _proof: TransactionProof,
    ) -> Result<i64, ErrorCode> {
        self.set(|state| {
            if let Some(error) = state.refuse_append {
                return Err(error);
            }
            let base_offset = end_offset(state, partition.partition);
            let mut bytes = records.to_vec();
            for batch in batches_mut(&mut bytes) {
                let mut batch = batch.unwrap();
                batch.set_base_offset(base_offset);
                batch.set_partition_leader_epoch(epoch);
            }
            state.batches.entry(partition.partition).or_default().push(bytes.into());
            if !state.hold {
                let end = end_offset(state, partition.partition);
                state.high_watermarks.insert(partition.partition, end);
            }
            Ok(base_offset)
        })
    }

    fn append_end_transaction(
        &self,
        partition: &TopicPartition,
        epoch: i32,
        now_ms: i64,
        end: &EndTransaction,
    ) -> Result<i64, ErrorCode> {
        let marker =
            EndTransactionMarker::new(end.result == TransactionResult::Commit, end.coordinator_epoch);
        let producer = end.producer;
        let (id, producer_epoch) = (producer.producer_id, producer.producer_epoch);
        let batch = MemoryRecords::with_end_transaction_marker(0, now_ms, epoch, id, producer_epoch, marker);
        self.append(partition, epoch, batch.unwrap().into_bytes(), TransactionProof::NONE)
    }

    fn max_batch_bytes(&self, _partition: &TopicPartition) -> usize {
        1024 * 1024
    }

    fn high_watermark(&self, partition: &TopicPartition) -> Result<i64, ErrorCode> {
        self.set(|state| Ok(state.high_watermarks.get(&partition.partition).copied().unwrap_or(0)))
    }

    fn offsets(&self, partition: &TopicPartition) -> Result<(i64, i64), ErrorCode> {
        while self.set(|state| state.hold_reads) {
            std::thread::yield_now();
        }
        self.set(|state| match state.refuse_read {
            Some(error) => Err(error),
            None => Ok((0, end_offset(state, partition.partition))),
        })
    }

    fn read(&self, partition: &TopicPartition, offset: i64, _max_bytes: usize) -> Result<Bytes, ErrorCode> {
        self.set(|state| {
            let batches = state.batches.get(&partition.partition).into_iter().flatten();
            let after =
                |batch: &&Bytes| RecordBatchHeader::new(Bytes::clone(batch)).unwrap().last_offset() >= offset;
            Ok(batches.filter(after).flat_map(|batch| batch.iter().copied()).collect::<Vec<_>>().into())
        })
    }
}

/// Waits for something to become true.
pub(in crate::coordinator) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
