//! What became of records, as brokers are told: ranges of offsets with a type each.

use std::collections::BTreeMap;

/// What became of a record of a share group (KIP-932).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum AcknowledgeType {
    /// It was processed.
    Accept = 1,
    /// It was not processed, somebody else may try.
    Release = 2,
    /// It cannot be processed by anybody.
    Reject = 3,
    /// It takes longer: keep it for this consumer (KIP-1222).
    Renew = 4,
}

/// The type of offsets that were acquired but hold no record for consumers.
const GAP: i8 = 0;
/// A run of offsets of one type that is shorter is written offset by offset, with its neighbours.
const RUN_MIN: i64 = 10;

/// Acknowledgements of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Acknowledgements {
    /// Single offsets, by their offset.
    offsets: BTreeMap<i64, i8>,
    /// Ranges without overlaps, in no order. Never taken apart: they may be as wide as a broker says.
    ranges: Vec<Batch>,
}

/// Offsets from the first to the last, with the type of each, or one type for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) types: Vec<i8>,
}

impl Acknowledgements {
    /// Notes what became of a record.
    pub(crate) fn add(&mut self, offset: i64, acknowledgement: AcknowledgeType) {
        self.offsets.insert(offset, acknowledgement as i8);
    }

    /// Notes what became of a range of records.
    pub(crate) fn add_range(&mut self, first: i64, last: i64, acknowledgement: AcknowledgeType) {
        self.push_range(first, last, acknowledgement as i8);
    }

    /// Notes offsets that hold no record.
    pub(crate) fn add_gap(&mut self, first: i64, last: i64) {
        self.push_range(first, last, GAP);
    }

    /// Adds others of the same partition.
    pub(crate) fn merge(&mut self, other: Self) {
        self.offsets.extend(other.offsets);
        self.ranges.extend(other.ranges);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.offsets.is_empty() && self.ranges.is_empty()
    }

    /// The offsets of records that are to be kept.
    pub(crate) fn renewals(&self) -> impl Iterator<Item = i64> + '_ {
        let renew = AcknowledgeType::Renew as i8;
        self.offsets.iter().filter(move |(_, of)| **of == renew).map(|(offset, _)| *offset)
    }

    /// All offsets, as ranges in their order.
    pub(crate) fn offsets(&self) -> Vec<(i64, i64)> {
        let mut offsets: Vec<(i64, i64)> = Vec::new();
        for (first, last, _) in self.runs() {
            match offsets.last_mut() {
                Some((_, end)) if end.checked_add(1) == Some(first) => *end = last,
                _ => offsets.push((first, last)),
            }
        }
        offsets
    }

    /// What a request says of the partition.
    pub(crate) fn batches(&self) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        for (first, last, of) in self.runs() {
            let long = last.saturating_sub(first) >= RUN_MIN - 1;
            let open = batches.last_mut().filter(|batch| {
                let spelt_out = batch.types.len() as i64 - 1 == batch.last.saturating_sub(batch.first);
                !long && spelt_out && batch.last.checked_add(1) == Some(first)
            });
            match open {
                Some(batch) => {
                    batch.types.extend((first..=last).map(|_| of));
                    batch.last = last;
                }
                None if long => batches.push(Batch { first, last, types: vec![of] }),
                None => batches.push(Batch { first, last, types: (first..=last).map(|_| of).collect() }),
            }
        }
        for batch in &mut batches {
            if batch.types.windows(2).all(|pair| pair[0] == pair[1]) {
                batch.types.truncate(1);
            }
        }
        batches
    }

    fn push_range(&mut self, first: i64, last: i64, of: i8) {
        if first <= last {
            self.ranges.push(Batch { first, last, types: vec![of] });
        }
    }

    /// Runs of one type in the order of their offsets, as long as they can be.
    fn runs(&self) -> Vec<(i64, i64, i8)> {
        let single = self.offsets.iter().map(|(offset, of)| (*offset, *offset, *of));
        let wide = self.ranges.iter().map(|r| (r.first, r.last, r.types.first().copied().unwrap_or(GAP)));
        let mut sorted: Vec<_> = single.chain(wide).collect();
        sorted.sort_unstable();
        let mut runs: Vec<(i64, i64, i8)> = Vec::new();
        for (first, last, of) in sorted {
            match runs.last_mut() {
                Some((_, end, same)) if *same == of && end.checked_add(1) == Some(first) => *end = last,
                _ => runs.push((first, last, of)),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AcknowledgeType::{Accept, Reject, Release, Renew};

    fn batch(first: i64, last: i64, types: &[i8]) -> Batch {
        Batch { first, last, types: types.to_vec() }
    }

    #[test]
    fn runs_are_said_once_and_mixtures_are_spelt_out() {
        let mut acks = Acknowledgements::default();
        for offset in 5..25 {
            acks.add(offset, Accept);
        }
        assert_eq!(acks.batches(), [batch(5, 24, &[1])]);
        acks.add(25, Release);
        acks.add(26, Reject);
        acks.add(30, Accept);
        acks.add(31, Accept);
        let expected = [batch(5, 24, &[1]), batch(25, 26, &[2, 3]), batch(30, 31, &[1])];
        assert_eq!(acks.batches(), expected);
        assert_eq!(acks.offsets(), [(5, 26), (30, 31)]);
    }

    #[test]
    fn gaps_of_any_width_take_no_room() {
        let mut acks = Acknowledgements::default();
        assert!(acks.is_empty());
        acks.add_gap(11, i64::MAX);
        acks.add(10, Accept);
        acks.add_gap(8, 7);
        assert_eq!(acks.batches(), [batch(10, 10, &[1]), batch(11, i64::MAX, &[0])]);
        let mut more = Acknowledgements::default();
        more.add_range(0, 2, Reject);
        acks.merge(more);
        assert_eq!(acks.offsets(), [(0, 2), (10, i64::MAX)]);
    }

    #[test]
    fn every_offset_is_said_once() {
        let mut acks = Acknowledgements::default();
        let types = [Accept, Release, Reject, Accept];
        for offset in 0..200i64 {
            if offset % 37 != 0 {
                acks.add(offset, types[(offset / 13) as usize % types.len()]);
            }
        }
        let mut said = Vec::new();
        for Batch { first, last, types } in acks.batches() {
            assert!(types.len() == 1 || types.len() as i64 == last - first + 1);
            said.extend((first..=last).zip(types.iter().cycle().copied()));
        }
        let meant: Vec<_> = acks.offsets.iter().map(|(offset, of)| (*offset, *of)).collect();
        assert_eq!(said, meant);
    }

    #[test]
    fn renewals_are_found() {
        let mut acks = Acknowledgements::default();
        acks.add(1, Accept);
        acks.add(2, Renew);
        assert_eq!(acks.renewals().collect::<Vec<_>>(), [2]);
    }
}
