//! WriteShareGroupState (85), versions 0-1: what became of records (KIP-932, KIP-1226).
//!
//! For brokers only.
//! Errors per partition: INVALID_REQUEST, FENCED_LEADER_EPOCH, FENCED_STATE_EPOCH, UNKNOWN_TOPIC_OR_PARTITION,
//! NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS.

use ottla_protocol::messages::{WriteShareGroupStateRequest, WriteShareGroupStateResponse};

use crate::{BrokerContext, Call};

/// Passes the request to the share coordinator.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: WriteShareGroupStateRequest,
) -> WriteShareGroupStateResponse {
    broker.share_coordinator.write_state(call, request).await
}
