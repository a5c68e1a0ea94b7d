//! Consumer groups of the new protocol (KIP-848): ConsumerGroupHeartbeat (68), ConsumerGroupDescribe (69).
//! The errors are the coordinator's.

use ottla_common::ErrorCode;
use ottla_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
};

use crate::support::authorized_operations;
use crate::{BrokerContext, Call};

/// Passes the request to the coordinator.
pub async fn heartbeat(
    broker: &BrokerContext,
    call: &Call,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    broker.groups.consumer_group_heartbeat(call, request).await
}

/// Adds what the client may do with each group, when it asks.
pub async fn describe(
    broker: &BrokerContext,
    call: &Call,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let wants_operations = request.include_authorized_operations;
    let mut response = broker.groups.consumer_group_describe(call, request).await;
    for group in response.groups.iter_mut().filter(|_| wants_operations) {
        if group.error_code == ErrorCode::None.code() {
            group.authorized_operations = authorized_operations::GROUP;
        }
    }
    response
}
