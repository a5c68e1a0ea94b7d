use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use ottla_common::Uuid;
use proptest::prelude::*;

use super::*;
use crate::group::modern::testing::{TestMetadata, topic_id};
use crate::group::modern::{
    GroupAssignment, GroupSpec, MemberAssignment, MemberSpec, PartitionAssignorError, SubscriptionType,
};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn metadata(partitions: &[i32]) -> TestMetadata {
    let topics: Vec<_> = NAMES.into_iter().zip(partitions.iter().copied()).collect();
    TestMetadata::of(&topics)
}

fn assignment_of(partitions: &[(u128, &[i32])]) -> MemberAssignment {
    partitions.iter().map(|(n, indexes)| (topic_id(*n), indexes.iter().copied().collect())).collect()
}

fn member(topics: &[u128], assignment: MemberAssignment) -> MemberSpec {
    MemberSpec {
        subscribed_topic_ids: Arc::new(topics.iter().map(|n| topic_id(*n)).collect()),
        assignment: Arc::new(assignment),
        ..MemberSpec::default()
    }
}

fn group(members: Vec<(&str, MemberSpec)>) -> GroupSpec {
    let subscriptions: BTreeSet<_> = members.iter().map(|(_, m)| m.subscribed_topic_ids.clone()).collect();
    let subscription_type = match subscriptions.len() {
        0 | 1 => SubscriptionType::Homogeneous,
        _ => SubscriptionType::Heterogeneous,
    };
    let members = members.into_iter().map(|(id, member)| (ByteString::from(id), member)).collect();
    GroupSpec { members, subscription_type, assignable: None }
}

/// The group, a while after this was assigned.
fn after(mut group: GroupSpec, assigned: &GroupAssignment) -> GroupSpec {
    for (member_id, member) in &mut group.members {
        member.assignment = Arc::new(assigned.get(member_id).cloned().unwrap_or_default());
    }
    group
}

fn loads(assigned: &GroupAssignment) -> Vec<usize> {
    assigned.values().map(|topics| topics.values().map(BTreeSet::len).sum()).collect()
}

fn moved(before: &GroupAssignment, after: &GroupAssignment) -> usize {
    let count = |(member_id, topics): (&ByteString, &MemberAssignment)| -> usize {
        let now = after.get(member_id);
        let kept = |id: &Uuid, p: &i32| now.and_then(|t| t.get(id)).is_some_and(|of| of.contains(p));
        topics.iter().map(|(id, partitions)| partitions.iter().filter(|p| !kept(id, p)).count()).sum()
    };
    before.iter().map(count).sum()
}

#[test]
fn assignors_go_by_kafkas_names() {
    assert_eq!(builtin_assignor("uniform").unwrap().name(), "uniform");
    assert_eq!(builtin_assignor("range").unwrap().name(), "range");
    assert!(builtin_assignor("cooperative-sticky").is_none());
    assert_eq!(builtin_assignors()[0].name(), "uniform", "the one that is used without a wish");
}

#[test]
fn nobody_reads_nothing() {
    for assignor in builtin_assignors() {
        let metadata = metadata(&[3]);
        assert!(assignor.assign(&group(vec![]), &metadata).unwrap().is_empty());
        let idle = group(vec![("m1", member(&[], MemberAssignment::new()))]);
        let assigned = assignor.assign(&idle, &metadata).unwrap();
        assert!(assigned.values().all(BTreeMap::is_empty));
    }
}

#[test]
fn a_topic_that_is_gone_is_an_error() {
    for assignor in builtin_assignors() {
        let of = |ids: &[u128]| member(ids, MemberAssignment::new());
        let gone = PartitionAssignorError::UnknownTopic(topic_id(5));
        let same = group(vec![("m1", of(&[5]))]);
        assert_eq!(assignor.assign(&same, &metadata(&[3])), Err(gone.clone()));
        let different = group(vec![("m1", of(&[0])), ("m2", of(&[0, 5]))]);
        assert_eq!(assignor.assign(&different, &metadata(&[3])), Err(gone));
    }
}

