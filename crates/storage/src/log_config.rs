use std::collections::BTreeMap;
use std::str::FromStr;

use ottla_record::{Compression, CompressionType, TimestampType};
use thiserror::Error;

/// A setting's text is not what the log can use. `ConfigDef` has checked it before, so this is a bug or
/// a record of a newer version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("invalid value `{value}` of {key}")]
pub struct InvalidLogConfig {
    /// The key.
    pub key: String,
    /// What it was set to.
    pub value: String,
}

/// The settings of one topic, as far as its logs read them.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`.
    pub segment_bytes: usize,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `segment.jitter.ms`.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`.
    pub segment_index_bytes: usize,
    /// `index.interval.bytes`.
    pub index_interval_bytes: usize,
    /// `flush.messages`.
    pub flush_messages: i64,
    /// `flush.ms`.
    pub flush_ms: i64,
    /// `retention.bytes`; -1 is no bound.
    pub retention_bytes: i64,
    /// `retention.ms`; -1 is no bound.
    pub retention_ms: i64,
    /// `local.retention.bytes`; -2 means as `retention.bytes`.
    pub local_retention_bytes: i64,
    /// `local.retention.ms`; -2 means as `retention.ms`.
    pub local_retention_ms: i64,
    /// `max.message.bytes`.
    pub max_message_bytes: usize,
    /// `max.decompressed.message.bytes`.
    pub max_decompressed_message_bytes: usize,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`.
    pub min_cleanable_dirty_ratio: f64,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
    /// `cleanup.policy` has `delete`.
    pub delete: bool,
    /// `cleanup.policy` has `compact`.
    pub compact: bool,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election_enable: bool,
    /// `min.insync.replicas`.
    pub min_insync_replicas: i32,
    /// `compression.type` and its level; `None` keeps what the producer sent.
    pub compression: Option<Compression>,
    /// `preallocate`.
    pub preallocate: bool,
    /// `message.timestamp.type`.
    pub message_timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub message_timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub message_timestamp_after_max_ms: i64,
    /// `leader.replication.throttled.replicas`.
    pub leader_replication_throttled_replicas: Vec<String>,
    /// `follower.replication.throttled.replicas`.
    pub follower_replication_throttled_replicas: Vec<String>,
    /// `remote.storage.enable`.
    pub remote_storage_enable: bool,
    /// `remote.log.copy.disable`.
    pub remote_log_copy_disable: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            retention_bytes: -1,
            retention_ms: 604_800_000,
            local_retention_bytes: -2,
            local_retention_ms: -2,
            max_message_bytes: 1_048_588,
            max_decompressed_message_bytes: i32::MAX as usize - 8,
            delete_retention_ms: 86_400_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            file_delete_delay_ms: 60_000,
            delete: true,
            compact: false,
            unclean_leader_election_enable: false,
            min_insync_replicas: 1,
            compression: None,
            preallocate: false,
            message_timestamp_type: TimestampType::CreateTime,
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_after_max_ms: 3_600_000,
            leader_replication_throttled_replicas: Vec::new(),
            follower_replication_throttled_replicas: Vec::new(),
            remote_storage_enable: false,
            remote_log_copy_disable: false,
        }
    }
}

impl LogConfig {
    /// Reads resolved settings; a key that is missing has Kafka's default, one not known is not the log's.
    pub fn from_map(values: &BTreeMap<String, String>) -> Result<Self, InvalidLogConfig> {
        let map = Values(values);
        let d = Self::default();
        let segment_bytes = map.number("segment.bytes", d.segment_bytes)?;
        let policies = map.list("cleanup.policy").unwrap_or_else(|| vec!["delete".to_owned()]);
        Ok(Self {
            segment_bytes: map.number("internal.segment.bytes", segment_bytes)?,
            segment_ms: map.number("segment.ms", d.segment_ms)?,
            segment_jitter_ms: map.number("segment.jitter.ms", d.segment_jitter_ms)?,
            segment_index_bytes: map.number("segment.index.bytes", d.segment_index_bytes)?,
            index_interval_bytes: map.number("index.interval.bytes", d.index_interval_bytes)?,
            flush_messages: map.number("flush.messages", d.flush_messages)?,
            flush_ms: map.number("flush.ms", d.flush_ms)?,
            retention_bytes: map.number("retention.bytes", d.retention_bytes)?,
            retention_ms: map.number("retention.ms", d.retention_ms)?,
            local_retention_bytes: map.number("local.retention.bytes", d.local_retention_bytes)?,
            local_retention_ms: map.number("local.retention.ms", d.local_retention_ms)?,
            max_message_bytes: map.number("max.message.bytes", d.max_message_bytes)?,
            max_decompressed_message_bytes: map
                .number("max.decompressed.message.bytes", d.max_decompressed_message_bytes)?,
            delete_retention_ms: map.number("delete.retention.ms", d.delete_retention_ms)?,
            min_compaction_lag_ms: map.number("min.compaction.lag.ms", d.min_compaction_lag_ms)?,
            max_compaction_lag_ms: map.number("max.compaction.lag.ms", d.max_compaction_lag_ms)?,
            min_cleanable_dirty_ratio: map
                .number("min.cleanable.dirty.ratio", d.min_cleanable_dirty_ratio)?,
            file_delete_delay_ms: map.number("file.delete.delay.ms", d.file_delete_delay_ms)?,
            delete: policies.iter().any(|p| p == "delete"),
            compact: policies.iter().any(|p| p == "compact"),
            unclean_leader_election_enable: map
                .boolean("unclean.leader.election.enable", d.unclean_leader_election_enable)?,
            min_insync_replicas: map.number("min.insync.replicas", d.min_insync_replicas)?,
            compression: map.compression()?,
            preallocate: map.boolean("preallocate", d.preallocate)?,
            message_timestamp_type: map.timestamp_type()?,
            message_timestamp_before_max_ms: map
                .number("message.timestamp.before.max.ms", d.message_timestamp_before_max_ms)?,
            message_timestamp_after_max_ms: map
                .number("message.timestamp.after.max.ms", d.message_timestamp_after_max_ms)?,
            leader_replication_throttled_replicas: map
                .list("leader.replication.throttled.replicas")
                .unwrap_or_default(),
            follower_replication_throttled_replicas: map
                .list("follower.replication.throttled.replicas")
                .unwrap_or_default(),
            remote_storage_enable: map.boolean("remote.storage.enable", d.remote_storage_enable)?,
            remote_log_copy_disable: map.boolean("remote.log.copy.disable", d.remote_log_copy_disable)?,
        })
    }

