use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Says when a connection has been silent for too long.
///
/// Activity only notes the time. The one timer fires once per idle period at most and, when there
/// was activity since, goes back to sleep, so reads and writes never touch the timer wheel.
#[derive(Debug)]
pub(crate) struct IdleTimer {
    limit: Option<Duration>,
    last_active: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl IdleTimer {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self { limit, last_active: Instant::now(), sleep: None }
    }

    /// Notes that something happened.
    pub(crate) fn touch(&mut self) {
        self.last_active = Instant::now();
    }

    /// Completes once nothing has happened for the whole period. Can be dropped and called again.
    pub(crate) async fn expired(&mut self) {
        let Some(limit) = self.limit else { return std::future::pending().await };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(self.last_active + limit)));
        loop {
            sleep.as_mut().await;
            let deadline = self.last_active + limit;
            if Instant::now() >= deadline {
                return;
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn activity_pushes_the_end_away() {
        let mut idle = IdleTimer::new(Some(Duration::from_secs(10)));
        let start = Instant::now();
        for _ in 0..3 {
            tokio::select! {
                () = idle.expired() => panic!("not idle"),
                () = tokio::time::sleep(Duration::from_secs(6)) => idle.touch(),
            }
        }
        idle.expired().await;
        assert_eq!(start.elapsed().as_secs(), 28);
    }
}
