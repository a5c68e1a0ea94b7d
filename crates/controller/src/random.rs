//! Chance, passed in by the front door so that a seed replays everything.

use ottla_common::Uuid;

/// A source of randomness for placement and ids. Not for secrets.
pub trait Random: std::fmt::Debug + Send {
    /// The next 64 bits.
    fn next_u64(&mut self) -> u64;

    /// A number below `bound`, which is above 0.
    fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "RANDOM-BOUND: nothing is below 0");
        usize::try_from(self.next_u64() % (bound as u64)).unwrap_or(0)
    }

    /// A new id, never a reserved one.
    fn uuid(&mut self) -> Uuid {
        loop {
            let bits = (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64());
            if let Some(id) = Uuid::from_random_bytes(bits.to_be_bytes()) {
                return id;
            }
        }
    }
}

/// Puts the items in any order (Fisher-Yates).
pub fn shuffle<T>(items: &mut [T], random: &mut dyn Random) {
    for i in (1..items.len()).rev() {
        items.swap(i, random.below(i + 1));
    }
}

/// The same seed gives the same numbers (xoroshiro128+).
#[derive(Debug, Clone)]
pub struct SeededRandom {
    a: u64,
    b: u64,
}

impl SeededRandom {
    /// Starts from a seed of 128 bits.
    pub fn new(seed: u128) -> Self {
        let (a, b) = ((seed >> 64) as u64, seed as u64);
        // All zeroes would stay zeroes.
        Self { a: a ^ 0x9e37_79b9_7f4a_7c15, b: b | 1 }
    }
}

impl Random for SeededRandom {
    fn next_u64(&mut self) -> u64 {
        let result = self.a.wrapping_add(self.b);
        let b = self.b ^ self.a;
        self.a = self.a.rotate_left(24) ^ b ^ (b << 16);
        self.b = b.rotate_left(37);
        result
    }
}
