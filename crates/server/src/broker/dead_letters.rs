//! Where the records go that share groups give up on: the groups' dead-letter queues (KIP-1191).
//!
//! A queue is a topic like any other, and its partitions may be led anywhere. Whoever gives records up makes the
//! batches and tries again; in here it is found out what a group's queue is, and batches find their way. Members
//! reject records one by one: what comes for a partition while a request is under way there goes together in the
//! next, see [`lanes`].

mod lanes;
#[cfg(test)]
mod queues_test;

use std::sync::Arc;

use bytestring::ByteString;
use ottla_apis::Call;
use ottla_apis::context::{BoxFuture, Controller};
use ottla_apis::support::metadata_cache::MetadataCache;
use ottla_common::config::ConfigValues;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_metadata::{ConfigResource, ConfigResourceType, MetadataImage};
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{CreateTopicsRequest, ProduceRequest, ProduceResponse};
use ottla_record::MemoryRecords;
use ottla_replica::share::{DeadLetterSink, DeadLetterTarget};
use ottla_share::dead_letter::{
    CREATED_TOPIC_CONFIGS, is_retriable_create_error, is_retriable_produce_error,
};
use tracing::error;

use self::lanes::{BatchSender, Lane, Lanes};
use super::inter_broker::InterBrokerChannel;
use super::live_config::{LiveConfig, properties};
use super::share_persister::error_code;
use crate::config::Properties;

/// The logger's name, as Kafka's log lines have it.
const LOGGER: &str = "org.apache.kafka.server.share.dlq.ShareGroupDLQStateManager";
/// Written only when every replica in sync has it.
const ACKS_ALL: i16 = -1;
/// The oldest version of Produce that takes batches of today.
const OLDEST_PRODUCE_VERSION: i16 = 3;
/// The version of CreateTopics that this speaks with the controller.
const CREATE_TOPICS_VERSION: i16 = 7;
/// Leaves a number to the broker's defaults (KIP-464).
const BROKER_DEFAULT: i16 = -1;

/// What the dead-letter queues need of their broker.
#[derive(Debug)]
pub struct DeadLetterQueueParts {
    /// The configuration.
    pub config: Arc<LiveConfig>,
    /// The cluster.
    pub metadata: Arc<MetadataCache>,
    /// Who creates topics.
    pub controller: Arc<dyn Controller>,
    /// The way to the leaders of queues.
    pub channel: Arc<InterBrokerChannel>,
    /// The listener between brokers.
    pub listener: Arc<str>,
    /// `request.timeout.ms`
    pub request_timeout_ms: i32,
}

/// The groups' dead-letter queues.
#[derive(Debug)]
pub struct DeadLetterQueues {
    config: Arc<LiveConfig>,
    metadata: Arc<MetadataCache>,
    controller: Arc<dyn Controller>,
    channel: Arc<InterBrokerChannel>,
    lanes: Lanes<ProduceChannel>,
    /// In whose name topics are created.
    call: Call,
    request_timeout_ms: i32,
}

impl DeadLetterQueues {
    /// Queues of the groups whose partitions this broker leads.
    pub fn new(parts: DeadLetterQueueParts) -> Self {
        let DeadLetterQueueParts { config, metadata, controller, channel, listener, request_timeout_ms } =
            parts;
        let client_host = ByteString::from_static("/127.0.0.1");
        let sender = ProduceChannel { channel: Arc::clone(&channel), timeout_ms: request_timeout_ms };
        Self {
            config,
            metadata,
            controller,
            channel,
            lanes: Lanes::new(sender),
            call: Call {
                version: CREATE_TOPICS_VERSION,
                listener,
                connection_id: "".into(),
                client_id: None,
                client_host,
            },
            request_timeout_ms,
        }
    }

    fn creation(&self, topic: &str) -> CreateTopicsRequest {
        let config = |(name, value): &(&'static str, &'static str)| CreatableTopicConfig {
            name: ByteString::from_static(name),
            value: Some(ByteString::from_static(value)),
            ..Default::default()
        };
        let topic = CreatableTopic {
            name: ByteString::from(topic),
            num_partitions: i32::from(BROKER_DEFAULT),
            replication_factor: BROKER_DEFAULT,
            configs: CREATED_TOPIC_CONFIGS.iter().map(config).collect(),
            ..Default::default()
        };
        CreateTopicsRequest { topics: vec![topic], timeout_ms: self.request_timeout_ms, ..Default::default() }
    }

    fn max_message_bytes(&self, topic: &str) -> usize {
        max_message_bytes(&topic_config(&self.config, &self.metadata.image(), Some(topic)))
    }
}

impl DeadLetterSink for DeadLetterQueues {
    fn target(&self, group_id: &str) -> DeadLetterTarget {
        target(&self.config, &self.metadata.image(), group_id)
    }

