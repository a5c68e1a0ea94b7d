//! Who and where: replicas, leaders, positions in the log.

use std::fmt;

use ottla_common::Uuid;

/// An offset with the epoch of the record before it. Ordered as logs are compared: epoch first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OffsetAndEpoch {
    /// Epoch of the leader.
    pub epoch: i32,
    /// One past the last offset meant.
    pub offset: i64,
}

impl OffsetAndEpoch {
    /// The snapshot that formatting writes: nothing is before it, and no leader wrote it (KIP-853).
    pub const BOOTSTRAP_SNAPSHOT_ID: Self = Self { epoch: 0, offset: 0 };

    /// An end offset and its epoch.
    pub const fn new(offset: i64, epoch: i32) -> Self {
        Self { epoch, offset }
    }
}

impl fmt::Display for OffsetAndEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OffsetAndEpoch(offset={}, epoch={})", self.offset, self.epoch)
    }
}

/// The leader of an epoch, if one is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaderAndEpoch {
    /// Id of the leader.
    pub leader_id: Option<i32>,
    /// The epoch.
    pub epoch: i32,
}

impl LeaderAndEpoch {
    /// Whether this node leads.
    pub fn is_leader(&self, node_id: i32) -> bool {
        self.leader_id == Some(node_id)
    }
}

/// A replica: the node, and the folder in which it keeps its log. A node whose disk was replaced is another
/// replica (KIP-853). Static quorums know no folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaKey {
    /// Node id.
    pub id: i32,
    /// Directory id, if known.
    pub directory_id: Option<Uuid>,
}

impl ReplicaKey {
    /// A replica; the zero id means that the folder is unknown, as on the wire.
    pub fn new(id: i32, directory_id: Uuid) -> Self {
        Self { id, directory_id: (!directory_id.is_zero()).then_some(directory_id) }
    }

    /// The directory id as it goes on the wire.
    pub fn directory_id_or_zero(&self) -> Uuid {
        self.directory_id.unwrap_or(Uuid::ZERO)
    }
}

impl fmt::Display for ReplicaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.directory_id {
            Some(directory) => write!(f, "{}:{directory}", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_compare_by_epoch_first() {
        assert!(OffsetAndEpoch::new(5, 2) > OffsetAndEpoch::new(100, 1));
        assert!(OffsetAndEpoch::new(5, 2) < OffsetAndEpoch::new(6, 2));
    }
}
