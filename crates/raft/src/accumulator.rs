//! Records on their way to the leader's log.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::control::{BatchBuildError, data_batch};

/// The largest batch Kafka writes to the metadata log.
pub const MAX_BATCH_SIZE_BYTES: usize = 8 * 1024 * 1024;
/// How many batches may wait; a controller that is so far ahead of its disk has to stop for a moment.
const MAX_NUMBER_OF_BATCHES: usize = 1024;

/// Why records were not taken.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// This node does not lead, or no longer in that epoch.
    #[error("append failed because epoch {requested} is not the epoch {current:?} in which this node leads")]
    NotLeader {
        /// The epoch asked for.
        requested: i32,
        /// The epoch in which this node leads, if it does.
        current: Option<i32>,
    },
    /// They do not fit into one batch, and one batch is what makes them atomic.
    #[error("records of {size} bytes exceed the largest batch of {MAX_BATCH_SIZE_BYTES} bytes")]
    TooLarge {
        /// Their size.
        size: usize,
    },
    /// Too many wait already.
    #[error("{0} batches wait to be written")]
    Full(usize),
    /// There are none.
    #[error("no records to append")]
    Empty,
    /// They cannot be written.
    #[error(transparent)]
    Build(#[from] BatchBuildError),
    /// A record cannot be encoded.
    #[error(transparent)]
    Encode(#[from] ottla_protocol::EncodeError),
}

/// One batch, ready for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletedBatch {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// Epoch of the leader.
    pub epoch: i32,
    /// The bytes.
    pub bytes: Bytes,
}

/// Gives records of a leader their offsets and makes batches of them. Exists only for one epoch.
///
/// Every call of [`Self::append`] makes a batch of its own: it is atomic, and a caller who wants larger
/// batches hands over more.
#[derive(Debug)]
pub struct BatchAccumulator {
    epoch: i32,
    next_offset: i64,
    completed: VecDeque<CompletedBatch>,
}

impl BatchAccumulator {
    /// For a leader whose log ends here.
    pub fn new(epoch: i32, base_offset: i64) -> Self {
        Self { epoch, next_offset: base_offset, completed: VecDeque::new() }
    }

    /// The leader's epoch.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The offset that the next record gets.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Takes encoded records as one batch and returns the batch's offsets.
    pub fn append(&mut self, epoch: i32, now_ms: i64, values: &[Bytes]) -> Result<(i64, i64), AppendError> {
        if epoch != self.epoch {
            return Err(AppendError::NotLeader { requested: epoch, current: Some(self.epoch) });
        }
        if values.is_empty() {
            return Err(AppendError::Empty);
        }
        if self.completed.len() >= MAX_NUMBER_OF_BATCHES {
            return Err(AppendError::Full(self.completed.len()));
        }
        let base_offset = self.next_offset;
        let bytes = data_batch(base_offset, epoch, now_ms, values)?;
        if bytes.len() > MAX_BATCH_SIZE_BYTES {
            return Err(AppendError::TooLarge { size: bytes.len() });
        }
        let last_offset = base_offset + values.len() as i64 - 1;
        self.completed.push_back(CompletedBatch { base_offset, last_offset, epoch, bytes });
        self.next_offset = last_offset + 1;
        Ok((base_offset, last_offset))
    }

    /// Everything that waits, in order.
    pub fn drain(&mut self) -> Vec<CompletedBatch> {
        self.completed.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_dense_and_epochs_checked() {
        let mut accumulator = BatchAccumulator::new(3, 10);
        let value = Bytes::from_static(b"x");
        assert_eq!(accumulator.append(3, 1, &[value.clone(), value.clone()]).unwrap(), (10, 11));
        assert_eq!(accumulator.append(3, 1, std::slice::from_ref(&value)).unwrap(), (12, 12));
        assert!(matches!(accumulator.append(2, 1, &[value]), Err(AppendError::NotLeader { .. })));
        assert!(matches!(accumulator.append(3, 1, &[]), Err(AppendError::Empty)));
        let batches = accumulator.drain();
        assert_eq!(batches.iter().map(|b| b.base_offset).collect::<Vec<_>>(), [10, 12]);
        assert!(accumulator.drain().is_empty());
    }

    #[test]
    fn a_batch_has_a_bound() {
        let mut accumulator = BatchAccumulator::new(1, 0);
        let large = Bytes::from(vec![0; MAX_BATCH_SIZE_BYTES]);
        assert!(matches!(accumulator.append(1, 1, &[large]), Err(AppendError::TooLarge { .. })));
        assert_eq!(accumulator.next_offset(), 0);
    }
}
