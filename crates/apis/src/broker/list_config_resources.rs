//! ListConfigResources (74), versions 0-1: what has, or may have, a configuration (KIP-1000, KIP-1142).
//!
//! Errors: UNSUPPORTED_VERSION for a kind of resource that does not exist.

use std::collections::BTreeSet;

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_metadata::image::{ConfigResourceType, MetadataImage};
use ottla_protocol::messages::list_config_resources_response::ConfigResource;
use ottla_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use crate::{BrokerContext, Call};

const TOPIC: i8 = ConfigResourceType::Topic.id();
const BROKER: i8 = ConfigResourceType::Broker.id();
const BROKER_LOGGER: i8 = ConfigResourceType::BrokerLogger.id();
const CLIENT_METRICS: i8 = ConfigResourceType::ClientMetrics.id();
const GROUP: i8 = ConfigResourceType::Group.id();

/// Version 0 knows client metrics only; later an empty list means every kind.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let all = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];
    let kinds: BTreeSet<i8> = match call.version {
        0 => [CLIENT_METRICS].into(),
        _ if request.resource_types.is_empty() => all.into(),
        _ => request.resource_types.into_iter().collect(),
    };
    if kinds.iter().any(|kind| !all.contains(kind)) {
        return ListConfigResourcesResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            ..Default::default()
        };
    }
    let image = broker.metadata.image();
    let config_resources = kinds.into_iter().flat_map(|kind| resources(&image, kind)).collect();
    ListConfigResourcesResponse { config_resources, ..Default::default() }
}

fn resources(image: &MetadataImage, kind: i8) -> Vec<ConfigResource> {
    let resource = |name: &str| ConfigResource {
        resource_name: ByteString::from(name),
        resource_type: kind,
        ..Default::default()
    };
    match kind {
        TOPIC => image.topics.iter_by_name().map(|t| resource(&t.name)).collect(),
        BROKER | BROKER_LOGGER => image.cluster.brokers.keys().map(|id| resource(&id.to_string())).collect(),
        _ => {
            let of_kind = image.configs.resources.keys().filter(|r| r.resource_type.id() == kind);
            of_kind.map(|r| resource(&r.name)).collect()
        }
    }
}
