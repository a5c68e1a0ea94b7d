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

    #[tokio::test]
    async fn it_is_set_for_the_earliest_deadline_and_fires_once() {
        let begin = Instant::now();
        let mut alarm = Alarm::new();
        alarm.set(1_000, Some(60_000));
        alarm.set(1_000, Some(1_003));
        alarm.set(1_000, Some(9_000));
        assert_eq!(alarm.at_ms, 1_003);
        (&mut alarm).await;
        assert!(begin.elapsed() >= Duration::from_millis(3));
        alarm.set(1_003, None);
        assert_eq!(alarm.at_ms, NEVER);
        let again = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut &mut alarm).poll(cx))).await;
        assert!(again.is_pending());
        // Overdue already.
        alarm.set(2_000, Some(1_500));
        (&mut alarm).await;
    }

    #[tokio::test]
    async fn a_long_wait_is_cut() {
        let mut alarm = Alarm::new();
        alarm.set(5, Some(i64::MAX));
        assert_eq!(alarm.at_ms, 5 + LONGEST_MS);
    }
}
