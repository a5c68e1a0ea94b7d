use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::allocate_producer_ids_request::AllocateProducerIdsRequest;
use ottla_protocol::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use ottla_protocol::messages::broker_registration_request::BrokerRegistrationRequest;
use ottla_protocol::records::metadata::MetadataRecord;

use crate::ApiError;
use crate::test_support::*;

fn refuse(controller: &TestController, request: &BrokerRegistrationRequest) -> ApiError {
    controller.kernel.register_broker(request, 4, controller.now_ms).unwrap_err()
}

#[test]
fn a_broker_registers_catches_up_and_serves() {
    let mut controller = TestController::new();
    let offset = controller.log.len() as i64;
    let epoch = controller.register(0);
    assert_eq!(epoch, offset);
    let broker = controller.kernel.state().image().cluster.broker(0).unwrap().clone();
    assert!(broker.fenced);
    assert_eq!(broker.listener("PLAINTEXT").unwrap().port, 9092);

    let behind = BrokerHeartbeatRequest { current_metadata_offset: offset - 1, ..controller.heartbeat(0) };
    let reply = controller.beat(behind);
    assert!(reply.is_fenced && !reply.is_caught_up);
    let wants_fence = BrokerHeartbeatRequest { want_fence: true, ..controller.heartbeat(0) };
    let reply = controller.beat(wants_fence);
    assert!(reply.is_fenced && reply.is_caught_up);
    controller.unfence(0);
    assert!(controller.kernel.state().is_active(0));
    let before = controller.log.len();
    controller.unfence(0);
    assert_eq!(controller.log.len(), before, "a heartbeat that changes nothing writes nothing");
}

#[test]
fn registrations_that_cannot_be() {
    let mut controller = TestController::new().with_brokers(1);
    let ask = |id| TestController::registration(id, 900);
    let wrong_cluster = BrokerRegistrationRequest { cluster_id: "other".into(), ..ask(1) };
    assert_eq!(refuse(&controller, &wrong_cluster).code, ErrorCode::InconsistentClusterId);
    assert_eq!(refuse(&controller, &ask(0)).code, ErrorCode::DuplicateBrokerRegistration);
    for log_dirs in [
        vec![],
        vec![Uuid::from_u128(1)],
        vec![Uuid::from_u128(10_000)],
        vec![Uuid::from_u128(900), Uuid::from_u128(900)],
    ] {
        let request = BrokerRegistrationRequest { log_dirs, ..ask(1) };
        assert_eq!(refuse(&controller, &request).code, ErrorCode::InvalidRegistration);
    }
    let mut old = ask(1);
    old.features
        .iter_mut()
        .filter(|f| &*f.name == "metadata.version")
        .for_each(|f| f.max_supported_version = 30);
    let error = refuse(&controller, &old);
    assert_eq!(error.code, ErrorCode::UnsupportedVersion);
    assert!(error.message.unwrap().contains("does not support finalized version 33 of metadata.version"));
    let mut silent = ask(1);
    silent.features.retain(|f| &*f.name != "group.version");
    assert_eq!(refuse(&controller, &silent).code, ErrorCode::UnsupportedVersion);
    silent.features.retain(|f| &*f.name != "metadata.version");
    assert_eq!(refuse(&controller, &silent).code, ErrorCode::InvalidRegistration);

    controller.now_ms += SESSION_TIMEOUT_MS;
    assert!(controller.kernel.register_broker(&ask(0), 4, controller.now_ms).is_ok());
}

#[test]
fn the_same_process_keeps_its_epoch() {
    let mut controller = TestController::new().with_brokers(1);
    let before = controller.kernel.state().image().cluster.broker_epoch(0);
    assert_eq!(controller.register(0), before);
    assert!(controller.kernel.state().is_active(0));
}

#[test]
fn epochs_that_are_over_are_refused() {
    let mut controller = TestController::new().with_brokers(1);
    let stale = BrokerHeartbeatRequest { broker_epoch: 1, ..controller.heartbeat(0) };
    assert_eq!(
        controller.kernel.process_broker_heartbeat(&stale).unwrap_err().code,
        ErrorCode::StaleBrokerEpoch
    );
    let unknown = BrokerHeartbeatRequest { broker_id: 9, ..controller.heartbeat(0) };
    assert_eq!(
        controller.kernel.process_broker_heartbeat(&unknown).unwrap_err().code,
        ErrorCode::StaleBrokerEpoch
    );
    let request = AllocateProducerIdsRequest { broker_id: 0, broker_epoch: 1, ..Default::default() };
    assert_eq!(
        controller.kernel.allocate_producer_ids(&request).unwrap_err().code,
        ErrorCode::StaleBrokerEpoch
    );
    controller.unfence(0);
}

#[test]
fn producer_ids_come_in_blocks() {
    let mut controller = TestController::new().with_brokers(1);
    let broker_epoch = controller.kernel.state().image().cluster.broker_epoch(0);
    let request = AllocateProducerIdsRequest { broker_id: 0, broker_epoch, ..Default::default() };
    let starts: Vec<i64> = (0..3)
        .map(|_| {
            let result = controller.kernel.allocate_producer_ids(&request).unwrap();
            let response = controller.write(result);
            assert_eq!(response.producer_id_len, 1_000);
            response.producer_id_start
        })
        .collect();
    assert_eq!(starts, [0, 1_000, 2_000]);
}

