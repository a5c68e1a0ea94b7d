//! The frame that every coordinator's service stands on: a task for each partition that this broker leads.

mod alarm;
mod clock;
mod kind;
mod load;
mod log;
mod partition;
mod replica_log;
mod service;
#[cfg(test)]
pub(in crate::coordinator) mod testing;

pub use kind::{CoordinatorKind, ResultOf, Source, Undecodable};
pub use log::{PartitionLog, TransactionProof};
pub use partition::{Completion, Worker};
pub use replica_log::ReplicaLog;
pub use service::{CoordinatorElections, CoordinatorRuntime};
