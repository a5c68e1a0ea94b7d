//! The handlers' view of the active controller.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use ottla_apis::Call;
use ottla_apis::context::{BoxFuture, Controller};
use ottla_common::ErrorCode;
use ottla_common::config::ConfigError;
use ottla_controller::{ApiError, Describable};
use ottla_metadata::{ConfigResource, ConfigResourceType};
use ottla_protocol::messages::*;
use tokio::sync::watch;
use tokio::time::timeout;

use super::live_config::{LiveConfig, properties};
use crate::config::AlterOp;
use crate::controller::QuorumControllerHandle;
use crate::raft::RaftClient;

/// Passes requests to the controller in this process.
#[derive(Debug)]
pub struct ControllerRequests {
    /// The controller.
    pub controller: QuorumControllerHandle,
    /// The metadata quorum.
    pub raft: RaftClient,
    /// How far this broker has followed the metadata log.
    pub applied_offset: watch::Receiver<i64>,
    /// This broker's configuration: changes of it are checked before the controller sees them.
    pub config: Arc<LiveConfig>,
}

fn text(error: &ApiError) -> Option<ByteString> {
    error.message.as_deref().map(ByteString::from)
}

impl Controller for ControllerRequests {
    fn create_topics<'a>(
        &'a self,
        _: &'a Call,
        request: CreateTopicsRequest,
    ) -> BoxFuture<'a, CreateTopicsResponse> {
        Box::pin(async move {
            let names: Vec<ByteString> = request.topics.iter().map(|t| t.name.clone()).collect();
            match self.applied(self.controller.create_topics(request, Describable::All).await).await {
                Ok(response) => response,
                Err(error) => CreateTopicsResponse {
                    topics: names
                        .into_iter()
                        .map(|name| create_topics_response::CreatableTopicResult {
                            name,
                            error_code: error.code.code(),
                            error_message: text(&error),
                            ..Default::default()
                        })
                        .collect(),
                    ..Default::default()
                },
            }
        })
    }

    fn delete_topics<'a>(
        &'a self,
        call: &'a Call,
        request: DeleteTopicsRequest,
    ) -> BoxFuture<'a, DeleteTopicsResponse> {
        Box::pin(async move {
            let wanted = request.clone();
            let deleted = if !self.config.current().settings.server.delete_topic_enable {
                Err(deletion_disabled(call.version))
            } else {
                self.applied(self.controller.delete_topics(request).await).await
            };
            let mut response = match deleted {
                Ok(response) => response,
                Err(error) => failed_deletes(&wanted, &error),
            };
            if call.version < 5 {
                response.responses.iter_mut().for_each(|r| r.error_message = None);
            }
            response
        })
    }

    fn create_partitions<'a>(
        &'a self,
        _: &'a Call,
        request: CreatePartitionsRequest,
    ) -> BoxFuture<'a, CreatePartitionsResponse> {
        Box::pin(async move {
            let names: Vec<ByteString> = request.topics.iter().map(|t| t.name.clone()).collect();
            match self.applied(self.controller.create_partitions(request).await).await {
                Ok(response) => response,
                Err(error) => CreatePartitionsResponse {
                    results: names
                        .into_iter()
                        .map(|name| create_partitions_response::CreatePartitionsTopicResult {
                            name,
                            error_code: error.code.code(),
                            error_message: text(&error),
                            ..Default::default()
                        })
                        .collect(),
                    ..Default::default()
                },
            }
        })
    }

    fn incremental_alter_configs<'a>(
        &'a self,
        _: &'a Call,
        mut request: IncrementalAlterConfigsRequest,
    ) -> BoxFuture<'a, IncrementalAlterConfigsResponse> {
        Box::pin(async move {
            let mut refused = Vec::new();
            request.resources.retain(|resource| match self.check_broker_ops(resource) {
                Ok(()) => true,
                Err(error) => {
                    refused
                        .push(incremental_result(resource, &ApiError::new(error.code(), error.to_string())));
                    false
                }
            });
            if request.resources.is_empty() {
                return IncrementalAlterConfigsResponse { responses: refused, ..Default::default() };
            }
            let wanted = request.clone();
            let mut response =
                match self.applied(self.controller.incremental_alter_configs(request).await).await {
                    Ok(response) => response,
                    Err(error) => IncrementalAlterConfigsResponse {
                        responses: wanted.resources.iter().map(|r| incremental_result(r, &error)).collect(),
                        ..Default::default()
                    },
                };
            response.responses.extend(refused);
            response
        })
    }

    fn alter_configs<'a>(
        &'a self,
        _: &'a Call,
        mut request: AlterConfigsRequest,
    ) -> BoxFuture<'a, AlterConfigsResponse> {
        Box::pin(async move {
            let mut refused = Vec::new();
            request.resources.retain(|resource| match self.check_broker_configs(resource) {
                Ok(()) => true,
                Err(error) => {
                    refused.push(alter_result(resource, &ApiError::new(error.code(), error.to_string())));
                    false
                }
            });
            if request.resources.is_empty() {
                return AlterConfigsResponse { responses: refused, ..Default::default() };
            }
            let wanted = request.clone();
            let mut response = match self.applied(self.controller.alter_configs(request).await).await {
                Ok(response) => response,
                Err(error) => AlterConfigsResponse {
                    responses: wanted.resources.iter().map(|r| alter_result(r, &error)).collect(),
                    ..Default::default()
                },
            };
            response.responses.extend(refused);
            response
        })
    }

    fn describe_quorum<'a>(
        &'a self,
        call: &'a Call,
        request: DescribeQuorumRequest,
    ) -> BoxFuture<'a, DescribeQuorumResponse> {
        Box::pin(self.raft.describe_quorum(request, call.version))
    }

    fn update_features<'a>(
        &'a self,
        call: &'a Call,
        request: UpdateFeaturesRequest,
    ) -> BoxFuture<'a, UpdateFeaturesResponse> {
        Box::pin(async move {
            match self.controller.update_features(request, call.version).await {
                Ok(response) => response,
                Err(error) => UpdateFeaturesResponse {
                    error_code: error.code.code(),
                    error_message: text(&error),
                    ..Default::default()
                },
            }
        })
    }
}

