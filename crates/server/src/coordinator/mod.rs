//! The shells around the coordinators: tasks, clocks, channels and the log.
//!
//! [`GroupCoordinatorService`] runs one task per partition of `__consumer_offsets` that this broker
//! leads. The task owns the partition's [`ottla_coordinator::group::GroupCoordinatorShard`], loads it
//! from the log, and takes one operation after the other.

mod api;
mod clock;
#[cfg(test)]
mod kafka_log_test;
mod load;
mod log;
mod offsets_api;
mod partition;
mod replica_log;
mod service;
#[cfg(test)]
mod service_test;
#[cfg(test)]
mod testing;

pub use log::PartitionLog;
pub use ottla_coordinator::group::{GroupCoordinatorConfig, RequestContext, partition_for};
pub use replica_log::ReplicaLog;
pub use service::GroupCoordinatorService;
