//! The flexible versions of the protocol (KIP-482) for the tests' small client: compact lengths and tags.

use anyhow::{Context, Result, ensure};

use crate::wire::{Answer, Body, Client};

/// A topic id.
pub type TopicId = [u8; 16];

/// No longer variable-length number fits into 32 bits.
const VARINT_BYTES_MAX: u32 = 5;

/// Writes what the flexible versions have of their own.
pub trait Flexible: Sized {
    /// A number in as few bytes as it needs.
    fn uvarint(self, value: u32) -> Self;
    /// How many elements follow.
    fn count(self, count: usize) -> Self;
    /// A string with its length.
    fn compact(self, value: &str) -> Self;
    /// A string that may be missing.
    fn maybe(self, value: Option<&str>) -> Self;
    /// An array of strings.
    fn strings(self, values: &[&str]) -> Self;
    /// An array of numbers.
    fn numbers(self, values: &[i32]) -> Self;
    /// Bytes with their length.
    fn compact_bytes(self, value: &[u8]) -> Self;
    /// A topic id.
    fn id(self, value: &TopicId) -> Self;
    /// No string, no array.
    fn null(self) -> Self;
    /// No tagged fields.
    fn tags(self) -> Self;
}

impl Flexible for Body {
    fn uvarint(mut self, value: u32) -> Self {
        let mut left = value;
        while left >= 0x80 {
            self.0.push(left as u8 | 0x80);
            left >>= 7;
        }
        self.0.push(left as u8);
        self
    }

    fn count(self, count: usize) -> Self {
        self.uvarint(count as u32 + 1)
    }

    fn compact(self, value: &str) -> Self {
        self.compact_bytes(value.as_bytes())
    }

    fn maybe(self, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.compact(value),
            None => self.null(),
        }
    }

    fn strings(self, values: &[&str]) -> Self {
        values.iter().fold(self.count(values.len()), |body, value| body.compact(value))
    }

    fn numbers(self, values: &[i32]) -> Self {
        values.iter().fold(self.count(values.len()), |body, value| body.i32(*value))
    }

    fn compact_bytes(self, value: &[u8]) -> Self {
        let mut body = self.count(value.len());
        body.0.extend(value);
        body
    }

    fn id(mut self, value: &TopicId) -> Self {
        self.0.extend(value);
        self
    }

    fn null(self) -> Self {
        self.uvarint(0)
    }

    fn tags(self) -> Self {
        self.uvarint(0)
    }
}

/// Reads what the flexible versions have of their own.
pub trait FlexibleAnswer {
    /// A number in as few bytes as it needs.
    fn uvarint(&mut self) -> Result<u32>;
    /// A string; a missing one reads as empty.
    fn compact(&mut self) -> Result<String>;
    /// The elements of an array; a missing one reads as empty.
    fn compact_list<T>(&mut self, element: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>>;
    /// A topic id.
    fn id(&mut self) -> Result<TopicId>;
    /// Skips tagged fields.
    fn tags(&mut self) -> Result<()>;
}

impl FlexibleAnswer for Answer {
    fn uvarint(&mut self) -> Result<u32> {
        let mut value = 0_u32;
        for step in 0..VARINT_BYTES_MAX {
            let byte = u32::from(self.i8()? as u8);
            value |= (byte & 0x7f) << (7 * step);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        anyhow::bail!("a number of more than {VARINT_BYTES_MAX} bytes")
    }

    fn compact(&mut self) -> Result<String> {
        let length = self.uvarint()?.saturating_sub(1);
        let bytes = (0..length).map(|_| Ok(self.i8()? as u8)).collect::<Result<Vec<u8>>>()?;
        Ok(String::from_utf8(bytes)?)
    }

    fn compact_list<T>(&mut self, mut element: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let count = self.uvarint()?.saturating_sub(1);
        (0..count).map(|_| element(self)).collect()
    }

    fn id(&mut self) -> Result<TopicId> {
        let mut id = [0; 16];
        for byte in &mut id {
            *byte = self.i8()? as u8;
        }
        Ok(id)
    }

    fn tags(&mut self) -> Result<()> {
        for _ in 0..self.uvarint()? {
            self.uvarint()?;
            for _ in 0..self.uvarint()? {
                self.i8()?;
            }
        }
        Ok(())
    }
}

/// A request with a version 2 header; the answer's version 1 header has been read.
pub fn call(client: &mut Client, key: i16, version: i16, body: Body) -> Result<Answer> {
    // The header ends with tagged fields, of which there are none.
    let mut flexible = Body::default().tags();
    flexible.0.extend(body.0);
    let mut answer = client.call(key, version, flexible)?;
    answer.tags()?;
    Ok(answer)
}

/// The id of a topic.
pub fn topic_id(client: &mut Client, topic: &str) -> Result<TopicId> {
    let body = Body::default().count(1).id(&[0; 16]).compact(topic).tags().i8(0).i8(0).tags();
    let mut answer = call(client, 3, 12, body)?;
    answer.i32()?;
    answer.compact_list(|a| {
        a.i32()?;
        a.compact()?;
        a.i32()?;
        a.compact()?;
        a.tags()
    })?;
    answer.compact()?;
    answer.i32()?;
    // Only the first topic is needed, and its partitions come after the id.
    ensure!(answer.uvarint()? == 2, "Metadata does not name one topic");
    let error = answer.i16()?;
    ensure!(error == 0, "Metadata of {topic} answered {error}");
    answer.compact()?;
    answer.id().context("a topic id")
}
