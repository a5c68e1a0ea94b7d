//! InitializeShareGroupState (83), version 0: a share group begins with partitions (KIP-932).
//!
//! For brokers only.
//! Errors per partition: INVALID_REQUEST, FENCED_STATE_EPOCH, UNKNOWN_TOPIC_OR_PARTITION,
//! NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS.

use ottla_protocol::messages::{InitializeShareGroupStateRequest, InitializeShareGroupStateResponse};

use crate::{BrokerContext, Call};

/// Passes the request to the share coordinator.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: InitializeShareGroupStateRequest,
) -> InitializeShareGroupStateResponse {
    broker.share_coordinator.initialize_state(call, request).await
}
