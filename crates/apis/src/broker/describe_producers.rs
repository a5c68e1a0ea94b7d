//! DescribeProducers (61), version 0: the producers a partition remembers (KIP-664).
//!
//! Errors per partition: UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER.

use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use ottla_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};
use ottla_replica::ActiveProducer;

use crate::{BrokerContext, Call};

/// Lists every partition's producers.
pub async fn handle(
    broker: &BrokerContext,
    _: &Call,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| TopicResponse {
            partitions: topic
                .partition_indexes
                .iter()
                .map(|index| {
                    let tp = TopicPartition::new(&*topic.name, *index);
                    let producers = if broker.metadata.contains(&tp) {
                        broker.replicas.active_producers(&tp)
                    } else {
                        Err(ErrorCode::UnknownTopicOrPartition)
                    };
                    PartitionResponse {
                        partition_index: *index,
                        error_code: producers.as_ref().err().copied().unwrap_or(ErrorCode::None).code(),
                        active_producers: producers.unwrap_or_default().into_iter().map(state).collect(),
                        ..Default::default()
                    }
                })
                .collect(),
            name: topic.name,
            ..Default::default()
        })
        .collect();
    DescribeProducersResponse { topics, ..Default::default() }
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
