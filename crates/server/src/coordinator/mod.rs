//! The shells around the coordinators: tasks, clocks, channels and the log.
//!
//! [`runtime`] runs one task per partition of a coordinator's topic that this broker leads. The task owns the
//! partition's shard, loads it from the log, and takes one operation after the other. [`group`] is the service
//! around `__consumer_offsets`: what is asked of groups, checked, sent to its partition, and put into the words of
//! the client's version.

pub mod group;
pub mod metadata;
pub mod runtime;
pub mod share_persister;
pub mod share_state;
pub mod transaction;

pub use group::GroupCoordinatorService;
pub use ottla_coordinator::group::{GroupCoordinatorConfig, RequestContext, partition_for};
pub use runtime::{PartitionLog, ReplicaLog};
