//! InitProducerId (22), versions 0-5, and 6 where unstable versions are enabled: an id for a producer that wants no
//! duplicates (KIP-98, KIP-360), or id and epoch of a transactional producer (KIP-890, KIP-939).
//!
//! Errors: INVALID_REQUEST, those of the controller that hands out blocks of ids, and for transactional producers
//! those of the transaction coordinator: NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS,
//! CONCURRENT_TRANSACTIONS, PRODUCER_FENCED (INVALID_PRODUCER_EPOCH before version 4), INVALID_TRANSACTION_TIMEOUT,
//! TRANSACTIONAL_ID_AUTHORIZATION_FAILED (two-phase commit is switched off), UNSUPPORTED_VERSION.
//! Missing: authorization.

use ottla_common::ErrorCode;
use ottla_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::{BrokerContext, Call};

/// No producer, no epoch.
const NONE: i64 = -1;

/// Gives an idempotent producer a new id in epoch 0; a transactional one is its coordinator's business.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    if !is_whole(&request) {
        return failed(ErrorCode::InvalidRequest);
    }
    if request.transactional_id.is_some() {
        return broker.transactions.init_producer_id(call, request).await;
    }
    match broker.producer_ids.generate().await {
        Ok(producer_id) => InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() },
        Err(error) => failed(error),
    }
}

/// Whoever says which producer it believes to be must say both, id and epoch.
fn is_whole(request: &InitProducerIdRequest) -> bool {
    (request.producer_id == NONE) == (i64::from(request.producer_epoch) == NONE)
}

fn failed(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: error.code(),
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_producer_is_none() {
        for (producer_id, producer_epoch, whole) in
            [(-1, -1, true), (7, 0, true), (7, -1, false), (-1, 0, false)]
        {
            let request = InitProducerIdRequest { producer_id, producer_epoch, ..Default::default() };
            assert_eq!(is_whole(&request), whole);
        }
    }
}
