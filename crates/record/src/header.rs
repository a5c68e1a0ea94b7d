use std::fmt;

use bytes::Bytes;

use crate::{CompressionType, RecordError};

/// Bytes of base offset and length, which the length field does not count.
pub const LOG_OVERHEAD: usize = 12;
/// Bytes of a batch before its records.
pub const RECORD_BATCH_OVERHEAD: usize = 61;
/// Bytes one must have to know a batch's size and format.
pub const HEADER_SIZE_UP_TO_MAGIC: usize = 17;
/// The only message format written since Kafka 4.0.
pub const CURRENT_MAGIC_VALUE: i8 = 2;
/// Says "no timestamp".
pub const NO_TIMESTAMP: i64 = -1;
/// Says "no idempotent producer".
pub const NO_PRODUCER_ID: i64 = -1;
/// Says "no idempotent producer".
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// Says "no idempotent producer".
pub const NO_SEQUENCE: i32 = -1;
/// Says "not yet appended by a leader".
pub const NO_PARTITION_LEADER_EPOCH: i32 = -1;

pub(crate) mod at {
    pub(crate) const BASE_OFFSET: usize = 0;
    pub(crate) const LENGTH: usize = 8;
    pub(crate) const PARTITION_LEADER_EPOCH: usize = 12;
    pub(crate) const MAGIC: usize = 16;
    pub(crate) const CRC: usize = 17;
    pub(crate) const ATTRIBUTES: usize = 21;
    pub(crate) const LAST_OFFSET_DELTA: usize = 23;
    pub(crate) const BASE_TIMESTAMP: usize = 27;
    pub(crate) const MAX_TIMESTAMP: usize = 35;
    pub(crate) const PRODUCER_ID: usize = 43;
    pub(crate) const PRODUCER_EPOCH: usize = 51;
    pub(crate) const BASE_SEQUENCE: usize = 53;
    pub(crate) const RECORDS_COUNT: usize = 57;
}

const _: () = assert!(at::RECORDS_COUNT + 4 == RECORD_BATCH_OVERHEAD);

pub(crate) mod flag {
    pub(crate) const COMPRESSION: i16 = 0x07;
    pub(crate) const LOG_APPEND_TIME: i16 = 0x08;
    pub(crate) const TRANSACTIONAL: i16 = 0x10;
    pub(crate) const CONTROL: i16 = 0x20;
    pub(crate) const DELETE_HORIZON: i16 = 0x40;
    /// The bits with a meaning.
    pub(crate) const KNOWN: i16 = 0x7f;
}

/// Whose clock stamped the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's, when it appended the batch.
    LogAppendTime,
}

impl TimestampType {
    /// Kafka's number, as in ListOffsets' and the log's tools.
    pub const fn id(self) -> i32 {
        match self {
            Self::CreateTime => 0,
            Self::LogAppendTime => 1,
        }
    }

    /// The value of `message.timestamp.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateTime => "CreateTime",
            Self::LogAppendTime => "LogAppendTime",
        }
    }

    /// Reads the value of `message.timestamp.type`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::CreateTime, Self::LogAppendTime].into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for TimestampType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The fixed part of a batch: all that can be known without its records, which may be elsewhere.
///
/// Built only over bytes that hold the whole fixed part with a plausible length and magic 2, so no getter
/// can fail; whether the values are true, only [`RecordBatch::ensure_valid`](crate::RecordBatch::ensure_valid) tells.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordBatchHeader<B = Bytes> {
    pub(crate) bytes: B,
}

impl<B: AsRef<[u8]>> RecordBatchHeader<B> {
    /// Looks at a batch's first 61 bytes; more may follow.
    pub fn new(bytes: B) -> Result<Self, RecordError> {
        let slice = bytes.as_ref();
        check_size(slice)?;
        if slice.len() < RECORD_BATCH_OVERHEAD {
            return Err(RecordError::TooSmall { size: slice.len(), minimum: RECORD_BATCH_OVERHEAD });
        }
        Ok(Self { bytes })
    }

    /// Offset of the first record, or of the first there was before compaction.
    pub fn base_offset(&self) -> i64 {
        i64::from_be_bytes(self.field(at::BASE_OFFSET))
    }

    /// The length field: bytes after itself.
    pub fn length(&self) -> i32 {
        i32::from_be_bytes(self.field(at::LENGTH))
    }

    /// Bytes of the whole batch, by its length field.
    pub fn size_in_bytes(&self) -> usize {
        LOG_OVERHEAD + self.length() as usize
    }

    /// Epoch of the leader that appended the batch.
    pub fn partition_leader_epoch(&self) -> i32 {
        i32::from_be_bytes(self.field(at::PARTITION_LEADER_EPOCH))
    }

    /// Always 2.
    pub fn magic(&self) -> i8 {
        i8::from_be_bytes(self.field(at::MAGIC))
    }

    /// The stored CRC-32C of all that follows it.
    pub fn crc(&self) -> u32 {
        u32::from_be_bytes(self.field(at::CRC))
    }

    /// The raw flags.
    pub fn attributes(&self) -> i16 {
        i16::from_be_bytes(self.field(at::ATTRIBUTES))
    }

