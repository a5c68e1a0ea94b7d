use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Long waits are cut: the clock may be set while nobody looks.
const LONGEST_MS: i64 = 60_000;
/// Nothing to wait for.
const NEVER: i64 = i64::MAX;

/// Wakes a task at a deadline. One that is put off lets the task be woken once for nothing, so that the runtime's
/// timer is not set again with every request.
#[derive(Debug)]
pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// The time for which it is set.
    at_ms: i64,
}

impl Alarm {
    pub(super) fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), at_ms: NEVER }
    }

    /// Has the task woken at the deadline at the latest.
    pub(super) fn set(&mut self, now_ms: i64, deadline_ms: Option<i64>) {
        let wanted = deadline_ms.map_or(NEVER, |deadline| deadline.min(now_ms.saturating_add(LONGEST_MS)));
        if wanted < self.at_ms {
            let millis = wanted.saturating_sub(now_ms).max(0).unsigned_abs();
            self.sleep.as_mut().reset(Instant::now() + Duration::from_millis(millis));
            self.at_ms = wanted;
        }
    }
}

impl Future for &mut Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.at_ms == NEVER {
            return Poll::Pending;
        }
        let fired = self.sleep.as_mut().poll(cx);
        if fired.is_ready() {
            self.at_ms = NEVER;
        }
        fired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_fires_at_the_earliest_deadline_it_was_set_for_and_only_once() {
        let begin = Instant::now();
        let mut alarm = Alarm::new();
        alarm.set(1_000, Some(6_000));
        alarm.set(1_000, Some(3_000));
        alarm.set(1_000, Some(9_000));
        (&mut alarm).await;
        assert_eq!(begin.elapsed().as_secs(), 2);
        alarm.set(3_000, None);
        let nothing = tokio::time::timeout(Duration::from_secs(600), &mut alarm).await;
        assert!(nothing.is_err());
        alarm.set(603_000, Some(600_000));
        (&mut alarm).await;
        assert_eq!(begin.elapsed().as_secs(), 602);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_is_cut() {
        let begin = Instant::now();
        let mut alarm = Alarm::new();
        alarm.set(0, Some(i64::MAX));
        alarm.set(0, Some(1_000_000));
        (&mut alarm).await;
        assert_eq!(begin.elapsed().as_secs(), 60);
    }
}
