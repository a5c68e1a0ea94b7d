use bytestring::ByteString;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::group::owned;

/// The partitions of a transaction. Copies share what they have in common: a transaction of thousands of
/// partitions grows one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionPartitions {
    topics: RedBlackTreeMapSync<ByteString, RedBlackTreeSetSync<i32>>,
}

impl Default for TransactionPartitions {
    fn default() -> Self {
        Self { topics: RedBlackTreeMapSync::new_sync() }
    }
}

impl TransactionPartitions {
    /// Adds a partition.
    pub fn insert(&mut self, topic: &ByteString, partition: i32) {
        if self.contains(topic, partition) {
            return;
        }
        let partitions = self.topics.get(topic).cloned().unwrap_or_else(RedBlackTreeSetSync::new_sync);
        self.topics.insert_mut(owned(topic), partitions.insert(partition));
    }

    /// Takes a partition out, if it is there.
    pub fn remove(&mut self, topic: &ByteString, partition: i32) {
        let Some(partitions) = self.topics.get(topic) else { return };
        let partitions = partitions.remove(&partition);
        if partitions.is_empty() {
            self.topics.remove_mut(topic);
        } else {
            self.topics.insert_mut(topic.clone(), partitions);
        }
    }

    /// Whether the partition is among them.
    pub fn contains(&self, topic: &ByteString, partition: i32) -> bool {
        self.topics.get(topic).is_some_and(|partitions| partitions.contains(&partition))
    }

    /// Whether all of the others are among them.
    pub fn contains_all(&self, others: &Self) -> bool {
        others.iter().all(|(topic, partition)| self.contains(topic, partition))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.topics.values().map(RedBlackTreeSetSync::size).sum()
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&ByteString, i32)> {
        self.topics.iter().flat_map(|(topic, partitions)| partitions.iter().map(move |p| (topic, *p)))
    }

    /// Each topic with its partitions, in order.
    pub fn topics(&self) -> impl Iterator<Item = (&ByteString, Vec<i32>)> {
        self.topics.iter().map(|(topic, partitions)| (topic, partitions.iter().copied().collect()))
    }
}

impl FromIterator<(ByteString, i32)> for TransactionPartitions {
    fn from_iter<I: IntoIterator<Item = (ByteString, i32)>>(partitions: I) -> Self {
        let mut this = Self::default();
        for (topic, partition) in partitions {
            this.insert(&topic, partition);
        }
        this
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(partitions: &[(&'static str, i32)]) -> TransactionPartitions {
        partitions.iter().map(|(topic, partition)| (ByteString::from_static(topic), *partition)).collect()
    }

    #[test]
    fn a_set_of_partitions() {
        let mut set = of(&[("pagos", 1), ("envios", 0), ("pagos", 1), ("pagos", 0)]);
        let all: Vec<_> = set.iter().map(|(topic, partition)| (topic.to_string(), partition)).collect();
        assert_eq!(all, [("envios".into(), 0), ("pagos".into(), 0), ("pagos".into(), 1)]);
        assert_eq!(set.len(), 3);
        assert!(set.contains_all(&of(&[("pagos", 1)])) && !set.contains_all(&of(&[("pagos", 2)])));
        set.remove(&"envios".into(), 0);
        set.remove(&"envios".into(), 7);
        assert_eq!(set, of(&[("pagos", 0), ("pagos", 1)]));
        set.remove(&"pagos".into(), 0);
        set.remove(&"pagos".into(), 1);
        assert!(set.is_empty());
    }
}
