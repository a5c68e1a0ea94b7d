//! Message formats v0 and v1, from before Kafka 0.11: read where an old log still has them, never written.
//!
//! There is no batch: each message has an offset, a checksum, a key and a value of its own. Compressed, a
//! run of messages is the value of a wrapper message, whose offset is that of the last one inside.

mod lz4_frame;

use std::borrow::Cow;
use std::ops::Deref;

use bytes::Bytes;
use flate2::Crc;

use crate::record::OwnedRecord;
use crate::{
    CompressionType, DecompressionLimits, HEADER_SIZE_UP_TO_MAGIC, LOG_OVERHEAD, NO_SEQUENCE, NO_TIMESTAMP,
    RecordError, TimestampType, peek_batch_size,
};

const MAGIC_AT: usize = 16;
const CODEC: i8 = 0x07;
const LOG_APPEND_TIME: i8 = 0x08;

/// The fixed part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyHeader {
    offset: i64,
    length: u32,
    crc: u32,
    magic: i8,
    attributes: i8,
    timestamp: i64,
}

impl LegacyHeader {
    /// As many bytes as [`Self::parse`] may look at.
    pub const MAX_BYTES: usize = 26;

    /// Reads the fixed part; more may follow.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        check_size(bytes)?;
        let magic = bytes[MAGIC_AT] as i8;
        let mut fields = Fields(bytes);
        let offset = i64::from_be_bytes(fields.array()?);
        let length = u32::from_be_bytes(fields.array()?);
        let crc = u32::from_be_bytes(fields.array()?);
        let [_, attributes] = fields.array()?;
        let timestamp = if magic == 0 { NO_TIMESTAMP } else { i64::from_be_bytes(fields.array()?) };
        Ok(Self { offset, length, crc, magic, attributes: attributes as i8, timestamp })
    }

    /// The message's offset; of a wrapper, that of the last message inside.
    pub const fn offset(&self) -> i64 {
        self.offset
    }

    /// Bytes with offset and length.
    pub const fn size_in_bytes(&self) -> usize {
        LOG_OVERHEAD + self.length as usize
    }

    /// The stored CRC-32 of all that follows it.
    pub const fn crc(&self) -> u32 {
        self.crc
    }

    /// 0 or 1.
    pub const fn magic(&self) -> i8 {
        self.magic
    }

    /// Format v0 has none: -1. A wrapper has the largest of those inside.
    pub const fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// Whose clock stamped it; nobody's in format v0.
    pub const fn timestamp_type(&self) -> Option<TimestampType> {
        match self.magic {
            0 => None,
            _ if self.attributes & LOG_APPEND_TIME != 0 => Some(TimestampType::LogAppendTime),
            _ => Some(TimestampType::CreateTime),
        }
    }

    /// The codec, which says whether this is a wrapper.
    pub fn compression_type(&self) -> Result<CompressionType, RecordError> {
        let id = i16::from(self.attributes & CODEC);
        CompressionType::from_id(id).ok_or(RecordError::UnknownCompression(id))
    }
}

/// One whole message, exactly as on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyMessage<B = Bytes> {
    header: LegacyHeader,
    bytes: B,
}

impl<B: AsRef<[u8]>> LegacyMessage<B> {
    /// Takes bytes that are exactly one message. Checks the size, not the checksum.
    pub fn new(bytes: B) -> Result<Self, RecordError> {
        let header = LegacyHeader::parse(bytes.as_ref())?;
        let (declared, actual) = (header.size_in_bytes(), bytes.as_ref().len());
        if declared != actual {
            return Err(RecordError::SizeMismatch { declared, actual });
        }
        Ok(Self { header, bytes })
    }

    /// Fails when the checksum is wrong.
    pub fn ensure_valid(&self) -> Result<(), RecordError> {
        let mut crc = Crc::new();
        crc.update(&self.bytes.as_ref()[MAGIC_AT..]);
        let (stored, computed) = (self.crc, crc.sum());
        if stored == computed { Ok(()) } else { Err(RecordError::InvalidCrc { stored, computed }) }
    }

    /// Whether the checksum is right.
    pub fn is_valid(&self) -> bool {
        self.ensure_valid().is_ok()
    }

    /// Key or null.
    pub fn key(&self) -> Result<Option<&[u8]>, RecordError> {
        self.key_and_value().map(|[key, _]| key)
    }

    /// Value or null; of a wrapper, the packed messages.
    pub fn value(&self) -> Result<Option<&[u8]>, RecordError> {
        self.key_and_value().map(|[_, value]| value)
    }

    fn key_and_value(&self) -> Result<[Option<&[u8]>; 2], RecordError> {
        let fixed = if self.magic == 0 { 18 } else { 26 };
        let mut fields = Fields(self.bytes.as_ref().get(fixed..).unwrap_or_default());
        Ok([fields.nullable_bytes()?, fields.nullable_bytes()?])
    }

