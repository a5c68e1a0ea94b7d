use ottla_common::ErrorCode;
use thiserror::Error;

use crate::CompressionType;

/// Why bytes are no record batch, or a batch holds no readable records.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Fewer bytes than a batch's fixed part.
    #[error("record batch of {size} bytes is smaller than its fixed part of {minimum} bytes")]
    TooSmall {
        /// Bytes there are.
        size: usize,
        /// Bytes there must be.
        minimum: usize,
    },
    /// The length field cannot be the length of a batch.
    #[error("record batch has the invalid length field {0}")]
    InvalidLength(i32),
    /// The length field and the bytes at hand disagree.
    #[error("record batch says it has {declared} bytes, but {actual} are there")]
    SizeMismatch {
        /// Size by the length field.
        declared: usize,
        /// Size of the bytes at hand.
        actual: usize,
    },
    /// The bytes end within a batch.
    #[error("record batch of {declared} bytes is cut after {available} bytes")]
    Truncated {
        /// Size by the length field, or of the fixed part when that is cut.
        declared: usize,
        /// Bytes there are.
        available: usize,
    },
    /// A message format other than v2; Kafka 4 writes no other (KIP-724).
    #[error("record batch has magic {0}, only magic 2 is supported")]
    UnsupportedMagic(i8),
    /// The checksum in the header is not that of the bytes.
    #[error("record batch is corrupt: stored crc {stored}, computed crc {computed}")]
    InvalidCrc {
        /// Checksum in the header.
        stored: u32,
        /// Checksum of the bytes.
        computed: u32,
    },
    /// The attributes name a codec nobody knows.
    #[error("unknown compression type id {0}")]
    UnknownCompression(i16),
    /// The codec refused the bytes.
    #[error("cannot decompress {codec} records: {reason}")]
    Decompression {
        /// The codec by the attributes.
        codec: CompressionType,
        /// What the codec said.
        reason: String,
    },
    /// Decompressing would take more memory than allowed.
    #[error("decompressed records exceed {limit} bytes")]
    DecompressedTooLarge {
        /// Bytes that were allowed.
        limit: usize,
    },
    /// The count field is negative.
    #[error("invalid record count {0}")]
    InvalidCount(i32),
    /// The bytes end within a record.
    #[error("records end early: {needed} bytes needed, {available} left")]
    UnexpectedEnd {
        /// Bytes the record asks for.
        needed: usize,
        /// Bytes there are.
        available: usize,
    },
    /// A variable-length integer has too many bytes.
    #[error("variable-length integer is too long")]
    VarintTooLong,
    /// A record's size field is negative or does not fit its fields.
    #[error("invalid record size {0}")]
    InvalidRecordSize(i64),
    /// A header count is negative or larger than the record.
    #[error("invalid number of record headers {0}")]
    InvalidHeaderCount(i32),
    /// A header has a null key.
    #[error("invalid header key size {0}")]
    InvalidHeaderKey(i32),
    /// Bytes follow the last counted record.
    #[error("{0} bytes follow the last record of the batch")]
    TrailingBytes(usize),
    /// A control record's key is no version and type.
    #[error("invalid control record key")]
    InvalidControlKey,
    /// A control record's value is not of its type.
    #[error("invalid control record value")]
    InvalidControlValue,
}

impl RecordError {
    /// The code a client gets: damage of the batch as a whole asks it to send again, a batch that was
    /// built wrongly does not.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooSmall { .. }
            | Self::InvalidLength(_)
            | Self::SizeMismatch { .. }
            | Self::Truncated { .. }
            | Self::InvalidCrc { .. }
            | Self::Decompression { .. } => ErrorCode::CorruptMessage,
            // Formats there once were are refused as Kafka refuses them; there never were others.
            Self::UnsupportedMagic(0 | 1) => ErrorCode::InvalidRecord,
            Self::UnsupportedMagic(_) => ErrorCode::CorruptMessage,
            Self::UnknownCompression(_) => ErrorCode::UnsupportedCompressionType,
            Self::DecompressedTooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::InvalidCount(_)
            | Self::UnexpectedEnd { .. }
            | Self::VarintTooLong
            | Self::InvalidRecordSize(_)
            | Self::InvalidHeaderCount(_)
            | Self::InvalidHeaderKey(_)
            | Self::TrailingBytes(_)
            | Self::InvalidControlKey
            | Self::InvalidControlValue => ErrorCode::InvalidRecord,
        }
    }
}

/// Why a batch cannot be built from what was asked: a mistake of the caller, never of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// Offsets must grow.
    #[error("illegal offset {offset} after offset {last}: offsets must increase monotonically")]
    OffsetNotIncreasing {
        /// Offset of the record.
        offset: i64,
        /// Offset of the record before.
        last: i64,
    },
    /// The distance to the base offset must fit 31 bits.
    #[error("offset {offset} is too far from base offset {base_offset}")]
    OffsetOutOfRange {
        /// Offset of the record.
        offset: i64,
        /// First offset of the batch.
        base_offset: i64,
    },
    /// Timestamps are -1 or at least 0.
    #[error("invalid negative timestamp {0}")]
    NegativeTimestamp(i64),
    /// Control records go to control batches, others do not.
    #[error("control records can only be appended to control batches")]
    ControlMismatch,
    /// Transactions need a producer id.
    #[error("transactional records need a valid producer id")]
    TransactionalWithoutProducer,
    /// A producer id needs an epoch.
    #[error("invalid negative producer epoch")]
    NegativeProducerEpoch,
    /// A producer id needs a sequence, except in control batches.
    #[error("invalid negative sequence number")]
    NegativeSequence,
    /// A record, or all of them, are larger than the format can say.
    #[error("records of {0} bytes do not fit a batch")]
    TooLarge(usize),
    /// The codec failed.
    #[error("cannot compress with {codec}: {reason}")]
    Compression {
        /// The codec.
        codec: CompressionType,
        /// What it said.
        reason: String,
    },
}
