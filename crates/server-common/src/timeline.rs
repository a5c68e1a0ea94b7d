//! One state machine's state, and what it was at offsets that are not committed yet.

use std::collections::VecDeque;

/// The newest state of a replicated state machine plus snapshots of it at uncommitted offsets.
///
/// Kafka gives every collection its own history (timeline hash maps). Here the whole state is made
/// of persistent maps, so that cloning all of it costs a few pointers, and history is a queue of
/// clones: nothing can be forgotten when a state is rolled back.
///
/// A snapshot "at offset N" has seen every record up to and including N.
#[derive(Debug, Clone)]
pub struct Timeline<S> {
    latest: S,
    committed: S,
    committed_offset: i64,
    uncommitted: VecDeque<(i64, S)>,
}

impl<S: Clone> Timeline<S> {
    /// A timeline whose state is committed up to `committed_offset` (-1: nothing was ever written).
    pub fn new(state: S, committed_offset: i64) -> Self {
        Self { latest: state.clone(), committed: state, committed_offset, uncommitted: VecDeque::new() }
    }

    /// The newest state, which may hold effects of uncommitted records.
    pub fn latest(&self) -> &S {
        &self.latest
    }

    /// The newest state, to replay records into. Follow up with [`Self::snapshot`] or [`Self::commit`].
    pub fn latest_mut(&mut self) -> &mut S {
        &mut self.latest
    }

    /// The state at [`Self::committed_offset`].
    pub fn committed(&self) -> &S {
        &self.committed
    }

    /// The highest offset known to be committed.
    pub fn committed_offset(&self) -> i64 {
        self.committed_offset
    }

    /// The offset of the newest snapshot, or of the commit when there is none.
    pub fn latest_offset(&self) -> i64 {
        self.uncommitted.back().map_or(self.committed_offset, |(offset, _)| *offset)
    }

    /// Whether some snapshot is not committed yet.
    pub fn has_uncommitted(&self) -> bool {
        !self.uncommitted.is_empty()
    }

    /// Remembers the newest state as the one at `offset`, which is above every earlier one.
    pub fn snapshot(&mut self, offset: i64) {
        assert!(offset > self.latest_offset(), "TIMELINE-MONOTONIC: {offset}");
        self.uncommitted.push_back((offset, self.latest.clone()));
    }

    /// Everything up to `offset` is committed. Snapshots at or below it are forgotten, the highest of
    /// them becoming the committed state. Going back is a no-op: high watermarks may be reported twice.
    pub fn commit(&mut self, offset: i64) {
        while let Some((snapshot_offset, _)) = self.uncommitted.front() {
            if *snapshot_offset > offset {
                break;
            }
            if let Some((snapshot_offset, state)) = self.uncommitted.pop_front() {
                self.committed = state;
                self.committed_offset = snapshot_offset;
            }
        }
    }

    /// The newest state has been built from committed records only, up to `offset`: a follower's way.
    pub fn commit_latest(&mut self, offset: i64) {
        assert!(self.uncommitted.is_empty(), "TIMELINE-FOLLOWER: uncommitted states cannot be skipped");
        self.committed = self.latest.clone();
        self.committed_offset = self.committed_offset.max(offset);
    }

    /// Forgets every effect of records above `offset`, which is the committed offset or a snapshot's.
    /// Returns whether there was such a state to go back to.
    pub fn revert_to(&mut self, offset: i64) -> bool {
        if offset == self.committed_offset {
            self.latest = self.committed.clone();
            self.uncommitted.clear();
            return true;
        }
        let Some(index) = self.uncommitted.iter().position(|(at, _)| *at == offset) else {
            return false;
        };
        self.uncommitted.truncate(index + 1);
        self.latest = self.uncommitted[index].1.clone();
        true
    }

    /// Forgets every uncommitted effect, as when leadership is lost.
    pub fn revert_to_committed(&mut self) {
        let reverted = self.revert_to(self.committed_offset);
        debug_assert!(reverted);
    }

    /// Replaces everything with a committed state, as when a snapshot is loaded.
    pub fn reset(&mut self, state: S, committed_offset: i64) {
        *self = Self::new(state, committed_offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(timeline: &mut Timeline<Vec<i64>>, offset: i64) {
        timeline.latest_mut().push(offset);
        timeline.snapshot(offset);
    }

    #[test]
    fn commit_keeps_newest_and_moves_committed() {
        let mut timeline = Timeline::new(Vec::new(), -1);
        replay(&mut timeline, 0);
        replay(&mut timeline, 5);
        replay(&mut timeline, 9);
        timeline.commit(6);
        assert_eq!(timeline.committed(), &vec![0, 5]);
        assert_eq!(timeline.committed_offset(), 5);
        assert_eq!(timeline.latest(), &vec![0, 5, 9]);
        timeline.commit(2);
        assert_eq!(timeline.committed_offset(), 5);
    }

    #[test]
    fn revert_forgets_what_came_after() {
        let mut timeline = Timeline::new(Vec::new(), -1);
        replay(&mut timeline, 1);
        replay(&mut timeline, 2);
        replay(&mut timeline, 3);
        assert!(timeline.revert_to(2));
        assert_eq!(timeline.latest(), &vec![1, 2]);
        assert_eq!(timeline.latest_offset(), 2);
        assert!(!timeline.revert_to(3));
        timeline.commit(1);
        timeline.revert_to_committed();
        assert_eq!(timeline.latest(), &vec![1]);
        replay(&mut timeline, 2);
        assert_eq!(timeline.latest(), &vec![1, 2]);
    }

    #[test]
    fn half_replayed_state_is_undone() {
        let mut timeline = Timeline::new(Vec::new(), -1);
        timeline.latest_mut().push(7);
        timeline.revert_to_committed();
        assert!(timeline.latest().is_empty());
    }

    #[test]
    fn follower_commits_as_it_replays() {
        let mut timeline = Timeline::new(Vec::new(), -1);
        timeline.latest_mut().push(4);
        timeline.commit_latest(4);
        timeline.revert_to_committed();
        assert_eq!(timeline.latest(), &vec![4]);
    }
}
