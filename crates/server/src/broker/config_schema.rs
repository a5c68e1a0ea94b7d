//! The controller's view of configuration keys, from the node's rows and file.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_common::config::ConfigType;
use ottla_controller::{ApiError, ConfigLayersBelowTopic, ConfigSchema, TopicConfigEntry};
use ottla_metadata::image::ConfigurationImage;
use ottla_metadata::{ConfigResource, ConfigResourceType};
use ottla_storage::log_config_def::topic_config_def;

use super::live_config::properties;
use crate::config::{
    ConfigChange, KafkaConfig, Properties, client_metrics_config_def, group_config_def, server_config_def,
};

/// Keys and defaults as this node's file has them.
#[derive(Debug)]
pub struct NodeConfigSchema(pub Arc<KafkaConfig>);

impl NodeConfigSchema {
    /// The file with what the metadata log sets for the node and for all.
    fn with_layers(&self, layers: ConfigLayersBelowTopic<'_>) -> Arc<KafkaConfig> {
        let (cluster, node) = (properties(layers.cluster), properties(layers.node));
        if cluster.is_empty() && node.is_empty() {
            return self.0.clone();
        }
        self.0.with_dynamic(cluster, node).map_or_else(|_| self.0.clone(), Arc::new)
    }
}

impl ConfigSchema for NodeConfigSchema {
    fn validate(
        &self,
        resource: &ConfigResource,
        new: &BTreeMap<String, String>,
        existing: &BTreeMap<String, String>,
    ) -> Result<(), ApiError> {
        let change =
            ConfigChange { resource_type: resource.resource_type, name: &resource.name, old: existing, new };
        self.0.validate_change(change).map_err(|e| ApiError::new(e.code(), e.to_string()))
    }

    fn is_splittable(&self, resource_type: ConfigResourceType, key: &str) -> bool {
        let def = match resource_type {
            ConfigResourceType::Topic => topic_config_def(),
            ConfigResourceType::Group => group_config_def(),
            ConfigResourceType::ClientMetrics => client_metrics_config_def(),
            _ => server_config_def(),
        };
        def.get(key).is_some_and(|row| row.config_type == ConfigType::List)
    }

    fn default_value(&self, resource_type: ConfigResourceType, key: &str) -> Option<String> {
        match resource_type {
            ConfigResourceType::Topic => self.0.topic_defaults().get(key).cloned(),
            ConfigResourceType::Group => group_config_def().get(key)?.default_text().map(str::to_owned),
            ConfigResourceType::ClientMetrics => {
                client_metrics_config_def().get(key)?.default_text().map(str::to_owned)
            }
            _ => server_config_def().get(key)?.default_text().map(str::to_owned),
        }
    }

    fn effective_topic_config(
        &self,
        key: &str,
        topic: Option<&ConfigurationImage>,
        layers: ConfigLayersBelowTopic<'_>,
    ) -> Option<String> {
        let config = self.with_layers(layers);
        let values =
            config.topic_config(&properties(topic)).or_else(|_| config.topic_config(&Properties::new()));
        values.ok()?.get(key).to_text()
    }

    fn effective_topic_configs(
        &self,
        topic: &BTreeMap<String, String>,
        layers: ConfigLayersBelowTopic<'_>,
    ) -> Vec<TopicConfigEntry> {
        let entries = self.with_layers(layers).describe_new_topic(topic).unwrap_or_default();
        entries
            .into_iter()
            .map(|entry| TopicConfigEntry {
                name: entry.name,
                value: entry.value,
                source: entry.source.id(),
                is_sensitive: entry.sensitive,
                is_read_only: entry.read_only,
            })
            .collect()
    }

    fn static_min_in_sync_replicas(&self) -> i32 {
        self.0.settings.replication.min_insync_replicas
    }
}
