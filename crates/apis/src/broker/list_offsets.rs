//! ListOffsets (2), versions 1-11: offsets by timestamp and by name of a place (KIP-79, KIP-734,
//! KIP-405, KIP-1005, KIP-1023). A consumer that reads only what is committed is told of nothing at or behind
//! the last stable offset, which is the latest to it (KIP-98).
//!
//! Errors per partition: UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH,
//! UNKNOWN_LEADER_EPOCH, INVALID_REQUEST for a partition named twice, UNSUPPORTED_VERSION for a place
//! that the version does not know.

use std::collections::HashSet;

use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::list_offsets_request::ListOffsetsPartition;
use ottla_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use ottla_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use ottla_replica::FetchIsolation;

use crate::{BrokerContext, Call};

const READ_COMMITTED: i8 = 1;
const CONSUMER_REPLICA_ID: i32 = -1;

/// Looks every partition's offset up.
pub async fn handle(broker: &BrokerContext, call: &Call, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let isolation = match request.isolation_level {
        // Replicas go to the end, whatever they say.
        _ if request.replica_id != CONSUMER_REPLICA_ID => FetchIsolation::LogEnd,
        READ_COMMITTED => FetchIsolation::TxnCommitted,
        _ => FetchIsolation::HighWatermark,
    };
    let duplicates = duplicates(&request);
    let topics = request
        .topics
        .into_iter()
        .map(|topic| ListOffsetsTopicResponse {
            partitions: topic
                .partitions
                .iter()
                .map(|partition| {
                    let tp = TopicPartition::new(&*topic.name, partition.partition_index);
                    if duplicates.contains(&tp) {
                        return failed(partition, ErrorCode::InvalidRequest);
                    }
                    look_up(broker, call, &tp, partition, isolation)
                })
                .collect(),
            name: topic.name,
            ..Default::default()
        })
        .collect();
    ListOffsetsResponse { topics, ..Default::default() }
}

fn duplicates(request: &ListOffsetsRequest) -> HashSet<TopicPartition> {
    let mut seen = HashSet::new();
    let mut twice = HashSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let tp = TopicPartition::new(&*topic.name, partition.partition_index);
            if !seen.insert(tp.clone()) {
                twice.insert(tp);
            }
        }
    }
    twice
}

/// The version from which on a place (a negative timestamp) may be asked for.
fn first_version_of(timestamp: i64) -> Option<i16> {
    match timestamp {
        -2 | -1 | 0.. => Some(1),
        -3 => Some(7),
        -4 => Some(8),
        -5 => Some(9),
        -6 => Some(11),
        _ => None,
    }
}

fn look_up(
    broker: &BrokerContext,
    call: &Call,
    tp: &TopicPartition,
    partition: &ListOffsetsPartition,
    isolation: FetchIsolation,
) -> ListOffsetsPartitionResponse {
    if first_version_of(partition.timestamp).is_none_or(|first| call.version < first) {
        return failed(partition, ErrorCode::UnsupportedVersion);
    }
    if !broker.metadata.contains(tp) {
        return failed(partition, ErrorCode::UnknownTopicOrPartition);
    }
    let epoch = (partition.current_leader_epoch >= 0).then_some(partition.current_leader_epoch);
    match broker.replicas.fetch_offset(tp, partition.timestamp, epoch, isolation) {
        Err(error) => failed(partition, error),
        Ok(None) => failed(partition, ErrorCode::None),
        Ok(Some(found)) => ListOffsetsPartitionResponse {
            partition_index: partition.partition_index,
            timestamp: found.timestamp,
            offset: found.offset,
            leader_epoch: if call.version >= 4 { found.leader_epoch.unwrap_or(-1) } else { -1 },
            ..Default::default()
        },
    }
}

fn failed(partition: &ListOffsetsPartition, error: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse {
        partition_index: partition.partition_index,
        error_code: error.code(),
        timestamp: -1,
        offset: -1,
        ..Default::default()
    }
}
