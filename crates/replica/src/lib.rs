//! Replicas of partitions on this broker: who leads, what may be read, who waits.

pub mod share;
pub mod transaction_verification;

mod alarms;
mod append;
mod delayed;
mod end_transaction;
mod fetch;
mod hosted_partitions;
mod offsets;
mod parked;
mod partition;
mod replica_manager;
#[cfg(test)]
mod test_support;
mod transaction_verifier;
mod waiters;

pub use append::{AppendFailure, Appended};
pub use end_transaction::EndTransaction;
pub use fetch::{FetchInfo, FetchParams, FetchPartitionData};
pub use offsets::FoundOffset;
pub use ottla_storage::{
    ActiveProducer, FetchIsolation, LogDirDescription, TransactionVersion, VerificationGuard,
};
pub use partition::{Partition, PartitionRole};
pub use replica_manager::{LocalPartition, LogConfigSource, ReplicaManager};
pub use transaction_verifier::{BoxFuture, TransactionVerifier, TransactionalWrite, VerifiedPartitions};
