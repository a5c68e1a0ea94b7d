//! Transactions around the records that are sent: each lasts as long as was asked for, then the next begins.

use std::time::{Duration, Instant};

use ottla_clients::ClientConfig;
use ottla_clients::producer::KafkaProducer;

use crate::error::{Result, usage};
use crate::options::Options;
use crate::storage_format::random_uuid;

const ID: &str = "transactional.id";
const ID_PREFIX: &str = "performance-producer-";
const DEFAULT_DURATION_MS: i64 = 3_000;

/// How long transactions last; puts their id among the properties. `None` without any: they are for those who
/// name their id, be it among the properties, or their duration.
pub(super) fn duration(options: &Options, config: &mut ClientConfig) -> Result<Option<Duration>> {
    let id = options.one("transactional-id")?;
    let duration_ms: Option<i64> = options.number("transaction-duration-ms")?;
    if duration_ms.is_some_and(|ms| ms <= 0) {
        return usage("--transaction-duration-ms should be greater than zero.");
    }
    if id.is_none() && duration_ms.is_none() && config.get(ID).is_none() {
        return Ok(None);
    }
    match id {
        Some(id) => config.set(ID, id),
        None => config.set_default(ID, format!("{ID_PREFIX}{}", random_uuid())),
    }
    let duration_ms = duration_ms.unwrap_or(DEFAULT_DURATION_MS);
    Ok(Some(Duration::from_millis(duration_ms.unsigned_abs())))
}

/// The transactions of a run, if it has any.
#[derive(Debug)]
pub(super) struct Transactions<'a> {
    producer: &'a KafkaProducer,
    duration: Option<Duration>,
    /// When the one that is open began.
    begun: Option<Instant>,
}

impl<'a> Transactions<'a> {
    /// Gets the producer ready for them.
    pub(super) async fn init(producer: &'a KafkaProducer, duration: Option<Duration>) -> Result<Self> {
        if duration.is_some() {
            producer.init_transactions().await?;
        }
        Ok(Self { producer, duration, begun: None })
    }

    /// Has one open for the record that comes next.
    pub(super) fn begin_if_none(&mut self) -> Result {
        if self.duration.is_some() && self.begun.is_none() {
            self.producer.begin_transaction()?;
            self.begun = Some(Instant::now());
        }
        Ok(())
    }

    /// Commits what was open for long enough when the last record was sent.
    pub(super) async fn commit_if_due(&mut self, sent: Instant) -> Result {
        let lasts_long_enough =
            |(begun, duration): (Instant, Duration)| sent.saturating_duration_since(begun) >= duration;
        if self.begun.zip(self.duration).is_some_and(lasts_long_enough) {
            self.commit().await?;
        }
        Ok(())
    }

    /// Commits what is open.
    pub(super) async fn commit(&mut self) -> Result {
        if self.begun.take().is_some() {
            self.producer.commit_transaction().await?;
        }
        Ok(())
    }
}
