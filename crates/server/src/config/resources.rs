//! What may be set dynamically, for every kind of resource, in Kafka's words.

use std::sync::OnceLock;

use ottla_common::config::{ConfigDef, ConfigError, ConfigResourceType, ConfigValue, ConfigValues};
use ottla_storage::log_config_def::validate_topic_config;

use super::dynamic::{self, AlterOp};
use super::{KafkaConfig, Properties, rows, server_config_def};

/// The keys of a group.
pub fn group_config_def() -> &'static ConfigDef {
    static DEF: OnceLock<ConfigDef> = OnceLock::new();
    DEF.get_or_init(|| ConfigDef::new(&[rows::GROUP]))
}

/// The keys of a client metrics subscription.
pub fn client_metrics_config_def() -> &'static ConfigDef {
    static DEF: OnceLock<ConfigDef> = OnceLock::new();
    DEF.get_or_init(|| ConfigDef::new(&[rows::CLIENT_METRICS]))
}

/// The broker's key behind a group's key.
pub(super) fn group_synonym(name: &str) -> Option<&'static str> {
    if name == "streams.assignor.name" {
        return Some("group.streams.assignors");
    }
    let same = |key: &&str| key.strip_prefix("group.") == Some(name);
    server_config_def().keys().map(|row| row.name).find(same)
}

/// What a broker gives to groups that set nothing themselves.
pub(super) fn group_defaults(config: &KafkaConfig) -> Properties {
    let mut defaults = Properties::new();
    for row in group_config_def().keys() {
        let Some(key) = group_synonym(row.name) else { continue };
        if row.internal && !config.file().contains_key(key) {
            continue;
        }
        let value = match config.values().get(key) {
            ConfigValue::List(items) if key == "group.streams.assignors" => items.first().cloned(),
            value => value.to_text(),
        };
        if let Some(value) = value {
            defaults.insert(row.name.to_owned(), value);
        }
    }
    defaults
}

/// A change somebody asks for: the resource, what it sets now, and what it would set.
#[derive(Debug, Clone, Copy)]
pub struct ConfigChange<'a> {
    /// Kind of the resource.
    pub resource_type: ConfigResourceType,
    /// Its name; empty means all brokers.
    pub name: &'a str,
    /// What it sets now.
    pub old: &'a Properties,
    /// What it would set.
    pub new: &'a Properties,
}

impl KafkaConfig {
    /// Checks what a resource would set. The controller asks this before it writes a record.
    pub fn validate_change(&self, change: ConfigChange<'_>) -> Result<(), ConfigError> {
        let ConfigChange { resource_type, name, old, new } = change;
        match resource_type {
            ConfigResourceType::Topic if name.is_empty() => {
                Err(ConfigError::invalid_request("Default topic resources are not allowed."))
            }
            ConfigResourceType::Topic => {
                validate_topic_config(old, new, self.topic_defaults(), self.remote_storage_enabled())
                    .map(|_| ())
            }
            ConfigResourceType::Broker => check_broker_name(name),
            ConfigResourceType::ClientMetrics => check_client_metrics(name, new),
            ConfigResourceType::Group if name.is_empty() => {
                Err(ConfigError::invalid_request("Default group resources are not allowed."))
            }
            ConfigResourceType::Group => check_group(self, new),
            ConfigResourceType::BrokerLogger | ConfigResourceType::Unknown => {
                Err(ConfigError::invalid_request(format!("Unknown resource type {}", resource_type.name())))
            }
        }
    }

    /// Checks a broker's own dynamic configuration before it is sent to the controller (`name` is this
    /// broker's id, or empty for all brokers).
    pub fn validate_broker_change(&self, name: &str, new: &Properties) -> Result<(), ConfigError> {
        self.check_resource_is_this_broker(name)?;
        dynamic::validate(self, new, !name.is_empty())
    }

    /// The same for incremental operations on what is set now.
    pub fn validate_broker_ops(
        &self,
        name: &str,
        current: &Properties,
        ops: &[(String, AlterOp, Option<String>)],
    ) -> Result<(), ConfigError> {
        self.check_resource_is_this_broker(name)?;
        let new = dynamic::apply_ops(server_config_def(), current, ops)?;
        dynamic::validate(self, &new, !name.is_empty())
    }

    fn check_resource_is_this_broker(&self, name: &str) -> Result<(), ConfigError> {
        if name.is_empty() {
            return Ok(());
        }
        match name.parse::<i32>() {
            Ok(id) if id == self.node_id => Ok(()),
            Ok(_) => Err(ConfigError::invalid_request(format!(
                "Unexpected broker id, expected {}, but received {name}",
                self.node_id
            ))),
            Err(_) => {
                Err(ConfigError::invalid_request(format!("Node id must be an integer, but it is: {name}")))
            }
        }
    }
}

