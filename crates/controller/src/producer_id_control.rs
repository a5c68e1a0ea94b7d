//! Blocks of producer ids (KIP-730).

use ottla_common::ErrorCode;
use ottla_metadata::ApiMessageAndVersion;
use ottla_protocol::messages::allocate_producer_ids_request::AllocateProducerIdsRequest;
use ottla_protocol::messages::allocate_producer_ids_response::AllocateProducerIdsResponse;
use ottla_protocol::records::metadata::ProducerIdsRecord;

use crate::quorum_controller::QuorumController;
use crate::result::{ApiError, ControllerResult};

/// How many ids a broker gets at once.
pub const PRODUCER_ID_BLOCK_SIZE: i32 = 1_000;

impl QuorumController {
    /// Decides an AllocateProducerIds request: the broker gets the next block.
    pub fn allocate_producer_ids(
        &self,
        request: &AllocateProducerIdsRequest,
    ) -> Result<ControllerResult<AllocateProducerIdsResponse>, ApiError> {
        self.check_broker_epoch(request.broker_id, request.broker_epoch)?;
        let producer_id_start = self.image().producer_ids.next_producer_id.max(0);
        let Some(next_producer_id) = producer_id_start.checked_add(i64::from(PRODUCER_ID_BLOCK_SIZE)) else {
            let message = "Exhausted all producerIds as the next block's end producerId has exceeded the \
                           int64 type limit";
            return Err(ApiError::new(ErrorCode::UnknownServerError, message));
        };
        let record = ProducerIdsRecord {
            broker_id: request.broker_id,
            broker_epoch: request.broker_epoch,
            next_producer_id,
            ..Default::default()
        };
        let response = AllocateProducerIdsResponse {
            producer_id_start,
            producer_id_len: PRODUCER_ID_BLOCK_SIZE,
            ..Default::default()
        };
        Ok(ControllerResult::of(vec![ApiMessageAndVersion::new(record, 0)], response))
    }
}
