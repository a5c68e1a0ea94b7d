use ottla_common::{ErrorCode, Uuid};
use ottla_metadata::ConfigResource;
use ottla_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use ottla_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use ottla_protocol::records::metadata::MetadataRecord;

use crate::Describable;
use crate::test_support::*;

#[test]
fn a_topic_becomes_its_records_in_kafkas_order() {
    let mut controller = TestController::new().with_brokers(3);
    let before = controller.log.len();
    let result = controller.create(with_config(topic("a", 2, -1), "retention.ms", Some("5")));
    assert_eq!((result.error_code, result.num_partitions, result.replication_factor), (0, 2, 3));
    let retention = result.configs.unwrap().into_iter().find(|c| &*c.name == "retention.ms").unwrap();
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("5"), 1));
    let written: Vec<&str> = controller.log[before..].iter().map(|r| r.message.name()).collect();
    assert_eq!(written, ["TopicRecord", "ConfigRecord", "PartitionRecord", "PartitionRecord"]);
    let partition = controller.partition("a", 1);
    assert_eq!(partition.isr, partition.replicas);
    assert_eq!((partition.leader, partition.leader_epoch), (partition.replicas[0], 0));
    let dirs: Vec<Uuid> = partition.replicas.iter().map(|id| Uuid::from_u128(10_000 + *id as u128)).collect();
    assert_eq!(*partition.directories, *dirs);
}

#[test]
fn refusals_are_kafkas() {
    let mut controller = TestController::new().with_brokers(3);
    controller.create(topic("old.topic", 1, 1));
    let cases: Vec<(CreatableTopic, ErrorCode, &str)> = vec![
        (topic("old.topic", 1, 1), ErrorCode::TopicAlreadyExists, "Topic 'old.topic' already exists."),
        (
            topic("old_topic", 1, 1),
            ErrorCode::InvalidTopicException,
            "Topic 'old_topic' collides with existing topic: old.topic",
        ),
        (
            topic("a b", 1, 1),
            ErrorCode::InvalidTopicException,
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, \
             '.', '_' and '-'",
        ),
        (
            topic("a", 1, 0),
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            topic("a", 0, 1),
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            topic("a", 1, 4),
            ErrorCode::InvalidReplicationFactor,
            "Unable to replicate the partition 4 time(s): The target replication factor of 4 cannot be \
             reached because only 3 broker(s) are registered or some brokers have all their log directories \
             cordoned.",
        ),
        (
            with_config(topic("a", 1, 1), "nonsense", Some("1")),
            ErrorCode::InvalidConfig,
            "Invalid value 1 for configuration nonsense",
        ),
        (
            with_config(topic("a", 1, 1), "retention.ms", None),
            ErrorCode::InvalidConfig,
            "Null value not supported for topic configs: retention.ms",
        ),
        (
            CreatableTopic { num_partitions: 1, ..manual_topic("a", &[&[0]]) },
            ErrorCode::InvalidRequest,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ),
        (
            manual_topic("a", &[&[0, 0]]),
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes the broker 0 more than once.",
        ),
        (
            manual_topic("a", &[&[9]]),
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes broker 9, but no such broker is registered.",
        ),
        (
            manual_topic("a", &[&[0], &[0, 1]]),
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes a partition with 2 replica(s), but this is not \
             consistent with previous partitions, which have 1 replica(s).",
        ),
        (
            manual_topic("a", &[&[]]),
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes an empty replica list.",
        ),
    ];
    let before = controller.log.len();
    for (asked, code, message) in cases {
        let result = controller.create(asked);
        assert_eq!(ErrorCode::from_code(result.error_code), code, "{message}");
        assert_eq!(result.error_message.as_deref(), Some(message));
    }
    assert_eq!(controller.log.len(), before, "a refused topic leaves no records");
}

#[test]
fn no_broker_that_serves_no_topic() {
    let mut controller = TestController::new();
    controller.register(0);
    let result = controller.create(topic("a", 1, 1));
    assert_eq!(ErrorCode::from_code(result.error_code), ErrorCode::InvalidReplicationFactor);
    let result = controller.create(manual_topic("a", &[&[0]]));
    assert_eq!(
        result.error_message.as_deref(),
        Some(
            "All brokers specified in the manual partition assignment for partition 0 are fenced or in \
             controlled shutdown."
        )
    );
}

#[test]
fn only_unfenced_brokers_are_in_sync_at_first() {
    let mut controller = TestController::new().with_brokers(2);
    controller.register(2);
    controller.create_on("a", &[2, 1, 0]);
    let partition = controller.partition("a", 0);
    assert_eq!((partition.isr.to_vec(), partition.leader), (vec![1, 0], 1));
}

#[test]
fn duplicates_fail_once_and_others_go_through() {
    let mut controller = TestController::new().with_brokers(1);
    let request = CreateTopicsRequest {
        topics: vec![topic("a", 1, 1), topic("b", 1, 1), topic("a", 1, 1)],
        ..Default::default()
    };
    let result =
        controller.kernel.create_topics(&request, &Describable::All, &mut controller.random).unwrap();
    let response = controller.write(result);
    let codes: Vec<(&str, i16)> = response.topics.iter().map(|t| (&*t.name, t.error_code)).collect();
    assert_eq!(codes, [("a", ErrorCode::InvalidRequest.code()), ("b", 0)]);
}

