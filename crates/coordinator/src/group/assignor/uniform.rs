use super::{uniform_heterogeneous, uniform_homogeneous};
use crate::group::modern::{
    GroupAssignment, GroupSpec, PartitionAssignor, PartitionAssignorError, SubscriptionType,
};
use crate::metadata::CoordinatorMetadata;

/// Gives every member as many partitions as the others, and lets them keep what they have.
#[derive(Debug, Clone, Copy, Default)]
pub struct UniformAssignor;

impl PartitionAssignor for UniformAssignor {
    fn name(&self) -> &'static str {
        "uniform"
    }

    fn assign(
        &self,
        group: &GroupSpec,
        metadata: &dyn CoordinatorMetadata,
    ) -> Result<GroupAssignment, PartitionAssignorError> {
        match group.subscription_type {
            SubscriptionType::Homogeneous => uniform_homogeneous::assign(group, metadata),
            SubscriptionType::Heterogeneous => uniform_heterogeneous::assign(group, metadata),
        }
    }
}
