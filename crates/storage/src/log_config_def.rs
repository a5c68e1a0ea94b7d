//! What can be set on a topic, and where a topic's value comes from when it is not.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use ottla_common::ErrorCode;
use ottla_common::config::rows::*;
use ottla_common::config::{ConfigDef, ConfigError, ConfigValue, ConfigValues};

/// Keys of a topic.
#[rustfmt::skip]
pub static TOPIC_ROWS: &[ConfigKey] = &[
    key("segment.bytes", Int, Some("1073741824"), AtLeast(1048576.0), Medium, ClusterWide, "Largest segment file of a partition."),
    key("segment.ms", Long, Some("604800000"), AtLeast(1.0), Medium, ClusterWide, "Age at which a segment is closed even when it is not full."),
    key("segment.jitter.ms", Long, Some("0"), AtLeast(0.0), Medium, ClusterWide, "Random time taken off that age, so that partitions do not all roll together."),
    key("segment.index.bytes", Int, Some("10485760"), AtLeast(4.0), Medium, ClusterWide, "Largest index file of a segment."),
    key("flush.messages", Long, Some("9223372036854775807"), AtLeast(1.0), Medium, ClusterWide, "Records after which the log is forced to disk; best left to replication."),
    key("flush.ms", Long, Some("9223372036854775807"), AtLeast(0.0), Medium, ClusterWide, "Time after which the log is forced to disk; best left to replication."),
    key("retention.bytes", Long, Some("-1"), Any, Medium, ClusterWide, "How many bytes of a partition are kept; -1 means all."),
    key("retention.ms", Long, Some("604800000"), AtLeast(-1.0), Medium, ClusterWide, "How long records are kept; -1 means for ever."),
    key("max.message.bytes", Int, Some("1048588"), AtLeast(0.0), Medium, ClusterWide, "Largest record batch a producer may send, after compression."),
    key("max.decompressed.message.bytes", Int, Some("2147483639"), Between(1.0, 2147483639.0), Medium, ClusterWide, "Largest size a record may have once it is decompressed."),
    key("index.interval.bytes", Int, Some("4096"), AtLeast(0.0), Medium, ClusterWide, "Bytes of log between two index entries."),
    key("delete.retention.ms", Long, Some("86400000"), AtLeast(0.0), Medium, ClusterWide, "How long tombstones and transaction markers outlive compaction."),
    key("min.compaction.lag.ms", Long, Some("0"), AtLeast(0.0), Medium, ClusterWide, "Age before which a record is never compacted."),
    key("max.compaction.lag.ms", Long, Some("9223372036854775807"), AtLeast(1.0), Medium, ClusterWide, "Age at which a record must be up for compaction."),
    key("file.delete.delay.ms", Long, Some("60000"), AtLeast(0.0), Medium, ClusterWide, "How long a deleted file stays on disk."),
    key("min.cleanable.dirty.ratio", Double, Some("0.5"), Between(0.0, 1.0), Medium, ClusterWide, "Share of the log that must be dirty before it is compacted."),
    key("cleanup.policy", List, Some("delete"), list_of(&["compact", "delete"], true), Medium, ClusterWide, "What happens to old segments: `delete`, `compact`, both, or nothing."),
    key("unclean.leader.election.enable", Boolean, Some("false"), Any, Medium, ClusterWide, "Whether a replica that is not in sync may become leader, at the price of lost records."),
    key("min.insync.replicas", Int, Some("1"), AtLeast(1.0), Medium, ClusterWide, "Replicas that must hold a record before `acks=all` is answered."),
    key("compression.type", Text, Some("producer"), OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), Medium, ClusterWide, "How the topic is compressed on disk: a codec, `uncompressed`, or `producer` to keep what was sent."),
    key("compression.gzip.level", Int, Some("-1"), GzipLevel, Medium, ClusterWide, "Gzip level used when the broker compresses."),
    key("compression.lz4.level", Int, Some("9"), Between(1.0, 17.0), Medium, ClusterWide, "LZ4 level used when the broker compresses."),
    key("compression.zstd.level", Int, Some("3"), Between(-131072.0, 22.0), Medium, ClusterWide, "Zstandard level used when the broker compresses."),
    key("preallocate", Boolean, Some("false"), Any, Medium, ClusterWide, "Whether a new segment reserves its full size."),
    key("message.timestamp.type", Text, Some("CreateTime"), OneOf(&["CreateTime", "LogAppendTime"]), Medium, ClusterWide, "Whose clock stamps records: `CreateTime` or `LogAppendTime`."),
    key("message.timestamp.before.max.ms", Long, Some("9223372036854775807"), AtLeast(0.0), Medium, ClusterWide, "How far in the past a producer's timestamp may lie."),
    key("message.timestamp.after.max.ms", Long, Some("3600000"), AtLeast(0.0), Medium, ClusterWide, "How far in the future a producer's timestamp may lie."),
    key("leader.replication.throttled.replicas", List, Some(""), ThrottledReplicas, Medium, ClusterWide, "Replicas whose leader side is throttled, as `partition:broker`, or `*`."),
    key("follower.replication.throttled.replicas", List, Some(""), ThrottledReplicas, Medium, ClusterWide, "Replicas whose follower side is throttled, as `partition:broker`, or `*`."),
    key("remote.storage.enable", Boolean, Some("false"), Any, Medium, ClusterWide, "Whether old segments move to the remote tier."),
    key("local.retention.ms", Long, Some("-2"), AtLeast(-2.0), Medium, ClusterWide, "How long a copied segment stays on the local disk; -2 means as long as `retention.ms`."),
    key("local.retention.bytes", Long, Some("-2"), AtLeast(-2.0), Medium, ClusterWide, "How many bytes of copied segments stay on the local disk; -2 means as many as `retention.bytes`."),
    key("remote.log.copy.disable", Boolean, Some("false"), Any, Medium, ClusterWide, "Whether the remote tier is read only for this topic."),
    key("remote.copy.lag.ms", Long, Some("0"), AtLeast(-1.0), Medium, ClusterWide, "How long a closed segment waits before it is copied to the remote tier."),
    key("remote.copy.lag.bytes", Long, Some("-1"), AtLeast(-1.0), Medium, ClusterWide, "How many newer bytes must follow a closed segment before it is copied to the remote tier."),
    key("remote.log.delete.on.disable", Boolean, Some("false"), Any, Medium, ClusterWide, "Whether remote data is deleted when tiering is turned off."),
    key("errors.deadletterqueue.group.enable", Boolean, Some("false"), Any, Medium, ClusterWide, "Whether share groups may use this topic for records they give up on."),
    key("internal.segment.bytes", Int, None, Any, Medium, ClusterWide, "Segment size without the usual lower bound, for tests.").internal(),
];

