use ottla_common::Uuid;
use ottla_metadata::{MetadataVersion, PartitionRegistration};
use ottla_protocol::records::metadata::{MetadataRecord, PartitionChangeRecord};

use crate::partition_change_builder::{PartitionChangeBuilder, PartitionChangeContext};

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
        replicas: replicas.to_vec(),
        directories: replicas.iter().map(|id| Uuid::from_u128(1_000 + *id as u128)).collect(),
        isr: isr.to_vec(),
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
        removing_replicas: vec![1],
        adding_replicas: vec![3],
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
    let reassigning = PartitionRegistration { removing_replicas: vec![1], ..partition(&[1, 2, 3], &[1, 2]) };
    assert_eq!(change(&reassigning, "4.4", |builder| builder), None);
    let record = change(&reassigning, "4.4", |builder| builder.target_isr(vec![1, 2, 3])).unwrap();
    assert_eq!(record.replicas, Some(vec![2, 3]));
}

#[test]
fn removed_replicas_are_told_by_a_leader_epoch() {
    let reassigning = PartitionRegistration {
        removing_replicas: vec![3],
        adding_replicas: vec![2],
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
