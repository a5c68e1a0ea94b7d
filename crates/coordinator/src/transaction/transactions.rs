use std::ops::Bound;
use std::sync::Arc;

use bytestring::ByteString;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::{TransactionMetadata, TransactionState};
use crate::group::owned;

/// When an open transaction times out, and whose it is.
pub(super) type Deadline = (i64, ByteString);

/// The transactional ids of a shard.
#[derive(Debug, Clone)]
pub(super) struct Transactions {
    by_id: RedBlackTreeMapSync<ByteString, Arc<TransactionMetadata>>,
    /// Those that are open and time out, soonest first.
    open: RedBlackTreeSetSync<Deadline>,
    /// What those become whose markers are on their way.
    completing: RedBlackTreeMapSync<ByteString, Arc<TransactionMetadata>>,
}

impl Default for Transactions {
    fn default() -> Self {
        Self {
            by_id: RedBlackTreeMapSync::new_sync(),
            open: RedBlackTreeSetSync::new_sync(),
            completing: RedBlackTreeMapSync::new_sync(),
        }
    }
}

impl Transactions {
    pub(super) fn get(&self, transactional_id: &ByteString) -> Option<&Arc<TransactionMetadata>> {
        self.by_id.get(transactional_id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<TransactionMetadata>> {
        self.by_id.values()
    }

    /// Those behind `after`, in the order of their ids.
    pub(super) fn iter_after(
        &self,
        after: Option<&ByteString>,
    ) -> impl Iterator<Item = &Arc<TransactionMetadata>> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.clone()));
        let until: Bound<ByteString> = Bound::Unbounded;
        let range = self.by_id.range::<ByteString, _>((from, until));
        range.map(|(_, metadata)| metadata)
    }

    /// The open transaction that times out first, of those behind `after` and before `now_ms`.
    pub(super) fn first_timed_out(&self, now_ms: i64, after: Option<&Deadline>) -> Option<&Deadline> {
        let from = after.map_or(Bound::Unbounded, |deadline| Bound::Excluded(deadline.clone()));
        let until = Bound::Excluded((now_ms, ByteString::new()));
        if after.is_some_and(|deadline| deadline.0 >= now_ms) {
            return None;
        }
        self.open.range::<Deadline, _>((from, until)).next()
    }

    /// What the transactional id becomes when its markers are written.
    pub(super) fn completing(&self, transactional_id: &ByteString) -> Option<&Arc<TransactionMetadata>> {
        self.completing.get(transactional_id)
    }

    pub(super) fn await_markers(&mut self, complete: Arc<TransactionMetadata>) {
        self.completing.insert_mut(complete.transactional_id.clone(), complete);
    }

    pub(super) fn forget_markers(&mut self, transactional_id: &ByteString) {
        self.completing.remove_mut(transactional_id);
    }

    /// Takes the metadata as it is now, be it for the first time.
    pub(super) fn put(&mut self, metadata: Arc<TransactionMetadata>) {
        self.close(&metadata.transactional_id);
        let id = owned(&metadata.transactional_id);
        if let Some(deadline_ms) = metadata.deadline_ms() {
            self.open.insert_mut((deadline_ms, id.clone()));
        }
        self.by_id.insert_mut(id, metadata);
        assert!(self.open.size() <= self.by_id.size(), "TXN-OPEN-KNOWN");
    }

    /// A move is committed.
    pub(super) fn complete(&mut self, next: Arc<TransactionMetadata>) {
        if let Some(current) = self.by_id.get(&next.transactional_id) {
            assert_eq!(current.pending_state, Some(next.state), "TXN-ONE-MOVE-AT-A-TIME");
            assert!(next.state.is_reachable_from(current.state), "TXN-STATE-MOVES: {current:?} to {next:?}");
            let grows =
                next.producer_id != current.producer_id || next.producer_epoch >= current.producer_epoch;
            assert!(grows, "TXN-EPOCH-MONOTONIC: {current:?} to {next:?}");
            let keeps = match next.state {
                TransactionState::Ongoing => next.partitions.contains_all(&current.partitions),
                TransactionState::PrepareCommit => next.partitions == current.partitions,
                // From elsewhere than an open transaction there is nothing to be kept.
                TransactionState::PrepareAbort => next.partitions.contains_all(&current.partitions),
                TransactionState::CompleteCommit | TransactionState::CompleteAbort => {
                    current.partitions.is_empty()
                }
                _ => true,
            };
            assert!(keeps, "TXN-MARKER-FOR-EACH-PARTITION: {current:?} to {next:?}");
        }
        self.put(next);
    }

    pub(super) fn remove(&mut self, transactional_id: &ByteString) {
        self.close(transactional_id);
        self.by_id.remove_mut(transactional_id);
        self.completing.remove_mut(transactional_id);
    }

    fn close(&mut self, transactional_id: &ByteString) {
        let deadline_ms = self.by_id.get(transactional_id).and_then(|metadata| metadata.deadline_ms());
        if let Some(deadline_ms) = deadline_ms {
            self.open.remove_mut(&(deadline_ms, transactional_id.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(id: &'static str, start_timestamp_ms: i64) -> Arc<TransactionMetadata> {
        let mut metadata = TransactionMetadata::new(ByteString::from_static(id), 7, 100, 0);
        metadata.state = TransactionState::Ongoing;
        metadata.start_timestamp_ms = start_timestamp_ms;
        Arc::new(metadata)
    }

    #[test]
    fn open_transactions_time_out_in_their_order() {
        let mut transactions = Transactions::default();
        for (id, start_ms) in [("a", 20), ("b", 10), ("c", 50)] {
            transactions.put(open(id, start_ms));
        }
        assert_eq!(transactions.first_timed_out(110, None), None, "its time is up, not over");
        let first = transactions.first_timed_out(121, None).cloned().unwrap();
        assert_eq!(first, (110, "b".into()));
        let second = transactions.first_timed_out(121, Some(&first)).cloned().unwrap();
        assert_eq!(second, (120, "a".into()));
        assert_eq!(transactions.first_timed_out(121, Some(&second)), None);
        assert_eq!(transactions.first_timed_out(120, Some(&second)), None);
        let mut moved = TransactionMetadata::clone(&open("b", 10));
        moved.state = TransactionState::PrepareAbort;
        transactions.put(Arc::new(moved));
        transactions.remove(&"a".into());
        assert_eq!(transactions.first_timed_out(121, None), None);
        let ids: Vec<_> = transactions.iter_after(Some(&"b".into())).collect();
        assert_eq!(ids, [&open("c", 50)]);
    }

    #[test]
    fn transactions_of_an_outside_coordinator_do_not_time_out() {
        let mut transactions = Transactions::default();
        let mut metadata = TransactionMetadata::clone(&open("a", 0));
        metadata.timeout_ms = i32::MAX;
        transactions.put(Arc::new(metadata));
        assert_eq!(transactions.first_timed_out(i64::MAX, None), None);
    }
}
