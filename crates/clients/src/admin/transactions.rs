//! Transactions as an operator sees them (KIP-664): who runs one, since when, where; and how to end one
//! that nobody will end.

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::describe_transactions_response::TransactionState;
use ottla_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use ottla_protocol::messages::{
    DescribeTransactionsRequest, InitProducerIdRequest, InitProducerIdResponse, ListTransactionsRequest,
    WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};

use super::{Admin, Outcomes};
use crate::partitions::tp;
use crate::{ClientError, CoordinatorType};

/// Which transactions are wanted. What is left at its default does not choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// In these states.
    pub states: Vec<String>,
    /// Of these producers.
    pub producer_ids: Vec<i64>,
    /// Running for longer than this (KIP-994); all for a negative one.
    pub duration_ms: Option<i64>,
    /// Whose transactional id this pattern matches (KIP-1152).
    pub transactional_id_pattern: Option<String>,
}

/// A transaction as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionListing {
    /// Who runs it.
    pub transactional_id: ByteString,
    /// The id its producer has at the moment.
    pub producer_id: i64,
    /// `Ongoing`, `PrepareCommit`…
    pub state: &'static str,
}

/// The state of a transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionDescription {
    /// The broker that coordinates it.
    pub coordinator: i32,
    /// `Ongoing`, `PrepareCommit`…
    pub state: &'static str,
    /// The id its producer has at the moment.
    pub producer_id: i64,
    /// The epoch of that id.
    pub producer_epoch: i16,
    /// After how long the coordinator ends it.
    pub timeout_ms: i32,
    /// Since when it runs, if it does.
    pub start_time_ms: Option<i64>,
    /// The partitions it has written to and that have no marker yet.
    pub partitions: BTreeSet<TopicPartition>,
}

/// A transaction on one partition, to be ended there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbortTransactionSpec {
    /// Where.
    pub partition: TopicPartition,
    /// Whose.
    pub producer_id: i64,
    /// The epoch that wrote it.
    pub producer_epoch: i16,
    /// The epoch of the coordinator that wrote the last marker; 0 before the first.
    pub coordinator_epoch: i32,
}

const STATES: &[&str] = &[
    "Ongoing",
    "PrepareAbort",
    "PrepareCommit",
    "CompleteAbort",
    "CompleteCommit",
    "Empty",
    "PrepareEpochFence",
];

/// A state's name; states of the future are unknown.
fn state_name(text: &str) -> &'static str {
    STATES.iter().find(|state| **state == text).copied().unwrap_or("Unknown")
}

impl Admin {
    /// The transactions of the cluster, by the broker that coordinates them.
    pub async fn list_transactions(
        &self,
        wanted: &TransactionFilter,
    ) -> Result<BTreeMap<i32, Vec<TransactionListing>>, ClientError> {
        let metadata = self.client.retrying("Metadata", || self.client.refresh_brokers()).await?;
        let pattern = wanted.transactional_id_pattern.as_deref().filter(|pattern| !pattern.is_empty());
        let request = ListTransactionsRequest {
            state_filters: wanted.states.iter().map(|state| state.as_str().into()).collect(),
            producer_id_filters: wanted.producer_ids.clone(),
            duration_filter: wanted.duration_ms.unwrap_or(-1),
            transactional_id_pattern: pattern.map(Into::into),
            ..ListTransactionsRequest::default()
        };
        let mut listed = BTreeMap::new();
        for node in metadata.brokers.keys() {
            let of_broker =
                self.client.retrying("ListTransactions", || self.transactions_at(*node, &request)).await?;
            listed.insert(*node, of_broker);
        }
        Ok(listed)
    }

    async fn transactions_at(
        &self,
        node: i32,
        request: &ListTransactionsRequest,
    ) -> Result<Vec<TransactionListing>, ClientError> {
        let response = self.client.send_to(node, request).await?;
        let message = match ErrorCode::from_code(response.error_code) {
            ErrorCode::CoordinatorNotAvailable => "failed because the coordinator is shutting down",
            _ => "failed with an unexpected exception",
        };
        let message = format!("ListTransactions request sent to broker {node} {message}");
        ClientError::check(format!("transactions of broker {node}"), response.error_code, Some(&message))?;
        let listing = response.transaction_states.into_iter().map(|listed| TransactionListing {
            transactional_id: listed.transactional_id,
            producer_id: listed.producer_id,
            state: state_name(&listed.transaction_state),
        });
        Ok(listing.collect())
    }

    /// The states of transactional ids.
    pub async fn describe_transactions(
        &self,
        ids: &[&str],
    ) -> Result<Outcomes<ByteString, TransactionDescription>, ClientError> {
        let mut outcomes = Vec::new();
        for id in ids {
            outcomes.push(((*id).into(), self.describe_transaction(id).await));
        }
        Ok(outcomes)
    }

