//! The way of markers from the coordinators of a broker to the leaders of the partitions.
//!
//! All shards of a broker share one channel, so that one request carries the markers of many
//! transactions. A marker stays here until its partition has it, is gone, or knows a newer producer or
//! coordinator; or until this broker no longer coordinates its transaction.

use std::collections::{BTreeMap, VecDeque};

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use ottla_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

use super::{MarkerOutcome, MarkersWritten, TransactionMarkers, TransactionPartitions};
use crate::runtime::TransactionResult;

/// How many requests to one broker may be under way: one that waits for a slow partition must not hold
/// up the transactions that have nothing to do with it.
const MAX_IN_FLIGHT_REQUESTS: usize = 50;
/// How many transactions share a request.
const MAX_MARKERS_PER_REQUEST: usize = 5_000;
/// How long to wait before a marker goes out again, or its leader is looked for again.
const RETRY_BACKOFF_MS: i64 = 50;

/// Who leads a partition, as far as this broker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkerLeader {
    /// This broker, and it can be reached.
    Broker(i32),
    /// Nobody at the moment, or a broker that is away.
    NotAvailable,
    /// There is no such partition: it was deleted, and needs no marker.
    UnknownPartition,
}

/// A request that is to be sent now.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkerRequest {
    /// What the answer is to be handed in under.
    pub request_id: u64,
    /// Whom to send it to.
    pub broker_id: i32,
    /// What to send.
    pub request: WriteTxnMarkersRequest,
}

/// Markers, and the partition of `__transaction_state` that they come from.
#[derive(Debug, Clone)]
struct QueuedMarkers {
    coordinator_partition: i32,
    markers: TransactionMarkers,
}

#[derive(Debug)]
struct InFlight {
    broker_id: i32,
    markers: Vec<QueuedMarkers>,
}

/// The markers on their way. A machine without hands: whoever owns it sends what [`Self::poll`] gives,
/// hands in the answers, and tells the shards what came of it.
#[derive(Debug, Default)]
pub struct TxnMarkerChannel {
    /// To be brought to their leaders, once their time has come.
    unsorted: VecDeque<(i64, QueuedMarkers)>,
    per_broker: BTreeMap<i32, VecDeque<QueuedMarkers>>,
    in_flight: BTreeMap<u64, InFlight>,
    next_request_id: u64,
}

impl TxnMarkerChannel {
    /// Takes markers of a shard, which is that of this partition of `__transaction_state`.
    pub fn add(&mut self, now_ms: i64, coordinator_partition: i32, markers: TransactionMarkers) {
        self.unsorted.push_back((now_ms, QueuedMarkers { coordinator_partition, markers }));
    }

    /// The shard of this partition was unloaded: its markers are another coordinator's now.
    pub fn remove_partition(&mut self, coordinator_partition: i32) {
        let stays = |queued: &QueuedMarkers| queued.coordinator_partition != coordinator_partition;
        self.unsorted.retain(|(_, queued)| stays(queued));
        for queue in self.per_broker.values_mut() {
            queue.retain(stays);
        }
        for request in self.in_flight.values_mut() {
            request.markers.retain(stays);
        }
    }

    /// What is to be sent now. Second, what turned out to need no marker: each with the partition whose
    /// shard is to be told.
    pub fn poll(
        &mut self,
        now_ms: i64,
        leader: &dyn Fn(&ByteString, i32) -> MarkerLeader,
    ) -> (Vec<MarkerRequest>, Vec<(i32, MarkersWritten)>) {
        let gone = self.sort(now_ms, leader);
        let mut requests = Vec::new();
        let brokers: Vec<i32> = self.per_broker.keys().copied().collect();
        for broker_id in brokers {
            while self.in_flight_to(broker_id) < MAX_IN_FLIGHT_REQUESTS {
                let Some(queue) = self.per_broker.get_mut(&broker_id) else { break };
                let count = queue.len().min(MAX_MARKERS_PER_REQUEST);
                let markers: Vec<_> = queue.drain(..count).collect();
                if markers.is_empty() {
                    self.per_broker.remove(&broker_id);
                    break;
                }
                requests.push(self.begin_request(broker_id, markers));
            }
        }
        (requests, gone)
    }

    /// When [`Self::poll`] has something to do by itself.
    pub fn next_deadline(&self) -> Option<i64> {
        self.unsorted.iter().map(|(due_ms, _)| *due_ms).min()
    }

