//! The clock, passed in by the front door so that tests and the simulator can hold it.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, UNIX_EPOCH};

/// A source of time. Kernels never hold one: they take `now` as an argument.
pub trait Time: Debug + Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;
    /// Nanoseconds since an arbitrary start; never goes back.
    fn monotonic_ns(&self) -> i64;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemTime {
    started: Instant,
}

impl Default for SystemTime {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Time for SystemTime {
    fn now_ms(&self) -> i64 {
        std::time::SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
    }

    fn monotonic_ns(&self) -> i64 {
        self.started.elapsed().as_nanos() as i64
    }
}

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct MockTime {
    now_ms: AtomicI64,
}

impl MockTime {
    /// A clock that stands at `now_ms`.
    pub fn new(now_ms: i64) -> Self {
        Self { now_ms: AtomicI64::new(now_ms) }
    }

    /// Moves the clock forward.
    pub fn advance_ms(&self, by: i64) {
        self.now_ms.fetch_add(by, Ordering::SeqCst);
    }
}

impl Time for MockTime {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn monotonic_ns(&self) -> i64 {
        self.now_ms().saturating_mul(1_000_000)
    }
}
