//! Share groups' records in flight (KIP-932): what the leader of a partition knows of a share group.
//!
//! A share group works off a partition as a queue: each record is handed to one member, which accepts,
//! releases or rejects it. [`SharePartition`] keeps that for one group and one partition. It is a machine
//! without hands: fetched batches, acknowledgements and the time go in, [`SharePartitionEffect`]s come
//! out (a write to the share coordinator, a record for the dead-letter queue), and
//! [`poll_timeout`](SharePartition::poll_timeout) tells when an acquisition lock ends. Its owner runs the
//! effects and feeds their results back by their [`EffectToken`]s.
//!
//! [`ShareSessionCache`] remembers which partitions a member fetches, as long as its connection lasts.
//! [`dead_letter`] makes the records of the dead-letter queue (KIP-1191), [`fetch_plan`] spreads one
//! fetch over partitions, and [`persister`] speaks to the share coordinator.

pub mod dead_letter;
pub mod fetch_plan;
pub mod persister;

mod acknowledgement;
mod config;
mod effect;
mod error;
mod fetched;
mod in_flight;
mod lag;
mod record_state;
mod session;
mod session_cache;
mod share_partition;

pub use acknowledgement::{
    AcknowledgeType, AcknowledgementBatch, check_renew_fetch, validate_acknowledgement_batches,
};
pub use config::{
    DEFAULT_DELIVERY_COUNT_LIMIT, DEFAULT_PARTITION_MAX_RECORD_LOCKS, DEFAULT_RECORD_LOCK_DURATION_MS,
    ShareAutoOffsetReset, SharePartitionConfig,
};
pub use effect::{DeadLetterCause, DeadLetterRange, EffectToken, SharePartitionEffect};
pub use error::{SharePartitionError, ShareSessionError};
pub use fetched::{AbortedTransaction, Fetched, FetchedBatch, acquired_slice};
pub use lag::{UNKNOWN_LAG, share_partition_lag};
pub use persister::{PersisterError, PersisterStateBatch, ReadState, WriteState};
pub use record_state::RecordState;
pub use session::{FetchOutcome, SharePartitionId, ShareSession};
pub use session_cache::{
    Departure, FINAL_EPOCH, INITIAL_EPOCH, ShareFetchContext, ShareSessionCache, ShareSessionKey,
    ShareSessionRequest, next_epoch,
};
pub use share_partition::{
    AcquireRequest, AcquiredRecords, ShareAcquireMode, ShareAcquiredRecords, SharePartition,
    SharePartitionState,
};

/// Names a member of a share group. Shared, because every record in flight names its holder.
pub type MemberId = std::sync::Arc<str>;