    /// The state of a transactional id.
    pub async fn describe_transaction(&self, id: &str) -> Result<TransactionDescription, ClientError> {
        let request = DescribeTransactionsRequest {
            transactional_ids: vec![id.into()],
            ..DescribeTransactionsRequest::default()
        };
        self.at_coordinator_of(CoordinatorType::Transaction, id, &request, |coordinator, response| {
            let state = response.transaction_states.into_iter().find(|s| *s.transactional_id == *id);
            let state = state.ok_or_else(|| describe_refused(id, ErrorCode::UnknownServerError))?;
            match ErrorCode::from_code(state.error_code) {
                ErrorCode::None => Ok(TransactionDescription::read(state, coordinator)),
                code => Err(describe_refused(id, code)),
            }
        })
        .await
    }

    /// Writes an abort marker to the leader of one partition. The coordinator is not asked: this is for a
    /// transaction that it knows nothing of.
    pub async fn abort_transaction(&self, spec: &AbortTransactionSpec) -> Result<(), ClientError> {
        let topic = WritableTxnMarkerTopic {
            name: (&*spec.partition.topic).into(),
            partition_indexes: vec![spec.partition.partition],
            ..Default::default()
        };
        let marker = WritableTxnMarker {
            producer_id: spec.producer_id,
            producer_epoch: spec.producer_epoch,
            transaction_result: false,
            topics: vec![topic],
            coordinator_epoch: spec.coordinator_epoch,
            ..WritableTxnMarker::default()
        };
        let request = WriteTxnMarkersRequest { markers: vec![marker], ..WriteTxnMarkersRequest::default() };
        self.client
            .retrying("WriteTxnMarkers", || async {
                let leaders = self.client.by_leader([(spec.partition.clone(), ())]).await?;
                let Some(leader) = leaders.keys().next() else {
                    return Err(ClientError::IllegalState(format!("{} has no leader", spec.partition)));
                };
                let outcome = spec.read(self.client.send_to(*leader, &request).await?);
                outcome.inspect_err(|error| {
                    if error.is_retriable() {
                        self.client.forget_topic(&spec.partition.topic);
                    }
                })
            })
            .await
    }

    /// Takes the epoch of each transactional id away from whoever has it, and answers the new one. An open
    /// transaction of an id is aborted.
    pub async fn fence_producers(
        &self,
        ids: &[&str],
    ) -> Result<Outcomes<ByteString, (i64, i16)>, ClientError> {
        let mut outcomes = Vec::new();
        for id in ids {
            outcomes.push(((*id).into(), self.fence_producer(id).await));
        }
        Ok(outcomes)
    }

    /// Aborts the open transaction of a transactional id, whoever runs it (KIP-939).
    pub async fn force_terminate_transaction(&self, id: &str) -> Result<(), ClientError> {
        self.fence_producer(id).await.map(drop)
    }

    async fn fence_producer(&self, id: &str) -> Result<(i64, i16), ClientError> {
        let request = InitProducerIdRequest {
            transactional_id: Some(id.into()),
            // How long the coordinator may take to write the new epoch.
            transaction_timeout_ms: self.timeout_ms(),
            ..InitProducerIdRequest::default()
        };
        let read = |_, response: InitProducerIdResponse| match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => Ok((response.producer_id, response.producer_epoch)),
            code => Err(fence_refused(id, code)),
        };
        self.at_coordinator_of(CoordinatorType::Transaction, id, &request, read).await
    }
}

fn describe_refused(id: &str, code: ErrorCode) -> ClientError {
    let reason = match code {
        ErrorCode::TransactionalIdAuthorizationFailed => "due to authorization failure",
        ErrorCode::TransactionalIdNotFound => "because the ID could not be found",
        _ => "due to unexpected error",
    };
    let message = format!("DescribeTransactions request for transactionalId `{id}` failed {reason}");
    ClientError::api(format!("transactional id {id}"), code, Some(&message))
}

fn fence_refused(id: &str, code: ErrorCode) -> ClientError {
    let reason = match code {
        ErrorCode::ClusterAuthorizationFailed => "cluster authorization failure",
        ErrorCode::TransactionalIdAuthorizationFailed => "transactional ID authorization failure",
        _ => "unexpected error",
    };
    let message = format!("InitProducerId request for transactionalId `{id}` failed due to {reason}");
    ClientError::api(format!("transactional id {id}"), code, Some(&message))
}

impl TransactionDescription {
    fn read(state: TransactionState, coordinator: i32) -> Self {
        let topics = state.topics.iter();
        Self {
            coordinator,
            state: state_name(&state.transaction_state),
            producer_id: state.producer_id,
            producer_epoch: state.producer_epoch,
            timeout_ms: state.transaction_timeout_ms,
            start_time_ms: (state.transaction_start_time_ms >= 0).then_some(state.transaction_start_time_ms),
            partitions: topics.flat_map(|t| t.partitions.iter().map(|p| tp(&t.topic, *p))).collect(),
        }
    }
}

