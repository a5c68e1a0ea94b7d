use ottla_common::ErrorCode;

use super::{SharePartition, SharePartitionState};
use crate::effect::{DeadLetterCause, DeadLetterRange, SharePartitionEffect};
use crate::error::SharePartitionError;
use crate::in_flight::{InFlightBatch, InFlightState};
use crate::persister::{PersisterError, PersisterStateBatch, ReadState, UNINITIALIZED_START_OFFSET};
use crate::record_state::RecordState;

impl SharePartition {
    /// Makes sure that the state is there or on its way. The first call asks for it.
    ///
    /// [`SharePartitionError::Initializing`] and [`SharePartitionError::Fenced`] mean to wait: for
    /// [`SharePartitionEffect::Initialized`], or for the one that takes this one's place.
    pub fn maybe_initialize(&mut self) -> Result<(), SharePartitionError> {
        match self.state {
            SharePartitionState::Active => Ok(()),
            SharePartitionState::Failed => Err(SharePartitionError::FailedToLoad),
            SharePartitionState::Fenced => Err(SharePartitionError::Fenced),
            SharePartitionState::Initializing => Err(SharePartitionError::Initializing),
            SharePartitionState::Empty => {
                self.state = SharePartitionState::Initializing;
                self.effects.push_back(SharePartitionEffect::ReadState { leader_epoch: self.leader_epoch });
                Err(SharePartitionError::Initializing)
            }
        }
    }

    /// The share coordinator answered.
    pub fn complete_read(&mut self, result: Result<ReadState, PersisterError>) {
        if self.state != SharePartitionState::Initializing {
            return;
        }
        match result {
            Err(error) => self.finish_loading(Err(error.into())),
            Ok(read) if read.start_offset == UNINITIALIZED_START_OFFSET => {
                let reset = self.config.auto_offset_reset;
                self.reading = Some(read);
                self.effects.push_back(SharePartitionEffect::FindStartOffset { reset });
            }
            Ok(read) => self.load(read),
        }
    }

    /// The offset to begin at is found.
    pub fn complete_start_offset(&mut self, result: Result<i64, ErrorCode>) {
        let Some(read) = self.reading.take() else { return };
        if self.state != SharePartitionState::Initializing {
            return;
        }
        match result {
            Ok(start_offset) => self.load(ReadState { start_offset, ..read }),
            Err(error) => self.finish_loading(Err(SharePartitionError::NoStartOffset(error))),
        }
    }

    fn load(&mut self, read: ReadState) {
        if !is_valid(&read) {
            self.finish_loading(Err(SharePartitionError::InvalidState));
            return;
        }
        self.state_epoch = read.state_epoch;
        self.start_offset = read.start_offset;
        self.end_offset = read.start_offset;
        for batch in &read.batches {
            self.restore(batch);
        }
        self.may_have_available = !self.cached.is_empty();
        self.advance_start_offset();
        self.finish_loading(Ok(()));
        self.resume_archiving(&read.batches);
    }

    /// Takes over a batch, and all offsets between it and the one before: the last leader had read these,
    /// or it would not have come further, and nobody settled them.
    fn restore(&mut self, batch: &PersisterStateBatch) {
        let expected = if self.cached.is_empty() { self.start_offset } else { self.end_offset + 1 };
        if batch.first_offset > expected {
            self.cached.insert(expected, InFlightBatch::unfetched(expected, batch.first_offset - 1));
        }
        // Nobody holds a record whose leader is gone.
        let state = match batch.delivery_state {
            RecordState::Acquired => RecordState::Available,
            state => state,
        };
        let state = InFlightState::settled(state, batch.delivery_count);
        self.cached
            .insert(batch.first_offset, InFlightBatch::new(batch.first_offset, batch.last_offset, state));
        self.end_offset = batch.last_offset;
    }

    fn finish_loading(&mut self, result: Result<(), SharePartitionError>) {
        self.state = match result {
            Ok(()) => SharePartitionState::Active,
            Err(_) => SharePartitionState::Failed,
        };
        self.effects.push_back(SharePartitionEffect::Initialized { result });
        self.effects.push_back(SharePartitionEffect::CheckDelayedFetches);
    }

    /// Records that the last leader was sending to the dead-letter queue are sent again: whether they got
    /// there is not known.
    fn resume_archiving(&mut self, batches: &[PersisterStateBatch]) {
        for batch in batches.iter().filter(|batch| batch.delivery_state == RecordState::Archiving) {
            let exceeded = i32::from(batch.delivery_count) >= self.config.delivery_count_limit;
            let cause = match exceeded {
                true => DeadLetterCause::DeliveryCountExceeded,
                false => DeadLetterCause::ClientReject,
            };
            self.begin_dead_letter(DeadLetterRange {
                first_offset: batch.first_offset,
                last_offset: batch.last_offset,
                delivery_count: batch.delivery_count,
                cause,
            });
        }
    }
}

/// Whether batches are in order, without overlap, and none is below the start offset.
fn is_valid(read: &ReadState) -> bool {
    let mut next = read.start_offset;
    read.start_offset >= 0
        && read.batches.iter().all(|batch| {
            let in_order = batch.first_offset >= next && batch.last_offset >= batch.first_offset;
            next = batch.last_offset.saturating_add(1);
            // No record has the largest offset: the one behind it could not be named.
            in_order && batch.last_offset < i64::MAX
        })
}
