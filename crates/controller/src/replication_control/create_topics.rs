//! CreateTopics.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytestring::ByteString;
use ottla_common::{ErrorCode, internal_topics};
use ottla_metadata::{ApiMessageAndVersion, ConfigResource, PartitionRegistration};
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use ottla_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use ottla_protocol::records::metadata::TopicRecord;

use super::topic_name;
use crate::configuration_control::ConfigOp;
use crate::placement::StripedReplicaPlacer;
use crate::quorum_controller::{MAX_RECORDS_PER_USER_OP, QuorumController};
use crate::random::Random;
use crate::result::{ApiError, ControllerResult, code_and_message};

/// The most partitions one request may create.
const MAX_PARTITIONS_PER_BATCH: usize = MAX_RECORDS_PER_USER_OP;

/// Which created topics' configurations the caller may see.
#[derive(Debug, Clone)]
pub enum Describable {
    /// Every topic.
    All,
    /// These topics.
    Only(BTreeSet<String>),
}

impl Describable {
    fn allows(&self, topic: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(topics) => topics.contains(topic),
        }
    }
}

struct NewTopic {
    records: Vec<ApiMessageAndVersion>,
    result: CreatableTopicResult,
}

impl QuorumController {
    /// Decides a CreateTopics request. Topics fail or succeed one by one.
    pub fn create_topics(
        &self,
        request: &CreateTopicsRequest,
        describable: &Describable,
        random: &mut dyn Random,
    ) -> Result<ControllerResult<CreateTopicsResponse>, ApiError> {
        self.validate_total_number_of_partitions(request)?;
        let mut records = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        let mut told_duplicate = HashSet::new();
        for topic in &request.topics {
            let duplicate = request.topics.iter().filter(|other| other.name == topic.name).nth(1).is_some();
            let result = if duplicate {
                if !told_duplicate.insert(&topic.name) {
                    continue;
                }
                Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
            } else {
                self.create_topic(topic, describable.allows(&topic.name), random)
            };
            let result = result.and_then(|new| {
                if records.len() + new.records.len() > MAX_RECORDS_PER_USER_OP {
                    let message = "Unable to perform excessively large batch operation.";
                    return Err(ApiError::new(ErrorCode::PolicyViolation, message));
                }
                Ok(new)
            });
            topics.push(match result {
                Ok(new) => {
                    records.extend(new.records);
                    new.result
                }
                Err(error) => failed(&topic.name, &error),
            });
        }
        let response = CreateTopicsResponse { topics, ..Default::default() };
        let result = ControllerResult::atomic_of(records, response);
        Ok(if request.validate_only { result.without_records() } else { result })
    }

    fn validate_total_number_of_partitions(&self, request: &CreateTopicsRequest) -> Result<(), ApiError> {
        let mut total = 0usize;
        for topic in &request.topics {
            total = total.saturating_add(match (topic.assignments.len(), topic.num_partitions) {
                (0, -1) => usize::try_from(self.config.default_num_partitions).unwrap_or(0),
                (0, asked) => usize::try_from(asked).unwrap_or(0),
                (assigned, _) => assigned,
            });
            if total > MAX_PARTITIONS_PER_BATCH {
                let message = "Excessively large number of partitions per request.";
                return Err(ApiError::new(ErrorCode::PolicyViolation, message));
            }
        }
        Ok(())
    }

    fn create_topic(
        &self,
        topic: &CreatableTopic,
        describable: bool,
        random: &mut dyn Random,
    ) -> Result<NewTopic, ApiError> {
        self.validate_new_topic_name(&topic.name)?;
        let configs = creation_configs(topic)?;
        let resource = ConfigResource::topic(&*topic.name);
        let ops: BTreeMap<String, ConfigOp> =
            configs.iter().map(|(key, value)| (key.clone(), ConfigOp::Set(value.clone()))).collect();
        let config_records =
            if ops.is_empty() { Vec::new() } else { self.alter_config_records(&resource, &ops, true)? };
        let partitions = if topic.assignments.is_empty() {
            self.place_partitions(topic, random)?
        } else {
            self.assign_partitions(topic)?
        };
        let topic_id = random.uuid();
        let name = ByteString::from(&*topic.name);
        let record = TopicRecord { name: name.clone(), topic_id, ..Default::default() };
        let mut records = vec![ApiMessageAndVersion::new(record, 0)];
        records.extend(config_records);
        let options = self.writer_options();
        for (index, partition) in partitions.iter().enumerate() {
            records.push(partition.to_record(topic_id, index as i32, &options));
        }
        let mut result = CreatableTopicResult { name, topic_id, error_message: None, ..Default::default() };
        if describable {
            result.configs = Some(self.describe_creation(&configs));
            result.num_partitions = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
            let replicas = partitions.first().map_or(0, |p| p.replicas.len());
            result.replication_factor = i16::try_from(replicas).unwrap_or(i16::MAX);
        } else {
            result.topic_config_error_code = ErrorCode::TopicAuthorizationFailed.code();
        }
        Ok(NewTopic { records, result })
    }

