use std::sync::Arc;

use ottla_common::time::Time;

/// Smaller steps are the clock being slewed, which hurts no timer.
const STEP_MS: i64 = 500;

/// The wall clock, watched: somebody may set it, and sessions must not end because of that.
#[derive(Debug)]
pub(super) struct WatchedClock {
    time: Arc<dyn Time>,
    /// What the wall clock and the steady one said last.
    last: (i64, i64),
}

impl WatchedClock {
    pub(super) fn new(time: Arc<dyn Time>) -> Self {
        let last = (time.now_ms(), steady_ms(&*time));
        Self { time, last }
    }

    /// The time, and by how much the clock was set since the last look at it.
    pub(super) fn look(&mut self) -> (i64, i64) {
        let (wall, steady) = (self.time.now_ms(), steady_ms(&*self.time));
        let expected = self.last.0.saturating_add(steady.saturating_sub(self.last.1));
        self.last = (wall, steady);
        let step = wall.saturating_sub(expected);
        (wall, if step.saturating_abs() > STEP_MS { step } else { 0 })
    }
}

fn steady_ms(time: &dyn Time) -> i64 {
    time.monotonic_ns() / 1_000_000
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct TwoClocks {
        wall_ms: AtomicI64,
        steady_ms: AtomicI64,
    }

    impl Time for TwoClocks {
        fn now_ms(&self) -> i64 {
            self.wall_ms.load(Ordering::SeqCst)
        }
        fn monotonic_ns(&self) -> i64 {
            self.steady_ms.load(Ordering::SeqCst) * 1_000_000
        }
    }

    #[test]
    fn a_step_is_told_apart_from_time_that_passes() {
        let time = Arc::new(TwoClocks::default());
        let mut clock = WatchedClock::new(time.clone());
        time.wall_ms.store(5_000, Ordering::SeqCst);
        time.steady_ms.store(5_000, Ordering::SeqCst);
        assert_eq!(clock.look(), (5_000, 0));
        time.wall_ms.store(3_606_010, Ordering::SeqCst);
        time.steady_ms.store(6_000, Ordering::SeqCst);
        assert_eq!(clock.look(), (3_606_010, 3_600_010));
        assert_eq!(clock.look(), (3_606_010, 0));
    }
}
