//! Streams groups (KIP-1071): applications of Kafka Streams whose tasks the coordinator assigns.
//!
//! A [`StreamsGroup`] is what the log says about a group. Members send their [`StreamsTopology`]; the
//! coordinator works out which [`topics`] it needs and with how many partitions, lets an [`assignor`]
//! spread the tasks over the members, and leads every member towards its share one step at a time
//! ([`next_assignment`]). What is known without being in the log, such as the topics as they are now,
//! is kept apart in a [`StreamsGroupSoftState`]: a new coordinator finds it out again.
//!
//! Decisions are methods of [`StreamsGroupContext`], one file each, in `op/streams_group_*.rs`.

pub mod assignor;
mod config;
mod context;
mod error;
pub(crate) mod group;
pub(crate) mod heartbeat;
mod heartbeat_member;
mod heartbeat_response;
pub(crate) mod heartbeat_validation;
mod member;
mod next_assignment;
mod offsets;
mod record;
mod record_values;
pub(crate) mod soft_state;
mod target_assignment;
mod task_owners;
pub(crate) mod tasks;
#[cfg(test)]
pub(crate) mod testing;
pub mod topics;
mod topology;
mod topology_description;
mod topology_push;

#[cfg(test)]
mod property_test;

pub use config::{StreamsGroupConfig, StreamsGroupConfigOverrides, StreamsGroupCoordinatorConfig};
pub use context::{StreamsDecision, StreamsGroupContext, StreamsGroupTimer};
pub use error::StreamsGroupError;
pub use group::{StreamsGroup, StreamsGroupState};
pub use heartbeat::StreamsGroupHeartbeatResult;
pub use heartbeat_response::StatusCode;
pub use member::{StreamsGroupMember, StreamsMemberState, UserEndpoint};
pub use next_assignment::NextAssignment;
pub use offsets::StreamsCommitValidator;
pub use record::StreamsGroupRecord;
pub use soft_state::{MemberTaskOffsets, StreamsGroupChange, StreamsGroupSoftState, StreamsGroupSoftStates};
pub use target_assignment::TargetAssignmentBuilder;
pub use tasks::{Tasks, TasksTuple, TasksTupleWithEpochs, TasksWithEpochs};
pub use topology::StreamsTopology;
pub use topology_description::{
    TopologyDescriptionError, TopologyDescriptionStatus, attach_topology_description, to_describe_response,
    validate_topology_description,
};
pub use topology_push::TopologyPushBackoff;

/// The protocol type that ListGroups tells of streams groups.
pub const PROTOCOL_TYPE: &str = "streams";
