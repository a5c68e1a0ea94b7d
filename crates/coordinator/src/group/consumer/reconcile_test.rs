use bytestring::ByteString;

use super::*;
use crate::group::consumer::record_of;
use crate::group::modern::testing::{TestMetadata, topic_id};

const TARGET_EPOCH: i32 = 11;

/// A group whose member reads `a` and `b`, and the step it takes.
struct Case {
    metadata: TestMetadata,
    group: ConsumerGroup,
    member: ConsumerGroupMember,
    target: MemberAssignment,
    owned: Option<Vec<TopicPartitions>>,
}

fn epochs(of: &[(u128, &[i32])], epoch: i32) -> Arc<PartitionEpochs> {
    let topic = |(n, partitions): &(u128, &[i32])| {
        let epochs: BTreeMap<i32, i32> = partitions.iter().map(|p| (*p, epoch)).collect();
        (topic_id(*n), epochs)
    };
    Arc::new(of.iter().map(topic).collect())
}

impl Case {
    fn new(member: ConsumerGroupMember, target: &[(u128, &[i32])]) -> Self {
        let metadata = TestMetadata::of(&[("a", 10), ("b", 10)]);
        let mut group = ConsumerGroup::new("g".into());
        put(&mut group, &member);
        let target = target.iter().map(|(n, of)| (topic_id(*n), of.iter().copied().collect())).collect();
        Self { metadata, group, member, target, owned: None }
    }

    fn owning(mut self, of: &[(u128, &[i32])]) -> Self {
        let topic = |(n, partitions): &(u128, &[i32])| TopicPartitions {
            topic_id: topic_id(*n),
            partitions: partitions.to_vec(),
            ..Default::default()
        };
        self.owned = Some(of.iter().map(topic).collect());
        self
    }

    /// Somebody else has these.
    fn others(mut self, of: &[(u128, &[i32])]) -> Self {
        let other = ConsumerGroupMember {
            assigned_partitions: epochs(of, 10),
            member_epoch: 10,
            ..ConsumerGroupMember::new("other".into())
        };
        put(&mut self.group, &other);
        self
    }

    fn take(&self, subscription_changed: bool) -> Result<ConsumerGroupMember, ConsumerGroupError> {
        let owned = self.owned.as_deref();
        let step = Step::of(&self.group, &self.metadata, &self.member, TARGET_EPOCH, &self.target, owned);
        step.take(subscription_changed)
    }
}

fn reads(topics: &[&str]) -> Arc<BTreeSet<ByteString>> {
    Arc::new(topics.iter().map(|topic| ByteString::from(*topic)).collect())
}

fn put(group: &mut ConsumerGroup, member: &ConsumerGroupMember) {
    let group_id = group.group_id().clone();
    group.replay(&record_of::member(&group_id, member));
    group.replay(&record_of::current(&group_id, member));
}

fn member(
    state: MemberState,
    assigned: &[(u128, &[i32])],
    revoking: &[(u128, &[i32])],
) -> ConsumerGroupMember {
    ConsumerGroupMember {
        member_epoch: 10,
        previous_member_epoch: 9,
        state,
        subscribed_topic_names: reads(&["a", "b"]),
        assigned_partitions: epochs(assigned, 10),
        partitions_pending_revocation: epochs(revoking, 10),
        ..ConsumerGroupMember::new("m".into())
    }
}

fn check(member: &ConsumerGroupMember, epochs: (i32, i32), state: MemberState) {
    assert_eq!((member.member_epoch, member.previous_member_epoch), epochs);
    assert_eq!(member.state, state);
}

#[test]
fn who_has_everything_stays_as_it_is() {
    let stable = ConsumerGroupMember { member_epoch: TARGET_EPOCH, ..member(MemberState::Stable, &[], &[]) };
    let case = Case::new(stable.clone(), &[(0, &[1])]);
    assert_eq!(case.take(false).unwrap(), stable, "the target of its own epoch is behind it");
}

#[test]
fn who_loses_nothing_moves_on_at_once() {
    let case = Case::new(member(MemberState::Stable, &[(0, &[1])], &[]), &[(0, &[1, 2])]);
    let now = case.take(false).unwrap();
    check(&now, (TARGET_EPOCH, 10), MemberState::Stable);
    assert_eq!(now.assigned_partitions[&topic_id(0)], BTreeMap::from([(1, 10), (2, TARGET_EPOCH)]));
}

#[test]
fn who_is_to_give_up_stays_in_its_epoch() {
    let case = Case::new(member(MemberState::Stable, &[(0, &[1, 2])], &[]), &[(0, &[2, 3])]);
    let now = case.take(false).unwrap();
    check(&now, (10, 10), MemberState::UnrevokedPartitions);
    assert_eq!(now.assigned_partitions, epochs(&[(0, &[2])], 10));
    assert_eq!(now.partitions_pending_revocation, epochs(&[(0, &[1])], 10));
}

