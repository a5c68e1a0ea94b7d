//! Fetch (1), versions 4-18: reads record batches, waiting for them if need be (KIP-227 sessions,
//! KIP-320 epochs, KIP-516 ids, KIP-951 leaders).
//!
//! Errors per partition: UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, INCONSISTENT_TOPIC_ID,
//! OFFSET_OUT_OF_RANGE, NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH,
//! KAFKA_STORAGE_ERROR; top level: those of fetch sessions.
//! Missing: followers, closest replicas, remote storage.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_metadata::image::{MetadataImage, TopicImage};
use ottla_protocol::Records;
use ottla_protocol::messages::fetch_response::{AbortedTransaction, NodeEndpoint, PartitionData};
use ottla_protocol::messages::{FetchRequest, FetchResponse};
use ottla_replica::{FetchInfo, FetchIsolation, FetchParams, FetchPartitionData};

use crate::support::fetch_session::{FetchPartition, PartitionKey};
use crate::support::metadata_cache::node_endpoints;
use crate::{BrokerContext, Call};

const READ_COMMITTED: i8 = 1;

/// Answers what the session wants of what the partitions have.
pub async fn handle(broker: &BrokerContext, call: &Call, request: FetchRequest) -> FetchResponse {
    let image = broker.metadata.image().clone();
    let is_follower = request.replica_id >= 0 || request.replica_state.replica_id >= 0;
    let mut context = broker.fetch.new_context(
        call.version,
        request.session_id,
        request.session_epoch,
        is_follower,
        wanted_partitions(&image, call.version, &request),
        &forgotten_partitions(&image, call.version, &request),
        broker.time.now_ms(),
    );
    let wanted = context.partitions(|id| image.topics.topic_name(id).cloned());
    let results = read(broker, call, &image, &request, wanted).await;
    let leaders = current_leaders(&results);
    let mut response = context.respond(&broker.fetch, results, broker.time.now_ms());
    if call.version >= 16 {
        let endpoint =
            |node_id, host, port, rack| NodeEndpoint { node_id, host, port, rack, ..Default::default() };
        response.node_endpoints = node_endpoints(&image, &call.listener, leaders, endpoint);
    }
    response
}

fn wanted_partitions(image: &MetadataImage, version: i16, request: &FetchRequest) -> Vec<FetchPartition> {
    let mut wanted = Vec::with_capacity(request.topics.iter().map(|topic| topic.partitions.len()).sum());
    for topic in &request.topics {
        let name = topic_name(image, version, &topic.topic, topic.topic_id);
        for p in &topic.partitions {
            wanted.push(FetchPartition {
                key: PartitionKey { topic_id: topic.topic_id, topic: name.clone(), partition: p.partition },
                fetch_offset: p.fetch_offset,
                log_start_offset: p.log_start_offset,
                max_bytes: p.partition_max_bytes,
                current_leader_epoch: p.current_leader_epoch,
                last_fetched_epoch: p.last_fetched_epoch,
            });
        }
    }
    wanted
}

fn forgotten_partitions(image: &MetadataImage, version: i16, request: &FetchRequest) -> Vec<PartitionKey> {
    let mut forgotten = Vec::new();
    for topic in &request.forgotten_topics_data {
        let name = topic_name(image, version, &topic.topic, topic.topic_id);
        for partition in &topic.partitions {
            forgotten.push(PartitionKey {
                topic_id: topic.topic_id,
                topic: name.clone(),
                partition: *partition,
            });
        }
    }
    forgotten
}

/// The name behind an id; empty while it is unknown.
fn topic_name(image: &MetadataImage, version: i16, name: &str, id: Uuid) -> Arc<str> {
    if version >= 13 { image.topics.topic_name(id).cloned().unwrap_or_default() } else { name.into() }
}

/// Reads what can be read, and answers an error for the rest, in the order asked for.
async fn read(
    broker: &BrokerContext,
    call: &Call,
    image: &MetadataImage,
    request: &FetchRequest,
    wanted: Vec<FetchPartition>,
) -> Vec<(PartitionKey, PartitionData)> {
    let mut keys = Vec::with_capacity(wanted.len());
    let mut infos = Vec::with_capacity(wanted.len());
    let mut erroneous = Vec::new();
    let mut topics = TopicLookup { image, last: None };
    for partition in wanted {
        match fetch_info(&mut topics, &partition) {
            Ok(info) => {
                keys.push(partition.key);
                infos.push(info);
            }
            Err(error) => {
                let data = error_data(partition.key.partition, error);
                erroneous.push((partition.key, data));
            }
        }
    }
    let max_bytes = request.max_bytes.min(broker.settings.fetch_max_bytes).max(0);
    let isolation = match request.isolation_level {
        READ_COMMITTED => FetchIsolation::TxnCommitted,
        _ => FetchIsolation::HighWatermark,
    };
    let params = FetchParams {
        isolation,
        // An error is news too: with one of those in hand there is nothing to wait for.
        max_wait_ms: if infos.is_empty() { 0 } else { request.max_wait_ms },
        min_bytes: request.min_bytes.min(max_bytes),
        max_bytes,
    };
    let read = broker.replicas.fetch_messages(&params, &infos).await;
    let mut results: Vec<_> = keys
        .into_iter()
        .zip(read)
        .map(|(key, data)| {
            let data = partition_data(broker, call, &key, data);
            (key, data)
        })
        .collect();
    results.extend(erroneous);
    results
}

