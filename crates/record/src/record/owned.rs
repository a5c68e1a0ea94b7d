use std::borrow::Cow;

use bytes::Bytes;

use super::{BatchRecords, Context, Header, Record, RecordIter};
use crate::varint::Cursor;
use crate::{DecompressionLimits, RecordBatch, RecordError};

/// A header with memory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHeader {
    /// UTF-8 by agreement.
    pub key: Bytes,
    /// Value or null.
    pub value: Option<Bytes>,
}

impl RecordHeader {
    /// A header.
    pub fn new(key: impl Into<Bytes>, value: Option<impl Into<Bytes>>) -> Self {
        Self { key: key.into(), value: value.map(Into::into) }
    }

    pub(crate) fn borrow(&self) -> Header<'_> {
        Header { key: &self.key, value: self.value.as_deref() }
    }
}

/// What a producer knows of a record before it has an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimpleRecord {
    /// Milliseconds since the epoch, or -1.
    pub timestamp: i64,
    /// Key or null.
    pub key: Option<Bytes>,
    /// Value or null.
    pub value: Option<Bytes>,
    /// Headers in their order.
    pub headers: Vec<RecordHeader>,
}

impl SimpleRecord {
    /// A record without headers.
    pub fn new(timestamp: i64, key: Option<impl Into<Bytes>>, value: Option<impl Into<Bytes>>) -> Self {
        Self { timestamp, key: key.map(Into::into), value: value.map(Into::into), headers: Vec::new() }
    }

    /// A record of nothing but a value.
    pub fn of_value(timestamp: i64, value: impl Into<Bytes>) -> Self {
        Self { timestamp, key: None, value: Some(value.into()), headers: Vec::new() }
    }

    /// The same with these headers.
    #[must_use]
    pub fn with_headers(mut self, headers: Vec<RecordHeader>) -> Self {
        self.headers = headers;
        self
    }
}

/// A record that outlives its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    /// Absolute offset.
    pub offset: i64,
    /// Milliseconds since the epoch, or -1.
    pub timestamp: i64,
    /// The producer's sequence number, or -1.
    pub sequence: i32,
    /// Bytes in the (uncompressed) batch.
    pub size_in_bytes: usize,
    /// Key or null.
    pub key: Option<Bytes>,
    /// Value or null.
    pub value: Option<Bytes>,
    /// Headers in their order.
    pub headers: Vec<RecordHeader>,
}

impl From<OwnedRecord> for SimpleRecord {
    fn from(record: OwnedRecord) -> Self {
        let OwnedRecord { timestamp, key, value, headers, .. } = record;
        Self { timestamp, key, value, headers }
    }
}

/// Walks over a batch's records and shares its memory with each.
#[derive(Debug, Clone)]
pub struct OwnedRecords {
    data: Bytes,
    position: usize,
    context: Context,
    read: usize,
}

impl OwnedRecords {
    pub(crate) fn open(
        batch: &RecordBatch<Bytes>,
        limits: &DecompressionLimits,
    ) -> Result<Self, RecordError> {
        let BatchRecords { data, context } = BatchRecords::open(batch, limits)?;
        let data = match data {
            Cow::Borrowed([]) => Bytes::new(),
            Cow::Borrowed(records) => batch.bytes().slice_ref(records),
            Cow::Owned(records) => Bytes::from(records),
        };
        Ok(Self { data, position: 0, context, read: 0 })
    }

    fn own(&self, record: &Record<'_>) -> OwnedRecord {
        let share = |part: &[u8]| self.data.slice_ref(part);
        OwnedRecord {
            offset: record.offset,
            timestamp: record.timestamp,
            sequence: record.sequence,
            size_in_bytes: record.size_in_bytes,
            key: record.key.map(share),
            value: record.value.map(share),
            headers: record
                .headers
                .iter()
                .map(|header| RecordHeader { key: share(header.key), value: header.value.map(share) })
                .collect(),
        }
    }
}

impl Iterator for OwnedRecords {
    type Item = Result<OwnedRecord, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = RecordIter {
            cursor: Cursor(&self.data[self.position..]),
            context: self.context,
            read: self.read,
        };
        let record = rest.next()?.map(|record| self.own(&record));
        let (left, read) = (rest.cursor.remaining(), rest.read);
        self.position = self.data.len() - left;
        self.read = read;
        Some(record)
    }
}
