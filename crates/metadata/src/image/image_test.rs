//! Images and records: there and back.

use ottla_common::Uuid;
use ottla_protocol::records::metadata::client_quota_record::EntityData;
use ottla_protocol::records::metadata::register_broker_record::{BrokerEndpoint, BrokerFeature};
use ottla_protocol::records::metadata::*;
use proptest::prelude::*;

use super::*;
use crate::record::ApiMessageAndVersion;

fn text() -> impl Strategy<Value = String> {
    "[a-c]{1,2}"
}

fn ids() -> impl Strategy<Value = Vec<i32>> {
    prop::collection::vec(0..5i32, 0..4)
}

fn uuid(n: u8) -> Uuid {
    Uuid::from_u128(1000 + u128::from(n))
}

/// Records that a metadata log could hold; some of them do not fit what came before, as in a bad log.
fn record() -> impl Strategy<Value = MetadataRecord> {
    let topic = (text(), 0..4u8).prop_map(|(name, id)| {
        TopicRecord { name: name.into(), topic_id: uuid(id), ..Default::default() }.into()
    });
    let partition = (0..4u8, 0..3i32, ids(), ids(), -1..4i32, any::<bool>()).prop_map(
        |(id, partition_id, replicas, elr, leader, dirs)| {
            PartitionRecord {
                topic_id: uuid(id),
                partition_id,
                isr: replicas.clone(),
                directories: if dirs { vec![uuid(9); replicas.len()] } else { Vec::new() },
                replicas,
                leader,
                leader_epoch: 3,
                partition_epoch: 4,
                eligible_leader_replicas: Some(elr),
                ..Default::default()
            }
            .into()
        },
    );
    let change =
        (0..4u8, 0..3i32, prop::option::of(ids()), -2..4i32).prop_map(|(id, partition_id, isr, leader)| {
            PartitionChangeRecord { topic_id: uuid(id), partition_id, isr, leader, ..Default::default() }
                .into()
        });
    let broker = (0..4i32, 0..9i64, any::<bool>(), prop::option::of(text())).prop_map(
        |(broker_id, broker_epoch, fenced, rack)| {
            RegisterBrokerRecord {
                broker_id,
                broker_epoch,
                fenced,
                rack: rack.map(Into::into),
                log_dirs: vec![uuid(7)],
                end_points: vec![BrokerEndpoint {
                    name: "PLAINTEXT".into(),
                    port: 9092,
                    ..Default::default()
                }],
                features: vec![BrokerFeature {
                    name: "metadata.version".into(),
                    min_supported_version: 7,
                    max_supported_version: 33,
                    ..Default::default()
                }],
                ..Default::default()
            }
            .into()
        },
    );
    let config = (prop::sample::select(vec![2i8, 4, 16, 32]), text(), text(), prop::option::of(text()))
        .prop_map(|(resource_type, resource, name, value)| {
            ConfigRecord {
                resource_type,
                resource_name: resource.into(),
                name: name.into(),
                value: value.map(Into::into),
                ..Default::default()
            }
            .into()
        });
    let feature = (text(), 0..3i16).prop_map(|(name, feature_level)| {
        FeatureLevelRecord { name: name.into(), feature_level, ..Default::default() }.into()
    });
    let quota = (text(), prop::option::of(text()), text(), any::<bool>()).prop_map(
        |(entity_type, name, key, remove)| {
            ClientQuotaRecord {
                entity: vec![EntityData {
                    entity_type: entity_type.into(),
                    entity_name: name.map(Into::into),
                    ..Default::default()
                }],
                key: key.into(),
                value: 1.5,
                remove,
                ..Default::default()
            }
            .into()
        },
    );
    let acl = (0..4u8, text()).prop_map(|(id, principal)| {
        AccessControlEntryRecord { id: uuid(id), principal: principal.into(), ..Default::default() }.into()
    });
    let scram = (1..3i8, text()).prop_map(|(mechanism, name)| {
        UserScramCredentialRecord { mechanism, name: name.into(), iterations: 4096, ..Default::default() }
            .into()
    });
    let token = text().prop_map(|token_id| {
        DelegationTokenRecord { token_id: token_id.into(), ..Default::default() }.into()
    });
    let removal = (0..4u8, 0..4i32, any::<bool>()).prop_map(|(id, broker_id, topic)| match topic {
        true => RemoveTopicRecord { topic_id: uuid(id), ..Default::default() }.into(),
        false => UnregisterBrokerRecord { broker_id, ..Default::default() }.into(),
    });
    let producer_ids =
        (0..9i64).prop_map(|n| ProducerIdsRecord { next_producer_id: n * 1000, ..Default::default() }.into());
    prop_oneof![
        topic,
        partition,
        change,
        broker,
        config,
        feature,
        quota,
        acl,
        scram,
        token,
        removal,
        producer_ids
    ]
}

