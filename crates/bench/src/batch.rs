//! Record batches (format v2): built in advance, checked when they come back.

use std::io::Write;

use anyhow::{Context, Result, bail, ensure};

use crate::wire::{i32_at, i64_at};

/// Bytes before the records of a batch.
pub const HEADER: usize = 61;
/// Where the checksum stands.
pub const CHECKSUM: usize = 17;
/// First byte that the checksum covers.
pub const ATTRIBUTES: usize = 21;
/// Bytes before the part that the batch's length counts.
pub const PREFIX: usize = 12;

/// How a producer compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// Attribute 3.
    Lz4,
    /// Attribute 4.
    Zstd,
}

impl Codec {
    /// By the name that Kafka gives it.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "none" => Ok(Self::None),
            "lz4" => Ok(Self::Lz4),
            "zstd" => Ok(Self::Zstd),
            other => bail!("unknown compression {other}; known: none, lz4, zstd"),
        }
    }

    fn attribute(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    fn compress(self, records: Vec<u8>) -> Result<Vec<u8>> {
        match self {
            Self::None => Ok(records),
            Self::Lz4 => {
                // Kafka reads frames of independent blocks of 64 KiB only.
                let info = lz4_flex::frame::FrameInfo::new()
                    .block_mode(lz4_flex::frame::BlockMode::Independent)
                    .block_size(lz4_flex::frame::BlockSize::Max64KB);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(&records)?;
                Ok(encoder.finish()?)
            }
            Self::Zstd => Ok(zstd::bulk::compress(&records, 3)?),
        }
    }
}

/// Shape of the batches of a run.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Records in a batch.
    pub records: usize,
    /// Bytes of a record's value.
    pub value: usize,
    /// What the producer does to them.
    pub codec: Codec,
}

impl Shape {
    /// As many records as fit in `limit` bytes before compression, one at least.
    pub fn fitting(limit: usize, value: usize, codec: Codec) -> Self {
        let room = limit.saturating_sub(HEADER);
        // Attributes, time delta, no key and no headers take a byte each; the varints their longest form.
        let body = value + 4 + varint_size(room / value.max(1)) + varint_size(value);
        let record = body + varint_size(body);
        Self { records: (room / record).max(1), value, codec }
    }

    /// The batch. Its values are text that compresses about as much as JSON events do.
    pub fn build(&self, timestamp_ms: i64) -> Result<Vec<u8>> {
        let mut records = Vec::new();
        let mut words = Words(0x9E37_79B9_7F4A_7C15);
        for delta in 0..self.records {
            let value = words.text(self.value);
            let mut record = vec![0];
            varint(&mut record, 0);
            varint(&mut record, delta as i64);
            varint(&mut record, -1);
            varint(&mut record, value.len() as i64);
            record.extend(value);
            varint(&mut record, 0);
            varint(&mut records, record.len() as i64);
            records.extend(record);
        }
        let body = self.codec.compress(records)?;
        let count = i32::try_from(self.records)?;
        let mut batch = Vec::with_capacity(HEADER + body.len());
        batch.extend(0_i64.to_be_bytes());
        batch.extend(i32::try_from(HEADER - PREFIX + body.len())?.to_be_bytes());
        batch.extend((-1_i32).to_be_bytes());
        batch.push(2);
        batch.extend([0; 4]);
        batch.extend([0, self.codec.attribute()]);
        batch.extend((count - 1).to_be_bytes());
        batch.extend(timestamp_ms.to_be_bytes());
        batch.extend(timestamp_ms.to_be_bytes());
        batch.extend((-1_i64).to_be_bytes());
        batch.extend((-1_i16).to_be_bytes());
        batch.extend((-1_i32).to_be_bytes());
        batch.extend(count.to_be_bytes());
        batch.extend(body);
        let checksum = crc32c::crc32c(&batch[ATTRIBUTES..]);
        batch[CHECKSUM..ATTRIBUTES].copy_from_slice(&checksum.to_be_bytes());
        Ok(batch)
    }
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut left = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while left >= 0x80 {
        out.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

fn varint_size(value: usize) -> usize {
    let mut out = Vec::new();
    varint(&mut out, value as i64);
    out.len()
}

/// Repeatable chance for texts and choices of partitions.
#[derive(Debug, Clone)]
pub struct Words(pub u64);

impl Words {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below the bound.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.draw()) * bound as u128) >> 64) as usize
    }

    fn text(&mut self, length: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(length + 32);
        while text.len() < length {
            let number = self.draw();
            let field = ["\"user\":", "\"page\":", "\"time\":", "\"price\":"][(number % 4) as usize];
            let _ = write!(text, "{field}{:08x},", number >> 32);
        }
        text.truncate(length);
        text
    }
}

/// What the header of a stored batch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the whole batch.
    pub size: usize,
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset after the last record.
    pub next_offset: i64,
}

impl Header {
    /// The header of the first batch, or None when it is not whole.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>> {
        if bytes.len() < HEADER {
            return Ok(None);
        }
        let size = PREFIX + usize::try_from(i32_at(bytes, 8)).context("a negative batch length")?;
        ensure!(size >= HEADER, "a batch of {size} bytes");
        ensure!(bytes[16] == 2, "magic {}", bytes[16]);
        let base_offset = i64_at(bytes, 0);
        Ok(Some(Self { size, base_offset, next_offset: base_offset + i64::from(i32_at(bytes, 23)) + 1 }))
    }
}

/// Whether the checksum of a whole batch is right.
pub fn checksum_holds(batch: &[u8]) -> bool {
    i32_at(batch, CHECKSUM).cast_unsigned() == crc32c::crc32c(&batch[ATTRIBUTES..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_records_as_fit() {
        for (limit, value) in [(1024, 100), (16384, 1024), (65536, 100), (1_000_000, 1024)] {
            let shape = Shape::fitting(limit, value, Codec::None);
            let batch = shape.build(1).unwrap();
            assert!(
                batch.len() <= limit && batch.len() + 2 * value > limit - limit / 100,
                "{} of {limit}",
                batch.len()
            );
            let header = Header::read(&batch).unwrap().unwrap();
            assert_eq!((header.size, header.next_offset), (batch.len(), shape.records as i64));
            assert!(checksum_holds(&batch));
        }
        assert_eq!(Shape::fitting(0, 1024, Codec::None).records, 1);
    }

    #[test]
    fn texts_compress_and_a_flipped_bit_shows() {
        for codec in [Codec::Lz4, Codec::Zstd] {
            let plain = Shape { records: 100, value: 100, codec: Codec::None }.build(1).unwrap();
            let mut packed = Shape { records: 100, value: 100, codec }.build(1).unwrap();
            assert!(packed.len() * 10 < plain.len() * 9, "{codec:?}: {} of {}", packed.len(), plain.len());
            packed[70] ^= 1;
            assert!(!checksum_holds(&packed));
        }
    }
}
