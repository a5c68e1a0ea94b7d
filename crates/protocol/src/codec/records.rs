use std::ops::Deref;

use bytes::Bytes;

/// A run of record batches inside a message, as received: never parsed here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Records(Bytes);

impl Records {
    /// The bytes of the batches.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl Deref for Records {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.0
    }
}
