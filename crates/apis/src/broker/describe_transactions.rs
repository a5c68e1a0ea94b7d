//! DescribeTransactions (65), version 0: what transactional ids are doing (KIP-664).
//!
//! Errors, the transaction coordinator's, each transactional id its own: INVALID_REQUEST, NOT_COORDINATOR,
//! COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS, TRANSACTIONAL_ID_NOT_FOUND.
//! Missing: authorization.

use ottla_protocol::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse};

use crate::{BrokerContext, Call};

/// Passes the request to the coordinator.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    broker.transactions.describe_transactions(call, request).await
}
