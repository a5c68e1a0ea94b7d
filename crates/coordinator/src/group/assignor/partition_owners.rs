use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use ottla_common::Uuid;

use crate::group::modern::{GroupAssignment, MemberAssignment, PartitionAssignorError, num_partitions};
use crate::metadata::CoordinatorMetadata;

/// Which member has each partition; members go by their number.
///
/// A partition has one place in here, so nothing that comes out of it is assigned twice.
#[derive(Debug)]
pub(super) struct PartitionOwners {
    topics: BTreeMap<Uuid, Vec<Option<usize>>>,
}

impl PartitionOwners {
    /// The partitions of these topics, without owners.
    pub(super) fn new(
        topic_ids: &BTreeSet<Uuid>,
        metadata: &dyn CoordinatorMetadata,
    ) -> Result<Self, PartitionAssignorError> {
        let mut topics = BTreeMap::new();
        for topic_id in topic_ids {
            let count = usize::try_from(num_partitions(metadata, *topic_id)?).unwrap_or(0);
            topics.insert(*topic_id, vec![None; count]);
        }
        Ok(Self { topics })
    }

    /// How many partitions there are.
    pub(super) fn len(&self) -> usize {
        self.topics.values().map(Vec::len).sum()
    }

    /// Every topic with the owners of its partitions.
    pub(super) fn topics(&self) -> impl Iterator<Item = (Uuid, &[Option<usize>])> {
        self.topics.iter().map(|(topic_id, owners)| (*topic_id, owners.as_slice()))
    }

    /// The owners of a topic's partitions.
    pub(super) fn of_topic(&self, topic_id: Uuid) -> &[Option<usize>] {
        self.topics.get(&topic_id).map_or(&[], Vec::as_slice)
    }

    /// Gives the partition to the member, if there is such a partition and nobody has it.
    pub(super) fn claim(&mut self, topic_id: Uuid, partition: i32, member: usize) -> bool {
        let Some(owner) = self.place(topic_id, partition) else { return false };
        let is_free = owner.is_none();
        if is_free {
            *owner = Some(member);
        }
        is_free
    }

    /// Gives the partition to the member, whoever has it.
    pub(super) fn reassign(&mut self, topic_id: Uuid, partition: i32, member: usize) {
        if let Some(owner) = self.place(topic_id, partition) {
            *owner = Some(member);
        }
    }

    /// The partitions that nobody has.
    pub(super) fn unowned(&self) -> Vec<(Uuid, i32)> {
        let mut unowned = Vec::new();
        for (topic_id, owners) in self.topics() {
            unowned.extend(unowned_of(owners).map(|partition| (topic_id, partition)));
        }
        unowned
    }

    /// What every member has. `member_ids` tells the members' ids by their numbers.
    pub(super) fn into_assignment(self, member_ids: &[&ByteString]) -> GroupAssignment {
        let mut assignments = vec![MemberAssignment::new(); member_ids.len()];
        for (topic_id, owners) in &self.topics {
            for (partition, owner) in (0..).zip(owners) {
                if let Some(assignment) = owner.and_then(|member| assignments.get_mut(member)) {
                    assignment.entry(*topic_id).or_default().insert(partition);
                }
            }
        }
        member_ids.iter().copied().cloned().zip(assignments).collect()
    }

    fn place(&mut self, topic_id: Uuid, partition: i32) -> Option<&mut Option<usize>> {
        self.topics.get_mut(&topic_id)?.get_mut(usize::try_from(partition).ok()?)
    }
}

/// The partitions among these that nobody has.
pub(super) fn unowned_of(owners: &[Option<usize>]) -> impl Iterator<Item = i32> {
    (0..).zip(owners).filter(|(_, owner)| owner.is_none()).map(|(partition, _)| partition)
}
