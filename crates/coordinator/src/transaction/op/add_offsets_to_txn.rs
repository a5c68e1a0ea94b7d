//! AddOffsetsToTxn, versions 0 to 4: a producer is going to commit offsets within its transaction. From
//! `transaction.version` 2 on TxnOffsetCommit says so by itself (KIP-890).
//!
//! Errors: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED (INVALID_PRODUCER_EPOCH before
//! version 2), CONCURRENT_TRANSACTIONS.

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_common::internal_topics::GROUP_METADATA_TOPIC;
use ottla_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use super::add_partitions_to_txn::Producer;
use crate::transaction::shard::answer;
use crate::transaction::{TransactionCoordinatorShard, TransactionDecision, TransactionVersion};

const FIRST_WITH_PRODUCER_FENCED: i16 = 2;

impl TransactionCoordinatorShard {
    /// Adds the partition of `__consumer_offsets` that the request's group lives in.
    pub fn add_offsets_to_transaction(
        &self,
        now_ms: i64,
        api_version: i16,
        request: &AddOffsetsToTxnRequest,
        group_partition: i32,
    ) -> TransactionDecision<AddOffsetsToTxnResponse> {
        let producer = Producer {
            transactional_id: &request.transactional_id,
            producer_id: request.producer_id,
            epoch: request.producer_epoch,
        };
        let offsets = (ByteString::from_static(GROUP_METADATA_TOPIC), group_partition);
        let partitions = [offsets].into_iter().collect();
        match self.add_partitions(now_ms, producer, &partitions, TransactionVersion::V0) {
            Ok(added) => answer(added, AddOffsetsToTxnResponse::default()),
            Err(error) => {
                let code = error.code_for(api_version, FIRST_WITH_PRODUCER_FENCED);
                TransactionDecision::of(add_offsets_error(code))
            }
        }
    }
}

/// The answer that only says what went wrong.
pub fn add_offsets_error(error: ErrorCode) -> AddOffsetsToTxnResponse {
    AddOffsetsToTxnResponse { error_code: error.code(), ..Default::default() }
}

#[cfg(test)]
#[path = "add_offsets_to_txn_test.rs"]
mod tests;
