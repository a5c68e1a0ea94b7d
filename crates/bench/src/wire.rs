//! The protocol's primitive types, and the frames around requests.

use anyhow::{Context, Result};

/// Api keys that are spoken here, each in one version that Kafka 4.x still accepts.
pub mod api {
    /// Produce v7.
    pub const PRODUCE: (i16, i16) = (0, 7);
    /// Fetch v4.
    pub const FETCH: (i16, i16) = (1, 4);
    /// ListOffsets v1.
    pub const LIST_OFFSETS: (i16, i16) = (2, 1);
    /// Metadata v4.
    pub const METADATA: (i16, i16) = (3, 4);
    /// ApiVersions v0.
    pub const API_VERSIONS: (i16, i16) = (18, 0);
    /// CreateTopics v2.
    pub const CREATE_TOPICS: (i16, i16) = (19, 2);
    /// All of them.
    pub const ALL: [(i16, i16); 6] = [PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS, CREATE_TOPICS];
}

/// Writes primitive types.
#[derive(Debug, Default, Clone)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// A number in network order.
    pub fn i8(&mut self, value: i8) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A number in network order.
    pub fn i16(&mut self, value: i16) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A number in network order.
    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A number in network order.
    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// The number of elements or bytes that follow.
    pub fn count(&mut self, count: usize) -> &mut Self {
        self.i32(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// A string with its length.
    pub fn string(&mut self, value: &str) -> &mut Self {
        self.i16(i16::try_from(value.len()).unwrap_or(i16::MAX));
        self.0.extend(value.as_bytes());
        self
    }

    /// The null string.
    pub fn null(&mut self) -> &mut Self {
        self.i16(-1)
    }

    /// Bytes with their length.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.count(value.len());
        self.0.extend(value);
        self
    }
}

/// A whole frame: length, version 1 header and what `body` writes.
pub fn request(api: (i16, i16), correlation: i32, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut frame = Writer::default();
    frame.i32(0).i16(api.0).i16(api.1).i32(correlation).string("kbench");
    body(&mut frame);
    let length = i32::try_from(frame.0.len() - 4).unwrap_or(i32::MAX);
    frame.0[..4].copy_from_slice(&length.to_be_bytes());
    frame.0
}

/// Reads primitive types.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the start of the bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next byte is read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count).context("a length overflows")?;
        let slice = self.bytes.get(self.at..end).context("too short")?;
        self.at = end;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    /// A number in network order.
    pub fn i8(&mut self) -> Result<i8> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    /// A number in network order.
    pub fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    /// A number in network order.
    pub fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// A number in network order.
    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A number of elements or bytes; null counts as none.
    pub fn count(&mut self) -> Result<usize> {
        Ok(usize::try_from(self.i32()?).unwrap_or(0))
    }

    /// A string; null reads as empty.
    pub fn string(&mut self) -> Result<&'a str> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        Ok(std::str::from_utf8(self.take(length)?)?)
    }

    /// Bytes; null reads as empty.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.count()?;
        self.take(length)
    }

    /// The elements of an array.
    pub fn list<T>(&mut self, mut element: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let count = self.count()?;
        let mut list = Vec::with_capacity(count.min(4096));
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(list)
    }
}

/// A number in network order at a place whose bounds were checked.
pub fn i32_at(bytes: &[u8], at: usize) -> i32 {
    bytes.get(at..at + 4).map_or(0, |four| i32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}

/// A number in network order at a place whose bounds were checked.
pub fn i64_at(bytes: &[u8], at: usize) -> i64 {
    bytes.get(at..at + 8).map_or(0, |eight| {
        i64::from_be_bytes([eight[0], eight[1], eight[2], eight[3], eight[4], eight[5], eight[6], eight[7]])
    })
}
