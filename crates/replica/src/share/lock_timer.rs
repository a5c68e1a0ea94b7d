//! One timer for the acquisition locks of all share-partitions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::sleep;

use super::hosted::HostedSharePartition;
use super::manager::SharePartitionManager;

/// When share-partitions want to look at their acquisition locks.
///
/// It is set for the earliest of them and stays set when that one changes its mind, as the alarms of parked
/// requests do. Times are those of the manager's monotonic clock.
#[derive(Debug, Default)]
pub(super) struct LockTimer {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By time, and by the id of the share-partition.
    entries: BTreeMap<(i64, u64), Weak<HostedSharePartition>>,
    /// What the newest task sleeps for.
    set_for: Option<i64>,
}

impl LockTimer {
    /// Changes a share-partition's time. It is called under the share-partition's mutex, so that the order of
    /// changes is the same on both sides; nobody takes these two locks in the other order.
    pub(super) fn change(
        &self,
        manager: &Arc<SharePartitionManager>,
        hosted: &Arc<HostedSharePartition>,
        before: Option<i64>,
        after: Option<i64>,
    ) {
        let mut state = self.lock();
        if let Some(before) = before {
            state.entries.remove(&(before, hosted.id));
        }
        let Some(after) = after else { return };
        state.entries.insert((after, hosted.id), Arc::downgrade(hosted));
        if state.set_for.is_none_or(|set_for| after < set_for) {
            state.set_for = Some(after);
            tokio::spawn(run(Arc::downgrade(manager), after));
        }
    }

    /// Takes out those whose time has come. Says for when the task that slept for `slept_for` has to sleep
    /// next: it ends if another sleeps for an earlier time, or if there is nothing to sleep for.
    pub(super) fn take_due(
        &self,
        slept_for: i64,
        now_ms: i64,
    ) -> (Vec<Arc<HostedSharePartition>>, Option<i64>) {
        let mut state = self.lock();
        let later = state.entries.split_off(&(now_ms.saturating_add(1), 0));
        let due = std::mem::replace(&mut state.entries, later);
        let due = due.into_values().filter_map(|hosted| hosted.upgrade()).collect();
        if state.set_for != Some(slept_for) {
            return (due, None);
        }
        state.set_for = state.entries.keys().next().map(|(time_ms, _)| *time_ms);
        (due, state.set_for)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(manager: Weak<SharePartitionManager>, mut time_ms: i64) {
    loop {
        let Some(now_ms) = manager.upgrade().map(|manager| manager.now_ms()) else { return };
        if let Ok(delay @ 1..) = u64::try_from(time_ms.saturating_sub(now_ms)) {
            sleep(Duration::from_millis(delay)).await;
        }
        let Some(manager) = manager.upgrade() else { return };
        match manager.expire_acquisition_locks(time_ms) {
            Some(next) => time_ms = next,
            None => return,
        }
    }
}