#[test]
fn who_has_given_up_already_moves_on() {
    let case = Case::new(member(MemberState::Stable, &[(0, &[1, 2])], &[]), &[(0, &[2, 3])]);
    let now = case.owning(&[(0, &[2])]).take(false).unwrap();
    check(&now, (TARGET_EPOCH, 10), MemberState::Stable);
}

#[test]
fn what_others_have_is_waited_for() {
    let case = Case::new(member(MemberState::Stable, &[(0, &[1])], &[]), &[(0, &[1, 2, 3])]);
    let now = case.others(&[(0, &[3])]).take(false).unwrap();
    check(&now, (TARGET_EPOCH, 10), MemberState::UnreleasedPartitions);
    assert_eq!(now.assigned_partitions[&topic_id(0)].keys().copied().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn giving_up_must_be_said() {
    let revoking = member(MemberState::UnrevokedPartitions, &[(0, &[2])], &[(0, &[1])]);
    let silent = Case::new(revoking.clone(), &[(0, &[2, 3])]);
    assert_eq!(silent.take(false).unwrap(), revoking);
    let still_has = Case::new(revoking.clone(), &[(0, &[2, 3])]).owning(&[(0, &[1, 2])]);
    assert_eq!(still_has.take(false).unwrap(), revoking);
    let gave_up = Case::new(revoking, &[(0, &[2, 3])]).owning(&[(0, &[2])]);
    let now = gave_up.take(false).unwrap();
    check(&now, (TARGET_EPOCH, 10), MemberState::Stable);
    assert!(now.partitions_pending_revocation.is_empty());
}

#[test]
fn what_was_given_up_may_come_back() {
    let revoking = member(MemberState::UnrevokedPartitions, &[(0, &[2])], &[(0, &[1])]);
    let now = Case::new(revoking, &[(0, &[1, 2])]).owning(&[(0, &[2])]).take(false).unwrap();
    check(&now, (TARGET_EPOCH, 10), MemberState::Stable);
    assert_eq!(now.assigned_partitions[&topic_id(0)], BTreeMap::from([(1, TARGET_EPOCH), (2, 10)]));
}

#[test]
fn what_is_not_read_any_more_goes_at_once() {
    let mut reads_a = member(MemberState::Stable, &[(0, &[1]), (1, &[1])], &[]);
    reads_a.subscribed_topic_names = reads(&["a"]);
    reads_a.member_epoch = TARGET_EPOCH;
    let now = Case::new(reads_a.clone(), &[(0, &[1]), (1, &[1])]).take(true).unwrap();
    check(&now, (TARGET_EPOCH, TARGET_EPOCH), MemberState::UnrevokedPartitions);
    assert_eq!(now.partitions_pending_revocation, epochs(&[(1, &[1])], 10));
    let gave_up = Case::new(reads_a, &[(0, &[1]), (1, &[1])]).owning(&[(0, &[1])]);
    let now = gave_up.take(true).unwrap();
    check(&now, (TARGET_EPOCH, TARGET_EPOCH), MemberState::Stable);
    assert_eq!(now.assigned_partitions, epochs(&[(0, &[1])], 10));
    let still_reads = member(MemberState::Stable, &[(0, &[1])], &[]);
    let still_reads = ConsumerGroupMember { member_epoch: TARGET_EPOCH, ..still_reads };
    assert_eq!(Case::new(still_reads.clone(), &[]).take(true).unwrap(), still_reads);
}

#[test]
fn a_target_of_topics_that_are_gone_is_none() {
    let mut case = Case::new(member(MemberState::Stable, &[(1, &[1])], &[]), &[(0, &[1]), (1, &[1])]);
    case.metadata.remove("b");
    let now = case.take(false).unwrap();
    check(&now, (10, 10), MemberState::UnrevokedPartitions);
    assert!(now.assigned_partitions.is_empty());
}

#[test]
fn an_unknown_state_makes_a_member_start_anew() {
    let unknown = member(MemberState::Unknown, &[(0, &[1])], &[]);
    let silent = Case::new(unknown.clone(), &[(0, &[2])]);
    assert_eq!(silent.take(false), Err(ConsumerGroupError::UnknownMemberState));
    let has = Case::new(unknown.clone(), &[(0, &[2])]).owning(&[(0, &[1])]);
    assert_eq!(has.take(false), Err(ConsumerGroupError::UnknownMemberState));
    let now = Case::new(unknown, &[(0, &[2])]).owning(&[]).take(false).unwrap();
    check(&now, (TARGET_EPOCH, 10), MemberState::Stable);
    assert_eq!(now.assigned_partitions, epochs(&[(0, &[2])], TARGET_EPOCH));
}
