//! EndTxn (26), versions 0-5: commits or aborts a transaction (KIP-98, KIP-890).
//!
//! Errors, the transaction coordinator's: INVALID_REQUEST, NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE,
//! COORDINATOR_LOAD_IN_PROGRESS, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED (INVALID_PRODUCER_EPOCH before
//! version 2), CONCURRENT_TRANSACTIONS, INVALID_TXN_STATE, UNSUPPORTED_VERSION.
//! Missing: authorization.

use ottla_protocol::messages::{EndTxnRequest, EndTxnResponse};

use crate::{BrokerContext, Call};

/// Passes the request to the coordinator.
pub async fn handle(broker: &BrokerContext, call: &Call, request: EndTxnRequest) -> EndTxnResponse {
    broker.transactions.end_txn(call, request).await
}
