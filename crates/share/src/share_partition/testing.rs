//! A share-partition whose time goes only when told to, and whose writes wait until they are told how they
//! went.

use std::sync::Arc;

use super::*;
use crate::acknowledgement::AcknowledgementBatch;
use crate::error::SharePartitionError;
use crate::fetched::{Fetched, FetchedBatch};
use crate::persister::{PersisterError, PersisterStateBatch, WriteState};
use crate::record_state::RecordState;

pub(crate) const ACCEPT: i8 = 1;
pub(crate) const RELEASE: i8 = 2;
pub(crate) const REJECT: i8 = 3;
pub(crate) const RENEW: i8 = 4;
pub(crate) const LOCK_MS: i64 = 30_000;
pub(crate) const LEADER_EPOCH: i32 = 3;

/// First and last offset and delivery count.
pub(crate) type Range = (i64, i64, i16);

pub(crate) struct TestContext {
    pub(crate) partition: SharePartition,
    pub(crate) now_ms: i64,
    /// Effects other than those that were looked for.
    pub(crate) others: Vec<SharePartitionEffect>,
}

pub(crate) fn batch(base_offset: i64, last_offset: i64) -> FetchedBatch {
    FetchedBatch {
        base_offset,
        last_offset,
        size_in_bytes: 100,
        producer_id: None,
        transactional: false,
        abort_marker: false,
    }
}

pub(crate) fn state(first: i64, last: i64, state: RecordState, count: i16) -> PersisterStateBatch {
    PersisterStateBatch {
        first_offset: first,
        last_offset: last,
        delivery_state: state,
        delivery_count: count,
    }
}

impl TestContext {
    /// Begins at offset 0.
    pub(crate) fn new() -> Self {
        Self::with(SharePartitionConfig::default())
    }

    pub(crate) fn with(config: SharePartitionConfig) -> Self {
        Self::restored(config, 0, &[])
    }

    /// Begins with what another leader has left.
    pub(crate) fn restored(
        config: SharePartitionConfig,
        start_offset: i64,
        batches: &[PersisterStateBatch],
    ) -> Self {
        let mut t =
            Self { partition: SharePartition::new(LEADER_EPOCH, config), now_ms: 1_000, others: Vec::new() };
        assert_eq!(t.partition.maybe_initialize(), Err(SharePartitionError::Initializing));
        let read = ReadState { state_epoch: 7, start_offset, batches: batches.to_vec() };
        t.partition.complete_read(Ok(read));
        assert_eq!(t.partition.maybe_initialize(), Ok(()));
        let read = SharePartitionEffect::ReadState { leader_epoch: LEADER_EPOCH };
        assert_eq!(t.partition.poll_effect(), Some(read));
        t
    }

    /// Fetches from where it should, and gets these batches of the log.
    pub(crate) fn acquire(&mut self, member: &str, batches: &[(i64, i64)]) -> Vec<Range> {
        self.acquire_limited(member, ShareAcquireMode::BatchOptimized, 1_000, batches)
    }

    pub(crate) fn acquire_limited(
        &mut self,
        member: &str,
        mode: ShareAcquireMode,
        max_fetch_records: i32,
        batches: &[(i64, i64)],
    ) -> Vec<Range> {
        let batches: Vec<_> = batches.iter().map(|(first, last)| batch(*first, *last)).collect();
        let request = AcquireRequest {
            member_id: &Arc::from(member),
            mode,
            batch_size: 1_000,
            max_fetch_records,
            fetch_offset: self.partition.next_fetch_offset(),
            read_committed: false,
        };
        self.acquire_as(&request, &Fetched { batches: &batches, aborted_transactions: &[] })
    }

    pub(crate) fn acquire_as(&mut self, request: &AcquireRequest<'_>, fetched: &Fetched<'_>) -> Vec<Range> {
        let acquired = self.partition.acquire(self.now_ms, request, fetched);
        let ranges: Vec<Range> = acquired
            .records
            .iter()
            .map(|records| (records.first_offset, records.last_offset, records.delivery_count))
            .collect();
        let count: i64 = ranges.iter().map(|(first, last, _)| last - first + 1).sum();
        assert_eq!(acquired.count, count);
        ranges
    }

    pub(crate) fn acknowledge(
        &mut self,
        member: &str,
        first_offset: i64,
        last_offset: i64,
        types: &[i8],
    ) -> Result<Option<EffectToken>, SharePartitionError> {
        let acknowledge_types = types.to_vec();
        let batch = AcknowledgementBatch { first_offset, last_offset, acknowledge_types };
        self.partition.acknowledge(self.now_ms, member, &[batch])
    }

    /// Acknowledges, and the share coordinator takes it.
    pub(crate) fn acknowledged(
        &mut self,
        member: &str,
        first: i64,
        last: i64,
        kind: i8,
    ) -> Vec<PersisterStateBatch> {
        let token = self.acknowledge(member, first, last, &[kind]).unwrap().unwrap();
        let written = self.written(Ok(()));
        assert!(self.others.contains(&SharePartitionEffect::Reply { token, result: Ok(()) }));
        written.into_iter().flat_map(|write| write.batches).collect()
    }

    /// All writes that are to be done; they go so.
    pub(crate) fn written(&mut self, result: Result<(), PersisterError>) -> Vec<WriteState> {
        let mut writes = Vec::new();
        while let Some(effect) = self.partition.poll_effect() {
            match effect {
                SharePartitionEffect::WriteState { token, write } => {
                    writes.push(write);
                    self.partition.complete_write(self.now_ms, token, result);
                }
                other => self.others.push(other),
            }
        }
        writes
    }

    /// What is to be done, which is not done yet.
    pub(crate) fn effects(&mut self) -> Vec<SharePartitionEffect> {
        std::iter::from_fn(|| self.partition.poll_effect()).collect()
    }

    /// Records on their way to the dead-letter queue; they arrive there.
    pub(crate) fn dead_letters(&mut self) -> Vec<DeadLetterRange> {
        self.written(Ok(()));
        let mut ranges = Vec::new();
        for effect in std::mem::take(&mut self.others) {
            match effect {
                SharePartitionEffect::DeadLetter { token, range } => {
                    ranges.push(range);
                    self.partition.complete_dead_letter(token);
                }
                other => self.others.push(other),
            }
        }
        ranges
    }

    pub(crate) fn advance(&mut self, ms: i64) {
        self.now_ms += ms;
        self.partition.handle_timeout(self.now_ms);
    }

    /// Start and end offset.
    pub(crate) fn offsets(&self) -> (i64, i64) {
        (self.partition.start_offset(), self.partition.end_offset())
    }

    pub(crate) fn next_fetch_offset(&mut self) -> i64 {
        self.partition.next_fetch_offset()
    }
}
