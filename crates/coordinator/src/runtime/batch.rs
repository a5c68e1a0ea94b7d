use bytes::Bytes;

use super::{CoordinatorShard, TransactionalProducer};

/// What one record costs at most beside its key and its value.
const RECORD_OVERHEAD_BYTES: usize = 40;
/// What a batch costs beside its records.
const BATCH_OVERHEAD_BYTES: usize = 61;

/// A record as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The key: coordinators' topics are compacted.
    pub key: Bytes,
    /// The value; `None` deletes the key.
    pub value: Option<Bytes>,
}

impl LogEntry {
    fn size(&self) -> usize {
        RECORD_OVERHEAD_BYTES + self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// How long records wait for others to share their batch with: `group.coordinator.append.linger.ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendLinger {
    /// Not at all.
    Off,
    /// As long as there are decisions to be made: an idle coordinator answers at once, a busy one appends less often.
    Adaptive,
    /// So long.
    Millis(i64),
}

impl AppendLinger {
    /// As the configuration says it: -1 is adaptive.
    pub fn from_config(linger_ms: i32) -> Self {
        match linger_ms {
            ..0 => Self::Adaptive,
            0 => Self::Off,
            linger_ms => Self::Millis(i64::from(linger_ms)),
        }
    }
}

/// Who waits for records to be committed.
#[derive(Debug)]
pub(super) struct Waiter<C, E> {
    pub(super) deadline_ms: i64,
    pub(super) then: Option<C>,
    pub(super) event: Option<E>,
}

/// Records of one decision or several, replayed and not appended yet.
pub(super) struct OpenBatch<S: CoordinatorShard, E> {
    /// The state before the first of them was replayed.
    pub(super) before: S,
    /// Changes since then that are not in the log: they stay, whatever becomes of the records.
    pub(super) changes: Vec<S::Change>,
    pub(super) entries: Vec<LogEntry>,
    /// Whose transaction they belong to.
    pub(super) producer: Option<TransactionalProducer>,
    /// The offset that the first of them will have.
    pub(super) base_offset: i64,
    pub(super) opened_ms: i64,
    pub(super) waiting: Vec<Waiter<S::Continuation, E>>,
    bytes: usize,
}

impl<S: CoordinatorShard, E> OpenBatch<S, E> {
    pub(super) fn new(
        before: S,
        producer: Option<TransactionalProducer>,
        base_offset: i64,
        now_ms: i64,
    ) -> Self {
        Self {
            before,
            changes: Vec::new(),
            entries: Vec::new(),
            producer,
            base_offset,
            opened_ms: now_ms,
            waiting: Vec::new(),
            bytes: BATCH_OVERHEAD_BYTES,
        }
    }

    /// Whether these fit, too. A batch takes what fits nowhere: compression may make it small enough.
    pub(super) fn has_room_for(&self, entries: &[LogEntry], max_bytes: usize) -> bool {
        let more: usize = entries.iter().map(LogEntry::size).sum();
        self.entries.is_empty() || self.bytes.saturating_add(more) <= max_bytes
    }

    /// Takes a record and gives its offset.
    pub(super) fn push(&mut self, entry: LogEntry) -> i64 {
        let offset = self.base_offset + self.entries.len() as i64;
        self.bytes = self.bytes.saturating_add(entry.size());
        self.entries.push(entry);
        offset
    }
}
