use ottla_common::ErrorCode;
use ottla_protocol::messages::streams_group_heartbeat_request as request;

use super::*;
use crate::group::streams::testing::{
    CHANGELOG, GROUP, PARTITIONS, SOURCE, World, beat_request, full_request, join_request, repartition,
    static_join_request, status_codes, subtopology, tasks, told, topology, usual_topology,
};
use crate::group::streams::{StreamsGroupRecord, TasksTuple};

fn refused(world: &World, request: &StreamsGroupHeartbeatRequest) -> ErrorCode {
    world.decide(request).map_or_else(|error| error.code(), |_| ErrorCode::None)
}

#[test]
fn the_first_member_makes_the_group() {
    let mut world = World::new();
    let result = world.join("a1");
    let response = &result.response;
    assert_eq!((response.member_id.clone(), response.member_epoch), ("a1".into(), 2));
    assert_eq!((response.heartbeat_interval_ms, response.task_offset_interval_ms), (5_000, 60_000));
    assert_eq!(response.acceptable_recovery_lag, 10_000);
    assert_eq!(told(response).unwrap().active, tasks(&[("0", &[0, 1, 2, 3])]));
    assert!(status_codes(&result).is_empty() && result.creatable_topics.is_empty());
    assert_eq!((result.current_topology_epoch, result.stored_description_topology_epoch), (1, -1));
    // Member, topology, group, target of the member, its epoch, and what the member does.
    assert_eq!(world.kinds_from(0), [19, 23, 17, 21, 20, 22]);
}

#[test]
fn a_heartbeat_without_news_writes_nothing() {
    let mut world = World::new();
    world.join("a1");
    world.beat("a1");
    let written = world.log.len();
    let result = world.beat("a1");
    assert_eq!(world.log.len(), written);
    assert_eq!(told(&result.response), None);
    let epoch = world.member("a1").member_epoch;
    let result = world.heartbeat(&beat_request("a1", epoch)).unwrap();
    assert_eq!((told(&result.response), world.log.len()), (None, written));
}

#[test]
fn requests_must_make_sense() {
    let world = World::new();
    let regex = || {
        let mut only = subtopology("0", &[SOURCE]);
        only.source_topic_regex.push("p.*".into());
        topology(1, vec![only])
    };
    let task = || Some(vec![request::TaskIds { subtopology_id: "0".into(), ..Default::default() }]);
    let join = || join_request("a1");
    let beat = || beat_request("a1", 2);
    let refused_requests = [
        StreamsGroupHeartbeatRequest { member_id: "".into(), ..join() },
        StreamsGroupHeartbeatRequest { group_id: "".into(), ..join() },
        StreamsGroupHeartbeatRequest { instance_id: Some("".into()), ..join() },
        StreamsGroupHeartbeatRequest { rack_id: Some("".into()), ..join() },
        StreamsGroupHeartbeatRequest { rebalance_timeout_ms: -1, ..join() },
        StreamsGroupHeartbeatRequest { active_tasks: task(), ..join() },
        StreamsGroupHeartbeatRequest { standby_tasks: task(), ..join() },
        StreamsGroupHeartbeatRequest { warmup_tasks: task(), ..join() },
        StreamsGroupHeartbeatRequest { topology: None, ..join() },
        StreamsGroupHeartbeatRequest { topology: Some(regex()), ..join() },
        StreamsGroupHeartbeatRequest { topology: Some(usual_topology()), ..beat() },
        StreamsGroupHeartbeatRequest { active_tasks: task(), ..beat() },
        StreamsGroupHeartbeatRequest { member_epoch: -2, ..beat() },
        StreamsGroupHeartbeatRequest { member_epoch: -3, instance_id: Some("i".into()), ..beat() },
    ];
    for request in refused_requests {
        assert_eq!(refused(&world, &request), ErrorCode::InvalidRequest, "{request:?}");
    }
}

