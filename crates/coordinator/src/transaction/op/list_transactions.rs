//! ListTransactions, versions 0 to 2: filters by state and producer id (KIP-664), duration (KIP-994) and
//! transactional id (KIP-1152).
//!
//! Errors, all of them the caller's: COORDINATOR_LOAD_IN_PROGRESS while any shard loads,
//! INVALID_REGULAR_EXPRESSION.

use bytestring::ByteString;
use ottla_protocol::messages::ListTransactionsRequest;
use ottla_protocol::messages::list_transactions_response::TransactionState as ListedTransaction;

use crate::transaction::{TransactionCoordinatorShard, TransactionMetadata, TransactionState};

impl TransactionCoordinatorShard {
    /// The transactions of this shard that pass the request's filters. `is_match` is the request's
    /// pattern, which must match a transactional id from its begin to its end.
    pub fn list_transactions(
        &self,
        now_ms: i64,
        request: &ListTransactionsRequest,
        is_match: Option<&dyn Fn(&str) -> bool>,
    ) -> Vec<ListedTransaction> {
        let named = |name: &ByteString| TransactionState::from_name(name);
        let states: Vec<_> = request.state_filters.iter().filter_map(named).collect();
        let passes = |metadata: &&TransactionMetadata| {
            let age_ms = now_ms.saturating_sub(metadata.start_timestamp_ms);
            metadata.state != TransactionState::Dead
                && (request.producer_id_filters.is_empty()
                    || request.producer_id_filters.contains(&metadata.producer_id))
                && (request.state_filters.is_empty() || states.contains(&metadata.state))
                && (request.duration_filter < 0 || age_ms > request.duration_filter)
                && is_match.is_none_or(|is_match| is_match(&metadata.transactional_id))
        };
        self.transactions().filter(passes).map(listed).collect()
    }
}

/// The filters of a request that name no state.
pub fn unknown_state_filters(request: &ListTransactionsRequest) -> Vec<ByteString> {
    let is_unknown = |name: &&ByteString| TransactionState::from_name(name).is_none();
    request.state_filters.iter().filter(is_unknown).cloned().collect()
}

fn listed(metadata: &TransactionMetadata) -> ListedTransaction {
    ListedTransaction {
        transactional_id: metadata.transactional_id.clone(),
        producer_id: metadata.producer_id,
        transaction_state: ByteString::from_static(metadata.state.name()),
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "list_transactions_test.rs"]
mod tests;
