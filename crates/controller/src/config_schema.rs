//! What the controller needs to know of configuration keys. The rows live elsewhere.

use std::collections::BTreeMap;
use std::fmt::Debug;

use ottla_metadata::image::ConfigurationImage;
use ottla_metadata::{ConfigResource, ConfigResourceType};

use crate::result::ApiError;

/// A configuration value as CreateTopics reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfigEntry {
    /// The key.
    pub name: String,
    /// The value in force.
    pub value: Option<String>,
    /// Where it comes from, by the numbers of DescribeConfigs (1 = the topic, 2 = this broker's dynamic
    /// configuration, 3 = all brokers', 4 = the file, 5 = the default).
    pub source: i8,
    /// Whether the value must not be shown.
    pub is_sensitive: bool,
    /// Whether it cannot be changed.
    pub is_read_only: bool,
}

/// The layers below a topic's own configuration.
#[derive(Debug, Clone, Copy)]
pub struct ConfigLayersBelowTopic<'a> {
    /// The dynamic configuration of this node.
    pub node: Option<&'a ConfigurationImage>,
    /// The dynamic configuration of all brokers.
    pub cluster: Option<&'a ConfigurationImage>,
}

/// Keys, their types and the node's own file. Implemented from the rows of the configuration definitions.
pub trait ConfigSchema: Debug + Send + Sync {
    /// Checks a resource's name and its configuration as it would be. `existing` is what it is now.
    /// Kafka answers INVALID_CONFIG for bad keys and values, INVALID_REQUEST for resources that cannot be
    /// configured at all.
    fn validate(
        &self,
        resource: &ConfigResource,
        new: &BTreeMap<String, String>,
        existing: &BTreeMap<String, String>,
    ) -> Result<(), ApiError>;

    /// Whether the key holds a list, so that values can be appended and subtracted.
    fn is_splittable(&self, resource_type: ConfigResourceType, key: &str) -> bool;

    /// The default of a key.
    fn default_value(&self, resource_type: ConfigResourceType, key: &str) -> Option<String>;

    /// The value in force for a topic that sets `topic` itself.
    fn effective_topic_config(
        &self,
        key: &str,
        topic: Option<&ConfigurationImage>,
        layers: ConfigLayersBelowTopic<'_>,
    ) -> Option<String>;

    /// Every value in force for a topic that sets `topic` itself, in the order of the key.
    fn effective_topic_configs(
        &self,
        topic: &BTreeMap<String, String>,
        layers: ConfigLayersBelowTopic<'_>,
    ) -> Vec<TopicConfigEntry>;

    /// `min.insync.replicas` of the node's file, or its default.
    fn static_min_in_sync_replicas(&self) -> i32;
}
