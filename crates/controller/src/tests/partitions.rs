use ottla_common::{ErrorCode, Uuid};
use ottla_metadata::LeaderRecoveryState;
use ottla_protocol::messages::alter_partition_request::{
    AlterPartitionRequest, BrokerState, PartitionData, TopicData,
};
use ottla_protocol::messages::assign_replicas_to_dirs_request as assign;
use ottla_protocol::messages::broker_registration_request::BrokerRegistrationRequest;
use ottla_protocol::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};

use crate::test_support::*;

struct Alter {
    from: i32,
    isr: Vec<i32>,
    leader_epoch: i32,
    partition_epoch: i32,
    recovery: i8,
}

impl Alter {
    fn isr(controller: &TestController, from: i32, isr: &[i32]) -> Self {
        let partition = controller.partition("a", 0);
        Self {
            from,
            isr: isr.to_vec(),
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            recovery: 0,
        }
    }
}

fn alter(controller: &mut TestController, asked: Alter) -> ErrorCode {
    let image = controller.kernel.state().image();
    let epoch = |id: i32| image.cluster.broker_epoch(id);
    let states = asked.isr.iter().map(|id| BrokerState {
        broker_id: *id,
        broker_epoch: epoch(*id),
        ..Default::default()
    });
    let request = AlterPartitionRequest {
        broker_id: asked.from,
        broker_epoch: epoch(asked.from),
        topics: vec![TopicData {
            topic_id: image.topics.topic_id("a").unwrap(),
            partitions: vec![PartitionData {
                partition_index: 0,
                leader_epoch: asked.leader_epoch,
                partition_epoch: asked.partition_epoch,
                leader_recovery_state: asked.recovery,
                new_isr_with_epochs: states.collect(),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let result = controller.kernel.alter_partition(&request).unwrap();
    let response = controller.write(result);
    ErrorCode::from_code(response.topics[0].partitions[0].error_code)
}

#[test]
fn a_leader_shrinks_and_expands_its_isr() {
    let mut controller = TestController::new().with_brokers(3);
    controller.create_on("a", &[0, 1, 2]);
    let asked = Alter::isr(&controller, 0, &[0, 1]);
    assert_eq!(alter(&mut controller, asked), ErrorCode::None);
    let partition = controller.partition("a", 0);
    assert_eq!(
        (partition.isr.to_vec(), partition.leader_epoch, partition.partition_epoch),
        (vec![0, 1], 0, 1)
    );
    assert!(partition.elr.is_empty(), "the ISR is still large enough");
    let asked = Alter::isr(&controller, 0, &[0, 1, 2]);
    assert_eq!(alter(&mut controller, asked), ErrorCode::None);
    assert_eq!(controller.partition("a", 0).isr, vec![0, 1, 2]);
}

#[test]
fn proposals_that_cannot_be() {
    let mut controller = TestController::new().with_brokers(3);
    controller.create_on("a", &[0, 1]);
    let refuse = |controller: &mut TestController, change: &dyn Fn(&mut Alter), expected| {
        let mut asked = Alter::isr(controller, 0, &[0]);
        change(&mut asked);
        assert_eq!(alter(controller, asked), expected);
    };
    refuse(&mut controller, &|a| a.leader_epoch = 1, ErrorCode::NotController);
    refuse(&mut controller, &|a| a.partition_epoch = 1, ErrorCode::NotController);
    refuse(&mut controller, &|a| a.leader_epoch = -1, ErrorCode::FencedLeaderEpoch);
    refuse(&mut controller, &|a| a.partition_epoch = -1, ErrorCode::InvalidUpdateVersion);
    refuse(&mut controller, &|a| a.from = 1, ErrorCode::InvalidRequest);
    refuse(&mut controller, &|a| a.isr = vec![1], ErrorCode::InvalidRequest);
    refuse(&mut controller, &|a| a.isr = vec![0, 0], ErrorCode::InvalidRequest);
    refuse(&mut controller, &|a| a.isr = vec![0, 2], ErrorCode::InvalidRequest);
    refuse(&mut controller, &|a| a.recovery = 1, ErrorCode::InvalidRequest);
    refuse(&mut controller, &|a| a.recovery = 9, ErrorCode::InvalidRequest);
    controller.now_ms += SESSION_TIMEOUT_MS;
    controller.unfence(0);
    controller.unfence(2);
    let result = controller.kernel.maybe_fence_one_stale_broker(controller.now_ms);
    controller.write(result);
    refuse(&mut controller, &|a| a.isr = vec![0, 1], ErrorCode::IneligibleReplica);
}

#[test]
fn eligible_replicas_outlive_their_isr() {
    let mut controller = TestController::new().with_brokers(2);
    let result =
        controller.create(with_config(manual_topic("a", &[&[0, 1]]), "min.insync.replicas", Some("2")));
    assert_eq!(result.error_code, 0);
    let asked = Alter::isr(&controller, 0, &[0]);
    assert_eq!(alter(&mut controller, asked), ErrorCode::None);
    assert_eq!(controller.partition("a", 0).elr, vec![1]);
    // The leader goes too: nobody is in sync, both are eligible.
    let fenced =
        ottla_protocol::messages::BrokerHeartbeatRequest { want_fence: true, ..controller.heartbeat(0) };
    controller.beat(fenced);
    let partition = controller.partition("a", 0);
    assert_eq!((partition.leader, partition.isr.to_vec(), partition.elr.to_vec()), (1, vec![1], vec![0]));
    assert_eq!(partition.leader_recovery_state, LeaderRecoveryState::Recovered);
}

#[test]
fn a_crash_costs_eligibility_and_recovery_says_so() {
    let mut controller = TestController::new().with_brokers(2);
    controller.create(with_config(manual_topic("a", &[&[0]]), "min.insync.replicas", Some("1")));
    controller.now_ms += SESSION_TIMEOUT_MS;
    let crashed = TestController::registration(0, 901);
    let result = controller.kernel.register_broker(&crashed, 4, controller.now_ms).unwrap();
    controller.write(result);
    let partition = controller.partition("a", 0);
    assert_eq!(
        (partition.leader, partition.elr.to_vec(), partition.last_known_elr.to_vec()),
        (-1, vec![], vec![0])
    );
    controller.unfence(0);
    let partition = controller.partition("a", 0);
    assert_eq!((partition.leader, partition.isr.to_vec()), (0, vec![0]));
    assert_eq!(partition.leader_recovery_state, LeaderRecoveryState::Recovering);
    let asked = Alter { recovery: 0, ..Alter::isr(&controller, 0, &[0]) };
    assert_eq!(alter(&mut controller, asked), ErrorCode::None);
    assert_eq!(controller.partition("a", 0).leader_recovery_state, LeaderRecoveryState::Recovered);
}

fn elect(controller: &mut TestController, election_type: i8) -> ErrorCode {
    let request = ElectLeadersRequest {
        election_type,
        topic_partitions: Some(vec![TopicPartitions {
            topic: "a".into(),
            partitions: vec![0],
            ..Default::default()
        }]),
        ..Default::default()
    };
    let result = controller.kernel.elect_leaders(&request).unwrap();
    let response = controller.write(result);
    ErrorCode::from_code(response.replica_election_results[0].partition_result[0].error_code)
}

fn fence(controller: &mut TestController, id: i32) {
    let request =
        ottla_protocol::messages::BrokerHeartbeatRequest { want_fence: true, ..controller.heartbeat(id) };
    controller.beat(request);
}

#[test]
fn preferred_leaders_get_their_leaderships_back() {
    let mut controller = TestController::new().with_brokers(2);
    controller.create_on("a", &[0, 1]);
    assert_eq!(elect(&mut controller, 0), ErrorCode::ElectionNotNeeded);
    fence(&mut controller, 0);
    assert_eq!(elect(&mut controller, 0), ErrorCode::PreferredLeaderNotAvailable);
    controller.unfence(0);
    assert!(controller.kernel.are_partition_leaders_imbalanced());
    assert_eq!(elect(&mut controller, 0), ErrorCode::PreferredLeaderNotAvailable, "it is not in sync yet");
    let asked = Alter::isr(&controller, 1, &[1, 0]);
    assert_eq!(alter(&mut controller, asked), ErrorCode::None);
    let result = controller.kernel.maybe_balance_partition_leaders();
    controller.write(result);
    assert_eq!(controller.partition("a", 0).leader, 0);
    assert!(!controller.kernel.are_partition_leaders_imbalanced());
}

#[test]
fn no_unclean_election_without_an_operators_word() {
    let mut controller = TestController::without_elr().with_brokers(2);
    controller.create_on("a", &[0, 1]);
    let asked = Alter::isr(&controller, 0, &[0]);
    assert_eq!(alter(&mut controller, asked), ErrorCode::None);
    fence(&mut controller, 0);
    let partition = controller.partition("a", 0);
    assert_eq!((partition.leader, partition.isr.to_vec()), (-1, vec![0]), "the last in sync is remembered");
    let nothing = controller.kernel.maybe_elect_unclean_leaders();
    assert!(nothing.records.is_empty());
    assert_eq!(elect(&mut controller, 1), ErrorCode::None);
    let partition = controller.partition("a", 0);
    assert_eq!((partition.leader, partition.isr.to_vec()), (1, vec![1]));
    assert_eq!(partition.leader_recovery_state, LeaderRecoveryState::Recovering);
    assert_eq!(elect(&mut controller, 1), ErrorCode::ElectionNotNeeded);
}

#[test]
fn topics_may_prefer_any_leader_to_none() {
    let mut controller = TestController::without_elr().with_brokers(2);
    let asked = with_config(manual_topic("a", &[&[0, 1]]), "unclean.leader.election.enable", Some("true"));
    controller.create(asked);
    let asked = Alter::isr(&controller, 0, &[0]);
    assert_eq!(alter(&mut controller, asked), ErrorCode::None);
    fence(&mut controller, 0);
    assert_eq!(controller.partition("a", 0).leader, 1);
    assert_eq!(controller.partition("a", 0).leader_recovery_state, LeaderRecoveryState::Recovering);
}

#[test]
fn unknown_elections_and_partitions() {
    let mut controller = TestController::new().with_brokers(1);
    assert_eq!(elect(&mut controller, 0), ErrorCode::UnknownTopicOrPartition);
    let request = ElectLeadersRequest { election_type: 5, ..Default::default() };
    assert_eq!(controller.kernel.elect_leaders(&request).unwrap_err().code, ErrorCode::InvalidRequest);
    controller.create_on("a", &[0]);
    let all = ElectLeadersRequest { election_type: 0, topic_partitions: None, ..Default::default() };
    let response = controller.kernel.elect_leaders(&all).unwrap().response;
    assert!(response.replica_election_results[0].partition_result.is_empty());
}

#[test]
fn brokers_say_where_their_replicas_lie() {
    let mut controller = TestController::new();
    let two_dirs = BrokerRegistrationRequest {
        log_dirs: vec![Uuid::from_u128(700), Uuid::from_u128(701)],
        ..TestController::registration(0, 900)
    };
    let result = controller.kernel.register_broker(&two_dirs, 4, controller.now_ms).unwrap();
    let broker_epoch = controller.write(result);
    controller.unfence(0);
    let topic_id = controller.create_on("a", &[0]);
    assert_eq!(*controller.partition("a", 0).directories, [Uuid::UNASSIGNED_DIR]);
    let ask = |index, id| assign::AssignReplicasToDirsRequest {
        broker_id: 0,
        broker_epoch,
        directories: vec![assign::DirectoryData {
            id,
            topics: vec![assign::TopicData {
                topic_id,
                partitions: vec![assign::PartitionData { partition_index: index, ..Default::default() }],
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let result = controller.kernel.assign_replicas_to_dirs(&ask(0, Uuid::from_u128(701))).unwrap();
    let response = controller.write(result);
    assert_eq!(response.directories[0].topics[0].partitions[0].error_code, 0);
    let partition = controller.partition("a", 0);
    assert_eq!((partition.directories.to_vec(), partition.leader_epoch), (vec![Uuid::from_u128(701)], 0));
    let response = controller.kernel.assign_replicas_to_dirs(&ask(3, Uuid::from_u128(701))).unwrap().response;
    assert_eq!(
        response.directories[0].topics[0].partitions[0].error_code,
        ErrorCode::UnknownTopicOrPartition.code()
    );
    let result = controller.kernel.assign_replicas_to_dirs(&ask(0, Uuid::from_u128(799))).unwrap();
    controller.write(result);
    assert_eq!(controller.partition("a", 0).leader, -1, "a directory that is not online leads nothing");
}
