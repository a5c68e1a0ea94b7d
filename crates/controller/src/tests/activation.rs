use std::sync::Arc;

use ottla_metadata::loader::CommittedBatch;
use ottla_metadata::{ApiMessageAndVersion, BootstrapMetadata, ConfigResource, MetadataVersion};
use ottla_protocol::records::metadata::{BeginTransactionRecord, MetadataRecord};

use crate::QuorumController;
use crate::test_support::*;

fn kinds(records: &[ApiMessageAndVersion]) -> Vec<&'static str> {
    records.iter().map(|record| record.message.name()).collect()
}

fn kernel(level: MetadataVersion) -> QuorumController {
    let bootstrap = BootstrapMetadata::with_defaults(level, "a test");
    QuorumController::new(TestController::config(), Arc::new(TestConfigSchema), bootstrap)
}

#[test]
fn an_empty_log_gets_the_bootstrap_records_in_a_transaction() {
    let controller = TestController::new();
    let kinds = kinds(&controller.log);
    assert_eq!(kinds.first(), Some(&"BeginTransactionRecord"));
    assert_eq!(kinds.last(), Some(&"EndTransactionRecord"));
    assert_eq!(kinds.iter().filter(|kind| **kind == "FeatureLevelRecord").count(), 6);
    let image = controller.kernel.committed_state().image();
    assert_eq!(image.features.metadata_version, Some(MetadataVersion::LATEST_PRODUCTION));
    assert_eq!(image.configs.value(&ConfigResource::default_broker(), "min.insync.replicas"), Some("1"));
}

#[test]
fn old_levels_know_no_transactions() {
    let mut kernel = kernel(MetadataVersion::MINIMUM);
    let activation = kernel.claim(1, 0, 0);
    assert!(activation.is_atomic);
    assert_eq!(kinds(&activation.records), ["FeatureLevelRecord"]);
}

#[test]
fn a_log_with_records_is_left_alone() {
    let controller = TestController::new();
    let mut other = kernel(MetadataVersion::LATEST_PRODUCTION);
    let batch = CommittedBatch {
        last_offset: controller.log.len() as i64 - 1,
        records: &controller.log,
        ..Default::default()
    };
    other.handle_commit(&batch).unwrap();
    let activation = other.claim(2, batch.last_offset + 2, 0);
    assert!(activation.records.is_empty());
    assert_eq!(other.next_write_offset(), batch.last_offset + 2);
}

#[test]
fn a_transaction_left_open_is_aborted() {
    let controller = TestController::new();
    let mut log = controller.log;
    log.push(ApiMessageAndVersion::new(BeginTransactionRecord::default(), 0));
    let mut other = kernel(MetadataVersion::LATEST_PRODUCTION);
    let batch = CommittedBatch { last_offset: log.len() as i64 - 1, records: &log, ..Default::default() };
    other.handle_commit(&batch).unwrap();
    let activation = other.claim(2, batch.last_offset + 1, 0);
    assert_eq!(kinds(&activation.records), ["AbortTransactionRecord"]);
    other.apply(&activation.records, batch.last_offset + 1).unwrap();
    assert_eq!(other.state().transaction_start_offset(), None);
}

#[test]
fn an_aborted_bootstrap_is_written_again() {
    let controller = TestController::new();
    let mut other = kernel(MetadataVersion::LATEST_PRODUCTION);
    let half = &controller.log[..1];
    assert!(matches!(half[0].message, MetadataRecord::BeginTransactionRecord(_)));
    let batch = CommittedBatch { last_offset: 0, records: half, ..Default::default() };
    other.handle_commit(&batch).unwrap();
    let activation = other.claim(2, 1, 0);
    let kinds = kinds(&activation.records);
    assert_eq!(kinds[..2], ["AbortTransactionRecord", "BeginTransactionRecord"]);
    other.apply(&activation.records, activation.records.len() as i64).unwrap();
    assert_eq!(other.state().metadata_version(), MetadataVersion::LATEST_PRODUCTION);
}

#[test]
fn losing_leadership_undoes_what_is_not_committed() {
    let mut controller = TestController::new().with_brokers(1);
    let request = ottla_protocol::messages::CreateTopicsRequest {
        topics: vec![topic("a", 1, 1)],
        ..Default::default()
    };
    let all = crate::Describable::All;
    let result = controller.kernel.create_topics(&request, &all, &mut controller.random).unwrap();
    let last_offset = (controller.log.len() + result.records.len()) as i64 - 1;
    controller.kernel.apply(&result.records, last_offset).unwrap();
    assert!(controller.kernel.state().image().topics.topic_id("a").is_some());
    assert!(controller.kernel.find_topic_id("a").is_none());
    controller.kernel.renounce();
    assert!(controller.kernel.state().image().topics.topic_id("a").is_none());
    assert_eq!(controller.kernel.active_epoch(), None);
    // The records may come back as committed by the next leader.
    let batch = CommittedBatch {
        base_offset: controller.log.len() as i64,
        last_offset,
        records: &result.records,
        ..Default::default()
    };
    controller.kernel.handle_commit(&batch).unwrap();
    assert!(controller.kernel.find_topic_id("a").is_some());
}

#[test]
fn every_level_can_write_what_is_decided() {
    use ottla_protocol::messages::BrokerHeartbeatRequest;
    for level in MetadataVersion::all() {
        let bootstrap = BootstrapMetadata::with_defaults(level, "a test");
        let mut controller = TestController::with_bootstrap(bootstrap).with_brokers(2);
        controller.create_on("a", &[0, 1]);
        controller.create(with_config(topic("b", 3, 2), "retention.ms", Some("7")));
        let stop = |c: &TestController| BrokerHeartbeatRequest {
            want_shut_down: true,
            offline_log_dirs: vec![ottla_common::Uuid::from_u128(10_000)],
            cordoned_log_dirs: Some(Vec::new()),
            ..c.heartbeat(0)
        };
        controller.beat(stop(&controller));
        controller.unfence(1);
        assert!(controller.beat(stop(&controller)).should_shut_down, "{level}");
        assert_eq!(controller.partition("a", 0).leader, 1, "{level}");
        for record in &controller.log {
            let kind = record.message.name();
            assert!(record.to_bytes().is_ok(), "{kind} version {} at {level}", record.version);
        }
    }
}
