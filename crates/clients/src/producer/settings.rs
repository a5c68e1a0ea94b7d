use std::time::Duration;

use bytestring::ByteString;
use ottla_record::{Compression, CompressionType};

use crate::config::invalid;
use crate::{ClientConfig, ClientError};

/// The settings of a producer.
#[derive(Debug, Clone)]
pub(crate) struct ProducerSettings {
    /// -1, 0 or 1.
    pub(crate) acks: i16,
    pub(crate) batch_size: usize,
    pub(crate) linger: Duration,
    pub(crate) buffer_memory: usize,
    pub(crate) max_block: Duration,
    pub(crate) max_request_size: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) delivery_timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) idempotent: bool,
    pub(crate) transactional_id: Option<ByteString>,
    pub(crate) transaction_timeout: Duration,
    pub(crate) ignore_keys: bool,
    pub(crate) compression: Compression,
}

/// More in flight, and a broker could not tell a repetition from a gap.
const IDEMPOTENT_IN_FLIGHT_MAX: i64 = 5;

impl ProducerSettings {
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        let acks = config.choice("acks", &[("all", -1), ("-1", -1), ("0", 0), ("1", 1)], -1)?;
        let max_in_flight =
            config.number("max.in.flight.requests.per.connection", 5, 1, i64::from(i32::MAX))?;
        let retries = config.int("retries", i32::MAX)? as u32;
        let idempotent = idempotent(config, acks, max_in_flight, retries)?;
        Ok(Self {
            acks,
            batch_size: config.int("batch.size", 16_384)? as usize,
            linger: config.millis("linger.ms", 5)?,
            buffer_memory: config.number("buffer.memory", 33_554_432, 0, i64::MAX)? as usize,
            max_block: config.millis("max.block.ms", 60_000)?,
            max_request_size: config.int("max.request.size", 1_048_576)? as usize,
            max_in_flight: max_in_flight as usize,
            delivery_timeout: config.millis("delivery.timeout.ms", 120_000)?,
            retries,
            idempotent,
            transactional_id: transactional_id(config, idempotent)?,
            transaction_timeout: config.millis("transaction.timeout.ms", 60_000)?,
            ignore_keys: config.bool("partitioner.ignore.keys", false)?,
            compression: compression(config)?,
        })
    }
}

/// On unless another setting rules it out; asking for both is a mistake.
fn idempotent(config: &ClientConfig, acks: i16, in_flight: i64, retries: u32) -> Result<bool, ClientError> {
    const KEY: &str = "enable.idempotence";
    let wanted = config.bool(KEY, true)?;
    let obstacle = if acks != -1 {
        "acks=all"
    } else if in_flight > IDEMPOTENT_IN_FLIGHT_MAX {
        "max.in.flight.requests.per.connection of at most 5"
    } else if retries == 0 {
        "retries greater than 0"
    } else {
        return Ok(wanted);
    };
    if wanted && config.get(KEY).is_some() {
        return Err(invalid(KEY, "true", &format!("it needs {obstacle}")));
    }
    Ok(false)
}

/// Transactions stand on idempotence: without sequence numbers, a repetition would be seen twice.
fn transactional_id(config: &ClientConfig, idempotent: bool) -> Result<Option<ByteString>, ClientError> {
    const KEY: &str = "transactional.id";
    match config.get(KEY) {
        None => Ok(None),
        Some("") => Err(invalid(KEY, "", "a name is expected, or none at all")),
        Some(id) if !idempotent => {
            Err(invalid(KEY, id, "it needs idempotence: leave acks and retries alone"))
        }
        Some(id) => Ok(Some(id.into())),
    }
}

fn compression(config: &ClientConfig) -> Result<Compression, ClientError> {
    const KEY: &str = "compression.type";
    let codecs = CompressionType::ALL.map(|codec| (codec.name(), codec));
    let codec = config.choice(KEY, &codecs, CompressionType::None)?;
    let Some(levels) = codec.levels() else { return Ok(Compression::of(codec)) };
    let key = format!("compression.{}.level", codec.name());
    let expected = format!("a level from {} to {} is expected", levels.min, levels.max);
    let level = config.parse(&key, levels.default, &expected)?;
    Compression::with_level(codec, level).ok_or_else(|| invalid(&key, &level.to_string(), &expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idempotence_yields_unless_insisted_on() {
        let settings = |pairs: &[(&str, &str)]| ProducerSettings::new(&pairs.iter().copied().collect());
        assert!(settings(&[]).unwrap().idempotent);
        assert!(!settings(&[("acks", "1")]).unwrap().idempotent);
        let error = settings(&[("acks", "0"), ("enable.idempotence", "true")]).unwrap_err();
        assert!(error.to_string().contains("acks=all"), "{error}");
        let error = settings(&[("acks", "1"), ("transactional.id", "t")]).unwrap_err();
        assert!(error.to_string().contains("it needs idempotence"), "{error}");
        assert!(settings(&[("transactional.id", "")]).is_err());
        let transactional = settings(&[("transactional.id", "t")]).unwrap();
        assert_eq!(transactional.transactional_id.as_deref(), Some("t"));
        assert_eq!(transactional.transaction_timeout.as_millis(), 60_000);
        assert!(settings(&[("compression.type", "zip")]).is_err());
        assert!(settings(&[("compression.type", "zstd"), ("compression.zstd.level", "7")]).is_ok());
    }
}
