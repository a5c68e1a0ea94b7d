//! Messages with arbitrary contents, for tests that compare codecs.

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::Uuid;

use crate::Records;

/// A small deterministic source of field values (xorshift).
#[derive(Debug)]
pub struct Sampler {
    state: u64,
}

impl Sampler {
    /// The same seed gives the same messages.
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }

    /// A coin.
    pub fn bool(&mut self) -> bool {
        self.bits() & (1 << 40) != 0
    }

    /// Any id.
    pub fn uuid(&mut self) -> Uuid {
        Uuid::from_u128((u128::from(self.bits()) << 64) | u128::from(self.bits()))
    }

    /// A finite number.
    pub fn f64(&mut self) -> f64 {
        self.bits() as i32 as f64 / 8.0
    }

    /// Text of up to eleven letters, some of them of two bytes.
    pub fn string(&mut self) -> ByteString {
        let len = self.below(12);
        (0..len)
            .map(|_| ['a', 'z', '0', '.', '_', '-', 'ñ', 'ß'][self.below(8) as usize])
            .collect::<String>()
            .into()
    }

    /// Up to fifteen bytes.
    pub fn bytes(&mut self) -> Bytes {
        let len = self.below(16);
        (0..len).map(|_| self.bits() as u8).collect::<Vec<_>>().into()
    }

    /// Up to fifteen bytes where record batches would be.
    pub fn records(&mut self) -> Records {
        self.bytes().into()
    }

    /// Up to two elements.
    pub fn array<T>(&mut self, mut element: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let len = self.below(3);
        (0..len).map(|_| element(self)).collect()
    }

    /// Null once in four.
    pub fn option<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.below(4) == 0 { None } else { Some(value(self)) }
    }
}
