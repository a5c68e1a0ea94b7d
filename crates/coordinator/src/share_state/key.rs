use std::fmt;
use std::str::FromStr;

use bytestring::ByteString;
use ottla_common::Uuid;
use thiserror::Error;

use crate::group::partition_for;

/// Names a share-partition: what one share group knows of one partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharePartitionKey {
    /// The share group.
    pub group_id: ByteString,
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
}

/// A text that names no share-partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a share-partition is named as group:topicId:partition")]
pub struct ParseSharePartitionKeyError;

impl SharePartitionKey {
    /// The key of this group's share of this partition.
    pub fn new(group_id: &ByteString, topic_id: Uuid, partition: i32) -> Self {
        Self { group_id: group_id.clone(), topic_id, partition }
    }

    /// The partition of `__share_group_state` that keeps the state.
    pub fn partition_for(&self, num_partitions: i32) -> i32 {
        partition_for(&self.to_string(), num_partitions)
    }

    /// The same key in memory of its own, for keeping.
    pub(super) fn owned(&self) -> Self {
        let group_id: &str = &self.group_id;
        Self { group_id: ByteString::from(group_id), ..*self }
    }
}

impl fmt::Display for SharePartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group_id: &str = &self.group_id;
        write!(f, "{group_id}:{}:{}", self.topic_id, self.partition)
    }
}

impl FromStr for SharePartitionKey {
    type Err = ParseSharePartitionKeyError;

    /// Reads from the right, because a group's id may have colons of its own.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.rsplitn(3, ':');
        let (Some(partition), Some(topic_id), Some(group_id)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(ParseSharePartitionKeyError);
        };
        if group_id.trim().is_empty() {
            return Err(ParseSharePartitionKeyError);
        }
        Ok(Self {
            group_id: ByteString::from(group_id),
            topic_id: topic_id.parse().map_err(|_| ParseSharePartitionKeyError)?,
            partition: partition.parse().map_err(|_| ParseSharePartitionKeyError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_the_right() {
        let key = SharePartitionKey::new(&"a:b".into(), Uuid::ONE, 3);
        assert_eq!(key.to_string(), "a:b:AAAAAAAAAAAAAAAAAAAAAQ:3");
        assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn nonsense_is_no_key() {
        for text in ["", "g", "g:1", ":AAAAAAAAAAAAAAAAAAAAAQ:3", "g:topic:3", "g:AAAAAAAAAAAAAAAAAAAAAQ:x"] {
            assert_eq!(text.parse::<SharePartitionKey>(), Err(ParseSharePartitionKeyError), "{text}");
        }
    }

    #[test]
    fn the_partition_is_the_hash_of_the_whole_name() {
        let key = SharePartitionKey::new(&"g".into(), Uuid::ONE, 3);
        assert_eq!(key.partition_for(50), partition_for("g:AAAAAAAAAAAAAAAAAAAAAQ:3", 50));
        assert!((0..50).contains(&key.partition_for(50)));
    }
}
