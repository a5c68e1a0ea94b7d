//! The group coordinator's service: groups of every type, kept in `__consumer_offsets`.
//!
//! [`GroupCoordinatorService`] checks what is asked, sends it to the partition that the group lives in, and puts
//! the answer into the words of the client's version. Some requests take several steps, because the shard may not
//! wait for anybody: whom it needs beside is among the [`GroupPartners`].

mod consumer_groups;
#[cfg(test)]
mod consumer_groups_test;
mod deletion;
#[cfg(test)]
mod deletion_test;
mod internal_topics;
#[cfg(test)]
mod kafka_log_test;
mod kind;
mod membership;
mod metadata_update;
mod offsets;
mod overrides;
mod partners;
pub(crate) mod protocols;
mod refusal;
mod service;
#[cfg(test)]
mod service_test;
#[cfg(test)]
mod service_testing;
mod share_group_offsets;
#[cfg(test)]
mod share_group_offsets_test;
mod share_groups;
#[cfg(test)]
mod share_groups_test;
mod streams_groups;
#[cfg(test)]
mod streams_groups_test;
#[cfg(test)]
mod testing;
mod topic_creation_errors;
mod topology_description_requests;
mod topology_descriptions;
#[cfg(test)]
mod topology_descriptions_test;
mod transactions;
#[cfg(test)]
mod transactions_test;

pub use internal_topics::StreamsInternalTopics;
pub use kind::GroupCoordinators;
pub(crate) use overrides::group_config_value;
pub use overrides::group_overrides;
pub use partners::{GroupPartners, LatestOffsets, LocalReplicas, PartitionMetadataClient, TransactionGate};
pub use protocols::GroupProtocols;
pub use service::GroupCoordinatorService;
pub use topology_descriptions::{
    IN_MEMORY_PLUGIN_CLASS, InMemoryTopologyDescriptions, StoreTopologyDescriptionError,
    TopologyDescriptionPlugin,
};
