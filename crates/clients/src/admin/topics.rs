use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use ottla_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeTopicPartitionsRequest,
    ListPartitionReassignmentsRequest,
};

use super::{Admin, Outcomes};
use crate::partitions::tp;
use crate::{ClientError, PartitionMetadata, TopicMetadata};

/// A topic to create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; `None` takes the cluster's `num.partitions`.
    pub num_partitions: Option<i32>,
    /// How many replicas; `None` takes the cluster's `default.replication.factor`.
    pub replication_factor: Option<i16>,
    /// Brokers of each partition, instead of the two numbers above.
    pub assignments: BTreeMap<i32, Vec<i32>>,
    /// Configuration that differs from the cluster's.
    pub configs: BTreeMap<String, String>,
}

/// A topic that was created (or could be, when only validated).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id.
    pub topic_id: Uuid,
    /// How many partitions it got.
    pub num_partitions: i32,
    /// How many replicas.
    pub replication_factor: i16,
}

/// Partitions to add to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartitions {
    /// The topic.
    pub topic: String,
    /// How many partitions it shall have in all.
    pub total_count: i32,
    /// Brokers of each new partition; `None` leaves it to the controller.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// A topic by name and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: ByteString,
    /// Its id.
    pub topic_id: Uuid,
    /// Whether the brokers own it.
    pub is_internal: bool,
}

/// The replicas that a running reassignment adds and removes (KIP-455).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reassignment {
    /// Those that are to hold the partition.
    pub adding: Vec<i32>,
    /// Those that are to forget it.
    pub removing: Vec<i32>,
}

/// Kafka's way to say "the cluster's default" (KIP-464).
const CLUSTER_DEFAULT: i16 = -1;

impl NewTopic {
    /// A topic with the cluster's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The same with this many partitions and replicas.
    #[must_use]
    pub fn sized(mut self, partitions: i32, replication_factor: i16) -> Self {
        (self.num_partitions, self.replication_factor) = (Some(partitions), Some(replication_factor));
        self
    }

    /// The same with one configuration set.
    #[must_use]
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(key.into(), value.into());
        self
    }

    fn to_wire(&self) -> CreatableTopic {
        let assignments: Vec<_> = self
            .assignments
            .iter()
            .map(|(partition, brokers)| CreatableReplicaAssignment {
                partition_index: *partition,
                broker_ids: brokers.clone(),
                ..Default::default()
            })
            .collect();
        let configs = self.configs.iter().map(|(name, value)| CreatableTopicConfig {
            name: name.as_str().into(),
            value: Some(value.as_str().into()),
            ..Default::default()
        });
        CreatableTopic {
            name: self.name.as_str().into(),
            num_partitions: self.num_partitions.unwrap_or(CLUSTER_DEFAULT.into()),
            replication_factor: self.replication_factor.unwrap_or(CLUSTER_DEFAULT),
            assignments,
            configs: configs.collect(),
            ..Default::default()
        }
    }
}

