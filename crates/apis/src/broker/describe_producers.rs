//! DescribeProducers (61), version 0: the producers a partition remembers (KIP-664).
//!
//! Followers answer too: what a replica remembers may differ while it lags.
//!
//! Errors per partition: INVALID_TOPIC_EXCEPTION, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER where
//! this broker has no replica, KAFKA_STORAGE_ERROR. Missing: authorization.

use bytestring::ByteString;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use ottla_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};
use ottla_replica::ActiveProducer;

use crate::support::topic_name;
use crate::{BrokerContext, Call};

/// Lists every partition's producers.
pub async fn handle(
    broker: &BrokerContext,
    _: &Call,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partition = |index: &i32| match active_producers(broker, &topic.name, *index) {
            Ok(producers) => PartitionResponse {
                partition_index: *index,
                active_producers: producers.into_iter().map(state).collect(),
                ..Default::default()
            },
            Err(error) => failed(*index, error),
        };
        let partitions = topic.partition_indexes.iter().map(partition).collect();
        TopicResponse { partitions, name: topic.name, ..Default::default() }
    });
    DescribeProducersResponse { topics: topics.collect(), ..Default::default() }
}

fn active_producers(
    broker: &BrokerContext,
    topic: &str,
    partition: i32,
) -> Result<Vec<ActiveProducer>, ErrorCode> {
    if !topic_name::is_valid(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let tp = TopicPartition::new(topic, partition);
    if !broker.metadata.contains(&tp) {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    broker.replicas.active_producers(&tp)
}

fn failed(partition_index: i32, error: ErrorCode) -> PartitionResponse {
    let is_invalid = error == ErrorCode::InvalidTopicException;
    PartitionResponse {
        partition_index,
        error_code: error.code(),
        error_message: is_invalid.then(|| ByteString::from_static("The topic name is invalid.")),
        ..Default::default()
    }
}

fn state(producer: ActiveProducer) -> ProducerState {
    ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: i32::from(producer.producer_epoch),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.current_txn_start_offset,
        ..Default::default()
    }
}