/// How long an answer waits for this broker to learn what the controller has done.
const APPLY_PATIENCE: Duration = Duration::from_secs(1);

impl ControllerRequests {
    /// Holds an answer back until this broker serves what was changed, so that a client which creates a
    /// topic and asks this node for it at once finds it. A broker that falls behind delays it only a little.
    async fn applied<T>(&self, answer: Result<T, ApiError>) -> Result<T, ApiError> {
        if answer.is_ok()
            && let Some(high_watermark) = self.raft.high_watermark()
        {
            let mut offset = self.applied_offset.clone();
            let _ = timeout(APPLY_PATIENCE, offset.wait_for(|applied| applied + 1 >= high_watermark)).await;
        }
        answer
    }

    /// Keys of a broker are known best by that broker: only it can say whether they fit its file.
    fn check_broker_ops(
        &self,
        resource: &incremental_alter_configs_request::AlterConfigsResource,
    ) -> Result<(), ConfigError> {
        if ConfigResourceType::from_id(resource.resource_type) != ConfigResourceType::Broker {
            return Ok(());
        }
        let mut ops = Vec::new();
        for config in &resource.configs {
            let Some(op) = AlterOp::from_id(config.config_operation) else {
                return Err(ConfigError::invalid_request(format!("Unknown operation on {}", config.name)));
            };
            ops.push((config.name.to_string(), op, config.value.as_ref().map(ToString::to_string)));
        }
        let current = self.currently_set(&resource.resource_name);
        self.config.current().validate_broker_ops(&resource.resource_name, &current, &ops)
    }

    fn check_broker_configs(
        &self,
        resource: &alter_configs_request::AlterConfigsResource,
    ) -> Result<(), ConfigError> {
        if ConfigResourceType::from_id(resource.resource_type) != ConfigResourceType::Broker {
            return Ok(());
        }
        let set = |c: &alter_configs_request::AlterableConfig| {
            Some((c.name.to_string(), c.value.as_ref()?.to_string()))
        };
        let new = resource.configs.iter().filter_map(set).collect();
        self.config.current().validate_broker_change(&resource.resource_name, &new)
    }

    fn currently_set(&self, name: &str) -> crate::config::Properties {
        let image = self.controller.committed_image();
        properties(image.configs.get(&ConfigResource::new(ConfigResourceType::Broker, name)))
    }
}

fn incremental_result(
    resource: &incremental_alter_configs_request::AlterConfigsResource,
    error: &ApiError,
) -> incremental_alter_configs_response::AlterConfigsResourceResponse {
    incremental_alter_configs_response::AlterConfigsResourceResponse {
        error_code: error.code.code(),
        error_message: text(error),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    }
}

fn alter_result(
    resource: &alter_configs_request::AlterConfigsResource,
    error: &ApiError,
) -> alter_configs_response::AlterConfigsResourceResponse {
    alter_configs_response::AlterConfigsResourceResponse {
        error_code: error.code.code(),
        error_message: text(error),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    }
}

/// `delete.topic.enable` is off. Clients of the first versions do not know the code made for that.
fn deletion_disabled(version: i16) -> ApiError {
    if version < 3 {
        ApiError::new(ErrorCode::InvalidRequest, "Topic deletion is disabled.")
    } else {
        ApiError::code(ErrorCode::TopicDeletionDisabled)
    }
}

fn failed_deletes(request: &DeleteTopicsRequest, error: &ApiError) -> DeleteTopicsResponse {
    let by_name = request.topic_names.iter().map(|name| (Some(name.clone()), ottla_common::Uuid::ZERO));
    let by_either = request.topics.iter().map(|topic| (topic.name.clone(), topic.topic_id));
    DeleteTopicsResponse {
        responses: by_name
            .chain(by_either)
            .map(|(name, topic_id)| delete_topics_response::DeletableTopicResult {
                name,
                topic_id,
                error_code: error.code.code(),
                error_message: text(error),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_clients_hear_of_disabled_deletion_in_their_words() {
        assert_eq!(deletion_disabled(2).code, ErrorCode::InvalidRequest);
        assert_eq!(deletion_disabled(3).code, ErrorCode::TopicDeletionDisabled);
        let request = DeleteTopicsRequest { topic_names: vec!["a".into(), "b".into()], ..Default::default() };
        let response = failed_deletes(&request, &deletion_disabled(6));
        let codes: Vec<i16> = response.responses.iter().map(|r| r.error_code).collect();
        assert_eq!(codes, [73, 73]);
    }
}
