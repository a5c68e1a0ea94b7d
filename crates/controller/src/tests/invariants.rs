//! Whatever happens, in whatever order: partitions stay sound, and a follower ends up with the same state.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_common::Uuid;
use ottla_metadata::loader::CommittedBatch;
use ottla_metadata::{BootstrapMetadata, MetadataVersion, NO_LEADER, PartitionRegistration};
use ottla_protocol::messages::BrokerHeartbeatRequest;
use ottla_protocol::messages::alter_partition_request::{
    AlterPartitionRequest, BrokerState, PartitionData, TopicData,
};
use ottla_protocol::messages::broker_registration_request::BrokerRegistrationRequest;
use ottla_protocol::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use proptest::prelude::*;

use crate::QuorumController;
use crate::state::Partition;
use crate::test_support::*;

const BROKERS: i32 = 4;

#[derive(Debug, Clone)]
enum Op {
    Register { id: i32, clean: bool },
    Heartbeat { id: i32, want_fence: bool, want_shut_down: bool, offline: bool },
    Expire { id: i32 },
    Unregister { id: i32 },
    Create { name: u8, replicas: Vec<i32>, min_isr: u8 },
    AlterIsr { name: u8, isr: Vec<i32> },
    Elect { name: u8, unclean: bool },
    Balance,
}

fn op() -> impl Strategy<Value = Op> {
    let id = || 0..BROKERS;
    let ids = || prop::collection::vec(0..BROKERS, 1..4);
    prop_oneof![
        2 => (id(), any::<bool>()).prop_map(|(id, clean)| Op::Register { id, clean }),
        4 => (id(), prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.1)).prop_map(
            |(id, want_fence, want_shut_down, offline)| Op::Heartbeat { id, want_fence, want_shut_down, offline }
        ),
        1 => id().prop_map(|id| Op::Expire { id }),
        1 => id().prop_map(|id| Op::Unregister { id }),
        2 => (0..3u8, ids(), 1..4u8)
            .prop_map(|(name, replicas, min_isr)| Op::Create { name, replicas, min_isr }),
        4 => (0..3u8, ids()).prop_map(|(name, isr)| Op::AlterIsr { name, isr }),
        1 => (0..3u8, prop::bool::weighted(0.3)).prop_map(|(name, unclean)| Op::Elect { name, unclean }),
        1 => Just(Op::Balance),
    ]
}

/// A broker that has begun to stop never changes its mind: the next one to serve is another process.
fn is_stopping(controller: &TestController, id: i32) -> bool {
    controller.kernel.state().image().cluster.broker(id).is_some_and(|broker| broker.in_controlled_shutdown)
}

fn run(controller: &mut TestController, op: &Op, incarnation: u128) {
    let name = |n: &u8| format!("topic{n}");
    match op {
        Op::Register { id, clean } => {
            controller.now_ms += SESSION_TIMEOUT_MS;
            let previous_broker_epoch =
                if *clean { controller.kernel.state().image().cluster.broker_epoch(*id) } else { -1 };
            let request = BrokerRegistrationRequest {
                previous_broker_epoch,
                ..TestController::registration(*id, incarnation)
            };
            let result = controller.kernel.register_broker(&request, 4, controller.now_ms).unwrap();
            controller.write(result);
        }
        Op::Heartbeat { id, want_fence, want_shut_down, offline } => {
            let request = BrokerHeartbeatRequest {
                want_fence: *want_fence,
                want_shut_down: *want_shut_down || is_stopping(controller, *id),
                offline_log_dirs: if *offline { vec![Uuid::from_u128(10_000 + *id as u128)] } else { vec![] },
                ..controller.heartbeat(*id)
            };
            if controller.kernel.process_broker_heartbeat(&request).is_ok() {
                controller.beat(request);
            }
        }
        Op::Expire { id } => {
            controller.now_ms += SESSION_TIMEOUT_MS / 2 + 1;
            let want_shut_down = is_stopping(controller, *id);
            let request = BrokerHeartbeatRequest { want_shut_down, ..controller.heartbeat(*id) };
            if controller.kernel.process_broker_heartbeat(&request).is_ok() {
                controller.beat(request);
            }
            loop {
                let result = controller.kernel.maybe_fence_one_stale_broker(controller.now_ms);
                if !controller.write(result) {
                    break;
                }
            }
        }
        Op::Unregister { id } => {
            if let Ok(result) = controller.kernel.unregister_broker(*id) {
                controller.write(result);
            }
        }
        Op::Create { name: n, replicas, min_isr } => {
            let mut replicas = replicas.clone();
            replicas.sort_unstable();
            replicas.dedup();
            let asked = manual_topic(&name(n), &[&replicas]);
            controller.create(with_config(asked, "min.insync.replicas", Some(&min_isr.to_string())));
        }
        Op::AlterIsr { name: n, isr } => alter(controller, &name(n), isr),
        Op::Elect { name: n, unclean } => {
            let topic = name(n).into();
            let request = ElectLeadersRequest {
                election_type: i8::from(*unclean),
                topic_partitions: Some(vec![TopicPartitions {
                    topic,
                    partitions: vec![0],
                    ..Default::default()
                }]),
                ..Default::default()
            };
            let result = controller.kernel.elect_leaders(&request).unwrap();
            controller.write(result);
        }
        Op::Balance => {
            let result = controller.kernel.maybe_balance_partition_leaders();
            controller.write(result);
        }
    }
}