#[test]
fn silent_brokers_are_fenced_and_their_leaderships_move() {
    let mut controller = TestController::new().with_brokers(2);
    controller.create_on("a", &[0, 1]);
    controller.now_ms += SESSION_TIMEOUT_MS - 1;
    controller.unfence(1);
    assert_eq!(controller.kernel.next_session_expiration_ms(), Some(controller.now_ms + 1));
    let nobody = controller.kernel.maybe_fence_one_stale_broker(controller.now_ms);
    assert!(!controller.write(nobody));
    controller.now_ms += 1;
    let result = controller.kernel.maybe_fence_one_stale_broker(controller.now_ms);
    assert!(controller.write(result));
    assert!(!controller.kernel.state().is_active(0));
    let partition = controller.partition("a", 0);
    assert_eq!((partition.leader, partition.isr.to_vec(), partition.leader_epoch), (1, vec![1], 1));
}

#[test]
fn a_controlled_shutdown_moves_leaderships_first() {
    let mut controller = TestController::new().with_brokers(2);
    controller.create_on("a", &[0, 1]);
    let wants = |c: &TestController| BrokerHeartbeatRequest { want_shut_down: true, ..c.heartbeat(0) };
    let reply = controller.beat(wants(&controller));
    assert!(reply.in_controlled_shutdown && !reply.should_shut_down);
    assert_eq!(controller.partition("a", 0).leader, 1);
    // Broker 1 has not read that yet, so clients may still come to broker 0.
    let reply = controller.beat(wants(&controller));
    assert!(reply.in_controlled_shutdown);
    controller.unfence(1);
    let reply = controller.beat(wants(&controller));
    assert!(reply.should_shut_down && reply.is_fenced);
    assert!(controller.kernel.state().image().cluster.broker(0).unwrap().fenced);
}

#[test]
fn the_only_broker_may_stop() {
    for mut controller in [TestController::new(), TestController::without_elr()].map(|c| c.with_brokers(1)) {
        controller.create_on("a", &[0]);
        let wants = |c: &TestController| BrokerHeartbeatRequest { want_shut_down: true, ..c.heartbeat(0) };
        let first = controller.beat(wants(&controller));
        assert!(first.in_controlled_shutdown);
        assert!(controller.beat(wants(&controller)).should_shut_down);
        assert_eq!(controller.partition("a", 0).leader, -1);
        // It starts again and leads what it led.
        let previous_broker_epoch = controller.kernel.state().image().cluster.broker_epoch(0);
        let request =
            BrokerRegistrationRequest { previous_broker_epoch, ..TestController::registration(0, 901) };
        controller.now_ms += SESSION_TIMEOUT_MS;
        let result = controller.kernel.register_broker(&request, 4, controller.now_ms).unwrap();
        controller.write(result);
        controller.unfence(0);
        let partition = controller.partition("a", 0);
        assert_eq!((partition.leader, partition.isr.to_vec()), (0, vec![0]));
    }
}

#[test]
fn the_only_broker_may_crash() {
    for mut controller in [TestController::new(), TestController::without_elr()].map(|c| c.with_brokers(1)) {
        controller.create_on("a", &[0]);
        controller.now_ms += SESSION_TIMEOUT_MS;
        let request = TestController::registration(0, 901);
        let result = controller.kernel.register_broker(&request, 4, controller.now_ms).unwrap();
        controller.write(result);
        assert_eq!(controller.partition("a", 0).leader, -1);
        controller.unfence(0);
        assert_eq!(controller.partition("a", 0).leader, 0, "nobody else could have more");
    }
}

#[test]
fn an_unregistered_broker_is_gone() {
    let mut controller = TestController::new().with_brokers(2);
    controller.create_on("a", &[0, 1]);
    let result = controller.kernel.unregister_broker(0).unwrap();
    controller.write(result);
    assert_eq!(controller.partition("a", 0).isr, vec![1]);
    assert!(controller.kernel.state().image().cluster.broker(0).is_none());
    assert_eq!(controller.kernel.unregister_broker(0).unwrap_err().code, ErrorCode::BrokerIdNotRegistered);
}

#[test]
fn failed_directories_lose_their_leaderships() {
    let mut controller = TestController::new().with_brokers(2);
    controller.create_on("a", &[0, 1]);
    let failed =
        BrokerHeartbeatRequest { offline_log_dirs: vec![Uuid::from_u128(10_000)], ..controller.heartbeat(0) };
    let before = controller.log.len();
    controller.beat(failed);
    assert_eq!(controller.partition("a", 0).leader, 1);
    assert!(controller.log[before..].iter().any(|r| matches!(
        &r.message,
        MetadataRecord::BrokerRegistrationChangeRecord(change) if change.log_dirs.is_empty()
    )));
}

#[test]
fn cordoned_directories_get_no_new_partitions() {
    let mut controller = TestController::new().with_brokers(1);
    let cordoned = BrokerHeartbeatRequest {
        cordoned_log_dirs: Some(vec![Uuid::from_u128(10_000)]),
        ..controller.heartbeat(0)
    };
    controller.beat(cordoned.clone());
    let before = controller.log.len();
    controller
        .beat(BrokerHeartbeatRequest { current_metadata_offset: controller.log.len() as i64, ..cordoned });
    assert_eq!(controller.log.len(), before);
    let result = controller.create(topic("a", 1, 1));
    assert_eq!(ErrorCode::from_code(result.error_code), ErrorCode::InvalidReplicationFactor);
}