#[test]
fn range_gives_the_same_range_of_equal_topics() {
    let of = || member(&[0, 1], MemberAssignment::new());
    let spec = group(vec![("m1", of()), ("m2", of()), ("m3", of())]);
    let assigned = RangeAssignor.assign(&spec, &metadata(&[4, 4])).unwrap();
    assert_eq!(assigned["m1"], assignment_of(&[(0, &[0, 1]), (1, &[0, 1])]));
    assert_eq!(assigned["m2"], assignment_of(&[(0, &[2]), (1, &[2])]));
    assert_eq!(assigned["m3"], assignment_of(&[(0, &[3]), (1, &[3])]));
}

#[test]
fn range_serves_static_members_first() {
    let named = |id: &'static str| MemberSpec {
        instance_id: Some(ByteString::from_static(id)),
        ..member(&[0], MemberAssignment::new())
    };
    let dynamic = member(&[0], MemberAssignment::new());
    let spec = group(vec![("m1", dynamic), ("m2", named("z")), ("m3", named("y"))]);
    let assigned = RangeAssignor.assign(&spec, &metadata(&[3])).unwrap();
    assert_eq!(assigned["m3"], assignment_of(&[(0, &[0])]));
    assert_eq!(assigned["m2"], assignment_of(&[(0, &[1])]));
    assert_eq!(assigned["m1"], assignment_of(&[(0, &[2])]));
}

#[test]
fn range_counts_the_readers_of_each_topic() {
    let of = |ids: &[u128]| member(ids, MemberAssignment::new());
    let spec = group(vec![("m1", of(&[0])), ("m2", of(&[0, 1])), ("m3", of(&[1]))]);
    let assigned = RangeAssignor.assign(&spec, &metadata(&[3, 1])).unwrap();
    assert_eq!(assigned["m1"], assignment_of(&[(0, &[0, 1])]));
    assert_eq!(assigned["m2"], assignment_of(&[(0, &[2]), (1, &[0])]));
    assert_eq!(assigned["m3"], MemberAssignment::new());
}

#[test]
fn uniform_moves_only_what_a_newcomer_needs() {
    let m1 = member(&[0], assignment_of(&[(0, &[0, 1, 2])]));
    let m2 = member(&[0], assignment_of(&[(0, &[3, 4, 5])]));
    let m3 = member(&[0], MemberAssignment::new());
    let spec = group(vec![("m1", m1), ("m2", m2), ("m3", m3)]);
    let assigned = UniformAssignor.assign(&spec, &metadata(&[6])).unwrap();
    assert_eq!(assigned["m1"], assignment_of(&[(0, &[0, 1])]));
    assert_eq!(assigned["m2"], assignment_of(&[(0, &[3, 4])]));
    assert_eq!(assigned["m3"], assignment_of(&[(0, &[2, 5])]));
}

#[test]
fn uniform_lets_the_one_with_more_keep_it() {
    let m1 = member(&[0], assignment_of(&[(0, &[0])]));
    let m2 = member(&[0], assignment_of(&[(0, &[1, 2])]));
    let spec = group(vec![("m1", m1), ("m2", m2)]);
    let assigned = UniformAssignor.assign(&spec, &metadata(&[3])).unwrap();
    assert_eq!(assigned["m2"], assignment_of(&[(0, &[1, 2])]), "nothing moves");
}

#[test]
fn uniform_balances_overlapping_readers() {
    let of = |ids: &[u128]| member(ids, MemberAssignment::new());
    let spec = group(vec![("m1", of(&[0])), ("m2", of(&[0, 1])), ("m3", of(&[1]))]);
    let assigned = UniformAssignor.assign(&spec, &metadata(&[6, 6])).unwrap();
    assert_eq!(loads(&assigned), [4, 4, 4]);
}

