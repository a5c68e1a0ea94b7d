use ottla_common::ErrorCode;
use ottla_metadata::ConfigResource;
use ottla_protocol::messages::alter_configs_request as old;
use ottla_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_protocol::records::metadata::MetadataRecord;

use crate::test_support::*;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn resource(resource_type: i8, name: &str, ops: &[(&str, i8, Option<&str>)]) -> AlterConfigsResource {
    let configs = ops.iter().map(|(key, config_operation, value)| AlterableConfig {
        name: (*key).into(),
        config_operation: *config_operation,
        value: value.map(Into::into),
        ..Default::default()
    });
    AlterConfigsResource {
        resource_type,
        resource_name: name.into(),
        configs: configs.collect(),
        ..Default::default()
    }
}

fn alter(controller: &mut TestController, resources: Vec<AlterConfigsResource>) -> Vec<(ErrorCode, String)> {
    let request = IncrementalAlterConfigsRequest { resources, ..Default::default() };
    let result = controller.kernel.incremental_alter_configs(&request);
    let response = controller.write(result);
    response
        .responses
        .into_iter()
        .map(|r| (ErrorCode::from_code(r.error_code), r.error_message.unwrap_or_default().to_string()))
        .collect()
}

fn value(controller: &TestController, resource: &ConfigResource, key: &str) -> Option<String> {
    controller.kernel.state().image().configs.value(resource, key).map(str::to_owned)
}

#[test]
fn keys_are_set_deleted_and_lists_altered() {
    let mut controller = TestController::new().with_brokers(1);
    controller.create_on("a", &[0]);
    let topic = ConfigResource::topic("a");
    let mut ask = |op, new: Option<&str>| {
        let told = alter(&mut controller, vec![resource(TOPIC, "a", &[("cleanup.policy", op, new)])]);
        (told[0].0, value(&controller, &topic, "cleanup.policy"))
    };
    assert_eq!(ask(APPEND, Some("compact")), (ErrorCode::None, Some("delete,compact".to_owned())));
    assert_eq!(ask(APPEND, Some("compact")), (ErrorCode::None, Some("delete,compact".to_owned())));
    assert_eq!(ask(SUBTRACT, Some("delete")), (ErrorCode::None, Some("compact".to_owned())));
    assert_eq!(ask(SET, Some("delete")), (ErrorCode::None, Some("delete".to_owned())));
    assert_eq!(ask(DELETE, None), (ErrorCode::None, None));
    assert_eq!(ask(SET, None).0, ErrorCode::InvalidRequest);
    assert_eq!(ask(7, Some("x")).0, ErrorCode::InvalidRequest);
}

#[test]
fn refusals_are_kafkas() {
    let mut controller = TestController::new().with_brokers(1);
    controller.create_on("a", &[0]);
    let told = alter(
        &mut controller,
        vec![
            resource(TOPIC, "nobody", &[("retention.ms", SET, Some("1"))]),
            resource(TOPIC, "a", &[("retention.ms", APPEND, Some("1"))]),
            resource(BROKER, "9", &[("log.retention.ms", SET, Some("1"))]),
            resource(BROKER, "nine", &[("log.retention.ms", SET, Some("1"))]),
            resource(99, "a", &[]),
            resource(BROKER, "0", &[("x", SET, Some("1"))]),
            resource(BROKER, "0", &[("x", SET, Some("2"))]),
        ],
    );
    let expected = [
        (ErrorCode::UnknownTopicOrPartition, "The topic 'nobody' does not exist."),
        (ErrorCode::InvalidConfig, "Can't APPEND to key retention.ms because its type is not LIST."),
        (ErrorCode::BrokerIdNotRegistered, "No node with id 9 found."),
        (ErrorCode::InvalidRequest, "Invalid broker name nine"),
        (ErrorCode::UnsupportedVersion, "Unknown resource type 99."),
        (ErrorCode::InvalidRequest, "Duplicate resource."),
    ];
    assert_eq!(told, expected.map(|(code, message)| (code, message.to_owned())));
    let told = alter(&mut controller, vec![resource(TOPIC, "a", &[("nonsense", SET, Some("1"))])]);
    assert_eq!(told[0].0, ErrorCode::InvalidConfig);
    let long = "x".repeat(40_000);
    let told = alter(&mut controller, vec![resource(TOPIC, "a", &[("cleanup.policy", SET, Some(&long))])]);
    assert!(told[0].1.contains("exceeds the maximum value size of 32767 bytes"));
}

#[test]
fn eligible_leader_replicas_need_one_minimum_for_all() {
    let mut controller = TestController::new().with_brokers(1);
    controller.create_on("a", &[0]);
    let key = "min.insync.replicas";
    let told = alter(&mut controller, vec![resource(BROKER, "0", &[(key, SET, Some("1"))])]);
    assert_eq!(told[0].1, "Broker-level min.insync.replicas cannot be altered while ELR is enabled.");
    let told = alter(&mut controller, vec![resource(BROKER, "", &[(key, DELETE, None)])]);
    assert_eq!(told[0].1, "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
    let before = controller.log.len();
    let told = alter(&mut controller, vec![resource(TOPIC, "a", &[(key, SET, Some("2"))])]);
    assert_eq!(told[0].0, ErrorCode::None);
    assert!(matches!(&controller.log[before + 1].message,
        MetadataRecord::ClearElrRecord(r) if &*r.topic_name == "a"));
    let mut without = TestController::without_elr().with_brokers(1);
    let told = alter(&mut without, vec![resource(BROKER, "0", &[(key, SET, Some("1"))])]);
    assert_eq!(told[0].0, ErrorCode::None);
}

#[test]
fn the_old_request_replaces_everything() {
    let mut controller = TestController::new().with_brokers(1);
    controller.create(with_config(topic("a", 1, 1), "retention.ms", Some("5")));
    let request = old::AlterConfigsRequest {
        resources: vec![old::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: "a".into(),
            configs: vec![old::AlterableConfig {
                name: "cleanup.policy".into(),
                value: Some("compact".into()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        validate_only: false,
        ..Default::default()
    };
    let result = controller.kernel.alter_configs(&request);
    assert_eq!(controller.write(result).responses[0].error_code, 0);
    let topic = ConfigResource::topic("a");
    assert_eq!(value(&controller, &topic, "cleanup.policy").as_deref(), Some("compact"));
    assert_eq!(value(&controller, &topic, "retention.ms"), None);
    let only = old::AlterConfigsRequest { validate_only: true, ..request };
    assert!(controller.kernel.alter_configs(&only).records.is_empty());
}
