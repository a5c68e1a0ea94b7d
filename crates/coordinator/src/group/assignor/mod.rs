//! The assignors that the coordinator brings along: `uniform` and `range` (KIP-848).
//!
//! As in Kafka 4.4, neither takes note of racks; a change of racks makes for a new assignment all the
//! same, since racks are part of a topic's hash.

mod partition_owners;
mod range;
mod uniform;
mod uniform_heterogeneous;
mod uniform_homogeneous;

use std::sync::Arc;

pub use range::RangeAssignor;
pub use uniform::UniformAssignor;

use super::modern::PartitionAssignor;

/// The assignor of this name.
pub fn builtin_assignor(name: &str) -> Option<Arc<dyn PartitionAssignor>> {
    builtin_assignors().into_iter().find(|assignor| assignor.name() == name)
}

/// Every assignor, as `group.consumer.assignors` has them: the first is used when members have no wish.
pub fn builtin_assignors() -> Vec<Arc<dyn PartitionAssignor>> {
    vec![Arc::new(UniformAssignor), Arc::new(RangeAssignor)]
}

#[cfg(test)]
#[path = "assignor_test.rs"]
mod tests;
