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
    "add.partitions.to.txn.retry.backoff.max.ms",
    "add.partitions.to.txn.retry.backoff.ms",
    "advertised.listeners",
    "compression.type",
    "controller.listener.names",
    "controller.quorum.bootstrap.servers",
    "controller.quorum.voters",
    "cordoned.log.dirs",
    "errors.deadletterqueue.auto.create.topics.enable",
    "errors.deadletterqueue.topic.name.prefix",
    "group.consumer.assignment.interval.ms",
    "group.consumer.assignors",
    "group.consumer.heartbeat.interval.ms",
    "group.consumer.max.assignment.interval.ms",
    "group.consumer.max.heartbeat.interval.ms",
    "group.consumer.max.session.timeout.ms",
    "group.consumer.max.size",
    "group.consumer.migration.policy",
    "group.consumer.min.assignment.interval.ms",
    "group.consumer.min.heartbeat.interval.ms",
    "group.consumer.min.session.timeout.ms",
    "group.consumer.regex.refresh.interval.ms",
    "group.consumer.session.timeout.ms",
    "group.coordinator.append.linger.ms",
    "group.share.assignment.interval.ms",
    "group.share.heartbeat.interval.ms",
    "group.share.initialize.retry.interval.ms",
    "group.share.max.assignment.interval.ms",
    "group.share.max.heartbeat.interval.ms",
    "group.share.max.session.timeout.ms",
    "group.share.max.share.sessions",
    "group.share.max.size",
    "group.share.min.assignment.interval.ms",
    "group.share.min.heartbeat.interval.ms",
    "group.share.min.session.timeout.ms",
    "group.share.session.timeout.ms",
    "group.streams.acceptable.recovery.lag",
    "group.streams.assignment.interval.ms",
    "group.streams.heartbeat.interval.ms",
    "group.streams.initial.rebalance.delay.ms",
    "group.streams.max.assignment.interval.ms",
    "group.streams.max.heartbeat.interval.ms",
    "group.streams.max.session.timeout.ms",
    "group.streams.max.size",
    "group.streams.max.standby.replicas",
    "group.streams.max.warmup.replicas",
    "group.streams.min.assignment.interval.ms",
    "group.streams.min.heartbeat.interval.ms",
    "group.streams.min.session.timeout.ms",
    "group.streams.min.task.offset.interval.ms",
    "group.streams.num.standby.replicas",
    "group.streams.num.warmup.replicas",
    "group.streams.rack.aware.assignment.tags",
    "group.streams.session.timeout.ms",
    "group.streams.task.offset.interval.ms",
    "group.streams.topology.description.plugin.class",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "listeners",
    "log.cleaner.backoff.ms",
    "log.cleaner.dedupe.buffer.size",
    "log.cleaner.enable",
    "log.cleaner.io.buffer.load.factor",
    "log.cleaner.io.buffer.size",
    "log.cleaner.io.max.bytes.per.second",
    "log.cleaner.threads",
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
    "transaction.abort.timed.out.transaction.cleanup.interval.ms",
    "transaction.partition.verification.enable",
    "transaction.remove.expired.transaction.cleanup.interval.ms",
    "transaction.two.phase.commit.enable",
    "transactional.id.expiration.ms",
    "unclean.leader.election.interval.ms",
];

/// Of share groups, each with its bounds `group.share.min.` and `group.share.max.`.
const SHARE_KEYS_BOUNDED: &[&str] =
    &["delivery.count.limit", "partition.max.record.locks", "record.lock.duration.ms"];

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

/// Keys of topics that storage keeps and nobody reads yet: tiered storage.
const TOPIC_KEYS_UNREAD: &[&str] =
    &["local.retention.bytes", "local.retention.ms", "remote.copy.lag.bytes", "remote.copy.lag.ms"];

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
        || is_bounded_share_key(key)
        || TOPIC_SYNONYMS
            .iter()
            .filter(|(topic_key, _)| !TOPIC_KEYS_UNREAD.contains(topic_key))
            .any(|(_, synonyms)| synonyms.iter().any(|(name, _)| *name == key))
}

fn is_bounded_share_key(key: &str) -> bool {
    let Some(name) = key.strip_prefix("group.share.") else { return false };
    let name = name.strip_prefix("min.").or_else(|| name.strip_prefix("max.")).unwrap_or(name);
    SHARE_KEYS_BOUNDED.contains(&name)
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
