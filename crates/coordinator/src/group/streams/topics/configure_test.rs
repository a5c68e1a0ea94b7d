use ottla_common::ErrorCode;
use ottla_protocol::messages::streams_group_heartbeat_request as request;

use super::*;
use crate::group::streams::testing::{Topics, repartition, subtopology, topology};
use crate::group::streams::topology::record_of;

fn topics(of: &[(&str, i32)]) -> Topics {
    let mut topics = Topics::default();
    for (name, partitions) in of {
        topics.put(name, *partitions);
    }
    topics
}

fn configured(
    subtopologies: Vec<request::Subtopology>,
    topics: &Topics,
) -> Result<ConfiguredTopology, StreamsGroupError> {
    let topology = StreamsTopology::from_record(&record_of(&topology(1, subtopologies))?);
    configure_topics(&topology, 7, topics)
}

fn problem(topology: &ConfiguredTopology) -> Option<StatusCode> {
    topology.problem.as_ref().map(|problem| problem.status)
}

fn to_create(topology: &ConfiguredTopology) -> Vec<(&str, i32)> {
    topology.internal_topics_to_create.iter().map(|topic| (&*topic.name, topic.num_partitions)).collect()
}

/// `0` reads `a` and writes `r`, which `1` reads; `1` has state.
fn two_steps() -> Vec<request::Subtopology> {
    let mut first = subtopology("0", &["a"]);
    first.repartition_sink_topics.push("r".into());
    let mut second = subtopology("1", &[]);
    second.repartition_source_topics.push(repartition("r", 0));
    second.state_changelog_topics.push(repartition("s-changelog", 0));
    vec![first, second]
}

fn copartitioned(mut subtopology: request::Subtopology) -> request::Subtopology {
    let all = |len: usize| (0..len as i16).collect();
    subtopology.copartition_groups.push(request::CopartitionGroup {
        source_topics: all(subtopology.source_topics.len()),
        repartition_source_topics: all(subtopology.repartition_source_topics.len()),
        ..Default::default()
    });
    subtopology
}

#[test]
fn internal_topics_follow_what_is_read() {
    let configured = configured(two_steps(), &topics(&[("a", 3)])).unwrap();
    assert_eq!(problem(&configured), Some(StatusCode::MissingInternalTopics));
    assert_eq!(to_create(&configured), [("r", 3), ("s-changelog", 3)]);
    let subtopologies = configured.subtopologies.unwrap();
    assert_eq!((subtopologies["0"].number_of_tasks, subtopologies["1"].number_of_tasks), (3, 3));
    assert!(!subtopologies["0"].is_stateful() && subtopologies["1"].is_stateful());
}

#[test]
fn topics_are_created_as_the_application_says() {
    let mut only = subtopology("0", &["a"]);
    let mut changelog = repartition("s-changelog", 0);
    changelog.replication_factor = 3;
    let compact =
        request::KeyValue { key: "cleanup.policy".into(), value: "compact".into(), ..Default::default() };
    changelog.topic_configs.push(compact);
    only.state_changelog_topics.push(changelog);
    only.state_changelog_topics.push(repartition("t-changelog", 0));
    let configured = configured(vec![only], &topics(&[("a", 2)])).unwrap();
    let [first, second] = &configured.internal_topics_to_create[..] else { panic!("two topics") };
    assert_eq!((first.replication_factor, second.replication_factor), (3, -1));
    let config = (&*first.configs[0].name, first.configs[0].value.as_deref());
    assert_eq!(config, ("cleanup.policy", Some("compact")));
    assert!(second.configs.is_empty());
}

#[test]
fn a_topology_is_ready_once_everything_is_there() {
    let there = topics(&[("a", 3), ("r", 3), ("s-changelog", 3)]);
    let configured = configured(two_steps(), &there).unwrap();
    assert!(configured.is_ready() && configured.internal_topics_to_create.is_empty());
    assert_eq!((configured.topology_epoch, configured.metadata_hash), (1, 7));
}

#[test]
fn missing_source_topics_are_named() {
    let many = vec![subtopology("0", &["e", "d", "c", "b", "a"])];
    let configured = configured(many, &topics(&[("e", 1)])).unwrap();
    assert_eq!(problem(&configured), Some(StatusCode::MissingSourceTopics));
    let detail = configured.problem.unwrap().detail;
    assert!(detail.contains("a, b, c and 1 more"), "{detail}");
    assert_eq!(configured.subtopologies, None);
}

