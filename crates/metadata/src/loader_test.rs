use ottla_common::{TopicPartition, Uuid};
use ottla_protocol::records::metadata::*;

use super::*;
use crate::ConfigResource;

fn topic(name: &str, id: u128) -> ApiMessageAndVersion {
    let record = TopicRecord { name: name.into(), topic_id: Uuid::from_u128(id), ..Default::default() };
    ApiMessageAndVersion::new(record, 0)
}

fn partition(id: u128, leader: i32, replicas: &[i32]) -> ApiMessageAndVersion {
    let record = PartitionRecord {
        topic_id: Uuid::from_u128(id),
        partition_id: 0,
        replicas: replicas.to_vec(),
        isr: replicas.to_vec(),
        leader,
        leader_epoch: 0,
        partition_epoch: 0,
        ..Default::default()
    };
    ApiMessageAndVersion::new(record, 2)
}

fn change(id: u128, leader: i32) -> ApiMessageAndVersion {
    let record = PartitionChangeRecord {
        topic_id: Uuid::from_u128(id),
        partition_id: 0,
        leader,
        ..Default::default()
    };
    ApiMessageAndVersion::new(record, 2)
}

fn remove(id: u128) -> ApiMessageAndVersion {
    ApiMessageAndVersion::new(RemoveTopicRecord { topic_id: Uuid::from_u128(id), ..Default::default() }, 0)
}

fn begin() -> ApiMessageAndVersion {
    ApiMessageAndVersion::new(BeginTransactionRecord::default(), 0)
}

fn end() -> ApiMessageAndVersion {
    ApiMessageAndVersion::new(EndTransactionRecord::default(), 0)
}

fn abort() -> ApiMessageAndVersion {
    ApiMessageAndVersion::new(AbortTransactionRecord::default(), 0)
}

fn load(loader: &mut MetadataLoader, batches: &[&[ApiMessageAndVersion]]) -> Vec<MetadataUpdate> {
    let mut next = loader.last_offset() + 1;
    let batches: Vec<CommittedBatch<'_>> = batches
        .iter()
        .map(|records| {
            let base_offset = next;
            next += records.len() as i64;
            CommittedBatch {
                base_offset,
                last_offset: next - 1,
                epoch: 1,
                size_bytes: 10,
                records,
                ..Default::default()
            }
        })
        .collect();
    loader.load_batches(batches).unwrap()
}

fn names(image: &MetadataImage) -> Vec<String> {
    image.topics.iter_by_name().map(|topic| topic.name.to_string()).collect()
}

#[test]
fn batches_become_one_update() {
    let mut loader = MetadataLoader::default();
    let updates = load(&mut loader, &[&[topic("a", 1)], &[topic("b", 2), partition(2, 1, &[1, 2])]]);
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0].manifest, LoaderManifest::LogDelta { num_batches: 2, num_bytes: 20 });
    assert_eq!(names(&updates[0].image), ["a", "b"]);
    assert_eq!(updates[0].image.offset(), 2);
    assert!(updates[0].image.provenance.is_offset_batch_aligned);
    assert_eq!(updates[0].delta.topics.created.len(), 2);
}

#[test]
fn transactions_become_visible_at_their_end() {
    let mut loader = MetadataLoader::default();
    let updates = load(&mut loader, &[&[topic("a", 1)], &[begin(), topic("b", 2)]]);
    assert_eq!(updates.len(), 1);
    assert_eq!(names(&updates[0].image), ["a"]);
    assert!(load(&mut loader, &[&[topic("c", 3)]]).is_empty());
    assert_eq!((loader.last_offset(), loader.image().offset()), (3, 0));
    let updates = load(&mut loader, &[&[end()], &[topic("d", 4)]]);
    assert_eq!(names(&updates.last().unwrap().image), ["a", "b", "c", "d"]);
}

#[test]
fn a_transaction_in_the_middle_of_a_batch_splits_it() {
    let mut loader = MetadataLoader::default();
    let updates = load(&mut loader, &[&[topic("a", 1), begin(), topic("b", 2)]]);
    assert_eq!(names(&updates[0].image), ["a"]);
    assert!(!updates[0].image.provenance.is_offset_batch_aligned);
}

