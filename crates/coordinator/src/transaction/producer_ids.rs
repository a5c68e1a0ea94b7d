use std::ops::Range;

/// More ids are wished for when fewer are left.
const LOW_WATER: i64 = 50;

/// Producer ids that nobody has yet. Those that are left when the shard is unloaded are lost, which harms
/// nobody: there are more than can ever be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProducerIdPool {
    current: Range<i64>,
    next: Range<i64>,
    requested: bool,
}

impl Default for ProducerIdPool {
    fn default() -> Self {
        Self { current: 0..0, next: 0..0, requested: false }
    }
}

impl ProducerIdPool {
    /// The id that [`Self::take`] takes out.
    pub(super) fn first(&self) -> Option<i64> {
        let range = if self.current.is_empty() { &self.next } else { &self.current };
        (!range.is_empty()).then_some(range.start)
    }

    /// The first id has an owner now.
    pub(super) fn take(&mut self) {
        if self.current.is_empty() {
            self.current = std::mem::replace(&mut self.next, 0..0);
        }
        self.current.next();
    }

    /// Whether it is time to ask for more.
    pub(super) fn is_wanting(&self) -> bool {
        !self.requested && self.next.is_empty() && self.current.end - self.current.start < LOW_WATER
    }

    /// Somebody was asked.
    pub(super) fn note_requested(&mut self) {
        self.requested = true;
    }

    /// The answer: a block, or an empty one if there was none to be had.
    pub(super) fn supply(&mut self, block: Range<i64>) {
        self.requested = false;
        if block.is_empty() || block.start < 0 {
            return;
        }
        if self.current.is_empty() {
            self.current = block;
        } else if self.next.is_empty() {
            self.next = block;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_used_in_order_and_wished_for_once() {
        let mut pool = ProducerIdPool::default();
        assert_eq!((pool.first(), pool.is_wanting()), (None, true));
        pool.note_requested();
        assert!(!pool.is_wanting());
        pool.supply(10..12);
        assert!(pool.is_wanting(), "two are few");
        pool.supply(20..120);
        assert!(!pool.is_wanting());
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.extend(pool.first());
            pool.take();
        }
        assert_eq!(ids, [10, 11, 20]);
    }

    #[test]
    fn a_refusal_lets_ask_again_and_nonsense_is_dropped() {
        let mut pool = ProducerIdPool::default();
        pool.note_requested();
        pool.supply(0..0);
        assert!(pool.is_wanting());
        pool.supply(-5..5);
        assert_eq!(pool.first(), None);
    }
}
