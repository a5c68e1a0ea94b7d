//! Asking transaction coordinators about partitions, before records of a transaction are appended
//! (KIP-890).
//!
//! The first record of a transaction that reaches a partition must be known to the transaction's
//! coordinator, or nobody would ever write a marker behind it. So the leader asks: whether the partition
//! is part of the transaction, or, for clients that leave that to it, to make it part. Questions to one
//! node are gathered while another request to it is under way.
//!
//! A machine without hands: [`AddPartitionsToTxnManager`] says what to send, and takes the answers.

use std::collections::BTreeMap;

use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_protocol::messages::add_partitions_to_txn_response::AddPartitionsToTxnResult;
use ottla_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

/// What the client that sent the records can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionSupportedOperation {
    /// It names its partitions by itself, and knows none of the newer errors.
    DefaultError,
    /// It knows TRANSACTION_ABORTABLE.
    GenericErrorSupported,
    /// It leaves it to the leader to add the partition, and its epoch is bumped at every end.
    AddPartition,
}

impl TransactionSupportedOperation {
    /// What a Produce request of this version tells of its client.
    pub const fn of_produce(api_version: i16) -> Self {
        match api_version {
            12.. => Self::AddPartition,
            11 => Self::GenericErrorSupported,
            _ => Self::DefaultError,
        }
    }

    /// What a TxnOffsetCommit request of this version tells of its client.
    pub const fn of_txn_offset_commit(api_version: i16) -> Self {
        match api_version {
            5.. => Self::AddPartition,
            4 => Self::GenericErrorSupported,
            _ => Self::DefaultError,
        }
    }

    /// Whether the epoch is bumped at the end of every transaction.
    pub const fn supports_epoch_bump(self) -> bool {
        matches!(self, Self::AddPartition)
    }

    /// What is told of a partition when the coordinator says this of it.
    fn error_of(self, error: ErrorCode) -> ErrorCode {
        match error {
            // Producers expect this one, which lets them abort and go on.
            ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
            ErrorCode::TransactionAbortable if self == Self::DefaultError => ErrorCode::InvalidTxnState,
            other => other,
        }
    }
}

/// A question about a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionToVerify {
    /// The transactional id.
    pub transactional_id: String,
    /// The producer of the records.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The partitions that the records are for; not none.
    pub partitions: Vec<TopicPartition>,
    /// What the client can do.
    pub operation: TransactionSupportedOperation,
}

impl TransactionToVerify {
    fn all(&self, error: ErrorCode) -> BTreeMap<TopicPartition, ErrorCode> {
        self.partitions.iter().map(|partition| (partition.clone(), error)).collect()
    }

    fn of_request(&self) -> AddPartitionsToTxnTransaction {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for partition in &self.partitions {
            topics.entry(&partition.topic).or_default().push(partition.partition);
        }
        let topic = |(name, partitions): (&str, Vec<i32>)| AddPartitionsToTxnTopic {
            name: name.into(),
            partitions,
            ..Default::default()
        };
        AddPartitionsToTxnTransaction {
            transactional_id: self.transactional_id.as_str().into(),
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            verify_only: !self.operation.supports_epoch_bump(),
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        }
    }
}

/// What became of a question: the partitions that nothing may be appended to, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified<T> {
    /// Who asked.
    pub asker: T,
    /// The partitions that were refused.
    pub errors: BTreeMap<TopicPartition, ErrorCode>,
}

/// How a request to a coordinator ended.
#[derive(Debug)]
pub enum VerificationResponse<'a> {
    /// With this answer.
    Answered(&'a AddPartitionsToTxnResponse),
    /// The node does not speak a version with verification: what it cannot confirm is let through.
    UnsupportedVersion,
    /// The node does not believe that this broker is who it is.
    AuthenticationFailed(ErrorCode),
    /// Without an answer: the connection broke, or it took too long.
    Disconnected,
}

#[derive(Debug)]
struct Question<T> {
    transaction: TransactionToVerify,
    asker: T,
}

/// Questions by transactional id.
type Questions<T> = BTreeMap<String, Question<T>>;

/// The questions of a broker to transaction coordinators, by node. `T` is who is to be told.
#[derive(Debug)]
pub struct AddPartitionsToTxnManager<T> {
    waiting: BTreeMap<i32, Questions<T>>,
    in_flight: BTreeMap<i32, Questions<T>>,
}

impl<T> Default for AddPartitionsToTxnManager<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), in_flight: BTreeMap::new() }
    }
}

impl<T> AddPartitionsToTxnManager<T> {
    /// Asks the transaction's coordinator, if it is known. Gives what can be told at once: there is one
    /// question for each transactional id, and the producer with the newer epoch has it.
    pub fn add_or_verify_transaction(
        &mut self,
        coordinator: Option<i32>,
        transaction: TransactionToVerify,
        asker: T,
    ) -> Option<Verified<T>> {
        let Some(node_id) = coordinator else {
            let errors = transaction.all(ErrorCode::CoordinatorNotAvailable);
            return Some(Verified { asker, errors });
        };
        let questions = self.waiting.entry(node_id).or_default();
        let before = questions.get(&transaction.transactional_id).map(|q| q.transaction.producer_epoch);
        if before.is_some_and(|epoch| epoch > transaction.producer_epoch) {
            let errors = transaction.all(ErrorCode::InvalidProducerEpoch);
            return Some(Verified { asker, errors });
        }
        let is_retry = before == Some(transaction.producer_epoch);
        let transactional_id = transaction.transactional_id.clone();
        let replaced = questions.insert(transactional_id, Question { transaction, asker })?;
        // The same epoch is most likely the same records again, whose producer gave up on the first.
        let error = if is_retry { ErrorCode::NetworkException } else { ErrorCode::InvalidProducerEpoch };
        Some(Verified { errors: replaced.transaction.all(error), asker: replaced.asker })
    }