#[test]
fn existing_internal_topics_must_be_as_wide_as_needed() {
    for there in [[("a", 3), ("r", 2)], [("a", 3), ("s-changelog", 4)]] {
        let configured = configured(two_steps(), &topics(&there)).unwrap();
        assert_eq!(problem(&configured), Some(StatusCode::IncorrectlyPartitionedTopics), "{there:?}");
        assert!(configured.internal_topics_to_create.is_empty());
    }
}

#[test]
fn repartition_topics_are_found_out_through_others() {
    // "2" writes what "1" reads, and reads what "0" writes.
    let mut first = subtopology("0", &["a"]);
    first.repartition_sink_topics.push("r0".into());
    let mut last = subtopology("1", &[]);
    last.repartition_source_topics.push(repartition("r2", 0));
    let mut middle = subtopology("2", &[]);
    middle.repartition_source_topics.push(repartition("r0", 0));
    middle.repartition_sink_topics.push("r2".into());
    let configured = configured(vec![first, last, middle], &topics(&[("a", 5)])).unwrap();
    assert_eq!(to_create(&configured), [("r0", 5), ("r2", 5)]);
}

#[test]
fn topologies_with_cycles_are_refused() {
    let mut first = subtopology("0", &[]);
    first.repartition_source_topics.push(repartition("r1", 0));
    first.repartition_sink_topics.push("r0".into());
    let mut second = subtopology("1", &[]);
    second.repartition_source_topics.push(repartition("r0", 0));
    second.repartition_sink_topics.push("r1".into());
    let error = configured(vec![first, second], &topics(&[])).unwrap_err();
    assert_eq!(error.code(), ErrorCode::StreamsInvalidTopology);
}

#[test]
fn topologies_that_can_never_work_are_refused() {
    let mut unwritten = subtopology("0", &["a"]);
    unwritten.repartition_source_topics.push(repartition("r", 0));
    let idle = subtopology("0", &[]);
    for refused in [unwritten, idle] {
        let error = configured(vec![refused], &topics(&[("a", 1)])).unwrap_err();
        assert_eq!(error.code(), ErrorCode::StreamsInvalidTopology);
    }
}

#[test]
fn a_repartition_topic_follows_what_it_is_joined_with() {
    let mut first = subtopology("0", &["a"]);
    first.repartition_sink_topics.push("r".into());
    let mut join = subtopology("1", &["b"]);
    join.repartition_source_topics.push(repartition("r", 0));
    let join = copartitioned(join);
    let configured = configured(vec![first, join], &topics(&[("a", 3), ("b", 8)])).unwrap();
    assert_eq!(to_create(&configured), [("r", 8)]);
}

#[test]
fn joined_topics_that_cannot_give_way_are_a_problem() {
    let external = copartitioned(subtopology("0", &["a", "b"]));
    let mut fixed = subtopology("0", &["a"]);
    fixed.repartition_sink_topics.push("r".into());
    fixed.repartition_source_topics.push(repartition("r", 2));
    let fixed = copartitioned(fixed);
    let mut both = subtopology("0", &["a"]);
    both.repartition_sink_topics = vec!["r".into(), "q".into()];
    let mut of_two = subtopology("1", &[]);
    of_two.repartition_source_topics = vec![repartition("r", 2), repartition("q", 3)];
    let of_two = copartitioned(of_two);
    for refused in [vec![external], vec![fixed], vec![both, of_two]] {
        let configured = configured(refused.clone(), &topics(&[("a", 3), ("b", 4)])).unwrap();
        assert_eq!(problem(&configured), Some(StatusCode::IncorrectlyPartitionedTopics), "{refused:?}");
    }
}

#[test]
fn joined_repartition_topics_are_as_wide_as_the_widest() {
    let mut wide = subtopology("0", &["a"]);
    wide.repartition_sink_topics.push("q".into());
    let mut narrow = subtopology("1", &["b"]);
    narrow.repartition_sink_topics.push("r".into());
    let mut join = subtopology("2", &[]);
    join.repartition_source_topics = vec![repartition("q", 0), repartition("r", 0)];
    let all = vec![wide, narrow, copartitioned(join)];
    let configured = configured(all, &topics(&[("a", 6), ("b", 2)])).unwrap();
    assert_eq!(to_create(&configured), [("q", 6), ("r", 6)]);
}
