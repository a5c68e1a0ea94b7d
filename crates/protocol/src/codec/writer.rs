use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use ottla_common::{TransferableRecords, Uuid};

use super::{EncodeError, Payload, RawTaggedField, Records};

/// Writes primitives into a growing buffer.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: BytesMut,
    /// Records that are sent from where they lie, each with its place in the buffer.
    elsewhere: Vec<(usize, Arc<dyn TransferableRecords>)>,
}

/// The known tagged fields of one struct, encoded and waiting for their count.
#[derive(Debug, Default)]
pub struct TaggedFields(Vec<(u32, Bytes)>);

impl TaggedFields {
    /// Adds a field; fields come in the order of their tags.
    pub fn push(
        &mut self,
        tag: u32,
        encode: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut w = Writer::default();
        encode(&mut w)?;
        self.0.push((tag, w.into_bytes()));
        Ok(())
    }
}

macro_rules! integers {
    ($($name:ident($type:ty);)*) => {
        $(
            #[doc = concat!("A big-endian `", stringify!($type), "`.")]
            #[inline]
            pub fn $name(&mut self, value: $type) {
                self.buffer.extend_from_slice(&value.to_be_bytes());
            }
        )*
    };
}

impl Writer {
    /// A writer whose buffer need not grow below this size.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { buffer: BytesMut::with_capacity(bytes), elsewhere: Vec::new() }
    }

    /// What was written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.buffer
    }

    /// How many bytes were written so far.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The bytes written, all of which must be in memory.
    pub fn into_bytes(self) -> Bytes {
        assert!(self.elsewhere.is_empty(), "records that lie elsewhere are parts of their own");
        self.buffer.freeze()
    }

    /// What was written, in the order to send it in.
    pub fn into_parts(self) -> Vec<Payload> {
        let mut rest = self.buffer.freeze();
        let mut parts = Vec::with_capacity(2 * self.elsewhere.len() + 1);
        let mut sent = 0;
        for (place, records) in self.elsewhere {
            parts.push(Payload::Bytes(rest.split_to(place - sent)));
            parts.push(Payload::Records(records));
            sent = place;
        }
        if !rest.is_empty() {
            parts.push(Payload::Bytes(rest));
        }
        parts
    }

    /// The buffer itself, for a caller that goes on writing.
    pub fn into_buffer(self) -> BytesMut {
        self.buffer
    }

    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    integers! { i8(i8); u8(u8); i16(i16); u16(u16); i32(i32); u32(u32); i64(i64); f64(f64); }

    /// One byte, 1 or 0.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self, id: Uuid) {
        self.buffer.put_slice(&id.0);
    }

    /// Seven bits a byte, lowest first.
    #[inline]
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8);
    }

    /// Text that is not null.
    pub fn string(&mut self, text: &str, flexible: bool) -> Result<(), EncodeError> {
        // Nobody reads more, also where a compact length could tell more.
        let len = i16::try_from(text.len()).map_err(|_| EncodeError::TooLong(text.len()))?;
        if flexible {
            self.compact_len(text.len())?;
        } else {
            self.i16(len);
        }
        self.buffer.put_slice(text.as_bytes());
        Ok(())
    }

    /// Text or null.
    pub fn nullable_string(&mut self, text: Option<&str>, flexible: bool) -> Result<(), EncodeError> {
        match text {
            Some(text) => self.string(text, flexible)?,
            None if flexible => self.unsigned_varint(0),
            None => self.i16(-1),
        }
        Ok(())
    }

    /// Bytes (or record batches) that are not null.
    pub fn bytes(&mut self, bytes: &[u8], flexible: bool) -> Result<(), EncodeError> {
        self.len_prefix(bytes.len(), flexible)?;
        self.buffer.put_slice(bytes);
        Ok(())
    }

    /// Bytes (or record batches) or null.
    pub fn nullable_bytes(&mut self, bytes: Option<&[u8]>, flexible: bool) -> Result<(), EncodeError> {
        match bytes {
            Some(bytes) => self.bytes(bytes, flexible)?,
            None => self.null_len(flexible),
        }
        Ok(())
    }

    /// An array that is not null.
    #[inline]
    pub fn array<T>(
        &mut self,
        elements: &[T],
        flexible: bool,
        mut encode: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.len_prefix(elements.len(), flexible)?;
        elements.iter().try_for_each(|element| encode(self, element))
    }

    /// Record batches that are not null.
    pub fn records(&mut self, records: &Records, flexible: bool) -> Result<(), EncodeError> {
        match records {
            Records::Memory(bytes) => self.bytes(bytes, flexible)?,
            Records::Elsewhere(records) => {
                self.len_prefix(records.size_in_bytes(), flexible)?;
                self.elsewhere.push((self.buffer.len(), Arc::clone(records)));
            }
        }
        Ok(())
    }

    /// Record batches or null.
    pub fn nullable_records(&mut self, records: Option<&Records>, flexible: bool) -> Result<(), EncodeError> {
        match records {
            Some(records) => self.records(records, flexible)?,
            None => self.null_len(flexible),
        }
        Ok(())
    }

    /// An array or null.
    #[inline]
    pub fn nullable_array<T>(
        &mut self,
        elements: Option<&[T]>,
        flexible: bool,
        encode: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        match elements {
            Some(elements) => self.array(elements, flexible, encode)?,
            None => self.null_len(flexible),
        }
        Ok(())
    }

    /// The tagged fields of a struct: those of this release and those it only carries, by tag.
    pub fn tagged_fields(
        &mut self,
        known: TaggedFields,
        unknown: &[RawTaggedField],
    ) -> Result<(), EncodeError> {
        let mut fields = known.0;
        fields.extend(unknown.iter().map(|f| (f.tag, f.data.clone())));
        if !unknown.is_empty() {
            fields.sort_by_key(|(tag, _)| *tag);
        }
        self.unsigned_varint(len_u32(fields.len())?);
        for (tag, data) in fields {
            self.unsigned_varint(tag);
            self.unsigned_varint(len_u32(data.len())?);
            self.buffer.put_slice(&data);
        }
        Ok(())
    }

    fn compact_len(&mut self, len: usize) -> Result<(), EncodeError> {
        self.unsigned_varint(len_u32(len + 1)?);
        Ok(())
    }

    fn len_prefix(&mut self, len: usize, flexible: bool) -> Result<(), EncodeError> {
        if flexible {
            return self.compact_len(len);
        }
        self.i32(i32::try_from(len).map_err(|_| EncodeError::TooLong(len))?);
        Ok(())
    }

    fn null_len(&mut self, flexible: bool) {
        if flexible { self.unsigned_varint(0) } else { self.i32(-1) }
    }
}

fn len_u32(len: usize) -> Result<u32, EncodeError> {
    u32::try_from(len).map_err(|_| EncodeError::TooLong(len))
}
