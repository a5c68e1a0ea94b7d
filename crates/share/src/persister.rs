//! Talk with the share coordinator: what is read from it, what is written to it, and its errors.

use ottla_common::ErrorCode;
use ottla_protocol::messages::read_share_group_state_response::PartitionResult;
use ottla_protocol::messages::write_share_group_state_request::{PartitionData, StateBatch};
use thiserror::Error;

use crate::record_state::RecordState;

/// Says of a start offset: there is none yet, `share.auto.offset.reset` decides.
pub const UNINITIALIZED_START_OFFSET: i64 = -1;

/// Records that stand alike with a share group, as the share coordinator keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PersisterStateBatch {
    /// The first of them.
    pub first_offset: i64,
    /// The last of them.
    pub last_offset: i64,
    /// How they stand.
    pub delivery_state: RecordState,
    /// How often they were handed out.
    pub delivery_count: i16,
}

impl PersisterStateBatch {
    /// Whether the other one goes on where this one ends, and with the same.
    pub fn continues_with(&self, next: &Self) -> bool {
        self.last_offset.checked_add(1) == Some(next.first_offset)
            && self.delivery_state == next.delivery_state
            && self.delivery_count == next.delivery_count
    }
}

/// Appends a batch, in one with the last where it only continues that: fewer batches on the wire, and the
/// share coordinator would merge them anyway.
pub fn append_merged(batches: &mut Vec<PersisterStateBatch>, batch: PersisterStateBatch) {
    match batches.last_mut() {
        Some(last) if last.continues_with(&batch) => last.last_offset = batch.last_offset,
        _ => batches.push(batch),
    }
}

/// The state of a share-partition as the share coordinator told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadState {
    /// To be named in every write.
    pub state_epoch: i32,
    /// Everything below is done; or [`UNINITIALIZED_START_OFFSET`].
    pub start_offset: i64,
    /// How records from there on stand. What no batch names was not acknowledged.
    pub batches: Vec<PersisterStateBatch>,
}

impl ReadState {
    /// Reads one partition's answer to ReadShareGroupState.
    pub fn from_response(result: &PartitionResult) -> Result<Self, PersisterError> {
        PersisterError::check(ErrorCode::from_code(result.error_code))?;
        let batches = result.state_batches.iter().map(|batch| {
            let state = RecordState::from_id(batch.delivery_state).ok_or(PersisterError::Unknown)?;
            Ok(PersisterStateBatch {
                first_offset: batch.first_offset,
                last_offset: batch.last_offset,
                delivery_state: state,
                delivery_count: batch.delivery_count,
            })
        });
        Ok(Self {
            state_epoch: result.state_epoch,
            start_offset: result.start_offset,
            batches: batches.collect::<Result<_, _>>()?,
        })
    }
}

/// A change of the state, to be written to the share coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteState {
    /// As read; an older one is refused.
    pub state_epoch: i32,
    /// Epoch of the partition's leader; an older one is refused.
    pub leader_epoch: i32,
    /// Everything below is done.
    pub start_offset: i64,
    /// How many records from the start offset on are done (KIP-1226).
    pub delivery_complete_count: i32,
    /// What changed.
    pub batches: Vec<PersisterStateBatch>,
}

impl WriteState {
    /// One partition's part of WriteShareGroupState.
    pub fn to_request(&self, partition: i32) -> PartitionData {
        let state_batches = self.batches.iter().map(|batch| StateBatch {
            first_offset: batch.first_offset,
            last_offset: batch.last_offset,
            delivery_state: batch.delivery_state.id(),
            delivery_count: batch.delivery_count,
            ..Default::default()
        });
        PartitionData {
            partition,
            state_epoch: self.state_epoch,
            leader_epoch: self.leader_epoch,
            start_offset: self.start_offset,
            delivery_complete_count: self.delivery_complete_count,
            state_batches: state_batches.collect(),
            ..Default::default()
        }
    }
}

/// Why the share coordinator did not do what it was asked, in the words for clients of the partition's
/// leader: they do not know the share coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PersisterError {
    /// It was not found, or is not ready.
    #[error("The share coordinator is not available.")]
    CoordinatorNotAvailable,
    /// There is no such group.
    #[error("The share group is not found.")]
    GroupIdNotFound,
    /// There is no such topic or partition.
    #[error("The share coordinator does not know the topic or partition.")]
    UnknownTopicOrPartition,
    /// The partition has a newer leader, or the group began anew.
    #[error("The state of the share-partition belongs to another leader.")]
    NotLeaderOrFollower,
    /// Anything else.
    #[error("The state of the share-partition could not be read or written.")]
    Unknown,
}

