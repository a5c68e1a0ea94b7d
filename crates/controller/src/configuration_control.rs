//! Dynamic configuration: what Kafka calls the configuration control manager.

use std::collections::{BTreeMap, BTreeSet};

use ottla_common::ErrorCode;
use ottla_metadata::image::ConfigurationImage;
use ottla_metadata::{ApiMessageAndVersion, ConfigResource, ConfigResourceType};
use ottla_protocol::messages::alter_configs_request::AlterConfigsRequest;
use ottla_protocol::messages::alter_configs_response::{
    AlterConfigsResourceResponse as OldResourceResponse, AlterConfigsResponse,
};
use ottla_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, IncrementalAlterConfigsRequest,
};
use ottla_protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};
use ottla_protocol::records::metadata::{ClearElrRecord, ConfigRecord, MetadataRecord};

use crate::quorum_controller::{MAX_RECORDS_PER_USER_OP, MIN_IN_SYNC_REPLICAS, QuorumController};
use crate::result::{ApiError, ControllerResult, code_and_message};

const CORDONED_LOG_DIRS: &str = "cordoned.log.dirs";
const MAX_VALUE_LENGTH: usize = i16::MAX as usize;

/// What to do with one key (KIP-339).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOp {
    /// Set the value.
    Set(String),
    /// Go back to the default.
    Delete,
    /// Add to a list.
    Append(String),
    /// Take from a list.
    Subtract(String),
}

impl QuorumController {
    /// Decides an IncrementalAlterConfigs request. Resources fail or succeed one by one.
    pub fn incremental_alter_configs(
        &self,
        request: &IncrementalAlterConfigsRequest,
    ) -> ControllerResult<IncrementalAlterConfigsResponse> {
        let keys: Vec<_> = request.resources.iter().map(|r| (r.resource_type, &*r.resource_name)).collect();
        let mut records = Vec::new();
        let mut responses = Vec::with_capacity(keys.len());
        for index in distinct_resources(&keys) {
            let asked = &request.resources[index];
            let result = resource_of(&keys, index)
                .and_then(|resource| self.alter_config_records(&resource, &config_ops(asked)?, false))
                .and_then(|new| within_limit(&records, new));
            let (error_code, error_message) = code_and_message(&result);
            records.extend(result.unwrap_or_default());
            responses.push(AlterConfigsResourceResponse {
                error_code,
                error_message,
                resource_type: asked.resource_type,
                resource_name: asked.resource_name.clone(),
                ..Default::default()
            });
        }
        let response = IncrementalAlterConfigsResponse { responses, ..Default::default() };
        let result = ControllerResult::atomic_of(records, response);
        if request.validate_only { result.without_records() } else { result }
    }

    /// Decides an AlterConfigs request, which replaces the whole configuration of each resource.
    pub fn alter_configs(&self, request: &AlterConfigsRequest) -> ControllerResult<AlterConfigsResponse> {
        let keys: Vec<_> = request.resources.iter().map(|r| (r.resource_type, &*r.resource_name)).collect();
        let mut records = Vec::new();
        let mut responses = Vec::with_capacity(keys.len());
        for index in distinct_resources(&keys) {
            let asked = &request.resources[index];
            let new = asked
                .configs
                .iter()
                .map(|c| (c.name.to_string(), c.value.as_ref().map(ToString::to_string)))
                .collect();
            let result = resource_of(&keys, index)
                .and_then(|resource| self.replace_config_records(&resource, &new))
                .and_then(|new| within_limit(&records, new));
            let (error_code, error_message) = code_and_message(&result);
            records.extend(result.unwrap_or_default());
            responses.push(OldResourceResponse {
                error_code,
                error_message,
                resource_type: asked.resource_type,
                resource_name: asked.resource_name.clone(),
                ..Default::default()
            });
        }
        let response = AlterConfigsResponse { responses, ..Default::default() };
        let result = ControllerResult::atomic_of(records, response);
        if request.validate_only { result.without_records() } else { result }
    }

    /// The records that carry out the operations on one resource.
    pub(crate) fn alter_config_records(
        &self,
        resource: &ConfigResource,
        ops: &BTreeMap<String, ConfigOp>,
        newly_created: bool,
    ) -> Result<Vec<ApiMessageAndVersion>, ApiError> {
        let current = self.current_config(resource);
        let mut changes = BTreeMap::new();
        for (key, op) in ops {
            let old = current.get(key).cloned();
            let new = match op {
                ConfigOp::Set(value) => Some(value.clone()),
                ConfigOp::Delete => None,
                ConfigOp::Append(_) | ConfigOp::Subtract(_) => {
                    Some(self.alter_list(resource.resource_type, key, op, old.as_deref())?)
                }
            };
            // Brokers write even what is the same: it makes them read their files anew.
            if new != old || resource.resource_type == ConfigResourceType::Broker {
                changes.insert(key.clone(), new);
            }
        }
        self.validate_alter_config(resource, &changes, newly_created)?;
        Ok(self.config_records(resource, &changes))
    }

