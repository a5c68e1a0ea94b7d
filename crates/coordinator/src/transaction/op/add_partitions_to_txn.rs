//! AddPartitionsToTxn, versions 0 to 5. Up to version 3 a producer names the partitions it is going to
//! write to. From version 4 on it is brokers who ask, for several transactions at once: to verify that
//! a partition is part of a transaction, or to add it on behalf of the producer (KIP-890).
//!
//! Errors, of each partition: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED
//! (INVALID_PRODUCER_EPOCH before version 2), CONCURRENT_TRANSACTIONS, TRANSACTION_ABORTABLE (when
//! verifying), UNSUPPORTED_VERSION (the cluster's `transaction.version` is older than the request).
//! Which topics there are, and who may write to them, is the caller's to know.

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::AddPartitionsToTxnRequest;
use ottla_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTransaction;
use ottla_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};

use crate::transaction::shard::answer;
use crate::transaction::{
    TransactionCoordinatorShard, TransactionDecision, TransactionError, TransactionMetadata,
    TransactionPartitions, TransactionState, TransactionVersion,
};

const FIRST_WITH_PRODUCER_FENCED: i16 = 2;

/// Who writes: the transactional id and its producer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Producer<'a> {
    pub(super) transactional_id: &'a ByteString,
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
}

impl TransactionCoordinatorShard {
    /// Adds partitions to one of the request's transactions, or verifies that they are part of it.
    pub fn add_partitions_to_transaction(
        &self,
        now_ms: i64,
        api_version: i16,
        transaction: &AddPartitionsToTxnTransaction,
    ) -> TransactionDecision<AddPartitionsToTxnResult> {
        let producer = Producer {
            transactional_id: &transaction.transactional_id,
            producer_id: transaction.producer_id,
            epoch: transaction.producer_epoch,
        };
        let code = |error: TransactionError| error.code_for(api_version, FIRST_WITH_PRODUCER_FENCED);
        if transaction.verify_only {
            return TransactionDecision::of(match self.validate_producer(producer) {
                Err(error) => result_for_transaction(transaction, code(error)),
                Ok(metadata) => verify(transaction, metadata),
            });
        }
        let partitions = partitions_of(transaction);
        let version = TransactionVersion::of_add_partitions_to_txn(api_version);
        match self.add_partitions(now_ms, producer, &partitions, version) {
            Err(error) => TransactionDecision::of(result_for_transaction(transaction, code(error))),
            Ok(added) => answer(added, result_for_transaction(transaction, ErrorCode::None)),
        }
    }

    pub(super) fn add_partitions(
        &self,
        now_ms: i64,
        producer: Producer<'_>,
        partitions: &TransactionPartitions,
        version: TransactionVersion,
    ) -> Result<TransactionDecision<()>, TransactionError> {
        self.validate_version(version)?;
        let metadata = self.producer_transaction(producer.transactional_id)?;
        // First of all: with the epoch bumped at the end of each transaction, the producer may know
        // already the id and the epoch that are being written.
        if metadata.pending_state.is_some() {
            return Err(TransactionError::ConcurrentTransactions);
        }
        let metadata = self.validate_producer(producer)?;
        match metadata.state {
            TransactionState::Ongoing if metadata.partitions.contains_all(partitions) => {
                Ok(TransactionDecision::of(()))
            }
            TransactionState::Dead | TransactionState::PrepareEpochFence => {
                Err(TransactionError::IllegalState)
            }
            _ => {
                let next = metadata.transition_to_ongoing(now_ms, partitions, version)?;
                Ok(self.begin_move(metadata, next, false, ()))
            }
        }
    }

    /// The transaction of the producer, if it has the current epoch and the end is not decided. Whether
    /// a move is under way does not matter for a verification: what is not committed is not seen.
    fn validate_producer(&self, producer: Producer<'_>) -> Result<&TransactionMetadata, TransactionError> {
        let metadata = self.producer_transaction(producer.transactional_id)?;
        if metadata.producer_id != producer.producer_id {
            return Err(TransactionError::InvalidProducerIdMapping);
        }
        if metadata.producer_epoch != producer.epoch {
            return Err(TransactionError::ProducerFenced);
        }
        if metadata.state.is_prepared() {
            return Err(TransactionError::ConcurrentTransactions);
        }
        Ok(metadata)
    }
}

/// A client's request as brokers would have put it, and whether it was one.
pub fn normalize_request(api_version: i16, request: &AddPartitionsToTxnRequest) -> AddPartitionsToTxnRequest {
    if TransactionVersion::of_add_partitions_to_txn(api_version).supports_epoch_bump() {
        return request.clone();
    }
    AddPartitionsToTxnRequest {
        transactions: vec![AddPartitionsToTxnTransaction {
            transactional_id: request.v3_and_below_transactional_id.clone(),
            producer_id: request.v3_and_below_producer_id,
            producer_epoch: request.v3_and_below_producer_epoch,
            verify_only: false,
            topics: request.v3_and_below_topics.clone(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The same answer for every partition of a transaction.
pub fn result_for_transaction(
    transaction: &AddPartitionsToTxnTransaction,
    error: ErrorCode,
) -> AddPartitionsToTxnResult {
    result(transaction, |_, _| error)
}

fn verify(
    transaction: &AddPartitionsToTxnTransaction,
    metadata: &TransactionMetadata,
) -> AddPartitionsToTxnResult {
    result(transaction, |topic, partition| match metadata.partitions.contains(topic, partition) {
        true => ErrorCode::None,
        false => TransactionError::TransactionAbortable.code(),
    })
}

fn result(
    transaction: &AddPartitionsToTxnTransaction,
    error: impl Fn(&ByteString, i32) -> ErrorCode,
) -> AddPartitionsToTxnResult {
    let mut result = AddPartitionsToTxnResult {
        transactional_id: transaction.transactional_id.clone(),
        ..Default::default()
    };
    for (topic, partitions) in partitions_of(transaction).topics() {
        let of_partition = |partition_index: i32| AddPartitionsToTxnPartitionResult {
            partition_index,
            partition_error_code: error(topic, partition_index).code(),
            ..Default::default()
        };
        result.topic_results.push(AddPartitionsToTxnTopicResult {
            name: topic.clone(),
            results_by_partition: partitions.into_iter().map(of_partition).collect(),
            ..Default::default()
        });
    }
    result
}

fn partitions_of(transaction: &AddPartitionsToTxnTransaction) -> TransactionPartitions {
    let mut partitions = TransactionPartitions::default();
    for topic in &transaction.topics {
        for partition in &topic.partitions {
            partitions.insert(&topic.name, *partition);
        }
    }
    partitions
}

#[cfg(test)]
#[path = "add_partitions_to_txn_test.rs"]
mod tests;
