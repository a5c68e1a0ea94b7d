//! What the parser says about keys that do nothing.

use std::collections::BTreeMap;
use std::fmt;

use ottla_common::config::{ConfigDef, nearest};
use ottla_storage::log_config_def::TOPIC_SYNONYMS;

use super::settings::KEYS_READ;

/// A key that was accepted but does not do what its author may expect. Prints as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The key.
    pub key: String,
    /// One sentence about it.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Keys that the parser itself reads, and those that code asks for by name.
pub(super) const KEYS_PARSED: &[&str] = &[
    "advertised.listeners",
    "controller.listener.names",
    "controller.quorum.bootstrap.servers",
    "controller.quorum.voters",
    "cordoned.log.dirs",
    "errors.deadletterqueue.auto.create.topics.enable",
    "errors.deadletterqueue.topic.name.prefix",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "max.connections.per.ip.overrides",
    "metadata.log.dir",
    "node.id",
    "process.roles",
    "security.inter.broker.protocol",
    "share.coordinator.append.linger.ms",
    "share.coordinator.cold.partition.snapshot.interval.ms",
    "share.coordinator.snapshot.update.records.per.snapshot",
    "share.coordinator.state.topic.compression.codec",
    "share.coordinator.state.topic.min.isr",
    "share.coordinator.state.topic.num.partitions",
    "share.coordinator.state.topic.prune.interval.ms",
    "share.coordinator.state.topic.replication.factor",
    "share.coordinator.state.topic.segment.bytes",
    "share.coordinator.write.timeout.ms",
    "unclean.leader.election.interval.ms",
];

/// Prefixes under which plugins look for keys of their own, which nobody else can judge.
const PLUGIN_PREFIXES: &[&str] = &["rsm.config.", "rlmm.config.", "config.providers."];

/// Keys of Kafka before 4.0, and what stands in their place.
const RETIRED: &[(&str, &str)] = &[
    (
        "zookeeper.",
        "there is no ZooKeeper: write `process.roles`, `controller.quorum.bootstrap.servers` and \
                    `controller.listener.names` instead",
    ),
    ("advertised.host.name", "write `advertised.listeners=PLAINTEXT://host:port` instead"),
    ("advertised.port", "write `advertised.listeners=PLAINTEXT://host:port` instead"),
    ("host.name", "write `listeners=PLAINTEXT://host:port` instead"),
    ("port", "write `listeners=PLAINTEXT://:port` instead"),
    ("inter.broker.protocol.version", "use `ottla features upgrade --release-version` instead"),
    ("log.message.format.version", "records are always in format v2; leave it out"),
    (
        "log.message.timestamp.difference.max.ms",
        "write `log.message.timestamp.before.max.ms` and \
                                                 `log.message.timestamp.after.max.ms` instead",
    ),
    ("broker.id.generation.enable", "write `node.id` instead"),
    ("reserved.broker.max.id", "write `node.id` instead"),
    ("delegation.token.master.key", "write `delegation.token.secret.key` instead"),
    ("control.plane.listener.name", "write `controller.listener.names` instead"),
    ("quota.producer.default", "use `ottla configs --alter --entity-type clients --entity-default` instead"),
    ("quota.consumer.default", "use `ottla configs --alter --entity-type clients --entity-default` instead"),
    ("jmx.port", "there is no JMX; leave it out"),
    ("replica.lag.max.messages", "write `replica.lag.time.max.ms` instead"),
    ("offsets.storage", "offsets are always kept in `__consumer_offsets`; leave it out"),
];

/// Keys of topics that storage keeps and nobody reads yet: compaction, tiered storage, throttles.
const TOPIC_KEYS_UNREAD: &[&str] = &[
    "delete.retention.ms",
    "local.retention.bytes",
    "local.retention.ms",
    "max.compaction.lag.ms",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "remote.copy.lag.bytes",
    "remote.copy.lag.ms",
];

/// One warning for every key that is not what its author may think, and one for all that do nothing.
pub(super) fn warnings(def: &ConfigDef, props: &BTreeMap<String, String>) -> Vec<Warning> {
    let mut warnings: Vec<Warning> =
        props.keys().filter_map(|key| Some(Warning { key: key.clone(), text: warning(def, key)? })).collect();
    let is_idle = |key: &&String| {
        let base = base_name(def, key);
        def.contains(base) && !has_effect(base) && warning(def, key).is_none()
    };
    let idle: Vec<String> = props.keys().filter(is_idle).cloned().collect();
    if let Some(first) = idle.first() {
        let text = format!("these configuration keys have no effect here: {}", idle.join(", "));
        warnings.push(Warning { key: first.clone(), text });
    }
    warnings
}

fn warning(def: &ConfigDef, key: &str) -> Option<String> {
    if key == "broker.id" {
        return Some("`broker.id` is an old name; write `node.id` instead".to_owned());
    }
    if let Some((_, remedy)) = RETIRED.iter().find(|(name, _)| is_named(key, name)) {
        return Some(format!("configuration key `{key}` is ignored: {remedy}"));
    }
    if PLUGIN_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
        return Some(format!("configuration key `{key}` has no effect here: plugins are not loaded"));
    }
    let base = base_name(def, key);
    if def.contains(base) {
        return None;
    }
    Some(match nearest(base, def.keys().map(|row| row.name)) {
        Some(near) => format!("unknown configuration key `{key}` is ignored; did you mean `{near}`?"),
        None => format!("unknown configuration key `{key}` is ignored"),
    })
}

fn is_named(key: &str, name: &str) -> bool {
    if name.ends_with('.') { key.starts_with(name) } else { key == name }
}

/// Whether some code reads this key.
pub(super) fn has_effect(key: &str) -> bool {
    KEYS_PARSED.contains(&key)
        || KEYS_READ.contains(&key)
        || TOPIC_SYNONYMS
            .iter()
            .filter(|(topic_key, _)| !TOPIC_KEYS_UNREAD.contains(topic_key))
            .any(|(_, synonyms)| synonyms.iter().any(|(name, _)| *name == key))
}

/// `listener.name.<listener>.[<mechanism>.]<key>` sets `<key>` for one listener.
pub(super) fn base_name<'a>(def: &ConfigDef, key: &'a str) -> &'a str {
    let Some((_, base)) = key.strip_prefix("listener.name.").and_then(|rest| rest.split_once('.')) else {
        return key;
    };
    if def.contains(base) {
        return base;
    }
    base.split_once('.').map(|(_mechanism, name)| name).filter(|name| def.contains(name)).unwrap_or(base)
}