fn check_broker_name(name: &str) -> Result<(), ConfigError> {
    match name.parse::<i32>() {
        _ if name.is_empty() => Ok(()),
        Ok(id) if id >= 0 => Ok(()),
        Ok(_) => Err(ConfigError::invalid_request("Invalid negative broker ID.")),
        Err(_) => Err(ConfigError::invalid_request("Unable to parse broker name as a base 10 number.")),
    }
}

fn check_client_metrics(name: &str, new: &Properties) -> Result<(), ConfigError> {
    const MATCH_PARAMS: &[&str] = &[
        "client_instance_id",
        "client_id",
        "client_software_name",
        "client_software_version",
        "client_source_address",
        "client_source_port",
    ];
    if name.is_empty() {
        return Err(ConfigError::invalid_request("Subscription name can't be empty"));
    }
    let def = client_metrics_config_def();
    if let Some(key) = new.keys().find(|key| !def.contains(key)) {
        return Err(ConfigError::invalid_request(format!("Unknown client metrics configuration: {key}")));
    }
    let values = def.parse(new)?;
    let interval: i32 = values.typed("interval.ms");
    if !(100..=3_600_000).contains(&interval) {
        return Err(ConfigError::invalid_request(format!(
            "Invalid value {interval} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
        )));
    }
    for pattern in values.typed::<Vec<String>>("match") {
        let known = pattern.split_once('=').is_some_and(|(param, _)| MATCH_PARAMS.contains(&param.trim()));
        if !known {
            return Err(ConfigError::new(format!("Illegal client matching pattern: {pattern}")));
        }
    }
    Ok(())
}

/// Keys of a group whose bounds the broker sets under `group.<kind>.min.<rest>` and `group.<kind>.max.<rest>`.
fn bounds(config: &KafkaConfig, name: &str) -> (i32, i32) {
    let (kind, rest) = name.split_once('.').unwrap_or((name, ""));
    let rest = rest.strip_prefix("num.").unwrap_or(rest);
    let read = |bound: &str| config.values().typed::<Option<i32>>(&format!("group.{kind}.{bound}.{rest}"));
    (read("min").unwrap_or(i32::MIN), read("max").unwrap_or(i32::MAX))
}

fn check_group(config: &KafkaConfig, new: &Properties) -> Result<(), ConfigError> {
    let def = group_config_def();
    if let Some(key) = new.keys().find(|key| !def.contains(key)) {
        return Err(ConfigError::new(format!("Unknown group config name: {key}")));
    }
    let values = def.parse(new)?;
    for (name, value) in values.iter().filter(|(name, _)| new.contains_key(*name)) {
        let ConfigValue::Int(value) = value else { continue };
        let (min, max) = bounds(config, name);
        if *value < min || *value > max {
            return Err(ConfigError::new(match (min, max) {
                (i32::MIN, _) => format!("{name} must be less than or equal to {max}."),
                (_, i32::MAX) => format!("{name} must be greater than or equal to {min}."),
                _ => format!("{name} must be in the range {min} to {max} inclusive."),
            }));
        }
    }
    check_group_relations(config, new, &values)
}

fn check_group_relations(
    config: &KafkaConfig,
    new: &Properties,
    values: &ConfigValues,
) -> Result<(), ConfigError> {
    for kind in ["consumer", "share", "streams"] {
        let effective = |what: &str| -> (String, i32) {
            let key = format!("{kind}.{what}");
            let value = if new.contains_key(&key) {
                values.typed(&key)
            } else {
                config.values().typed(&format!("group.{key}"))
            };
            (key, value)
        };
        let (session_key, session) = effective("session.timeout.ms");
        let (heartbeat_key, heartbeat) = effective("heartbeat.interval.ms");
        if session <= heartbeat {
            return Err(ConfigError::new(format!("{session_key} must be greater than {heartbeat_key}.")));
        }
    }
    let registered: Vec<String> = config.values().typed("group.streams.assignors");
    if let Some(assignor) = new.get("streams.assignor.name").filter(|name| !registered.contains(name)) {
        return Err(ConfigError::new(format!(
            "streams.assignor.name '{assignor}' is not a registered task assignor. Registered assignors are: [{}].",
            registered.join(", ")
        )));
    }
    if values.typed::<String>("errors.deadletterqueue.topic.name").starts_with("__") {
        return Err(ConfigError::new(
            "errors.deadletterqueue.topic.name: DLQ topic name must not start with '__'",
        ));
    }
    Ok(())
}