/// A topic's key, the broker's keys that stand in for it (the strongest first), and by how much the
/// broker's value is multiplied.
pub type TopicSynonyms = (&'static str, &'static [(&'static str, i64)]);

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// The broker's keys behind the topic's keys. A topic's key that is not here has no stand-in.
#[rustfmt::skip]
pub static TOPIC_SYNONYMS: &[TopicSynonyms] = &[
    ("cleanup.policy", &[("log.cleanup.policy", 1)]),
    ("compression.gzip.level", &[("compression.gzip.level", 1)]),
    ("compression.lz4.level", &[("compression.lz4.level", 1)]),
    ("compression.type", &[("compression.type", 1)]),
    ("compression.zstd.level", &[("compression.zstd.level", 1)]),
    ("delete.retention.ms", &[("log.cleaner.delete.retention.ms", 1)]),
    ("file.delete.delay.ms", &[("log.segment.delete.delay.ms", 1)]),
    ("flush.messages", &[("log.flush.interval.messages", 1)]),
    ("flush.ms", &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)]),
    ("index.interval.bytes", &[("log.index.interval.bytes", 1)]),
    ("local.retention.bytes", &[("log.local.retention.bytes", 1)]),
    ("local.retention.ms", &[("log.local.retention.ms", 1)]),
    ("max.compaction.lag.ms", &[("log.cleaner.max.compaction.lag.ms", 1)]),
    ("max.decompressed.message.bytes", &[("max.decompressed.message.bytes", 1)]),
    ("max.message.bytes", &[("message.max.bytes", 1)]),
    ("message.timestamp.after.max.ms", &[("log.message.timestamp.after.max.ms", 1)]),
    ("message.timestamp.before.max.ms", &[("log.message.timestamp.before.max.ms", 1)]),
    ("message.timestamp.type", &[("log.message.timestamp.type", 1)]),
    ("min.cleanable.dirty.ratio", &[("log.cleaner.min.cleanable.ratio", 1)]),
    ("min.compaction.lag.ms", &[("log.cleaner.min.compaction.lag.ms", 1)]),
    ("min.insync.replicas", &[("min.insync.replicas", 1)]),
    ("preallocate", &[("log.preallocate", 1)]),
    ("remote.copy.lag.bytes", &[("log.remote.copy.lag.bytes", 1)]),
    ("remote.copy.lag.ms", &[("log.remote.copy.lag.ms", 1)]),
    ("retention.bytes", &[("log.retention.bytes", 1)]),
    ("retention.ms", &[("log.retention.ms", 1), ("log.retention.minutes", MINUTE_MS), ("log.retention.hours", HOUR_MS)]),
    ("segment.bytes", &[("log.segment.bytes", 1)]),
    ("segment.index.bytes", &[("log.index.size.max.bytes", 1)]),
    ("segment.jitter.ms", &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR_MS)]),
    ("segment.ms", &[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)]),
    ("unclean.leader.election.enable", &[("unclean.leader.election.enable", 1)]),
];