    /// Age at which a segment is rolled, before jitter. A log that is compacted must roll for its records
    /// to be compacted in time.
    pub fn max_segment_ms(&self) -> i64 {
        let bounded = self.compact && self.max_compaction_lag_ms > 0;
        if bounded { self.max_compaction_lag_ms.min(self.segment_ms) } else { self.segment_ms }
    }

    /// The bound on jitter: never more than the age itself.
    pub fn max_segment_jitter_ms(&self) -> i64 {
        self.segment_jitter_ms.clamp(0, self.segment_ms.max(0))
    }

    /// `local.retention.ms` with its "as the other one" resolved.
    pub fn effective_local_retention_ms(&self) -> i64 {
        if self.local_retention_ms == -2 { self.retention_ms } else { self.local_retention_ms }
    }

    /// `local.retention.bytes` with its "as the other one" resolved.
    pub fn effective_local_retention_bytes(&self) -> i64 {
        if self.local_retention_bytes == -2 { self.retention_bytes } else { self.local_retention_bytes }
    }
}

struct Values<'a>(&'a BTreeMap<String, String>);

impl Values<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.trim())
    }

    fn parse<T>(
        &self,
        key: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, InvalidLogConfig> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let invalid = || InvalidLogConfig { key: key.to_owned(), value: value.to_owned() };
        read(value).map(Some).ok_or_else(invalid)
    }

    fn number<T: FromStr>(&self, key: &str, default: T) -> Result<T, InvalidLogConfig> {
        Ok(self.parse(key, |value| value.parse().ok())?.unwrap_or(default))
    }

    fn boolean(&self, key: &str, default: bool) -> Result<bool, InvalidLogConfig> {
        let read = |value: &str| value.to_ascii_lowercase().parse().ok();
        Ok(self.parse(key, read)?.unwrap_or(default))
    }

    fn list(&self, key: &str) -> Option<Vec<String>> {
        let value = self.get(key)?;
        Some(value.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
    }

    fn timestamp_type(&self) -> Result<TimestampType, InvalidLogConfig> {
        Ok(self.parse("message.timestamp.type", TimestampType::from_name)?.unwrap_or_default())
    }

    fn compression(&self) -> Result<Option<Compression>, InvalidLogConfig> {
        let read = |value: &str| match value {
            "producer" => Some(None),
            "uncompressed" => Some(Some(CompressionType::None)),
            codec => codec.parse().ok().map(Some),
        };
        let Some(codec) = self.parse("compression.type", read)?.flatten() else { return Ok(None) };
        let key = format!("compression.{codec}.level");
        let level = self.parse(&key, |value| Compression::with_level(codec, value.parse().ok()?))?;
        Ok(Some(level.unwrap_or(Compression::of(codec))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn nothing_set_means_kafkas_defaults() {
        assert_eq!(LogConfig::from_map(&BTreeMap::new()), Ok(LogConfig::default()));
    }

    #[test]
    fn what_is_set_is_read() {
        let config = LogConfig::from_map(&map(&[
            ("segment.bytes", "1048576"),
            ("cleanup.policy", "compact, delete"),
            ("compression.type", "zstd"),
            ("compression.zstd.level", "7"),
            ("message.timestamp.type", "LogAppendTime"),
            ("retention.ms", "-1"),
            ("some.other", "x"),
        ]));
        let config = config.expect("all values are right");
        assert_eq!((config.segment_bytes, config.retention_ms), (1_048_576, -1));
        assert!(config.compact && config.delete);
        assert_eq!(config.compression, Compression::with_level(CompressionType::Zstd, 7));
        assert_eq!(config.message_timestamp_type, TimestampType::LogAppendTime);
        let none = LogConfig::from_map(&map(&[("cleanup.policy", "")])).expect("an empty policy is right");
        assert!(!none.compact && !none.delete);
    }

    #[test]
    fn nonsense_is_refused() {
        for (key, value) in [("segment.ms", "soon"), ("compression.type", "rar"), ("preallocate", "maybe")] {
            assert!(LogConfig::from_map(&map(&[(key, value)])).is_err(), "{key}");
        }
    }
}
