use ottla_protocol::records::group::StreamsGroupTopologyValue;

use super::super::testing::{CHANGELOG, GROUP, SOURCE, World, beat_request, join_request, tasks};
use super::*;

#[test]
fn a_group_goes_through_its_states() {
    let mut world = World::new();
    assert_eq!(world.state(), "none");
    world.topics.remove(SOURCE);
    world.join("a1");
    assert_eq!(world.state(), "NotReady");
    world.topics.put(SOURCE, 4);
    world.beat("a1");
    assert_eq!(world.state(), "Stable");
    world.join("b1");
    assert_eq!(world.state(), "Reconciling", "a1 has what is to be b1's");
    world.settle();
    assert_eq!(world.state(), "Stable");
    for member_id in ["a1", "b1"] {
        world.heartbeat(&beat_request(member_id, -1)).unwrap();
    }
    assert_eq!(world.state(), "Empty");
}

#[test]
fn a_group_that_is_to_be_assigned_says_so() {
    let mut world = World::new();
    world.config.initial_rebalance_delay_ms = 3_000;
    world.join("a1");
    assert_eq!(world.state(), "Assigning");
    world.advance(3_000);
    world.beat("a1");
    assert_eq!(world.state(), "Stable");
}

#[test]
fn filters_name_states_as_kafka_does() {
    assert!(
        StreamsGroupState::NotReady.is_named("not_ready") && StreamsGroupState::Stable.is_named("STABLE")
    );
    assert!(!StreamsGroupState::NotReady.is_named("notready"));
}

#[test]
fn tombstones_of_what_is_not_there_make_no_group() {
    let group_id = ByteString::from_static(GROUP);
    let tombstones = StreamsGroup::new(group_id.clone()).tombstones();
    assert_eq!(tombstones.len(), 3);
    for tombstone in tombstones {
        assert!(StreamsGroup::replay(None, &tombstone).is_none());
    }
    for tombstone in StreamsGroupRecord::member_tombstones(&group_id, &"nadie".into()) {
        assert!(StreamsGroup::replay(None, &tombstone).is_none());
        let group = StreamsGroup::new(group_id.clone());
        assert!(StreamsGroup::replay(Some(&group), &tombstone).unwrap().is_empty());
    }
}

#[test]
fn a_compacted_log_gives_the_same_group() {
    let mut world = World::new();
    for member_id in ["a1", "b1", "b2"] {
        world.join(member_id);
    }
    world.settle();
    // Whatever the order of the last records of each key, as compaction may leave them.
    let mut last: Vec<StreamsGroupRecord> = Vec::new();
    for record in world.log.iter().rev() {
        let key = record.encode().unwrap().0;
        if last.iter().all(|later| later.encode().unwrap().0 != key) {
            last.push(record.clone());
        }
    }
    let mut group = None;
    for record in &last {
        group = StreamsGroup::replay(group.as_ref(), record);
    }
    let (group, before) = (group.unwrap(), world.group.as_ref().unwrap());
    assert_eq!(group.state(), before.state());
    assert_eq!(
        (group.group_epoch(), group.assignment_epoch()),
        (before.group_epoch(), before.assignment_epoch())
    );
    for member in before.members() {
        assert_eq!(group.member(&member.member_id).unwrap(), member);
        assert_eq!(group.target_assignment(&member.member_id), before.target_assignment(&member.member_id));
        for (subtopology, partition) in super::super::tasks::each_with_epoch(&member.assigned_tasks.active) {
            let process = &member.process_id;
            assert_eq!(group.owners().active(subtopology, partition), Some(process));
        }
    }
}

#[test]
fn a_group_reads_its_topics_while_somebody_is_there() {
    let mut world = World::new();
    world.join("a1");
    let subscribed = |world: &World, topic| world.group.as_ref().unwrap().is_subscribed_to_topic(topic);
    assert!(subscribed(&world, SOURCE));
    assert!(!subscribed(&world, CHANGELOG), "nobody commits offsets of it");
    world.heartbeat(&beat_request("a1", -1)).unwrap();
    assert!(!subscribed(&world, SOURCE));
}

#[test]
fn nonsense_in_the_log_does_no_harm() {
    let group_id = ByteString::from_static(GROUP);
    let twice = ottla_protocol::records::group::streams_group_topology_value::Subtopology {
        subtopology_id: "0".into(),
        copartition_groups: vec![Default::default()],
        ..Default::default()
    };
    let value = StreamsGroupTopologyValue { subtopologies: vec![twice.clone(), twice], ..Default::default() };
    let record = StreamsGroupRecord::Topology { group_id: group_id.clone(), value: Some(value) };
    let group = StreamsGroup::replay(None, &record).unwrap();
    assert_eq!(group.topology().unwrap().subtopologies().len(), 1);
    let gone = StreamsGroupRecord::GroupMetadata { group_id, value: None };
    assert!(StreamsGroup::replay(Some(&group), &gone).is_none());
}

#[test]
fn owners_follow_members() {
    let mut world = World::new();
    world.join("a1");
    let owners = |world: &World| world.group.as_ref().unwrap().owners().active(&"0".into(), 2).cloned();
    assert_eq!(world.active("a1"), tasks(&[("0", &[0, 1, 2, 3])]));
    assert_eq!(owners(&world), Some("a".into()));
    let moved = beat_request("a1", world.member("a1").member_epoch);
    let moved =
        ottla_protocol::messages::StreamsGroupHeartbeatRequest { process_id: Some("z".into()), ..moved };
    world.heartbeat(&moved).unwrap();
    assert_eq!(owners(&world), Some("z".into()));
    world.heartbeat(&beat_request("a1", -1)).unwrap();
    assert_eq!(owners(&world), None);
    assert!(world.decide(&join_request("a1")).is_ok());
}