    fn create_topic<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), ErrorCode>> {
        Box::pin(async move {
            let response = self.controller.create_topics(&self.call, self.creation(topic)).await;
            let Some(created) = response.topics.first() else {
                return Err(ErrorCode::UnknownTopicOrPartition);
            };
            match ErrorCode::from_code(created.error_code) {
                ErrorCode::None => Ok(()),
                error => {
                    let message = created.error_message.as_deref().unwrap_or_default();
                    if !is_retriable_create_error(error) {
                        error!(target: LOGGER, "Unable to create DLQ topic {topic}: {error} {message}");
                    }
                    Err(error)
                }
            }
        })
    }

    fn produce<'a>(
        &'a self,
        tp: &'a TopicPartition,
        records: MemoryRecords,
    ) -> BoxFuture<'a, Result<(), ErrorCode>> {
        Box::pin(async move {
            // A leader that is not known now will be known soon, or the topic is gone.
            let leader = self.channel.leader_of(&tp.topic, tp.partition);
            let node_id = leader.ok_or(ErrorCode::NotLeaderOrFollower)?;
            let topic_id = self.metadata.topic_id(&tp.topic);
            let lane = Lane { node_id, topic_id, tp: tp.clone() };
            self.lanes.produce(lane, records, self.max_message_bytes(&tp.topic)).await
        })
    }
}

/// What a group's queue is now.
fn target(live: &LiveConfig, image: &MetadataImage, group_id: &str) -> DeadLetterTarget {
    let config = live.current();
    let group = ConfigResource::new(ConfigResourceType::Group, group_id);
    let of_group = |key: &str| image.configs.value(&group, key);
    let name = of_group("errors.deadletterqueue.topic.name").filter(|name| !name.is_empty());
    let copies = of_group("errors.deadletterqueue.copy.record.enable");
    let topic = name.and_then(|name| image.topics.topic_by_name(name));
    let settings = topic_config(live, image, name);
    DeadLetterTarget {
        name: name.map(Arc::from),
        prefix: config.values().typed::<String>("errors.deadletterqueue.topic.name.prefix").into(),
        num_partitions: topic.map(|topic| i32::try_from(topic.partitions.size()).unwrap_or(i32::MAX)),
        enabled: settings.as_ref().is_some_and(|config| config.typed("errors.deadletterqueue.group.enable")),
        auto_create: config.values().typed("errors.deadletterqueue.auto.create.topics.enable"),
        max_message_bytes: max_message_bytes(&settings),
        copy_records: copies.is_some_and(|copies| copies.trim().eq_ignore_ascii_case("true")),
    }
}

/// A topic's settings; those of a topic without any of its own, if it has none or is not there. `None` if they make
/// no sense.
fn topic_config(live: &LiveConfig, image: &MetadataImage, topic: Option<&str>) -> Option<ConfigValues> {
    let set = topic.and_then(|topic| image.configs.get(&ConfigResource::topic(topic)));
    let overrides: Properties = properties(set);
    live.current().topic_config(&overrides).ok()
}

fn max_message_bytes(config: &Option<ConfigValues>) -> usize {
    let bytes = config.as_ref().map_or(0, |config| config.typed::<i32>("max.message.bytes"));
    usize::try_from(bytes).unwrap_or(0)
}

/// Produce requests over the channel between brokers.
#[derive(Debug)]
struct ProduceChannel {
    channel: Arc<InterBrokerChannel>,
    timeout_ms: i32,
}

impl BatchSender for ProduceChannel {
    async fn send(&self, lane: &Lane, records: MemoryRecords) -> Result<(), ErrorCode> {
        let request = produce_request(lane, records, self.timeout_ms);
        let response = self.channel.send(lane.node_id, OLDEST_PRODUCE_VERSION, &request).await;
        outcome(&response.map_err(error_code)?, lane)
    }
}

fn produce_request(lane: &Lane, records: MemoryRecords, timeout_ms: i32) -> ProduceRequest {
    let data = PartitionProduceData {
        index: lane.tp.partition,
        records: Some(records.into_bytes().into()),
        ..Default::default()
    };
    let topic = TopicProduceData {
        name: ByteString::from(&*lane.tp.topic),
        topic_id: lane.topic_id,
        partition_data: vec![data],
        ..Default::default()
    };
    ProduceRequest { acks: ACKS_ALL, timeout_ms, topic_data: vec![topic], ..Default::default() }
}

fn outcome(response: &ProduceResponse, lane: &Lane) -> Result<(), ErrorCode> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    let answer = partitions.into_iter().find(|partition| partition.index == lane.tp.partition);
    let answer = answer.ok_or(ErrorCode::UnknownServerError)?;
    match ErrorCode::from_code(answer.error_code) {
        ErrorCode::None => Ok(()),
        error => {
            let message = answer.error_message.as_deref().unwrap_or_default();
            if !is_retriable_produce_error(error) {
                error!(target: LOGGER, "Unable to produce to DLQ topic {}: {error} {message}", lane.tp);
            }
            Err(error)
        }
    }
}
