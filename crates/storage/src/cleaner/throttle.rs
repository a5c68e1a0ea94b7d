use std::time::Duration;

/// Rates are looked at no more often than this.
const CHECK_INTERVAL_NS: i64 = 300_000_000;
/// No rest is longer, whatever rate somebody has set.
const REST_MS_MAX: f64 = 86_400_000.0;
const NS_PER_MS: f64 = 1_000_000.0;

/// Keeps bytes per second below a rate, on average: tells how long to rest.
#[derive(Debug)]
pub(crate) struct Throttle {
    bytes_per_second: f64,
    /// May lie ahead, when somebody rests.
    period_start_ns: i64,
    observed_bytes: f64,
}

impl Throttle {
    pub(crate) fn new(bytes_per_second: f64, now_ns: i64) -> Self {
        Self { bytes_per_second, period_start_ns: now_ns, observed_bytes: 0.0 }
    }

    pub(crate) fn set_rate(&mut self, bytes_per_second: f64) {
        self.bytes_per_second = bytes_per_second;
    }

    /// Takes note of bytes read or written. Whoever gets a time has to rest for it.
    pub(crate) fn note(&mut self, bytes: u64, now_ns: i64) -> Option<Duration> {
        self.observed_bytes += bytes as f64;
        let elapsed_ns = now_ns.saturating_sub(self.period_start_ns);
        if elapsed_ns <= CHECK_INTERVAL_NS || self.observed_bytes <= 0.0 {
            return None;
        }
        let wanted_ms = self.observed_bytes * 1000.0 / self.bytes_per_second;
        let rest_ms = (wanted_ms - elapsed_ns as f64 / NS_PER_MS).round().clamp(0.0, REST_MS_MAX) as u64;
        let rest = Duration::from_millis(rest_ms);
        self.observed_bytes = 0.0;
        self.period_start_ns = now_ns.saturating_add(i64::try_from(rest.as_nanos()).unwrap_or(i64::MAX));
        (!rest.is_zero()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn who_is_too_fast_rests() {
        let mut throttle = Throttle::new(1000.0, 0);
        assert_eq!(throttle.note(5000, 1), None, "it is too early to tell");
        assert_eq!(throttle.note(0, SECOND), Some(Duration::from_secs(4)));
        assert_eq!(throttle.note(1000, 4 * SECOND), None, "another thread, while the first one rests");
        assert_eq!(throttle.note(0, 6 * SECOND), None, "1000 bytes in one second");
        throttle.set_rate(f64::MAX);
        assert_eq!(throttle.note(u64::MAX, 9 * SECOND), None);
    }

    #[test]
    fn a_rate_of_nothing_is_no_rest_without_end() {
        let mut throttle = Throttle::new(0.0, 0);
        assert_eq!(throttle.note(1, SECOND), Some(Duration::from_secs(86_400)));
    }
}
