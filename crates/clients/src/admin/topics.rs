use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::{CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest};

use super::{Admin, Outcomes};
use crate::{ClientError, TopicMetadata};

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

    /// Topics with their partitions, in the order asked for.
    pub async fn describe_topics(
        &self,
        topics: &[&str],
    ) -> Result<Outcomes<ByteString, TopicMetadata>, ClientError> {
        let names: Vec<ByteString> = topics.iter().map(|t| (*t).into()).collect();
        let metadata =
            self.client.retrying("Metadata", || self.client.refresh_metadata(Some(&names), false)).await?;
        let outcome = names.into_iter().map(|name| {
            let known = metadata.topics.get(&name).cloned();
            let error = known.as_ref().map_or(ErrorCode::UnknownTopicOrPartition, |t| t.error);
            let result = match known {
                Some(topic) if error.is_none() => Ok(topic),
                _ => Err(ClientError::api(format!("topic {name}"), error, None)),
            };
            (name, result)
        });
        Ok(outcome.collect())
    }
}
