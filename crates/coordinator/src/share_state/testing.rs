//! A share coordinator with a log in memory, whose time goes only when told to.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_common::ErrorCode;
use ottla_protocol::messages::{
    initialize_share_group_state_request, read_share_group_state_request, read_share_group_state_response,
    write_share_group_state_request, write_share_group_state_response,
};

use super::{
    ShareCoordinatorConfig, ShareCoordinatorShard, ShareGroupOffset, SharePartitionKey, ShareStateRecord,
    ShareStateResult,
};
use crate::group::modern::testing::{TestMetadata, topic_id};
use crate::runtime::{
    CoordinatorContext, CoordinatorLoad, CoordinatorLog, EndTransaction, LogEntry, TransactionalProducer,
};

pub(crate) const GROUP: &str = "cola";
pub(crate) const TOPIC: &str = "pedidos";

#[derive(Debug, Default, Clone)]
pub(crate) struct MemoryLog {
    /// The offset of the first record; what was below is deleted.
    pub(crate) start_offset: i64,
    pub(crate) records: Vec<ShareStateRecord>,
}

impl CoordinatorLog for MemoryLog {
    fn append(
        &mut self,
        _now_ms: i64,
        entries: &[LogEntry],
        _producer: Option<TransactionalProducer>,
    ) -> Result<i64, ErrorCode> {
        let base = self.high_watermark();
        for LogEntry { key, value } in entries {
            // What cannot be read and written again is no record.
            let read = ShareStateRecord::decode(key.clone(), value.clone()).unwrap();
            assert_eq!(read.encode().unwrap(), (key.clone(), value.clone()));
            self.records.push(read);
        }
        Ok(base)
    }

    fn append_end_transaction(&mut self, _now_ms: i64, _end: &EndTransaction) -> Result<i64, ErrorCode> {
        Err(ErrorCode::UnknownServerError)
    }

    fn end_offset(&self) -> i64 {
        self.high_watermark()
    }

    fn max_batch_bytes(&self) -> usize {
        usize::MAX
    }

    fn high_watermark(&self) -> i64 {
        self.start_offset + self.records.len() as i64
    }
}

pub(crate) struct TestContext {
    pub(crate) config: Arc<ShareCoordinatorConfig>,
    pub(crate) metadata: TestMetadata,
    pub(crate) context: CoordinatorContext<ShareCoordinatorShard, ()>,
    pub(crate) log: MemoryLog,
    pub(crate) now_ms: i64,
}

pub(crate) fn key(partition: i32) -> SharePartitionKey {
    SharePartitionKey::new(&GROUP.into(), topic_id(0), partition)
}

pub(crate) fn write_batch(
    first_offset: i64,
    last_offset: i64,
    delivery_state: i8,
    delivery_count: i16,
) -> write_share_group_state_request::StateBatch {
    write_share_group_state_request::StateBatch {
        first_offset,
        last_offset,
        delivery_state,
        delivery_count,
        ..Default::default()
    }
}

/// A write by the leader of epoch 0 to the state of epoch 1.
pub(crate) fn write_data(
    start_offset: i64,
    state_batches: Vec<write_share_group_state_request::StateBatch>,
) -> write_share_group_state_request::PartitionData {
    write_share_group_state_request::PartitionData {
        state_epoch: 1,
        start_offset,
        state_batches,
        ..Default::default()
    }
}

impl TestContext {
    pub(crate) fn new() -> Self {
        Self::with(ShareCoordinatorConfig::default())
    }

    pub(crate) fn with(config: ShareCoordinatorConfig) -> Self {
        let metadata = TestMetadata::of(&[(TOPIC, 3)]);
        Self::on(Arc::new(config), metadata, MemoryLog::default(), 1_000_000)
    }

    fn on(
        config: Arc<ShareCoordinatorConfig>,
        metadata: TestMetadata,
        mut log: MemoryLog,
        now_ms: i64,
    ) -> Self {
        let mut load = CoordinatorLoad::new(ShareCoordinatorShard::new(Arc::clone(&config)));
        for (offset, record) in (log.start_offset..).zip(&log.records) {
            load.replay(offset, -1, record);
            load.batch_done(offset, log.high_watermark());
        }
        let context = load.finish(now_ms, i64::from(config.write_timeout_ms), &mut log);
        Self { config, metadata, context, log, now_ms }
    }

    /// Another coordinator takes over, from the log alone.
    pub(crate) fn restarted(self) -> Self {
        Self::on(self.config, self.metadata, self.log, self.now_ms)
    }

    /// What is of no use any more is deleted from the log.
    pub(crate) fn prune(&mut self) {
        let Some(offset) = self.context.committed().last_redundant_offset() else { return };
        let keep = usize::try_from(offset - self.log.start_offset).unwrap();
        self.log.records.drain(..keep);
        self.log.start_offset = offset;
    }

    pub(crate) fn shard(&self) -> &ShareCoordinatorShard {
        self.context.shard()
    }

    pub(crate) fn offset(&self, partition: i32) -> Option<&ShareGroupOffset> {
        self.shard().state(&key(partition)).map(|state| &state.offset)
    }

    pub(crate) fn states(&self) -> BTreeMap<SharePartitionKey, ShareGroupOffset> {
        self.shard().states().map(|(key, state)| (key.clone(), state.offset.clone())).collect()
    }

    /// Carries out a decision.
    pub(crate) fn execute<T>(&mut self, result: ShareStateResult<T>) -> T {
        let (result, response) = result.split_response();
        self.context.execute(self.now_ms, result, None, &mut self.log);
        response
    }

    /// Lets time pass, stopping at every timer.
    pub(crate) fn advance(&mut self, by_ms: i64) {
        let until = self.now_ms + by_ms;
        while let Some(deadline) = self.context.next_deadline().filter(|deadline| *deadline <= until) {
            self.now_ms = self.now_ms.max(deadline);
            self.context.on_time(self.now_ms, &mut self.log);
        }
        self.now_ms = until;
    }

    pub(crate) fn initialize(&mut self, partition: i32, state_epoch: i32, start_offset: i64) -> ErrorCode {
        let data = initialize_share_group_state_request::PartitionData {
            partition,
            state_epoch,
            start_offset,
            ..Default::default()
        };
        let result =
            self.context.shard().initialize_state(self.now_ms, &self.metadata, &key(partition), &data);
        ErrorCode::from_code(self.execute(result).error_code)
    }

    pub(crate) fn write(
        &mut self,
        partition: i32,
        data: &write_share_group_state_request::PartitionData,
    ) -> write_share_group_state_response::PartitionResult {
        let result = self.context.shard().write_state(self.now_ms, &self.metadata, &key(partition), data);
        self.execute(result)
    }

    pub(crate) fn read(
        &mut self,
        partition: i32,
        leader_epoch: i32,
    ) -> read_share_group_state_response::PartitionResult {
        let data =
            read_share_group_state_request::PartitionData { partition, leader_epoch, ..Default::default() };
        let result = self.context.shard().read_state(self.now_ms, &self.metadata, &key(partition), &data);
        self.execute(result)
    }

    pub(crate) fn delete(&mut self, partition: i32) -> ErrorCode {
        let result = self.context.shard().delete_state(&self.metadata, &key(partition));
        ErrorCode::from_code(self.execute(result).error_code)
    }

    pub(crate) fn last_record(&self) -> &ShareStateRecord {
        self.log.records.last().expect("a record")
    }
}
