use std::collections::BTreeMap;

use super::{ConfigDef, ConfigKey, ConfigType};

/// Where a value comes from. The numbers are those of `DescribeConfigs` (KIP-226).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum ConfigSource {
    /// Set on the topic.
    DynamicTopic = 1,
    /// Set on one broker while it runs.
    DynamicBroker = 2,
    /// Set for all brokers while they run.
    DynamicDefaultBroker = 3,
    /// Written in the broker's file.
    StaticBroker = 4,
    /// Nobody set it.
    Default = 5,
    /// The level of a logger.
    DynamicBrokerLogger = 6,
    /// Set on a client metrics subscription.
    ClientMetrics = 7,
    /// Set on the group.
    Group = 8,
}

impl ConfigSource {
    /// The number on the wire.
    pub const fn id(self) -> i8 {
        self as i8
    }
}

/// Another place where the value of an entry could come from, in the order in which they count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The key in that place.
    pub name: String,
    /// Its value there; `None` when it is a secret.
    pub value: Option<String>,
    /// The place.
    pub source: ConfigSource,
}

/// One key of a resource, as `DescribeConfigs` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The key.
    pub name: String,
    /// Its value; `None` when there is none or it is a secret.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether a running broker refuses to change it.
    pub read_only: bool,
    /// Whether it is a secret.
    pub sensitive: bool,
    /// Every place that has a value, the one that counts first.
    pub synonyms: Vec<ConfigSynonym>,
    /// Kind of the value, when the key is known.
    pub config_type: Option<ConfigType>,
    /// What the key is for, when it is known.
    pub documentation: Option<&'static str>,
}

/// One place that has values.
#[derive(Debug, Clone, Copy)]
pub struct ConfigLayer<'a> {
    /// What the place is called.
    pub source: ConfigSource,
    /// What is set there.
    pub values: &'a BTreeMap<String, String>,
}

/// The places where a broker's values come from, the strongest first, with the defaults below them.
#[derive(Debug, Clone, Copy)]
pub struct ConfigLayers<'a> {
    /// Places with values, the strongest first.
    pub layers: &'a [ConfigLayer<'a>],
    /// Where the defaults stand.
    pub def: &'a ConfigDef,
}

impl ConfigLayers<'_> {
    /// The places that have a value for `name` or for one of its other names, the strongest first.
    ///
    /// As in Kafka, what stands before the first mention of `name` itself is left out.
    pub fn synonyms(&self, name: &str, names: &[&str], sensitive: bool) -> Vec<ConfigSynonym> {
        let mut found = Vec::new();
        let mut add = |name: &str, value: &str, source| {
            let value = (!sensitive).then(|| value.to_owned());
            found.push(ConfigSynonym { name: name.to_owned(), value, source });
        };
        for layer in self.layers {
            for name in names {
                if let Some(value) = layer.values.get(*name) {
                    add(name, value, layer.source);
                }
            }
        }
        for name in names {
            if let Some(value) = self.def.get(name).and_then(ConfigKey::default_text) {
                add(name, value, ConfigSource::Default);
            }
        }
        let start = found.iter().position(|synonym| synonym.name == name).unwrap_or(found.len());
        found.split_off(start)
    }
}
