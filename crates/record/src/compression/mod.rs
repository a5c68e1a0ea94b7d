//! The codecs of a batch's records, framed as Kafka's clients frame them.
//!
//! Frames around the data are Java's byte for byte: the gzip header, xerial's snappy header and its 32 KiB
//! blocks, the lz4 frame of independent 64 KiB blocks without content checksum, a zstd frame without content
//! size, ended by an empty block. The data inside is equal too for snappy and zstd (as of zstd 1.5.7 on both
//! sides); for gzip and lz4 it is another encoder's and differs in bytes. Each side reads the other's.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use thiserror::Error;

use crate::{BuildError, RecordError};

/// A codec, as the attributes of a batch name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub enum CompressionType {
    /// Records as they are.
    #[default]
    None,
    /// Deflate in a gzip member.
    Gzip,
    /// Snappy blocks in xerial's framing.
    Snappy,
    /// An lz4 frame.
    Lz4,
    /// A zstd frame.
    Zstd,
}

/// No codec has this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown compression name: {0}")]
pub struct UnknownCompressionName(pub String);

impl CompressionType {
    /// All of them, by number.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in the attributes.
    pub const fn id(self) -> i16 {
        self as i16
    }

    /// The codec with this number.
    pub fn from_id(id: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.id() == id)
    }

    /// The value of `compression.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Lowest, highest and default level, for codecs that have levels (KIP-390).
    /// Gzip's default stands below its lowest level and means "the library's choice".
    pub const fn levels(self) -> Option<Levels> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some(Levels { min: 1, max: 9, default: -1 }),
            Self::Lz4 => Some(Levels { min: 1, max: 17, default: 9 }),
            Self::Zstd => Some(Levels { min: -131_072, max: 22, default: 3 }),
        }
    }

    /// Unpacks, into at most as many bytes as the limits allow.
    pub fn decompress(self, data: &[u8], limits: &DecompressionLimits) -> Result<Vec<u8>, RecordError> {
        let limit = limits.for_input(data.len());
        let unpacked = match self {
            Self::None => Ok(data.to_vec()),
            Self::Gzip => gzip::decompress(data, limit),
            Self::Snappy => snappy::decompress(data, limit),
            Self::Lz4 => lz4::decompress(data, limit),
            Self::Zstd => zstd::decompress(data, limit),
        };
        unpacked.map_err(|error| match error {
            CodecError::TooLarge => RecordError::DecompressedTooLarge { limit },
            CodecError::Corrupt(reason) => RecordError::Decompression { codec: self, reason },
        })
    }
}

impl fmt::Display for CompressionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CompressionType {
    type Err = UnknownCompressionName;

    fn from_str(name: &str) -> Result<Self, UnknownCompressionName> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name() == name)
            .ok_or_else(|| UnknownCompressionName(name.to_owned()))
    }
}

/// A codec's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// Fastest.
    pub min: i32,
    /// Smallest.
    pub max: i32,
    /// What Kafka takes when nobody says.
    pub default: i32,
}

impl Levels {
    /// Whether Kafka accepts this level.
    pub const fn contains(&self, level: i32) -> bool {
        level == self.default || (self.min <= level && level <= self.max)
    }
}

/// A codec and its level: how to write.
///
/// Lz4 has one strength only here, whatever the level: the fast one, as Kafka's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Compression {
    codec: CompressionType,
    level: i32,
}

impl Compression {
    /// Records as they are.
    pub const NONE: Self = Self::of(CompressionType::None);

    /// The codec at its default level.
    pub const fn of(codec: CompressionType) -> Self {
        let level = match codec.levels() {
            Some(levels) => levels.default,
            None => 0,
        };
        Self { codec, level }
    }

    /// The codec at some level; `None` when it has no such level.
    pub fn with_level(codec: CompressionType, level: i32) -> Option<Self> {
        codec.levels()?.contains(level).then_some(Self { codec, level })
    }

    /// The codec.
    pub const fn compression_type(&self) -> CompressionType {
        self.codec
    }

    /// The level; 0 for codecs without.
    pub const fn level(&self) -> i32 {
        self.level
    }

    /// Packs the data and appends it.
    pub fn compress(&self, data: &[u8], out: &mut Vec<u8>) -> Result<(), BuildError> {
        let packed = match self.codec {
            CompressionType::None => {
                out.extend_from_slice(data);
                Ok(())
            }
            CompressionType::Gzip => gzip::compress(data, self.level, out),
            CompressionType::Snappy => snappy::compress(data, out),
            CompressionType::Lz4 => lz4::compress(data, out),
            CompressionType::Zstd => zstd::compress(data, self.level, out),
        };
        packed.map_err(|reason| BuildError::Compression { codec: self.codec, reason })
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<CompressionType> for Compression {
    fn from(codec: CompressionType) -> Self {
        Self::of(codec)
    }
}

/// How much memory a compressed batch may become. Both bounds hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecompressionLimits {
    /// No batch gets larger than this.
    pub bytes_max: usize,
    /// No batch grows by more than this factor, once it is larger than [`Self::RATIO_FREE_BYTES`].
    pub ratio_max: usize,
}

impl DecompressionLimits {
    /// Any batch may become this large: repetition packs well, and this much harms nobody.
    pub const RATIO_FREE_BYTES: usize = 16 << 20;

    /// Only an absolute bound.
    pub const fn bytes(bytes_max: usize) -> Self {
        Self { bytes_max, ratio_max: usize::MAX }
    }

    fn for_input(&self, len: usize) -> usize {
        self.bytes_max.min(len.saturating_mul(self.ratio_max).max(Self::RATIO_FREE_BYTES))
    }
}

impl Default for DecompressionLimits {
    fn default() -> Self {
        Self { bytes_max: 256 << 20, ratio_max: 1_000 }
    }
}

enum CodecError {
    TooLarge,
    Corrupt(String),
}

impl CodecError {
    fn corrupt(reason: impl fmt::Display) -> Self {
        Self::Corrupt(reason.to_string())
    }
}

/// Reads all there is, unless it is more than the limit.
fn read_bounded(reader: impl Read, input_len: usize, limit: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::with_capacity(input_len.saturating_mul(3).min(limit));
    let read = reader.take(limit as u64 + 1).read_to_end(&mut out).map_err(CodecError::corrupt)?;
    if read > limit { Err(CodecError::TooLarge) } else { Ok(out) }
}
