use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Notify;

/// A request that waits until the partitions it is parked on have gathered enough for it.
///
/// What is enough is counted where it comes to be, by whoever changes a partition: the request is woken
/// once, when it can be answered, and not for every step towards it.
#[derive(Debug)]
pub(crate) struct Parked {
    needed: i64,
    gathered: AtomicI64,
    pub(crate) enough: Notify,
}

impl Parked {
    pub(crate) fn new(needed: i64) -> Self {
        Self { needed, gathered: AtomicI64::new(0), enough: Notify::new() }
    }

    /// Counts what a partition has more, or less, than it told before. Answers whether it is enough just now.
    #[must_use = "who brings what was missing wakes the request"]
    pub(crate) fn add(&self, more: i64) -> bool {
        let before = self.gathered.fetch_add(more, Ordering::AcqRel);
        before < self.needed && before + more >= self.needed
    }

    /// Brings all that is needed at once: waiting cannot make the answer better.
    #[must_use = "who brings what was missing wakes the request"]
    pub(crate) fn release(&self) -> bool {
        self.add(self.needed)
    }

    pub(crate) fn has_enough(&self) -> bool {
        self.gathered.load(Ordering::Acquire) >= self.needed
    }

    pub(crate) fn wake(&self) {
        self.enough.notify_one();
    }

    /// Waits until there is enough, or somebody who keeps the time wakes it.
    pub(crate) async fn wait(&self) {
        if !self.has_enough() {
            // A wake that came before this is kept by the notification.
            self.enough.notified().await;
        }
    }
}
