//! DescribeTopicPartitions (75), version 0: topics page by page, with eligible leader replicas
//! (KIP-966).
//!
//! Errors per topic: UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION; per partition:
//! LEADER_NOT_AVAILABLE, LISTENER_NOT_FOUND. Top level: a nonsensical cursor closes the connection in
//! Kafka; here it starts at the first partition.

use std::collections::BTreeSet;

use bytestring::ByteString;
use ottla_common::{ErrorCode, internal_topics};
use ottla_metadata::PartitionRegistration;
use ottla_metadata::image::{MetadataImage, TopicImage};
use ottla_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use ottla_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};

use crate::support::metadata_cache::{alive_endpoint, offline_replicas};
use crate::support::{authorized_operations, topic_name};
use crate::{BrokerContext, Call};

/// Answers one page: topics in the order of their names, at most the limit's number of partitions.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let image = broker.metadata.image();
    let limit = broker.settings.max_request_partition_size_limit.min(request.response_partition_limit).max(1);
    let cursor = request.cursor.as_ref();
    let start = cursor.map(|c| c.topic_name.clone()).unwrap_or_default();
    let names: BTreeSet<ByteString> = if request.topics.is_empty() {
        image.topics.iter_from(&start).map(|t| ByteString::from(&*t.name)).collect()
    } else {
        request.topics.into_iter().map(|t| t.name).filter(|name| **name >= *start).collect()
    };
    let first_of = |name: &str| match cursor {
        Some(c) if *c.topic_name == *name => c.partition_index.max(0),
        _ => 0,
    };
    let mut page = Page { room: limit as usize, response: DescribeTopicPartitionsResponse::default() };
    for name in names {
        let first = first_of(&name);
        match image.topics.topic_by_name(&name) {
            None => page.add_unknown(name),
            Some(topic) => page.add(&image, topic, first, &call.listener),
        }
        if page.response.next_cursor.is_some() {
            break;
        }
    }
    page.response
}

struct Page {
    room: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page {
    fn add_unknown(&mut self, name: ByteString) {
        let error = if topic_name::is_valid(&name) {
            ErrorCode::UnknownTopicOrPartition
        } else {
            ErrorCode::InvalidTopicException
        };
        self.response.topics.push(DescribeTopicPartitionsResponseTopic {
            error_code: error.code(),
            name: Some(name),
            ..Default::default()
        });
    }

    fn add(&mut self, image: &MetadataImage, topic: &TopicImage, first: i32, listener: &str) {
        if self.room == 0 {
            self.stop_at(topic, first);
            return;
        }
        let mut rest = topic.partitions.range(first..);
        let partitions: Vec<_> = rest
            .by_ref()
            .take(self.room)
            .map(|(index, partition)| describe_partition(image, *index, partition, listener))
            .collect();
        self.room -= partitions.len();
        if let Some((next, _)) = rest.next() {
            self.stop_at(topic, *next);
        }
        self.response.topics.push(DescribeTopicPartitionsResponseTopic {
            name: Some(ByteString::from(&*topic.name)),
            topic_id: topic.id,
            is_internal: internal_topics::is_internal(&topic.name),
            partitions,
            topic_authorized_operations: authorized_operations::TOPIC,
            ..Default::default()
        });
    }

    fn stop_at(&mut self, topic: &TopicImage, partition_index: i32) {
        self.response.next_cursor = Some(Cursor {
            topic_name: ByteString::from(&*topic.name),
            partition_index,
            ..Default::default()
        });
    }
}

fn describe_partition(
    image: &MetadataImage,
    index: i32,
    partition: &PartitionRegistration,
    listener: &str,
) -> DescribeTopicPartitionsResponsePartition {
    let leader = alive_endpoint(image, partition.leader, listener).map(|_| partition.leader);
    let error = match leader {
        Some(_) => ErrorCode::None,
        None if image.cluster.broker(partition.leader).is_some() => ErrorCode::ListenerNotFound,
        None => ErrorCode::LeaderNotAvailable,
    };
    DescribeTopicPartitionsResponsePartition {
        error_code: error.code(),
        partition_index: index,
        leader_id: leader.unwrap_or(-1),
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.to_vec(),
        isr_nodes: partition.isr.to_vec(),
        eligible_leader_replicas: Some(partition.elr.to_vec()),
        last_known_elr: Some(partition.last_known_elr.to_vec()),
        offline_replicas: offline_replicas(image, partition, listener),
        ..Default::default()
    }
}
