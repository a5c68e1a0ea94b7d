use thiserror::Error;

use super::offset_map::BYTES_PER_ENTRY;

/// A map of keys is not larger than this, whatever memory there is: Kafka's is one Java array.
const MAP_BYTES_MAX: u64 = i32::MAX as u64;

/// `log.cleaner.*`.
#[derive(Debug, Clone, PartialEq)]
pub struct CleanerConfig {
    /// `log.cleaner.threads`.
    pub threads: usize,
    /// `log.cleaner.dedupe.buffer.size`: memory for maps of keys, over all threads.
    pub dedupe_buffer_size: u64,
    /// `log.cleaner.io.buffer.load.factor`: how full a map may get.
    pub dedupe_buffer_load_factor: f64,
    /// `log.cleaner.io.buffer.size`: memory for copying, over all threads.
    pub io_buffer_size: usize,
    /// `log.cleaner.io.max.bytes.per.second`: reads and writes of all threads together.
    pub io_max_bytes_per_second: f64,
    /// `log.cleaner.backoff.ms`: pause when nothing is dirty.
    pub backoff_ms: i64,
}

impl Default for CleanerConfig {
    fn default() -> Self {
        Self {
            threads: 1,
            dedupe_buffer_size: 128 << 20,
            dedupe_buffer_load_factor: 0.9,
            io_buffer_size: 512 << 10,
            io_max_bytes_per_second: f64::MAX,
            backoff_ms: 15_000,
        }
    }
}

/// A change of settings that a running cleaner refuses, with Kafka's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidCleanerConfig {
    /// None would clean.
    #[error("Log cleaner threads should be at least 1")]
    NoThreads,
    /// Too few.
    #[error("Log cleaner threads cannot be reduced to less than half the current value {current}")]
    TooFewThreads {
        /// As many as there are.
        current: usize,
    },
    /// Too many.
    #[error("Log cleaner threads cannot be increased to more than double the current value {current}")]
    TooManyThreads {
        /// As many as there are.
        current: usize,
    },
}

impl CleanerConfig {
    /// Whether a running cleaner can go over to other settings: not too many threads at once (KIP-226).
    pub fn validate_reconfiguration(&self, new: &Self) -> Result<(), InvalidCleanerConfig> {
        let current = self.threads;
        match new.threads {
            0 => Err(InvalidCleanerConfig::NoThreads),
            threads if threads < current / 2 => Err(InvalidCleanerConfig::TooFewThreads { current }),
            threads if threads > current.saturating_mul(2) => {
                Err(InvalidCleanerConfig::TooManyThreads { current })
            }
            _ => Ok(()),
        }
    }

    /// How many keys the map of one thread has room for.
    pub(crate) fn map_slots(&self) -> usize {
        let bytes = (self.dedupe_buffer_size / self.threads.max(1) as u64).min(MAP_BYTES_MAX);
        // Bounded by 2^31, so it fits.
        (bytes as usize / BYTES_PER_ENTRY).max(1)
    }

    /// Bytes one thread reads or writes at once.
    pub(crate) fn io_chunk_bytes(&self) -> usize {
        (self.io_buffer_size / self.threads.max(1) / 2).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_among_threads() {
        let config = CleanerConfig { threads: 2, dedupe_buffer_size: 4800, ..CleanerConfig::default() };
        assert_eq!(config.map_slots(), 100);
        assert_eq!(config.io_chunk_bytes(), 128 << 10);
        let huge = CleanerConfig { dedupe_buffer_size: 1 << 40, ..CleanerConfig::default() };
        assert_eq!(huge.map_slots(), i32::MAX as usize / 24);
    }

    #[test]
    fn threads_change_by_no_more_than_a_factor_of_two() {
        let with = |threads| CleanerConfig { threads, ..CleanerConfig::default() };
        let change = |to| with(4).validate_reconfiguration(&with(to));
        assert_eq!(change(0), Err(InvalidCleanerConfig::NoThreads));
        assert_eq!(change(1), Err(InvalidCleanerConfig::TooFewThreads { current: 4 }));
        assert_eq!((change(2), change(8)), (Ok(()), Ok(())));
        assert_eq!(change(9), Err(InvalidCleanerConfig::TooManyThreads { current: 4 }));
    }
}