    /// The answer to a request; `None` if there was none. Gives what has an end, each with the partition
    /// whose shard is to be told; the rest goes out again.
    pub fn on_response(
        &mut self,
        now_ms: i64,
        request_id: u64,
        response: Option<&WriteTxnMarkersResponse>,
    ) -> Vec<(i32, MarkersWritten)> {
        let Some(request) = self.in_flight.remove(&request_id) else { return Vec::new() };
        let errors = response.map(errors_by_producer_id).unwrap_or_default();
        let retry_ms = now_ms.saturating_add(RETRY_BACKOFF_MS);
        let mut finished = Vec::new();
        for mut queued in request.markers {
            let mut written = MarkersWritten::of(&queued.markers);
            let of_producer = errors.get(&queued.markers.producer_id);
            for (topic, partition) in queued.markers.partitions.clone().iter() {
                let error = of_producer.and_then(|errors| errors.get(&(topic.clone(), partition)));
                let Some(outcome) = error.and_then(|error| MarkerOutcome::of(*error)) else { continue };
                queued.markers.partitions.remove(topic, partition);
                written.partitions.push((topic.clone(), partition, outcome));
            }
            let is_fenced =
                written.partitions.iter().any(|(_, _, outcome)| *outcome == MarkerOutcome::Fenced);
            let coordinator_partition = queued.coordinator_partition;
            if !queued.markers.partitions.is_empty() && !is_fenced {
                self.unsorted.push_back((retry_ms, queued));
            }
            if !written.partitions.is_empty() {
                finished.push((coordinator_partition, written));
            }
        }
        finished
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.unsorted.is_empty() && self.per_broker.is_empty() && self.in_flight.is_empty()
    }

    fn in_flight_to(&self, broker_id: i32) -> usize {
        self.in_flight.values().filter(|request| request.broker_id == broker_id).count()
    }

    fn begin_request(&mut self, broker_id: i32, markers: Vec<QueuedMarkers>) -> MarkerRequest {
        let request_id = self.next_request_id;
        self.next_request_id += 1;
        let request = WriteTxnMarkersRequest {
            markers: markers.iter().map(|queued| writable(&queued.markers)).collect(),
            ..Default::default()
        };
        self.in_flight.insert(request_id, InFlight { broker_id, markers });
        MarkerRequest { request_id, broker_id, request }
    }

    /// Brings markers whose time has come to the queues of their leaders. Gives those of partitions that
    /// are no more.
    fn sort(
        &mut self,
        now_ms: i64,
        leader: &dyn Fn(&ByteString, i32) -> MarkerLeader,
    ) -> Vec<(i32, MarkersWritten)> {
        let mut finished = Vec::new();
        for (due_ms, queued) in std::mem::take(&mut self.unsorted) {
            if due_ms > now_ms {
                self.unsorted.push_back((due_ms, queued));
                continue;
            }
            let mut by_broker: BTreeMap<i32, TransactionPartitions> = BTreeMap::new();
            let mut homeless = TransactionPartitions::default();
            let mut gone = MarkersWritten::of(&queued.markers);
            for (topic, partition) in queued.markers.partitions.iter() {
                match leader(topic, partition) {
                    MarkerLeader::Broker(id) => by_broker.entry(id).or_default().insert(topic, partition),
                    MarkerLeader::NotAvailable => homeless.insert(topic, partition),
                    MarkerLeader::UnknownPartition => {
                        gone.partitions.push((topic.clone(), partition, MarkerOutcome::Gone));
                    }
                }
            }
            let part = |partitions: TransactionPartitions| QueuedMarkers {
                coordinator_partition: queued.coordinator_partition,
                markers: TransactionMarkers { partitions, ..queued.markers.clone() },
            };
            for (broker_id, partitions) in by_broker {
                self.per_broker.entry(broker_id).or_default().push_back(part(partitions));
            }
            if !homeless.is_empty() {
                self.unsorted.push_back((now_ms.saturating_add(RETRY_BACKOFF_MS), part(homeless)));
            }
            if !gone.partitions.is_empty() {
                finished.push((queued.coordinator_partition, gone));
            }
        }
        finished
    }
}

type Errors = BTreeMap<(ByteString, i32), ErrorCode>;

/// A producer may have several entries: what the partitions said is gathered.
fn errors_by_producer_id(response: &WriteTxnMarkersResponse) -> BTreeMap<i64, Errors> {
    let mut errors: BTreeMap<i64, Errors> = BTreeMap::new();
    for marker in &response.markers {
        let of_producer = errors.entry(marker.producer_id).or_default();
        for topic in &marker.topics {
            for partition in &topic.partitions {
                let key = (topic.name.clone(), partition.partition_index);
                of_producer.insert(key, ErrorCode::from_code(partition.error_code));
            }
        }
    }
    errors
}

fn writable(markers: &TransactionMarkers) -> WritableTxnMarker {
    let topic = |(name, partition_indexes): (&ByteString, Vec<i32>)| WritableTxnMarkerTopic {
        name: name.clone(),
        partition_indexes,
        ..Default::default()
    };
    WritableTxnMarker {
        producer_id: markers.producer_id,
        producer_epoch: markers.producer_epoch,
        transaction_result: markers.result == TransactionResult::Commit,
        topics: markers.partitions.topics().map(topic).collect(),
        coordinator_epoch: markers.coordinator_epoch,
        transaction_version: i8::try_from(markers.transaction_version.feature_level()).unwrap_or(0),
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "marker_channel_test.rs"]
mod tests;