    fn replace_config_records(
        &self,
        resource: &ConfigResource,
        new: &BTreeMap<String, Option<String>>,
    ) -> Result<Vec<ApiMessageAndVersion>, ApiError> {
        let current = self.current_config(resource);
        let is_broker = resource.resource_type == ConfigResourceType::Broker;
        let mut changes: BTreeMap<String, Option<String>> = new
            .iter()
            .filter(|(key, value)| is_broker || current.get(*key) != value.as_ref())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        for (key, _) in current.iter().filter(|(key, _)| !new.contains_key(*key)) {
            changes.insert(key.clone(), None);
        }
        self.validate_alter_config(resource, &changes, false)?;
        Ok(self.config_records(resource, &changes))
    }

    fn current_config(&self, resource: &ConfigResource) -> ConfigurationImage {
        self.image().configs.get(resource).cloned().unwrap_or_default()
    }

    fn alter_list(
        &self,
        resource_type: ConfigResourceType,
        key: &str,
        op: &ConfigOp,
        old: Option<&str>,
    ) -> Result<String, ApiError> {
        let (name, operand) = match op {
            ConfigOp::Append(operand) => ("APPEND", operand),
            ConfigOp::Subtract(operand) => ("SUBTRACT", operand),
            ConfigOp::Set(value) => return Ok(value.clone()),
            ConfigOp::Delete => return Ok(String::new()),
        };
        if !self.schema.is_splittable(resource_type, key) {
            let message = format!("Can't {name} to key {key} because its type is not LIST.");
            return Err(ApiError::new(ErrorCode::InvalidConfig, message));
        }
        let default = self.schema.default_value(resource_type, key);
        let base = old.map(str::to_owned).or(default).unwrap_or_default();
        let mut values: Vec<&str> = base.split(',').filter(|value| !value.is_empty()).collect();
        for value in operand.split(',') {
            let at = values.iter().position(|v| *v == value);
            match (op, at) {
                (ConfigOp::Append(_), None) => values.push(value),
                (ConfigOp::Subtract(_), Some(index)) => {
                    values.remove(index);
                }
                _ => {}
            }
        }
        Ok(values.join(","))
    }

    fn validate_alter_config(
        &self,
        resource: &ConfigResource,
        changes: &BTreeMap<String, Option<String>>,
        newly_created: bool,
    ) -> Result<(), ApiError> {
        let existing: BTreeMap<String, String> =
            self.current_config(resource).iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let mut all = existing.clone();
        for (key, value) in changes {
            self.validate_change(resource, key, value.as_deref())?;
            match value {
                Some(value) => all.insert(key.clone(), value.clone()),
                None => all.remove(key),
            };
        }
        self.schema.validate(resource, &all, &existing)?;
        if newly_created { Ok(()) } else { self.check_exists(resource) }
    }

    /// Rules that depend on more than the key: ELR needs one `min.insync.replicas` for all brokers
    /// (KIP-966), and older levels have no record of cordoned directories (KIP-1066).
    fn validate_change(
        &self,
        resource: &ConfigResource,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), ApiError> {
        let invalid = |message: String| Err(ApiError::new(ErrorCode::InvalidConfig, message));
        let is_broker = resource.resource_type == ConfigResourceType::Broker;
        if is_broker && key == MIN_IN_SYNC_REPLICAS && self.image().features.is_elr_enabled() {
            if !resource.name.is_empty() {
                return invalid(format!("Broker-level {key} cannot be altered while ELR is enabled."));
            }
            if value.is_none() {
                return invalid(format!("Cluster-level {key} cannot be removed while ELR is enabled."));
            }
        }
        if is_broker
            && key == CORDONED_LOG_DIRS
            && !self.state().metadata_version().is_cordoned_log_dirs_supported()
        {
            return invalid(format!(
                "The {key} configuration value cannot be set because it requires metadata.version >= 4.3-IV0"
            ));
        }
        if value.is_some_and(|value| value.encode_utf16().count() > MAX_VALUE_LENGTH) {
            return invalid(format!(
                "The configuration value cannot be added because it exceeds the maximum value size of \
                 {MAX_VALUE_LENGTH} bytes."
            ));
        }
        Ok(())
    }

