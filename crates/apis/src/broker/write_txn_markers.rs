//! WriteTxnMarkers (27), versions 1-2: ends transactions on the partitions that took part (KIP-98, KIP-890,
//! KIP-1228).
//!
//! Errors per partition: UNKNOWN_TOPIC_OR_PARTITION where this broker has no replica, or its disk failed,
//! NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS, NOT_ENOUGH_REPLICAS_AFTER_APPEND, REQUEST_TIMED_OUT,
//! INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED, KAFKA_STORAGE_ERROR, and those of the group
//! coordinator, whose partitions have markers through it: offsets of the transaction wait in its memory.
//! Missing: authorization.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytestring::ByteString;
use ottla_common::internal_topics::GROUP_METADATA_TOPIC;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_coordinator::runtime::{self, TransactionResult, TransactionalProducer};
use ottla_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use ottla_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use ottla_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use ottla_replica::{EndTransaction, TransactionVersion};

use crate::context::BoxFuture;
use crate::{BrokerContext, Call};

/// Writes all markers, then waits until all of them are replicated.
pub async fn handle(
    broker: &BrokerContext,
    _: &Call,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    let mut results = Results::default();
    let (mut appended, mut of_groups) = (Vec::new(), Vec::new());
    for marker in &request.markers {
        let end = end_transaction(marker);
        for tp in partitions_of(marker) {
            if &*tp.topic == GROUP_METADATA_TOPIC && broker.replicas.online_partition(&tp).is_some() {
                of_groups.push((marker.producer_id, tp, for_coordinator(&end)));
                continue;
            }
            let now_ms = broker.time.now_ms();
            match broker.replicas.append_end_transaction_marker(&tp, &end, now_ms) {
                Ok(done) if done.is_committed => results.put(marker.producer_id, tp, ErrorCode::None),
                Ok(done) => appended.push((marker.producer_id, (tp, done.last_offset))),
                Err(failure) => results.put(marker.producer_id, tp, failure.error),
            }
        }
    }
    // What is left of the request would hold on to its frame while this waits.
    drop(request);
    wait(broker, &mut results, appended, of_groups).await;
    results.into_response()
}

/// A marker that is in the log: whose it is, where it lies.
type AppendedMarker = (i64, (TopicPartition, i64));
/// A marker that a group coordinator is to write.
type MarkerOfGroups = (i64, TopicPartition, runtime::EndTransaction);

async fn wait(
    broker: &BrokerContext,
    results: &mut Results,
    appended: Vec<AppendedMarker>,
    of_groups: Vec<MarkerOfGroups>,
) {
    let (producer_ids, offsets): (Vec<i64>, Vec<(TopicPartition, i64)>) = appended.into_iter().unzip();
    let complete = |(_, tp, end): &MarkerOfGroups| broker.groups.complete_transaction(tp.partition, *end);
    let completions = of_groups.iter().map(complete).collect();
    let (committed, completed) = tokio::join!(
        broker.replicas.wait_until_committed(&offsets, broker.settings.request_timeout_ms),
        join_all(completions),
    );
    for ((producer_id, (tp, _)), error) in producer_ids.into_iter().zip(offsets).zip(committed) {
        results.put(producer_id, tp, error);
    }
    for ((producer_id, tp, _), completed) in of_groups.into_iter().zip(completed) {
        results.put(producer_id, tp, completed.err().map_or(ErrorCode::None, coordinator_error));
    }
}

fn end_transaction(marker: &WritableTxnMarker) -> EndTransaction {
    EndTransaction {
        producer_id: marker.producer_id,
        producer_epoch: marker.producer_epoch,
        coordinator_epoch: marker.coordinator_epoch,
        committed: marker.transaction_result,
        transaction_version: TransactionVersion(i16::from(marker.transaction_version).max(0)),
    }
}

fn for_coordinator(end: &EndTransaction) -> runtime::EndTransaction {
    let (producer_id, producer_epoch) = (end.producer_id, end.producer_epoch);
    runtime::EndTransaction {
        producer: TransactionalProducer { producer_id, producer_epoch },
        coordinator_epoch: end.coordinator_epoch,
        result: if end.committed { TransactionResult::Commit } else { TransactionResult::Abort },
        transaction_version: end.transaction_version.0,
    }
}

fn partitions_of(marker: &WritableTxnMarker) -> impl Iterator<Item = TopicPartition> {
    marker.topics.iter().flat_map(|topic| {
        let name: Arc<str> = Arc::from(&*topic.name);
        topic.partition_indexes.iter().map(move |index| TopicPartition::new(name.clone(), *index))
    })
}

/// A transaction coordinator waits for leaders to be elected, and knows nothing of group coordinators.
fn coordinator_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::CoordinatorNotAvailable
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::NotCoordinator => ErrorCode::NotLeaderOrFollower,
        other => other,
    }
}

/// What became of each partition, by producer. Of two markers of a producer for a partition the last is told.
#[derive(Debug, Default)]
struct Results(BTreeMap<i64, BTreeMap<TopicPartition, ErrorCode>>);

impl Results {
    fn put(&mut self, producer_id: i64, tp: TopicPartition, error: ErrorCode) {
        self.0.entry(producer_id).or_default().insert(tp, error);
    }

    fn into_response(self) -> WriteTxnMarkersResponse {
        let marker = |(producer_id, partitions)| WritableTxnMarkerResult {
            producer_id,
            topics: topics_of(partitions),
            ..Default::default()
        };
        WriteTxnMarkersResponse { markers: self.0.into_iter().map(marker).collect(), ..Default::default() }
    }
}

fn topics_of(partitions: BTreeMap<TopicPartition, ErrorCode>) -> Vec<WritableTxnMarkerTopicResult> {
    let mut topics: Vec<WritableTxnMarkerTopicResult> = Vec::new();
    for (tp, error) in partitions {
        let partition = WritableTxnMarkerPartitionResult {
            partition_index: tp.partition,
            error_code: error.code(),
            ..Default::default()
        };
        match topics.last_mut() {
            Some(topic) if topic.name[..] == tp.topic[..] => topic.partitions.push(partition),
            _ => topics.push(WritableTxnMarkerTopicResult {
                name: ByteString::from(&*tp.topic),
                partitions: vec![partition],
                ..Default::default()
            }),
        }
    }
    topics
}

/// Waits for all of them, side by side.
async fn join_all<T>(mut futures: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut is_ready = true;
        for (future, done) in futures.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            match future.as_mut().poll(cx) {
                Poll::Ready(value) => *done = Some(value),
                Poll::Pending => is_ready = false,
            }
        }
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[cfg(test)]
#[path = "write_txn_markers_test.rs"]
mod tests;
