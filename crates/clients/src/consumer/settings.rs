use std::time::Duration;

use bytestring::ByteString;

use super::assignor::Assignor;
use crate::config::invalid;
use crate::{ClientConfig, ClientError};

/// Where to begin when there is no committed offset, or it is outside of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoOffsetReset {
    /// With the first record.
    Earliest,
    /// With the next record that comes.
    Latest,
    /// With the first record of the last so many milliseconds (KIP-1106).
    ByDuration(i64),
    /// Nowhere: it is an error.
    None,
}

/// Who shares out the partitions of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupProtocol {
    /// One of its members.
    Classic,
    /// Its coordinator (KIP-848).
    Consumer,
}

/// The settings of a consumer.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerSettings {
    pub(crate) group_id: Option<ByteString>,
    pub(crate) group_instance_id: Option<ByteString>,
    pub(crate) group_protocol: GroupProtocol,
    pub(crate) group_remote_assignor: Option<ByteString>,
    pub(crate) session_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) max_poll_interval: Duration,
    pub(crate) max_poll_records: usize,
    pub(crate) assignors: Vec<Assignor>,
    pub(crate) auto_offset_reset: AutoOffsetReset,
    /// `auto.commit.interval.ms`, unless commits are left to the application.
    pub(crate) auto_commit: Option<Duration>,
    pub(crate) read_committed: bool,
    pub(crate) exclude_internal_topics: bool,
    pub(crate) allow_auto_create_topics: bool,
    pub(crate) check_crcs: bool,
    pub(crate) fetch_min_bytes: i32,
    pub(crate) fetch_max_bytes: i32,
    pub(crate) fetch_max_wait: Duration,
    pub(crate) max_partition_fetch_bytes: i32,
    pub(crate) client_rack: ByteString,
}

impl ConsumerSettings {
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        let group_protocol = group_protocol(config)?;
        let text = |key| config.get(key).filter(|text| !text.is_empty()).map(ByteString::from);
        let group_id = text("group.id");
        let auto_commit = config.bool("enable.auto.commit", group_id.is_some())?;
        Ok(Self {
            group_instance_id: text("group.instance.id"),
            group_protocol,
            group_remote_assignor: text("group.remote.assignor"),
            session_timeout: config.millis("session.timeout.ms", 45_000)?,
            heartbeat_interval: config.millis("heartbeat.interval.ms", 3_000)?,
            max_poll_interval: config.millis("max.poll.interval.ms", 300_000)?,
            max_poll_records: config.number("max.poll.records", 500, 1, i64::from(i32::MAX))? as usize,
            assignors: Assignor::parse(config.get("partition.assignment.strategy"))?,
            auto_offset_reset: auto_offset_reset(config.get("auto.offset.reset").unwrap_or("latest"))?,
            auto_commit: match auto_commit && group_id.is_some() {
                true => Some(config.millis("auto.commit.interval.ms", 5_000)?),
                false => None,
            },
            read_committed: config.choice(
                "isolation.level",
                &[("read_uncommitted", false), ("read_committed", true)],
                false,
            )?,
            exclude_internal_topics: config.bool("exclude.internal.topics", true)?,
            allow_auto_create_topics: config.bool("allow.auto.create.topics", true)?,
            check_crcs: config.bool("check.crcs", true)?,
            fetch_min_bytes: config.int("fetch.min.bytes", 1)?,
            fetch_max_bytes: config.int("fetch.max.bytes", 52_428_800)?,
            fetch_max_wait: config.millis("fetch.max.wait.ms", 500)?,
            max_partition_fetch_bytes: config.int("max.partition.fetch.bytes", 1_048_576)?,
            client_rack: text("client.rack").unwrap_or_default(),
            group_id,
        })
    }
}

