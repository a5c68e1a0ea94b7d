//! Metadata (3), versions 0-13: brokers, topics, leaders; creates missing topics when asked and
//! allowed to.
//!
//! Errors per topic: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_TOPIC_EXCEPTION,
//! INVALID_REQUEST; per partition: LEADER_NOT_AVAILABLE, LISTENER_NOT_FOUND, REPLICA_NOT_AVAILABLE.

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid, internal_topics};
use ottla_metadata::image::MetadataImage;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponseTopic};
use ottla_protocol::messages::{MetadataRequest, MetadataResponse};

use crate::support::metadata_cache::{self, EndpointErrors};
use crate::support::{authorized_operations, topic_name};
use crate::{BrokerContext, Call};

/// Answers from the newest image.
pub async fn handle(broker: &BrokerContext, call: &Call, request: MetadataRequest) -> MetadataResponse {
    let image = broker.metadata.image();
    let mut topics = match &request.topics {
        None => all_topics(&image, call),
        // Version 0 knows no null: an empty list means every topic.
        Some(list) if list.is_empty() && call.version == 0 => all_topics(&image, call),
        Some(list) => {
            let allowed = broker.settings.auto_create_topics_enable && request.allow_auto_topic_creation;
            list.iter().map(|t| one_topic(broker, &image, call, t, allowed)).collect()
        }
    };
    if request.include_topic_authorized_operations {
        topics.iter_mut().for_each(|t| t.topic_authorized_operations = authorized_operations::TOPIC);
    }
    let wants_cluster = (8..=10).contains(&call.version) && request.include_cluster_authorized_operations;
    MetadataResponse {
        brokers: brokers(&image, &call.listener),
        cluster_id: Some(broker.settings.cluster_id.clone()),
        controller_id: metadata_cache::any_alive_broker(&image).unwrap_or(-1),
        topics,
        cluster_authorized_operations: if wants_cluster { authorized_operations::CLUSTER } else { i32::MIN },
        ..Default::default()
    }
}

fn endpoint_errors(call: &Call) -> EndpointErrors {
    EndpointErrors { unavailable_endpoints: call.version == 0, unavailable_listeners: call.version >= 6 }
}

fn all_topics(image: &MetadataImage, call: &Call) -> Vec<MetadataResponseTopic> {
    let errors = endpoint_errors(call);
    image
        .topics
        .iter_by_name()
        .map(|topic| metadata_cache::topic_metadata(image, topic, &call.listener, errors))
        .collect()
}

fn one_topic(
    broker: &BrokerContext,
    image: &MetadataImage,
    call: &Call,
    wanted: &MetadataRequestTopic,
    auto_create: bool,
) -> MetadataResponseTopic {
    let errors = endpoint_errors(call);
    if call.version < 12 && (wanted.name.is_none() || !wanted.topic_id.is_zero()) {
        return failed(ErrorCode::InvalidRequest, wanted.name.clone(), wanted.topic_id);
    }
    if !wanted.topic_id.is_zero() {
        return match image.topics.topic(wanted.topic_id) {
            Some(topic) => metadata_cache::topic_metadata(image, topic, &call.listener, errors),
            None => failed(ErrorCode::UnknownTopicId, None, wanted.topic_id),
        };
    }
    let Some(name) = wanted.name.clone() else {
        return failed(ErrorCode::InvalidRequest, None, Uuid::ZERO);
    };
    if let Some(topic) = image.topics.topic_by_name(&name) {
        return metadata_cache::topic_metadata(image, topic, &call.listener, errors);
    }
    let exists_soon =
        if auto_create { broker.auto_topics.create(&name, call) } else { topic_name::is_valid(&name) };
    let error =
        if exists_soon { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::InvalidTopicException };
    failed(error, Some(name), Uuid::ZERO)
}

fn failed(error: ErrorCode, name: Option<ByteString>, topic_id: Uuid) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: error.code(),
        is_internal: name.as_deref().is_some_and(internal_topics::is_internal),
        name,
        topic_id,
        ..Default::default()
    }
}

fn brokers(image: &MetadataImage, listener: &str) -> Vec<MetadataResponseBroker> {
    metadata_cache::alive_brokers(image, listener)
        .map(|(broker, endpoint)| MetadataResponseBroker {
            node_id: broker.id,
            host: endpoint.host.as_str().into(),
            port: i32::from(endpoint.port),
            rack: broker.rack.as_deref().map(ByteString::from),
            ..Default::default()
        })
        .collect()
}
