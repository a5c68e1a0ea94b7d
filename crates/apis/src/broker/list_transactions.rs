//! ListTransactions (66), versions 0-2: the transactions that this broker coordinates (KIP-664, KIP-994, KIP-1152).
//!
//! Errors, the transaction coordinator's: COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS,
//! INVALID_REGULAR_EXPRESSION.
//! Missing: authorization.

use ottla_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse};

use crate::{BrokerContext, Call};

/// Passes the request to the coordinator.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    broker.transactions.list_transactions(call, request).await
}
