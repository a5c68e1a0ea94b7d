use std::collections::BTreeMap;

use ottla_common::Uuid;

use super::super::record_of;
use super::*;
use crate::group::modern::MemberState;

const TOPIC: Uuid = Uuid::from_u128(7);

fn group() -> ConsumerGroup {
    ConsumerGroup::new("g".into())
}

fn member(id: &str, epoch: i32, partitions: &[i32]) -> ConsumerGroupMember {
    let epochs: BTreeMap<i32, i32> = partitions.iter().map(|p| (*p, epoch)).collect();
    ConsumerGroupMember {
        member_epoch: epoch,
        instance_id: Some(format!("i-{id}").into()),
        subscribed_topic_names: Arc::new([ByteString::from("pagos")].into()),
        server_assignor: Some("range".into()),
        assigned_partitions: Arc::new(PartitionEpochs::from([(TOPIC, epochs)])),
        ..ConsumerGroupMember::new(id.into())
    }
}

fn put(group: &mut ConsumerGroup, member: &ConsumerGroupMember) {
    let group_id = group.group_id().clone();
    assert!(group.replay(&record_of::member(&group_id, member)));
    assert!(group.replay(&record_of::current(&group_id, member)));
}

#[test]
fn a_member_is_what_its_records_say() {
    let mut group = group();
    let written = member("m1", 5, &[0, 1]);
    put(&mut group, &written);
    assert_eq!(**group.member(&"m1".into()).unwrap(), written);
    assert_eq!(group.partition_epoch(TOPIC, 1), Some(5));
    assert_eq!(group.partition_epoch(TOPIC, 2), None);
    assert_eq!(group.preferred_server_assignor(), Some(&"range".into()));
    assert!(group.is_subscribed_to("pagos") && !group.is_subscribed_to("envios"));
    assert_eq!(group.static_member(&"i-m1".into()).unwrap().member_id, "m1");
}

#[test]
fn a_member_leaves_no_trace() {
    let mut group = group();
    put(&mut group, &member("m1", 5, &[0, 1]));
    let group_id = group.group_id().clone();
    group.replay(&record_of::current_tombstone(&group_id, &"m1".into()));
    assert_eq!(group.partition_epoch(TOPIC, 0), None);
    group.replay(&record_of::target_tombstone(&group_id, &"m1".into()));
    group.replay(&record_of::member_tombstone(&group_id, &"m1".into()));
    assert!(group.is_empty() && group.subscribed_topics().is_empty());
    assert!(group.static_member(&"i-m1".into()).is_none());
    assert_eq!(group.preferred_server_assignor(), None);
    assert_eq!(group.state().name(), "Empty");
}

#[test]
fn partitions_go_from_hand_to_hand() {
    let mut group = group();
    put(&mut group, &member("m1", 5, &[0]));
    // The new owner's record comes before the old one's, as compaction may have it.
    put(&mut group, &member("m2", 6, &[0]));
    assert_eq!(group.partition_epoch(TOPIC, 0), Some(6));
    put(&mut group, &member("m1", 6, &[]));
    assert_eq!(group.partition_epoch(TOPIC, 0), Some(6), "what another has is not taken from it");
}

#[test]
fn expressions_count_as_subscriptions() {
    let mut group = group();
    let group_id = group.group_id().clone();
    let resolved = |topics: &[&str]| {
        Arc::new(ResolvedRegularExpression {
            topics: topics.iter().map(|topic| ByteString::from(*topic)).collect(),
            version: 1,
            timestamp_ms: 2,
        })
    };
    group.replay(&record_of::regular_expression(&group_id, &"p.*".into(), &resolved(&["pagos", "pedidos"])));
    assert!(group.is_subscribed_to("pedidos"));
    group.replay(&record_of::regular_expression(&group_id, &"p.*".into(), &resolved(&["pagos"])));
    assert!(group.is_subscribed_to("pagos") && !group.is_subscribed_to("pedidos"));
    group.replay(&record_of::regular_expression_tombstone(&group_id, &"p.*".into()));
    assert!(group.subscribed_topics().is_empty());
}

#[test]
fn states_are_kafkas() {
    let mut group = group();
    let group_id = group.group_id().clone();
    assert_eq!(group.state().name(), "Empty");
    put(&mut group, &member("m1", 2, &[]));
    group.replay(&record_of::epoch(&group_id, 2, 0));
    assert_eq!(group.state().name(), "Assigning");
    group.replay(&record_of::target_metadata(&group_id, 2, 77));
    assert_eq!(group.state().name(), "Stable");
    let waits = ConsumerGroupMember { state: MemberState::UnreleasedPartitions, ..member("m1", 2, &[]) };
    put(&mut group, &waits);
    assert_eq!(group.state().name(), "Reconciling");
    assert_eq!(group.target_assignment().timestamp_ms(), 77);
}

#[test]
fn holes_in_the_log_do_no_harm() {
    let mut group = group();
    let group_id = group.group_id().clone();
    assert!(group.replay(&record_of::member_tombstone(&group_id, &"m1".into())));
    assert!(group.replay(&record_of::current_tombstone(&group_id, &"m1".into())));
    assert!(group.replay(&record_of::target_tombstone(&group_id, &"m1".into())));
    assert!(group.replay(&record_of::target_metadata_tombstone(&group_id)));
    assert!(group.replay(&record_of::regular_expression_tombstone(&group_id, &"x".into())));
    put(&mut group, &member("m1", 2, &[0]));
    // A member's tombstone without those of what it has.
    assert!(group.replay(&record_of::member_tombstone(&group_id, &"m1".into())));
    assert_eq!(group.partition_epoch(TOPIC, 0), None);
    assert!(!group.replay(&record_of::epoch_tombstone(&group_id)), "the group is no more");
}
