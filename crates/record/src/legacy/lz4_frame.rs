//! Format v0's lz4 frames have a wrong checksum in their header, computed over four bytes too many
//! (KAFKA-3160). The frame is read once it has the right one.

use std::borrow::Cow;

const MAGIC_BYTES: usize = 4;
const CONTENT_SIZE: u8 = 0x08;

/// The frame with the right header checksum.
pub(super) fn with_right_checksum(frame: &[u8]) -> Cow<'_, [u8]> {
    let has_content_size = frame.get(MAGIC_BYTES).is_some_and(|flags| flags & CONTENT_SIZE != 0);
    let at = MAGIC_BYTES + if has_content_size { 10 } else { 2 };
    let Some(stored) = frame.get(at) else { return Cow::Borrowed(frame) };
    let right = (xxh32_of_few(&frame[MAGIC_BYTES..at]) >> 8) as u8;
    if *stored == right {
        return Cow::Borrowed(frame);
    }
    let mut frame = frame.to_vec();
    frame[at] = right;
    Cow::Owned(frame)
}

/// XXH32 with seed 0, of fewer than 16 bytes.
fn xxh32_of_few(bytes: &[u8]) -> u32 {
    const PRIMES: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];
    let mut hash = PRIMES[4].wrapping_add(bytes.len() as u32);
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIMES[2]));
        hash = hash.rotate_left(17).wrapping_mul(PRIMES[3]);
    }
    for byte in rest {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(PRIMES[4]));
        hash = hash.rotate_left(11).wrapping_mul(PRIMES[0]);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(PRIMES[1]);
    hash = (hash ^ (hash >> 13)).wrapping_mul(PRIMES[2]);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_xxh32() {
        assert_eq!(xxh32_of_few(b""), 0x02cc_5d05);
        assert_eq!(xxh32_of_few(b"abc"), 0x32d1_53ff);
        assert_eq!(xxh32_of_few(&[0x60, 0x40]) >> 8 & 0xff, 0x82);
    }
}
