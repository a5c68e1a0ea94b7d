//! The request that carries batches, and what its answer says of each.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::{TopicPartition, Uuid};
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::produce_response::PartitionProduceResponse;
use ottla_protocol::messages::{ProduceRequest, ProduceResponse};

use super::sender::Sender;
use crate::{BrokerConnection, ClientError, Metadata, PendingAnswer};

/// What one answer says of each partition.
pub(super) type Answers = Vec<(TopicPartition, PartitionProduceResponse)>;

/// From this version on, topics go by id (KIP-516).
const WITH_TOPIC_IDS: i16 = 13;
/// From the next version on, leaders add partitions to transactions themselves (KIP-890).
const PARTITIONS_ADDED_BEFORE: i16 = 11;

impl Sender {
    /// Puts a request in line; there is nothing to wait for with `acks=0`.
    pub(super) async fn begin_produce(
        &self,
        node: i32,
        batches: &[(TopicPartition, Bytes)],
        metadata: &Metadata,
    ) -> Result<Option<(Arc<BrokerConnection>, PendingAnswer)>, ClientError> {
        let connection = self.client.node(node).await?;
        let before_v2 = self.transactions.as_ref().is_some_and(|t| !t.lock().is_v2());
        let max = if before_v2 { PARTITIONS_ADDED_BEFORE } else { i16::MAX };
        let version = connection.version_up_to::<ProduceRequest>(max)?;
        let patience = self.client.settings().request_timeout;
        let mut topics: Vec<TopicProduceData> = Vec::new();
        for (tp, records) in batches {
            let partition = PartitionProduceData {
                index: tp.partition,
                records: Some(records.clone().into()),
                ..Default::default()
            };
            let id = metadata.topics.get(&*tp.topic).map(|t| t.topic_id).unwrap_or_default();
            let same = |t: &&mut TopicProduceData| {
                if version >= WITH_TOPIC_IDS { t.topic_id == id } else { t.name == *tp.topic }
            };
            match topics.iter_mut().find(same) {
                Some(topic) => topic.partition_data.push(partition),
                None => topics.push(TopicProduceData {
                    name: if version >= WITH_TOPIC_IDS { ByteString::new() } else { (&*tp.topic).into() },
                    topic_id: if version >= WITH_TOPIC_IDS { id } else { Uuid::ZERO },
                    partition_data: vec![partition],
                    ..Default::default()
                }),
            }
        }
        let request = ProduceRequest {
            transactional_id: self.settings.transactional_id.clone(),
            acks: self.settings.acks,
            timeout_ms: patience.as_millis() as i32,
            topic_data: topics,
            ..ProduceRequest::default()
        };
        if self.settings.acks == 0 {
            connection.send_unanswered(&request, version).await?;
            return Ok(None);
        }
        let pending = connection.begin(&request, version).await?;
        Ok(Some((connection, pending)))
    }
}

/// Sorts an answer by partition.
pub(super) fn sort_answers(response: ProduceResponse, metadata: &Metadata) -> Answers {
    let mut answers = Vec::new();
    for topic in response.responses {
        let name = match metadata.topic_name(topic.topic_id) {
            Some(name) if topic.name.is_empty() => name.clone(),
            _ => topic.name,
        };
        for answer in topic.partition_responses {
            answers.push((TopicPartition::new(&*name, answer.index), answer));
        }
    }
    answers
}
