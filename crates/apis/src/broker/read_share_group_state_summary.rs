//! ReadShareGroupStateSummary (87), versions 0-1: how far a share group is (KIP-932, KIP-1226).
//!
//! For brokers only.
//! Errors per partition: INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION,
//! NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS.

use ottla_protocol::messages::{ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse};

use crate::{BrokerContext, Call};

/// Passes the request to the share coordinator.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: ReadShareGroupStateSummaryRequest,
) -> ReadShareGroupStateSummaryResponse {
    broker.share_coordinator.read_state_summary(call, request).await
}