    /// Distance of the last offset to the base offset; compaction keeps it.
    pub fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(self.field(at::LAST_OFFSET_DELTA))
    }

    /// Offset of the last record, or of the last there was before compaction.
    pub fn last_offset(&self) -> i64 {
        self.base_offset().wrapping_add(i64::from(self.last_offset_delta()))
    }

    /// The offset after the last.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().wrapping_add(1)
    }

    /// What record timestamps are relative to; the delete horizon when that flag is set.
    pub fn base_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.field(at::BASE_TIMESTAMP))
    }

    /// Largest timestamp of the records, or the log append time.
    pub fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.field(at::MAX_TIMESTAMP))
    }

    /// Producer of the batch, or -1.
    pub fn producer_id(&self) -> i64 {
        i64::from_be_bytes(self.field(at::PRODUCER_ID))
    }

    /// Epoch of the producer, or -1.
    pub fn producer_epoch(&self) -> i16 {
        i16::from_be_bytes(self.field(at::PRODUCER_EPOCH))
    }

    /// Sequence of the first record, or -1.
    pub fn base_sequence(&self) -> i32 {
        i32::from_be_bytes(self.field(at::BASE_SEQUENCE))
    }

    /// Sequence of the last record, or -1. Wraps at the largest integer to 0.
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence() {
            NO_SEQUENCE => NO_SEQUENCE,
            base => increment_sequence(base, self.last_offset_delta()),
        }
    }

    /// How many records follow, by the header.
    pub fn count(&self) -> i32 {
        i32::from_be_bytes(self.field(at::RECORDS_COUNT))
    }

    /// Whether an idempotent producer made it.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id() > NO_PRODUCER_ID
    }

    /// Whether it belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.has(flag::TRANSACTIONAL)
    }

    /// Whether it holds control records, which consumers do not see.
    pub fn is_control_batch(&self) -> bool {
        self.has(flag::CONTROL)
    }

    /// Whose clock stamped it.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.has(flag::LOG_APPEND_TIME) { TimestampType::LogAppendTime } else { TimestampType::CreateTime }
    }

    /// When tombstones and aborted markers in it may go (KIP-534).
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        self.has(flag::DELETE_HORIZON).then(|| self.base_timestamp())
    }

    /// The codec of the records.
    pub fn compression_type(&self) -> Result<CompressionType, RecordError> {
        let id = self.attributes() & flag::COMPRESSION;
        CompressionType::from_id(id).ok_or(RecordError::UnknownCompression(id))
    }

    /// Whether a codec is set, known or not.
    pub fn is_compressed(&self) -> bool {
        self.has(flag::COMPRESSION)
    }

    /// The bytes looked at.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    fn has(&self, flags: i16) -> bool {
        self.attributes() & flags != 0
    }

    fn field<const N: usize>(&self, position: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.bytes.as_ref()[position..position + N]);
        field
    }
}

/// Changes that leave the checksum true, because it does not cover these fields.
impl<B: AsRef<[u8]> + AsMut<[u8]>> RecordBatchHeader<B> {
    /// Moves the batch to another base offset.
    pub fn set_base_offset(&mut self, offset: i64) {
        self.put(at::BASE_OFFSET, offset.to_be_bytes());
    }

    /// Moves the batch so that its last record gets this offset.
    pub fn set_last_offset(&mut self, offset: i64) {
        self.set_base_offset(offset.wrapping_sub(i64::from(self.last_offset_delta())));
    }

    /// Notes the epoch of the leader that appends the batch.
    pub fn set_partition_leader_epoch(&mut self, epoch: i32) {
        self.put(at::PARTITION_LEADER_EPOCH, epoch.to_be_bytes());
    }

    pub(crate) fn put<const N: usize>(&mut self, position: usize, field: [u8; N]) {
        self.bytes.as_mut()[position..position + N].copy_from_slice(&field);
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for RecordBatchHeader<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordBatch")
            .field("offsets", &(self.base_offset()..=self.last_offset()))
            .field("size", &self.size_in_bytes())
            .field("leader_epoch", &self.partition_leader_epoch())
            .field("producer_id", &self.producer_id())
            .field("producer_epoch", &self.producer_epoch())
            .field("base_sequence", &self.base_sequence())
            .field("attributes", &format_args!("{:#04x}", self.attributes()))
            .field("max_timestamp", &self.max_timestamp())
            .field("count", &self.count())
            .field("crc", &self.crc())
            .finish()
    }
}

/// The sequence so many records later. Wraps at the largest integer to 0.
pub const fn increment_sequence(sequence: i32, increment: i32) -> i32 {
    (sequence as i64 + increment as i64).rem_euclid(1 << 31) as i32
}

/// The sequence so many records earlier.
pub const fn decrement_sequence(sequence: i32, decrement: i32) -> i32 {
    (sequence as i64 - decrement as i64).rem_euclid(1 << 31) as i32
}

/// The size of the batch these bytes start with, from as few of them as possible.
///
/// `None` when there are too few bytes to tell. Fails when no batch can start like this.
pub fn peek_batch_size(bytes: &[u8]) -> Result<Option<usize>, RecordError> {
    if bytes.len() < HEADER_SIZE_UP_TO_MAGIC {
        return Ok(None);
    }
    check_size(bytes).map(Some)
}

/// Size by the length field; fails when that or the magic is not a batch's.
fn check_size(bytes: &[u8]) -> Result<usize, RecordError> {
    let too_small = RecordError::TooSmall { size: bytes.len(), minimum: RECORD_BATCH_OVERHEAD };
    let length = bytes.get(at::LENGTH..).and_then(|rest| rest.first_chunk::<4>());
    let (Some(length), Some(magic)) = (length, bytes.get(at::MAGIC)) else { return Err(too_small) };
    let length = i32::from_be_bytes(*length);
    let magic = *magic as i8;
    if magic != CURRENT_MAGIC_VALUE {
        return Err(RecordError::UnsupportedMagic(magic));
    }
    if length < (RECORD_BATCH_OVERHEAD - LOG_OVERHEAD) as i32 {
        return Err(RecordError::InvalidLength(length));
    }
    Ok(LOG_OVERHEAD + length as usize)
}
