//! Offsets that are committed in transactions, and the ends of those transactions.

use ottla_common::internal_topics::GROUP_METADATA_TOPIC;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_coordinator::group::{
    GroupCoordinatorShard, GroupError, GroupResult, RequestContext, txn_offset_commit_error,
    txn_offset_commit_error_response,
};
use ottla_coordinator::runtime::{EndTransaction, TransactionalProducer};
use ottla_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use ottla_replica::TransactionalWrite;
use ottla_replica::transaction_verification::TransactionSupportedOperation;

use super::GroupCoordinatorService;
use crate::coordinator::runtime::TransactionProof;

/// The coordinator writes outside of the producer's sequence.
const NO_SEQUENCE: i32 = -1;
/// Before this version clients fail for good when a coordinator is loading (KAFKA-7296).
const LOAD_IN_PROGRESS_MIN_VERSION: i16 = 2;

impl GroupCoordinatorService {
    /// Notes how far somebody has come, within a transaction. Topics must have their names and ids.
    pub async fn txn_offset_commit(
        &self,
        context: RequestContext,
        request: TxnOffsetCommitRequest,
    ) -> TxnOffsetCommitResponse {
        let version = context.api_version;
        let asked = request.clone();
        self.commit_in_transaction(context, request).await.unwrap_or_else(|error| {
            txn_offset_commit_error_response(&asked, in_version(version, txn_offset_commit_error(error)))
        })
    }

    async fn commit_in_transaction(
        &self,
        context: RequestContext,
        request: TxnOffsetCommitRequest,
    ) -> Result<TxnOffsetCommitResponse, ErrorCode> {
        let partition = self.partition_of(&request.group_id)?;
        if request.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let write = TransactionalWrite {
            transactional_id: request.transactional_id.to_string(),
            producer_id: request.producer_id,
            producer_epoch: request.producer_epoch,
            operation: TransactionSupportedOperation::of_txn_offset_commit(context.api_version),
            partitions: vec![(TopicPartition::new(GROUP_METADATA_TOPIC, partition), NO_SEQUENCE)],
        };
        let guard = self.partners.transactions.verify(write).await?;
        let proof = TransactionProof { guard };
        let producer = TransactionalProducer {
            producer_id: request.producer_id,
            producer_epoch: request.producer_epoch,
        };
        let decide = move |now_ms: i64, shard: &GroupCoordinatorShard| {
            let decided = shard.commit_transactional_offset(now_ms, &context, &request);
            decided.map(|result| GroupResult { producer: Some(producer), ..result }).map_err(GroupError::code)
        };
        self.runtime().write_with_proof(partition, proof, decide).await
    }

    /// Ends a transaction in which offsets were committed in this partition; answers once that is committed.
    pub async fn complete_transaction(&self, partition: i32, end: EndTransaction) -> Result<(), ErrorCode> {
        if !self.runtime().is_active() {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        self.runtime().complete_transaction(partition, end).await
    }
}

fn in_version(version: i16, error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::CoordinatorLoadInProgress if version < LOAD_IN_PROGRESS_MIN_VERSION => {
            ErrorCode::CoordinatorNotAvailable
        }
        error => error,
    }
}