#[test]
fn validation_alone_writes_nothing_and_undescribable_topics_hide_their_configs() {
    let mut controller = TestController::new().with_brokers(1);
    let request =
        CreateTopicsRequest { topics: vec![topic("a", 1, 1)], validate_only: true, ..Default::default() };
    let nobody = Describable::Only(Default::default());
    let result = controller.kernel.create_topics(&request, &nobody, &mut controller.random).unwrap();
    assert!(result.records.is_empty());
    let told = &result.response.topics[0];
    assert_eq!(told.error_code, 0);
    assert_eq!(told.topic_config_error_code, ErrorCode::TopicAuthorizationFailed.code());
    assert_eq!(told.num_partitions, -1);
}

#[test]
fn absurd_sizes_are_refused_at_once() {
    let mut controller = TestController::new().with_brokers(1);
    let request = CreateTopicsRequest { topics: vec![topic("a", i32::MAX, 1)], ..Default::default() };
    let error =
        controller.kernel.create_topics(&request, &Describable::All, &mut controller.random).unwrap_err();
    assert_eq!(error.code, ErrorCode::PolicyViolation);
    assert_eq!(error.message.as_deref(), Some("Excessively large number of partitions per request."));
}

fn delete(controller: &mut TestController, names: &[&str], ids: &[Uuid]) -> Vec<(Option<String>, ErrorCode)> {
    let request = DeleteTopicsRequest {
        topic_names: names.iter().map(|name| (*name).into()).collect(),
        topics: ids
            .iter()
            .map(|id| DeleteTopicState { name: None, topic_id: *id, ..Default::default() })
            .collect(),
        ..Default::default()
    };
    let result = controller.kernel.delete_topics(&request);
    let response = controller.write(result);
    let told = response.responses.into_iter();
    told.map(|r| (r.name.map(|name| name.to_string()), ErrorCode::from_code(r.error_code))).collect()
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let mut controller = TestController::new().with_brokers(1);
    controller.create(with_config(topic("a.b", 1, 1), "retention.ms", Some("5")));
    let id = controller.create_on("b", &[0]);
    assert_eq!(
        delete(&mut controller, &["a.b", "nobody"], &[id, Uuid::from_u128(77), Uuid::ZERO]),
        [
            (Some("a.b".to_owned()), ErrorCode::None),
            (Some("nobody".to_owned()), ErrorCode::UnknownTopicOrPartition),
            (Some("b".to_owned()), ErrorCode::None),
            (None, ErrorCode::UnknownTopicId),
            (None, ErrorCode::InvalidRequest),
        ]
    );
    let image = controller.kernel.state().image();
    assert!(image.topics.is_empty());
    assert!(image.configs.get(&ConfigResource::topic("a.b")).is_none());
    // The name is free again, also for those that looked like it.
    assert_eq!(controller.create(topic("a_b", 1, 1)).error_code, 0);
}

#[test]
fn partitions_are_added() {
    let mut controller = TestController::new().with_brokers(3);
    controller.create(topic("a", 2, 2));
    let mut ask = |count, assignments: Option<Vec<Vec<i32>>>| {
        let assignments = assignments.map(|all| {
            all.into_iter()
                .map(|broker_ids| CreatePartitionsAssignment { broker_ids, ..Default::default() })
                .collect()
        });
        let topic = CreatePartitionsTopic { name: "a".into(), count, assignments, ..Default::default() };
        let request = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
        let result = controller.kernel.create_partitions(&request, &mut controller.random);
        let added: Vec<i32> = result
            .records
            .iter()
            .filter_map(|r| match &r.message {
                MetadataRecord::PartitionRecord(p) => Some(p.partition_id),
                _ => None,
            })
            .collect();
        let told = controller.write(result).results.remove(0);
        (ErrorCode::from_code(told.error_code), told.error_message.map(|m| m.to_string()), added)
    };
    assert_eq!(
        ask(2, None),
        (ErrorCode::InvalidPartitions, Some("Topic already has 2 partition(s).".to_owned()), vec![])
    );
    assert_eq!(ask(1, None).0, ErrorCode::InvalidPartitions);
    assert_eq!(ask(4, Some(vec![vec![0, 1]])).0, ErrorCode::InvalidReplicaAssignment);
    assert_eq!(ask(3, Some(vec![vec![0, 1, 2]])).0, ErrorCode::InvalidReplicaAssignment);
    assert_eq!(ask(4, None), (ErrorCode::None, None, vec![2, 3]));
    assert_eq!(ask(5, Some(vec![vec![2, 0]])), (ErrorCode::None, None, vec![4]));
    assert_eq!(ask(i32::MAX, None).0, ErrorCode::PolicyViolation);
    assert_eq!(controller.partition("a", 4).leader, 2);
}
