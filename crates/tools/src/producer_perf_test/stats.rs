//! What `producer-perf-test` measures and prints.

use std::time::{Duration, Instant};

use crate::output::outln;

/// Latencies are kept for percentiles, at most this many of them.
const SAMPLES_MAX: u64 = 500_000;

/// What has been measured, over the whole run and since the last line of progress.
#[derive(Debug)]
pub(super) struct Stats {
    started: Instant,
    window_started: Instant,
    interval: Duration,
    steady: bool,
    silent: bool,
    sampling: u64,
    samples: Vec<u64>,
    count: u64,
    bytes: u64,
    total_ms: u64,
    max_ms: u64,
    window: Window,
}

#[derive(Debug, Default)]
struct Window {
    count: u64,
    bytes: u64,
    total_ms: u64,
    max_ms: u64,
}

impl Stats {
    /// Measures from now on. `steady`: of what comes after the warm-up.
    pub(super) fn new(records: u64, interval: Duration, steady: bool) -> Self {
        let now = Instant::now();
        Self {
            started: now,
            window_started: now,
            interval,
            steady,
            silent: false,
            sampling: (records / SAMPLES_MAX).max(1),
            samples: Vec::new(),
            count: 0,
            bytes: 0,
            total_ms: 0,
            max_ms: 0,
            window: Window::default(),
        }
    }

    /// Prints no more lines of progress: another one does.
    pub(super) fn silence(&mut self) {
        self.silent = true;
    }

    /// Takes in a record that is acknowledged.
    pub(super) fn record(&mut self, latency_ms: u64, bytes: u64) {
        if self.count.is_multiple_of(self.sampling) {
            self.samples.push(latency_ms);
        }
        self.count += 1;
        self.bytes += bytes;
        self.total_ms += latency_ms;
        self.max_ms = self.max_ms.max(latency_ms);
        self.window.count += 1;
        self.window.bytes += bytes;
        self.window.total_ms += latency_ms;
        self.window.max_ms = self.window.max_ms.max(latency_ms);
        if self.window_started.elapsed() >= self.interval {
            self.print_window();
        }
    }

    fn print_window(&mut self) {
        let window = std::mem::take(&mut self.window);
        let (per_second, mb) = rates(window.count, window.bytes, self.window_started.elapsed());
        self.window_started = Instant::now();
        if self.silent {
            return;
        }
        if self.steady {
            outln!("In steady state.");
        }
        outln!(
            "{} records sent, {per_second:.1} records/sec ({mb:.2} MB/sec), {:.1} ms avg latency, {:.1} ms max latency.",
            window.count,
            window.total_ms as f64 / window.count.max(1) as f64,
            window.max_ms as f64
        );
    }

    /// Prints the figures of the whole run.
    pub(super) fn print_total(&mut self) {
        let (per_second, mb) = rates(self.count, self.bytes, self.started.elapsed());
        self.samples.sort_unstable();
        let at = |share: f64| {
            let place = (share * self.samples.len() as f64) as usize;
            self.samples.get(place).or(self.samples.last()).copied().unwrap_or(0)
        };
        outln!(
            "{}{} records sent, {per_second:.6} records/sec ({mb:.2} MB/sec), {:.2} ms avg latency, {:.2} ms max \
             latency, {} ms 50th, {} ms 95th, {} ms 99th, {} ms 99.9th.",
            self.count,
            if self.steady { " steady state" } else { "" },
            self.total_ms as f64 / self.count.max(1) as f64,
            self.max_ms as f64,
            at(0.5),
            at(0.95),
            at(0.99),
            at(0.999)
        );
    }
}

/// Records and megabytes a second.
fn rates(count: u64, bytes: u64, elapsed: Duration) -> (f64, f64) {
    let seconds = elapsed.as_secs_f64().max(0.001);
    (count as f64 / seconds, bytes as f64 / seconds / (1024.0 * 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_come_from_sorted_samples() {
        let mut stats = Stats::new(4, Duration::from_secs(60), false);
        for latency in [4, 1, 3, 2] {
            stats.record(latency, 10);
        }
        assert_eq!((stats.count, stats.bytes, stats.max_ms, stats.total_ms), (4, 40, 4, 10));
    }
}