impl PersisterError {
    /// The error of a code, unless that says there is none.
    pub fn check(code: ErrorCode) -> Result<(), Self> {
        Err(match code {
            ErrorCode::None => return Ok(()),
            ErrorCode::NotCoordinator
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::CoordinatorLoadInProgress => Self::CoordinatorNotAvailable,
            ErrorCode::GroupIdNotFound => Self::GroupIdNotFound,
            ErrorCode::UnknownTopicOrPartition => Self::UnknownTopicOrPartition,
            ErrorCode::FencedLeaderEpoch | ErrorCode::FencedStateEpoch => Self::NotLeaderOrFollower,
            _ => Self::Unknown,
        })
    }

    /// What a client is told.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::CoordinatorNotAvailable => ErrorCode::CoordinatorNotAvailable,
            Self::GroupIdNotFound => ErrorCode::GroupIdNotFound,
            Self::UnknownTopicOrPartition => ErrorCode::UnknownTopicOrPartition,
            Self::NotLeaderOrFollower => ErrorCode::NotLeaderOrFollower,
            Self::Unknown => ErrorCode::UnknownServerError,
        }
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::read_share_group_state_response::StateBatch as ReadBatch;

    use super::*;

    fn batch(first_offset: i64, last_offset: i64, state: RecordState, count: i16) -> PersisterStateBatch {
        PersisterStateBatch { first_offset, last_offset, delivery_state: state, delivery_count: count }
    }

    #[test]
    fn batches_that_continue_each_other_become_one() {
        let mut batches = Vec::new();
        for next in [
            batch(0, 0, RecordState::Acknowledged, 1),
            batch(1, 4, RecordState::Acknowledged, 1),
            batch(5, 5, RecordState::Acknowledged, 2),
            batch(7, 7, RecordState::Acknowledged, 2),
            batch(8, 8, RecordState::Available, 2),
        ] {
            append_merged(&mut batches, next);
        }
        let merged = vec![
            batch(0, 4, RecordState::Acknowledged, 1),
            batch(5, 5, RecordState::Acknowledged, 2),
            batch(7, 7, RecordState::Acknowledged, 2),
            batch(8, 8, RecordState::Available, 2),
        ];
        assert_eq!(batches, merged);
    }

    #[test]
    fn the_last_offset_there_is_continues_with_nothing() {
        let last = batch(0, i64::MAX, RecordState::Available, 1);
        assert!(!last.continues_with(&batch(i64::MIN, 0, RecordState::Available, 1)));
    }

    #[test]
    fn an_answer_is_read_and_a_write_is_spelled() {
        let read = ReadBatch {
            first_offset: 3,
            last_offset: 5,
            delivery_state: 2,
            delivery_count: 1,
            ..Default::default()
        };
        let result = PartitionResult {
            state_epoch: 7,
            start_offset: 3,
            state_batches: vec![read],
            ..Default::default()
        };
        let state = ReadState::from_response(&result).unwrap();
        assert_eq!((state.state_epoch, state.start_offset), (7, 3));
        assert_eq!(state.batches, [batch(3, 5, RecordState::Acknowledged, 1)]);

        let write = WriteState {
            state_epoch: 7,
            leader_epoch: 2,
            start_offset: 3,
            delivery_complete_count: 3,
            batches: state.batches,
        };
        let data = write.to_request(9);
        assert_eq!((data.partition, data.state_epoch, data.leader_epoch), (9, 7, 2));
        assert_eq!((data.start_offset, data.delivery_complete_count), (3, 3));
        assert_eq!((data.state_batches[0].delivery_state, data.state_batches[0].delivery_count), (2, 1));
    }

    #[test]
    fn a_state_nobody_knows_is_refused() {
        let read = ReadBatch { delivery_state: 9, ..Default::default() };
        let result = PartitionResult { state_batches: vec![read], ..Default::default() };
        assert_eq!(ReadState::from_response(&result), Err(PersisterError::Unknown));
    }

    #[test]
    fn errors_of_the_share_coordinator_are_told_in_the_leaders_words() {
        let told = [
            (ErrorCode::NotCoordinator, ErrorCode::CoordinatorNotAvailable),
            (ErrorCode::CoordinatorNotAvailable, ErrorCode::CoordinatorNotAvailable),
            (ErrorCode::CoordinatorLoadInProgress, ErrorCode::CoordinatorNotAvailable),
            (ErrorCode::GroupIdNotFound, ErrorCode::GroupIdNotFound),
            (ErrorCode::UnknownTopicOrPartition, ErrorCode::UnknownTopicOrPartition),
            (ErrorCode::FencedLeaderEpoch, ErrorCode::NotLeaderOrFollower),
            (ErrorCode::FencedStateEpoch, ErrorCode::NotLeaderOrFollower),
            (ErrorCode::InvalidRequest, ErrorCode::UnknownServerError),
        ];
        for (theirs, ours) in told {
            assert_eq!(PersisterError::check(theirs).map_err(PersisterError::code), Err(ours));
        }
        assert_eq!(PersisterError::check(ErrorCode::None), Ok(()));
    }
}
