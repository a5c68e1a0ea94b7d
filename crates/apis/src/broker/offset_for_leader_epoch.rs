//! OffsetForLeaderEpoch (23), versions 2-4: where an epoch ended, so that a client notices that the
//! log it read was cut (KIP-101, KIP-320).
//!
//! Errors per partition: UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH,
//! UNKNOWN_LEADER_EPOCH.

use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use ottla_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use crate::{BrokerContext, Call};

/// Looks every partition's epoch up.
pub async fn handle(
    broker: &BrokerContext,
    _: &Call,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| OffsetForLeaderTopicResult {
            partitions: topic
                .partitions
                .iter()
                .map(|p| {
                    let tp = TopicPartition::new(&*topic.topic, p.partition);
                    let current = (p.current_leader_epoch >= 0).then_some(p.current_leader_epoch);
                    let found = if broker.metadata.contains(&tp) {
                        broker.replicas.end_offset_for_epoch(&tp, current, p.leader_epoch)
                    } else {
                        Err(ErrorCode::UnknownTopicOrPartition)
                    };
                    let (leader_epoch, end_offset) = *found.as_ref().unwrap_or(&(-1, -1));
                    EpochEndOffset {
                        error_code: found.err().unwrap_or(ErrorCode::None).code(),
                        partition: p.partition,
                        leader_epoch,
                        end_offset,
                        ..Default::default()
                    }
                })
                .collect(),
            topic: topic.topic,
            ..Default::default()
        })
        .collect();
    OffsetForLeaderEpochResponse { topics, ..Default::default() }
}
