use bytes::{Bytes, BytesMut};
use ottla_protocol::{EncodeError, Message, Reader};

use crate::group::RecordError;

/// Keys have no versions: their version is the number of their kind.
pub(crate) const KEY_VERSION: i16 = 0;

/// A record's key and value as they stand in the log: the key behind the number of its kind, the value
/// behind its version.
pub(crate) fn encode_record<K: Message, V: Message>(
    kind: i16,
    key: &K,
    value_version: i16,
    value: Option<&V>,
) -> Result<(Bytes, Option<Bytes>), EncodeError> {
    let value = value.map(|value| prefixed(value_version, value_version, value)).transpose()?;
    Ok((prefixed(kind, KEY_VERSION, key)?, value))
}

/// Reads a record's value; a tombstone has none.
pub(crate) fn decode_value<M: Message>(kind: i16, value: Option<Bytes>) -> Result<Option<M>, RecordError> {
    let Some(value) = value else { return Ok(None) };
    let mut r = Reader::new(value);
    let version = r.i16()?;
    if !(M::MIN_VERSION..=M::MAX_VERSION).contains(&version) {
        return Err(RecordError::UnknownValueVersion { kind, version });
    }
    Ok(Some(M::decode(&mut r, version)?))
}

fn prefixed<M: Message>(prefix: i16, version: i16, message: &M) -> Result<Bytes, EncodeError> {
    let body = message.to_bytes(version)?;
    let mut bytes = BytesMut::with_capacity(2 + body.len());
    bytes.extend_from_slice(&prefix.to_be_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes.freeze())
}
