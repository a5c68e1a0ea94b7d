//! When to write a snapshot of the metadata: after so many bytes of log, or so much time.

use crate::loader::{LoaderManifest, MetadataUpdate};

/// Why a snapshot is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotReason {
    /// `metadata.log.max.record.bytes.between.snapshots` bytes were read since the last one.
    MaxBytesExceeded,
    /// `metadata.log.max.snapshot.interval.ms` passed since the last one.
    MaxIntervalExceeded,
}

/// Decides after each update whether its image should become a snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotPolicy {
    max_bytes: i64,
    max_interval_ms: i64,
    bytes_since: i64,
    last_snapshot_ms: i64,
}

impl SnapshotPolicy {
    /// A policy that counts from now. An interval of 0 switches that criterion off.
    pub fn new(max_bytes: i64, max_interval_ms: i64, now_ms: i64) -> Self {
        Self { max_bytes, max_interval_ms, bytes_since: 0, last_snapshot_ms: now_ms }
    }

    /// Takes note of an update. When it names a reason, write the update's image; counting starts over.
    pub fn on_update(&mut self, update: &MetadataUpdate, now_ms: i64) -> Option<SnapshotReason> {
        let LoaderManifest::LogDelta { num_bytes, .. } = update.manifest else {
            self.reset(now_ms);
            return None;
        };
        self.bytes_since = self.bytes_since.saturating_add(num_bytes);
        let interval = now_ms.saturating_sub(self.last_snapshot_ms);
        let reason = if self.bytes_since >= self.max_bytes {
            SnapshotReason::MaxBytesExceeded
        } else if self.max_interval_ms != 0 && interval >= self.max_interval_ms {
            SnapshotReason::MaxIntervalExceeded
        } else {
            return None;
        };
        // A snapshot must end where a batch ends, or the log could not be cut there.
        if !update.image.provenance.is_offset_batch_aligned {
            return None;
        }
        self.reset(now_ms);
        Some(reason)
    }

    fn reset(&mut self, now_ms: i64) {
        self.bytes_since = 0;
        self.last_snapshot_ms = now_ms;
    }
}
