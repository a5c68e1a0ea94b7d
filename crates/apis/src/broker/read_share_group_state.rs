//! ReadShareGroupState (84), version 0: a leader takes share-partitions over (KIP-932).
//!
//! For brokers only.
//! Errors per partition: INVALID_REQUEST, FENCED_LEADER_EPOCH, UNKNOWN_TOPIC_OR_PARTITION,
//! NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS.

use ottla_protocol::messages::{ReadShareGroupStateRequest, ReadShareGroupStateResponse};

use crate::{BrokerContext, Call};

/// Passes the request to the share coordinator.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: ReadShareGroupStateRequest,
) -> ReadShareGroupStateResponse {
    broker.share_coordinator.read_state(call, request).await
}
