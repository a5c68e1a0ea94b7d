//! The group coordinator's service: groups of every type, kept in `__consumer_offsets`.
//!
//! [`GroupCoordinatorService`] checks what is asked, sends it to the partition that the group lives in, and puts
//! the answer into the words of the client's version. Some requests take several steps, because the shard may not
//! wait for anybody: whom it needs beside is among the [`GroupPartners`].

mod consumer_groups;
mod deletion;
mod internal_topics;
mod kind;
mod membership;
mod metadata_update;
mod offsets;
mod overrides;
mod partners;
pub(crate) mod protocols;
mod refusal;
mod service;
mod share_group_offsets;
mod share_groups;
mod streams_groups;
mod topic_creation_errors;
mod topology_description_requests;
mod topology_descriptions;
mod transactions;
#[cfg(test)]
mod consumer_groups_test;
#[cfg(test)]
mod deletion_test;
#[cfg(test)]
mod kafka_log_test;
#[cfg(test)]
mod service_test;
#[cfg(test)]
mod share_group_offsets_test;
#[cfg(test)]
mod share_groups_test;
#[cfg(test)]
mod streams_groups_test;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod topology_descriptions_test;
#[cfg(test)]
mod transactions_test;

pub use internal_topics::StreamsInternalTopics;
pub use kind::GroupCoordinators;
pub use overrides::group_overrides;
pub(crate) use overrides::group_config_value;
pub use partners::{GroupPartners, LatestOffsets, LocalReplicas, PartitionMetadataClient, TransactionGate};
pub use protocols::GroupProtocols;
pub use service::GroupCoordinatorService;
pub use topology_descriptions::{
    IN_MEMORY_PLUGIN_CLASS, InMemoryTopologyDescriptions, StoreTopologyDescriptionError, TopologyDescriptionPlugin,
};