    fn check_exists(&self, resource: &ConfigResource) -> Result<(), ApiError> {
        let name = &*resource.name;
        match resource.resource_type {
            ConfigResourceType::Broker if !name.is_empty() => {
                let Ok(id) = name.parse::<i32>() else {
                    let message = format!("Invalid broker name {name}");
                    return Err(ApiError::new(ErrorCode::InvalidRequest, message));
                };
                let is_controller = self.config.quorum_node_ids.contains(&id)
                    || self.image().cluster.controllers.contains_key(&id);
                if self.image().cluster.broker(id).is_none() && !is_controller {
                    let message = format!("No node with id {id} found.");
                    return Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message));
                }
            }
            ConfigResourceType::Topic if self.image().topics.topic_id(name).is_none() => {
                let message = format!("The topic '{name}' does not exist.");
                return Err(ApiError::new(ErrorCode::UnknownTopicOrPartition, message));
            }
            _ => {}
        }
        Ok(())
    }

    fn config_records(
        &self,
        resource: &ConfigResource,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Vec<ApiMessageAndVersion> {
        let record = |(key, value): (&String, &Option<String>)| {
            let record = ConfigRecord {
                resource_type: resource.resource_type.id(),
                resource_name: (&*resource.name).into(),
                name: key.as_str().into(),
                value: value.as_deref().map(Into::into),
                ..Default::default()
            };
            ApiMessageAndVersion::new(record, 0)
        };
        let mut records: Vec<_> = changes.iter().map(record).collect();
        // Who was eligible under one min.insync.replicas need not be under another.
        if self.image().features.is_elr_enabled() && changes.contains_key(MIN_IN_SYNC_REPLICAS) {
            let is_topic = resource.resource_type == ConfigResourceType::Topic;
            let topic_name = if is_topic { (&*resource.name).into() } else { "".into() };
            records.push(ApiMessageAndVersion::new(ClearElrRecord { topic_name, ..Default::default() }, 0));
        }
        records
    }

    /// What must be written before ELR is enabled: one `min.insync.replicas` for all brokers, and none for
    /// single ones.
    pub(crate) fn elr_safety_records(&self) -> Vec<ApiMessageAndVersion> {
        let configs = &self.image().configs;
        let mut records = Vec::new();
        if configs.value(&ConfigResource::default_broker(), MIN_IN_SYNC_REPLICAS).is_none() {
            records.push(self.cluster_min_isr_record());
        }
        for (resource, config) in configs.resources.iter() {
            let is_one_broker =
                resource.resource_type == ConfigResourceType::Broker && !resource.name.is_empty();
            if is_one_broker && config.contains_key(MIN_IN_SYNC_REPLICAS) {
                let record = MetadataRecord::ConfigRecord(ConfigRecord {
                    resource_type: resource.resource_type.id(),
                    resource_name: (&*resource.name).into(),
                    name: MIN_IN_SYNC_REPLICAS.into(),
                    value: None,
                    ..Default::default()
                });
                records.push(ApiMessageAndVersion::new(record, 0));
            }
        }
        records
    }
}

/// The first place of each resource.
fn distinct_resources(keys: &[(i8, &str)]) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    (0..keys.len()).filter(|index| seen.insert(keys[*index])).collect()
}

fn resource_of(keys: &[(i8, &str)], index: usize) -> Result<ConfigResource, ApiError> {
    let (number, name) = keys[index];
    let resource_type = ConfigResourceType::from_id(number);
    if resource_type == ConfigResourceType::Unknown {
        let message = format!("Unknown resource type {number}.");
        return Err(ApiError::new(ErrorCode::UnsupportedVersion, message));
    }
    if keys.iter().filter(|key| **key == keys[index]).count() > 1 {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate resource."));
    }
    Ok(ConfigResource::new(resource_type, name))
}

fn config_ops(resource: &AlterConfigsResource) -> Result<BTreeMap<String, ConfigOp>, ApiError> {
    let mut ops = BTreeMap::new();
    for config in &resource.configs {
        let value = || {
            config.value.as_ref().map(ToString::to_string).ok_or_else(|| {
                let message = format!("Null value not supported for : {}", config.name);
                ApiError::new(ErrorCode::InvalidRequest, message)
            })
        };
        let op = match config.config_operation {
            0 => ConfigOp::Set(value()?),
            1 => ConfigOp::Delete,
            2 => ConfigOp::Append(value()?),
            3 => ConfigOp::Subtract(value()?),
            other => {
                let message = format!("Unknown operation type {other}");
                return Err(ApiError::new(ErrorCode::InvalidRequest, message));
            }
        };
        if ops.insert(config.name.to_string(), op).is_some() {
            let message = format!("Error due to duplicate config keys: {}", config.name);
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
    }
    Ok(ops)
}

fn within_limit(
    records: &[ApiMessageAndVersion],
    new: Vec<ApiMessageAndVersion>,
) -> Result<Vec<ApiMessageAndVersion>, ApiError> {
    if records.len() + new.len() > MAX_RECORDS_PER_USER_OP {
        let message = "Unable to perform excessively large batch operation.";
        return Err(ApiError::new(ErrorCode::PolicyViolation, message));
    }
    Ok(new)
}
