//! DeleteRecords (21), versions 0-2: moves the start of partitions forward (KIP-107).
//!
//! Errors per partition: UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION for internal topics,
//! POLICY_VIOLATION where the cleanup policy keeps records, OFFSET_OUT_OF_RANGE,
//! NOT_LEADER_OR_FOLLOWER.

use ottla_common::{ErrorCode, TopicPartition, internal_topics};
use ottla_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use ottla_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::{BrokerContext, Call};

/// Deletes before the offset asked for; -1 means everything that is committed.
pub async fn handle(
    broker: &BrokerContext,
    _: &Call,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| DeleteRecordsTopicResult {
            partitions: topic
                .partitions
                .iter()
                .map(|p| result(p.partition_index, delete(broker, &topic.name, p.partition_index, p.offset)))
                .collect(),
            name: topic.name,
            ..Default::default()
        })
        .collect();
    DeleteRecordsResponse { topics, ..Default::default() }
}

fn delete(broker: &BrokerContext, topic: &str, partition: i32, offset: i64) -> Result<i64, ErrorCode> {
    let tp = TopicPartition::new(topic, partition);
    if !broker.metadata.contains(&tp) {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    if internal_topics::is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    broker.replicas.delete_records(&tp, offset)
}

fn result(partition_index: i32, deleted: Result<i64, ErrorCode>) -> DeleteRecordsPartitionResult {
    DeleteRecordsPartitionResult {
        partition_index,
        low_watermark: *deleted.as_ref().unwrap_or(&-1),
        error_code: deleted.err().unwrap_or(ErrorCode::None).code(),
        ..Default::default()
    }
}
