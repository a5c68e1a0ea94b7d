//! What the kernel knows of the log without reading it: where it starts and ends, where epochs begin, which
//! snapshots there are.

use std::collections::BTreeSet;

use crate::OffsetAndEpoch;

/// How a follower's end compares with this log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidOffsetAndEpoch {
    /// The logs agree up to there.
    Valid,
    /// They agree up to here at most.
    Diverging(OffsetAndEpoch),
    /// This log starts later; the follower needs this snapshot.
    Snapshot(OffsetAndEpoch),
}

/// The outline of the local log. The kernel moves it along with the actions it hands out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogView {
    start_offset: i64,
    end_offset: i64,
    /// Epochs and their first offsets, both increasing (EPOCH-CACHE-SORTED).
    epochs: Vec<(i32, i64)>,
    snapshots: BTreeSet<OffsetAndEpoch>,
}

impl LogView {
    /// A log as found on disk.
    pub fn new(
        start_offset: i64,
        end_offset: i64,
        epochs: Vec<(i32, i64)>,
        snapshots: BTreeSet<OffsetAndEpoch>,
    ) -> Self {
        assert!(start_offset <= end_offset, "a log starts before it ends");
        assert!(epochs.is_sorted(), "EPOCH-CACHE-SORTED");
        Self { start_offset, end_offset, epochs, snapshots }
    }

    /// The first offset.
    pub fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// One past the last offset.
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Epoch of the last record; of the snapshot if the log has none; or 0.
    pub fn last_fetched_epoch(&self) -> i32 {
        match self.epochs.last() {
            Some((epoch, _)) => *epoch,
            None => self.latest_snapshot_id().map_or(0, |id| id.epoch),
        }
    }

    /// End offset and epoch together.
    pub fn end(&self) -> OffsetAndEpoch {
        OffsetAndEpoch::new(self.end_offset, self.last_fetched_epoch())
    }

    /// The newest snapshot.
    pub fn latest_snapshot_id(&self) -> Option<OffsetAndEpoch> {
        self.snapshots.last().copied()
    }

    /// The oldest snapshot.
    pub fn earliest_snapshot_id(&self) -> Option<OffsetAndEpoch> {
        self.snapshots.first().copied()
    }

    /// Whether this snapshot exists.
    pub fn has_snapshot(&self, id: OffsetAndEpoch) -> bool {
        self.snapshots.contains(&id)
    }

    /// The largest epoch not above this one, and where it ends.
    pub fn end_offset_for_epoch(&self, epoch: i32) -> OffsetAndEpoch {
        if self.epochs.last().is_some_and(|(last, _)| *last == epoch) {
            return OffsetAndEpoch::new(self.end_offset, epoch);
        }
        let next = self.epochs.partition_point(|(known, _)| *known <= epoch);
        let earliest = self.earliest_snapshot_id();
        match (self.epochs.get(next), next.checked_sub(1).and_then(|i| self.epochs.get(i))) {
            (Some((_, end)), Some((floor, _))) => OffsetAndEpoch::new(*end, *floor),
            // The record before the log's first is in a snapshot, whose name tells its epoch.
            (Some((_, first)), None) => match earliest {
                Some(id) if id.offset == *first && id.epoch <= epoch => id,
                _ => OffsetAndEpoch::new(*first, epoch),
            },
            (None, _) => self.end(),
        }
    }

    /// Compares a replica's end with this log.
    pub fn validate(&self, offset: i64, epoch: i32) -> ValidOffsetAndEpoch {
        if self.start_offset == 0 && offset == 0 && epoch == 0 {
            return ValidOffsetAndEpoch::Valid;
        }
        if let Some(earliest) = self.earliest_snapshot_id() {
            let needs_snapshot = offset < self.start_offset
                || (offset == self.start_offset && earliest.offset == offset && epoch != earliest.epoch)
                || epoch < earliest.epoch;
            // What formatting wrote is not for replication: the first leader repeats it in the log.
            if let Some(latest) = self
                .latest_snapshot_id()
                .filter(|id| needs_snapshot && *id != OffsetAndEpoch::BOOTSTRAP_SNAPSHOT_ID)
            {
                return ValidOffsetAndEpoch::Snapshot(latest);
            }
        }
        let end = self.end_offset_for_epoch(epoch);
        if end.epoch != epoch || end.offset < offset {
            ValidOffsetAndEpoch::Diverging(end)
        } else {
            ValidOffsetAndEpoch::Valid
        }
    }