/// Finds topics. Neighbours in a request mostly are of one topic.
struct TopicLookup<'a> {
    image: &'a MetadataImage,
    last: Option<&'a TopicImage>,
}

impl<'a> TopicLookup<'a> {
    /// The topic by its id, or else by its name: the topic that has the name now may be another one.
    fn find(&mut self, key: &PartitionKey) -> Option<&'a TopicImage> {
        let by_id = !key.topic_id.is_zero();
        let is_same =
            |topic: &&TopicImage| if by_id { topic.id == key.topic_id } else { topic.name == key.topic };
        if !self.last.as_ref().is_some_and(is_same) {
            let topics = &self.image.topics;
            let found = by_id.then(|| topics.topic(key.topic_id)).flatten();
            self.last = found.or_else(|| topics.topic_by_name(&key.topic));
        }
        self.last
    }
}

fn fetch_info(topics: &mut TopicLookup<'_>, partition: &FetchPartition) -> Result<FetchInfo, ErrorCode> {
    let key = &partition.key;
    if key.topic.is_empty() {
        return Err(ErrorCode::UnknownTopicId);
    }
    let topic = topics.find(key).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if !topic.partitions.contains_key(&key.partition) {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    Ok(FetchInfo {
        tp: topic_partition(key),
        topic_id: key.topic_id,
        fetch_offset: partition.fetch_offset,
        max_bytes: partition.max_bytes.max(0),
        current_leader_epoch: (partition.current_leader_epoch >= 0).then_some(partition.current_leader_epoch),
        last_fetched_epoch: (partition.last_fetched_epoch >= 0).then_some(partition.last_fetched_epoch),
    })
}

fn topic_partition(key: &PartitionKey) -> TopicPartition {
    TopicPartition { topic: key.topic.clone(), partition: key.partition }
}

fn error_data(index: i32, error: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index: index,
        error_code: error.code(),
        high_watermark: -1,
        records: Some(bytes::Bytes::new().into()),
        ..Default::default()
    }
}

fn partition_data(
    broker: &BrokerContext,
    call: &Call,
    key: &PartitionKey,
    data: FetchPartitionData,
) -> PartitionData {
    let error = match data.error {
        // It was deleted while the fetch waited.
        ErrorCode::NotLeaderOrFollower if !broker.metadata.contains(&topic_partition(key)) => {
            ErrorCode::UnknownTopicOrPartition
        }
        // Consumers of these versions do not know the storage error and would give up (KIP-112).
        ErrorCode::KafkaStorageError if call.version <= 5 => ErrorCode::NotLeaderOrFollower,
        error => error,
    };
    let records = match data.records.is_empty() {
        true => Records::default(),
        false => Records::Elsewhere(Arc::new(data.records)),
    };
    let mut answer = PartitionData {
        partition_index: key.partition,
        error_code: error.code(),
        high_watermark: data.high_watermark,
        last_stable_offset: data.last_stable_offset,
        log_start_offset: data.log_start_offset,
        aborted_transactions: data.aborted_transactions.map(|list| {
            let entry = |(producer_id, first_offset)| AbortedTransaction {
                producer_id,
                first_offset,
                ..Default::default()
            };
            list.into_iter().map(entry).collect()
        }),
        records: Some(records),
        ..Default::default()
    };
    if let Some((epoch, end_offset)) = data.diverging_epoch {
        answer.diverging_epoch.epoch = epoch;
        answer.diverging_epoch.end_offset = end_offset;
    }
    let is_elsewhere = matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
    if call.version >= 16
        && is_elsewhere
        && let Some((leader, epoch)) = broker.metadata.current_leader(&topic_partition(key))
    {
        answer.current_leader.leader_id = leader;
        answer.current_leader.leader_epoch = epoch;
    }
    answer
}

fn current_leaders(results: &[(PartitionKey, PartitionData)]) -> BTreeSet<i32> {
    results.iter().map(|(_, d)| d.current_leader.leader_id).filter(|id| *id >= 0).collect()
}
