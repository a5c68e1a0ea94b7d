use ottla_common::ErrorCode;
use ottla_protocol::messages::streams_group_topology_description_update_request as update;

use super::*;
use crate::group::streams::testing::{GROUP, World, beat_request};

fn request(member_id: &str, topology_epoch: i32) -> StreamsGroupTopologyDescriptionUpdateRequest {
    StreamsGroupTopologyDescriptionUpdateRequest {
        group_id: GROUP.into(),
        member_id: member_id.into(),
        topology_epoch,
        ..Default::default()
    }
}

fn world() -> World {
    let mut world = World::new();
    world.config.topology_description_plugin_configured = true;
    world.join("a1");
    world
}

fn code(world: &World, request: &StreamsGroupTopologyDescriptionUpdateRequest) -> ErrorCode {
    let refused = world.cx().validate_topology_description_update(request);
    refused.map_or_else(|error| error.code(), |()| ErrorCode::None)
}

fn epochs(world: &World) -> (i32, i32) {
    let group = world.group.as_ref().unwrap();
    (group.stored_description_topology_epoch(), group.failed_description_topology_epoch())
}

#[test]
fn pushes_must_make_sense() {
    let mut world = world();
    assert_eq!(code(&world, &request("a1", 1)), ErrorCode::None);
    assert_eq!(code(&world, &request("a1", 0)), ErrorCode::InvalidRequest);
    assert_eq!(code(&world, &request("", 1)), ErrorCode::InvalidRequest);
    assert_eq!(code(&world, &request("b1", 1)), ErrorCode::UnknownMemberId);
    let mut nonsense = request("a1", 1);
    let node = update::TopologyDescriptionNode { node_type: 9, ..Default::default() };
    let subtopology = update::TopologyDescriptionSubtopology { nodes: vec![node], ..Default::default() };
    nonsense.topology_description.subtopologies.push(subtopology);
    assert_eq!(code(&world, &nonsense), ErrorCode::InvalidRequest);
    world.config.topology_description_plugin_configured = false;
    assert_eq!(code(&world, &request("a1", 1)), ErrorCode::UnsupportedVersion);
    let mut nobody = World::new();
    nobody.config.topology_description_plugin_configured = true;
    assert_eq!(code(&nobody, &request("a1", 1)), ErrorCode::GroupIdNotFound);
}

#[test]
fn a_push_leaves_a_mark_until_it_is_known_what_came_of_it() {
    let mut world = world();
    let mark = world.cx().mark_topology_description_before_set();
    assert!(world.carry_out(mark));
    assert_eq!(epochs(&world), (-2, -1));
    assert!(world.cx().mark_topology_description_before_set().records.is_empty(), "marked already");
    let stored = world.cx().topology_description_stored(&GROUP.into(), 1).unwrap();
    world.carry_out(stored);
    assert_eq!(epochs(&world), (1, -1));
    let failed = world.cx().topology_description_failed(&GROUP.into(), 1).unwrap();
    world.carry_out(failed);
    assert_eq!(epochs(&world), (1, 1));
    let older = world.cx().topology_description_failed(&GROUP.into(), 0).unwrap();
    world.carry_out(older);
    assert_eq!(epochs(&world), (1, 1), "what is known does not shrink");
}

#[test]
fn a_deletion_and_a_push_at_once_leave_it_open() {
    let mut world = world();
    assert!(!world.cx().mark_topology_description_before_delete().response, "somebody is there");
    world.heartbeat(&beat_request("a1", -1)).unwrap();
    assert!(!world.cx().mark_topology_description_before_delete().response, "nothing is stored");
    let mark = world.cx().mark_topology_description_before_set();
    world.carry_out(mark);
    assert!(world.cx().mark_topology_description_before_delete().response);
    // The deletion ends first: the push finds no mark any more.
    let deleted = world.cx().topology_description_deleted();
    world.carry_out(deleted);
    assert_eq!(epochs(&world), (-1, -1));
    let stored = world.cx().topology_description_stored(&GROUP.into(), 1).unwrap();
    world.carry_out(stored);
    assert_eq!(epochs(&world), (-2, -1));
    // The push ends first: the deletion finds an epoch where its mark was.
    let stored = world.cx().topology_description_stored(&GROUP.into(), 1).unwrap();
    world.carry_out(stored);
    let deleted = world.cx().topology_description_deleted();
    world.carry_out(deleted);
    assert_eq!(epochs(&world), (-2, -1));
}

#[test]
fn a_group_that_is_gone_is_not_marked() {
    let world = World::new();
    assert!(!world.cx().mark_topology_description_before_set().response);
    let gone = world.cx().topology_description_stored(&GROUP.into(), 1).unwrap_err();
    assert_eq!(gone.code(), ErrorCode::GroupIdNotFound);
    assert!(world.cx().topology_description_deleted().records.is_empty());
}
