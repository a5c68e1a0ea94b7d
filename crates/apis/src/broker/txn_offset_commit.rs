//! TxnOffsetCommit (28), versions 0-6: offsets that take effect when their transaction is committed (KIP-98, KIP-447,
//! KIP-890). From version 6 on topics go by id, and come back by id (KIP-1319).
//!
//! Errors per partition: UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, and those of the coordinator.

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_metadata::MetadataImage;
use ottla_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use ottla_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use ottla_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use crate::{BrokerContext, Call};

const TOPIC_IDS_MIN_VERSION: i16 = 6;

/// Offsets of topics and partitions that do not exist are refused here; the rest is the coordinator's.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    mut request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let refused = refuse_unknown(&broker.metadata.image(), call.version, &mut request.topics);
    let mut response = match request.topics.is_empty() {
        true => TxnOffsetCommitResponse::default(),
        false => broker.groups.txn_offset_commit(call, request).await,
    };
    for topic in refused {
        add_refused(&mut response, topic);
    }
    response
}

/// Takes out of `topics` what does not exist, and gives those that stay their names and ids.
fn refuse_unknown(
    image: &MetadataImage,
    version: i16,
    topics: &mut Vec<TxnOffsetCommitRequestTopic>,
) -> Vec<TxnOffsetCommitResponseTopic> {
    let by_id = version >= TOPIC_IDS_MIN_VERSION;
    let mut refused = Vec::new();
    topics.retain_mut(|topic| {
        let found = match by_id {
            true => image.topics.topic(topic.topic_id),
            false => image.topics.topic_by_name(&topic.name),
        };
        let Some(found) = found else {
            let error = if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
            let partitions = topic.partitions.iter().map(|partition| partition.partition_index).collect();
            refused.push(refusal(topic.name.clone(), topic.topic_id, partitions, error));
            return false;
        };
        topic.name = ByteString::from(&*found.name);
        topic.topic_id = found.id;
        let mut missing = Vec::new();
        topic.partitions.retain(|partition| {
            let exists = found.partitions.contains_key(&partition.partition_index);
            if !exists {
                missing.push(partition.partition_index);
            }
            exists
        });
        if !missing.is_empty() {
            let error = ErrorCode::UnknownTopicOrPartition;
            refused.push(refusal(topic.name.clone(), topic.topic_id, missing, error));
        }
        !topic.partitions.is_empty()
    });
    refused
}

fn refusal(
    name: ByteString,
    topic_id: Uuid,
    partitions: Vec<i32>,
    error: ErrorCode,
) -> TxnOffsetCommitResponseTopic {
    let partition = |partition_index| TxnOffsetCommitResponsePartition {
        partition_index,
        error_code: error.code(),
        ..Default::default()
    };
    TxnOffsetCommitResponseTopic {
        name,
        topic_id,
        partitions: partitions.into_iter().map(partition).collect(),
        ..Default::default()
    }
}

fn add_refused(response: &mut TxnOffsetCommitResponse, refused: TxnOffsetCommitResponseTopic) {
    let same = |topic: &&mut TxnOffsetCommitResponseTopic| {
        topic.name == refused.name && topic.topic_id == refused.topic_id
    };
    match response.topics.iter_mut().find(same) {
        Some(topic) => topic.partitions.extend(refused.partitions),
        None => response.topics.push(refused),
    }
}

#[cfg(test)]
#[path = "txn_offset_commit_test.rs"]
mod tests;