#[test]
fn duplicates_are_refused() {
    let mut world = World::new();
    let tag = request::KeyValue { key: "zona".into(), value: "a".into(), ..Default::default() };
    let tags = Some(vec![tag.clone(), tag]);
    let twice = StreamsGroupHeartbeatRequest { client_tags: tags, ..join_request("a1") };
    assert_eq!(refused(&world, &twice), ErrorCode::InvalidRequest);
    world.join("a1");
    let offset = request::TaskOffset { subtopology_id: "0".into(), ..Default::default() };
    let offsets = Some(vec![offset.clone(), offset]);
    let twice = StreamsGroupHeartbeatRequest { task_offsets: offsets, ..beat_request("a1", 2) };
    assert_eq!(refused(&world, &twice), ErrorCode::InvalidRequest);
}

#[test]
fn topologies_that_make_no_sense_are_refused_and_change_nothing() {
    let mut world = World::new();
    let mut changelog = subtopology("0", &[SOURCE]);
    changelog.state_changelog_topics.push(repartition(CHANGELOG, 4));
    let mut cycle = subtopology("0", &[]);
    cycle.repartition_source_topics.push(repartition("r", 0));
    cycle.repartition_sink_topics.push("r".into());
    for subtopologies in [vec![changelog], vec![cycle], vec![subtopology("0", &[])]] {
        let topology = Some(topology(1, subtopologies));
        let request = StreamsGroupHeartbeatRequest { topology, ..join_request("a1") };
        let error = world.heartbeat(&request).unwrap_err();
        assert_eq!(error.code(), ErrorCode::StreamsInvalidTopology);
    }
    assert!(world.group.is_none() && world.timers.next_deadline().is_none());
}

#[test]
fn only_who_joins_makes_a_group() {
    let world = World::new();
    assert_eq!(refused(&world, &beat_request("a1", 3)), ErrorCode::GroupIdNotFound);
    assert_eq!(refused(&world, &beat_request("a1", -1)), ErrorCode::GroupIdNotFound);
}

#[test]
fn strangers_must_join() {
    let mut world = World::new();
    world.join("a1");
    assert_eq!(refused(&world, &beat_request("b1", 2)), ErrorCode::UnknownMemberId);
    let fixed = StreamsGroupHeartbeatRequest { instance_id: Some("i".into()), ..beat_request("a1", 2) };
    assert_eq!(refused(&world, &fixed), ErrorCode::UnknownMemberId);
}

#[test]
fn epochs_that_cannot_be_are_fenced() {
    let mut world = World::new();
    world.join("a1");
    let epoch = world.member("a1").member_epoch;
    assert_eq!(refused(&world, &beat_request("a1", epoch + 1)), ErrorCode::FencedMemberEpoch);
    assert_eq!(refused(&world, &beat_request("a1", epoch - 1)), ErrorCode::FencedMemberEpoch);
}

#[test]
fn the_epoch_before_is_good_when_the_answer_was_lost() {
    let mut world = World::new();
    world.join("a1");
    world.join("b1");
    world.settle();
    let member = world.member("a1");
    let own = TasksTuple { active: world.active("a1"), ..Default::default() };
    let before = member.previous_member_epoch;
    assert!(before < member.member_epoch);
    assert_eq!(refused(&world, &full_request("a1", before, &own)), ErrorCode::None);
    let more = TasksTuple { active: tasks(&[("0", &[0, 1, 2, 3])]), ..Default::default() };
    assert_eq!(refused(&world, &full_request("a1", before, &more)), ErrorCode::FencedMemberEpoch);
    assert_eq!(refused(&world, &beat_request("a1", before)), ErrorCode::FencedMemberEpoch, "who knows");
}

#[test]
fn a_full_group_takes_nobody_else() {
    let mut world = World::new();
    world.config.max_size = 2;
    world.heartbeat(&static_join_request("a1", "i")).unwrap();
    world.join("b1");
    assert_eq!(refused(&world, &join_request("c1")), ErrorCode::GroupMaxSizeReached);
    assert_eq!(refused(&world, &join_request("b1")), ErrorCode::None, "it is a member");
    let back = static_join_request("a2", "i");
    assert_eq!(refused(&world, &back), ErrorCode::UnreleasedInstanceId, "it would take a place");
}

