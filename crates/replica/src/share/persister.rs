use std::fmt;
use std::sync::Arc;

use ottla_common::Uuid;
use ottla_share::{PersisterError, ReadState, WriteState};

use crate::BoxFuture;

/// Names a share-partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharePartitionKey {
    /// The share group.
    pub group_id: Arc<str>,
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
}

/// As the share coordinator is found by.
impl fmt::Display for SharePartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.group_id, self.topic_id, self.partition)
    }
}

/// The share coordinator, wherever it is.
///
/// An implementation finds it, repeats what is worth repeating, and gives up in the end: a share-partition
/// waits for its answer however long that takes.
pub trait Persister: fmt::Debug + Send + Sync {
    /// ReadShareGroupState. It also tells the share coordinator that a leader of this epoch has taken over.
    fn read_state<'a>(
        &'a self,
        key: &'a SharePartitionKey,
        leader_epoch: i32,
    ) -> BoxFuture<'a, Result<ReadState, PersisterError>>;

    /// WriteShareGroupState. For one share-partition there is never more than one under way.
    fn write_state<'a>(
        &'a self,
        key: &'a SharePartitionKey,
        write: WriteState,
    ) -> BoxFuture<'a, Result<(), PersisterError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_spelled_as_for_find_coordinator() {
        let key = SharePartitionKey { group_id: "reparto".into(), topic_id: Uuid::ONE, partition: 7 };
        assert_eq!(key.to_string(), "reparto:AAAAAAAAAAAAAAAAAAAAAQ:7");
    }
}
