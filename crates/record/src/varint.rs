//! Zigzag integers of variable length, as records use them.

use crate::RecordError;

/// Reads from a slice and remembers what is left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn remaining(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, RecordError> {
        let (first, rest) =
            self.0.split_first().ok_or(RecordError::UnexpectedEnd { needed: 1, available: 0 })?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        if len > self.0.len() {
            return Err(RecordError::UnexpectedEnd { needed: len, available: self.0.len() });
        }
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(taken)
    }

    /// A zigzag integer of at most five bytes. Nearly all have one or two: those are read without a loop,
    /// because every record of an uncompressed batch is walked over once when it is appended.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<i32, RecordError> {
        match *self.0 {
            [one, ref rest @ ..] if one < 0x80 => {
                self.0 = rest;
                Ok(unzigzag32(u32::from(one)))
            }
            [one, two, ref rest @ ..] if two < 0x80 => {
                self.0 = rest;
                Ok(unzigzag32(u32::from(one & 0x7f) | u32::from(two) << 7))
            }
            _ => self.long_varint(),
        }
    }

    /// A zigzag integer of at most ten bytes.
    #[inline]
    pub(crate) fn varlong(&mut self) -> Result<i64, RecordError> {
        match *self.0 {
            [one, ref rest @ ..] if one < 0x80 => {
                self.0 = rest;
                Ok(unzigzag64(u64::from(one)))
            }
            _ => self.long_varlong(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<i32, RecordError> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(unzigzag32(value));
            }
        }
        Err(RecordError::VarintTooLong)
    }

    #[inline(never)]
    fn long_varlong(&mut self) -> Result<i64, RecordError> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(unzigzag64(value));
            }
        }
        Err(RecordError::VarintTooLong)
    }

    /// A length and that many bytes; a negative length is null.
    pub(crate) fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, RecordError> {
        let len = self.varint()?;
        match usize::try_from(len) {
            Ok(len) => self.take(len).map(Some),
            Err(_) => Ok(None),
        }
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_unsigned(out, u64::from(zigzag32(value)));
}

pub(crate) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    put_unsigned(out, zigzag64(value));
}

pub(crate) fn put_nullable_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}

pub(crate) const fn size_of_varint(value: i32) -> usize {
    size_of_unsigned(zigzag32(value) as u64)
}

pub(crate) const fn size_of_varlong(value: i64) -> usize {
    size_of_unsigned(zigzag64(value))
}

pub(crate) fn size_of_nullable_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| size_of_len(bytes.len()) + bytes.len())
}

/// Size of a length as a zigzag integer.
pub(crate) const fn size_of_len(len: usize) -> usize {
    size_of_unsigned((len as u64) << 1)
}

const fn unzigzag32(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

const fn unzigzag64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

const fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

const fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

const fn size_of_unsigned(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_integer_comes_back_and_has_the_size_foretold(
            int in prop_oneof![any::<i32>(), -70..70i32, -9_000..9_000i32],
            long in prop_oneof![any::<i64>(), -70..70i64, -9_000..9_000i64],
        ) {
            let mut out = Vec::new();
            put_varint(&mut out, int);
            prop_assert_eq!(out.len(), size_of_varint(int));
            put_varlong(&mut out, long);
            prop_assert_eq!(out.len(), size_of_varint(int) + size_of_varlong(long));
            let mut cursor = Cursor(&out);
            prop_assert_eq!(cursor.varint(), Ok(int));
            prop_assert_eq!(cursor.varlong(), Ok(long));
            prop_assert_eq!(cursor.remaining(), 0);
        }
    }

    #[test]
    fn endless_integers_are_refused() {
        assert_eq!(Cursor(&[0xff; 20]).varint(), Err(RecordError::VarintTooLong));
        assert_eq!(Cursor(&[0xff; 20]).varlong(), Err(RecordError::VarintTooLong));
        assert!(matches!(Cursor(&[0xff; 3]).varint(), Err(RecordError::UnexpectedEnd { .. })));
    }
}
