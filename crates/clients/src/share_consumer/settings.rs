use std::time::Duration;

use bytestring::ByteString;

use crate::config::invalid;
use crate::{ClientConfig, ClientError};

/// Who says that a record was processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AcknowledgementMode {
    /// The next poll.
    Implicit,
    /// The application, for each record.
    Explicit,
}

/// How many records a broker acquires for one fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum AcquireMode {
    /// Whole batches, a few more than asked for perhaps.
    BatchOptimized = 0,
    /// Never more than asked for.
    RecordLimit = 1,
}

/// The settings of a share consumer.
#[derive(Debug, Clone)]
pub(crate) struct ShareConsumerSettings {
    pub(crate) group_id: ByteString,
    pub(crate) acknowledgement_mode: AcknowledgementMode,
    pub(crate) acquire_mode: AcquireMode,
    pub(crate) max_poll_interval: Duration,
    pub(crate) max_poll_records: usize,
    pub(crate) allow_auto_create_topics: bool,
    pub(crate) check_crcs: bool,
    pub(crate) fetch_min_bytes: i32,
    pub(crate) fetch_max_bytes: i32,
    pub(crate) fetch_max_wait: Duration,
    pub(crate) client_rack: Option<ByteString>,
}

impl ShareConsumerSettings {
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        let text = |key| config.get(key).filter(|text| !text.is_empty()).map(ByteString::from);
        let group_id = text("group.id").ok_or_else(|| {
            invalid("group.id", "", "the name of a share group is expected; share consumers have one")
        })?;
        for key in UNFIT {
            if let Some(value) = config.get(key) {
                return Err(invalid(key, value, "it cannot be set for a share consumer"));
            }
        }
        let modes =
            [("implicit", AcknowledgementMode::Implicit), ("explicit", AcknowledgementMode::Explicit)];
        let acquire_modes =
            [("batch_optimized", AcquireMode::BatchOptimized), ("record_limit", AcquireMode::RecordLimit)];
        Ok(Self {
            group_id,
            acknowledgement_mode: config.choice(
                "share.acknowledgement.mode",
                &modes,
                AcknowledgementMode::Implicit,
            )?,
            acquire_mode: config.choice("share.acquire.mode", &acquire_modes, AcquireMode::BatchOptimized)?,
            max_poll_interval: config.millis("max.poll.interval.ms", 300_000)?,
            max_poll_records: config.number("max.poll.records", 500, 1, i64::from(i32::MAX))? as usize,
            allow_auto_create_topics: config.bool("allow.auto.create.topics", true)?,
            check_crcs: config.bool("check.crcs", true)?,
            fetch_min_bytes: config.int("fetch.min.bytes", 1)?,
            fetch_max_bytes: config.int("fetch.max.bytes", 52_428_800)?,
            fetch_max_wait: config.millis("fetch.max.wait.ms", 500)?,
            client_rack: text("client.rack"),
        })
    }
}

/// What the group decides, or what has no meaning where no offsets are committed.
const UNFIT: [&str; 9] = [
    "auto.offset.reset",
    "enable.auto.commit",
    "group.instance.id",
    "isolation.level",
    "partition.assignment.strategy",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "group.protocol",
    "group.remote.assignor",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_have_kafkas_names_and_defaults() {
        let settings = |pairs: &[(&str, &str)]| ShareConsumerSettings::new(&pairs.iter().copied().collect());
        let plain = settings(&[("group.id", "g")]).unwrap();
        assert_eq!(plain.acknowledgement_mode, AcknowledgementMode::Implicit);
        assert_eq!((plain.acquire_mode, plain.max_poll_records), (AcquireMode::BatchOptimized, 500));
        let other = settings(&[
            ("group.id", "g"),
            ("share.acknowledgement.mode", "explicit"),
            ("share.acquire.mode", "record_limit"),
        ])
        .unwrap();
        assert_eq!(other.acknowledgement_mode, AcknowledgementMode::Explicit);
        assert_eq!(other.acquire_mode as i8, 1);
        assert!(settings(&[]).unwrap_err().to_string().contains("group.id"));
        assert!(settings(&[("group.id", "g"), ("share.acquire.mode", "all")]).is_err());
        assert!(settings(&[("group.id", "g"), ("isolation.level", "read_committed")]).is_err());
    }
}