#[test]
fn what_the_log_says_wrongly_is_put_right() {
    for (second, kind) in [(&[0u128][..], "same"), (&[0, 1][..], "different")] {
        // A partition that does not exist, one that two members have, a topic that nobody reads.
        let m1 = member(&[0], assignment_of(&[(0, &[-1, 0, 1, 99]), (4, &[0])]));
        let m2 = member(second, assignment_of(&[(0, &[1, 2])]));
        let spec = group(vec![("m1", m1), ("m2", m2)]);
        let metadata = metadata(&[4, 1]);
        let assigned = UniformAssignor.assign(&spec, &metadata).unwrap();
        let total: usize = loads(&assigned).iter().sum();
        assert_eq!(total, 3 + second.len(), "{kind}");
    }
}

/// How many partitions each topic has; for each member, which topics it reads.
fn groups() -> impl Strategy<Value = (Vec<i32>, Vec<Vec<bool>>, bool)> {
    let topics = prop::collection::vec(0i32..20, NAMES.len());
    let members = prop::collection::vec(prop::collection::vec(any::<bool>(), NAMES.len()), 1..12);
    (topics, members, any::<bool>())
}

fn spec_of(members: &[Vec<bool>], same: bool) -> GroupSpec {
    let reads = |member: &Vec<bool>| -> Vec<u128> {
        let wanted = if same { &members[0] } else { member };
        (0..).zip(wanted).filter(|(_, reads)| **reads).map(|(n, _)| n).collect()
    };
    let ids: Vec<String> = (0..members.len()).map(|n| format!("m{n:02}")).collect();
    let spec = |m: &Vec<bool>| member(&reads(m), MemberAssignment::new());
    group(ids.iter().map(String::as_str).zip(members.iter().map(spec)).collect())
}

fn check(spec: &GroupSpec, metadata: &TestMetadata, partitions: &[i32], assigned: &GroupAssignment) {
    let mut owners: BTreeMap<(Uuid, i32), &ByteString> = BTreeMap::new();
    for (member_id, topics) in assigned {
        for (topic, indexes) in topics {
            assert!(spec.members[member_id].subscribed_topic_ids.contains(topic), "reads what it has");
            for index in indexes {
                let twice = owners.insert((*topic, *index), member_id);
                assert!(twice.is_none(), "ASSIGNMENT-DISJOINT");
            }
        }
    }
    let wanted: BTreeSet<Uuid> =
        spec.members.values().flat_map(|m| m.subscribed_topic_ids.iter().copied()).collect();
    let total: i32 =
        (0..).zip(partitions).filter(|(n, _)| wanted.contains(&topic_id(*n))).map(|(_, count)| count).sum();
    assert_eq!(owners.len(), usize::try_from(total).unwrap(), "ASSIGNMENT-COMPLETE: {metadata:?}");
}

proptest! {
    #[test]
    fn every_partition_has_one_owner((partitions, members, same) in groups()) {
        let metadata = metadata(&partitions);
        let spec = spec_of(&members, same);
        for assignor in builtin_assignors() {
            let assigned = assignor.assign(&spec, &metadata).unwrap();
            check(&spec, &metadata, &partitions, &assigned);
            let again = assignor.assign(&after(spec.clone(), &assigned), &metadata).unwrap();
            prop_assert_eq!(assigned, again, "what is balanced stays as it is");
        }
    }

    #[test]
    fn equal_readers_get_equal_shares((partitions, members, _) in groups()) {
        let metadata = metadata(&partitions);
        let assigned = UniformAssignor.assign(&spec_of(&members, true), &metadata).unwrap();
        let loads = loads(&assigned);
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1);
    }

    #[test]
    fn a_member_that_leaves_disturbs_nobody((partitions, members, same) in groups()) {
        prop_assume!(members.len() > 1);
        let metadata = metadata(&partitions);
        let before_spec = spec_of(&members, same);
        let before = UniformAssignor.assign(&before_spec, &metadata).unwrap();
        let mut left = after(before_spec, &before);
        left.members.pop_last();
        let now = UniformAssignor.assign(&left, &metadata).unwrap();
        check(&left, &metadata, &partitions, &now);
        if same {
            let stayed = before.iter().filter(|(id, _)| left.members.contains_key(*id));
            let stayed: GroupAssignment = stayed.map(|(id, of)| (id.clone(), of.clone())).collect();
            prop_assert_eq!(moved(&stayed, &now), 0);
        }
    }
}
