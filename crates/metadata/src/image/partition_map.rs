//! The partitions of a topic.

use std::fmt;
use std::ops::RangeFrom;
use std::sync::Arc;

use crate::partition_registration::PartitionRegistration;

/// Partitions that are copied together when one of them changes.
const CHUNK: usize = 64;

type Entry = (i32, Arc<PartitionRegistration>);

/// Partitions by index, as a persistent map: a clone shares everything, and a change copies one chunk.
///
/// Indexes are almost always those from 0 on without a gap, so sorted chunks are smaller than any tree, and
/// quicker to fill and to go through.
#[derive(Clone, Default)]
pub struct PartitionMap {
    /// In the order of indexes; none is empty.
    chunks: Vec<Arc<Vec<Entry>>>,
    len: usize,
}

impl PartitionMap {
    /// The partition with this index.
    pub fn get(&self, index: &i32) -> Option<&Arc<PartitionRegistration>> {
        let chunk = self.chunks.get(self.chunk_of(*index)?)?;
        let at = chunk.binary_search_by_key(index, |(i, _)| *i).ok()?;
        Some(&chunk[at].1)
    }

    /// Whether there is a partition with this index.
    pub fn contains_key(&self, index: &i32) -> bool {
        self.get(index).is_some()
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The partition with the lowest index.
    pub fn first(&self) -> Option<(&i32, &Arc<PartitionRegistration>)> {
        self.iter().next()
    }

    /// Every partition in the order of its index.
    pub fn iter(&self) -> impl Iterator<Item = (&i32, &Arc<PartitionRegistration>)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).map(|(index, partition)| (index, partition))
    }

    /// Every index in order.
    pub fn keys(&self) -> impl Iterator<Item = &i32> {
        self.iter().map(|(index, _)| index)
    }

    /// Every partition in the order of its index, without it.
    pub fn values(&self) -> impl Iterator<Item = &Arc<PartitionRegistration>> {
        self.iter().map(|(_, partition)| partition)
    }

    /// Every partition from an index on.
    pub fn range(&self, from: RangeFrom<i32>) -> impl Iterator<Item = (&i32, &Arc<PartitionRegistration>)> {
        let chunks = &self.chunks[self.chunk_of(from.start).unwrap_or(0)..];
        let skipped = chunks.first().map_or(0, |chunk| chunk.partition_point(|(i, _)| *i < from.start));
        chunks.iter().flat_map(|chunk| chunk.iter()).skip(skipped).map(|(index, p)| (index, p))
    }

    /// Sets a partition.
    pub(crate) fn insert_mut(&mut self, index: i32, partition: Arc<PartitionRegistration>) {
        let Some(c) = self.chunk_of(index).or(if self.is_empty() { None } else { Some(0) }) else {
            self.chunks.push(Arc::new(vec![(index, partition)]));
            self.len = 1;
            return;
        };
        let is_last = c + 1 == self.chunks.len();
        let chunk = Arc::make_mut(&mut self.chunks[c]);
        let at = match chunk.binary_search_by_key(&index, |(i, _)| *i) {
            Ok(at) => {
                chunk[at].1 = partition;
                return;
            }
            Err(at) => at,
        };
        self.len += 1;
        if chunk.len() < CHUNK {
            chunk.insert(at, (index, partition));
            return;
        }
        if is_last && at == CHUNK {
            self.chunks.push(Arc::new(vec![(index, partition)]));
            return;
        }
        let mut rest = chunk.split_off(CHUNK / 2);
        let half = if at <= CHUNK / 2 { &mut *chunk } else { &mut rest };
        half.insert(if at <= CHUNK / 2 { at } else { at - CHUNK / 2 }, (index, partition));
        self.chunks.insert(c + 1, Arc::new(rest));
    }

    /// The chunk an index belongs into; none if it is lower than all.
    fn chunk_of(&self, index: i32) -> Option<usize> {
        self.chunks.partition_point(|chunk| chunk.first().is_some_and(|(i, _)| *i <= index)).checked_sub(1)
    }
}

impl PartialEq for PartitionMap {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl Eq for PartitionMap {}

impl fmt::Debug for PartitionMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn partition(leader: i32) -> Arc<PartitionRegistration> {
        Arc::new(PartitionRegistration { leader, ..Default::default() })
    }

    fn pairs<'a>(all: impl Iterator<Item = (&'a i32, &'a Arc<PartitionRegistration>)>) -> Vec<(i32, i32)> {
        all.map(|(index, partition)| (*index, partition.leader)).collect()
    }

    #[test]
    fn partitions_that_come_in_order_fill_their_chunks() {
        let mut map = PartitionMap::default();
        for index in 0..1000 {
            map.insert_mut(index, partition(index));
        }
        assert_eq!(map.chunks.len(), 1000_usize.div_ceil(CHUNK));
    }

    proptest! {
        #[test]
        fn it_is_a_map_and_clones_stay_as_they_were(
            first in prop::collection::vec((-3..300i32, 0..9i32), 0..400),
            second in prop::collection::vec((-3..300i32, 0..9i32), 0..50),
            from in -5..310i32,
        ) {
            let (mut map, mut model) = (PartitionMap::default(), BTreeMap::new());
            let insert = |map: &mut PartitionMap, model: &mut BTreeMap<i32, i32>, all: &[(i32, i32)]| {
                for (index, leader) in all {
                    map.insert_mut(*index, partition(*leader));
                    model.insert(*index, *leader);
                }
            };
            insert(&mut map, &mut model, &first);
            let (before, model_before) = (map.clone(), model.clone());
            insert(&mut map, &mut model, &second);
            for (map, model) in [(&before, &model_before), (&map, &model)] {
                let expected: Vec<(i32, i32)> = model.iter().map(|(i, l)| (*i, *l)).collect();
                prop_assert_eq!(pairs(map.iter()), expected);
                let expected: Vec<(i32, i32)> = model.range(from..).map(|(i, l)| (*i, *l)).collect();
                prop_assert_eq!(pairs(map.range(from..)), expected);
                prop_assert_eq!(map.size(), model.len());
                prop_assert_eq!(map.get(&from).map(|p| p.leader), model.get(&from).copied());
            }
            prop_assert_eq!(before == map, model_before == model);
        }
    }
}
