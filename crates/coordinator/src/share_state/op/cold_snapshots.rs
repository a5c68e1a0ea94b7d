//! New snapshots of share-partitions that nobody writes to, so that they do not hold the log.

use crate::share_state::{
    ShareCoordinatorShard, ShareGroupOffset, SharePartitionKey, SharePartitionState, ShareStateRecord,
    ShareStateResult,
};

impl ShareCoordinatorShard {
    /// Renews the snapshots that became too old, and asks to be called again. When all of them are
    /// renewed ones already, nothing is going on here, and there is nothing to gain.
    pub(in crate::share_state) fn snapshot_cold_partitions(&self, now_ms: i64) -> ShareStateResult<()> {
        let is_quiet = self.states.values().all(|state| state.offset.is_cold());
        let records = if is_quiet { Vec::new() } else { self.cold_snapshots(now_ms) };
        let mut result = ShareStateResult { atomic: false, ..ShareStateResult::with_records(records, ()) };
        result.timers.push(self.schedule_cold_snapshots(now_ms));
        result
    }

    fn cold_snapshots(&self, now_ms: i64) -> Vec<ShareStateRecord> {
        let max_age_ms = i64::from(self.config.cold_partition_snapshot_interval_ms);
        let is_old = |state: &SharePartitionState| {
            now_ms.saturating_sub(state.offset.write_timestamp_ms) >= max_age_ms
        };
        let renewed = |key: &SharePartitionKey, state: &SharePartitionState| {
            let mut offset: ShareGroupOffset = state.offset.clone();
            offset.snapshot_epoch = offset.snapshot_epoch.saturating_add(1);
            offset.write_timestamp_ms = now_ms;
            ShareStateRecord::snapshot(key, &offset)
        };
        self.states().filter(|(_, state)| is_old(state)).map(|(key, state)| renewed(key, state)).collect()
    }
}

#[cfg(test)]
#[path = "cold_snapshots_test.rs"]
mod tests;
