//! What groups are configured to do differently (resource type GROUP).

use bytestring::ByteString;
use ottla_common::config::FromConfig;
use ottla_coordinator::group::GroupOverrides;
use ottla_coordinator::group::consumer::ConsumerGroupOverrides;
use ottla_coordinator::group::share::ShareGroupOverrides;
use ottla_coordinator::group::streams::StreamsGroupConfigOverrides;
use ottla_metadata::image::ConfigurationImage;

use crate::config::group_config_def;

/// What a group's configuration says of its coordinator's work. A value that makes no sense is left out, so that
/// the broker's holds; one out of the broker's bounds is brought within them when it is used.
pub fn group_overrides(set: &ConfigurationImage) -> GroupOverrides {
    GroupOverrides { consumer: consumer(set), share: share(set), streams: streams(set) }
}

fn consumer(set: &ConfigurationImage) -> ConsumerGroupOverrides {
    ConsumerGroupOverrides {
        session_timeout_ms: group_config_value(set, "consumer.session.timeout.ms"),
        heartbeat_interval_ms: group_config_value(set, "consumer.heartbeat.interval.ms"),
        assignment_interval_ms: group_config_value(set, "consumer.assignment.interval.ms"),
    }
}

fn share(set: &ConfigurationImage) -> ShareGroupOverrides {
    ShareGroupOverrides {
        session_timeout_ms: group_config_value(set, "share.session.timeout.ms"),
        heartbeat_interval_ms: group_config_value(set, "share.heartbeat.interval.ms"),
        assignment_interval_ms: group_config_value(set, "share.assignment.interval.ms"),
    }
}

fn streams(set: &ConfigurationImage) -> StreamsGroupConfigOverrides {
    let tags = group_config_value::<Vec<String>>(set, "streams.rack.aware.assignment.tags");
    StreamsGroupConfigOverrides {
        session_timeout_ms: group_config_value(set, "streams.session.timeout.ms"),
        heartbeat_interval_ms: group_config_value(set, "streams.heartbeat.interval.ms"),
        num_standby_replicas: group_config_value(set, "streams.num.standby.replicas"),
        initial_rebalance_delay_ms: group_config_value(set, "streams.initial.rebalance.delay.ms"),
        assignment_interval_ms: group_config_value(set, "streams.assignment.interval.ms"),
        task_offset_interval_ms: group_config_value(set, "streams.task.offset.interval.ms"),
        num_warmup_replicas: group_config_value(set, "streams.num.warmup.replicas"),
        acceptable_recovery_lag: group_config_value(set, "streams.acceptable.recovery.lag"),
        rack_aware_assignment_tags: tags.map(|tags| tags.into_iter().map(ByteString::from).collect()),
    }
}

/// What a group's configuration says of a key. `None` if it says nothing, or nothing that makes sense.
pub(crate) fn group_config_value<T: FromConfig>(set: &ConfigurationImage, key: &str) -> Option<T> {
    let text = set.get(key)?;
    let value = group_config_def().get(key)?.parse(Some(text.as_str())).ok()?;
    Some(T::from_config(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> GroupOverrides {
        group_overrides(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn every_key_arrives() {
        let overrides = of(&[
            ("consumer.session.timeout.ms", "50000"),
            ("consumer.heartbeat.interval.ms", "6000"),
            ("consumer.assignment.interval.ms", "2000"),
        ]);
        let consumer = ConsumerGroupOverrides {
            session_timeout_ms: Some(50_000),
            heartbeat_interval_ms: Some(6_000),
            assignment_interval_ms: Some(2_000),
        };
        assert_eq!(overrides.consumer, consumer);
        assert_eq!(overrides.share, ShareGroupOverrides::default());
        let overrides = of(&[
            ("share.session.timeout.ms", "50001"),
            ("share.heartbeat.interval.ms", "6001"),
            ("share.assignment.interval.ms", "2001"),
        ]);
        let share = ShareGroupOverrides {
            session_timeout_ms: Some(50_001),
            heartbeat_interval_ms: Some(6_001),
            assignment_interval_ms: Some(2_001),
        };
        assert_eq!(overrides.share, share);
    }

    #[test]
    fn every_key_of_streams_groups_arrives() {
        let overrides = of(&[
            ("streams.session.timeout.ms", "50002"),
            ("streams.heartbeat.interval.ms", "6002"),
            ("streams.num.standby.replicas", "1"),
            ("streams.initial.rebalance.delay.ms", "7"),
            ("streams.assignment.interval.ms", "2002"),
            ("streams.task.offset.interval.ms", "20000"),
            ("streams.num.warmup.replicas", "3"),
            ("streams.acceptable.recovery.lag", "99"),
            ("streams.rack.aware.assignment.tags", "zona,sala"),
        ]);
        let streams = StreamsGroupConfigOverrides {
            session_timeout_ms: Some(50_002),
            heartbeat_interval_ms: Some(6_002),
            num_standby_replicas: Some(1),
            initial_rebalance_delay_ms: Some(7),
            assignment_interval_ms: Some(2_002),
            task_offset_interval_ms: Some(20_000),
            num_warmup_replicas: Some(3),
            acceptable_recovery_lag: Some(99),
            rack_aware_assignment_tags: Some(vec!["zona".into(), "sala".into()]),
        };
        assert_eq!(overrides.streams, streams);
    }

    #[test]
    fn what_makes_no_sense_does_not_count() {
        let overrides = of(&[
            ("consumer.session.timeout.ms", "mucho"),
            ("consumer.heartbeat.interval.ms", "0"),
            ("share.isolation.level", "read_committed"),
            ("nada", "1"),
        ]);
        assert_eq!(overrides.consumer, ConsumerGroupOverrides::default());
        assert_eq!(overrides.share, ShareGroupOverrides::default());
        assert_eq!(overrides.streams, StreamsGroupConfigOverrides::default());
    }
}