    /// What a consumer sees: the message itself, or those inside with their own offsets and times.
    pub fn messages(&self, limits: &DecompressionLimits) -> Result<Vec<LegacyMessage>, RecordError> {
        let codec = self.compression_type()?;
        if codec == CompressionType::None {
            let bytes = Bytes::copy_from_slice(self.bytes.as_ref());
            return Ok(vec![LegacyMessage { header: self.header, bytes }]);
        }
        // Neither has existed: zstd came later than format v2, wrappers without content never.
        let Some(packed) = self.value()? else { return Err(RecordError::InvalidRecordSize(-1)) };
        if codec == CompressionType::Zstd {
            return Err(RecordError::UnknownCompression(codec.id()));
        }
        let packed = match codec {
            CompressionType::Lz4 if self.magic == 0 => lz4_frame::with_right_checksum(packed),
            _ => Cow::Borrowed(packed),
        };
        let mut inside = split(codec.decompress(&packed, limits)?.into())?;
        self.place(&mut inside)?;
        Ok(inside)
    }

    /// The same as records, without headers and sequences: there were none.
    pub fn records(&self, limits: &DecompressionLimits) -> Result<Vec<OwnedRecord>, RecordError> {
        self.messages(limits)?.iter().map(LegacyMessage::to_record).collect()
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Format v1 counts the offsets inside from 0 (KIP-31), and the broker's time is noted outside only.
    fn place(&self, inside: &mut [LegacyMessage]) -> Result<(), RecordError> {
        let Some(last) = inside.last().map(|message| message.offset) else {
            return Err(RecordError::InvalidCount(0));
        };
        // An offset of 0 is what some producers sent, whatever they had packed.
        let base = match self.magic {
            0 => None,
            _ if self.offset == 0 => Some(0),
            _ if last < 0 || self.offset < last => return Err(RecordError::InvalidCount(0)),
            _ => Some(self.offset - last),
        };
        for message in inside {
            if message.compression_type()? != CompressionType::None {
                return Err(RecordError::UnknownCompression(i16::from(message.header.attributes)));
            }
            message.header.offset = message.offset.wrapping_add(base.unwrap_or(0));
            if message.magic == 1 && self.timestamp_type() == Some(TimestampType::LogAppendTime) {
                message.header.timestamp = self.timestamp;
                message.header.attributes |= LOG_APPEND_TIME;
            }
        }
        Ok(())
    }
}

impl LegacyMessage {
    fn to_record(&self) -> Result<OwnedRecord, RecordError> {
        let [key, value] = self.key_and_value()?;
        let share = |part: &[u8]| if part.is_empty() { Bytes::new() } else { self.bytes.slice_ref(part) };
        Ok(OwnedRecord {
            offset: self.offset,
            timestamp: self.timestamp,
            sequence: NO_SEQUENCE,
            size_in_bytes: self.size_in_bytes(),
            key: key.map(share),
            value: value.map(share),
            headers: Vec::new(),
        })
    }
}

impl<B> Deref for LegacyMessage<B> {
    type Target = LegacyHeader;

    fn deref(&self) -> &LegacyHeader {
        &self.header
    }
}

/// Like [`peek_batch_size`], for whatever an old log may hold: a batch, or a message of formats v0 and v1.
pub fn peek_log_entry_size(bytes: &[u8]) -> Result<Option<usize>, RecordError> {
    match bytes.get(MAGIC_AT) {
        Some(0 | 1) => check_size(bytes).map(Some),
        _ => peek_batch_size(bytes),
    }
}

fn check_size(bytes: &[u8]) -> Result<usize, RecordError> {
    let minimum = match bytes.get(MAGIC_AT) {
        Some(0) => 14,
        Some(1) => 22,
        Some(other) => return Err(RecordError::UnsupportedMagic(*other as i8)),
        None => return Err(RecordError::TooSmall { size: bytes.len(), minimum: HEADER_SIZE_UP_TO_MAGIC }),
    };
    let length = i32::from_be_bytes(Fields(&bytes[8..]).array()?);
    match usize::try_from(length) {
        Ok(size) if size >= minimum => Ok(LOG_OVERHEAD + size),
        _ => Err(RecordError::InvalidLength(length)),
    }
}

/// The messages of an unpacked wrapper, whose end may be cut.
fn split(mut rest: Bytes) -> Result<Vec<LegacyMessage>, RecordError> {
    let mut messages = Vec::new();
    while rest.len() >= HEADER_SIZE_UP_TO_MAGIC {
        let size = check_size(&rest)?;
        if size > rest.len() {
            break;
        }
        messages.push(LegacyMessage::new(rest.split_to(size))?);
    }
    Ok(messages)
}

/// Big-endian fields one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], RecordError> {
        let short = RecordError::UnexpectedEnd { needed: count, available: self.0.len() };
        let (taken, rest) = self.0.split_at_checked(count).ok_or(short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, RecordError> {
        match i32::from_be_bytes(self.array()?) {
            len if len < 0 => Ok(None),
            len => self.take(len as usize).map(Some),
        }
    }
}

#[cfg(test)]
mod tests;
