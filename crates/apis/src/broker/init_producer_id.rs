//! InitProducerId (22), versions 0-5: an id for a producer that wants no duplicates (KIP-98, KIP-360).
//!
//! Errors: INVALID_REQUEST, and those of the controller that hands out blocks of ids.
//! Missing: transactional producers.

use ottla_common::ErrorCode;
use ottla_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::{BrokerContext, Call};

/// Gives an idempotent producer a new id in epoch 0.
pub async fn handle(
    broker: &BrokerContext,
    _: &Call,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let failed = |error: ErrorCode| InitProducerIdResponse {
        error_code: error.code(),
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    if request.transactional_id.is_some() {
        return failed(ErrorCode::InvalidRequest);
    }
    match broker.producer_ids.generate().await {
        Ok(producer_id) => InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() },
        Err(error) => failed(error),
    }
}
