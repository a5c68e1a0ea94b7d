//! FindCoordinator (10), versions 0-6: which broker coordinates a group (KIP-699).
//!
//! Errors: COORDINATOR_NOT_AVAILABLE while `__consumer_offsets` is being made or has no leader,
//! INVALID_REQUEST for kinds of coordinators that do not exist.
//! Missing: transaction and share coordinators.

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_common::internal_topics::GROUP_METADATA_TOPIC;
use ottla_protocol::messages::find_coordinator_response::Coordinator;
use ottla_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

use crate::context::partition_for;
use crate::support::metadata_cache::alive_endpoint;
use crate::{BrokerContext, Call};

const GROUP: i8 = 0;

/// Answers one key up to version 3, a list of keys from 4 on.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    if call.version >= 4 {
        let coordinators = request
            .coordinator_keys
            .into_iter()
            .map(|key| find(broker, call, request.key_type, key))
            .collect();
        return FindCoordinatorResponse { coordinators, ..Default::default() };
    }
    let found = find(broker, call, request.key_type, request.key);
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: found.error_message,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
}

fn find(broker: &BrokerContext, call: &Call, key_type: i8, key: ByteString) -> Coordinator {
    let failed = |key, error: ErrorCode, message: Option<&'static str>| Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code: error.code(),
        error_message: message.map(ByteString::from_static),
        ..Default::default()
    };
    if key_type != GROUP {
        return failed(key, ErrorCode::InvalidRequest, Some("This broker coordinates consumer groups only."));
    }
    let image = broker.metadata.image();
    let Some(topic) = image.topics.topic_by_name(GROUP_METADATA_TOPIC) else {
        broker.auto_topics.create(GROUP_METADATA_TOPIC, call);
        return failed(key, ErrorCode::CoordinatorNotAvailable, None);
    };
    let partition = topic.partitions.get(&partition_for(&key, topic.partitions.size() as i32));
    let endpoint =
        partition.and_then(|p| Some((p.leader, alive_endpoint(&image, p.leader, &call.listener)?)));
    match endpoint {
        None => failed(key, ErrorCode::CoordinatorNotAvailable, None),
        Some((node_id, endpoint)) => Coordinator {
            key,
            node_id,
            host: endpoint.host.as_str().into(),
            port: i32::from(endpoint.port),
            ..Default::default()
        },
    }
}
