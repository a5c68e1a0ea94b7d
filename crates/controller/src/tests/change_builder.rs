use ottla_common::Uuid;
use ottla_metadata::{LeaderRecoveryState, MetadataVersion, PartitionRegistration};
use ottla_protocol::records::metadata::{MetadataRecord, PartitionChangeRecord};

use crate::partition_change_builder::{Election, PartitionChangeBuilder, PartitionChangeContext};

fn change(
    partition: &PartitionRegistration,
    level: &str,
    change: impl FnOnce(PartitionChangeBuilder<'_>) -> PartitionChangeBuilder<'_>,
) -> Option<PartitionChangeRecord> {
    let context = PartitionChangeContext {
        partition,
        topic_id: Uuid::from_u128(200),
        partition_id: 0,
        is_acceptable_leader: &|_| true,
        default_dir: &|_| Uuid::UNASSIGNED_DIR,
        metadata_version: MetadataVersion::from_version_string(level).unwrap(),
        min_isr: 1,
        elr_enabled: false,
    };
    match change(PartitionChangeBuilder::new(context)).build()?.message {
        MetadataRecord::PartitionChangeRecord(record) => Some(record),
        other => panic!("{other:?}"),
    }
}

fn partition(replicas: &[i32], isr: &[i32]) -> PartitionRegistration {
    PartitionRegistration {
        replicas: replicas.into(),
        directories: replicas.iter().map(|id| Uuid::from_u128(1_000 + *id as u128)).collect(),
        isr: isr.into(),
        leader: isr[0],
        ..Default::default()
    }
}

#[test]
fn nothing_to_do_is_no_record() {
    assert_eq!(change(&partition(&[1, 2], &[1, 2]), "4.4", |builder| builder), None);
}

#[test]
fn a_reassignment_is_complete_when_the_new_replicas_are_in_sync() {
    let reassigning = PartitionRegistration {
        removing_replicas: vec![1].into(),
        adding_replicas: vec![3].into(),
        ..partition(&[1, 2, 3], &[1, 2])
    };
    assert_eq!(change(&reassigning, "4.4", |builder| builder), None);
    let record = change(&reassigning, "4.4", |builder| builder.target_isr(vec![1, 2, 3])).unwrap();
    assert_eq!(record.replicas, Some(vec![2, 3]));
    assert_eq!(record.isr, Some(vec![2, 3]));
    assert_eq!((record.adding_replicas, record.removing_replicas), (Some(vec![]), Some(vec![])));
    assert_eq!(record.directories, Some(vec![Uuid::from_u128(1_002), Uuid::from_u128(1_003)]));
    assert_eq!(record.leader, 2, "the leader was among the removed");
}

#[test]
fn a_shrinking_replication_factor_waits_for_all_that_stay() {
    let reassigning =
        PartitionRegistration { removing_replicas: vec![1].into(), ..partition(&[1, 2, 3], &[1, 2]) };
    assert_eq!(change(&reassigning, "4.4", |builder| builder), None);
    let record = change(&reassigning, "4.4", |builder| builder.target_isr(vec![1, 2, 3])).unwrap();
    assert_eq!(record.replicas, Some(vec![2, 3]));
}

#[test]
fn removed_replicas_are_told_by_a_leader_epoch() {
    let reassigning = PartitionRegistration {
        removing_replicas: vec![3].into(),
        adding_replicas: vec![2].into(),
        ..partition(&[1, 2, 3], &[1])
    };
    let record = change(&reassigning, "4.4", |builder| builder.target_isr(vec![1, 2])).unwrap();
    assert_eq!((record.replicas, record.leader), (Some(vec![1, 2]), 1));
}

#[test]
fn old_levels_bump_the_leader_epoch_when_the_isr_shrinks() {
    let shrunk = |level| change(&partition(&[1, 2], &[1, 2]), level, |b| b.target_isr(vec![1])).unwrap();
    assert_eq!(shrunk("3.5").leader, 1);
    assert_eq!(shrunk("3.6").leader, -2);
}

/// What Apache Kafka 4.4.0's own builder answered to random partitions and targets. A line is
/// `replicas;isr;removing;adding;leader;recovery;elr;last known elr;level;min isr;elr enabled;acceptable
/// leaders;election;target isr;unclean shutdown;target recovery => isr;leader;replicas;removing;adding;
/// recovery;elr;last known elr;directories;version`, where `-` is null and -1 in a target means "as it is".
const KAFKAS_ANSWERS: &str = include_str!("fixtures/kafka-4.4-partition-changes.txt");

#[test]
fn changes_are_kafkas() {
    for line in KAFKAS_ANSWERS.lines() {
        let (asked, answer) = line.split_once(" => ").unwrap();
        assert_eq!(answer_to(&asked.split(';').collect::<Vec<_>>()), answer, "{asked}");
    }
}

fn ids(text: &str) -> Vec<i32> {
    text.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().unwrap()).collect()
}

fn answer_to(asked: &[&str]) -> String {
    let number = |i: usize| asked[i].parse::<i32>().unwrap();
    let partition = PartitionRegistration {
        isr: ids(asked[1]).into(),
        removing_replicas: ids(asked[2]).into(),
        adding_replicas: ids(asked[3]).into(),
        leader: number(4),
        leader_recovery_state: LeaderRecoveryState::from_value(number(5) as i8).unwrap(),
        elr: ids(asked[6]).into(),
        last_known_elr: ids(asked[7]).into(),
        leader_epoch: 5,
        partition_epoch: 7,
        ..partition(&ids(asked[0]), &[0])
    };
    let acceptable = ids(asked[11]);
    let is_acceptable_leader = |id: i32| acceptable.contains(&id);
    let mut builder = PartitionChangeBuilder::new(PartitionChangeContext {
        partition: &partition,
        topic_id: Uuid::from_u128(200),
        partition_id: 0,
        is_acceptable_leader: &is_acceptable_leader,
        default_dir: &|_| Uuid::UNASSIGNED_DIR,
        metadata_version: MetadataVersion::from_feature_level(number(8) as i16).unwrap(),
        min_isr: number(9) as usize,
        elr_enabled: asked[10] == "true",
    })
    .election(match asked[12] {
        "PREFERRED" => Election::Preferred,
        "ONLINE" => Election::Online,
        _ => Election::Unclean,
    });
    if asked[13] != "-" {
        builder = builder.target_isr(ids(asked[13]));
    }
    if number(14) >= 0 {
        builder = builder.unclean_shutdown_replica(number(14));
    }
    if let Some(state) = LeaderRecoveryState::from_value(number(15) as i8) {
        builder = builder.target_leader_recovery_state(state);
    }
    let Some(built) = builder.build() else {
        return "none".to_owned();
    };
    let MetadataRecord::PartitionChangeRecord(record) = built.message else {
        panic!("{:?}", built.message);
    };
    let list = |ids: &Option<Vec<i32>>| match ids {
        None => "-".to_owned(),
        Some(ids) => ids.iter().map(i32::to_string).collect::<Vec<_>>().join(","),
    };
    [
        list(&record.isr),
        record.leader.to_string(),
        list(&record.replicas),
        list(&record.removing_replicas),
        list(&record.adding_replicas),
        record.leader_recovery_state.to_string(),
        list(&record.eligible_leader_replicas),
        list(&record.last_known_elr),
        record.directories.as_ref().map_or("-".to_owned(), |dirs| dirs.len().to_string()),
        built.version.to_string(),
    ]
    .join(";")
}