#[test]
fn tasks_that_are_not_there_are_refused() {
    let mut world = World::new();
    world.join("a1");
    for active in [tasks(&[("7", &[0])]), tasks(&[("0", &[PARTITIONS])]), tasks(&[("0", &[-1])])] {
        let owned = TasksTuple { active, ..Default::default() };
        assert_eq!(refused(&world, &full_request("a1", 2, &owned)), ErrorCode::InvalidRequest);
    }
}

#[test]
fn the_topology_of_a_group_does_not_change() {
    let mut world = World::new();
    world.join("a1");
    let joining = |topology| StreamsGroupHeartbeatRequest { topology: Some(topology), ..join_request("b1") };
    let other = topology(1, vec![subtopology("0", &[SOURCE])]);
    assert_eq!(refused(&world, &joining(other)), ErrorCode::InvalidRequest);
    let newer = request::Topology { epoch: 2, ..usual_topology() };
    assert_eq!(refused(&world, &joining(newer)), ErrorCode::InvalidRequest);
    // An older one is told so, and takes part.
    let older = topology(0, vec![subtopology("0", &["otro"])]);
    let result = world.heartbeat(&joining(older)).unwrap();
    assert_eq!(status_codes(&result), [0]);
    assert_eq!(world.group.as_ref().unwrap().topology_epoch(), 1);
}

#[test]
fn missing_topics_are_told_and_created() {
    let mut world = World::new();
    world.topics.remove(CHANGELOG);
    let result = world.join("a1");
    assert_eq!(status_codes(&result), [3]);
    assert_eq!(result.creatable_topics.len(), 1);
    let topic = &result.creatable_topics[0];
    let (name, partitions) = (topic.name.clone(), topic.num_partitions);
    assert_eq!((name, partitions, topic.replication_factor), (CHANGELOG.into(), PARTITIONS, -1));
    assert!(told(&result.response).unwrap().is_empty(), "nothing to do yet");
    let again = world.beat("a1");
    assert_eq!((status_codes(&again), again.creatable_topics.len()), (vec![3], 1));
    world.topics.put(CHANGELOG, PARTITIONS);
    let result = world.beat("a1");
    assert!(status_codes(&result).is_empty() && result.creatable_topics.is_empty());
    assert_eq!(told(&result.response).unwrap().active.len(), 1);
}

#[test]
fn topics_that_go_or_are_wrong_stop_the_application() {
    for (name, partitions, status) in [(SOURCE, None, 1), (CHANGELOG, Some(9), 2)] {
        let mut world = World::new();
        world.join("a1");
        world.topics.remove(name);
        if let Some(partitions) = partitions {
            world.topics.put(name, partitions);
        }
        let result = world.beat("a1");
        assert_eq!((status_codes(&result), world.state()), (vec![status], "NotReady"));
        assert_eq!(told(&result.response).map(|tasks| tasks.active.len()), Some(0), "everything is given up");
    }
}

#[test]
fn topics_of_others_disturb_nobody() {
    let mut world = World::new();
    world.join("a1");
    world.beat("a1");
    let written = world.log.len();
    world.topics.put("otro", 3);
    world.beat("a1");
    assert_eq!(world.log.len(), written);
    world.topics.remove(SOURCE);
    world.topics.put(SOURCE, PARTITIONS);
    world.beat("a1");
    assert!(world.log.len() > written, "a topic of this name, and another one");
}

#[test]
fn what_the_log_refused_is_decided_again() {
    let mut world = World::new();
    world.join("a1");
    world.topics.remove(SOURCE);
    world.refuse = true;
    world.beat("a1");
    assert_eq!(world.state(), "Stable");
    world.refuse = false;
    world.beat("a1");
    assert_eq!(world.state(), "NotReady");
}

#[test]
fn one_asks_and_all_are_told_to_shut_down() {
    let mut world = World::new();
    world.join("a1");
    world.join("b1");
    let epoch = world.member("a1").member_epoch;
    let asks = StreamsGroupHeartbeatRequest { shutdown_application: true, ..beat_request("a1", epoch) };
    assert_eq!(status_codes(&world.heartbeat(&asks).unwrap()), [4]);
    let told = world.beat("b1");
    assert_eq!(status_codes(&told), [4]);
    assert!(told.response.status.unwrap()[0].status_detail.contains("a1"));
}

