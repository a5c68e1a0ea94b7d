//! Medians, and how sure they are.

/// Resamples of the bootstrap.
const RESAMPLES: usize = 2000;

/// A median with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The median.
    pub median: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Number of pairs.
    pub rounds: usize,
}

/// The median; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The ratio of two brokers from pairs of one round each: the median of the logarithms of the ratios,
/// its interval from resampled rounds. Pairs that have no ratio are left out.
pub fn ratio(pairs: &[(f64, f64)]) -> Option<Estimate> {
    let logs: Vec<f64> = pairs
        .iter()
        .filter(|(ours, theirs)| *ours > 0.0 && *theirs > 0.0)
        .map(|(ours, theirs)| (ours / theirs).ln())
        .collect();
    if logs.is_empty() {
        return None;
    }
    let mut chance = Chance(0x2545_F491_4F6C_DD1D);
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sample: Vec<f64> = logs.iter().map(|_| logs[chance.below(logs.len())]).collect();
            median(&sample)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let at = |share: f64| medians[((RESAMPLES - 1) as f64 * share).round() as usize].exp();
    Some(Estimate { median: median(&logs).exp(), low: at(0.025), high: at(0.975), rounds: logs.len() })
}

/// Repeatable chance: the same figures always give the same page.
#[derive(Debug, Clone)]
pub struct Chance(pub u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below the bound.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Any order of these, each equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_constant_ratio_is_certain() {
        let estimate = ratio(&[(1.0, 4.0), (2.0, 8.0), (0.5, 2.0)]).unwrap();
        assert!((estimate.median - 0.25).abs() < 1e-12);
        assert!((estimate.low - 0.25).abs() < 1e-12 && (estimate.high - 0.25).abs() < 1e-12);
        assert_eq!(estimate.rounds, 3);
    }

    #[test]
    fn an_interval_holds_the_median_and_stays_within_the_pairs() {
        let pairs: Vec<(f64, f64)> = (1..=9).map(|n| (f64::from(n), 10.0)).collect();
        let estimate = ratio(&pairs).unwrap();
        assert!((estimate.median - 0.5).abs() < 1e-9);
        assert!(estimate.low < 0.5 && estimate.high > 0.5, "{estimate:?}");
        assert!(estimate.low > 0.099 && estimate.high < 0.901, "{estimate:?}");
    }

    #[test]
    fn pairs_without_a_ratio_are_left_out() {
        assert_eq!(ratio(&[(0.0, 1.0), (1.0, 0.0)]), None);
        assert_eq!(ratio(&[(0.0, 1.0), (1.0, 2.0)]).unwrap().rounds, 1);
    }

    #[test]
    fn a_shuffle_keeps_everything() {
        let mut items: Vec<usize> = (0..20).collect();
        Chance(1).shuffle(&mut items);
        assert_ne!(items, (0..20).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..20).collect::<Vec<_>>());
    }
}
