//! Configuration that a running broker takes (KIP-226).

use std::collections::BTreeSet;

use ottla_common::config::{ConfigDef, ConfigError, ConfigKey, ConfigType, UpdateMode};

use super::warnings::base_name;
use super::{KafkaConfig, Properties, rows, server_config_def};

/// What an incremental change does with a key (KIP-339).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum AlterOp {
    /// Gives it a value.
    Set = 0,
    /// Takes its value away.
    Delete = 1,
    /// Adds entries to a list.
    Append = 2,
    /// Takes entries from a list.
    Subtract = 3,
}

impl AlterOp {
    /// The operation with this number.
    pub const fn from_id(id: i8) -> Option<Self> {
        match id {
            0 => Some(Self::Set),
            1 => Some(Self::Delete),
            2 => Some(Self::Append),
            3 => Some(Self::Subtract),
            _ => None,
        }
    }
}

/// Keys that TLS can change while it runs, per listener only.
const SECURITY_KEYS: &[&str] = &[
    "ssl.keystore.type",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.truststore.type",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.certificates",
];

/// Keys of a listener that may also be set for all brokers.
const CLUSTER_LEVEL_LISTENER_KEYS: &[&str] =
    &["max.connections", "max.connection.creation.rate", "num.network.threads"];

/// Keys that follow a SASL mechanism in `listener.name.<listener>.<mechanism>.<key>`.
const LISTENER_MECHANISM_KEYS: &[&str] = &[
    "sasl.jaas.config",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.server.callback.handler.class",
    "connections.max.reauth.ms",
];

/// Keys that stand for the same thing, the strongest first.
const SYNONYM_GROUPS: &[&[&str]] = &[
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
];

/// The keys that can stand for `name`, the strongest first.
pub fn broker_config_synonyms(name: &str, match_listener: bool) -> Vec<&str> {
    if let Some(group) = SYNONYM_GROUPS.iter().find(|group| group.contains(&name)) {
        return group.to_vec();
    }
    if name == "log.flush.interval.ms" {
        return vec![name, "log.flush.scheduler.interval.ms"];
    }
    let listener_key = name.strip_prefix("listener.name.").and_then(|rest| rest.split_once('.'));
    match listener_key {
        Some((_, base)) if match_listener => {
            let mechanism_key = LISTENER_MECHANISM_KEYS.iter().find(|key| base.ends_with(**key));
            vec![name, mechanism_key.copied().unwrap_or(base)]
        }
        _ => vec![name],
    }
}

/// Lays dynamic values over others; what they stand for is taken away, so that an old synonym cannot win.
pub(super) fn overlay(props: &mut Properties, dynamic: &Properties) {
    for (name, value) in dynamic {
        for synonym in broker_config_synonyms(name, false) {
            props.remove(synonym);
        }
        props.insert(name.clone(), value.clone());
    }
}

fn row(name: &str) -> Option<&'static ConfigKey> {
    let quota = || rows::DYNAMIC_QUOTAS.iter().find(|row| row.name == name);
    server_config_def().get(name).or_else(quota)
}

/// Whether a running broker accepts a change of this key.
pub(super) fn is_dynamic(name: &str) -> bool {
    row(name).is_some_and(|row| row.update_mode.is_dynamic())
}

/// Applies incremental operations to what is set.
pub(super) fn apply_ops(
    def: &ConfigDef,
    current: &Properties,
    ops: &[(String, AlterOp, Option<String>)],
) -> Result<Properties, ConfigError> {
    let mut props = current.clone();
    for (name, op, value) in ops {
        let value = value.as_deref().unwrap_or_default();
        match op {
            AlterOp::Set => {
                props.insert(name.clone(), value.to_owned());
            }
            AlterOp::Delete => {
                props.remove(name);
            }
            AlterOp::Append | AlterOp::Subtract => {
                let verb = if *op == AlterOp::Append { "append" } else { "subtract" };
                let row = def
                    .get(name)
                    .or_else(|| row(name))
                    .ok_or_else(|| ConfigError::new(format!("Unknown config name: {name}")))?;
                if row.config_type != ConfigType::List {
                    return Err(ConfigError::new(format!(
                        "Config value {verb} is not allowed for config key: {name}"
                    )));
                }
                let old = props.get(name).map(String::as_str).or(row.default_text()).unwrap_or_default();
                let new = change_list(old, value, *op);
                props.insert(name.clone(), new);
            }
        }
    }
    Ok(props)
}

fn change_list(old: &str, value: &str, op: AlterOp) -> String {
    let mut items: Vec<&str> = old.split(',').filter(|item| !item.is_empty()).collect();
    for entry in value.split(',') {
        let place = items.iter().position(|item| *item == entry);
        match (op, place) {
            (AlterOp::Append, None) => items.push(entry),
            (AlterOp::Subtract, Some(place)) => {
                items.remove(place);
            }
            _ => {}
        }
    }
    items.join(",")
}

/// Checks what would be the dynamic configuration of this broker, or of all brokers.
pub(super) fn validate(
    config: &KafkaConfig,
    props: &Properties,
    per_broker: bool,
) -> Result<(), ConfigError> {
    let refuse = |names: BTreeSet<&str>, reason: &str| {
        if names.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = names.into_iter().collect();
        Err(ConfigError::invalid_request(format!("{reason}: [{}]", names.join(", "))))
    };
    let names = || props.keys().map(String::as_str);
    let fixed = |name: &&str| server_config_def().contains(name) && !is_dynamic(name);
    refuse(names().filter(fixed).collect(), "Cannot update these configs dynamically")?;
    refuse(
        names().filter(|name| SECURITY_KEYS.contains(name)).collect(),
        "These security configs can be dynamically updated only per-listener using the listener prefix",
    )?;
    for (name, value) in props {
        if let Some(row) = row(base_name(server_config_def(), name)) {
            row.parse(Some(value)).map_err(|e| ConfigError::invalid_request(e.message()))?;
        }
    }
    if !per_broker {
        refuse(
            names().filter(|name| is_per_broker(name)).collect(),
            "Cannot update these configs at default cluster level, broker id must be specified",
        )?;
    }
    let (default, broker) = if per_broker {
        (config.dynamic_default().clone(), props.clone())
    } else {
        (props.clone(), config.dynamic_broker().clone())
    };
    let new = config.with_dynamic(default, broker).map_err(|e| ConfigError::invalid_request(e.message()))?;
    check_thread_pools(config, &new)
}

fn is_per_broker(name: &str) -> bool {
    let base = base_name(server_config_def(), name);
    if base != name {
        return !CLUSTER_LEVEL_LISTENER_KEYS.contains(&base);
    }
    row(name).is_some_and(|row| row.update_mode == UpdateMode::PerBroker)
}

/// A pool may at most double or halve at once.
fn check_thread_pools(old: &KafkaConfig, new: &KafkaConfig) -> Result<(), ConfigError> {
    const POOLS: &[&str] = &[
        "num.io.threads",
        "num.replica.fetchers",
        "num.recovery.threads.per.data.dir",
        "background.threads",
    ];
    for name in POOLS {
        let was: i32 = old.values().typed(name);
        let wanted: i32 = new.values().typed(name);
        let problem = if wanted > was.saturating_mul(2) {
            Some(format!("value should not be greater than double the current value {was}"))
        } else if wanted < was / 2 {
            Some(format!("value should be at least half the current value {was}"))
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(ConfigError::invalid_request(format!(
                "Dynamic thread count update validation failed for {name}={wanted}: {problem}"
            )));
        }
    }
    Ok(())
}
