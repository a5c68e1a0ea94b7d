//! Random choices from a seed that is printed, and that `SEED` can give.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::process::POLL;

/// A generator whose seed was printed.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// From `SEED` or the clock.
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos());
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(now as u64) | 1;
        println!("seed {seed}");
        Self(seed)
    }

    /// A number from 0 on, below the limit.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// A duration between the two.
    pub fn millis(&mut self, low: usize, high: usize) -> Duration {
        Duration::from_millis((low + self.below(high - low)) as u64)
    }
}

/// Lets the load go on for a while, which is what the test is about, unless something happens before.
pub fn meanwhile(how_long: Duration, mut happened: impl FnMut() -> Result<bool>) -> Result<bool> {
    let end = Instant::now() + how_long;
    loop {
        if happened()? {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Ok(false);
        }
        thread::sleep(POLL);
    }
}
