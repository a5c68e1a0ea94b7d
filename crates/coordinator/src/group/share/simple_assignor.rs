use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ottla_common::Uuid;

use crate::group::modern::{
    GroupAssignment, GroupSpec, MemberAssignment, MemberSpec, PartitionAssignor, PartitionAssignorError,
    SubscriptionType, num_partitions,
};
use crate::metadata::CoordinatorMetadata;

/// The assignor of share groups (KIP-932). Every partition goes to as many members as are needed for each
/// member to have something, all members get as much as each other, and as little as can be moves.
///
/// When members read different topics, each topic is divided by itself among those who read it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SimpleAssignor;

type TopicPartition = (Uuid, i32);

impl PartitionAssignor for SimpleAssignor {
    fn name(&self) -> &'static str {
        "simple"
    }

    fn assign(
        &self,
        group: &GroupSpec,
        metadata: &dyn CoordinatorMetadata,
    ) -> Result<GroupAssignment, PartitionAssignorError> {
        let mut assignments: Vec<MemberAssignment> = vec![MemberAssignment::new(); group.members.len()];
        match group.subscription_type {
            SubscriptionType::Homogeneous => {
                let Some(first) = group.members.values().next() else {
                    return Ok(GroupAssignment::new());
                };
                let targets = assignable(group, metadata, &first.subscribed_topic_ids)?;
                let everybody: Vec<usize> = (0..assignments.len()).collect();
                divide(group, &everybody, &targets, &mut assignments);
            }
            SubscriptionType::Heterogeneous => {
                for (topic_id, subscribers) in subscribers(group) {
                    let targets = assignable(group, metadata, &BTreeSet::from([topic_id]))?;
                    divide(group, &subscribers, &targets, &mut assignments);
                }
            }
        }
        Ok(group.members.keys().cloned().zip(assignments).collect())
    }
}

/// The members that read each topic, by their places among all members.
fn subscribers(group: &GroupSpec) -> BTreeMap<Uuid, Vec<usize>> {
    let mut subscribers: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
    for (place, member) in group.members.values().enumerate() {
        for topic_id in member.subscribed_topic_ids.iter() {
            subscribers.entry(*topic_id).or_default().push(place);
        }
    }
    subscribers
}

/// The partitions of these topics that may be given to members.
fn assignable(
    group: &GroupSpec,
    metadata: &dyn CoordinatorMetadata,
    topic_ids: &BTreeSet<Uuid>,
) -> Result<BTreeSet<TopicPartition>, PartitionAssignorError> {
    let mut targets = BTreeSet::new();
    for topic_id in topic_ids {
        let partitions = 0..num_partitions(metadata, *topic_id)?;
        let partitions = partitions.filter(|partition| group.is_assignable(*topic_id, *partition));
        targets.extend(partitions.map(|partition| (*topic_id, partition)));
    }
    Ok(targets)
}

/// Divides `targets` among the members at these places, beginning with what they have of them.
fn divide(
    group: &GroupSpec,
    places: &[usize],
    targets: &BTreeSet<TopicPartition>,
    assignments: &mut [MemberAssignment],
) {
    let members: Vec<&MemberSpec> = group.members.values().collect();
    let taking_part = places.iter().filter_map(|place| members.get(*place));
    let mut held: Vec<_> = taking_part.map(|member| held_by(member, targets)).collect();
    balance(targets, &mut held);
    for (place, held) in places.iter().zip(held) {
        let Some(assignment) = assignments.get_mut(*place) else { continue };
        for (topic_id, partition) in held {
            assignment.entry(topic_id).or_default().insert(partition);
        }
    }
}

/// What a member has of `targets`.
fn held_by(member: &MemberSpec, targets: &BTreeSet<TopicPartition>) -> BTreeSet<TopicPartition> {
    let mut held = BTreeSet::new();
    for (topic_id, partitions) in member.assignment.iter() {
        held.extend(partitions.iter().map(|partition| (*topic_id, *partition)));
    }
    held.retain(|partition| targets.contains(partition));
    held
}

/// Moves partitions until every one of `targets` has its share of members, and every member its quota of
/// partitions: first members give up what is too much, then they take what is missing.
fn balance(targets: &BTreeSet<TopicPartition>, held: &mut [BTreeSet<TopicPartition>]) {
    let sharing = if targets.is_empty() { 0 } else { held.len().div_ceil(targets.len()) };
    let quotas = quotas(sharing * targets.len(), held.len());
    for (held, quota) in held.iter_mut().zip(&quotas) {
        while held.len() > *quota {
            held.pop_first();
        }
    }
    let mut holders: BTreeMap<TopicPartition, BTreeSet<usize>> =
        targets.iter().map(|partition| (*partition, BTreeSet::new())).collect();
    for (member, held) in held.iter_mut().enumerate() {
        held.retain(|partition| {
            let Some(holders) = holders.get_mut(partition) else { return false };
            holders.len() < sharing && holders.insert(member)
        });
    }
    fill(sharing, &quotas, &mut holders, held);
    for holders in holders.values() {
        assert!(holders.len() <= sharing, "SHARE-ASSIGNMENT-BALANCED: {} of {sharing}", holders.len());
        assert!(!holders.is_empty() || held.is_empty(), "SHARE-ASSIGNMENT-COMPLETE");
    }
}

/// Members below their quota take turns in taking partitions that lack members. It can happen that those
/// who could take one have it already; as in Kafka, it is then shared by fewer than it could be.
fn fill(
    sharing: usize,
    quotas: &[usize],
    holders: &mut BTreeMap<TopicPartition, BTreeSet<usize>>,
    held: &mut [BTreeSet<TopicPartition>],
) {
    let unfilled = (0..held.len()).filter(|member| is_below_quota(quotas, held, *member));
    let mut unfilled: VecDeque<usize> = unfilled.collect();
    for (partition, holders) in holders {
        for _ in 0..unfilled.len() {
            if holders.len() >= sharing {
                break;
            }
            let Some(member) = unfilled.pop_front() else { break };
            if holders.insert(member)
                && let Some(held) = held.get_mut(member)
            {
                held.insert(*partition);
            }
            if is_below_quota(quotas, held, member) {
                unfilled.push_back(member);
            }
        }
    }
}

fn is_below_quota(quotas: &[usize], held: &[BTreeSet<TopicPartition>], member: usize) -> bool {
    held.get(member).map(BTreeSet::len) < quotas.get(member).copied()
}

/// How many partitions each of so many members is to have, no two of them further apart than one.
fn quotas(total: usize, members: usize) -> Vec<usize> {
    let up_to = |member: usize| (total * member).div_ceil(members.max(1));
    (0..members).map(|member| up_to(member + 1) - up_to(member)).collect()
}

#[cfg(test)]
#[path = "simple_assignor_test.rs"]
mod tests;
