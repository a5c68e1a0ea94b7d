//! DescribeTransactions, version 0 (KIP-664).
//!
//! Errors, each transactional id its own: INVALID_REQUEST, TRANSACTIONAL_ID_NOT_FOUND.

use bytestring::ByteString;
use ottla_protocol::messages::describe_transactions_response::{
    TopicData, TransactionState as DescribedTransaction,
};

use crate::transaction::{
    TransactionCoordinatorShard, TransactionError, TransactionMetadata, TransactionState,
};

impl TransactionCoordinatorShard {
    /// What one transactional id is doing. Topics that the asker may not see are the caller's to leave out.
    pub fn describe_transaction(&self, transactional_id: &ByteString) -> DescribedTransaction {
        let found = match self.transaction(transactional_id) {
            _ if transactional_id.is_empty() => Err(TransactionError::InvalidRequest),
            Some(metadata) if metadata.state != TransactionState::Dead => Ok(metadata),
            Some(_) | None => Err(TransactionError::TransactionalIdNotFound),
        };
        match found {
            Ok(metadata) => described(metadata),
            Err(error) => DescribedTransaction {
                transactional_id: transactional_id.clone(),
                error_code: error.code().code(),
                ..Default::default()
            },
        }
    }
}

fn described(metadata: &TransactionMetadata) -> DescribedTransaction {
    let topic = |(topic, partitions): (&ByteString, Vec<i32>)| TopicData {
        topic: topic.clone(),
        partitions,
        ..Default::default()
    };
    DescribedTransaction {
        transactional_id: metadata.transactional_id.clone(),
        transaction_state: ByteString::from_static(metadata.state.name()),
        transaction_timeout_ms: metadata.timeout_ms,
        transaction_start_time_ms: metadata.start_timestamp_ms,
        producer_id: metadata.producer_id,
        producer_epoch: metadata.producer_epoch,
        topics: metadata.partitions.topics().map(topic).collect(),
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "describe_transactions_test.rs"]
mod tests;