    /// A batch was appended.
    pub fn append(&mut self, base_offset: i64, next_offset: i64, epoch: i32) {
        assert_eq!(base_offset, self.end_offset, "RAFT-APPENDS-LEAVE-NO-GAP");
        assert!(next_offset > base_offset, "a batch has an offset");
        if self.epochs.last().is_none_or(|(last, _)| *last < epoch) {
            self.epochs.push((epoch, base_offset));
        }
        self.end_offset = next_offset;
    }

    /// The log was cut back to this end.
    pub fn truncate_to(&mut self, offset: i64) {
        assert!(offset >= self.start_offset, "a log keeps its start");
        self.end_offset = self.end_offset.min(offset);
        self.epochs.retain(|(_, start)| *start < offset);
    }

    /// A snapshot became visible.
    pub fn add_snapshot(&mut self, id: OffsetAndEpoch) {
        self.snapshots.insert(id);
    }

    /// The log was emptied in favour of the newest snapshot.
    pub fn start_at_snapshot(&mut self, id: OffsetAndEpoch) {
        self.start_offset = id.offset;
        self.end_offset = id.offset;
        self.epochs.clear();
        self.snapshots = self.snapshots.split_off(&id);
        self.snapshots.insert(id);
    }

    /// The log's beginning up to this snapshot was deleted, and older snapshots.
    pub fn delete_before_snapshot(&mut self, id: OffsetAndEpoch) {
        assert!(id.offset <= self.end_offset, "only what was written can be deleted");
        self.snapshots = self.snapshots.split_off(&id);
        self.start_offset = self.start_offset.max(id.offset);
        let floor = self.epochs.partition_point(|(_, start)| *start <= id.offset).saturating_sub(1);
        self.epochs.drain(..floor);
        if let Some(first) = self.epochs.first_mut() {
            first.1 = first.1.max(self.start_offset);
        }
        if self.start_offset == self.end_offset {
            self.epochs.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> LogView {
        let mut log = LogView::default();
        log.append(0, 10, 1);
        log.append(10, 15, 3);
        log.append(15, 20, 5);
        log
    }

    #[test]
    fn finds_where_logs_part() {
        let log = log();
        assert_eq!(log.end_offset_for_epoch(1), OffsetAndEpoch::new(10, 1));
        assert_eq!(log.end_offset_for_epoch(2), OffsetAndEpoch::new(10, 1));
        assert_eq!(log.end_offset_for_epoch(5), OffsetAndEpoch::new(20, 5));
        assert_eq!(log.validate(12, 3), ValidOffsetAndEpoch::Valid);
        assert_eq!(log.validate(16, 3), ValidOffsetAndEpoch::Diverging(OffsetAndEpoch::new(15, 3)));
        assert_eq!(log.validate(12, 2), ValidOffsetAndEpoch::Diverging(OffsetAndEpoch::new(10, 1)));
    }

    #[test]
    fn sends_laggards_to_the_snapshot() {
        let mut log = log();
        let id = OffsetAndEpoch::new(12, 3);
        log.add_snapshot(id);
        log.delete_before_snapshot(id);
        assert_eq!((log.start_offset(), log.end_offset()), (12, 20));
        assert_eq!(log.validate(11, 3), ValidOffsetAndEpoch::Snapshot(id));
        assert_eq!(log.validate(0, 0), ValidOffsetAndEpoch::Snapshot(id));
        assert_eq!(log.validate(12, 3), ValidOffsetAndEpoch::Valid);
        assert_eq!(log.validate(12, 2), ValidOffsetAndEpoch::Snapshot(id));
    }

    #[test]
    fn formatting_is_not_replicated() {
        let mut log = LogView::default();
        log.add_snapshot(OffsetAndEpoch::BOOTSTRAP_SNAPSHOT_ID);
        assert_eq!(log.validate(0, 0), ValidOffsetAndEpoch::Valid);
        log.append(0, 3, 1);
        assert_eq!(log.validate(0, 0), ValidOffsetAndEpoch::Valid);
        assert_eq!(log.last_fetched_epoch(), 1);
    }

    #[test]
    fn truncation_forgets_epochs() {
        let mut log = log();
        log.truncate_to(15);
        assert_eq!(log.end(), OffsetAndEpoch::new(15, 3));
        log.truncate_to(12);
        assert_eq!(log.end(), OffsetAndEpoch::new(12, 3));
    }
}
