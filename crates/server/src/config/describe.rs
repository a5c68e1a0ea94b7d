//! The answers of `DescribeConfigs`: each key's value, and every place where it could come from.

use ottla_common::config::{
    ConfigDef, ConfigEntry, ConfigError, ConfigKey, ConfigLayer, ConfigLayers, ConfigSource, ConfigSynonym,
    ConfigValue, ConfigValues,
};
use ottla_storage::log_config_def::{topic_config_def, topic_synonyms};

use super::dynamic::{broker_config_synonyms, is_dynamic};
use super::resources::{client_metrics_config_def, group_config_def, group_defaults, group_synonym};
use super::warnings::base_name;
use super::{KafkaConfig, Properties, server_config_def};

impl KafkaConfig {
    /// The configuration of a topic that sets `overrides` itself.
    pub fn describe_topic(&self, overrides: &Properties) -> Result<Vec<ConfigEntry>, ConfigError> {
        let values = self.topic_config(overrides)?;
        let own =
            Own { def: topic_config_def(), source: ConfigSource::DynamicTopic, values: &values, overrides };
        Ok(own.entries(|name| topic_synonyms(name).first().map(|(key, _)| *key), self))
    }

    /// The same as CreateTopics answers it. There a source is where the value really comes from, also when
    /// it stands under another unit's key; DescribeConfigs looks no further than the strongest key.
    pub fn describe_new_topic(&self, overrides: &Properties) -> Result<Vec<ConfigEntry>, ConfigError> {
        let mut entries = self.describe_topic(overrides)?;
        for entry in entries.iter_mut().filter(|entry| entry.source != ConfigSource::DynamicTopic) {
            let stands_in = |(_, values): &(_, &Properties)| {
                topic_synonyms(&entry.name).iter().any(|(key, _)| values.contains_key(*key))
            };
            let layers = [
                (ConfigSource::DynamicBroker, self.dynamic_broker()),
                (ConfigSource::DynamicDefaultBroker, self.dynamic_default()),
                (ConfigSource::StaticBroker, self.file()),
            ];
            entry.source = layers.into_iter().find(stands_in).map_or(ConfigSource::Default, |(s, _)| s);
        }
        Ok(entries)
    }

    /// The configuration of a group that sets `overrides` itself.
    pub fn describe_group(&self, overrides: &Properties) -> Result<Vec<ConfigEntry>, ConfigError> {
        let def = group_config_def();
        let values = def.parse_layers(&[overrides, &group_defaults(self)])?;
        let own = Own { def, source: ConfigSource::Group, values: &values, overrides };
        Ok(own.entries(group_synonym, self))
    }

    /// The configuration of a client metrics subscription.
    pub fn describe_client_metrics(&self, overrides: &Properties) -> Result<Vec<ConfigEntry>, ConfigError> {
        let def = client_metrics_config_def();
        let values = def.parse(overrides)?;
        let own = Own { def, source: ConfigSource::ClientMetrics, values: &values, overrides };
        Ok(own.entries(|_| None, self))
    }

    /// The configuration of this broker.
    pub fn describe_broker(&self) -> Vec<ConfigEntry> {
        let known = server_config_def().keys().filter(|row| !row.internal).map(|row| row.name);
        let mut names: Vec<&str> = known.collect();
        for props in [self.file(), self.dynamic_default(), self.dynamic_broker()] {
            names.extend(props.keys().map(String::as_str));
        }
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| self.broker_entry(name, true)).collect()
    }

    /// What has been set for all brokers.
    pub fn describe_default_broker(&self) -> Vec<ConfigEntry> {
        self.dynamic_default().keys().map(|name| self.broker_entry(name, false)).collect()
    }

    fn broker_entry(&self, name: &str, per_broker: bool) -> ConfigEntry {
        let row = server_config_def().get(base_name(server_config_def(), name));
        // A key nobody knows may hold anything, so it is kept secret.
        let sensitive = row.is_none_or(ConfigKey::is_sensitive);
        let names = broker_config_synonyms(name, true);
        let mut synonyms = self.broker_synonyms(name, &names, sensitive);
        if !per_broker {
            synonyms.retain(|synonym| synonym.source == ConfigSource::DynamicDefaultBroker);
        }
        let raw = || {
            let own = if per_broker { self.dynamic_broker().get(name) } else { None };
            own.or_else(|| self.dynamic_default().get(name)).or_else(|| self.file().get(name)).cloned()
        };
        let value = match self.values().get(name) {
            ConfigValue::Null => raw(),
            value if per_broker => value.to_text(),
            _ => raw(),
        };
        ConfigEntry {
            name: name.to_owned(),
            value: value.filter(|_| !sensitive),
            source: synonyms.first().map_or(ConfigSource::Default, |synonym| synonym.source),
            read_only: !is_dynamic(name),
            sensitive,
            synonyms,
            config_type: row.map(|row| row.config_type),
            documentation: row.filter(|row| row.name == name).map(|row| row.doc),
        }
    }

    fn broker_synonyms(&self, name: &str, names: &[&str], sensitive: bool) -> Vec<ConfigSynonym> {
        let layer = |source, values| ConfigLayer { source, values };
        let layers = [
            layer(ConfigSource::DynamicBroker, self.dynamic_broker()),
            layer(ConfigSource::DynamicDefaultBroker, self.dynamic_default()),
            layer(ConfigSource::StaticBroker, self.file()),
        ];
        ConfigLayers { layers: &layers, def: server_config_def() }.synonyms(name, names, sensitive)
    }
}

/// A resource with keys of its own, behind some of which stand keys of the broker.
struct Own<'a> {
    def: &'static ConfigDef,
    source: ConfigSource,
    values: &'a ConfigValues,
    overrides: &'a Properties,
}

impl Own<'_> {
    fn entries(
        &self,
        broker_key: impl Fn(&str) -> Option<&'static str>,
        config: &KafkaConfig,
    ) -> Vec<ConfigEntry> {
        let shown = |row: &&ConfigKey| !row.internal || self.overrides.contains_key(row.name);
        self.def.keys().filter(shown).map(|row| self.entry(row, broker_key(row.name), config)).collect()
    }

    fn entry(&self, row: &'static ConfigKey, broker_key: Option<&str>, config: &KafkaConfig) -> ConfigEntry {
        let sensitive = row.is_sensitive();
        let value = self.values.get(row.name).to_text().filter(|_| !sensitive);
        let mut synonyms = match broker_key {
            Some(key) => config.broker_synonyms(key, &broker_config_synonyms(key, true), sensitive),
            None => self.default_synonym(row),
        };
        if self.overrides.contains_key(row.name) {
            let own = ConfigSynonym { name: row.name.to_owned(), value: value.clone(), source: self.source };
            synonyms.insert(0, own);
        }
        ConfigEntry {
            name: row.name.to_owned(),
            value,
            source: synonyms.first().map_or(ConfigSource::Default, |synonym| synonym.source),
            read_only: false,
            sensitive,
            synonyms,
            config_type: Some(row.config_type),
            documentation: Some(row.doc),
        }
    }

    /// Only groups show the default of a key behind which no broker's key stands.
    fn default_synonym(&self, row: &ConfigKey) -> Vec<ConfigSynonym> {
        let default = row.default_text().filter(|_| self.source == ConfigSource::Group);
        let synonym = |value: &str| ConfigSynonym {
            name: row.name.to_owned(),
            value: Some(value.to_owned()),
            source: ConfigSource::Default,
        };
        default.map(synonym).into_iter().collect()
    }
}
