//! The controller's view of configuration keys, from the node's rows and file.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ottla_common::config::ConfigType;
use ottla_controller::{ApiError, ConfigLayersBelowTopic, ConfigSchema, TopicConfigEntry};
use ottla_metadata::image::ConfigurationImage;
use ottla_metadata::{ConfigResource, ConfigResourceType};
use ottla_storage::log_config_def::topic_config_def;

use super::live_config::properties;
use crate::config::{
    ConfigChange, KafkaConfig, client_metrics_config_def, group_config_def, server_config_def,
};

/// Keys and defaults as this node's file has them.
#[derive(Debug)]
pub struct NodeConfigSchema {
    file: Arc<KafkaConfig>,
    /// The controller asks once for each partition that it changes, and what it asks hardly ever differs.
    layered: Mutex<Arc<Layered>>,
}

/// What the metadata log set, and the configuration that follows from it.
#[derive(Debug)]
struct Layered {
    cluster: ConfigurationImage,
    node: ConfigurationImage,
    config: Arc<KafkaConfig>,
}

impl NodeConfigSchema {
    /// The schema of a node with this file.
    pub fn new(file: Arc<KafkaConfig>) -> Self {
        let (cluster, node) = Default::default();
        let layered = Layered { cluster, node, config: file.clone() };
        Self { file, layered: Mutex::new(Arc::new(layered)) }
    }

    /// The file with what the metadata log sets for the node and for all.
    fn with_layers(&self, layers: ConfigLayersBelowTopic<'_>) -> Arc<KafkaConfig> {
        let nothing = ConfigurationImage::default();
        let (cluster, node) = (layers.cluster.unwrap_or(&nothing), layers.node.unwrap_or(&nothing));
        let mut layered = self.layered.lock().unwrap_or_else(PoisonError::into_inner);
        if layered.cluster != *cluster || layered.node != *node {
            let config = self.file.with_dynamic(properties(Some(cluster)), properties(Some(node)));
            let config = config.map_or_else(|_| self.file.clone(), Arc::new);
            *layered = Arc::new(Layered { cluster: cluster.clone(), node: node.clone(), config });
        }
        layered.config.clone()
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
        self.file.validate_change(change).map_err(|e| ApiError::new(e.code(), e.to_string()))
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
            ConfigResourceType::Topic => self.file.topic_defaults().get(key).cloned(),
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
        let row = topic_config_def().get(key)?;
        let inherited = || row.parse(config.topic_defaults().get(key).map(String::as_str));
        let value = match topic.and_then(|topic| topic.get(key)) {
            Some(own) => row.parse(Some(own)).or_else(|_| inherited()),
            None => inherited(),
        };
        value.ok()?.to_text()
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
        self.file.settings.replication.min_insync_replicas
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::development_properties;

    fn image(pairs: &[(&str, &str)]) -> ConfigurationImage {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_topics_value_follows_every_layer() {
        let (config, _) = KafkaConfig::from_properties(&development_properties(), &[]).unwrap();
        let schema = NodeConfigSchema::new(Arc::new(config));
        let (cluster, node) =
            (image(&[("min.insync.replicas", "2")]), image(&[("min.insync.replicas", "3")]));
        let ask = |topic: &[(&str, &str)], cluster, node| {
            let layers = ConfigLayersBelowTopic { node, cluster };
            schema.effective_topic_config("min.insync.replicas", Some(&image(topic)), layers).unwrap()
        };
        assert_eq!(ask(&[], None, None), "1");
        assert_eq!(ask(&[], Some(&cluster), None), "2");
        assert_eq!(ask(&[], Some(&cluster), Some(&node)), "3");
        assert_eq!(ask(&[("min.insync.replicas", "4")], Some(&cluster), Some(&node)), "4");
        // What makes no sense does not count.
        assert_eq!(ask(&[("min.insync.replicas", "x")], Some(&cluster), None), "2");
        assert_eq!(ask(&[], None, None), "1");
    }
}
