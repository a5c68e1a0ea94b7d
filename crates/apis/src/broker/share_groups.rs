//! Share groups (KIP-932): ShareGroupHeartbeat (76), ShareGroupDescribe (77), DescribeShareGroupOffsets (90),
//! AlterShareGroupOffsets (91), DeleteShareGroupOffsets (92). The errors are the coordinator's.

use ottla_common::ErrorCode;
use ottla_protocol::messages::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse, DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse,
    ShareGroupDescribeRequest, ShareGroupDescribeResponse, ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
};

use crate::support::authorized_operations;
use crate::{BrokerContext, Call};

/// Passes the request to the coordinator.
pub async fn heartbeat(
    broker: &BrokerContext,
    call: &Call,
    request: ShareGroupHeartbeatRequest,
) -> ShareGroupHeartbeatResponse {
    broker.groups.share_group_heartbeat(call, request).await
}

/// Adds what the client may do with each group, when it asks.
pub async fn describe(
    broker: &BrokerContext,
    call: &Call,
    request: ShareGroupDescribeRequest,
) -> ShareGroupDescribeResponse {
    let wants_operations = request.include_authorized_operations;
    let mut response = broker.groups.share_group_describe(call, request).await;
    for group in response.groups.iter_mut().filter(|_| wants_operations) {
        if group.error_code == ErrorCode::None.code() {
            group.authorized_operations = authorized_operations::GROUP;
        }
    }
    response
}

/// Passes the request to the coordinator.
pub async fn describe_offsets(
    broker: &BrokerContext,
    call: &Call,
    request: DescribeShareGroupOffsetsRequest,
) -> DescribeShareGroupOffsetsResponse {
    broker.groups.describe_share_group_offsets(call, request).await
}

/// Passes the request to the coordinator.
pub async fn alter_offsets(
    broker: &BrokerContext,
    call: &Call,
    request: AlterShareGroupOffsetsRequest,
) -> AlterShareGroupOffsetsResponse {
    broker.groups.alter_share_group_offsets(call, request).await
}

/// Passes the request to the coordinator.
pub async fn delete_offsets(
    broker: &BrokerContext,
    call: &Call,
    request: DeleteShareGroupOffsetsRequest,
) -> DeleteShareGroupOffsetsResponse {
    broker.groups.delete_share_group_offsets(call, request).await
}
