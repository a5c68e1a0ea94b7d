//! A metadata record with the version to write it in, and its bytes in the log.

use bytes::Bytes;
use ottla_protocol::records::metadata::MetadataRecord;
use ottla_protocol::{DecodeError, EncodeError, Reader, Writer};

/// The frame around a metadata record: its own version, then the record's number and version.
const FRAME_VERSION: u32 = 1;

/// A metadata record and the version its bytes have.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiMessageAndVersion {
    /// The record.
    pub message: MetadataRecord,
    /// Its version on disk, which `metadata.version` chooses.
    pub version: i16,
}

impl ApiMessageAndVersion {
    /// Pairs a record with its version.
    pub fn new(message: impl Into<MetadataRecord>, version: i16) -> Self {
        Self { message: message.into(), version }
    }

    /// The value of a log record that carries this metadata record.
    pub fn to_bytes(&self) -> Result<Bytes, EncodeError> {
        let mut w = Writer::default();
        w.unsigned_varint(FRAME_VERSION);
        w.unsigned_varint(u32::from(self.message.api_key().unsigned_abs()));
        w.unsigned_varint(u32::from(self.version.unsigned_abs()));
        self.message.encode(&mut w, self.version)?;
        Ok(w.into_bytes())
    }

    /// Reads the value of a log record.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, MetadataParseError> {
        let mut r = Reader::new(bytes);
        let frame_version = r.unsigned_varint()?;
        if frame_version != FRAME_VERSION {
            return Err(MetadataParseError::FrameVersion(frame_version));
        }
        let api_key = r.unsigned_varint()?;
        let api_key = i16::try_from(api_key).map_err(|_| MetadataParseError::ApiKey(api_key))?;
        let version = r.unsigned_varint()?;
        let version = i16::try_from(version).map_err(|_| MetadataParseError::Version(version))?;
        let message = MetadataRecord::decode(api_key, version, &mut r)?;
        r.expect_end()?;
        Ok(Self { message, version })
    }
}

/// Why the value of a log record is no metadata record.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum MetadataParseError {
    /// The frame is from another age.
    #[error("metadata record frame has version {0}, only {FRAME_VERSION} is known")]
    FrameVersion(u32),
    /// The record's number does not fit.
    #[error("metadata record number {0} is out of range")]
    ApiKey(u32),
    /// The record's version does not fit.
    #[error("metadata record version {0} is out of range")]
    Version(u32),
    /// The record's own bytes are wrong.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::records::metadata::FeatureLevelRecord;

    #[test]
    fn frame_is_kafkas() {
        let record = ApiMessageAndVersion::new(
            FeatureLevelRecord { name: "a".into(), feature_level: 7, ..Default::default() },
            0,
        );
        let bytes = record.to_bytes().unwrap();
        assert_eq!(&bytes[..], &[1, 12, 0, 2, b'a', 0, 7, 0]);
        assert_eq!(ApiMessageAndVersion::from_bytes(bytes).unwrap(), record);
    }

    #[test]
    fn nonsense_is_an_error() {
        let parse = |bytes: &'static [u8]| ApiMessageAndVersion::from_bytes(Bytes::from_static(bytes));
        assert_eq!(parse(&[0, 12, 0]), Err(MetadataParseError::FrameVersion(0)));
        assert!(parse(&[1, 99, 0]).is_err());
        assert!(parse(&[]).is_err());
        assert!(parse(&[1, 12, 0, 2, b'a', 0, 7, 0, 0]).is_err());
    }
}
