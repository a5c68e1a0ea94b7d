//! The share coordinator's service: how far share groups have come, kept in `__share_group_state` (KIP-932).
//!
//! Its clients are brokers: group coordinators, which begin and end a group's share of a partition, and leaders of
//! partitions that share groups read. One request may name many share-partitions, which live in several partitions
//! of the topic; [`parts`] hands each to its shard and waits for all.

mod api;
mod kind;
mod parts;
mod prune;
mod service;
#[cfg(test)]
mod service_test;

pub use kind::ShareCoordinators;
pub use prune::StateRecords;
pub use service::{ShareCoordinatorParts, ShareCoordinatorService};
