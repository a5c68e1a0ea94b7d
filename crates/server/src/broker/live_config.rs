//! The node's configuration as it is right now: its file, and what the metadata log has set since.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytestring::ByteString;
use ottla_apis::context::ConfigRepository;
use ottla_apis::support::topic_name;
use ottla_common::ErrorCode;
use ottla_common::config::{ConfigEntry, ConfigError, ConfigValues};
use ottla_metadata::image::{ConfigurationImage, MetadataImage};
use ottla_metadata::{ConfigResource, ConfigResourceType};
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use ottla_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use ottla_replica::LogConfigSource;
use ottla_storage::LogConfig;
use tracing::error;

use crate::config::{KafkaConfig, Properties};

/// A configuration that follows the metadata log. Readers take no lock.
#[derive(Debug)]
pub struct LiveConfig {
    current: ArcSwap<KafkaConfig>,
    /// Settings of topics that have none of their own, which most have not, and what they were made from.
    plain: ArcSwapOption<(Arc<KafkaConfig>, LogConfig)>,
    image: ArcSwap<MetadataImage>,
}

impl LiveConfig {
    /// What the file says, and nothing else yet.
    pub fn new(config: Arc<KafkaConfig>) -> Self {
        Self { current: ArcSwap::new(config), plain: ArcSwapOption::empty(), image: ArcSwap::default() }
    }

    /// The configuration in force.
    pub fn current(&self) -> Arc<KafkaConfig> {
        self.current.load_full()
    }

    /// Takes over what the metadata log says now. A value that makes no sense here is left out, with
    /// everything else set beside it: an old value that works beats a new one that does not.
    pub fn update(&self, image: Arc<MetadataImage>) {
        let current = self.current();
        let default = properties(image.configs.get(&ConfigResource::default_broker()));
        let own = properties(image.configs.get(&ConfigResource::broker(current.node_id)));
        if *current.dynamic_default() != default || *current.dynamic_broker() != own {
            match current.with_dynamic(default, own) {
                Ok(config) => self.current.store(Arc::new(config)),
                Err(e) => error!(
                    logger = "kafka.server.DynamicBrokerConfig",
                    "Dynamic configuration is not applied: {e}"
                ),
            }
        }
        self.image.store(image);
    }

    /// Settings of topics that have none of their own, worked out once.
    fn plain_log_config(&self) -> LogConfig {
        let current = self.current();
        if let Some(plain) = self.plain.load().as_ref()
            && Arc::ptr_eq(&plain.0, &current)
        {
            return plain.1.clone();
        }
        let config = to_log_config("without settings", current.topic_config(&Properties::new()));
        self.plain.store(Some(Arc::new((current, config.clone()))));
        config
    }
}

/// A configuration of the image as properties.
pub(crate) fn properties(configuration: Option<&ConfigurationImage>) -> Properties {
    configuration.map(|c| c.iter().map(|(k, v)| (k.clone(), v.clone())).collect()).unwrap_or_default()
}

impl LogConfigSource for LiveConfig {
    fn log_config(&self, topic: &str) -> LogConfig {
        let image = self.image.load();
        let Some(overrides) = image.configs.get(&ConfigResource::topic(topic)) else {
            return self.plain_log_config();
        };
        match self.current.load().topic_config(&properties(Some(overrides))) {
            Ok(values) => to_log_config(topic, Ok(values)),
            Err(e) => {
                tell_of_bad_settings(topic, &e);
                self.plain_log_config()
            }
        }
    }
}

fn to_log_config(topic: &str, values: Result<ConfigValues, ConfigError>) -> LogConfig {
    let made = values.map_err(|e| e.to_string()).and_then(|values| {
        let texts: BTreeMap<String, String> =
            values.iter().filter_map(|(name, value)| Some((name.to_owned(), value.to_text()?))).collect();
        LogConfig::from_map(&texts).map_err(|e| e.to_string())
    });
    made.unwrap_or_else(|e| {
        tell_of_bad_settings(topic, &e);
        LogConfig::default()
    })
}

fn tell_of_bad_settings(topic: &str, error: &dyn std::fmt::Display) {
    error!(logger = "kafka.server.TopicConfigHandler", "Topic {topic} runs with default settings: {error}");
}