impl Admin {
    /// Creates topics, or only says whether it could.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Outcomes<ByteString, CreatedTopic>, ClientError> {
        let request = CreateTopicsRequest {
            topics: topics.iter().map(NewTopic::to_wire).collect(),
            timeout_ms: self.timeout_ms(),
            validate_only,
            ..CreateTopicsRequest::default()
        };
        let response = self.client.send_any(&request).await?;
        let outcome = response.topics.into_iter().map(|t| {
            let what = format!("topic {}", t.name);
            let created = CreatedTopic {
                topic_id: t.topic_id,
                num_partitions: t.num_partitions,
                replication_factor: t.replication_factor,
            };
            let result = ClientError::check(what, t.error_code, t.error_message.as_deref());
            (t.name, result.map(|()| created))
        });
        Ok(outcome.collect())
    }

    /// Deletes topics by name.
    pub async fn delete_topics(&self, topics: &[&str]) -> Result<Outcomes<ByteString, ()>, ClientError> {
        const WITH_IDS: i16 = 6;
        let timeout_ms = self.timeout_ms();
        let response = self
            .client
            .retrying("DeleteTopics", || async {
                let connection = self.client.any().await?;
                let version = connection.version::<DeleteTopicsRequest>()?;
                let mut request = DeleteTopicsRequest { timeout_ms, ..DeleteTopicsRequest::default() };
                if version >= WITH_IDS {
                    let named = |t: &&str| DeleteTopicState { name: Some((*t).into()), ..Default::default() };
                    request.topics = topics.iter().map(named).collect();
                } else {
                    request.topic_names = topics.iter().map(|t| (*t).into()).collect();
                }
                connection.send_version(&request, version, self.client.settings().request_timeout).await
            })
            .await?;
        for topic in topics {
            self.client.forget_topic(topic);
        }
        let outcome = response.responses.into_iter().map(|t| {
            let name = t.name.unwrap_or_default();
            let what = format!("topic {name}");
            (name, ClientError::check(what, t.error_code, t.error_message.as_deref()))
        });
        Ok(outcome.collect())
    }

    /// Adds partitions to topics, or only says whether it could.
    pub async fn create_partitions(
        &self,
        partitions: &[NewPartitions],
        validate_only: bool,
    ) -> Result<Outcomes<ByteString, ()>, ClientError> {
        let assignment = |brokers: &Vec<i32>| CreatePartitionsAssignment {
            broker_ids: brokers.clone(),
            ..Default::default()
        };
        let topics = partitions.iter().map(|p| CreatePartitionsTopic {
            name: p.topic.as_str().into(),
            count: p.total_count,
            assignments: p.assignments.as_ref().map(|a| a.iter().map(assignment).collect()),
            ..Default::default()
        });
        let request = CreatePartitionsRequest {
            topics: topics.collect(),
            timeout_ms: self.timeout_ms(),
            validate_only,
            ..CreatePartitionsRequest::default()
        };
        let response = self.client.send_any(&request).await?;
        let outcome = response.results.into_iter().map(|t| {
            self.client.forget_topic(&t.name);
            let what = format!("topic {}", t.name);
            (t.name, ClientError::check(what, t.error_code, t.error_message.as_deref()))
        });
        Ok(outcome.collect())
    }

    /// Every topic, by name. Those of the brokers are among them.
    pub async fn list_topics(&self) -> Result<Vec<TopicListing>, ClientError> {
        let metadata = self.client.retrying("Metadata", || self.client.refresh_metadata(None, false)).await?;
        let mut topics: Vec<_> = metadata
            .topics
            .values()
            .map(|t| TopicListing { name: t.name.clone(), topic_id: t.topic_id, is_internal: t.is_internal })
            .collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Topics with their partitions.
    pub async fn describe_topics(
        &self,
        topics: &[&str],
    ) -> Result<Outcomes<ByteString, TopicMetadata>, ClientError> {
        const PARTITIONS_PER_ANSWER: i32 = 2000;
        self.describe_topics_paged(topics, PARTITIONS_PER_ANSWER).await
    }

    /// Topics with their partitions, of which an answer holds no more than the limit (KIP-966).
    pub async fn describe_topics_paged(
        &self,
        topics: &[&str],
        limit: i32,
    ) -> Result<Outcomes<ByteString, TopicMetadata>, ClientError> {
        let mut left: Vec<ByteString> = topics.iter().map(|t| (*t).into()).collect();
        left.sort();
        left.dedup();
        let mut found: Vec<TopicMetadata> = Vec::new();
        let mut cursor = None;
        loop {
            let topic = |name: &ByteString| TopicRequest { name: name.clone(), ..Default::default() };
            let request = DescribeTopicPartitionsRequest {
                topics: left.iter().map(topic).collect(),
                response_partition_limit: limit,
                cursor,
                ..DescribeTopicPartitionsRequest::default()
            };
            let response = match self.client.send_any(&request).await {
                Err(ClientError::UnsupportedVersion { .. }) => return self.topics_of_metadata(&left).await,
                answered => answered?,
            };
            for t in response.topics {
                let partitions = t.partitions.into_iter().map(PartitionMetadata::described);
                let name = t.name.unwrap_or_default();
                match found.last_mut().filter(|last| last.name == name) {
                    Some(last) => last.partitions.extend(partitions),
                    None => found.push(TopicMetadata {
                        name,
                        topic_id: t.topic_id,
                        is_internal: t.is_internal,
                        error: ErrorCode::from_code(t.error_code),
                        partitions: partitions.collect(),
                    }),
                }
            }
            let Some(next) = response.next_cursor else { break };
            left.retain(|name| *name >= next.topic_name);
            let (topic_name, partition_index) = (next.topic_name, next.partition_index);
            cursor = Some(Cursor { topic_name, partition_index, ..Cursor::default() });
        }
        Ok(found.into_iter().map(|topic| (topic.name.clone(), topic.check())).collect())
    }

    /// Topics as brokers before 3.8 describe them.
    async fn topics_of_metadata(
        &self,
        names: &[ByteString],
    ) -> Result<Outcomes<ByteString, TopicMetadata>, ClientError> {
        let metadata =
            self.client.retrying("Metadata", || self.client.refresh_metadata(Some(names), false)).await?;
        let known = names.iter().filter_map(|name| metadata.topics.get(name));
        Ok(known.map(|topic| (topic.name.clone(), topic.clone().check())).collect())
    }

    /// What running reassignments change.
    pub async fn list_partition_reassignments(
        &self,
    ) -> Result<BTreeMap<TopicPartition, Reassignment>, ClientError> {
        let request = ListPartitionReassignmentsRequest {
            topics: None,
            timeout_ms: self.timeout_ms(),
            ..ListPartitionReassignmentsRequest::default()
        };
        let response = self.client.send_any(&request).await?;
        ClientError::check("reassignments", response.error_code, response.error_message.as_deref())?;
        let mut running = BTreeMap::new();
        for t in response.topics {
            for p in t.partitions {
                let change = Reassignment { adding: p.adding_replicas, removing: p.removing_replicas };
                running.insert(tp(&t.name, p.partition_index), change);
            }
        }
        Ok(running)
    }
}
