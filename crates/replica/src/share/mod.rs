//! What the leader of partitions does for share groups (KIP-932).
//!
//! [`SharePartitionManager`] keeps the share-partitions of this broker, each behind a mutex of its own. After
//! every call of one its effects are drained under that mutex and run outside of it: the share coordinator is
//! asked through a [`Persister`], dead letters leave through a [`DeadLetterSink`], and whoever waits is woken.
//! A share fetch waits as any fetch does, parked on its partitions, and besides on its share-partitions: what a
//! member gives back is news to the others. Sessions last as long as the connections they came by.
//!
//! What a group may and may not do decides `ottla-share`; nothing in here knows of acquired records.

mod acknowledge;
mod attempt;
mod cache;
mod config;
mod dead_letters;
mod fetch;
mod hosted;
mod jobs;
mod lock_timer;
mod manager;
mod parking;
mod persister;
mod records;
mod sessions;
mod waiters;
mod writes;

#[cfg(test)]
mod dead_letters_test;
#[cfg(test)]
mod fetch_test;
#[cfg(test)]
mod manager_test;
#[cfg(test)]
mod sessions_test;
#[cfg(test)]
mod testing;

pub use acknowledge::{PendingAcknowledgement, ShareAcknowledgeError};
pub use config::{ShareGroupConfigs, ShareGroupSettings, ShareLimits};
pub use dead_letters::{DeadLetterSink, DeadLetterTarget};
pub use fetch::{ShareFetch, SharePartitionData};
pub use manager::{SharePartitionManager, SharePartitionManagerParts};
pub use ottla_share::{
    AcknowledgementBatch, AcquiredRecords, FINAL_EPOCH, FetchOutcome, INITIAL_EPOCH, MemberId,
    PersisterError, ReadState, ShareAcquireMode, ShareAutoOffsetReset, ShareFetchContext,
    SharePartitionConfig, SharePartitionError, SharePartitionId, ShareSessionError, ShareSessionKey,
    ShareSessionRequest, WriteState, check_renew_fetch, validate_acknowledgement_batches,
};
pub use persister::{Persister, SharePartitionKey};
