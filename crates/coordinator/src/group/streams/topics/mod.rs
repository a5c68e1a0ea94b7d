//! The topics that a streams application needs: whether they are there, how many partitions those must
//! have that it keeps for itself, and which of them the broker is to create.

mod configure;
mod configured;
mod copartition;
mod endpoint;
mod partition_counts;

pub use configure::configure_topics;
pub use configured::{
    ConfiguredInternalTopic, ConfiguredSubtopology, ConfiguredTopology, TopicConfigurationProblem,
};
pub(crate) use endpoint::endpoint_to_partitions;