/// The definition of a topic's keys.
pub fn topic_config_def() -> &'static ConfigDef {
    static DEF: OnceLock<ConfigDef> = OnceLock::new();
    DEF.get_or_init(|| ConfigDef::new(&[TOPIC_ROWS]))
}

/// The broker's keys behind a topic's key, the strongest first.
pub fn topic_synonyms(name: &str) -> &'static [(&'static str, i64)] {
    TOPIC_SYNONYMS.iter().find(|(topic_key, _)| *topic_key == name).map_or(&[], |(_, synonyms)| synonyms)
}

/// What a broker gives to topics that say nothing themselves, as texts.
pub fn topic_defaults(broker: &ConfigValues) -> BTreeMap<String, String> {
    let mut defaults = BTreeMap::new();
    for (name, synonyms) in TOPIC_SYNONYMS {
        let found = synonyms.iter().find_map(|(key, factor)| scaled(broker.get(key), *factor));
        if let Some(value) = found {
            defaults.insert((*name).to_owned(), value);
        }
    }
    // Every negative retention means "for ever"; topics know it as -1 only.
    if let Some(retention) = defaults.get_mut("retention.ms").filter(|value| value.starts_with('-')) {
        "-1".clone_into(retention);
    }
    defaults
}

fn scaled(value: &ConfigValue, factor: i64) -> Option<String> {
    match value {
        ConfigValue::Int(v) if factor != 1 => Some(i64::from(*v).saturating_mul(factor).to_string()),
        ConfigValue::Long(v) if factor != 1 => Some(v.saturating_mul(factor).to_string()),
        value => value.to_text(),
    }
}

/// All of a topic's values: what the topic sets, else what the broker gives, else the default.
pub fn resolve_topic_config(
    broker_defaults: &BTreeMap<String, String>,
    overrides: &BTreeMap<String, String>,
) -> Result<ConfigValues, ConfigError> {
    topic_config_def().parse_layers(&[overrides, broker_defaults])
}

/// Checks what somebody wants to set on a topic that has `existing` now.
pub fn validate_topic_config(
    existing: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
    broker_defaults: &BTreeMap<String, String>,
    remote_storage_enabled: bool,
) -> Result<ConfigValues, ConfigError> {
    validate_topic_config_names(wanted)?;
    let values = resolve_topic_config(broker_defaults, wanted)?;
    validate_compaction_lag(&values)?;
    if values.typed::<bool>("remote.storage.enable") {
        validate_remote_storage(&values, remote_storage_enabled)?;
    } else {
        validate_remote_storage_left(existing, &values)?;
    }
    Ok(values)
}

/// Refuses keys that no topic has.
pub fn validate_topic_config_names(wanted: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    match wanted.keys().find(|name| !topic_config_def().contains(name)) {
        Some(name) => Err(ConfigError::new(format!("Unknown topic config name: {name}"))),
        None => Ok(()),
    }
}

fn validate_compaction_lag(values: &ConfigValues) -> Result<(), ConfigError> {
    let min: i64 = values.typed("min.compaction.lag.ms");
    let max: i64 = values.typed("max.compaction.lag.ms");
    if min > max {
        return Err(ConfigError::new(format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
        )));
    }
    Ok(())
}

fn validate_remote_storage(values: &ConfigValues, system_enabled: bool) -> Result<(), ConfigError> {
    if !system_enabled {
        return Err(ConfigError::new(
            "Tiered Storage functionality is disabled in the broker. \
             Topic cannot be configured with remote log storage.",
        ));
    }
    let policy: Vec<String> = values.typed("cleanup.policy");
    if !policy.is_empty() && policy != ["delete"] {
        return Err(ConfigError::new(
            "Remote log storage only supports topics with cleanup.policy=delete or \
             cleanup.policy being an empty list.",
        ));
    }
    for unit in ["bytes", "ms"] {
        validate_remote_limits(values, unit)?;
    }
    Ok(())
}

