//! What a broker and this consumer agree on: which partitions it fetches, and how often they spoke.

use std::collections::BTreeSet;

use ottla_common::{ErrorCode, TopicPartition, Uuid};

/// A partition with its topic's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TopicIdPartition {
    pub(crate) topic_id: Uuid,
    pub(crate) tp: TopicPartition,
}

/// The epoch that opens a session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch that closes one; what is still acquired in it is released.
pub(crate) const FINAL_EPOCH: i32 = -1;

/// A share session with one broker (KIP-932).
#[derive(Debug, Default)]
pub(crate) struct ShareSession {
    epoch: i32,
    partitions: BTreeSet<TopicIdPartition>,
}

/// What a fetch says of the session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SessionUpdate {
    pub(crate) epoch: i32,
    pub(crate) added: Vec<TopicIdPartition>,
    pub(crate) forgotten: Vec<TopicIdPartition>,
}

impl ShareSession {
    /// Whether the broker knows nothing of it. Nothing can be acknowledged then.
    pub(crate) fn is_new(&self) -> bool {
        self.epoch == INITIAL_EPOCH
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The partitions the broker fetches for this consumer.
    pub(crate) fn partitions(&self) -> &BTreeSet<TopicIdPartition> {
        &self.partitions
    }

    /// Makes `wanted` the session's partitions. A partition that is only acknowledged in the same
    /// request must not come into the session by that.
    pub(crate) fn update<'a>(
        &mut self,
        wanted: &BTreeSet<TopicIdPartition>,
        acknowledged: impl Iterator<Item = &'a TopicIdPartition>,
    ) -> SessionUpdate {
        if self.is_new() {
            self.partitions.clear();
        }
        let added = wanted.difference(&self.partitions).cloned().collect();
        let mut forgotten: BTreeSet<_> = self.partitions.difference(wanted).cloned().collect();
        forgotten.extend(acknowledged.filter(|tip| !wanted.contains(*tip)).cloned());
        self.partitions.clone_from(wanted);
        SessionUpdate { epoch: self.epoch, added, forgotten: forgotten.into_iter().collect() }
    }

    /// The broker answered.
    pub(crate) fn on_answer(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::ShareSessionNotFound
            | ErrorCode::InvalidShareSessionEpoch
            | ErrorCode::ShareSessionLimitReached => self.lost(),
            _ => self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 },
        }
    }

    /// Nobody knows what the broker heard: begin anew.
    pub(crate) fn lost(&mut self) {
        self.epoch = INITIAL_EPOCH;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tip(partition: i32) -> TopicIdPartition {
        TopicIdPartition { topic_id: Uuid::from_u128(9), tp: TopicPartition::new("t", partition) }
    }

    fn set(partitions: &[i32]) -> BTreeSet<TopicIdPartition> {
        partitions.iter().map(|p| tip(*p)).collect()
    }

    #[test]
    fn only_changes_are_said() {
        let mut session = ShareSession::default();
        let update = session.update(&set(&[0, 1]), std::iter::empty());
        assert_eq!((update.epoch, update.added.len(), update.forgotten.len()), (0, 2, 0));
        session.on_answer(ErrorCode::None);
        let update = session.update(&set(&[1, 2]), [tip(1), tip(5)].iter());
        assert_eq!((update.epoch, update.added), (1, vec![tip(2)]));
        assert_eq!(update.forgotten, [tip(0), tip(5)]);
        assert_eq!(*session.partitions(), set(&[1, 2]));
    }

    #[test]
    fn a_lost_session_begins_anew_with_everything() {
        for code in [
            ErrorCode::ShareSessionNotFound,
            ErrorCode::InvalidShareSessionEpoch,
            ErrorCode::ShareSessionLimitReached,
        ] {
            let mut session = ShareSession::default();
            session.update(&set(&[0]), std::iter::empty());
            session.on_answer(ErrorCode::None);
            assert!(!session.is_new());
            session.on_answer(code);
            assert!(session.is_new());
            let update = session.update(&set(&[0]), std::iter::empty());
            assert_eq!((update.epoch, update.added), (0, vec![tip(0)]));
        }
    }

    #[test]
    fn epochs_go_round_and_other_errors_keep_the_session() {
        let mut session = ShareSession { epoch: i32::MAX, partitions: BTreeSet::new() };
        session.on_answer(ErrorCode::None);
        assert_eq!(session.epoch(), 1);
        session.on_answer(ErrorCode::CoordinatorNotAvailable);
        assert_eq!(session.epoch(), 2);
        session.lost();
        assert!(session.is_new());
    }
}
