//! DeleteShareGroupState (86), version 0: a share group is done with partitions (KIP-932).
//!
//! For brokers only.
//! Errors per partition: INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION,
//! NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS.

use ottla_protocol::messages::{DeleteShareGroupStateRequest, DeleteShareGroupStateResponse};

use crate::{BrokerContext, Call};

/// Passes the request to the share coordinator.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: DeleteShareGroupStateRequest,
) -> DeleteShareGroupStateResponse {
    broker.share_coordinator.delete_state(call, request).await
}