#[test]
fn tags_that_standbys_are_spread_by_are_asked_for() {
    let mut world = World::new();
    world.config.rack_aware_assignment_tags = vec!["zona".into(), "nube".into()];
    let tag = request::KeyValue { key: "zona".into(), value: "a".into(), ..Default::default() };
    let with_tag = StreamsGroupHeartbeatRequest { client_tags: Some(vec![tag]), ..join_request("a1") };
    let result = world.heartbeat(&with_tag).unwrap();
    assert_eq!(status_codes(&result), [6]);
    let detail = &result.response.status.as_ref().unwrap()[0].status_detail;
    assert!(detail.contains("nube") && !detail.contains("zona,"), "{detail}");
    world.api_version = 0;
    assert!(status_codes(&world.beat("a1")).is_empty(), "version 0 does not know the status");
}

#[test]
fn endpoints_are_told_when_they_changed() {
    let mut world = World::new();
    let endpoint = |port| Some(request::Endpoint { host: "uno".into(), port, ..Default::default() });
    let join = StreamsGroupHeartbeatRequest { user_endpoint: endpoint(80), ..join_request("a1") };
    let result = world.heartbeat(&join).unwrap().response;
    assert_eq!(result.endpoint_information_epoch, 0, "nothing is remembered of a new group");
    assert_eq!(result.partitions_by_user_endpoint.unwrap().len(), 1);
    world.join("b1");
    world.settle();
    let epoch = world.soft.of(&GROUP.into()).endpoint_information_epoch;
    assert!(epoch > 0, "a1 gave tasks up");
    let member_epoch = world.member("b1").member_epoch;
    let ask = |known| StreamsGroupHeartbeatRequest {
        endpoint_information_epoch: known,
        ..beat_request("b1", member_epoch)
    };
    let known = world.heartbeat(&ask(epoch)).unwrap().response;
    assert_eq!((known.endpoint_information_epoch, known.partitions_by_user_endpoint), (epoch, None));
    let all = world.heartbeat(&ask(epoch - 1)).unwrap().response.partitions_by_user_endpoint.unwrap();
    assert_eq!(all.len(), 1, "b1 has no endpoint");
    assert_eq!((all[0].user_endpoint.host.clone(), all[0].user_endpoint.port), ("uno".into(), 80));
    assert_eq!(all[0].active_partitions[0].topic, SOURCE);
    assert_eq!(all[0].active_partitions[0].partitions.len(), 2);
    let member_epoch = world.member("a1").member_epoch;
    let moved =
        StreamsGroupHeartbeatRequest { user_endpoint: endpoint(81), ..beat_request("a1", member_epoch) };
    assert_eq!(world.heartbeat(&moved).unwrap().response.endpoint_information_epoch, epoch + 1);
}

#[test]
fn offsets_of_tasks_are_kept_while_the_member_is() {
    let mut world = World::new();
    world.join("a1");
    let offset =
        request::TaskOffset { subtopology_id: "0".into(), partition: 1, offset: 7, ..Default::default() };
    let says = StreamsGroupHeartbeatRequest { task_offsets: Some(vec![offset]), ..beat_request("a1", 2) };
    world.heartbeat(&says).unwrap();
    let known = |world: &World| world.soft.of(&GROUP.into()).task_offsets(&"a1".into()).cloned();
    assert_eq!(known(&world).unwrap().task_offsets["0"][&1], 7);
    world.heartbeat(&beat_request("a1", -1)).unwrap();
    assert_eq!(known(&world), None);
}

#[test]
fn a_changed_configuration_is_assigned_for() {
    let mut world = World::new();
    world.join("a1");
    world.join("b1");
    world.settle();
    let epoch = world.group.as_ref().unwrap().group_epoch();
    world.config.num_standby_replicas = 1;
    world.settle();
    let group = world.group.as_ref().unwrap();
    assert_eq!(group.group_epoch(), epoch + 1);
    assert_eq!(group.last_assignment_configs().get("num.standby.replicas").unwrap(), "1");
    assert_eq!(world.member("a1").assigned_tasks.standby, world.active("b1"));
    assert!(world.log.iter().any(|record| matches!(record, StreamsGroupRecord::Topology { .. })));
}
