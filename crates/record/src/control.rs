use crate::RecordError;

/// The version of control record keys and of end-of-transaction values.
const VERSION: i16 = 0;

/// What a control record says, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlRecordType {
    /// A transaction was aborted.
    Abort,
    /// A transaction was committed.
    Commit,
    /// KRaft: a leader was elected.
    LeaderChange,
    /// KRaft: a snapshot begins.
    SnapshotHeader,
    /// KRaft: a snapshot is complete.
    SnapshotFooter,
    /// KRaft: the version of the protocol (KIP-853).
    KraftVersion,
    /// KRaft: the set of voters (KIP-853).
    KraftVoters,
    /// Something newer, to be skipped.
    Unknown,
}

impl ControlRecordType {
    /// Bytes of a key.
    pub const KEY_BYTES: usize = 4;

    /// The number in the key.
    pub const fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KraftVersion => 5,
            Self::KraftVoters => 6,
            Self::Unknown => -1,
        }
    }

    /// The type with this number.
    pub const fn from_id(id: i16) -> Self {
        match id {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KraftVersion,
            6 => Self::KraftVoters,
            _ => Self::Unknown,
        }
    }

    /// The record key: version and number.
    pub const fn record_key(self) -> [u8; Self::KEY_BYTES] {
        let ([a, b], [c, d]) = (VERSION.to_be_bytes(), self.id().to_be_bytes());
        [a, b, c, d]
    }

    /// Reads a record key. Newer versions may only add to it, so their first bytes mean the same.
    pub fn parse(key: Option<&[u8]>) -> Result<Self, RecordError> {
        match key {
            Some([a, b, c, d, ..]) if i16::from_be_bytes([*a, *b]) >= VERSION => {
                Ok(Self::from_id(i16::from_be_bytes([*c, *d])))
            }
            _ => Err(RecordError::InvalidControlKey),
        }
    }
}

/// The control record that ends a transaction on a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// Committed or aborted.
    pub committed: bool,
    /// Epoch of the coordinator that decided; an older one is refused.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// Bytes of the value.
    pub const VALUE_BYTES: usize = 6;

    /// A decision of this coordinator.
    pub const fn new(committed: bool, coordinator_epoch: i32) -> Self {
        Self { committed, coordinator_epoch }
    }

    /// Commit or abort.
    pub const fn control_type(&self) -> ControlRecordType {
        if self.committed { ControlRecordType::Commit } else { ControlRecordType::Abort }
    }

    /// The record value: version and epoch.
    pub const fn serialize_value(&self) -> [u8; Self::VALUE_BYTES] {
        let ([a, b], [c, d, e, f]) = (VERSION.to_be_bytes(), self.coordinator_epoch.to_be_bytes());
        [a, b, c, d, e, f]
    }

    /// Reads key and value of a control record; fails when it ends no transaction.
    pub fn deserialize(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Self, RecordError> {
        let committed = match ControlRecordType::parse(key)? {
            ControlRecordType::Commit => true,
            ControlRecordType::Abort => false,
            _ => return Err(RecordError::InvalidControlKey),
        };
        match value {
            Some([a, b, c, d, e, f, ..]) if i16::from_be_bytes([*a, *b]) >= VERSION => {
                Ok(Self { committed, coordinator_epoch: i32::from_be_bytes([*c, *d, *e, *f]) })
            }
            _ => Err(RecordError::InvalidControlValue),
        }
    }
}
