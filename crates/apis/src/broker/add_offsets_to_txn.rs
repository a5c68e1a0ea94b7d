//! AddOffsetsToTxn (25), versions 0-4: a transaction is going to commit offsets of a group (KIP-98).
//!
//! Errors, the transaction coordinator's: INVALID_REQUEST, NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE,
//! COORDINATOR_LOAD_IN_PROGRESS, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED (INVALID_PRODUCER_EPOCH before
//! version 2), CONCURRENT_TRANSACTIONS.
//! Missing: authorization.

use ottla_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use crate::{BrokerContext, Call};

/// Passes the request to the coordinator.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    broker.transactions.add_offsets_to_txn(call, request).await
}
