use std::sync::Arc;

use bytestring::ByteString;
use proptest::prelude::*;

use super::*;
use crate::group::modern::testing::{TestMetadata, topic_id};

/// A group whose members read the topics of these numbers.
fn group(members: &[&[u128]]) -> GroupSpec {
    let member = |topics: &&[u128]| MemberSpec {
        subscribed_topic_ids: Arc::new(topics.iter().copied().map(topic_id).collect()),
        ..Default::default()
    };
    let id = |n: usize| ByteString::from(format!("m{n:03}"));
    let same = members.windows(2).all(|pair| pair[0] == pair[1]);
    GroupSpec {
        members: members.iter().enumerate().map(|(n, topics)| (id(n), member(topics))).collect(),
        subscription_type: match same {
            true => SubscriptionType::Homogeneous,
            false => SubscriptionType::Heterogeneous,
        },
        assignable: None,
    }
}

fn assign(group: &GroupSpec, metadata: &TestMetadata) -> GroupAssignment {
    SimpleAssignor.assign(group, metadata).unwrap()
}

/// The same members, holding what they were assigned.
fn holding(mut group: GroupSpec, assigned: &GroupAssignment) -> GroupSpec {
    for (member_id, member) in &mut group.members {
        member.assignment = Arc::new(assigned.get(member_id).cloned().unwrap_or_default());
    }
    group
}

fn sizes(assigned: &GroupAssignment) -> Vec<usize> {
    assigned.values().map(|topics| topics.values().map(BTreeSet::len).sum()).collect()
}

fn holders(assigned: &GroupAssignment) -> BTreeMap<TopicPartition, usize> {
    let mut holders = BTreeMap::new();
    for (topic_id, partitions) in assigned.values().flatten() {
        for partition in partitions {
            *holders.entry((*topic_id, *partition)).or_insert(0) += 1;
        }
    }
    holders
}

#[test]
fn fewer_members_than_partitions_have_them_to_themselves() {
    let metadata = TestMetadata::of(&[("t0", 3), ("t1", 4)]);
    let assigned = assign(&group(&[&[0, 1], &[0, 1]]), &metadata);
    assert_eq!(sizes(&assigned), vec![4, 3]);
    assert!(holders(&assigned).values().all(|count| *count == 1));
    assert_eq!(holders(&assigned).len(), 7);
}

#[test]
fn more_members_than_partitions_share_them() {
    let metadata = TestMetadata::of(&[("t0", 2)]);
    let assigned = assign(&group(&[&[0][..]; 5]), &metadata);
    assert_eq!(sizes(&assigned).iter().sum::<usize>(), 6);
    assert!(sizes(&assigned).iter().all(|size| (1..=2).contains(size)));
    assert!(holders(&assigned).values().all(|count| *count == 3));
}

#[test]
fn a_member_that_comes_takes_its_part_and_no_more() {
    let metadata = TestMetadata::of(&[("t0", 6)]);
    let before = assign(&group(&[&[0], &[0]]), &metadata);
    let after = assign(&holding(group(&[&[0], &[0], &[0]]), &before), &metadata);
    assert_eq!(sizes(&after), vec![2, 2, 2]);
    for (member_id, assignment) in &before {
        assert!(after[member_id][&topic_id(0)].is_subset(&assignment[&topic_id(0)]));
    }
}

#[test]
fn members_of_different_topics_divide_each_by_itself() {
    let metadata = TestMetadata::of(&[("t0", 4), ("t1", 2)]);
    let assigned = assign(&group(&[&[0], &[1], &[0, 1]]), &metadata);
    assert_eq!(sizes(&assigned), vec![2, 1, 3]);
    assert_eq!(holders(&assigned).len(), 6);
    let nobody_reads_t1 = assign(&holding(group(&[&[0], &[], &[0]]), &assigned), &metadata);
    assert_eq!(sizes(&nobody_reads_t1), vec![2, 0, 2]);
}

#[test]
fn only_what_is_assignable_is_assigned() {
    let metadata = TestMetadata::of(&[("t0", 4)]);
    let assignable = Some(BTreeMap::from([(topic_id(0), BTreeSet::from([1, 3]))]));
    let assigned = assign(&GroupSpec { assignable, ..group(&[&[0]]) }, &metadata);
    assert_eq!(assigned.values().next().unwrap()[&topic_id(0)], BTreeSet::from([1, 3]));
    let nothing = assign(&GroupSpec { assignable: Some(BTreeMap::new()), ..group(&[&[0]]) }, &metadata);
    assert_eq!(sizes(&nothing), vec![0]);
}

#[test]
fn nobody_gets_nothing_and_what_is_gone_is_an_error() {
    let metadata = TestMetadata::of(&[("t0", 4)]);
    assert!(assign(&group(&[]), &metadata).is_empty());
    let gone = SimpleAssignor.assign(&group(&[&[7]]), &metadata);
    assert_eq!(gone, Err(PartitionAssignorError::UnknownTopic(topic_id(7))));
}

proptest! {
    #[test]
    fn everything_is_assigned_evenly_and_stays(
        partitions in prop::collection::vec(1i32..8, 1..4),
        subscriptions in prop::collection::vec(prop::collection::btree_set(0u128..4, 0..4), 1..8),
        leaving in prop::collection::vec(any::<bool>(), 8),
    ) {
        let names = ["t0", "t1", "t2", "t3"];
        let topics: Vec<_> = names.iter().copied().zip(partitions.iter().copied()).collect();
        let metadata = TestMetadata::of(&topics);
        let existing = topics.len() as u128;
        let subscriptions: Vec<Vec<u128>> = subscriptions
            .iter()
            .map(|topics| topics.iter().copied().filter(|topic| *topic < existing).collect())
            .collect();
        let members: Vec<&[u128]> = subscriptions.iter().map(Vec::as_slice).collect();
        let group = group(&members);
        let assigned = assign(&group, &metadata);
        check(&group, &assigned, &metadata)?;
        let again = assign(&holding(group.clone(), &assigned), &metadata);
        prop_assert_eq!(&again, &assigned, "nothing moves without a reason");

        // Some members leave; whatever they had goes to those who stay.
        let mut fewer = holding(group, &assigned);
        let mut leaving = leaving.into_iter();
        fewer.members.retain(|_, _| !leaving.next().unwrap_or(false));
        fewer.subscription_type = SubscriptionType::Heterogeneous;
        check(&fewer, &assign(&fewer, &metadata), &metadata)?;
    }
}

/// Every partition that somebody reads is read, by who reads its topic, and evenly so.
fn check(
    group: &GroupSpec,
    assigned: &GroupAssignment,
    metadata: &TestMetadata,
) -> Result<(), TestCaseError> {
    let mut read: BTreeSet<TopicPartition> = BTreeSet::new();
    for (member_id, member) in &group.members {
        for topic_id in member.subscribed_topic_ids.iter() {
            read.extend((0..num_partitions(metadata, *topic_id).unwrap()).map(|index| (*topic_id, index)));
        }
        for topic_id in assigned[member_id].keys() {
            prop_assert!(member.subscribed_topic_ids.contains(topic_id));
        }
    }
    prop_assert_eq!(holders(assigned).keys().copied().collect::<BTreeSet<_>>(), read);
    if group.subscription_type == SubscriptionType::Homogeneous {
        let sizes = sizes(assigned);
        let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        let full: usize = sizes.iter().sum();
        let wanted = holders(assigned).len() * sizes.len().div_ceil(holders(assigned).len().max(1));
        prop_assert!(most - least <= 1 || full < wanted, "{sizes:?}");
    }
    Ok(())
}
