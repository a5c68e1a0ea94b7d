mod owned;

use std::borrow::Cow;

pub use owned::{OwnedRecord, OwnedRecords, RecordHeader, SimpleRecord};

use crate::varint::{self, Cursor};
use crate::{
    CompressionType, DecompressionLimits, NO_SEQUENCE, RecordBatch, RecordError, TimestampType, header,
};

/// One record as read from a batch. Key, value and headers are the batch's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Absolute offset.
    pub offset: i64,
    /// Milliseconds since the epoch, or -1.
    pub timestamp: i64,
    /// The producer's sequence number, or -1.
    pub sequence: i32,
    /// Unused so far.
    pub attributes: i8,
    /// Bytes in the (uncompressed) batch.
    pub size_in_bytes: usize,
    /// Key or null.
    pub key: Option<&'a [u8]>,
    /// Value or null, which is a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Headers in their order, repeated keys included.
    pub headers: Headers<'a>,
}

/// The headers of a record, read when asked for; they were checked with the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    count: usize,
    bytes: &'a [u8],
}

/// A key and an optional value beside a record's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// UTF-8 by agreement; nobody checks.
    pub key: &'a [u8],
    /// Value or null.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// The key as text, with replacement characters where it is none.
    pub fn key_str(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key)
    }
}

impl<'a> Headers<'a> {
    /// How many.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let mut cursor = Cursor(self.bytes);
        (0..self.count).map_while(move |_| read_header(&mut cursor).ok())
    }

    /// The last with this key, which is the one that counts for most users.
    pub fn last(&self, key: &str) -> Option<Header<'a>> {
        self.iter().filter(|header| header.key == key.as_bytes()).last()
    }
}

/// A batch's records, decompressed if need be.
#[derive(Debug)]
pub struct BatchRecords<'a> {
    data: Cow<'a, [u8]>,
    context: Context,
}

impl<'a> BatchRecords<'a> {
    pub(crate) fn open<B: AsRef<[u8]>>(
        batch: &'a RecordBatch<B>,
        limits: &DecompressionLimits,
    ) -> Result<Self, RecordError> {
        let context = Context::of(batch)?;
        let data = match batch.compression_type()? {
            CompressionType::None => Cow::Borrowed(batch.records_data()),
            // A compacted batch may be empty and still carry its codec; there is nothing to unpack then.
            _ if context.count == 0 => Cow::Borrowed(&[][..]),
            codec => Cow::Owned(codec.decompress(batch.records_data(), limits)?),
        };
        Ok(Self { data, context })
    }

    /// How many, by the header.
    pub fn count(&self) -> usize {
        self.context.count
    }

    /// From the first on. After an error comes nothing more.
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter { cursor: Cursor(&self.data), context: self.context, read: 0 }
    }
}

impl<'a> IntoIterator for &'a BatchRecords<'_> {
    type Item = Result<Record<'a>, RecordError>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

/// What a record needs of its batch's header.
#[derive(Debug, Clone, Copy)]
struct Context {
    base_offset: i64,
    base_timestamp: i64,
    base_sequence: i32,
    log_append_time: Option<i64>,
    count: usize,
}

impl Context {
    fn of<B: AsRef<[u8]>>(batch: &RecordBatch<B>) -> Result<Self, RecordError> {
        let count = batch.count();
        Ok(Self {
            base_offset: batch.base_offset(),
            base_timestamp: batch.base_timestamp(),
            base_sequence: batch.base_sequence(),
            log_append_time: (batch.timestamp_type() == TimestampType::LogAppendTime)
                .then(|| batch.max_timestamp()),
            count: usize::try_from(count).map_err(|_| RecordError::InvalidCount(count))?,
        })
    }
}