fn validate_remote_limits(values: &ConfigValues, unit: &str) -> Result<(), ConfigError> {
    let total_key = format!("retention.{unit}");
    let local_key = format!("local.retention.{unit}");
    let lag_key = format!("remote.copy.lag.{unit}");
    let total: i64 = values.typed(&total_key);
    let local: i64 = values.typed(&local_key);
    let lag: i64 = values.typed(&lag_key);
    if total > -1 && local == -1 {
        let reason = format!("Value must not be -1 as {total_key} value is set as {total}.");
        return Err(ConfigError::value(&local_key, "-1", reason));
    }
    if total > -1 && local > total {
        let reason = format!("Value must not be more than {total_key} property value: {total}");
        return Err(ConfigError::value(&local_key, &local.to_string(), reason));
    }
    let effective = if local == -2 { total } else { local };
    if lag > 0 && effective >= 0 && lag > effective {
        let reason = format!("Value must not exceed {local_key} (effective value: {effective})");
        return Err(ConfigError::value(&lag_key, &lag.to_string(), reason));
    }
    if values.typed::<bool>("remote.log.copy.disable") && local != -2 && local != total {
        return Err(ConfigError::new(format!(
            "When `remote.log.copy.disable` is set to true, the `{local_key}` and `{total_key}` must be set \
             to the identical value because there will be no more logs copied to the remote storage."
        )));
    }
    Ok(())
}

fn validate_remote_storage_left(
    existing: &BTreeMap<String, String>,
    values: &ConfigValues,
) -> Result<(), ConfigError> {
    let was_remote = existing.get("remote.storage.enable").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    if was_remote && !values.typed::<bool>("remote.log.delete.on.disable") {
        return Err(ConfigError::new(
            "It is invalid to disable remote storage without deleting remote data. If you want to keep the \
             remote data and turn to read only, please set \
             `remote.storage.enable=true,remote.log.copy.disable=true`. If you want to disable remote storage \
             and delete all remote data, please set \
             `remote.storage.enable=false,remote.log.delete.on.disable=true`.",
        )
        .with_code(ErrorCode::InvalidConfig));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn every_default_passes_its_own_check() {
        let values = topic_config_def().parse(&BTreeMap::new()).unwrap();
        assert_eq!(values.typed::<i64>("retention.ms"), 604_800_000);
        assert_eq!(topic_config_def().len(), 38);
        assert!(TOPIC_SYNONYMS.iter().all(|(name, _)| topic_config_def().contains(name)));
    }

    #[test]
    fn the_strongest_synonym_counts_and_units_are_converted() {
        let mut broker = ConfigValues::default();
        broker.set("log.retention.hours", ConfigValue::Int(168));
        assert_eq!(topic_defaults(&broker)["retention.ms"], "604800000");
        broker.set("log.retention.minutes", ConfigValue::Int(2));
        assert_eq!(topic_defaults(&broker)["retention.ms"], "120000");
        broker.set("log.retention.minutes", ConfigValue::Int(-5));
        assert_eq!(topic_defaults(&broker)["retention.ms"], "-1");
    }

    #[test]
    fn a_topic_is_stronger_than_the_broker() {
        let values =
            resolve_topic_config(&props(&[("segment.bytes", "2000000")]), &props(&[("retention.ms", "5")]))
                .unwrap();
        assert_eq!(values.typed::<i32>("segment.bytes"), 2_000_000);
        assert_eq!(values.typed::<i64>("retention.ms"), 5);
    }

    #[test]
    fn refusals_have_kafkas_words() {
        let check = |pairs: &[(&str, &str)]| {
            validate_topic_config(&BTreeMap::new(), &props(pairs), &BTreeMap::new(), false)
                .map_or_else(|e| e.to_string(), |_| "fine".to_owned())
        };
        assert_eq!(check(&[("cleanup.policy", "compact,delete")]), "fine");
        assert_eq!(check(&[("retention.sm", "1")]), "Unknown topic config name: retention.sm");
        assert_eq!(
            check(&[("min.insync.replicas", "0")]),
            "Invalid value 0 for configuration min.insync.replicas: Value must be at least 1"
        );
        assert!(check(&[("remote.storage.enable", "true")]).starts_with("Tiered Storage functionality"));
        assert!(
            check(&[("min.compaction.lag.ms", "9"), ("max.compaction.lag.ms", "3")]).starts_with("conflict")
        );
    }
}