impl std::fmt::Display for AbortTransactionSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { partition, producer_id, producer_epoch, coordinator_epoch } = self;
        write!(
            f,
            "AbortTransactionSpec(topicPartition={partition}, producerId={producer_id}, \
             producerEpoch={producer_epoch}, coordinatorEpoch={coordinator_epoch})"
        )
    }
}

impl AbortTransactionSpec {
    /// What became of the one marker.
    fn read(&self, response: WriteTxnMarkersResponse) -> Result<(), ClientError> {
        let mut markers =
            response.markers.into_iter().filter(|marker| marker.producer_id == self.producer_id);
        let topics = markers.next().map(|marker| marker.topics).unwrap_or_default();
        let topic = topics.into_iter().find(|topic| *topic.name == *self.partition.topic);
        let partitions = topic.map(|topic| topic.partitions).unwrap_or_default();
        let index = self.partition.partition;
        let Some(partition) = partitions.into_iter().find(|p| p.partition_index == index) else {
            let message =
                format!("WriteTxnMarkers response included unexpected entries (expected {})", self.partition);
            return Err(ClientError::IllegalState(message));
        };
        match ErrorCode::from_code(partition.error_code) {
            ErrorCode::None => Ok(()),
            code => Err(self.refused(code)),
        }
    }

    fn refused(&self, code: ErrorCode) -> ClientError {
        let reason = match code {
            ErrorCode::ClusterAuthorizationFailed => "due to cluster authorization error".to_owned(),
            ErrorCode::InvalidProducerEpoch => "due an invalid producer epoch".to_owned(),
            ErrorCode::TransactionCoordinatorFenced => format!(
                "since the provided coordinator epoch {} has been fenced by the active coordinator",
                self.coordinator_epoch
            ),
            code => format!("due to unexpected error: {code}"),
        };
        let message = format!("WriteTxnMarkers request with {self} failed {reason}");
        ClientError::api(self.partition.to_string(), code, Some(&message))
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::describe_transactions_response::TopicData;
    use ottla_protocol::messages::write_txn_markers_response::{
        WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    };

    use super::*;

    fn spec() -> AbortTransactionSpec {
        AbortTransactionSpec {
            partition: tp("t", 1),
            producer_id: 7,
            producer_epoch: 2,
            coordinator_epoch: 3,
        }
    }

    fn answer(code: ErrorCode) -> WriteTxnMarkersResponse {
        let partition = WritableTxnMarkerPartitionResult {
            partition_index: 1,
            error_code: code.code(),
            ..Default::default()
        };
        let topic = WritableTxnMarkerTopicResult {
            name: "t".into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let marker = WritableTxnMarkerResult { producer_id: 7, topics: vec![topic], ..Default::default() };
        WriteTxnMarkersResponse { markers: vec![marker], ..Default::default() }
    }

    #[test]
    fn refused_markers_say_why() {
        assert!(spec().read(answer(ErrorCode::None)).is_ok());
        let fenced = spec().read(answer(ErrorCode::TransactionCoordinatorFenced)).unwrap_err();
        assert_eq!(fenced.code(), Some(ErrorCode::TransactionCoordinatorFenced));
        let text = fenced.to_string();
        assert!(text.contains("coordinator epoch 3 has been fenced by the active coordinator"), "{text}");
        let stale = spec().read(answer(ErrorCode::InvalidProducerEpoch)).unwrap_err().to_string();
        assert!(
            stale.contains(
                "AbortTransactionSpec(topicPartition=t-1, producerId=7, producerEpoch=2, coordinatorEpoch=3)"
            ),
            "{stale}"
        );
        assert!(spec().read(answer(ErrorCode::NotLeaderOrFollower)).unwrap_err().is_retriable());
        assert!(spec().read(WriteTxnMarkersResponse::default()).is_err());
    }

    #[test]
    fn descriptions_know_when_nothing_runs() {
        let topic = TopicData { topic: "t".into(), partitions: vec![1, 0], ..Default::default() };
        let state = TransactionState {
            transactional_id: "x".into(),
            transaction_state: "Ongoing".into(),
            transaction_start_time_ms: 5,
            topics: vec![topic],
            ..TransactionState::default()
        };
        let idle = TransactionState {
            transaction_state: "FromTheFuture".into(),
            transaction_start_time_ms: -1,
            topics: Vec::new(),
            ..state.clone()
        };
        let read = TransactionDescription::read(state, 1);
        assert_eq!((read.state, read.start_time_ms), ("Ongoing", Some(5)));
        assert_eq!(read.partitions.into_iter().collect::<Vec<_>>(), [tp("t", 0), tp("t", 1)]);
        let read = TransactionDescription::read(idle, 1);
        assert_eq!((read.state, read.start_time_ms), ("Unknown", None));
    }

    #[test]
    fn refusals_are_kafkas_sentences() {
        let missing = describe_refused("x", ErrorCode::TransactionalIdNotFound);
        assert!(missing.to_string().contains("failed because the ID could not be found"), "{missing}");
        assert!(fence_refused("x", ErrorCode::ConcurrentTransactions).is_retriable());
    }
}