fn alter(controller: &mut TestController, name: &str, isr: &[i32]) {
    let image = controller.kernel.state().image();
    let Some(topic) = image.topics.topic_by_name(name) else {
        return;
    };
    let partition = topic.partitions.get(&0).unwrap();
    let state = |id: &i32| BrokerState { broker_id: *id, broker_epoch: -1, ..Default::default() };
    let request = AlterPartitionRequest {
        broker_id: partition.leader,
        broker_epoch: image.cluster.broker_epoch(partition.leader),
        topics: vec![TopicData {
            topic_id: topic.id,
            partitions: vec![PartitionData {
                partition_index: 0,
                leader_epoch: partition.leader_epoch,
                partition_epoch: partition.partition_epoch,
                leader_recovery_state: 0,
                new_isr_with_epochs: isr.iter().map(state).collect(),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    if let Ok(result) = controller.kernel.alter_partition(&request) {
        controller.write(result);
    }
}

type Partitions = BTreeMap<(Uuid, i32), PartitionRegistration>;

fn check(controller: &TestController, before: &Partitions) -> Partitions {
    let state = controller.kernel.state();
    let elr_enabled = state.image().features.is_elr_enabled();
    let mut after = BTreeMap::new();
    let topics = &state.image().topics;
    let all = || topics.iter().flat_map(|t| t.partitions.iter().map(move |(index, p)| (t, *index, p)));
    for (topic, index, p) in all() {
        let what = format!("{}-{index}: {p:?}", topic.name);
        let within =
            |ids: &[i32]| ids.iter().enumerate().all(|(i, id)| p.is_replica(*id) && !ids[..i].contains(id));
        assert!(within(&p.isr) && within(&p.elr), "ISR-IN-REPLICAS {what}");
        assert!(!p.elr.iter().any(|id| p.isr.contains(id)), "ELR-OUTSIDE-ISR {what}");
        if p.leader == NO_LEADER {
            assert!(elr_enabled || !p.isr.is_empty(), "LAST-ISR-REMEMBERED {what}");
        } else {
            assert!(p.isr.contains(&p.leader), "ISR-HAS-LEADER {what}");
            assert!(state.is_active(p.leader), "LEADER-IS-ACTIVE {what}");
        }
        if let Some(old) = before.get(&(topic.id, index)) {
            let grew = p.partition_epoch > old.partition_epoch;
            assert!(grew || **p == *old, "PARTITION-EPOCH-MONOTONIC {what}");
            assert!(p.leader_epoch >= old.leader_epoch, "LEADER-EPOCH-MONOTONIC {what}");
            assert!(
                p.leader == old.leader || p.leader_epoch > old.leader_epoch,
                "ONE-LEADER-PER-EPOCH {what}"
            );
            let was_in_sync = old.isr.contains(&p.leader) || old.elr.contains(&p.leader);
            let is_recovering = p.leader_recovery_state.value() == 1;
            let is_new = p.leader != NO_LEADER && p.leader != old.leader;
            assert!(!is_new || was_in_sync || is_recovering, "UNCLEAN-IS-MARKED {what} was {old:?}");
        }
        after.insert((topic.id, index), (**p).clone());
    }
    let names = |found: &mut dyn Iterator<Item = Partition<'_>>| -> Vec<(Uuid, i32)> {
        found.map(|(topic, index, _)| (topic.id, index)).collect()
    };
    for broker in 0..BROKERS {
        assert_eq!(
            names(&mut state.partitions_of(broker)),
            names(&mut all().filter(|(_, _, p)| p.is_replica(broker))),
            "INDEX-KNOWS-ALL-REPLICAS of {broker}"
        );
    }
    assert_eq!(
        names(&mut state.leaderless_partitions()),
        names(&mut all().filter(|(_, _, p)| !p.has_leader()))
    );
    assert_eq!(
        names(&mut state.imbalanced_partitions()),
        names(&mut all().filter(|(_, _, p)| !p.has_preferred_leader()))
    );
    after
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn partitions_stay_sound(ops in prop::collection::vec(op(), 1..60), elr in any::<bool>()) {
        let start = if elr { TestController::new() } else { TestController::without_elr() };
        let mut controller = start.with_brokers(BROKERS);
        let mut partitions = Partitions::new();
        for (op, incarnation) in ops.iter().zip(2_000..) {
            run(&mut controller, op, incarnation);
            partitions = check(&controller, &partitions);
        }
        let bootstrap = BootstrapMetadata::with_defaults(MetadataVersion::LATEST_PRODUCTION, "a test");
        let mut follower =
            QuorumController::new(TestController::config(), Arc::new(TestConfigSchema), bootstrap);
        let batch = CommittedBatch {
            last_offset: controller.log.len() as i64 - 1,
            records: &controller.log,
            ..Default::default()
        };
        follower.handle_commit(&batch).unwrap();
        prop_assert_eq!(follower.state().image(), controller.kernel.state().image());
    }
}
