use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::Uuid;

use super::{DecodeError, RawTaggedField, Records};

/// Kafka refuses longer arrays since 4.4, whatever the frame's size.
const ARRAY_ELEMENTS_MAX: usize = 1_000_000;
/// Memory for at most this many elements is taken before their bytes were seen.
const ARRAY_RESERVE_MAX: usize = 1_000;
/// Kafka refuses longer texts, also where a compact length could claim more.
const STRING_BYTES_MAX: usize = i16::MAX as usize;
/// Kafka refuses more tagged fields in one struct since 4.4.
const TAGGED_FIELDS_MAX: u32 = 10_000;

/// Reads primitives from a frame. Strings and bytes share the frame's memory.
#[derive(Debug, Clone)]
pub struct Reader {
    frame: Bytes,
    position: usize,
}

macro_rules! integers {
    ($($name:ident -> $type:ty;)*) => {
        $(
            #[doc = concat!("A big-endian `", stringify!($type), "`.")]
            #[inline]
            pub fn $name(&mut self) -> Result<$type, DecodeError> {
                Ok(<$type>::from_be_bytes(self.array_of()?))
            }
        )*
    };
}

impl Reader {
    /// Starts at the first byte.
    pub fn new(frame: Bytes) -> Self {
        Self { frame, position: 0 }
    }

    /// How many bytes are unread.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.frame.len() - self.position
    }

    /// The unread bytes, sharing the frame's memory.
    pub fn rest(&self) -> Bytes {
        self.frame.slice(self.position..)
    }

    /// Fails when bytes are left.
    pub fn expect_end(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            extra => Err(DecodeError::TrailingBytes { extra }),
        }
    }

    integers! {
        i8 -> i8; u8 -> u8; i16 -> i16; u16 -> u16; i32 -> i32; u32 -> u32; i64 -> i64; f64 -> f64;
    }

    /// One byte; anything but zero is true, as in Kafka.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.u8()? != 0)
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid(self.array_of()?))
    }

    /// An unsigned integer of seven bits a byte, lowest first, at most five bytes.
    #[inline]
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::VarintTooLong)
    }

    /// Text that may not be null.
    pub fn string(&mut self, flexible: bool) -> Result<ByteString, DecodeError> {
        self.nullable_string(flexible)?.ok_or(DecodeError::InvalidLength(-1))
    }

    /// Text or null.
    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<ByteString>, DecodeError> {
        let len = if flexible { self.compact_len()? } else { nullable_len(i64::from(self.i16()?))? };
        let Some(len) = len else { return Ok(None) };
        if len > STRING_BYTES_MAX {
            return Err(DecodeError::InvalidLength(len as i64));
        }
        let bytes = self.slice(len)?;
        ByteString::try_from(bytes).map(Some).map_err(|_| DecodeError::InvalidUtf8)
    }

    /// Bytes that may not be null.
    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes, DecodeError> {
        self.nullable_bytes(flexible)?.ok_or(DecodeError::InvalidLength(-1))
    }

    /// Bytes or null.
    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<Bytes>, DecodeError> {
        let len = if flexible { self.compact_len()? } else { nullable_len(i64::from(self.i32()?))? };
        len.map(|len| self.slice(len)).transpose()
    }

    /// Record batches that may not be null.
    pub fn records(&mut self, flexible: bool) -> Result<Records, DecodeError> {
        self.bytes(flexible).map(Records::from)
    }

    /// Record batches or null.
    pub fn nullable_records(&mut self, flexible: bool) -> Result<Option<Records>, DecodeError> {
        Ok(self.nullable_bytes(flexible)?.map(Records::from))
    }

    /// An array that may not be null.
    #[inline]
    pub fn array<T>(
        &mut self,
        flexible: bool,
        element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.nullable_array(flexible, element)?.ok_or(DecodeError::InvalidLength(-1))
    }

    /// An array or null. Memory grows with the elements read, not with the length claimed.
    #[inline]
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let len = if flexible { self.compact_len()? } else { nullable_len(i64::from(self.i32()?))? };
        let Some(len) = len else { return Ok(None) };
        // No element of any message is shorter than a byte.
        if len > self.remaining() || len > ARRAY_ELEMENTS_MAX {
            return Err(DecodeError::ArrayTooLong(len as u64));
        }
        let mut elements = Vec::with_capacity(len.min(ARRAY_RESERVE_MAX));
        for _ in 0..len {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// A struct, or null as a negative byte.
    pub fn nullable_struct<T>(
        &mut self,
        decode: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.i8()? < 0 { Ok(None) } else { decode(self).map(Some) }
    }

    /// A struct in a tagged field, or null as a zero: there Kafka's marker is an unsigned varint.
    pub fn nullable_tagged_struct<T>(
        &mut self,
        decode: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.unsigned_varint()? {
            1..=0x7fff_ffff => decode(self).map(Some),
            _ => Ok(None),
        }
    }

    /// The tagged fields of a struct. `known` reads those it knows and answers `false` to others,
    /// which are kept as they came.
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<Vec<RawTaggedField>, DecodeError> {
        let count = self.unsigned_varint()?;
        if count > TAGGED_FIELDS_MAX {
            return Err(DecodeError::TooManyTaggedFields(count));
        }
        let mut unknown = Vec::new();
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()? as usize;
            let end = self.position.saturating_add(size);
            if known(self, tag)? {
                if self.position != end {
                    return Err(DecodeError::TaggedFieldLength { tag });
                }
            } else {
                unknown.push(RawTaggedField { tag, data: self.slice(size)? });
            }
        }
        Ok(unknown)
    }

    /// The next bytes, sharing the frame's memory.
    pub fn slice(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        self.ensure(len)?;
        let bytes = self.frame.slice(self.position..self.position + len);
        self.position += len;
        Ok(bytes)
    }

    fn compact_len(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok((self.unsigned_varint()? as usize).checked_sub(1))
    }

    #[inline]
    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut bytes = [0u8; N];
        let Some(source) = self.frame.get(self.position..self.position + N) else {
            return Err(self.truncated(N));
        };
        bytes.copy_from_slice(source);
        self.position += N;
        Ok(bytes)
    }

    #[inline]
    fn ensure(&self, len: usize) -> Result<(), DecodeError> {
        if len <= self.remaining() { Ok(()) } else { Err(self.truncated(len)) }
    }

    fn truncated(&self, len: usize) -> DecodeError {
        DecodeError::Truncated { missing: (len - self.remaining()) as u64 }
    }
}

/// Kafka's classic lengths: -1 is null, anything lower is an attack or a mistake.
fn nullable_len(len: i64) -> Result<Option<usize>, DecodeError> {
    match len {
        -1 => Ok(None),
        0.. => Ok(Some(len as usize)),
        _ => Err(DecodeError::InvalidLength(len)),
    }
}
