//! A metadata log written by Apache Kafka 4.4.0 itself: one combined node was formatted with a SCRAM user,
//! started, stopped, started again; then an admin client made three topics with configurations, added
//! partitions, set topic, broker and group configurations and a quota, deleted a topic; a producer asked for
//! an id; and the node was stopped. The fixture is the log's only segment.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use ottla_common::{TopicPartition, Uuid};
use ottla_metadata::{
    ApiMessageAndVersion, BootstrapMetadata, CommittedBatch, ConfigResource, ConfigResourceType, Feature,
    ImageWriterOptions, LeaderRecoveryState, MetadataImage, MetadataLoader, MetadataProvenance,
    MetadataVersion, image,
};
use ottla_record::{DecompressionLimits, MemoryRecords};

const LOG: &[u8] = include_bytes!("fixtures/kafka-4.4-cluster-metadata.log");
const BOOTSTRAP: &[u8] = include_bytes!("fixtures/kafka-4.4-bootstrap.checkpoint");

struct Batch {
    base_offset: i64,
    last_offset: i64,
    epoch: i32,
    timestamp: i64,
    size: usize,
    values: Vec<Bytes>,
}

fn batches(file: &'static [u8]) -> Vec<Batch> {
    let limits = DecompressionLimits::default();
    MemoryRecords::from(Bytes::from_static(file))
        .batches_strict()
        .map(|batch| {
            let batch = batch.unwrap();
            let records = batch.owned_records(&limits).unwrap();
            let values = records.map(|record| record.unwrap().value.unwrap());
            Batch {
                base_offset: batch.base_offset(),
                last_offset: batch.last_offset(),
                epoch: batch.partition_leader_epoch(),
                timestamp: batch.max_timestamp(),
                size: batch.size_in_bytes(),
                values: if batch.is_control_batch() { Vec::new() } else { values.collect() },
            }
        })
        .collect()
}

fn decoded(batches: &[Batch]) -> Vec<Vec<ApiMessageAndVersion>> {
    let decode = |value: &Bytes| ApiMessageAndVersion::from_bytes(value.clone()).unwrap();
    batches.iter().map(|batch| batch.values.iter().map(decode).collect()).collect()
}

fn load() -> MetadataLoader {
    let batches = batches(LOG);
    let records = decoded(&batches);
    let committed = batches.iter().zip(&records).map(|(batch, records)| CommittedBatch {
        base_offset: batch.base_offset,
        last_offset: batch.last_offset,
        epoch: batch.epoch,
        append_timestamp_ms: batch.timestamp,
        size_bytes: batch.size as i64,
        records,
    });
    let mut loader = MetadataLoader::default();
    loader.load_batches(committed).unwrap();
    loader
}

