//! Which transactions the records belong to that compaction walks over, and what became of those.

use std::collections::{BTreeMap, BTreeSet};

use ottla_record::ControlRecordType;

use crate::index::AbortedTxn;

/// Transactions that are open where the walk is.
///
/// It must see every batch from the begin on, in order, and has to be told of aborted transactions before
/// it comes to them. It outlives segments, as transactions do.
#[derive(Debug, Default)]
pub(crate) struct CleanedTransactions {
    /// Producers of whose committed transactions batches were seen.
    ongoing_committed: BTreeSet<i64>,
    /// By producer.
    ongoing_aborted: BTreeMap<i64, OngoingAborted>,
    /// Aborted transactions ahead, by first offset and producer.
    upcoming: BTreeMap<(i64, i64), AbortedTxn>,
}

#[derive(Debug)]
struct OngoingAborted {
    txn: AbortedTxn,
    /// Whether any batch of it was still there.
    seen: bool,
}

/// What is known of a batch that the walk came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchRead {
    /// It was aborted; or it is a marker, and nothing of its transaction is left: then it may go once its
    /// delete horizon has passed.
    pub(crate) can_discard: bool,
    /// The transaction belongs into the new segment's index: batches of it were there.
    pub(crate) retained: Option<AbortedTxn>,
}

impl CleanedTransactions {
    /// Makes aborted transactions known. Some may be known already.
    pub(crate) fn add_aborted(&mut self, txns: impl IntoIterator<Item = AbortedTxn>) {
        self.upcoming.extend(txns.into_iter().map(|txn| ((txn.first_offset, txn.producer_id), txn)));
    }

    /// The walk comes to a batch that is no marker. Tells whether it was aborted.
    pub(crate) fn on_batch_read(
        &mut self,
        producer_id: i64,
        last_offset: i64,
        is_transactional: bool,
    ) -> bool {
        self.begin_aborted_up_to(last_offset);
        if !is_transactional {
            return false;
        }
        match self.ongoing_aborted.get_mut(&producer_id) {
            Some(aborted) => {
                aborted.seen = true;
                true
            }
            None => {
                self.ongoing_committed.insert(producer_id);
                false
            }
        }
    }

    /// The walk comes to a control batch; without a type it was emptied by an earlier compaction.
    pub(crate) fn on_control_batch_read(
        &mut self,
        producer_id: i64,
        last_offset: i64,
        control_type: Option<ControlRecordType>,
    ) -> BatchRead {
        self.begin_aborted_up_to(last_offset);
        let discard = |can_discard| BatchRead { can_discard, retained: None };
        match control_type {
            None => discard(true),
            Some(ControlRecordType::Abort) => {
                // A marker stays until the last batch of its transaction is gone: without it readers would
                // take what the producer writes next for aborted, too.
                let aborted = self.ongoing_aborted.remove(&producer_id).filter(|aborted| aborted.seen);
                let retained = aborted.map(|aborted| aborted.txn);
                BatchRead { can_discard: retained.is_none(), retained }
            }
            Some(ControlRecordType::Commit) => discard(!self.ongoing_committed.remove(&producer_id)),
            Some(_) => discard(false),
        }
    }

    fn begin_aborted_up_to(&mut self, offset: i64) {
        while let Some(next) = self.upcoming.first_entry().filter(|next| next.key().0 <= offset) {
            let txn = next.remove();
            let begin = || OngoingAborted { txn, seen: false };
            self.ongoing_aborted.entry(txn.producer_id).or_insert_with(begin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABORT: Option<ControlRecordType> = Some(ControlRecordType::Abort);
    const COMMIT: Option<ControlRecordType> = Some(ControlRecordType::Commit);

    fn txn(producer_id: i64, first_offset: i64, last_offset: i64) -> AbortedTxn {
        AbortedTxn { producer_id, first_offset, last_offset, last_stable_offset: last_offset + 1 }
    }

    fn discarded() -> BatchRead {
        BatchRead { can_discard: true, retained: None }
    }

    #[test]
    fn aborted_batches_are_told_from_committed_ones() {
        let mut txns = CleanedTransactions::default();
        txns.add_aborted([txn(1, 10, 20)]);
        assert!(!txns.on_batch_read(1, 5, true), "an earlier transaction");
        assert_eq!(
            txns.on_control_batch_read(1, 6, COMMIT),
            BatchRead { can_discard: false, retained: None }
        );
        assert!(txns.on_batch_read(1, 10, true));
        assert!(!txns.on_batch_read(2, 11, true));
        assert!(!txns.on_batch_read(1, 12, false));
        let kept = BatchRead { can_discard: false, retained: Some(txn(1, 10, 20)) };
        assert_eq!(txns.on_control_batch_read(1, 20, ABORT), kept);
        assert!(!txns.on_batch_read(1, 21, true), "the next transaction");
    }

    #[test]
    fn a_marker_goes_when_nothing_of_its_transaction_is_left() {
        let mut txns = CleanedTransactions::default();
        txns.add_aborted([txn(1, 10, 20)]);
        assert_eq!(txns.on_control_batch_read(1, 20, ABORT), discarded());
        assert_eq!(txns.on_control_batch_read(1, 25, ABORT), discarded(), "of one that had no data");
        assert_eq!(txns.on_control_batch_read(1, 30, COMMIT), discarded());
        assert_eq!(txns.on_control_batch_read(1, 31, None), discarded(), "emptied before");
        let leader_change = txns.on_control_batch_read(-1, 32, Some(ControlRecordType::LeaderChange));
        assert_eq!(leader_change, BatchRead { can_discard: false, retained: None });
    }

    #[test]
    fn a_transaction_told_of_twice_is_one() {
        let mut txns = CleanedTransactions::default();
        txns.add_aborted([txn(1, 10, 20)]);
        assert!(txns.on_batch_read(1, 12, true));
        txns.add_aborted([txn(1, 10, 20)]);
        assert!(txns.on_batch_read(1, 15, true));
        assert_eq!(txns.on_control_batch_read(1, 20, ABORT).retained, Some(txn(1, 10, 20)));
        assert!(!txns.on_batch_read(1, 21, true));
    }
}
