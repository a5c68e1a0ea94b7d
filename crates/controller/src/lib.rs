//! How the cluster changes: decisions of the active controller, as records.
//!
//! [`QuorumController`] is the kernel. A request is decided by a method that takes `&self` and gives a
//! [`ControllerResult`]: records, and the answer for when they are committed. Only replaying records changes
//! state, so leader and followers cannot disagree, and a failed write needs no undoing. The decisions lie
//! in one module per manager, under Kafka's names.
//!
//! No IO, no clock, no chance: time, randomness and the raft log come from the shell.

pub mod broker_heartbeats;
mod cluster_control;
pub mod config_schema;
mod configuration_control;
mod feature_control;
pub mod partition_change_builder;
mod partition_index;
pub mod placement;
mod producer_id_control;
mod quorum_controller;
pub mod random;
mod replication_control;
pub mod result;
pub mod state;

#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;

pub use config_schema::{ConfigLayersBelowTopic, ConfigSchema, TopicConfigEntry};
pub use configuration_control::ConfigOp;
pub use producer_id_control::PRODUCER_ID_BLOCK_SIZE;
pub use quorum_controller::{ControllerConfig, MAX_RECORDS_PER_USER_OP, QuorumController};
pub use random::{Random, SeededRandom};
pub use replication_control::{BrokerHeartbeatReply, Describable};
pub use result::{ApiError, ControllerResult};
pub use state::ControllerState;
