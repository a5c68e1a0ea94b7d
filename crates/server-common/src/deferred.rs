//! Replies that wait until the records behind them are committed.

use std::collections::BTreeMap;

/// Events parked at log offsets, released in offset order when the offset commits.
#[derive(Debug)]
pub struct DeferredEventQueue<E> {
    pending: BTreeMap<i64, Vec<E>>,
}

impl<E> Default for DeferredEventQueue<E> {
    fn default() -> Self {
        Self { pending: BTreeMap::new() }
    }
}

impl<E> DeferredEventQueue<E> {
    /// Parks an event until `offset` is committed. Several events may wait for one offset.
    pub fn add(&mut self, offset: i64, event: E) {
        self.pending.entry(offset).or_default().push(event);
    }

    /// The events whose offset is committed now, oldest first.
    pub fn complete_up_to(&mut self, offset: i64) -> Vec<E> {
        let later = match offset.checked_add(1) {
            Some(first_kept) => self.pending.split_off(&first_kept),
            None => BTreeMap::new(),
        };
        std::mem::replace(&mut self.pending, later).into_values().flatten().collect()
    }

    /// Every event: leadership was lost, and nobody knows whether the records survive.
    pub fn take_all(&mut self) -> Vec<E> {
        std::mem::take(&mut self.pending).into_values().flatten().collect()
    }

    /// The highest offset that somebody waits for.
    pub fn highest_pending_offset(&self) -> Option<i64> {
        self.pending.last_key_value().map(|(offset, _)| *offset)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_leave_in_offset_order() {
        let mut queue = DeferredEventQueue::default();
        queue.add(5, "c");
        queue.add(2, "a");
        queue.add(2, "b");
        queue.add(9, "d");
        assert_eq!(queue.highest_pending_offset(), Some(9));
        assert_eq!(queue.complete_up_to(1), Vec::<&str>::new());
        assert_eq!(queue.complete_up_to(5), vec!["a", "b", "c"]);
        assert_eq!(queue.take_all(), vec!["d"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn the_last_offset_of_all_is_no_trap() {
        let mut queue = DeferredEventQueue::default();
        queue.add(i64::MAX, 1);
        assert_eq!(queue.complete_up_to(i64::MAX), vec![1]);
    }
}
