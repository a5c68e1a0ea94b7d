use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::Uuid;

use crate::group::modern::{
    GroupAssignment, GroupSpec, MemberAssignment, MemberSpec, PartitionAssignor, PartitionAssignorError,
    num_partitions,
};
use crate::metadata::CoordinatorMetadata;

/// Gives every member a range of each topic, the same range of topics with as many partitions: so
/// partitions that belong together come together.
#[derive(Debug, Clone, Copy, Default)]
pub struct RangeAssignor;

/// A topic that is being cut into ranges.
#[derive(Debug)]
struct Ranges {
    num_partitions: i32,
    num_members: i32,
    /// How many more ranges are one partition longer than the others.
    extras: Option<i32>,
    /// Where the next range begins.
    next: i32,
}

impl PartitionAssignor for RangeAssignor {
    fn name(&self) -> &'static str {
        "range"
    }

    fn assign(
        &self,
        group: &GroupSpec,
        metadata: &dyn CoordinatorMetadata,
    ) -> Result<GroupAssignment, PartitionAssignorError> {
        let mut topics: BTreeMap<Uuid, Ranges> = BTreeMap::new();
        for member in group.members.values() {
            for topic_id in member.subscribed_topic_ids.iter() {
                match topics.get_mut(topic_id) {
                    Some(ranges) => ranges.num_members += 1,
                    None => {
                        topics.insert(*topic_id, Ranges::new(num_partitions(metadata, *topic_id)?));
                    }
                }
            }
        }
        let mut assignments = GroupAssignment::new();
        for (member_id, member) in ordered(group) {
            let mut assignment = MemberAssignment::new();
            for topic_id in member.subscribed_topic_ids.iter() {
                let range = topics.get_mut(topic_id).map_or(0..0, Ranges::take);
                if !range.is_empty() {
                    assignment.insert(*topic_id, range.collect());
                }
            }
            assignments.insert(member_id.clone(), assignment);
        }
        let is_cut_up = |ranges: &Ranges| ranges.next == ranges.num_partitions;
        assert!(topics.values().all(is_cut_up), "ASSIGNMENT-COMPLETE");
        Ok(assignments)
    }
}

impl Ranges {
    /// A topic with its first reader.
    fn new(num_partitions: i32) -> Self {
        Self { num_partitions, num_members: 1, extras: None, next: 0 }
    }

    fn take(&mut self) -> std::ops::Range<i32> {
        let extras = self.extras.get_or_insert(self.num_partitions % self.num_members);
        let length = self.num_partitions / self.num_members + i32::from(*extras > 0);
        *extras -= i32::from(*extras > 0);
        let start = self.next;
        self.next += length;
        start..self.next
    }
}

/// Static members first, by the ids that stay theirs over restarts; then the others.
fn ordered(group: &GroupSpec) -> Vec<(&ByteString, &MemberSpec)> {
    let mut members: Vec<_> = group.members.iter().collect();
    members.sort_by(|(_, a), (_, b)| {
        let (a, b) = (a.instance_id.as_ref(), b.instance_id.as_ref());
        (a.is_none(), a).cmp(&(b.is_none(), b))
    });
    members
}
