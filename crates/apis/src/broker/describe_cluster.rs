//! DescribeCluster (60), versions 0-2: the brokers and who may do what (KIP-700, KIP-919, KIP-1073).
//!
//! Errors: UNSUPPORTED_ENDPOINT_TYPE, MISMATCHED_ENDPOINT_TYPE (controllers answer for controllers).

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use ottla_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use crate::support::{authorized_operations, metadata_cache};
use crate::{BrokerContext, Call};

const BROKER_ENDPOINT: i8 = 1;
const CONTROLLER_ENDPOINT: i8 = 2;

/// Answers from the newest image.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    if request.endpoint_type != BROKER_ENDPOINT {
        return wrong_endpoint(request.endpoint_type);
    }
    let image = broker.metadata.image();
    let brokers = image
        .cluster
        .brokers
        .values()
        .filter(|b| !b.fenced || request.include_fenced_brokers)
        .filter_map(|b| b.listener(&call.listener).map(|e| (b, e)))
        .map(|(b, endpoint)| DescribeClusterBroker {
            broker_id: b.id,
            host: endpoint.host.as_str().into(),
            port: i32::from(endpoint.port),
            rack: b.rack.as_deref().map(ByteString::from),
            is_fenced: call.version >= 2 && b.fenced,
            ..Default::default()
        })
        .collect();
    let wants_operations = request.include_cluster_authorized_operations;
    DescribeClusterResponse {
        endpoint_type: BROKER_ENDPOINT,
        cluster_id: broker.settings.cluster_id.clone(),
        controller_id: metadata_cache::any_alive_broker(&image).unwrap_or(-1),
        brokers,
        cluster_authorized_operations: if wants_operations {
            authorized_operations::CLUSTER
        } else {
            i32::MIN
        },
        ..Default::default()
    }
}

fn wrong_endpoint(endpoint_type: i8) -> DescribeClusterResponse {
    let (error, message) = if endpoint_type == CONTROLLER_ENDPOINT {
        (
            ErrorCode::MismatchedEndpointType,
            "This endpoint is a broker's, and the request was meant for a controller.",
        )
    } else {
        (ErrorCode::UnsupportedEndpointType, "There is no such type of endpoint.")
    };
    DescribeClusterResponse {
        error_code: error.code(),
        error_message: Some(ByteString::from_static(message)),
        ..Default::default()
    }
}
