use std::sync::{Arc, LazyLock};

use bytestring::ByteString;
use rpds::RedBlackTreeMapSync;

use super::{INITIAL_GROUP_EPOCH, MemberAssignment};

static NOTHING: LazyLock<Arc<MemberAssignment>> = LazyLock::new(Arc::default);

/// What every member of a group is to have, once everybody has given up what is not theirs.
#[derive(Debug, Clone)]
pub struct TargetAssignment {
    members: RedBlackTreeMapSync<ByteString, Arc<MemberAssignment>>,
    epoch: i32,
    timestamp_ms: i64,
}

impl Default for TargetAssignment {
    fn default() -> Self {
        let epoch = INITIAL_GROUP_EPOCH;
        Self { members: RedBlackTreeMapSync::new_sync(), epoch, timestamp_ms: 0 }
    }
}

impl TargetAssignment {
    /// The group epoch that it was computed for.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// When it was computed; 0 when that is not known, or nothing is to wait for it.
    pub fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    /// What this member is to have; nothing, when nothing was ever said about it.
    pub fn member(&self, member_id: &ByteString) -> &Arc<MemberAssignment> {
        self.members.get(member_id).unwrap_or(&NOTHING)
    }

    /// What was said about this member.
    pub fn get(&self, member_id: &ByteString) -> Option<&Arc<MemberAssignment>> {
        self.members.get(member_id)
    }

    /// Every member's, by member id.
    pub fn members(&self) -> impl Iterator<Item = (&ByteString, &Arc<MemberAssignment>)> {
        self.members.iter()
    }

    /// Whether nothing is said about anybody.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Says what a member is to have.
    pub fn put(&mut self, member_id: ByteString, assignment: MemberAssignment) {
        self.members.insert_mut(member_id, Arc::new(assignment));
    }

    /// Says nothing more about a member.
    pub fn remove(&mut self, member_id: &ByteString) {
        self.members.remove_mut(member_id);
    }

    /// Notes which epoch it is for, and when it was computed.
    pub fn set_metadata(&mut self, epoch: i32, timestamp_ms: i64) {
        self.epoch = epoch;
        self.timestamp_ms = timestamp_ms;
    }
}

/// Whether a group may get its next target assignment already (KIP-1263): members that come in a crowd
/// are to cost one computation, not one each.
pub fn can_compute_next_target_assignment(timestamp_ms: i64, interval_ms: i32, now_ms: i64) -> bool {
    // No interval is also the way out after the clock was set back.
    let at_once = timestamp_ms == 0 || interval_ms == 0;
    at_once || now_ms >= timestamp_ms.saturating_add(i64::from(interval_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_keep_their_interval() {
        assert!(can_compute_next_target_assignment(0, 1_000, 1), "there is none yet");
        assert!(can_compute_next_target_assignment(9_000, 0, 1), "no interval");
        assert!(!can_compute_next_target_assignment(9_000, 1_000, 9_999));
        assert!(can_compute_next_target_assignment(9_000, 1_000, 10_000));
    }
}
