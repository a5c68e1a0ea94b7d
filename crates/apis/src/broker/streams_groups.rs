//! Streams groups (KIP-1071): StreamsGroupHeartbeat (88), StreamsGroupDescribe (89) and
//! StreamsGroupTopologyDescriptionUpdate (93, KIP-1331). The errors are the coordinator's.

use ottla_common::ErrorCode;
use ottla_protocol::messages::{
    StreamsGroupDescribeRequest, StreamsGroupDescribeResponse, StreamsGroupHeartbeatRequest,
    StreamsGroupHeartbeatResponse, StreamsGroupTopologyDescriptionUpdateRequest,
    StreamsGroupTopologyDescriptionUpdateResponse,
};

use crate::support::authorized_operations;
use crate::{BrokerContext, Call};

/// Passes the request to the coordinator.
pub async fn heartbeat(
    broker: &BrokerContext,
    call: &Call,
    request: StreamsGroupHeartbeatRequest,
) -> StreamsGroupHeartbeatResponse {
    broker.groups.streams_group_heartbeat(call, request).await
}

/// Adds what the client may do with each group, when it asks.
pub async fn describe(
    broker: &BrokerContext,
    call: &Call,
    request: StreamsGroupDescribeRequest,
) -> StreamsGroupDescribeResponse {
    let wants_operations = request.include_authorized_operations;
    let mut response = broker.groups.streams_group_describe(call, request).await;
    for group in response.groups.iter_mut().filter(|_| wants_operations) {
        if group.error_code == ErrorCode::None.code() {
            group.authorized_operations = authorized_operations::GROUP;
        }
    }
    response
}

/// Passes the request to the coordinator.
pub async fn topology_description_update(
    broker: &BrokerContext,
    call: &Call,
    request: StreamsGroupTopologyDescriptionUpdateRequest,
) -> StreamsGroupTopologyDescriptionUpdateResponse {
    broker.groups.streams_group_topology_description_update(call, request).await
}
