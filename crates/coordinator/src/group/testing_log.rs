//! A coordinator's log in memory, which can refuse and hold back.

use ottla_common::ErrorCode;

use super::GroupRecord;
use crate::runtime::{CoordinatorLog, EndTransaction, LogEntry, TransactionResult, TransactionalProducer};

/// An entry of the log in memory.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a log of a few entries")]
pub(crate) enum Entry {
    Record(i64, GroupRecord),
    Marker(i64, TransactionResult),
}

#[derive(Debug, Default)]
pub(crate) struct MemoryLog {
    pub(crate) entries: Vec<Entry>,
    /// What the next appends are answered with.
    pub(crate) refuse: Option<ErrorCode>,
    /// Whether commits come by [`TestContext::commit_all`] only.
    pub(crate) hold: bool,
    pub(crate) high_watermark: i64,
    /// The most records that fit into a batch.
    pub(crate) max_batch_bytes: Option<usize>,
    pub(crate) batches: Vec<usize>,
}

impl CoordinatorLog for MemoryLog {
    fn append(
        &mut self,
        _now_ms: i64,
        entries: &[LogEntry],
        producer: Option<TransactionalProducer>,
    ) -> Result<i64, ErrorCode> {
        if let Some(error) = self.refuse {
            return Err(error);
        }
        self.batches.push(entries.len());
        let base = self.entries.len() as i64;
        for LogEntry { key, value } in entries {
            // What cannot be read and written again is no record.
            let read = GroupRecord::decode(key.clone(), value.clone()).unwrap();
            assert_eq!(read.encode().unwrap(), (key.clone(), value.clone()));
            let producer_id = producer.map_or(-1, |producer| producer.producer_id);
            self.entries.push(Entry::Record(producer_id, read));
        }
        if !self.hold {
            self.high_watermark = self.entries.len() as i64;
        }
        Ok(base)
    }

    fn append_end_transaction(&mut self, _now_ms: i64, end: &EndTransaction) -> Result<i64, ErrorCode> {
        if let Some(error) = self.refuse {
            return Err(error);
        }
        let offset = self.entries.len() as i64;
        self.entries.push(Entry::Marker(end.producer.producer_id, end.result));
        if !self.hold {
            self.high_watermark = self.entries.len() as i64;
        }
        Ok(offset)
    }

    fn end_offset(&self) -> i64 {
        self.entries.len() as i64
    }

    fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    fn max_batch_bytes(&self) -> usize {
        self.max_batch_bytes.unwrap_or(usize::MAX)
    }
}