fn image_of(records: &[MetadataRecord]) -> MetadataImage {
    let mut image = MetadataImage::default();
    image.features.metadata_version = Some(MetadataVersion::LATEST_PRODUCTION);
    let elr = FeatureLevelRecord {
        name: Feature::EligibleLeaderReplicasVersion.feature_name().into(),
        feature_level: 1,
        ..Default::default()
    };
    image.replay(&elr.into()).unwrap();
    for record in records {
        // Records that do not fit are refused and change nothing.
        let _ = image.replay(record);
    }
    image
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_image_survives_its_records(records in prop::collection::vec(record(), 0..60)) {
        let image = image_of(&records);
        let written = write_image(&image, &ImageWriterOptions::from_image(&image));
        let mut read = MetadataImage::default();
        for record in &written {
            let bytes = record.to_bytes().unwrap();
            let decoded = ApiMessageAndVersion::from_bytes(bytes).unwrap();
            prop_assert_eq!(&decoded, record);
            read.replay(&decoded.message).unwrap();
        }
        prop_assert_eq!(read, image);
    }

    #[test]
    fn every_level_can_write_every_image(records in prop::collection::vec(record(), 0..60)) {
        let image = image_of(&records);
        for metadata_version in MetadataVersion::all() {
            let options = ImageWriterOptions {
                metadata_version,
                elr_enabled: metadata_version.is_elr_supported(),
            };
            for record in write_image(&image, &options) {
                prop_assert!(record.to_bytes().is_ok(), "{} at {metadata_version}", record.message.name());
            }
        }
    }

    #[test]
    fn a_delta_leads_where_replaying_does(
        before in prop::collection::vec(record(), 0..30),
        after in prop::collection::vec(record(), 0..30),
    ) {
        let base = image_of(&before);
        let mut delta = crate::MetadataDelta::new(Arc::new(base.clone()));
        let mut replayed = base;
        for record in &after {
            prop_assert_eq!(delta.replay(record).is_ok(), replayed.replay(record).is_ok());
        }
        prop_assert_eq!(delta.apply(MetadataProvenance::EMPTY), replayed);
    }

    #[test]
    fn a_delta_from_nothing_is_that_of_a_snapshot(records in prop::collection::vec(record(), 0..60)) {
        let image = image_of(&records);
        let mut read = crate::MetadataDelta::for_snapshot(Arc::default());
        for record in write_image(&image, &ImageWriterOptions::from_image(&image)) {
            read.replay(&record.message).unwrap();
        }
        read.finish_snapshot();
        let made = crate::MetadataDelta::from_nothing(&image);
        prop_assert_eq!(made, read);
    }

    #[test]
    fn a_snapshot_replaces_everything(
        before in prop::collection::vec(record(), 0..30),
        after in prop::collection::vec(record(), 0..30),
    ) {
        let target = image_of(&after);
        let mut delta = crate::MetadataDelta::for_snapshot(Arc::new(image_of(&before)));
        for record in write_image(&target, &ImageWriterOptions::from_image(&target)) {
            delta.replay(&record.message).unwrap();
        }
        delta.finish_snapshot();
        prop_assert_eq!(&delta.apply(MetadataProvenance::EMPTY), &target);
        for topic in delta.base().topics.iter() {
            let is_gone = target.topics.topic(topic.id).is_none();
            prop_assert_eq!(delta.topics.deleted.contains_key(&topic.id), is_gone);
        }
    }
}
