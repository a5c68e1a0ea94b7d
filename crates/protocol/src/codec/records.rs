use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ottla_common::{TransferSource, TransferableRecords};

/// A run of record batches inside a message, never parsed here.
#[derive(Debug, Clone)]
pub enum Records {
    /// As received: what was decoded is always in memory.
    Memory(Bytes),
    /// To be sent from where they lie: the encoder leaves their place out, see [`Payload`].
    Elsewhere(Arc<dyn TransferableRecords>),
}

/// A piece of an encoded message.
#[derive(Debug, Clone)]
pub enum Payload {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Records, wherever they are.
    Records(Arc<dyn TransferableRecords>),
}

impl Records {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::Elsewhere(records) => records.size_in_bytes(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of the batches. Those that lie elsewhere are copied; a file that cannot be read, or was
    /// cut meanwhile, gives fewer than [`Self::len`].
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Memory(bytes) => bytes,
            Self::Elsewhere(records) => copy(records.as_ref()),
        }
    }
}

fn copy(records: &dyn TransferableRecords) -> Bytes {
    if let TransferSource::Memory(bytes) = records.source() {
        return bytes.clone();
    }
    let mut buffer = BytesMut::zeroed(records.size_in_bytes());
    let mut filled = 0;
    while let Ok(n @ 1..) = records.read_at(filled, &mut buffer[filled..]) {
        filled += n;
    }
    buffer.truncate(filled);
    buffer.freeze()
}

impl Default for Records {
    fn default() -> Self {
        Self::Memory(Bytes::new())
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Self::Memory(bytes)
    }
}

/// Records are the same when their bytes are; of those elsewhere only the place is compared.
impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Memory(a), Self::Memory(b)) => a == b,
            (Self::Elsewhere(a), Self::Elsewhere(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl Eq for Records {}

impl Payload {
    /// How many bytes this piece is.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Records(records) => records.size_in_bytes(),
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