    fn validate_new_topic_name(&self, name: &str) -> Result<(), ApiError> {
        if name == internal_topics::CLUSTER_METADATA_TOPIC {
            return Err(ApiError::code(ErrorCode::TopicAuthorizationFailed));
        }
        topic_name::validate(name)?;
        if self.image().topics.topic_id(name).is_some() {
            let message = format!("Topic '{name}' already exists.");
            return Err(ApiError::new(ErrorCode::TopicAlreadyExists, message));
        }
        if let Some(other) = self.state().colliding_topic(name) {
            let message = format!("Topic '{name}' collides with existing topic: {other}");
            return Err(ApiError::new(ErrorCode::InvalidTopicException, message));
        }
        Ok(())
    }

    fn assign_partitions(&self, topic: &CreatableTopic) -> Result<Vec<PartitionRegistration>, ApiError> {
        let invalid = |code, message: String| Err(ApiError::new(code, message));
        let what = "A manual partition assignment was specified, but";
        if topic.replication_factor != -1 {
            return invalid(
                ErrorCode::InvalidRequest,
                format!("{what} replication factor was not set to -1."),
            );
        }
        if topic.num_partitions != -1 {
            return invalid(ErrorCode::InvalidRequest, format!("{what} numPartitions was not set to -1."));
        }
        let mut partitions = BTreeMap::new();
        let mut replication_factor = None;
        for assignment in &topic.assignments {
            let index = assignment.partition_index;
            if partitions.contains_key(&index) {
                return invalid(
                    ErrorCode::InvalidReplicaAssignment,
                    format!("Found multiple manual partition assignments for partition {index}"),
                );
            }
            self.validate_manual_assignment(&assignment.broker_ids, replication_factor)?;
            replication_factor = Some(assignment.broker_ids.len());
            let isr = self.active_of(&assignment.broker_ids);
            if isr.is_empty() {
                return invalid(
                    ErrorCode::InvalidReplicaAssignment,
                    format!(
                        "All brokers specified in the manual partition assignment for partition {index} are \
                         fenced or in controlled shutdown."
                    ),
                );
            }
            partitions.insert(index, self.new_partition(assignment.broker_ids.clone(), isr));
        }
        if partitions.keys().zip(0..).any(|(index, expected)| *index != expected) {
            let message = "partitions should be a consecutive 0-based integer sequence";
            return invalid(ErrorCode::InvalidReplicaAssignment, message.to_owned());
        }
        Ok(partitions.into_values().collect())
    }

    fn place_partitions(
        &self,
        topic: &CreatableTopic,
        random: &mut dyn Random,
    ) -> Result<Vec<PartitionRegistration>, ApiError> {
        if topic.replication_factor < -1 || topic.replication_factor == 0 {
            let message = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message));
        }
        if topic.num_partitions < -1 || topic.num_partitions == 0 {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(ApiError::new(ErrorCode::InvalidPartitions, message));
        }
        let or_default = |asked, default| if asked == -1 { default } else { asked };
        let count = or_default(topic.num_partitions, self.config.default_num_partitions);
        let factor = match topic.replication_factor {
            -1 => self.config.default_replication_factor,
            asked => asked,
        };
        let unable = |message: &str| {
            let message = format!("Unable to replicate the partition {factor} time(s): {message}");
            ApiError::new(ErrorCode::InvalidReplicationFactor, message)
        };
        let mut placer = StripedReplicaPlacer::new(self.usable_brokers(), random);
        let placed = placer
            .place(usize::try_from(count).unwrap_or(0), factor, random)
            .map_err(|error| unable(error.message.as_deref().unwrap_or_default()))?;
        placed
            .into_iter()
            .map(|replicas| {
                let isr = self.active_of(&replicas);
                if isr.is_empty() {
                    return Err(unable("All brokers are currently fenced or in controlled shutdown."));
                }
                Ok(self.new_partition(replicas, isr))
            })
            .collect()
    }

    fn describe_creation(&self, configs: &BTreeMap<String, String>) -> Vec<CreatableTopicConfigs> {
        let entries = self.schema.effective_topic_configs(configs, self.layers_below_topic());
        let describe = |entry: crate::config_schema::TopicConfigEntry| CreatableTopicConfigs {
            name: entry.name.into(),
            value: entry.value.filter(|_| !entry.is_sensitive).map(Into::into),
            read_only: entry.is_read_only,
            config_source: entry.source,
            is_sensitive: entry.is_sensitive,
            ..Default::default()
        };
        entries.into_iter().map(describe).collect()
    }
}

fn creation_configs(topic: &CreatableTopic) -> Result<BTreeMap<String, String>, ApiError> {
    let nulls: Vec<&str> = topic.configs.iter().filter(|c| c.value.is_none()).map(|c| &*c.name).collect();
    if !nulls.is_empty() {
        let message = format!("Null value not supported for topic configs: {}", nulls.join(","));
        return Err(ApiError::new(ErrorCode::InvalidConfig, message));
    }
    let set = topic.configs.iter().filter_map(|c| Some((c.name.to_string(), c.value.as_ref()?.to_string())));
    Ok(set.collect())
}

fn failed(name: &ByteString, error: &ApiError) -> CreatableTopicResult {
    let (error_code, error_message) = code_and_message::<()>(&Err(error.clone()));
    CreatableTopicResult { name: name.clone(), error_code, error_message, ..Default::default() }
}
