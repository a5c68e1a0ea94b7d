//! Where the newest record of each key lies, in a bounded piece of memory.
//!
//! Keys are not kept, only 128 bits of a hash of each: two keys with the same hash would be taken for one. The
//! hash is SipHash under keys chosen by chance, so nobody can make such keys, as he could with Kafka's MD5. The
//! map never leaves memory, so which hash it is nobody sees; an entry takes as many bytes as Kafka's.

use std::hash::{BuildHasher, Hasher, RandomState};

/// 16 bytes of hash and 8 of offset.
pub(crate) const BYTES_PER_ENTRY: usize = 24;
/// Places that are tried by parts of the hash before neighbours are.
const HASHED_PROBES: usize = 16;

/// Hash, and offset + 1: no entry is all zero.
type Slot = [u64; 3];
const _: () = assert!(size_of::<Slot>() == BYTES_PER_ENTRY);

/// Newest offsets by key.
#[derive(Debug)]
pub(crate) struct OffsetMap {
    keys: RandomState,
    slots: Vec<Slot>,
    entries: usize,
    max_entries: usize,
    max_slots: usize,
    latest_offset: i64,
}

impl OffsetMap {
    /// A map of at most `max_slots`, of which only a part may be used. Memory is taken for no more than
    /// `expected` keys.
    pub(crate) fn new(keys: RandomState, max_slots: usize, load_factor: f64, expected: u64) -> Self {
        let max_slots = max_slots.max(2);
        let max_entries = ((max_slots as f64 * load_factor) as usize).clamp(1, max_slots - 1);
        let wanted = (expected as f64 / load_factor.clamp(0.01, 1.0)).ceil() + 2.0;
        let slots = (wanted as usize).clamp(2, max_slots);
        // Zeroed memory is not touched before it is used.
        let slots = vec![Slot::default(); slots];
        let max_entries = max_entries.min(slots.len() - 1);
        Self { keys, slots, entries: 0, max_entries, max_slots, latest_offset: -1 }
    }

    /// How many keys there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// Whether nothing more goes in, not even a newer offset of a key that is there: what follows has to wait
    /// for the next time.
    pub(crate) fn is_full(&self) -> bool {
        self.entries >= self.max_entries
    }

    /// The part of the memory there may be that is used.
    pub(crate) fn utilization(&self) -> f64 {
        self.entries as f64 / self.max_slots as f64
    }

    /// The offset up to which the map knows of all keys, -1 if it knows of none.
    pub(crate) fn latest_offset(&self) -> i64 {
        self.latest_offset
    }

    /// Moves that offset.
    pub(crate) fn update_latest_offset(&mut self, offset: i64) {
        self.latest_offset = offset;
    }

    /// Notes where a key was seen last.
    pub(crate) fn put(&mut self, key: &[u8], offset: i64) {
        assert!(!self.is_full() && offset >= 0, "OFFSET-MAP-BOUNDED: keys are put while there is room");
        let [high, low] = self.digest(key);
        let place = self.find([high, low]);
        let is_new = self.slots[place][2] == 0;
        self.slots[place] = [high, low, offset as u64 + 1];
        self.entries += usize::from(is_new);
        self.latest_offset = offset;
    }

    /// Where a key was seen last.
    pub(crate) fn get(&self, key: &[u8]) -> Option<i64> {
        let place = self.find(self.digest(key));
        self.slots[place][2].checked_sub(1).map(|offset| offset as i64)
    }

    /// Where a hash is, or would go. One slot at least is always free, so this comes to an end.
    fn find(&self, digest: [u64; 2]) -> usize {
        let mut attempt = 0;
        loop {
            let place = self.place(digest, attempt);
            let [high, low, offset] = self.slots[place];
            if offset == 0 || [high, low] == digest {
                return place;
            }
            attempt += 1;
        }
    }

    fn place(&self, digest: [u64; 2], attempt: usize) -> usize {
        let hashed = attempt.min(HASHED_PROBES - 1);
        let word = digest[hashed % 2].rotate_left(8 * (hashed / 2) as u32);
        // No slot has a number of more than 32 bits.
        let slot = (word >> 32) as usize % self.slots.len();
        (slot + (attempt - hashed)) % self.slots.len()
    }

    fn digest(&self, key: &[u8]) -> [u64; 2] {
        [1, 2].map(|half| {
            let mut hasher = self.keys.build_hasher();
            hasher.write_u8(half);
            hasher.write(key);
            hasher.finish()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn map(slots: usize) -> OffsetMap {
        OffsetMap::new(RandomState::new(), slots, 0.9, u64::MAX)
    }

    #[test]
    fn an_empty_map_knows_nothing() {
        let map = map(10);
        assert_eq!((map.get(b"a"), map.latest_offset(), map.len()), (None, -1, 0));
        assert_eq!(map.utilization(), 0.0);
    }

    #[test]
    fn no_more_goes_in_than_the_load_factor_allows() {
        let mut map = map(100);
        let mut put = 0;
        while !map.is_full() {
            map.put(format!("key-{put}").as_bytes(), put);
            put += 1;
        }
        assert_eq!((put, map.len()), (90, 90));
        assert_eq!(map.utilization(), 0.9);
        assert!((0..90).all(|i| map.get(format!("key-{i}").as_bytes()) == Some(i)));
        assert_eq!(map.get(b"key-90"), None);
    }

    #[test]
    fn memory_is_taken_for_what_is_expected() {
        let map = OffsetMap::new(RandomState::new(), 1 << 22, 0.9, 10);
        assert!(map.slots.len() < 20 && !map.is_full());
        let mut map = OffsetMap::new(RandomState::new(), 1 << 22, 0.9, 1000);
        for offset in 0..1000 {
            assert!(!map.is_full(), "{offset}");
            map.put(&i64::to_be_bytes(offset), offset);
        }
    }

    #[test]
    fn one_free_slot_is_always_left() {
        for slots in 0..5 {
            let mut map = OffsetMap::new(RandomState::new(), slots, 1.0, u64::MAX);
            let mut offset = 0;
            while !map.is_full() {
                map.put(&i64::to_be_bytes(offset), offset);
                offset += 1;
            }
            assert_eq!(map.get(b"unknown"), None);
        }
    }

    proptest! {
        #[test]
        fn it_is_a_map(puts in prop::collection::vec((0_u8..40, 0_i64..1000), 0..60)) {
            let mut map = map(100);
            let mut model = HashMap::new();
            for (key, offset) in puts {
                map.put(&[key], offset);
                model.insert(key, offset);
                prop_assert_eq!(map.latest_offset(), offset);
            }
            prop_assert_eq!(map.len(), model.len());
            for key in 0..=255 {
                prop_assert_eq!(map.get(&[key]), model.get(&key).copied());
            }
        }
    }
}