    /// What is to be sent now, and to whom: at most one request to a node is under way.
    pub fn next_requests(&mut self) -> Vec<(i32, AddPartitionsToTxnRequest)> {
        let idle = |node_id: &i32| !self.in_flight.contains_key(node_id);
        let node_ids: Vec<i32> = self.waiting.keys().copied().filter(idle).collect();
        let mut requests = Vec::new();
        for node_id in node_ids {
            let Some(questions) = self.waiting.remove(&node_id) else { continue };
            let transactions = questions.values().map(|question| question.transaction.of_request()).collect();
            requests.push((node_id, AddPartitionsToTxnRequest { transactions, ..Default::default() }));
            let before = self.in_flight.insert(node_id, questions);
            assert!(before.is_none(), "TXN-VERIFICATION-ONE-REQUEST: node {node_id}");
        }
        requests
    }

    /// The request to a node is over. Everybody who asked by it is told.
    pub fn on_response(&mut self, node_id: i32, response: &VerificationResponse<'_>) -> Vec<Verified<T>> {
        let Some(questions) = self.in_flight.remove(&node_id) else { return Vec::new() };
        let refusal = match response {
            VerificationResponse::UnsupportedVersion => ErrorCode::None,
            VerificationResponse::AuthenticationFailed(error) => *error,
            VerificationResponse::Disconnected => ErrorCode::NetworkException,
            VerificationResponse::Answered(answer) => match ErrorCode::from_code(answer.error_code) {
                ErrorCode::None => return answered(questions, &answer.results_by_transaction),
                // That this broker may not ask is nothing that a producer could do anything about.
                ErrorCode::ClusterAuthorizationFailed => ErrorCode::InvalidTxnState,
                other => other,
            },
        };
        let tell = |question: Question<T>| Verified {
            asker: question.asker,
            errors: match refusal {
                ErrorCode::None => BTreeMap::new(),
                error => question.transaction.all(error),
            },
        };
        questions.into_values().map(tell).collect()
    }
}

fn answered<T>(questions: Questions<T>, results: &[AddPartitionsToTxnResult]) -> Vec<Verified<T>> {
    let tell = |question: Question<T>| {
        let transaction = &question.transaction;
        let result = results.iter().find(|r| r.transactional_id[..] == transaction.transactional_id[..]);
        let errors = match result {
            Some(result) => refused(transaction.operation, result),
            // An answer that leaves out a transaction confirms nothing.
            None => transaction.all(ErrorCode::NetworkException),
        };
        Verified { asker: question.asker, errors }
    };
    questions.into_values().map(tell).collect()
}

fn refused(
    operation: TransactionSupportedOperation,
    result: &AddPartitionsToTxnResult,
) -> BTreeMap<TopicPartition, ErrorCode> {
    let mut errors = BTreeMap::new();
    for topic in &result.topic_results {
        for partition in &topic.results_by_partition {
            let error = ErrorCode::from_code(partition.partition_error_code);
            if error != ErrorCode::None {
                let name: &str = &topic.name;
                let key = TopicPartition::new(name, partition.partition_index);
                errors.insert(key, operation.error_of(error));
            }
        }
    }
    errors
}

/// What a producer is told instead, and that only the code is for it: older clients do not expect these
/// errors and would not try again. NOT_ENOUGH_REPLICAS lets them, without new metadata.
pub fn produce_error(
    operation: TransactionSupportedOperation,
    error: ErrorCode,
) -> (ErrorCode, Option<String>) {
    let unable = || {
        let name = error.name();
        Some(format!(
            "Unable to verify the partition has been added to the transaction. Underlying error: {name}"
        ))
    };
    match error {
        ErrorCode::InvalidTxnState => (error, Some("Partition was not added to the transaction".to_owned())),
        ErrorCode::NetworkException
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => (ErrorCode::NotEnoughReplicas, unable()),
        ErrorCode::ConcurrentTransactions if !operation.supports_epoch_bump() => {
            (ErrorCode::NotEnoughReplicas, unable())
        }
        other => (other, None),
    }
}

/// When to ask again by itself: with a bump of the epoch at every end, the first records of a transaction
/// often come while the one before is being completed, and to send them all again would cost more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddPartitionsToTxnConfig {
    /// `add.partitions.to.txn.retry.backoff.ms`
    pub retry_backoff_ms: i64,
    /// `add.partitions.to.txn.retry.backoff.max.ms`
    pub retry_backoff_max_ms: i64,
    /// `request.timeout.ms`
    pub request_timeout_ms: i64,
}

impl Default for AddPartitionsToTxnConfig {
    fn default() -> Self {
        Self { retry_backoff_ms: 20, retry_backoff_max_ms: 100, request_timeout_ms: 30_000 }
    }
}

impl AddPartitionsToTxnConfig {
    /// How long to wait before the same question is asked again; `None` if its answer stands.
    /// `elapsed_ms` is counted from the first time.
    pub fn retry_after_ms(
        &self,
        operation: TransactionSupportedOperation,
        elapsed_ms: i64,
        errors: &BTreeMap<TopicPartition, ErrorCode>,
    ) -> Option<i64> {
        let patience_ms = self.retry_backoff_max_ms.min(self.request_timeout_ms);
        let is_busy = errors.values().any(|error| *error == ErrorCode::ConcurrentTransactions);
        let again = operation.supports_epoch_bump() && is_busy && elapsed_ms < patience_ms;
        again.then_some(self.retry_backoff_ms)
    }
}

#[cfg(test)]
#[path = "transaction_verification_test.rs"]
mod tests;
