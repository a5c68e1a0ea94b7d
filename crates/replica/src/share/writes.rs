use std::collections::{BTreeMap, VecDeque};

use ottla_share::persister::append_merged;
use ottla_share::{EffectToken, PersisterStateBatch, WriteState};

/// The most writes that go to the share coordinator as one.
const MAX_WRITES_AT_ONCE: usize = 64;

/// Writes of one share-partition to the share coordinator, which go one after the other: a later write has
/// the later start offset, and must not come before an earlier one. What gathers meanwhile goes together.
#[derive(Debug, Default)]
pub(super) struct WriteQueue {
    waiting: VecDeque<(EffectToken, WriteState)>,
    writing: bool,
}

/// Several writes in one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CombinedWrite {
    /// Whose they are.
    pub(super) tokens: Vec<EffectToken>,
    /// What to write.
    pub(super) write: WriteState,
}

impl WriteQueue {
    /// Queues a write. True if nobody is writing, so that somebody has to begin.
    #[must_use = "somebody has to write"]
    pub(super) fn push(&mut self, token: EffectToken, write: WriteState) -> bool {
        self.waiting.push_back((token, write));
        !std::mem::replace(&mut self.writing, true)
    }

    /// What to write next. Nothing means that whoever was writing is done with it.
    pub(super) fn next(&mut self) -> Option<CombinedWrite> {
        let Some((token, write)) = self.waiting.pop_front() else {
            self.writing = false;
            return None;
        };
        let mut tokens = vec![token];
        let mut batches = Disjoint::default();
        // A write by itself never names an offset twice.
        batches.add(&write.batches);
        let mut latest = write;
        while tokens.len() < MAX_WRITES_AT_ONCE
            && let Some((_, next)) = self.waiting.front()
            && batches.add(&next.batches)
            && let Some((token, next)) = self.waiting.pop_front()
        {
            tokens.push(token);
            latest = next;
        }
        latest.batches = batches.merged();
        Some(CombinedWrite { tokens, write: latest })
    }
}

/// Batches of which no two have an offset in common.
#[derive(Debug, Default)]
struct Disjoint {
    by_first_offset: BTreeMap<i64, PersisterStateBatch>,
}

impl Disjoint {
    /// Adds all of them, or none if any has an offset that is here already: which of two states of a record is
    /// the newer one, one request could not say.
    fn add(&mut self, batches: &[PersisterStateBatch]) -> bool {
        if batches.iter().any(|batch| self.overlaps(batch)) {
            return false;
        }
        self.by_first_offset.extend(batches.iter().map(|batch| (batch.first_offset, *batch)));
        true
    }

    fn overlaps(&self, batch: &PersisterStateBatch) -> bool {
        let before = self.by_first_offset.range(..=batch.last_offset).next_back();
        before.is_some_and(|(_, before)| before.last_offset >= batch.first_offset)
    }

    fn merged(self) -> Vec<PersisterStateBatch> {
        let mut merged = Vec::new();
        self.by_first_offset.into_values().for_each(|batch| append_merged(&mut merged, batch));
        merged
    }
}

#[cfg(test)]
mod tests {
    use ottla_share::RecordState;

    use super::*;

    fn write(start_offset: i64, ranges: &[(i64, i64)]) -> WriteState {
        let batch = |(first_offset, last_offset): &(i64, i64)| PersisterStateBatch {
            first_offset: *first_offset,
            last_offset: *last_offset,
            delivery_state: RecordState::Acknowledged,
            delivery_count: 1,
        };
        WriteState {
            state_epoch: 1,
            leader_epoch: 2,
            start_offset,
            delivery_complete_count: 0,
            batches: ranges.iter().map(batch).collect(),
        }
    }

    #[test]
    fn one_write_at_a_time() {
        let mut queue = WriteQueue::default();
        assert!(queue.push(EffectToken(1), write(0, &[(5, 9)])));
        let first = queue.next().unwrap();
        assert_eq!((first.tokens, first.write), (vec![EffectToken(1)], write(0, &[(5, 9)])));
        assert!(!queue.push(EffectToken(2), write(0, &[(0, 4)])), "the first is under way");
        assert_eq!(queue.next().unwrap().tokens, [EffectToken(2)]);
        assert_eq!(queue.next(), None);
        assert!(queue.push(EffectToken(3), write(10, &[])), "whoever wrote has gone");
    }

    #[test]
    fn what_gathers_goes_together_with_the_newest_start() {
        let mut queue = WriteQueue::default();
        let _ = queue.push(EffectToken(1), write(0, &[(5, 9)]));
        let _ = queue.push(EffectToken(2), write(5, &[(0, 4), (20, 29)]));
        let _ = queue.push(EffectToken(3), write(10, &[]));
        let combined = queue.next().unwrap();
        assert_eq!(combined.tokens, [1, 2, 3].map(EffectToken));
        assert_eq!(combined.write, write(10, &[(0, 9), (20, 29)]));
    }

    #[test]
    fn a_record_has_one_state_in_a_request() {
        let mut queue = WriteQueue::default();
        let _ = queue.push(EffectToken(1), write(0, &[(5, 9)]));
        let _ = queue.push(EffectToken(2), write(0, &[(10, 12), (3, 5)]));
        assert_eq!(queue.next().unwrap().tokens, [EffectToken(1)]);
        assert_eq!(queue.next().unwrap().write.batches, write(0, &[(3, 5), (10, 12)]).batches);
    }
}