#[test]
fn aborted_transactions_leave_no_trace() {
    let mut loader = MetadataLoader::default();
    load(&mut loader, &[&[topic("a", 1)], &[begin(), topic("b", 2)]]);
    let updates = load(&mut loader, &[&[abort()]]);
    assert_eq!(names(&updates[0].image), ["a"]);
    assert_eq!(updates[0].image.offset(), 3);
    load(&mut loader, &[&[begin(), topic("c", 3), abort(), topic("d", 4)]]);
    assert_eq!(names(loader.image()), ["a", "d"]);
}

#[test]
fn markers_out_of_order_are_refused() {
    for records in [vec![end()], vec![abort()], vec![begin(), begin()]] {
        let batch = CommittedBatch { records: &records, ..Default::default() };
        assert!(MetadataLoader::default().load_batches([batch]).is_err());
    }
}

#[test]
fn a_bad_record_is_named_by_its_offset() {
    let records = [topic("a", 1), remove(9)];
    let batch = CommittedBatch { base_offset: 40, last_offset: 41, records: &records, ..Default::default() };
    let error = MetadataLoader::default().load_batches([batch]).unwrap_err();
    assert_eq!(error.offset, 41);
}

#[test]
fn a_broker_learns_what_to_do() {
    let tp = TopicPartition::new("a", 0);
    let mut loader = MetadataLoader::default();
    let changes = |updates: &[MetadataUpdate], broker| updates[0].delta.local_changes(broker);

    let updates = load(&mut loader, &[&[topic("a", 1), partition(1, 1, &[1, 2])]]);
    assert!(changes(&updates, 1).elected_leaders.contains_key(&tp));
    assert!(changes(&updates, 2).followers.contains_key(&tp));
    assert_eq!(changes(&updates, 3), crate::LocalReplicaChanges::default());

    let updates = load(&mut loader, &[&[change(1, 2)]]);
    assert!(changes(&updates, 2).elected_leaders.contains_key(&tp));
    assert!(changes(&updates, 1).followers.contains_key(&tp));

    let isr_only = PartitionChangeRecord {
        topic_id: Uuid::from_u128(1),
        partition_id: 0,
        isr: Some(vec![2]),
        ..Default::default()
    };
    let updates = load(&mut loader, &[&[ApiMessageAndVersion::new(isr_only, 2)]]);
    assert!(changes(&updates, 2).elected_leaders.is_empty());
    assert!(changes(&updates, 2).leaders.contains_key(&tp));

    let updates = load(&mut loader, &[&[remove(1), topic("a", 5), partition(5, 2, &[2])]]);
    assert_eq!(changes(&updates, 2).deletes.get(&tp), Some(&Uuid::from_u128(1)));
    assert_eq!(changes(&updates, 2).leaders[&tp].topic_id, Uuid::from_u128(5));
    assert_eq!(changes(&updates, 1).deletes.len(), 1);
}

#[test]
fn a_topic_takes_its_configuration_along() {
    let config = ConfigRecord {
        resource_type: 2,
        resource_name: "a".into(),
        name: "retention.ms".into(),
        value: Some("1".into()),
        ..Default::default()
    };
    let mut loader = MetadataLoader::default();
    load(&mut loader, &[&[topic("a", 1), ApiMessageAndVersion::new(config, 0)]]);
    assert_eq!(loader.image().configs.value(&ConfigResource::topic("a"), "retention.ms"), Some("1"));
    let updates = load(&mut loader, &[&[remove(1)]]);
    assert!(updates[0].delta.changed_configs.contains(&ConfigResource::topic("a")));
    assert!(loader.image().configs.resources.is_empty());
}

#[test]
fn snapshots_are_due_after_bytes_or_time() {
    use crate::{SnapshotPolicy, SnapshotReason};
    let mut loader = MetadataLoader::default();
    let mut policy = SnapshotPolicy::new(25, 1_000, 0);
    let mut update = |policy: &mut SnapshotPolicy, now_ms| {
        let updates = load(&mut loader, &[&[ApiMessageAndVersion::new(NoOpRecord::default(), 0)]]);
        policy.on_update(&updates[0], now_ms)
    };
    assert_eq!(update(&mut policy, 1), None);
    assert_eq!(update(&mut policy, 2), None);
    assert_eq!(update(&mut policy, 3), Some(SnapshotReason::MaxBytesExceeded));
    assert_eq!(update(&mut policy, 4), None);
    assert_eq!(update(&mut policy, 1_003), Some(SnapshotReason::MaxIntervalExceeded));
    assert_eq!(update(&mut policy, 1_004), None);
}
