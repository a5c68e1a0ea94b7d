use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

/// Requests parked on one partition until its end or its high watermark moves.
///
/// A request parks on every partition it asks for; the first that moves wakes it, and it looks
/// again. Requests that ended leave a dead entry behind, which is swept out as entries are added,
/// so an idle partition that is polled for ever keeps a bounded list.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    parked: Mutex<Parked>,
}

#[derive(Debug, Default)]
struct Parked {
    list: Vec<Weak<Notify>>,
    sweep_at: usize,
}

/// Below this many entries a sweep is not worth its while.
const SWEEP_MIN: usize = 16;

impl Waiters {
    pub(crate) fn park(&self, waiter: &Arc<Notify>) {
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        if parked.list.len() >= parked.sweep_at.max(SWEEP_MIN) {
            parked.list.retain(|w| w.strong_count() > 0);
            parked.sweep_at = parked.list.len() * 2;
        }
        parked.list.push(Arc::downgrade(waiter));
    }

    pub(crate) fn wake_all(&self) {
        let list = {
            let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
            if parked.list.is_empty() {
                return;
            }
            std::mem::take(&mut parked.list)
        };
        for waiter in list.iter().filter_map(Weak::upgrade) {
            waiter.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_entries_do_not_pile_up() {
        let waiters = Waiters::default();
        let live = Arc::new(Notify::new());
        waiters.park(&live);
        for _ in 0..10_000 {
            waiters.park(&Arc::new(Notify::new()));
        }
        assert!(waiters.parked.lock().unwrap().list.len() < 100);
    }

    #[tokio::test]
    async fn a_wake_before_the_wait_is_not_lost() {
        let waiters = Waiters::default();
        let waiter = Arc::new(Notify::new());
        waiters.park(&waiter);
        waiters.wake_all();
        waiter.notified().await;
    }
}
