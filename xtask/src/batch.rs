//! Record batches (format v2), built and taken apart without the product's help.

use anyhow::{Result, ensure};

/// Bytes before the records of a batch.
const HEADER: usize = 61;
/// Offset of the first byte that the checksum covers.
const ATTRIBUTES: usize = 21;

/// Producer id, epoch and first sequence.
#[derive(Debug, Clone, Copy)]
pub struct Sequence {
    /// Producer id.
    pub producer: i64,
    /// Producer epoch.
    pub epoch: i16,
    /// Sequence of the first record.
    pub first: i32,
}

/// No idempotence.
pub const NO_SEQUENCE: Sequence = Sequence { producer: -1, epoch: -1, first: -1 };

/// An uncompressed batch of the given values, without keys.
pub fn build(values: &[Vec<u8>], timestamp: i64, sequence: Sequence) -> Vec<u8> {
    let mut records = Vec::new();
    for (delta, value) in values.iter().enumerate() {
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
    let count = values.len() as i32;
    let mut batch = Vec::with_capacity(HEADER + records.len());
    batch.extend(0_i64.to_be_bytes());
    batch.extend(((HEADER - 12 + records.len()) as i32).to_be_bytes());
    batch.extend((-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend([0; 4]);
    batch.extend(0_i16.to_be_bytes());
    batch.extend((count - 1).to_be_bytes());
    batch.extend(timestamp.to_be_bytes());
    batch.extend(timestamp.to_be_bytes());
    batch.extend(sequence.producer.to_be_bytes());
    batch.extend(sequence.epoch.to_be_bytes());
    batch.extend(sequence.first.to_be_bytes());
    batch.extend(count.to_be_bytes());
    batch.extend(records);
    let checksum = crc32c::crc32c(&batch[ATTRIBUTES..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    batch
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut left = ((value << 1) ^ (value >> 63)) as u64;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

/// What the header of a stored batch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Where the batch starts in the bytes looked at.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset after the last record.
    pub next_offset: i64,
    /// Producer id, or -1.
    pub producer: i64,
    /// Sequence of the first record, or -1.
    pub first_sequence: i32,
    /// Number of records.
    pub count: i32,
}

/// The headers of all whole batches, each with a correct checksum.
pub fn whole_batches(bytes: &[u8]) -> Result<Vec<Header>> {
    let mut batches = Vec::new();
    let mut start = 0;
    while bytes.len() - start >= HEADER {
        let length = usize::try_from(i32::from_be_bytes(number(bytes, start + 8)))?;
        let end = start + 12 + length;
        if end > bytes.len() {
            break;
        }
        ensure!(length >= HEADER - 12, "a batch of {length} bytes at {start}");
        ensure!(bytes[start + 16] == 2, "magic {} at {start}", bytes[start + 16]);
        let stored = u32::from_be_bytes(number(bytes, start + 17));
        let computed = crc32c::crc32c(&bytes[start + ATTRIBUTES..end]);
        ensure!(stored == computed, "wrong checksum at {start}");
        let base_offset = i64::from_be_bytes(number(bytes, start));
        let last_delta = i32::from_be_bytes(number(bytes, start + 23));
        batches.push(Header {
            start,
            end,
            base_offset,
            next_offset: base_offset + i64::from(last_delta) + 1,
            producer: i64::from_be_bytes(number(bytes, start + 43)),
            first_sequence: i32::from_be_bytes(number(bytes, start + 53)),
            count: i32::from_be_bytes(number(bytes, start + 57)),
        });
        start = end;
    }
    Ok(batches)
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_batch_reads_back() {
        let sequence = Sequence { producer: 7, epoch: 0, first: 5 };
        let batch = build(&[b"a".to_vec(), vec![0; 300]], 1, sequence);
        let headers = whole_batches(&batch).unwrap();
        assert_eq!(headers.len(), 1);
        assert_eq!((headers[0].next_offset, headers[0].producer, headers[0].first_sequence), (2, 7, 5));
        let mut torn = batch;
        torn[70] ^= 1;
        assert!(whole_batches(&torn).is_err());
    }
}