/// Walks over a batch's records.
#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    cursor: Cursor<'a>,
    context: Context,
    read: usize,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.read >= self.context.count {
            return None;
        }
        self.read += 1;
        let record = read_record(&mut self.cursor, &self.context).and_then(|record| {
            let left = self.cursor.remaining();
            let overlong = self.read == self.context.count && left > 0;
            if overlong { Err(RecordError::TrailingBytes(left)) } else { Ok(record) }
        });
        if record.is_err() {
            self.read = self.context.count;
        }
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // The count is a claim of the header, so it bounds from above only.
        (0, Some(self.context.count - self.read))
    }
}

fn read_record<'a>(cursor: &mut Cursor<'a>, context: &Context) -> Result<Record<'a>, RecordError> {
    let before = cursor.remaining();
    let size = cursor.varint()?;
    let size = usize::try_from(size).map_err(|_| RecordError::InvalidRecordSize(i64::from(size)))?;
    let mut body = Cursor(cursor.take(size)?);
    let attributes = body.byte()? as i8;
    let timestamp_delta = body.varlong()?;
    let offset_delta = body.varint()?;
    let key = body.nullable_bytes()?;
    let value = body.nullable_bytes()?;
    let headers = read_headers(&mut body)?;
    if body.remaining() > 0 {
        return Err(RecordError::InvalidRecordSize(size as i64));
    }
    let sequence = match context.base_sequence {
        base if base >= 0 => header::increment_sequence(base, offset_delta),
        _ => NO_SEQUENCE,
    };
    Ok(Record {
        offset: context.base_offset.wrapping_add(i64::from(offset_delta)),
        timestamp: context
            .log_append_time
            .unwrap_or_else(|| context.base_timestamp.wrapping_add(timestamp_delta)),
        sequence,
        attributes,
        size_in_bytes: before - cursor.remaining(),
        key,
        value,
        headers,
    })
}

fn read_headers<'a>(body: &mut Cursor<'a>) -> Result<Headers<'a>, RecordError> {
    let count = body.varint()?;
    let invalid = RecordError::InvalidHeaderCount(count);
    let Ok(count) = usize::try_from(count) else { return Err(invalid) };
    if count > body.remaining() {
        return Err(invalid);
    }
    let bytes = body.0;
    for _ in 0..count {
        read_header(body)?;
    }
    Ok(Headers { count, bytes: &bytes[..bytes.len() - body.remaining()] })
}

fn read_header<'a>(cursor: &mut Cursor<'a>) -> Result<Header<'a>, RecordError> {
    let len = cursor.varint()?;
    let len = usize::try_from(len).map_err(|_| RecordError::InvalidHeaderKey(len))?;
    Ok(Header { key: cursor.take(len)?, value: cursor.nullable_bytes()? })
}

/// Bytes of a record after its size field.
pub(crate) fn size_of_body<'h>(
    offset_delta: i32,
    timestamp_delta: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl ExactSizeIterator<Item = Header<'h>>,
) -> usize {
    let count = varint::size_of_len(headers.len());
    let headers: usize = headers
        .map(|header| {
            varint::size_of_nullable_bytes(Some(header.key)) + varint::size_of_nullable_bytes(header.value)
        })
        .sum();
    1 + varint::size_of_varlong(timestamp_delta)
        + varint::size_of_varint(offset_delta)
        + varint::size_of_nullable_bytes(key)
        + varint::size_of_nullable_bytes(value)
        + count
        + headers
}

/// Writes a record whose body has the given size, which the caller knows to fit.
pub(crate) fn write_record<'h>(
    out: &mut Vec<u8>,
    body_size: usize,
    offset_delta: i32,
    timestamp_delta: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl ExactSizeIterator<Item = Header<'h>>,
) {
    varint::put_varint(out, body_size as i32);
    let body = out.len();
    out.push(0);
    varint::put_varlong(out, timestamp_delta);
    varint::put_varint(out, offset_delta);
    varint::put_nullable_bytes(out, key);
    varint::put_nullable_bytes(out, value);
    varint::put_varint(out, headers.len() as i32);
    for header in headers {
        varint::put_nullable_bytes(out, Some(header.key));
        varint::put_nullable_bytes(out, header.value);
    }
    assert_eq!(out.len() - body, body_size, "a record has the size foretold");
}
