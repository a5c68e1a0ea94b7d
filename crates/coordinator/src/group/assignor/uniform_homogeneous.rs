//! `uniform`, when all members read the same topics: nobody has more than one partition more than
//! anybody else, and as few partitions as possible change hands.

use bytestring::ByteString;

use super::partition_owners::PartitionOwners;
use crate::group::modern::{GroupAssignment, GroupSpec, PartitionAssignorError};
use crate::metadata::CoordinatorMetadata;

pub(super) fn assign(
    group: &GroupSpec,
    metadata: &dyn CoordinatorMetadata,
) -> Result<GroupAssignment, PartitionAssignorError> {
    let Some(anybody) = group.members.values().next() else { return Ok(GroupAssignment::new()) };
    let mut owners = PartitionOwners::new(&anybody.subscribed_topic_ids, metadata)?;
    let unfilled = keep(group, &mut owners);
    fill(&unfilled, &mut owners);
    let member_ids: Vec<&ByteString> = group.members.keys().collect();
    Ok(owners.into_assignment(&member_ids))
}

/// Lets everybody keep what they have, up to their share. Gives who has room, and for how many.
fn keep(group: &GroupSpec, owners: &mut PartitionOwners) -> Vec<(usize, usize)> {
    let num_members = group.members.len();
    let share = owners.len() / num_members;
    // So many members get one more than the others.
    let mut extras = owners.len() % num_members;
    let mut unfilled = Vec::new();
    for (index, member) in group.members.values().enumerate() {
        let mut has_extra = extras > 0;
        let mut room = share + usize::from(has_extra);
        for (topic_id, partitions) in member.assignment.iter() {
            for partition in partitions {
                if room > 0 && owners.claim(*topic_id, *partition, index) {
                    room -= 1;
                }
            }
        }
        if room > 0 && has_extra && num_members - index > extras {
            // Somebody further on may have that one partition more already, and can keep it.
            room -= 1;
            has_extra = false;
        }
        extras -= usize::from(has_extra);
        if room > 0 {
            unfilled.push((index, room));
        }
    }
    assert_eq!(extras, 0, "ASSIGNMENT-COMPLETE");
    unfilled
}

/// Gives what nobody has to those who have room.
fn fill(unfilled: &[(usize, usize)], owners: &mut PartitionOwners) {
    let mut unowned = owners.unowned().into_iter();
    for (index, room) in unfilled {
        for (topic_id, partition) in unowned.by_ref().take(*room) {
            owners.claim(topic_id, partition, *index);
        }
    }
    assert!(unowned.next().is_none(), "ASSIGNMENT-COMPLETE");
}