impl ConfigRepository for LiveConfig {
    fn describe(&self, image: &MetadataImage, request: &DescribeConfigsRequest) -> DescribeConfigsResponse {
        let config = self.current.load();
        let results = request.resources.iter().map(|resource| match entries(&config, image, resource) {
            Ok(entries) => described(resource, entries, request),
            Err((error, message)) => refused(resource, error, message),
        });
        DescribeConfigsResponse { results: results.collect(), ..Default::default() }
    }
}

type Refusal = (ErrorCode, String);

fn entries(
    config: &KafkaConfig,
    image: &MetadataImage,
    resource: &DescribeConfigsResource,
) -> Result<Vec<ConfigEntry>, Refusal> {
    let name = &*resource.resource_name;
    let kind = ConfigResourceType::from_id(resource.resource_type);
    let set = || properties(image.configs.get(&ConfigResource::new(kind, name)));
    let invalid = |message: String| (ErrorCode::InvalidRequest, message);
    let failed = |e: ConfigError| (ErrorCode::InvalidConfig, e.to_string());
    match kind {
        ConfigResourceType::Topic => {
            if !topic_name::is_valid(name) {
                return Err((ErrorCode::InvalidTopicException, format!("`{name}` is no name for a topic.")));
            }
            if image.topics.topic_by_name(name).is_none() {
                return Err((ErrorCode::UnknownTopicOrPartition, format!("There is no topic {name}.")));
            }
            config.describe_topic(&set()).map_err(failed)
        }
        ConfigResourceType::Broker if name.is_empty() => Ok(config.describe_default_broker()),
        ConfigResourceType::Broker => {
            check_broker(config, name).map_err(invalid)?;
            Ok(config.describe_broker())
        }
        ConfigResourceType::BrokerLogger => {
            check_broker(config, name).map_err(invalid)?;
            Ok(Vec::new())
        }
        ConfigResourceType::ClientMetrics if name.is_empty() => {
            Err(invalid("Client metrics subscription name must not be empty".to_owned()))
        }
        ConfigResourceType::ClientMetrics => config.describe_client_metrics(&set()).map_err(failed),
        ConfigResourceType::Group if name.is_empty() => {
            Err(invalid("Group name must not be empty".to_owned()))
        }
        ConfigResourceType::Group => config.describe_group(&set()).map_err(failed),
        ConfigResourceType::Unknown => {
            Err(invalid(format!("Unsupported resource type: {}", resource.resource_type)))
        }
    }
}

fn check_broker(config: &KafkaConfig, name: &str) -> Result<(), String> {
    match name.parse::<i32>() {
        Ok(id) if id == config.node_id => Ok(()),
        _ => Err(format!(
            "Unexpected broker id, expected {} or empty string, but received {name}",
            config.node_id
        )),
    }
}

fn described(
    resource: &DescribeConfigsResource,
    entries: Vec<ConfigEntry>,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResult {
    let wanted = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
    let configs = entries
        .into_iter()
        .filter(|e| wanted.is_none_or(|keys| keys.iter().any(|key| **key == *e.name)))
        .map(|e| result(e, request.include_synonyms, request.include_documentation))
        .collect();
    DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        configs,
        ..Default::default()
    }
}

fn result(entry: ConfigEntry, synonyms: bool, documentation: bool) -> DescribeConfigsResourceResult {
    let synonyms = entry.synonyms.into_iter().filter(|_| synonyms).map(|s| DescribeConfigsSynonym {
        name: s.name.into(),
        value: s.value.map(ByteString::from),
        source: s.source.id(),
        ..Default::default()
    });
    DescribeConfigsResourceResult {
        name: entry.name.into(),
        value: entry.value.map(ByteString::from),
        read_only: entry.read_only,
        config_source: entry.source.id(),
        is_sensitive: entry.sensitive,
        synonyms: synonyms.collect(),
        config_type: entry.config_type.map_or(0, |t| t.id()),
        documentation: entry.documentation.filter(|_| documentation).map(ByteString::from),
        ..Default::default()
    }
}

fn refused(resource: &DescribeConfigsResource, error: ErrorCode, message: String) -> DescribeConfigsResult {
    DescribeConfigsResult {
        error_code: error.code(),
        error_message: Some(message.into()),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    }
}
