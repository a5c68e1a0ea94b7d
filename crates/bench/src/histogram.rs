//! A histogram of nanoseconds whose buckets are at most 1.6 % wide.

use serde_json::{Value, json};

/// Buckets for each power of two.
const FINE: usize = 64;
const FINE_BITS: u32 = FINE.trailing_zeros();

/// Counts of nanoseconds.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
    sum: u128,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; bucket(u64::MAX) + 1], total: 0, max: 0, sum: 0 }
    }
}

impl Histogram {
    /// Counts one value.
    pub fn record(&mut self, nanoseconds: u64) {
        self.counts[bucket(nanoseconds)] += 1;
        self.total += 1;
        self.max = self.max.max(nanoseconds);
        self.sum += u128::from(nanoseconds);
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.total += other.total;
        self.max = self.max.max(other.max);
        self.sum += other.sum;
    }

    /// Number of values.
    pub fn len(&self) -> u64 {
        self.total
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The value that this share of all values does not exceed.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper(index).min(self.max);
            }
        }
        self.max
    }

    /// Microseconds of the usual quantiles.
    pub fn json(&self) -> Value {
        let micros = |nanoseconds: u64| (nanoseconds as f64 / 100.0).round() / 10.0;
        let mean = if self.total == 0 { 0 } else { (self.sum / u128::from(self.total)) as u64 };
        json!({
            "count": self.total,
            "mean_us": micros(mean),
            "p50_us": micros(self.quantile(0.5)),
            "p90_us": micros(self.quantile(0.9)),
            "p99_us": micros(self.quantile(0.99)),
            "p999_us": micros(self.quantile(0.999)),
            "max_us": micros(self.max),
        })
    }
}

fn bucket(value: u64) -> usize {
    if value < FINE as u64 {
        return value as usize;
    }
    let power = 63 - value.leading_zeros();
    let shift = power - FINE_BITS;
    (shift as usize + 1) * FINE + ((value >> shift) as usize - FINE)
}

fn upper(index: usize) -> u64 {
    if index < FINE {
        return index as u64;
    }
    let shift = (index / FINE - 1) as u32;
    let low = ((index % FINE + FINE) as u64) << shift;
    low + ((1_u64 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for power in 0..64 {
            for value in [1_u64 << power, (1_u64 << power) + (1_u64 << power) / 3, (1_u64 << power) - 1] {
                let top = upper(bucket(value));
                assert!(top >= value, "{value} above {top}");
                assert!(top - value <= value / FINE as u64 + 1, "{value} far below {top}");
            }
        }
        assert_eq!(upper(bucket(u64::MAX)), u64::MAX);
    }

    #[test]
    fn quantiles_of_a_thousand() {
        let mut histogram = Histogram::default();
        for value in 1..=1000 {
            histogram.record(value * 1000);
        }
        let close = |value: u64, wanted: u64| (wanted..wanted + wanted / 32).contains(&value);
        assert!(close(histogram.quantile(0.5), 500_000));
        assert!(close(histogram.quantile(0.99), 990_000));
        assert_eq!(histogram.quantile(1.0), 1_000_000);
        assert_eq!(histogram.json()["count"], 1000);
    }
}