/// What the coordinator decides with `group.protocol=consumer` cannot be set here, and the reverse.
fn group_protocol(config: &ClientConfig) -> Result<GroupProtocol, ClientError> {
    const OF_THE_MEMBER: &[&str] =
        &["partition.assignment.strategy", "heartbeat.interval.ms", "session.timeout.ms"];
    const OF_THE_COORDINATOR: &[&str] = &["group.remote.assignor"];
    let choices = [("classic", GroupProtocol::Classic), ("consumer", GroupProtocol::Consumer)];
    let protocol = config.choice("group.protocol", &choices, GroupProtocol::Classic)?;
    let (unfit, protocol_name) = match protocol {
        GroupProtocol::Classic => (OF_THE_COORDINATOR, "classic"),
        GroupProtocol::Consumer => (OF_THE_MEMBER, "consumer"),
    };
    for key in unfit {
        if let Some(value) = config.get(key) {
            let expected = format!("it cannot be set with group.protocol={protocol_name}");
            return Err(invalid(key, value, &expected));
        }
    }
    Ok(protocol)
}

fn auto_offset_reset(text: &str) -> Result<AutoOffsetReset, ClientError> {
    match text.to_ascii_lowercase().as_str() {
        "earliest" => Ok(AutoOffsetReset::Earliest),
        "latest" => Ok(AutoOffsetReset::Latest),
        "none" => Ok(AutoOffsetReset::None),
        other => other
            .strip_prefix("by_duration:")
            .and_then(iso_duration_ms)
            .map(AutoOffsetReset::ByDuration)
            .ok_or_else(|| {
                let expected =
                    "earliest, latest, none or by_duration:<ISO 8601 duration, such as PT1H> is expected";
                invalid("auto.offset.reset", text, expected)
            }),
    }
}

/// Days, hours, minutes and seconds of an ISO 8601 duration, lower case.
fn iso_duration_ms(text: &str) -> Option<i64> {
    let mut total = 0f64;
    let mut number = String::new();
    for c in text.strip_prefix('p')?.chars() {
        let unit_ms = match c {
            '0'..='9' | '.' => {
                number.push(c);
                continue;
            }
            't' => continue,
            'd' => 86_400_000.0,
            'h' => 3_600_000.0,
            'm' => 60_000.0,
            's' => 1_000.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * unit_ms;
        number.clear();
    }
    (number.is_empty() && total > 0.0).then_some(total as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets() {
        assert_eq!(auto_offset_reset("Earliest").unwrap(), AutoOffsetReset::Earliest);
        assert_eq!(auto_offset_reset("by_duration:PT1H30M").unwrap(), AutoOffsetReset::ByDuration(5_400_000));
        assert_eq!(
            auto_offset_reset("by_duration:P1DT0.5S").unwrap(),
            AutoOffsetReset::ByDuration(86_400_500)
        );
        for bad in ["smallest", "by_duration:", "by_duration:PT", "by_duration:5"] {
            assert!(auto_offset_reset(bad).unwrap_err().to_string().contains(bad));
        }
    }

    #[test]
    fn each_protocol_has_its_settings() {
        let settings =
            |pairs: &[(&str, &str)]| ConsumerSettings::new(&ClientConfig::from_iter(pairs.iter().copied()));
        assert_eq!(settings(&[]).unwrap().group_protocol, GroupProtocol::Classic);
        let modern = settings(&[("group.protocol", "CONSUMER"), ("group.remote.assignor", "range")]).unwrap();
        assert_eq!(modern.group_protocol, GroupProtocol::Consumer);
        assert_eq!(modern.group_remote_assignor.as_deref(), Some("range"));
        for key in ["session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"] {
            let error = settings(&[("group.protocol", "consumer"), (key, "1")]).unwrap_err().to_string();
            assert!(error.contains(key) && error.contains("group.protocol=consumer"), "{error}");
        }
        assert!(settings(&[("group.remote.assignor", "range")]).is_err());
        assert!(settings(&[("group.protocol", "streams")]).is_err());
    }

    #[test]
    fn without_group_nothing_is_committed() {
        let settings = ConsumerSettings::new(&ClientConfig::new("a:1")).unwrap();
        assert!(settings.group_id.is_none() && settings.auto_commit.is_none());
        let config = ClientConfig::new("a:1").with("group.id", "g");
        assert_eq!(ConsumerSettings::new(&config).unwrap().auto_commit, Some(Duration::from_secs(5)));
    }
}
