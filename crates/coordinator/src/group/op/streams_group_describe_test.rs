use super::*;
use crate::group::streams::testing::{CHANGELOG, GROUP, SOURCE, World, beat_request, join_request};

fn describe(world: &World) -> DescribedGroup {
    world.cx().streams_group_describe(&GROUP.into())
}

#[test]
fn a_group_is_described() {
    let mut world = World::new();
    world.config.num_standby_replicas = 1;
    let mut join = join_request("a1");
    let endpoint = ottla_protocol::messages::streams_group_heartbeat_request::Endpoint {
        host: "uno".into(),
        port: 80,
        ..Default::default()
    };
    join.user_endpoint = Some(endpoint);
    world.heartbeat(&join).unwrap();
    world.join("b1");
    world.settle();
    let group = describe(&world);
    let epoch = world.group.as_ref().unwrap().group_epoch();
    assert_eq!((group.error_code, &*group.group_state), (0, "Stable"));
    assert_eq!((group.group_epoch, group.assignment_epoch), (epoch, epoch));
    assert_eq!(group.assignor_name.as_deref(), Some("sticky"));
    let subtopologies = group.topology.unwrap().subtopologies.unwrap();
    assert_eq!(subtopologies[0].source_topics, [SOURCE]);
    let changelog = &subtopologies[0].state_changelog_topics[0];
    assert_eq!((&*changelog.name, changelog.partitions), (CHANGELOG, 4), "as found out");
    let [first, second] = &group.members[..] else { panic!("two members") };
    assert_eq!((&*first.member_id, &*first.process_id, &*first.client_id), ("a1", "a", "cliente"));
    assert_eq!(first.user_endpoint.as_ref().map(|endpoint| endpoint.port), Some(80));
    assert_eq!(second.user_endpoint, None);
    assert_eq!(first.assignment, first.target_assignment);
    assert_eq!(first.assignment.active_tasks, second.assignment.standby_tasks);
    assert_eq!(first.assignment.active_tasks[0].partitions, [0, 1]);
}

#[test]
fn a_topology_whose_topics_are_missing_is_described_as_it_was_said() {
    let mut world = World::new();
    world.topics.remove(CHANGELOG);
    world.join("a1");
    let group = describe(&world);
    assert_eq!(&*group.group_state, "NotReady");
    let subtopologies = group.topology.unwrap().subtopologies.unwrap();
    assert_eq!(subtopologies[0].state_changelog_topics[0].partitions, 0);
}

#[test]
fn groups_that_are_not_there_say_so() {
    let group = describe(&World::new());
    assert_eq!(group.error_code, ottla_common::ErrorCode::GroupIdNotFound.code());
    assert_eq!(group.group_id, GROUP);
    assert_eq!(group.error_message.as_deref(), Some(&*format!("Group {GROUP} not found.")));
}

#[test]
fn descriptions_are_told_when_they_are_stored() {
    let mut world = World::new();
    world.join("a1");
    let mut group = describe(&world);
    assert_eq!(world.cx().stored_topology_description(&mut group), None);
    assert_eq!(group.topology_description_status, 1, "nowhere to store it");
    world.config.topology_description_plugin_configured = true;
    assert_eq!(world.cx().stored_topology_description(&mut group), None);
    let marked = world.cx().mark_topology_description_before_set();
    world.carry_out(marked);
    assert_eq!(world.cx().stored_topology_description(&mut describe(&world)), None, "who knows");
    let stored = world.cx().topology_description_stored(&GROUP.into(), 1).unwrap();
    world.carry_out(stored);
    let mut group = describe(&world);
    assert_eq!(world.cx().stored_topology_description(&mut group), Some(1));
    assert_eq!(group.topology_description_status, 0, "the caller goes on");
    let mut unknown = describe(&World::new());
    assert_eq!(world.cx().stored_topology_description(&mut unknown), None);
    assert_eq!(unknown.topology_description_status, 0);
}

#[test]
fn an_empty_group_has_a_topology_still() {
    let mut world = World::new();
    world.join("a1");
    world.heartbeat(&beat_request("a1", -1)).unwrap();
    let group = describe(&world);
    assert_eq!((&*group.group_state, group.members.len()), ("Empty", 0));
    assert_eq!(group.topology.unwrap().epoch, 1);
}