#[test]
fn every_record_is_written_back_byte_for_byte() {
    let mut count = 0;
    for batch in batches(LOG).into_iter().chain(batches(BOOTSTRAP)) {
        for value in &batch.values {
            let record = ApiMessageAndVersion::from_bytes(value.clone()).unwrap();
            assert_eq!(&record.to_bytes().unwrap(), value, "{}", record.message.name());
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn the_image_is_what_kafka_showed() {
    let loader = load();
    let image: &MetadataImage = loader.image();
    assert_eq!(image.offset(), 51);
    assert_eq!(image.provenance.last_contained_epoch, 2);
    assert_eq!(image.features.metadata_version, Some(MetadataVersion::LATEST_PRODUCTION));
    assert!(image.features.is_elr_enabled());
    assert_eq!(image.features.level(Feature::ShareVersion), 2);

    let broker = image.cluster.broker(1).unwrap();
    assert_eq!((broker.epoch, broker.fenced, broker.in_controlled_shutdown), (20, true, true));
    assert_eq!(broker.listener("PLAINTEXT").unwrap().port, 19392);
    assert_eq!(broker.cordoned_directories, Some(Vec::new()));
    assert_eq!(image.cluster.controllers.size(), 1);

    let names: Vec<&str> = image.topics.iter_by_name().map(|topic| &*topic.name).collect();
    assert_eq!(names, ["plain", "with.config"]);
    let plain = image.topics.topic_by_name("plain").unwrap();
    assert_eq!(plain.partitions.size(), 5);
    let partition = plain.partitions.get(&4).unwrap();
    let directory: Uuid = "E8SmE8N2S_esBanIcjaxlA".parse().unwrap();
    assert_eq!((&partition.replicas[..], &partition.directories[..]), (&[1][..], &[directory][..]));
    // The only replica has stopped in peace: nobody leads, and it is eligible to lead again.
    assert_eq!((partition.leader, partition.leader_epoch, partition.partition_epoch), (-1, 1, 1));
    assert_eq!(
        (&partition.isr[..], &partition.elr[..], &partition.last_known_elr[..]),
        (&[][..], &[1][..], &[1][..])
    );
    assert_eq!(partition.leader_recovery_state, LeaderRecoveryState::Recovered);

    let value = |resource, key| image.configs.value(&resource, key);
    assert_eq!(value(ConfigResource::topic("plain"), "cleanup.policy"), Some("delete,compact"));
    assert_eq!(value(ConfigResource::topic("with.config"), "retention.ms"), Some("1000"));
    assert_eq!(value(ConfigResource::default_broker(), "log.retention.ms"), Some("7000000"));
    assert_eq!(value(ConfigResource::broker(1), "log.cleaner.threads"), Some("2"));
    let group = ConfigResource::new(ConfigResourceType::Group, "g1");
    assert_eq!(value(group, "consumer.session.timeout.ms"), Some("50000"));
    assert_eq!(image.client_quotas.entities.size(), 1);
    assert_eq!(image.producer_ids.next_producer_id, 1_000);
    let alice = image.scram.get(&(1, "alice".to_owned())).unwrap();
    assert_eq!(alice.iterations, 4096);
}

#[test]
fn a_snapshot_of_it_is_the_same_image() {
    let loader = load();
    let written = image::write_image(loader.image(), &ImageWriterOptions::from_image(loader.image()));
    assert_eq!(written[0].message.name(), "FeatureLevelRecord");
    let mut other = MetadataLoader::default();
    let update = other.load_snapshot(loader.image().provenance, &written).unwrap();
    assert_eq!(update.image, *loader.image());
    assert_eq!(update.delta.topics.created.len(), 2);
}

#[test]
fn a_node_that_reads_it_all_at_once_has_nothing_to_delete() {
    let batches = batches(LOG);
    let records = decoded(&batches);
    let mut loader = MetadataLoader::default();
    let mut followed = Vec::new();
    for (batch, records) in batches.iter().zip(&records) {
        let committed = CommittedBatch {
            base_offset: batch.base_offset,
            last_offset: batch.last_offset,
            records,
            ..Default::default()
        };
        for update in loader.load_batches([committed]).unwrap() {
            let changes = update.delta.local_changes(1);
            followed.extend(changes.deletes.keys().cloned());
        }
    }
    assert_eq!(followed, [TopicPartition::new("gone", 0), TopicPartition::new("gone", 1)]);
}

#[test]
fn bootstrap_records_are_what_formatting_wrote() {
    let records: Vec<_> = decoded(&batches(BOOTSTRAP)).into_iter().flatten().collect();
    let bootstrap = BootstrapMetadata::from_records(records.clone(), "a file").unwrap();
    let defaults = BootstrapMetadata::with_defaults(MetadataVersion::LATEST_PRODUCTION, "the defaults");
    assert_eq!(bootstrap.metadata_version(), MetadataVersion::LATEST_PRODUCTION);
    // All but the SCRAM user, which comes last.
    assert_eq!(bootstrap.records()[..records.len() - 1], *defaults.records());
    let mut loader = MetadataLoader::default();
    loader.load_snapshot(MetadataProvenance::EMPTY, &records).unwrap();
    assert_eq!(loader.image().scram.size(), 1);
}
