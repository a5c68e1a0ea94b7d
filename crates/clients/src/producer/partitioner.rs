use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use bytestring::ByteString;

/// The hash of Kafka's default partitioner (murmur2): equal keys must meet in the same partition
/// whatever client wrote them.
pub fn murmur2(data: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    const SEED: u32 = 0x9747_b28c;
    let mut h = SEED ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    for (i, byte) in tail.iter().enumerate() {
        h ^= u32::from(*byte) << (8 * i);
    }
    if !tail.is_empty() {
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    (h ^ (h >> 15)) as i32
}

/// The partition of a key.
pub(crate) fn partition_for_key(key: &[u8], partitions: usize) -> i32 {
    let hash = (murmur2(key) & i32::MAX) as usize;
    (hash % partitions.max(1)) as i32
}

/// Records without a key stay with one partition for a batch's worth of bytes, then go on to a
/// random one (KIP-794): large batches, and no partition preferred.
#[derive(Debug)]
pub(crate) struct StickyPartitioner {
    batch_size: usize,
    sticky: HashMap<ByteString, Sticky>,
    chance: RandomState,
    draws: u64,
}

#[derive(Debug)]
struct Sticky {
    partition: i32,
    bytes: usize,
}

impl StickyPartitioner {
    pub(crate) fn new(batch_size: usize) -> Self {
        Self { batch_size: batch_size.max(1), sticky: HashMap::new(), chance: RandomState::new(), draws: 0 }
    }

    /// The partition for a record of so many bytes; `usable` are those that have a leader.
    pub(crate) fn partition(&mut self, topic: &ByteString, usable: &[i32], bytes: usize) -> Option<i32> {
        if let Some(sticky) = self.sticky.get_mut(topic)
            && sticky.bytes < self.batch_size
            && usable.contains(&sticky.partition)
        {
            sticky.bytes += bytes;
            return Some(sticky.partition);
        }
        self.draws += 1;
        let draw = self.chance.hash_one(self.draws) as usize;
        let partition = *usable.get(draw % usable.len().max(1))?;
        self.sticky.insert(topic.clone(), Sticky { partition, bytes });
        Some(partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_java_client() {
        // Printed by org.apache.kafka.common.utils.Utils.murmur2.
        let cases: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in cases {
            assert_eq!(murmur2(key), hash, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn a_partition_is_kept_for_a_batch() {
        let mut partitioner = StickyPartitioner::new(100);
        let topic = ByteString::from_static("t");
        let usable: Vec<i32> = (0..50).collect();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            let first = partitioner.partition(&topic, &usable, 50).unwrap();
            assert_eq!(partitioner.partition(&topic, &usable, 50), Some(first));
            seen.insert(first);
        }
        assert!(seen.len() > 10, "{seen:?}");
        assert_eq!(partitioner.partition(&topic, &[], 1), None);
    }
}
