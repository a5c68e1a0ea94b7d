use rpds::RedBlackTreeMapSync;

use super::SharePartitionKey;

/// Up to where the log is of no use any more: below the oldest of the newest snapshots.
#[derive(Debug, Clone)]
pub(super) struct RedundantOffsets {
    newest_snapshots: RedBlackTreeMapSync<SharePartitionKey, i64>,
    /// The same offsets, in their order.
    by_offset: RedBlackTreeMapSync<i64, ()>,
    last_redundant: Option<i64>,
}

impl RedundantOffsets {
    pub(super) fn new() -> Self {
        Self {
            newest_snapshots: RedBlackTreeMapSync::new_sync(),
            by_offset: RedBlackTreeMapSync::new_sync(),
            last_redundant: None,
        }
    }

    /// A snapshot stands at this offset.
    pub(super) fn on_snapshot(&mut self, key: &SharePartitionKey, offset: i64) {
        if let Some(older) = self.newest_snapshots.get(key).copied() {
            self.by_offset.remove_mut(&older);
        }
        self.newest_snapshots.insert_mut(key.clone(), offset);
        self.by_offset.insert_mut(offset, ());
        self.advance(offset);
    }

    /// A tombstone stands at this offset. It holds nothing back: nothing follows it.
    pub(super) fn on_tombstone(&mut self, key: &SharePartitionKey, offset: i64) {
        if let Some(older) = self.newest_snapshots.get(key).copied() {
            self.by_offset.remove_mut(&older);
            self.newest_snapshots.remove_mut(key);
        }
        self.advance(offset);
    }

    /// The offset below which records may be deleted, if that frees any.
    pub(super) fn last_redundant_offset(&self) -> Option<i64> {
        self.last_redundant.filter(|offset| *offset > 0)
    }

    fn advance(&mut self, offset: i64) {
        let oldest = self.by_offset.first().map_or(offset, |(oldest, ())| *oldest);
        assert!(self.last_redundant <= Some(oldest), "SHARE-REDUNDANT-OFFSET-MONOTONIC: {oldest}");
        self.last_redundant = Some(oldest);
    }
}

#[cfg(test)]
mod tests {
    use ottla_common::Uuid;

    use super::*;

    fn key(partition: i32) -> SharePartitionKey {
        SharePartitionKey::new(&"g".into(), Uuid::ONE, partition)
    }

    #[test]
    fn the_slowest_share_partition_holds_the_log() {
        let mut offsets = RedundantOffsets::new();
        assert_eq!(offsets.last_redundant_offset(), None);
        offsets.on_snapshot(&key(0), 0);
        assert_eq!(offsets.last_redundant_offset(), None, "nothing lies below the first record");
        offsets.on_snapshot(&key(1), 1);
        offsets.on_snapshot(&key(1), 4);
        assert_eq!(offsets.last_redundant_offset(), None);
        offsets.on_snapshot(&key(0), 6);
        assert_eq!(offsets.last_redundant_offset(), Some(4));
        offsets.on_snapshot(&key(1), 9);
        assert_eq!(offsets.last_redundant_offset(), Some(6));
    }

    #[test]
    fn a_tombstone_holds_nothing() {
        let mut offsets = RedundantOffsets::new();
        offsets.on_snapshot(&key(0), 3);
        offsets.on_snapshot(&key(1), 5);
        offsets.on_tombstone(&key(0), 8);
        assert_eq!(offsets.last_redundant_offset(), Some(5));
        offsets.on_tombstone(&key(1), 9);
        assert_eq!(offsets.last_redundant_offset(), Some(9), "all of it, but for the last tombstone");
        offsets.on_tombstone(&key(1), 10);
        assert_eq!(offsets.last_redundant_offset(), Some(10));
    }
}
