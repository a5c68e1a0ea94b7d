use crate::config::ShareAutoOffsetReset;
use crate::error::SharePartitionError;
use crate::persister::WriteState;

/// Names an effect of one share-partition, so that its result finds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EffectToken(pub u64);

/// What the owner of a share-partition has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharePartitionEffect {
    /// Read the state from the share coordinator (ReadShareGroupState), then
    /// [`complete_read`](crate::SharePartition::complete_read).
    ReadState {
        /// Epoch of the partition's leader, which is this broker. Older leaders are fenced by it.
        leader_epoch: i32,
    },
    /// Look up the offset that the group begins at, then
    /// [`complete_start_offset`](crate::SharePartition::complete_start_offset).
    FindStartOffset {
        /// Which.
        reset: ShareAutoOffsetReset,
    },
    /// The state is there, or will not be: requests that wait for it go on.
    Initialized {
        /// How it went. After an error the share-partition is to be forgotten.
        result: Result<(), SharePartitionError>,
    },
    /// Write to the share coordinator (WriteShareGroupState), then
    /// [`complete_write`](crate::SharePartition::complete_write).
    WriteState {
        /// For the result.
        token: EffectToken,
        /// What.
        write: WriteState,
    },
    /// Write to the dead-letter queue as far as it goes, then
    /// [`complete_dead_letter`](crate::SharePartition::complete_dead_letter).
    DeadLetter {
        /// For the end, whichever it is.
        token: EffectToken,
        /// Which records.
        range: DeadLetterRange,
    },
    /// Answer the request that got this token from `acknowledge` or `release_acquired`.
    Reply {
        /// The request's.
        token: EffectToken,
        /// How it went.
        result: Result<(), SharePartitionError>,
    },
    /// Look again at the fetches that wait for this share-partition: something is available, or there is
    /// room for more records in flight.
    CheckDelayedFetches,
    /// Acquisition locks ended (metric `AcquisitionLockTimeoutPerSec`).
    LocksTimedOut {
        /// So many records'.
        records: i64,
    },
}

/// Why records go to the dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeadLetterCause {
    /// A member rejected them.
    ClientReject,
    /// They were handed out too often.
    DeliveryCountExceeded,
}

impl DeadLetterCause {
    /// The text of the header `__dlq.errors.message`; tools of users may look for Kafka's words.
    pub const fn message(self) -> &'static str {
        match self {
            Self::ClientReject => "Offset rejected by client.",
            Self::DeliveryCountExceeded => "Offset delivery count exceeded the threshold.",
        }
    }
}

/// Records on their way to the dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetterRange {
    /// The first of them.
    pub first_offset: i64,
    /// The last of them.
    pub last_offset: i64,
    /// How often they were handed out.
    pub delivery_count: i16,
    /// Why they go.
    pub cause: DeadLetterCause,
}
