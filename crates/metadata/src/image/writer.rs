//! An image as the records that bring it about: the body of a snapshot.

use bytestring::ByteString;
use ottla_protocol::records::metadata::client_quota_record::EntityData;
use ottla_protocol::records::metadata::{
    ClientQuotaRecord, ConfigRecord, FeatureLevelRecord, ProducerIdsRecord, TopicRecord,
};

use super::{MetadataImage, TopicImage};
use crate::feature::MetadataVersion;
use crate::record::ApiMessageAndVersion;

/// What an image is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageWriterOptions {
    /// Level that readers must understand.
    pub metadata_version: MetadataVersion,
    /// Whether eligible leader replicas are written.
    pub elr_enabled: bool,
}

impl ImageWriterOptions {
    /// What the image itself asks for.
    pub fn from_image(image: &MetadataImage) -> Self {
        Self {
            metadata_version: image.features.metadata_version_or_minimum(),
            elr_enabled: image.features.is_elr_enabled(),
        }
    }
}

/// The records that bring the image about, `metadata.version` first because readers need it to read on.
/// What the options' level cannot say is left out, as in a downgrade.
pub fn write_image(image: &MetadataImage, options: &ImageWriterOptions) -> Vec<ApiMessageAndVersion> {
    let mut records = Vec::new();
    write_features(image, options, &mut records);
    let level = options.metadata_version;
    records.extend(image.cluster.brokers.values().map(|broker| broker.to_record(level)));
    if level.is_controller_registration_supported() {
        records.extend(image.cluster.controllers.values().map(|controller| controller.to_record()));
    }
    for topic in image.topics.iter() {
        write_topic(topic, options, &mut records);
    }
    write_configs(image, &mut records);
    write_client_quotas(image, &mut records);
    if image.producer_ids.next_producer_id >= 0 {
        let record = ProducerIdsRecord {
            broker_id: -1,
            broker_epoch: -1,
            next_producer_id: image.producer_ids.next_producer_id,
            ..Default::default()
        };
        records.push(ApiMessageAndVersion::new(record, 0));
    }
    records.extend(image.acls.values().map(|acl| ApiMessageAndVersion::new((**acl).clone(), 0)));
    if level.is_scram_supported() {
        records.extend(image.scram.values().map(|scram| ApiMessageAndVersion::new((**scram).clone(), 0)));
    }
    if level.is_delegation_token_supported() {
        let tokens = image.delegation_tokens.values();
        records.extend(tokens.map(|token| ApiMessageAndVersion::new((**token).clone(), 0)));
    }
    records
}

fn write_features(image: &MetadataImage, options: &ImageWriterOptions, out: &mut Vec<ApiMessageAndVersion>) {
    let mut push = |name: &str, feature_level| {
        let record = FeatureLevelRecord { name: name.into(), feature_level, ..Default::default() };
        out.push(ApiMessageAndVersion::new(record, 0));
    };
    push(MetadataVersion::FEATURE_NAME, options.metadata_version.feature_level());
    for (name, level) in image.features.finalized_versions.iter() {
        push(name, *level);
    }
}

fn write_topic(topic: &TopicImage, options: &ImageWriterOptions, out: &mut Vec<ApiMessageAndVersion>) {
    let record = TopicRecord { name: (&*topic.name).into(), topic_id: topic.id, ..Default::default() };
    out.push(ApiMessageAndVersion::new(record, 0));
    out.extend(topic.partitions.iter().map(|(index, p)| p.to_record(topic.id, *index, options)));
}

fn write_configs(image: &MetadataImage, out: &mut Vec<ApiMessageAndVersion>) {
    for (resource, config) in image.configs.resources.iter() {
        for (name, value) in config.iter() {
            let record = ConfigRecord {
                resource_type: resource.resource_type.id(),
                resource_name: (&*resource.name).into(),
                name: name.as_str().into(),
                value: Some(value.as_str().into()),
                ..Default::default()
            };
            out.push(ApiMessageAndVersion::new(record, 0));
        }
    }
}

fn write_client_quotas(image: &MetadataImage, out: &mut Vec<ApiMessageAndVersion>) {
    for (entity, quotas) in image.client_quotas.entities.iter() {
        for (key, value) in quotas.iter() {
            let entity = entity.iter().map(|(entity_type, name)| EntityData {
                entity_type: entity_type.as_str().into(),
                entity_name: name.as_deref().map(ByteString::from),
                ..Default::default()
            });
            let record = ClientQuotaRecord {
                entity: entity.collect(),
                key: key.as_str().into(),
                value: *value,
                remove: false,
                ..Default::default()
            };
            out.push(ApiMessageAndVersion::new(record, 0));
        }
    }
}
