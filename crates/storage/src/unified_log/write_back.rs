use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::{LogState, UnifiedLog};
use crate::error::StorageError;
use crate::fs::OpenMode;
use crate::sync::Mutex;
use crate::write_back::{NOTED_BYTES, WriteBack};

/// What has to do with forcing a log to disk.
#[derive(Debug)]
pub(super) struct Flushing {
    /// Held while records are forced to disk, and while files are cut, closed or renamed: neither can see the
    /// other half done. Appends never take it. Before the log's lock.
    pub(super) turn: Mutex<()>,
    /// Whom to tell of appends.
    write_back: OnceLock<(Weak<UnifiedLog>, Arc<WriteBack>)>,
    /// The recovery point on disk.
    checkpointed: AtomicI64,
    /// That one is above ours, and must not be once there are records again.
    overstated: AtomicBool,
}

impl Flushing {
    pub(super) fn new(checkpointed: i64, recovery_point: i64) -> Self {
        Self {
            turn: Mutex::default(),
            write_back: OnceLock::new(),
            checkpointed: AtomicI64::new(checkpointed),
            overstated: AtomicBool::new(recovery_point < checkpointed),
        }
    }
}

impl UnifiedLog {
    /// Has a directory's thread force to disk what is appended.
    pub(crate) fn attach(self: &Arc<Self>, write_back: &Arc<WriteBack>) {
        let _ = self.flushing.write_back.set((Arc::downgrade(self), Arc::clone(write_back)));
    }

    /// Takes note of an append.
    pub(super) fn note_appended(&self, state: &mut LogState, bytes: usize) {
        state.unnoted_bytes += bytes;
        if state.unnoted_bytes >= NOTED_BYTES
            && let Some((this, write_back)) = self.flushing.write_back.get()
        {
            write_back.note_appended(this, std::mem::take(&mut state.unnoted_bytes));
        }
    }

    /// Takes note of what is above the recovery point when the log has just been recovered.
    pub(crate) fn note_found(&self) {
        let bytes = self.local.size_above_recovery_point();
        if bytes > 0
            && let Some((this, write_back)) = self.flushing.write_back.get()
        {
            write_back.note_found(this, bytes);
        }
    }

    /// Hands all records to the disk in pieces, so that [`Self::write_back`] has little to wait for; others
    /// that write and read get their turn between them. `go_on` is told how long a piece took.
    pub(crate) fn write_out(&self, go_on: &mut dyn FnMut(Duration) -> bool) {
        let end = self.log_end_offset();
        if end > self.recovery_point() && !self.is_unsettled() {
            self.local.write_out(end, go_on);
        }
    }

    /// Forces all records to disk, with a producer snapshot for whoever recovers the log from there. Appends
    /// go on meanwhile. Tells whether the recovery point has moved.
    pub(crate) fn write_back(&self) -> Result<bool, StorageError> {
        let _turn = self.flushing.turn.lock();
        let (end, snapshot) = {
            let mut state = self.state.lock();
            let end = self.log_end_offset();
            if state.closed || self.is_unsettled() || end <= self.recovery_point() {
                return Ok(false);
            }
            (end, state.producers.begin_snapshot())
        };
        self.guard("cannot write back", || {
            if let Some((path, bytes)) = &snapshot {
                let file = self.local.fs().open(path, OpenMode::Truncate)?;
                file.write_all_at(bytes, 0)?;
                file.sync()?;
            }
            Ok(())
        })?;
        self.flush_in_turn(end, end)?;
        if snapshot.is_some() {
            self.state.lock().interim_snapshots.push(end);
        }
        Ok(true)
    }

    /// The recovery point that is about to be written.
    pub(crate) fn recovery_point_to_checkpoint(&self) -> i64 {
        // A truncation comes before this, or sees that it comes too late.
        let _state = self.state.lock();
        let offset = self.recovery_point();
        self.flushing.checkpointed.fetch_max(offset, Ordering::AcqRel);
        offset
    }

    /// That recovery point is on disk: a recovery needs no snapshot from before it.
    pub(crate) fn note_checkpointed(&self, offset: i64) -> Result<(), StorageError> {
        let stale = {
            let mut state = self.state.lock();
            if offset <= self.recovery_point() {
                self.flushing.checkpointed.store(offset, Ordering::Release);
                self.flushing.overstated.store(false, Ordering::Release);
            }
            let offsets: Vec<i64> = state.interim_snapshots.extract_if(.., |at| *at < offset).collect();
            if state.closed {
                return Ok(());
            }
            // One that became the begin of a segment stays.
            let interim = offsets.into_iter().filter(|at| !self.local.with_segments(|s| s.contains_key(at)));
            interim.filter_map(|at| state.producers.forget_snapshot(at)).collect::<Vec<PathBuf>>()
        };
        if stale.is_empty() {
            return Ok(());
        }
        let remove = |path: &PathBuf| self.local.fs().remove_file_if_exists(path).map(drop);
        self.guard("cannot remove a producer snapshot", || stale.iter().try_for_each(remove))
    }

    /// The recovery point may have moved back, under the log's lock.
    pub(super) fn note_recovery_point_moved(&self, _: &mut LogState) {
        if self.recovery_point() < self.flushing.checkpointed.load(Ordering::Acquire) {
            self.flushing.overstated.store(true, Ordering::Release);
        }
    }

    /// Whether the recovery point on disk was once true of this folder's records.
    pub(crate) fn is_checkpointed(&self) -> bool {
        self.flushing.checkpointed.load(Ordering::Acquire) > 0
    }

    /// RECOVERY-POINT-FLUSHED: before records are appended, the recovery point on disk is lowered to what is
    /// true of them: records below it are not looked at after a crash.
    pub(super) fn ensure_not_overstated(&self) -> Result<(), StorageError> {
        if !self.flushing.overstated.load(Ordering::Acquire) {
            return Ok(());
        }
        self.lower_checkpoint()
    }

    #[cold]
    fn lower_checkpoint(&self) -> Result<(), StorageError> {
        self.flushing.write_back.get().map_or(Ok(()), |(_, write_back)| write_back.checkpoint())
    }

    /// Syncs producer snapshots that were written when segments were rolled.
    pub(super) fn sync_snapshots(&self) -> Result<(), StorageError> {
        let snapshots = std::mem::take(&mut self.state.lock().unsynced_snapshots);
        self.guard("cannot sync producer snapshots", || {
            for path in &snapshots {
                match self.local.fs().open(path, OpenMode::Read) {
                    Ok(file) => file.sync()?,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    }
}
