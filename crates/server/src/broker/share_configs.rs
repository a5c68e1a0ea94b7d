//! How share groups are configured: what a group's own configuration says, within the broker's bounds, and the broker's
//! where it says nothing.

use std::sync::Arc;

use ottla_apis::support::metadata_cache::MetadataCache;
use ottla_common::config::FromConfig;
use ottla_metadata::feature::Feature;
use ottla_metadata::image::{ConfigurationImage, MetadataImage};
use ottla_metadata::{ConfigResource, ConfigResourceType};
use ottla_replica::share::{ShareGroupConfigs, ShareGroupSettings};
use ottla_share::{ShareAutoOffsetReset, SharePartitionConfig};

use super::live_config::LiveConfig;
use crate::config::KafkaConfig;
use crate::coordinator::group::group_config_value;

/// From this `share.version` on there are dead-letter queues (KIP-1191).
const DEAD_LETTERS_SHARE_VERSION: i16 = 2;

/// Looks settings up in the newest image.
#[derive(Debug)]
pub struct ShareConfigs {
    /// The broker's configuration.
    pub config: Arc<LiveConfig>,
    /// The cluster.
    pub metadata: Arc<MetadataCache>,
}

impl ShareGroupConfigs for ShareConfigs {
    fn settings(&self, group_id: &str) -> ShareGroupSettings {
        settings(&self.config.current(), &self.metadata.image(), group_id)
    }
}

fn settings(config: &KafkaConfig, image: &MetadataImage, group_id: &str) -> ShareGroupSettings {
    let group = image.configs.get(&ConfigResource::new(ConfigResourceType::Group, group_id));
    let name: Option<String> = of_group(group, "errors.deadletterqueue.topic.name");
    let has_dead_letters = image.features.level(Feature::ShareVersion) >= DEAD_LETTERS_SHARE_VERSION;
    let reset: Option<String> = of_group(group, "share.auto.offset.reset");
    let isolation: Option<String> = of_group(group, "share.isolation.level");
    ShareGroupSettings {
        partition: SharePartitionConfig {
            partition_max_record_locks: bounded(config, group, "partition.max.record.locks"),
            delivery_count_limit: bounded(config, group, "delivery.count.limit"),
            record_lock_duration_ms: bounded(config, group, "record.lock.duration.ms"),
            renew_acknowledge_enable: of_group(group, "share.renew.acknowledge.enable").unwrap_or(true),
            auto_offset_reset: reset.and_then(|reset| auto_offset_reset(&reset)).unwrap_or_default(),
            dead_letter_queue: has_dead_letters && name.is_some_and(|name| !name.is_empty()),
        },
        read_committed: isolation.is_some_and(|level| level.eq_ignore_ascii_case("read_committed")),
    }
}

fn of_group<T: FromConfig>(group: Option<&ConfigurationImage>, key: &str) -> Option<T> {
    group_config_value(group?, key)
}

/// `share.<name>` of the group between `group.share.min.<name>` and `group.share.max.<name>`, or `group.share.<name>`.
fn bounded(config: &KafkaConfig, group: Option<&ConfigurationImage>, name: &str) -> i32 {
    let of_broker = |kind: &str| config.values().typed::<i32>(&format!("group.share.{kind}{name}"));
    match of_group::<i32>(group, &format!("share.{name}")) {
        Some(value) => value.min(of_broker("max.")).max(of_broker("min.")),
        None => of_broker(""),
    }
}

/// `latest`, `earliest`, or `by_duration:` and how old records may be (KIP-1106).
fn auto_offset_reset(text: &str) -> Option<ShareAutoOffsetReset> {
    match text.to_ascii_lowercase().as_str() {
        "latest" => Some(ShareAutoOffsetReset::Latest),
        "earliest" => Some(ShareAutoOffsetReset::Earliest),
        _ => {
            let (_, duration) = text.split_once(':')?;
            let duration: jiff::SignedDuration = duration.parse().ok()?;
            Some(ShareAutoOffsetReset::ByDuration { duration_ms: i64::try_from(duration.as_millis()).ok()? })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_begins_where_its_configuration_says() {
        assert_eq!(auto_offset_reset("earliest"), Some(ShareAutoOffsetReset::Earliest));
        let hour = Some(ShareAutoOffsetReset::ByDuration { duration_ms: 3_600_000 });
        assert_eq!(auto_offset_reset("by_duration:PT1H"), hour);
        assert_eq!(auto_offset_reset("by_duration:soon"), None);
    }
}
