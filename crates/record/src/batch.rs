use std::fmt;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;

use crate::header::{at, flag};
use crate::record::{BatchRecords, OwnedRecords};
use crate::{DecompressionLimits, RECORD_BATCH_OVERHEAD, RecordBatchHeader, RecordError, TimestampType};

/// One whole batch of message format v2, header and records, exactly as on the wire and on disk.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordBatch<B = Bytes> {
    header: RecordBatchHeader<B>,
}

impl<B: AsRef<[u8]>> RecordBatch<B> {
    /// Takes bytes that are exactly one batch. Checks sizes and magic, not the checksum.
    pub fn new(bytes: B) -> Result<Self, RecordError> {
        let header = RecordBatchHeader::new(bytes)?;
        let (declared, actual) = (header.size_in_bytes(), header.as_slice().len());
        if declared != actual {
            return Err(RecordError::SizeMismatch { declared, actual });
        }
        Ok(Self { header })
    }

    /// Fails when the checksum is wrong.
    pub fn ensure_valid(&self) -> Result<(), RecordError> {
        let (stored, computed) = (self.crc(), self.compute_crc());
        if stored == computed { Ok(()) } else { Err(RecordError::InvalidCrc { stored, computed }) }
    }

    /// Whether the checksum is right.
    pub fn is_valid(&self) -> bool {
        self.ensure_valid().is_ok()
    }

    /// CRC-32C of attributes, other header fields and records.
    pub fn compute_crc(&self) -> u32 {
        crc32c::crc32c(&self.as_slice()[at::ATTRIBUTES..])
    }

    /// The records as stored: compressed, if the batch is.
    pub fn records_data(&self) -> &[u8] {
        &self.as_slice()[RECORD_BATCH_OVERHEAD..]
    }

    /// The records, decompressed once if needed; iterate with [`BatchRecords::iter`].
    pub fn records(&self, limits: &DecompressionLimits) -> Result<BatchRecords<'_>, RecordError> {
        BatchRecords::open(self, limits)
    }

    /// Where the bytes are kept.
    pub fn into_inner(self) -> B {
        self.header.bytes
    }
}

impl RecordBatch<Bytes> {
    /// The bytes of the batch, shared.
    pub fn bytes(&self) -> &Bytes {
        &self.header.bytes
    }

    /// Records that outlive the batch: keys and values share its memory, or that of its decompressed copy.
    pub fn owned_records(&self, limits: &DecompressionLimits) -> Result<OwnedRecords, RecordError> {
        OwnedRecords::open(self, limits)
    }
}

/// Changes within the part the checksum covers; it is computed anew.
impl<B: AsRef<[u8]> + AsMut<[u8]>> RecordBatch<B> {
    /// Sets the largest timestamp and whose clock it is.
    pub fn set_max_timestamp(&mut self, timestamp_type: TimestampType, max_timestamp: i64) {
        if self.timestamp_type() == timestamp_type && self.max_timestamp() == max_timestamp {
            return;
        }
        let mut attributes = self.attributes() & flag::KNOWN & !flag::LOG_APPEND_TIME;
        if timestamp_type == TimestampType::LogAppendTime {
            attributes |= flag::LOG_APPEND_TIME;
        }
        self.header.put(at::ATTRIBUTES, attributes.to_be_bytes());
        self.header.put(at::MAX_TIMESTAMP, max_timestamp.to_be_bytes());
        self.update_crc();
    }

    /// Names the producer of a batch that was built without one, or is sent anew after an epoch bump.
    pub fn set_producer_state(&mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) {
        self.header.put(at::PRODUCER_ID, producer_id.to_be_bytes());
        self.header.put(at::PRODUCER_EPOCH, producer_epoch.to_be_bytes());
        self.header.put(at::BASE_SEQUENCE, base_sequence.to_be_bytes());
        self.update_crc();
    }

    fn update_crc(&mut self) {
        let crc = self.compute_crc();
        self.header.put(at::CRC, crc.to_be_bytes());
    }
}

impl<B> Deref for RecordBatch<B> {
    type Target = RecordBatchHeader<B>;

    fn deref(&self) -> &Self::Target {
        &self.header
    }
}

impl<B> DerefMut for RecordBatch<B> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.header
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for RecordBatch<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.header.fmt(f)
    }
}
