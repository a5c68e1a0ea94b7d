//! Partitions in memory, that can be held back and broken.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_record::{RecordBatchHeader, batches_mut};

use super::PartitionLog;

#[derive(Debug, Default)]
pub(super) struct MemoryPartitions {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) batches: HashMap<i32, Vec<Bytes>>,
    pub(super) high_watermarks: HashMap<i32, i64>,
    /// Whether commits come by hand only.
    pub(super) hold: bool,
    /// What appends are answered with.
    pub(super) refuse_append: Option<ErrorCode>,
    /// What reads are answered with.
    pub(super) refuse_read: Option<ErrorCode>,
    /// Whether reads wait until this is taken back.
    pub(super) hold_reads: bool,
}

impl MemoryPartitions {
    pub(super) fn set<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    pub(super) fn end_offset(&self, partition: i32) -> i64 {
        self.set(|state| end_offset(state, partition))
    }
}

fn end_offset(state: &State, partition: i32) -> i64 {
    let last = state.batches.get(&partition).and_then(|batches| batches.last());
    last.map_or(0, |batch| RecordBatchHeader::new(batch.clone()).unwrap().next_offset())
}

impl PartitionLog for MemoryPartitions {
    fn append(&self, partition: &TopicPartition, epoch: i32, records: Bytes) -> Result<i64, ErrorCode> {
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
pub(super) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
