//! How primitives look on the wire (KIP-482), and what bounds them.

mod error;
mod reader;
mod records;
mod writer;

use std::fmt::Debug;

use bytes::Bytes;

pub use error::{DecodeError, EncodeError};
pub use reader::Reader;
pub use records::{Payload, Records};
pub use writer::{TaggedFields, Writer};

use crate::ApiKey;

/// A message that has bytes in each of its versions.
pub trait Message: Default + Clone + PartialEq + Debug + Send + Sync + 'static {
    /// Kafka's name of the message, such as `FetchRequest`.
    const NAME: &'static str;
    /// The oldest version that Kafka 4.4 still reads.
    const MIN_VERSION: i16;
    /// The newest version.
    const MAX_VERSION: i16;
    /// The first version with compact lengths and tagged fields (KIP-482); `i16::MAX` for none.
    const FIRST_FLEXIBLE_VERSION: i16;

    /// Reads the message where the reader stands; what follows stays unread.
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError>;

    /// Writes the message. A field that `version` does not have must hold its default, unless
    /// Kafka calls it ignorable.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// A message of this version with arbitrary contents.
    #[cfg(feature = "test-util")]
    fn sample(s: &mut crate::sample::Sampler, version: i16) -> Self;

    /// Reads a message that must fill the buffer.
    fn from_bytes(bytes: Bytes, version: i16) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let message = Self::decode(&mut r, version)?;
        r.expect_end()?;
        Ok(message)
    }

    /// The message's bytes.
    fn to_bytes(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut w = Writer::default();
        self.encode(&mut w, version)?;
        Ok(w.into_bytes())
    }
}

/// A message that a client sends, and the one that answers it.
pub trait Request: Message {
    /// The API's number and name.
    const API_KEY: ApiKey;
    /// What answers it, in the same version.
    type Response: Message;
}

/// A tagged field that this release has no name for; kept and written back (KIP-482).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTaggedField {
    /// Number of the field within its struct.
    pub tag: u32,
    /// Its bytes, as received.
    pub data: Bytes,
}

pub(crate) fn check_decode_version<M: Message>(version: i16) -> Result<(), DecodeError> {
    if (M::MIN_VERSION..=M::MAX_VERSION).contains(&version) {
        return Ok(());
    }
    Err(DecodeError::UnsupportedVersion { message: M::NAME, version })
}

pub(crate) fn check_encode_version<M: Message>(version: i16) -> Result<(), EncodeError> {
    if (M::MIN_VERSION..=M::MAX_VERSION).contains(&version) {
        return Ok(());
    }
    Err(EncodeError::UnsupportedVersion { message: M::NAME, version })
}
