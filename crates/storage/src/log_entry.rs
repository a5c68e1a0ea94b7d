//! What a `.log` file is a run of: batches, and in old logs messages of formats v0 and v1. Those are read
//! as they are; nothing appends them.

use ottla_record::{
    DecompressionLimits, LegacyHeader, LegacyMessage, NO_PARTITION_LEADER_EPOCH, OwnedRecord,
    RECORD_BATCH_OVERHEAD, RecordBatch, RecordBatchHeader, RecordError,
};

/// The fixed part of an entry.
#[derive(Debug, Clone)]
pub(crate) enum EntryHeader {
    Batch(RecordBatchHeader<[u8; RECORD_BATCH_OVERHEAD]>),
    Message(LegacyHeader),
}

impl EntryHeader {
    /// Reads it from the begin of an entry; `None` if the bytes end within.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, RecordError> {
        if is_message(bytes) {
            return LegacyHeader::parse(bytes).map(|header| Some(Self::Message(header)));
        }
        let Some(fixed) = bytes.first_chunk::<RECORD_BATCH_OVERHEAD>() else { return Ok(None) };
        RecordBatchHeader::new(*fixed).map(|header| Some(Self::Batch(header)))
    }

    pub(crate) fn size_in_bytes(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.size_in_bytes(),
            Self::Message(message) => message.size_in_bytes(),
        }
    }

    pub(crate) fn last_offset(&self) -> i64 {
        match self {
            Self::Batch(batch) => batch.last_offset(),
            Self::Message(message) => message.offset(),
        }
    }

    pub(crate) fn next_offset(&self) -> i64 {
        self.last_offset().wrapping_add(1)
    }

    pub(crate) fn max_timestamp(&self) -> i64 {
        match self {
            Self::Batch(batch) => batch.max_timestamp(),
            Self::Message(message) => message.timestamp(),
        }
    }

    pub(crate) fn partition_leader_epoch(&self) -> i32 {
        match self {
            Self::Batch(batch) => batch.partition_leader_epoch(),
            Self::Message(_) => NO_PARTITION_LEADER_EPOCH,
        }
    }
}

/// A whole entry.
pub(crate) enum LogEntry<B> {
    Batch(RecordBatch<B>),
    Message(LegacyMessage<B>),
}

impl<B: AsRef<[u8]>> LogEntry<B> {
    /// Takes bytes that are exactly one entry.
    pub(crate) fn new(bytes: B) -> Result<Self, RecordError> {
        if is_message(bytes.as_ref()) {
            LegacyMessage::new(bytes).map(Self::Message)
        } else {
            RecordBatch::new(bytes).map(Self::Batch)
        }
    }

    pub(crate) fn ensure_valid(&self) -> Result<(), RecordError> {
        match self {
            Self::Batch(batch) => batch.ensure_valid(),
            Self::Message(message) => message.ensure_valid(),
        }
    }

    /// Of a wrapper the last offset too: the first would have to be unpacked.
    pub(crate) fn base_offset(&self) -> i64 {
        match self {
            Self::Batch(batch) => batch.base_offset(),
            Self::Message(message) => message.offset(),
        }
    }

    pub(crate) fn next_offset(&self) -> i64 {
        match self {
            Self::Batch(batch) => batch.next_offset(),
            Self::Message(message) => message.offset().wrapping_add(1),
        }
    }

    /// Time and offset of the first record that is wanted.
    pub(crate) fn find_record(
        &self,
        wanted: impl Fn(i64, i64) -> bool,
        limits: &DecompressionLimits,
    ) -> Result<Option<(i64, i64)>, RecordError> {
        match self {
            Self::Batch(batch) => {
                for record in &batch.records(limits)? {
                    let record = record?;
                    if wanted(record.timestamp, record.offset) {
                        return Ok(Some((record.timestamp, record.offset)));
                    }
                }
                Ok(None)
            }
            Self::Message(message) => {
                let found = |record: &OwnedRecord| wanted(record.timestamp, record.offset);
                let record = message.records(limits)?.into_iter().find(found);
                Ok(record.map(|record| (record.timestamp, record.offset)))
            }
        }
    }
}

fn is_message(bytes: &[u8]) -> bool {
    matches!(bytes.get(16), Some(0 | 1))
}

#[cfg(test)]
#[path = "log_entry_test.rs"]
mod tests;
